/**
 * Reads stored jobs.
 *
 * @module
 */

import type { TaskRecord } from "../basket/basket.ts";
import type { Codec } from "../basket/engine.ts";
import { type Data, fingerprint, type LogEntry } from "../basket/store.ts";
import { decodeHead } from "./decode.ts";
import { showFlow } from "./flow-log.ts";
import { namedResults, readEntries, type ReadLog, replay, type Replayed } from "./log.ts";
import type { JobCheckpoint, JobHead, PreparedJob } from "./state.ts";

/** A job that was found in the store, and its log. */
export interface FoundJob {
	readonly record: TaskRecord;
	readonly entries: readonly LogEntry[];
}

/** Reads the store. */
export interface JobSource {
	readonly codec: Codec;
	readonly readLog: ReadLog;
	/** Reads the task of a job again. */
	readonly readTask: (id: string) => Promise<TaskRecord | undefined>;
}

/** A job, and its state or the error because of which that cannot be read. */
export interface WholeJob {
	readonly record: TaskRecord;
	readonly state: JobCheckpoint | undefined;
	readonly error: unknown;
}

/** The number of times that a job is read until its head and its log fit. */
const mostReads = 10;

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
 * Reads the state of a job. Its head and its log are read one after the other: if they do not fit because the job has
 * changed between, both are read again.
 *
 * @param found what was read before
 * @returns `undefined` if the job has gone meanwhile
 */
export async function readWhole(
	{ codec, readLog, readTask }: JobSource,
	job: PreparedJob | undefined,
	found: FoundJob,
): Promise<WholeJob | undefined> {
	for (let reads = 1;; reads++) {
		const { record } = found;
		try {
			return { record, state: await readJob(codec, job, found), error: undefined };
		} catch (error) {
			const next = await readTask(record.id);
			if (next === undefined) return undefined;
			if (reads === mostReads || isSame(next, record)) return { record, state: undefined, error };
			found = await findLog(readLog, next);
		}
	}
}

function isSame(a: TaskRecord, b: TaskRecord): boolean {
	return a.key === b.key && fingerprint(a.payload as Data) === fingerprint(b.payload as Data);
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
	{ record, entries }: { readonly record: Pick<TaskRecord, "payload">; readonly entries: readonly LogEntry[] },
): Promise<JobCheckpoint> {
	const head = await decodeHead(codec, record.payload as Data);
	return wholeJob(await replay(codec, job, head, entries));
}

/** The state with its results, as readers see it. */
export function wholeJob(replayed: Replayed<JobHead>): JobCheckpoint {
	const { state, records } = replayed;
	const whole = { ...state, results: namedResults(replayed) };
	return state.pending === undefined ? whole : showFlow({ ...whole, records, value: records.at(-1)?.value });
}
