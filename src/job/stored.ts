/**
 * Reads stored jobs.
 *
 * @module
 */

import type { TaskRecord } from "../basket/basket.ts";
import type { Codec } from "../basket/engine.ts";
import type { Data, LogEntry } from "../basket/store.ts";
import { decodeHead } from "./decode.ts";
import { readEntries, type ReadLog, replay } from "./log.ts";
import { type JobCheckpoint, keepResult, type PreparedJob } from "./state.ts";

/** A job that was found in the store, and its log. */
export interface FoundJob {
	readonly record: TaskRecord;
	readonly entries: readonly LogEntry[];
}

/** The number of logs that a list of jobs reads at once. */
const logsAtOnce = 20;

/** Reads the log of a job. */
export async function findLog(readLog: ReadLog, record: TaskRecord): Promise<FoundJob> {
	return { record, entries: await readEntries(readLog, { id: record.id, after: 0 }) ?? [] };
}

/** Reads the logs of jobs, some at a time. */
export async function* findLogs(
	readLog: ReadLog,
	records: AsyncIterable<TaskRecord>,
): AsyncGenerator<FoundJob, void, undefined> {
	let some: TaskRecord[] = [];
	const find = () => Promise.all(some.map((record) => findLog(readLog, record)));
	for await (const record of records) {
		if (some.push(record) < logsAtOnce) continue;
		yield* await find();
		some = [];
	}
	yield* await find();
}

/**
 * The state of a stored job.
 *
 * @param job the definition; `undefined` if it is not known here
 * @throws {Error} (as a rejection) if it cannot be read
 */
export async function readJob(
	codec: Codec,
	job: PreparedJob | undefined,
	{ record, entries }: FoundJob,
): Promise<JobCheckpoint> {
	const head = await decodeHead(codec, record.payload as Data);
	const { state, results: found } = await replay(codec, job, head, entries);
	const results = {};
	for (const [at, value] of found) keepResult(results, state.plan[at]!, value);
	return { ...state, results };
}
