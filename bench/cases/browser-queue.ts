// The same as `queue`, but in a page with IndexedDB. The hand-written queue adds a task in one transaction and
// removes it in another before it runs. This is the least possible work, but a task is lost if the page closes
// meanwhile. The QueueStore of workbox has the same weakness and needs three transactions. It is the storage of a
// workbox Queue, which needs a service worker and creates a Request for each entry. The entries here are as small as
// possible.
import { deleteDB, type IDBPDatabase, openDB } from "idb";
import { Basket } from "upkeep";
import { indexedDBStore } from "upkeep/stores/indexeddb";
import { QueueStore } from "workbox-background-sync/QueueStore.mjs";
import { expect, parameters, type Round, timeRounds } from "../measure.ts";

type Task = (payload: number) => Promise<void>;

/** A new and empty queue that stores and runs tasks. */
interface Queue {
	process: (payloads: number[]) => Promise<void>;
	left: () => Promise<number>;
}

const cases: Record<string, (task: Task) => Promise<Queue>> = {
	"idb by hand, strict": (task) => byHand(task, "strict"),
	"Basket, indexedDBStore, strict": (task) => basket(task, "strict"),
	"idb by hand, relaxed": (task) => byHand(task, "relaxed"),
	"Basket, indexedDBStore, relaxed": (task) => basket(task, "relaxed"),
	"workbox QueueStore, relaxed": workbox,
};

const count = parameters().get("plan") === "quick" ? 500 : 2_000;
await timeRounds(count, setUp);

async function setUp(): Promise<Round> {
	let done = 0;
	let sum = 0;
	// The measured task is async, although it awaits nothing.
	// deno-lint-ignore require-await
	const queue = await cases[parameters().get("case")!]!(async (payload) => {
		done++;
		sum += payload;
	});
	const verify = async (): Promise<void> => {
		expect(await queue.left(), 0);
		expect(done, count);
		expect(sum, count * (count - 1) / 2);
	};
	return { work: () => queue.process(Array.from({ length: count }, (_, i) => i)), verify };
}

let names = 0;

async function basket(task: Task, durability: "strict" | "relaxed"): Promise<Queue> {
	const store = indexedDBStore(`basket-${names++}`, { durability });
	const basket = new Basket({ store, tasks: { task } });
	await basket.open();
	return {
		process: async (payloads) => {
			await basket.addMany(payloads.map((payload) => ({ kind: "task", payload })));
			await basket.drain();
		},
		left: async () => Object.values(await basket.counts()).reduce((sum, count) => sum + count),
	};
}

let database: IDBPDatabase | undefined;

async function byHand(task: Task, durability: "strict" | "relaxed"): Promise<Queue> {
	database?.close();
	await deleteDB("by-hand");
	const db: IDBPDatabase = database = await openDB("by-hand", 1, {
		upgrade: (db: IDBPDatabase) => void db.createObjectStore("tasks", { autoIncrement: true }),
	});
	const add = async (payload: number): Promise<void> => {
		const tx = db.transaction("tasks", "readwrite", { durability });
		await Promise.all([tx.store.add(payload), tx.done]);
	};
	const take = async (): Promise<number | undefined> => {
		const tx = db.transaction("tasks", "readwrite", { durability });
		const cursor = await tx.store.openCursor();
		await Promise.all([cursor?.delete(), tx.done]);
		return cursor?.value;
	};
	return {
		process: async (payloads) => {
			for (const payload of payloads) await add(payload);
			for (let payload; (payload = await take()) !== undefined;) await task(payload);
		},
		left: () => db.count("tasks"),
	};
}

// deno-lint-ignore require-await
async function workbox(task: Task): Promise<Queue> {
	const store = new QueueStore(`workbox-${names++}`);
	return {
		process: async (payloads) => {
			for (const metadata of payloads) await store.pushEntry({ requestData: { url: "/" }, metadata });
			for (let entry; (entry = await store.shiftEntry()) !== undefined;) await task(entry.metadata);
		},
		left: () => store.size(),
	};
}
