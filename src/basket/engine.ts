/**
 * What jobs are made of besides a basket: how payloads and failures become data, how calls are joined, and what the engine does with a
 * task that it has claimed. Users have the basket, and stores the hook below it.
 *
 * @module
 */

export { Batch } from "./batch.ts";
export { isTransient } from "./calls.ts";
export type { ClaimedTask } from "./claimed-task.ts";
export { type Codec, cut, decodeFailure, encodeFailure, jsonCodec, type TaskFailure } from "./codec.ts";
export { ClaimLostError } from "./context.ts";
export { type BasketOptions, checkName, type Settled, type TaskDefinition, type WakeHint } from "./options.ts";
export { checkTx, encodePayload, isThenable, synchronous } from "./payload.ts";
export { UserContext } from "./user-context.ts";
