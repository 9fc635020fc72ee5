/**
 * Reserved space for a full disk: when it is released, waiting tasks can be processed, which frees more space.
 *
 * A browser with a full quota or disk refuses every write, but allows deletions. Chromium needs some free megabytes
 * before it reclaims other deleted data.
 *
 * @module
 */

import { result } from "./request.ts";
import { metaName } from "./schema.ts";
import { transact } from "./transact.ts";

const key = "reserve";

/** The size in bytes. */
const size = 4_194_304;

/** A store that has added this many bytes keeps a reserve; a page with a few tasks needs none. */
export const worthwhile = 1_048_576;

/** How long it waits then, in milliseconds, so that the reserve does not slow down a burst of additions. */
export const pause = 1000;

/** A store that has added this many bytes does not wait. */
export const urgent = 8_388_608;

/** Creates or releases the reserve. Returns whether there was one. */
export async function reserve(database: IDBDatabase, isKept: boolean): Promise<boolean> {
	// Only over this object store, so that work on tasks does not wait for it.
	const transaction = database.transaction(metaName, "readwrite");
	return await transact(transaction, async () => {
		const meta = transaction.objectStore(metaName);
		const isThere = await result(meta.getKey(key)) !== undefined;
		if (isThere && !isKept) meta.delete(key);
		if (isKept && !isThere) meta.put(makeNoise(), key);
		return isThere;
	});
}

/** Bytes that browsers cannot compress: they compress blocks of at most this length, each by itself. */
function makeNoise(): Uint8Array {
	const block = crypto.getRandomValues(new Uint8Array(65_536));
	const bytes = new Uint8Array(size);
	for (let from = 0; from < size; from += block.length) bytes.set(block, from);
	return bytes;
}
