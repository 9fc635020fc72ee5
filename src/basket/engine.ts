/**
 * What jobs are made of besides a basket: how payloads and failures become data, how calls are joined, and what the engine does with a
 * task that it has claimed. Users have the basket, and stores the hook below it.
 *
 * @module
 */

export { addTasks } from "./adding.ts";
export { BasketEngine } from "./basket-engine.ts";
export { Batch } from "./batch.ts";
export { isTransient } from "./calls.ts";
export { type Codec, cut, decodeFailure, encodeFailure, jsonCodec, type TaskFailure } from "./codec.ts";
export { ClaimLostError } from "./context.ts";
export { type Ending, endingWith } from "./ending.ts";
export type { JobClaim } from "./job-claim.ts";
export {
	type BasketOptions,
	checkBasketOptions,
	checkName,
	type Kind,
	type TaskDefinition,
	type TaskMap,
	type WakeHint,
} from "./options.ts";
export { checkTx, encodePayload, isThenable, synchronous } from "./payload.ts";
export { getTask, listTasks } from "./reading.ts";
