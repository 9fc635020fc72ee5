// A page with a full quota. It adds tasks until none fits any more, and then runs them.
import { Basket, type Store, type StoreError } from "../../mod.ts";
import { indexedDBStore } from "../../src/stores/indexeddb/indexeddb.ts";

let added = 0;
let delivered = 0;
const errors: string[] = [];
/** The calls of the store, for the message of a failure. */
const calls: string[] = [];
const basket = new Basket({
	store: noted(indexedDBStore("quota")),
	tasks: { note: { run: (_: string) => void delivered++ } },
	onError: (error) => errors.push(String(error)),
});

const quota = {
	/** Adds tasks of the given size in bytes until an add fails. Returns the number of tasks and the error. */
	async fill(size: number): Promise<{ added: number; code: string; message: string }> {
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
	/** Returns the last calls of the store, and what has come of them. */
	async diary(): Promise<string> {
		const { usage = NaN } = await navigator.storage.estimate();
		return [...calls.slice(-20), `${added} added, ${delivered} delivered, ${usage} bytes used`].join("\n");
	},
};

/** Returns the store, which notes in the diary how long each call takes, and its error. */
function noted<S extends Store<IDBTransaction>>(store: S): S {
	return new Proxy(store, {
		get(target, name) {
			const member: unknown = Reflect.get(target, name, target);
			if (typeof member !== "function") return member;
			return (...args: unknown[]) => {
				const start = performance.now();
				const note = (end: string): void => {
					const duration = performance.now() - start;
					calls.push(`at ${Math.round(start)} ms, for ${Math.round(duration)} ms: ${String(name)}()${end}`);
				};
				const returned: unknown = member.apply(target, args);
				if (returned instanceof Promise) returned.then(() => note(""), (error) => note(`: ${error}`));
				return returned;
			};
		},
	});
}

/** Returns text that hardly compresses. */
function noise(size: number): string {
	const bytes = crypto.getRandomValues(new Uint8Array(size));
	return Array.from(bytes, (byte) => String.fromCharCode(48 + byte % 75)).join("").replaceAll("\\", "/");
}

Object.assign(globalThis, { quota });

export type Quota = typeof quota;
