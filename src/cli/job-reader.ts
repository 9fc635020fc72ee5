/**
 * Reads jobs for the command line, which knows no definitions.
 *
 * @module
 */

import type { Data, Store, StoredTask } from "../basket/store.ts";
import { jsonCodec } from "../basket/engine.ts";
import { decodeHead } from "../job/decode.ts";
import { readEntries, replay } from "../job/log.ts";
import type { JobCheckpoint, JobHead } from "../job/state.ts";
import { wholeJob } from "../job/stored.ts";

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
		return await this.#read(task, 0);
	}

	/** Likewise, without its results: reading them would take long if there are many. */
	async position(task: StoredTask): Promise<JobHead | undefined> {
		return await this.#read(task, undefined);
	}

	async #read({ id, payload }: StoredTask, from: number | undefined): Promise<JobCheckpoint | undefined> {
		const head = await headOf(payload);
		if (head === undefined) return undefined;
		const after = from ?? head.logged;
		const readLog = async (read: Parameters<Store["log"]>[1][number]) =>
			(await this.#store.log(this.#basket, [read]))[0];
		const entries = await readEntries(readLog, { id, after }) ?? [];
		try {
			return wholeJob(await replay(jsonCodec, undefined, head, entries, after));
		} catch {
			return undefined;
		}
	}
}

/** The head of a job, if the payload is one. */
export async function headOf(data: Data): Promise<JobHead | undefined> {
	if (typeof data !== "string" || !data.startsWith("{")) return undefined;
	return await decodeHead(jsonCodec, data).catch(() => undefined);
}
