/**
 * Some space that is kept for the time when there is none: what waits can be worked off then, which makes space again.
 *
 * A browser whose quota or disk is full refuses each write, however small, but lets go of what is deleted. Chromium needs
 * some megabytes of it before it clears away what was deleted besides.
 *
 * @module
 */

import { result } from "./request.ts";
import { metaName } from "./schema.ts";

const key = "reserve";

/** In bytes. */
const size = 4_194_304;

/** A store that has added so many bytes keeps a reserve: a page with a handful of tasks needs none. */
const worthwhile = 1_048_576;

/** States: none, or unknown → (grown, once enough was added) → kept → (free) → none. */
export class Reserve {
	/** How much was added since there is none. */
	#added = 0;

	/** Notes what was added. Whether a reserve should be kept from now on. */
	grown(bytes: number): boolean {
		const wasSmall = this.#added < worthwhile;
		this.#added += bytes;
		return wasSmall && this.#added >= worthwhile;
	}

	/** Keeps a reserve, if there is none yet. */
	async keep(transaction: IDBTransaction): Promise<void> {
		const meta = transaction.objectStore(metaName);
		if (await result(meta.getKey(key)) !== undefined) return;
		const bytes = new Uint8Array(size);
		// Random ones, since others would be compressed.
		for (let from = 0; from < size; from += 65_536) crypto.getRandomValues(bytes.subarray(from, from + 65_536));
		meta.put(bytes, key);
	}

	/** Gives the reserve back. Whether there was one. */
	async free(transaction: IDBTransaction): Promise<boolean> {
		const meta = transaction.objectStore(metaName);
		this.#added = 0;
		const isThere = await result(meta.getKey(key)) !== undefined;
		if (isThere) meta.delete(key);
		return isThere;
	}
}
