/**
 * What the parts of a processor share.
 *
 * @module
 */

import type { Codec } from "../basket/engine.ts";
import type { Save, Store } from "../basket/store.ts";
import type { Clock } from "../platform/clock.ts";
import type { OnError } from "../platform/observe.ts";
import type { FailedJobAttempt } from "./options.ts";

/** What a run needs of its processor. */
export interface JobOwner<Tx> {
	readonly store: Store<Tx>;
	/** Of the basket. */
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
	/** An attempt of a step has failed. Never throws. */
	onAttemptFailed(failed: FailedJobAttempt): void;
	/** Another step, or another attempt. */
	onChange(): void;
}
