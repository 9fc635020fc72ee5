/**
 * The parts of the basket that jobs and batches use besides the engine: encoding of payloads and failures, joined calls, and
 * claimed tasks. Users import the basket, and stores import the hook below it.
 *
 * @module
 */

export { addTasks, delayOf } from "./adding.ts";
export { decodeMeta, type TaskMeta } from "./meta.ts";
export { BasketEngine } from "./basket-engine.ts";
export { Batch } from "./batch.ts";
export type { Batches, Batching, BatchKind, BatchMember, SharedRun } from "./batches.ts";
export { isTransient } from "./calls.ts";
export { type Codec, cut, decodeFailure, encodeFailure, jsonCodec, type TaskFailure } from "./codec.ts";
export { type BasketContext, ClaimLostError } from "./context.ts";
export { type Ending, endingWith } from "./ending.ts";
export type { JobClaim } from "./job-claim.ts";
export {
	type BasketOptions,
	type BasketSettings,
	checkBasketOptions,
	checkMade,
	type Kind,
	type TaskDefinition,
	type TaskMap,
	type WakeHint,
} from "./options.ts";
export { changeMany } from "./many.ts";
export { checkStored } from "./pausing.ts";
export { chain, checkTx, encodePayload, isThenable, synchronous } from "./payload.ts";
export { getTask, listTasks } from "./reading.ts";
export { Endings } from "./waiting.ts";
