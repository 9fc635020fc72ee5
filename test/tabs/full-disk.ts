// A page with a full disk. It adds tasks until the disk is full, and then runs them.
import { Basket, type StoreError } from "../../mod.ts";
import { indexedDBStore } from "../../src/stores/indexeddb/indexeddb.ts";

const store = indexedDBStore("full-disk");
let delivered = 0;
const errors: string[] = [];
const basket = new Basket({
	store,
	tasks: { note: { run: (_: string) => void delivered++ } },
	onError: (error) => errors.push(String(error)),
});

const fullDisk = {
	/** Adds tasks of the given size in bytes until an add fails. Returns the number of tasks and the error. */
	async fill(size: number): Promise<{ added: number; code: string; message: string }> {
		let added = 0;
		for (let count = 20;;) {
			try {
				await basket.addMany(Array.from({ length: count }, () => ({ kind: "note" as const, payload: noise(size) })));
				added += count;
			} catch (error) {
				const { code = "", message } = error as StoreError;
				if (count === 1) return { added, code, message };
				count = 1;
			}
		}
	},
	/** Runs all tasks. */
	async drain(): Promise<{ delivered: number; errors: string[] }> {
		await basket.drain();
		return { delivered, errors };
	},
};

/** Returns text that hardly compresses. */
function noise(size: number): string {
	const bytes = crypto.getRandomValues(new Uint8Array(size));
	return Array.from(bytes, (byte) => String.fromCharCode(48 + byte % 75)).join("").replaceAll("\\", "/");
}

Object.assign(globalThis, { fullDisk });

export type FullDisk = typeof fullDisk;
