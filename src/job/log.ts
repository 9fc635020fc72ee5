/**
 * The log of a job: an entry for each step that is done or reverted.
 *
 * @module
 */

import { type Codec, cut, isThenable } from "../basket/engine.ts";
import { type Data, type LogEntry, type LogPart, type LogRead, mostAppended } from "../basket/store.ts";
import { decodeEntry } from "./decode.ts";
import { keepResult, keepSteps, openBranches } from "./groups.ts";
import { decodeRecord, followRecord } from "./flow-log.ts";
import type { FlowRecord, JobEntry, JobHead, JobResults, PreparedJob } from "./state.ts";
import { follow } from "./transitions.ts";

/** Reads logs of a basket, see {@link Store.log}. */
export type ReadLog = (read: LogRead) => Promise<readonly LogEntry[] | undefined>;

/** The number of entries that are read at once. */
const pageSize = 1_000;

/**
 * Entries with a size up to this together may wait for the next commit, in bytes: so that what is appended at once is hardly
 * larger than one payload may be.
 */
const mostWaiting = 8_192;

/** Reads all entries behind the first ones. `undefined` if the job is not there, or the claim is lost. */
export async function readEntries(
	readLog: ReadLog,
	read: Omit<LogRead, "limit">,
): Promise<readonly LogEntry[] | undefined> {
	const found: LogEntry[] = [];
	for (let { after } = read;; after = found.at(-1)!.n) {
		const page = await readLog({ ...read, after, limit: pageSize });
		if (page === undefined) return undefined;
		for (const entry of page) found.push(entry);
		if (page.length < pageSize) return found;
	}
}

/** The state of a job, and the results by the index of their steps. */
export interface Replayed<S> {
	readonly state: S;
	readonly results: ReadonlyMap<number, unknown>;
	/** The entries, if it is a durable function. */
	readonly records: FlowRecord[];
}

/**
 * Continues a head with the entries of its log.
 *
 * @param job the definition; `undefined` if it is not known here
 * @param entries those behind the first `known` ones
 * @param logged how many there must be with these
 * @returns the state, and the results in these entries
 * @throws {Error} (as a rejection) for an entry that no run of this job could have appended here
 */
export async function replay<S extends JobHead>(
	codec: Codec,
	job: PreparedJob | undefined,
	head: S,
	entries: readonly LogEntry[],
	known = 0,
	logged: number = head.logged,
): Promise<Replayed<S>> {
	const results = new Map<number, unknown>();
	const records: FlowRecord[] = [];
	let state = head;
	for (const [index, { n, data }] of entries.entries()) {
		const number = known + index + 1;
		try {
			if (n !== number) throw new TypeError(`the next one has the number ${n}`);
			if (head.pending !== undefined) {
				const decoded = decodeRecord(codec, data);
				const record = isThenable(decoded) ? await decoded : decoded;
				checkOwner(record, head);
				if (n > head.logged) state = followRecord(state, record);
				// The others keep their places.
				records.push(head.ignored?.includes(n) ? {} : record);
				continue;
			}
			const entry = await decodeEntry(codec, data, head);
			checkOwner(entry, head);
			if (n > head.logged) {
				checkPlace(state, entry);
				// The definition decides only what comes next: an earlier one may have had other reverts.
				state = follow(index === entries.length - 1 ? job : undefined, state, entry);
			}
			if (!entry.isRevert) results.set(entry.at, entry.value);
		} catch (error) {
			throw new TypeError(`The log of the job cannot be read from its entry ${number} on: ${textOf(error)}`);
		}
	}
	const count = known + entries.length;
	if (count < logged) throw new TypeError(`The log of the job lacks entries: it has ${count} of ${logged}`);
	return { state, results, records };
}

/** The results by the names of their steps. */
export function namedResults({ state: { plan }, results: found, records }: Replayed<JobHead>): JobResults {
	const results = {};
	keepSteps(results, plan, found);
	for (const { name, value, error, isRevert } of records) {
		if (name !== undefined && error === undefined && !isRevert) keepResult(results, name, value);
	}
	return results;
}

function checkOwner({ uid }: Pick<JobEntry, "uid">, head: JobHead): void {
	if (uid !== undefined && uid !== head.uid) throw new TypeError("it belongs to another job");
}

function checkPlace(state: JobHead, entry: JobEntry): void {
	const { at, isBackward, status, open = [] } = state;
	const branches = openBranches(state);
	const isNext = isBackward
		? entry.at < at && !open.includes(entry.at)
		: branches.length > 0
		? branches.includes(entry.at)
		: entry.at === at;
	if (status === undefined && isNext && isBackward === (entry.isRevert ?? false)) return;
	throw new TypeError(`it does not fit the place of the job (${isBackward ? "backward" : "forward"} at ${at})`);
}

function textOf(error: unknown): string {
	return cut(String((error as Partial<Error> | undefined)?.message), 200);
}

/** What a claim appends to the log of its job. */
export class JobAppender {
	/** The number of stored entries. */
	stored: number;
	#waiting: Data[] = [];
	#size = 0;

	constructor(stored: number) {
		this.stored = stored;
	}

	/** The entries that are not stored, to be appended with the next commit. */
	get part(): LogPart | undefined {
		return this.isEmpty ? undefined : { after: this.stored, entries: [...this.#waiting] };
	}

	get isEmpty(): boolean {
		return this.#waiting.length === 0;
	}

	/** Whether the entries must be stored before others are added. */
	get isFull(): boolean {
		return this.#waiting.length >= mostAppended || this.#size > mostWaiting;
	}

	add(data: Data): void {
		this.#waiting.push(data);
		this.#size += data.length;
	}

	/** This part is stored. */
	keep({ entries }: LogPart): void {
		this.#waiting.splice(0, entries.length);
		this.#size = this.#waiting.reduce((size, { length }) => size + length, 0);
		this.stored += entries.length;
	}
}
