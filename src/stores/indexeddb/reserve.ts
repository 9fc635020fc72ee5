/**
 * Some space that is kept for the time when there is none: what waits can be worked off then, which makes space again.
 *
 * A browser whose quota or disk is full refuses each write, however small, but lets go of what is deleted. Chromium needs
 * some megabytes of it before it clears away what was deleted besides.
 *
 * @module
 */

import { result } from "./request.ts";
import { indexedDBStoreNames, metaName } from "./schema.ts";
import { transact } from "./transact.ts";

const key = "reserve";

/** In bytes. */
const size = 4_194_304;

/** A store that has added so many bytes keeps a reserve: a page with a handful of tasks needs none. */
export const worthwhile = 1_048_576;

/** Keeps a reserve from now on, or gives it back; whether there was one. */
export async function reserve(database: IDBDatabase, isKept: boolean): Promise<boolean> {
	const transaction = database.transaction(indexedDBStoreNames, "readwrite");
	return await transact(transaction, async () => {
		const meta = transaction.objectStore(metaName);
		const isThere = await result(meta.getKey(key)) !== undefined;
		if (isThere && !isKept) meta.delete(key);
		if (isKept && !isThere) meta.put(makeNoise(), key);
		return isThere;
	});
}

/** Bytes that cannot be compressed. */
function makeNoise(): Uint8Array {
	const bytes = new Uint8Array(size);
	for (let from = 0; from < size; from += 65_536) crypto.getRandomValues(bytes.subarray(from, from + 65_536));
	return bytes;
}
