/**
 * Reserved space for a full disk: when it is released, waiting tasks can be processed, which frees more space.
 *
 * A browser with a full quota or disk refuses every write, but allows deletions. Chromium needs some free megabytes
 * before it reclaims other deleted data.
 *
 * @module
 */

import { result } from "./request.ts";
import { indexedDBStoreNames, metaName } from "./schema.ts";
import { transact } from "./transact.ts";

const key = "reserve";

/** The size in bytes. */
const size = 4_194_304;

/** A store that has added this many bytes keeps a reserve; a page with a few tasks needs none. */
export const worthwhile = 1_048_576;

/** Creates or releases the reserve. Returns whether there was one. */
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
