/**
 * Reads jobs for the command line, which knows no definitions.
 *
 * @module
 */

import type { Data, LogEntry, LogRead, Store, StoredTask } from "../basket/store.ts";
import { jsonCodec } from "../basket/engine.ts";
import { decodeHead } from "../job/decode.ts";
import { readEntries, replay } from "../job/log.ts";
import type { JobCheckpoint, JobHead } from "../job/state.ts";
import { readJob, wholeJob } from "../job/stored.ts";

/** Reads the jobs of a basket. */
export class JobReader {
	readonly #store: Store;
	readonly #basket: string;

	constructor(store: Store, basket: string) {
		this.#store = store;
		this.#basket = basket;
	}

	/** The job with its results; `undefined` if the task is none, or cannot be read. */
	async whole(task: StoredTask): Promise<JobCheckpoint | undefined> {
		if (await headOf(task.payload) === undefined) return undefined;
		const found = { record: task, entries: await this.#entries(task, 0) };
		return await readJob(jsonCodec, undefined, found).catch(() => undefined);
	}

	/**
	 * Its state without results: reading them would take long if there are many. If its log does not fit, as when the job has
	 * gone on meanwhile, its place is that of the head, but what is logged counts: it must not pass for a job that has not begun.
	 */
	async position(task: StoredTask): Promise<JobHead | undefined> {
		const head = await headOf(task.payload);
		if (head === undefined) return undefined;
		const entries = await this.#entries(task, head.logged);
		const replayed = replay(jsonCodec, undefined, head, entries, head.logged);
		return await replayed.then(wholeJob, () => ({ ...head, logged: head.logged + entries.length }));
	}

	/** Whether it is a child that has ended, and whose parent has not: that may have to read or to revert it. */
	async isNeeded({ state, parent }: StoredTask): Promise<boolean> {
		if (parent === undefined || state !== "done") return false;
		const task = await this.#store.get(this.#basket, parent);
		const head = task && await headOf(task.payload);
		return head !== undefined && head.status === undefined;
	}

	async #entries({ id }: StoredTask, after: number): Promise<readonly LogEntry[]> {
		const readLog = async (read: LogRead) => (await this.#store.log(this.#basket, [read]))[0];
		return await readEntries(readLog, { id, after }) ?? [];
	}
}

/** The head of a job, if the payload is one. */
export async function headOf(data: Data): Promise<JobHead | undefined> {
	if (typeof data !== "string" || !data.startsWith("{")) return undefined;
	return await decodeHead(jsonCodec, data).catch(() => undefined);
}
