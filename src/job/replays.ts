/**
 * The results of jobs that wait, as they were read from their logs: otherwise, a job that waits after each step would read
 * all results again each time.
 *
 * @module
 */

import type { LogEntry } from "../basket/store.ts";
import type { JobResults } from "./state.ts";

/** What a process knows of the log of a job. */
export interface Replay {
	/** See `JobHead`. */
	readonly uid: string;
	/** The number of entries that it includes. */
	readonly logged: number;
	readonly results: JobResults;
	/** The entries of a durable function: each pass decodes them anew, because its body may change what it gets. */
	readonly entries?: readonly LogEntry[] | undefined;
	/** About how many bytes the entries have. */
	readonly size: number;
}

/** The maximum size of all together, in bytes. The oldest ones are forgotten first. */
const mostKept = 16_777_216;

/** About how many bytes a job takes besides its entries. */
const overhead = 512;

export class Replays {
	readonly #byId = new Map<string, Replay>();
	#size = 0;

	put(id: string, replay: Replay): void {
		this.take(id);
		if (replay.size === 0 || replay.size + overhead > mostKept) return;
		this.#byId.set(id, replay);
		this.#size += replay.size + overhead;
		for (const oldest of this.#byId.keys()) {
			if (this.#size <= mostKept) return;
			this.take(oldest);
		}
	}

	/** Removes and returns what is known of a job. */
	take(id: string): Replay | undefined {
		const replay = this.#byId.get(id);
		if (replay === undefined) return undefined;
		this.#byId.delete(id);
		this.#size -= replay.size + overhead;
		return replay;
	}
}
