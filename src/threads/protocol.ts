/**
 * The messages between a thread and its callers. They are short arrays, because each message is cloned.
 *
 * @module
 */

import type { Packed } from "./error-border.ts";

/** Messages to the thread. The numbers identify calls. */
export type Request =
	| readonly ["call", number, name: string, args: readonly unknown[]]
	| readonly ["abort", number, reason: Packed];

/** Messages from the thread. */
export type Answer =
	| readonly ["value", number, value: unknown]
	| readonly ["error", number, error: Packed]
	| readonly ["progress", number, progress: number, description: string | undefined]
	/** The thread can be called from now on. It is gone when the lock is free. */
	| readonly ["ready", functions: readonly string[], lock: string | undefined]
	/** The thread can no longer be used. */
	| readonly ["lost", cause: Packed];
