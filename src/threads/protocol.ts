/**
 * What goes to and fro between a thread and those who call it. Short arrays, since each message is cloned.
 *
 * @module
 */

import type { Packed } from "./error-border.ts";

/** Into the thread. Numbers are those of calls. */
export type Request =
	| readonly ["call", number, name: string, args: readonly unknown[]]
	| readonly ["abort", number, reason: Packed];

/** Out of the thread. */
export type Answer =
	| readonly ["value", number, value: unknown]
	| readonly ["error", number, error: Packed]
	| readonly ["progress", number, progress: number, description: string | undefined]
	/** It can be called from now on, and is gone when the lock is free. */
	| readonly ["ready", functions: readonly string[], lock: string | undefined]
	/** It cannot be relied on any more. */
	| readonly ["lost", cause: Packed];
