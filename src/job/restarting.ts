/**
 * Jobs that have ended and go on where they failed, or begin anew.
 *
 * The store restarts the task: see `Restart`. A job that goes on keeps its log and its `uid`, so its results and its
 * idempotency keys are the same. One that begins anew has neither: what was done or reverted is done anew.
 *
 * @module
 */

import type { Changed, TxOptions } from "../basket/basket.ts";
import { type BasketEngine, type Codec, encodePayload, getTask } from "../basket/engine.ts";
import type { Data, Restart, StoredTask } from "../basket/store.ts";
import { changeJobs, type JobFilter } from "./changing.ts";
import { decodeEntry, decodeHead } from "./decode.ts";
import { nothingPending } from "./flow-log.ts";
import { branchOf } from "./branch-name.ts";
import { groupAt } from "./groups.ts";
import type { AnyJob } from "./definition.ts";
import type { ReadLog } from "./log.ts";
import { firstHead, type JobHead, type PreparedJob } from "./state.ts";
import { check, checkWord, refuse } from "../platform/check.ts";

/** Options for {@link Processor.retry} with an id. */
export interface RetryJobOptions<Tx = never> extends TxOptions<Tx> {
	/**
	 * Makes a job that has ended go on, and is not for a `tx`:
	 *
	 * - `"failure"`: where it failed, in the direction in which it failed. Forward, if it had nothing to revert: the step
	 *   that failed gets its attempts again, and results are kept. Backward, if a revert failed: that revert and the
	 *   others are tried. For a reverted job it is the same as `"start"`;
	 * - `"start"`: from the beginning, with the same input and new idempotency keys. What is stored of the last run, also
	 *   what was not reverted, is forgotten.
	 */
	from?: "failure" | "start" | undefined;
}

/** See `Processor.retry`. */
export async function retryJobs<W extends string | JobFilter, Tx>(
	engine: BasketEngine<Tx>,
	{ codec, readLog }: Pick<RestartSource, "codec" | "readLog">,
	jobs: ReadonlyMap<string, PreparedJob>,
	which: W,
	options: RetryJobOptions<Tx> = {},
): Promise<Changed<W>> {
	const { from, tx } = check("options", options, "object");
	if (from === undefined) return await changeJobs(engine, which, "retry", { tx });
	checkWord("from", from, ["failure", "start"]);
	if (Object(which) === which) refuse("from", from, "absent for a filter");
	// The job is read before.
	if (tx !== undefined) refuse("tx", tx, `absent with "from"`);
	const id = which as string;
	const task = await getTask(engine, id);
	const { maxPayload } = engine.settings.store.capabilities;
	const change = task && await restartOf({ codec, readLog, maxPayload }, jobs.get(task.kind)?.job, task, from);
	return (change !== undefined && await engine.apply([id], change) > 0) as Changed<W>;
}

/** The access to a stored job. */
export interface RestartSource {
	readonly codec: Codec;
	readonly readLog: ReadLog;
	/** See `StoreCapabilities`. */
	readonly maxPayload: number | undefined;
}

/** How a job is restarted. */
interface Next {
	readonly head: JobHead;
	readonly keepsLog: boolean;
}

/**
 * The change that restarts a job.
 *
 * @param job the definition; if it is not known here, the job begins anew with the steps that it has
 * @returns `undefined` if it has not ended, or has completed and there is no failure to go on from
 * @throws {Error} (as a rejection) if what is stored of the job cannot be read, or not stored again
 */
export async function restartOf(
	source: RestartSource,
	job: AnyJob | undefined,
	task: Pick<StoredTask, "id" | "key" | "state"> & { readonly payload: unknown },
	from: "failure" | "start",
): Promise<Restart | undefined> {
	const { key, state } = task;
	if (state !== "done" && state !== "dead") return undefined;
	const payload = task.payload as Data;
	// A dead job has not ended: the store could not read it, and perhaps can now.
	if (state === "dead" && from === "failure") return { type: "restart", key, payload, keepsLog: true };
	const head = await decodeHead(source.codec, payload);
	const next = from === "start" ? begun(head, job) : await continued(source, task.id, head, job);
	if (next === undefined) return undefined;
	const encoded = await encodePayload(source, next.head, source.maxPayload);
	return { type: "restart", key, payload: encoded, keepsLog: next.keepsLog };
}

function begun({ version, input, plan, pending, isChild }: JobHead, job: AnyJob | undefined): Next {
	const stored = { version, steps: plan.map((name) => ({ name })), engine: pending };
	return { head: { ...firstHead(job ?? stored as unknown as AnyJob, input, undefined), isChild }, keepsLog: false };
}

async function continued(
	source: RestartSource,
	id: string,
	head: JobHead,
	job: AnyJob | undefined,
): Promise<Next | undefined> {
	const { status, revertError, pending } = head;
	if (status === "completed") return undefined;
	if (status === "reverted") return begun(head, job);
	const ended = { error: undefined, isBackward: false, causes: undefined };
	const anew = { status: undefined, revertError: undefined, unreverted: undefined, delay: undefined, crashed: 0 };
	// Its ages count from the restart.
	const again = { ...head, ...anew, ...nothingPending };
	const retried = pending === undefined ? { ...again, isRetried: true as const } : again;
	if (revertError !== undefined && (pending !== undefined || head.at > 0)) return { head: retried, keepsLog: true };
	if (pending !== undefined) {
		const ignored = [...head.ignored ?? [], ...head.causes ?? []];
		return { head: { ...again, ...ended, ignored }, keepsLog: true };
	}
	const [last] = await source.readLog({ id, after: Math.max(0, head.logged - 1), limit: 1 }) ?? [];
	const entry = last && await decodeEntry(source.codec, last.data, head);
	if (entry?.isRevert) return begun(head, job);
	return { head: { ...retried, ...ended, ...placeOfFailure(head, entry?.at) }, keepsLog: true };
}

/** The place of a job that has failed forward, and had nothing to revert. */
function placeOfFailure({ plan, open = [] }: JobHead, last: number | undefined): Pick<JobHead, "at" | "open"> {
	const [branch] = open;
	if (branch !== undefined) return { at: groupAt(plan, branch)[0]!, open };
	if (last === undefined) return { at: 0 };
	return { at: branchOf(plan[last]!) === undefined ? last + 1 : groupAt(plan, last).at(-1)! + 1 };
}
