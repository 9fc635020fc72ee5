/**
 * The interface of a job's run to its processor.
 *
 * @module
 */

import type { Codec } from "../basket/engine.ts";
import type { Save, Store } from "../basket/store.ts";
import type { Clock } from "../platform/clock.ts";
import type { OnError } from "../platform/observe.ts";
import type { FailedJobAttempt } from "./options.ts";

/** The owner of a run. */
export interface JobOwner<Tx> {
	readonly store: Store<Tx>;
	/** The name of the basket. */
	readonly name: string;
	readonly codec: Codec;
	readonly clock: Clock;
	readonly crashes: number;
	readonly retain: number;
	readonly onError: OnError | undefined;
	/**
	 * Saves one checkpoint, perhaps together with those of others. Resolves with `false` if the claim is lost, or the checkpoint
	 * is not wanted any more.
	 *
	 * @param begin called just before it is sent, perhaps again; says whether it is still wanted
	 */
	save(save: Save, begin: () => boolean): Promise<boolean>;
	/** Reports a failed attempt of a step. Never throws. */
	onAttemptFailed(failed: FailedJobAttempt): void;
	/** The step or the attempt has changed. */
	onChange(): void;
}
