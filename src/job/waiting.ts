/**
 * Waits for the end of a job, in any process.
 *
 * @module
 */

import { type Endings, isTransient } from "../basket/engine.ts";
import { asStored, type JobOutcome, outcomeOf } from "./outcome.ts";
import type { JobOwner } from "./owner.ts";
import type { JobCheckpoint } from "./state.ts";
import { check, checkedSignal } from "../platform/check.ts";
import { report } from "../platform/observe.ts";
import type { WaitOptions } from "../platform/waiters.ts";

/**
 * See `Processor.wait`. Temporary failures of the store are reported, and the wait continues.
 *
 * @param look reads the outcome from the store
 */
export async function waitForJob<Tx>(
	owner: JobOwner<Tx>,
	endings: Endings<JobCheckpoint>,
	look: () => Promise<JobOutcome | undefined>,
	id: string,
	options: WaitOptions,
): Promise<JobOutcome> {
	const signal = checkedSignal(options);
	check("id", id, "string");
	return await endings.wait(id, signal, async (ended) => {
		if (ended !== undefined) return outcomeOf(await asStored(owner.codec, ended));
		try {
			return await look();
		} catch (error) {
			if (!isTransient(error)) throw error;
			report(owner.onError, error);
		}
	});
}
