// One add to IndexedDB after the other, each awaited until it is stored. All but the basket store a value without an index or a state,
// idb-keyval and localforage also without an order.
import { openDB } from "idb";
import { createStore, set } from "idb-keyval";
import localforage from "localforage";
import { Basket } from "upkeep";
import { indexedDBStore } from "upkeep/stores/indexeddb";
import { QueueStore } from "workbox-background-sync/QueueStore.mjs";
import { time, type TimedCase } from "../measure.ts";

type Durability = "strict" | "relaxed";

const message = { to: "somebody@example.com", text: "hello" };

await time({
	"idb by hand, strict": added(() => byHand("strict")),
	"Basket, indexedDBStore, strict": added(() => basket("strict")),
	"idb by hand, relaxed": added(() => byHand("relaxed")),
	"Basket, indexedDBStore, relaxed": added(() => basket("relaxed")),
	"workbox QueueStore, relaxed": added(() => {
		const store = new QueueStore<typeof message>("workbox");
		return () => store.pushEntry({ requestData: { url: "/" }, metadata: message });
	}),
	"idb-keyval, relaxed": added(() => {
		const store = createStore("keyval", "tasks");
		let key = 0;
		return () => set(key++, message, store);
	}),
	"localforage, relaxed": added(() => {
		let key = 0;
		return () => localforage.setItem(String(key++), message);
	}),
});

function added(make: () => (() => Promise<unknown>) | Promise<() => Promise<unknown>>): TimedCase {
	return {
		setUp: async () => {
			const add = await make();
			return async (count) => {
				for (let i = 0; i < count; i++) await add();
			};
		},
	};
}

async function byHand(durability: Durability): Promise<() => Promise<unknown>> {
	const db = await openDB("by-hand", 1, {
		upgrade: (db) => void db.createObjectStore("tasks", { autoIncrement: true }),
	});
	return () => {
		const tx = db.transaction("tasks", "readwrite", { durability });
		return Promise.all([tx.store.add(message), tx.done]);
	};
}

async function basket(durability: Durability): Promise<() => Promise<unknown>> {
	const store = indexedDBStore("basket", { durability });
	const basket = new Basket({ store, tasks: { send: (_message: typeof message) => {} } });
	await basket.open();
	return () => basket.add("send", message);
}
