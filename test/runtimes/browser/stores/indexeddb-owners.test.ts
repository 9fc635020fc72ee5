// Takeover of the tasks of a closed store. The time stands still, so that no lease ends.
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Basket } from "../../../../mod.ts";
import { indexedDBStore } from "../../../../src/stores/indexeddb/indexeddb.ts";
import type { Store } from "../../../../src/basket/store.ts";
import { VirtualClock } from "../../../../src/testing/virtual-clock.ts";
import { replace } from "../../../browser/browser-fakes.ts";
import type { ClaimerRequest } from "../../../fixtures/claimer.ts";

const now = Date.now();
const { locks } = navigator;
let count = 0;

type IndexedDBStore = Store<IDBTransaction>;

/** A database with stores and workers that claim from it. */
class Origin {
	readonly name: string = `upkeep-owners-${now}-${++count}`;

	constructor() {
		onTestFinished(() => void indexedDB.deleteDatabase(this.name));
	}

	async open(): Promise<IndexedDBStore> {
		const store = indexedDBStore(this.name, { clock: new VirtualClock({ now }) });
		onTestFinished(() => store.close!());
		await store.open();
		return store;
	}

	/** Starts a worker that claims tasks. */
	async worker(limit: number): Promise<{ worker: Worker; told: unknown[] }> {
		const worker = new Worker(new URL("../../../fixtures/claimer.ts", import.meta.url), { type: "module" });
		onTestFinished(() => worker.terminate());
		const told: unknown[] = [];
		worker.onmessage = ({ data }) => told.push(data);
		worker.postMessage({ name: this.name, now, limit } satisfies ClaimerRequest);
		await vi.waitFor(() => expect(told).toHaveLength(1), 10_000);
		return { worker, told };
	}

	/** Resolves when the given numbers of locks are held and pending. */
	async locks(held: number, pending: number): Promise<void> {
		const own = (list: LockInfo[] = []) => list.filter(({ name }) => name!.startsWith(`upkeep:${this.name}:`)).length;
		await vi.waitFor(async () => {
			const all = await locks.query();
			expect([own(all.held), own(all.pending)]).toEqual([held, pending]);
		}, 5_000);
	}
}

async function add(store: IndexedDBStore, ...ids: string[]): Promise<void> {
	await store.add("b", ids.map((id) => ({ id, kind: "k", payload: "p", delay: 0, priority: 0 })));
}

/** Claims all available tasks. */
async function claim(store: IndexedDBStore, limit = 10): Promise<unknown[]> {
	const { claims } = await store.turn("b", { settle: [], claim: [{ kinds: ["k"], limit }], lease: 30_000 });
	return claims.map(({ id, crashes }) => ({ id, crashes }));
}

/** Counts the wake-ups of a store. */
function watch(store: IndexedDBStore): { woken: number; stop: () => void } {
	const watching = { woken: 0, stop: () => {} };
	watching.stop = store.watch!("b", () => watching.woken++, (error) => expect.unreachable(String(error)));
	return watching;
}

async function expectWoken(watching: { woken: number }): Promise<void> {
	await vi.waitFor(() => expect(watching.woken).toBeGreaterThan(0), 5_000);
}

function leavePage(): void {
	dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
}

function returnToPage(): void {
	dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
}

describe("indexedDBStore() takes over at once what was claimed by a worker", () => {
	test("that is terminated, and not before, nor what others have claimed who live", async () => {
		const origin = new Origin();
		const [store, neighbour] = [await origin.open(), await origin.open()];
		await add(store, "neighbour", "worker");
		await claim(neighbour, 1);
		const { worker, told } = await origin.worker(1);
		expect(told).toEqual([[{ id: "worker", crashes: 0 }]]);
		const watching = watch(store);
		expect(await claim(store)).toEqual([]);
		await origin.locks(3, 3);
		expect(await claim(store)).toEqual([]);
		expect(watching.woken).toBe(0);
		worker.terminate();
		await expectWoken(watching);
		expect(await claim(store)).toEqual([{ id: "worker", crashes: 1 }]);
		await origin.locks(2, 1);
		watching.stop();
		await origin.locks(2, 0);
	});

	test("that has the only place at a gate for which another task waits", async () => {
		const origin = new Origin();
		const store = await origin.open();
		const task = { kind: "k", payload: "p", delay: 0, priority: 0, limitKey: "key" };
		await store.add("b", [{ ...task, id: "worker" }, { ...task, id: "waits" }]);
		const { worker, told } = await origin.worker(1);
		expect(told).toEqual([[{ id: "worker", crashes: 0 }]]);
		const limits = [{ kind: "k", atOnce: 1, spacing: 0, burst: 1 }];
		const turn = () => store.turn("b", { settle: [], claim: [{ kinds: ["k"], limit: 9 }], lease: 30_000, limits });
		const watching = watch(store);
		expect((await turn()).claims).toEqual([]);
		worker.terminate();
		await expectWoken(watching);
		expect((await turn()).claims).toMatchObject([{ id: "worker", crashes: 1 }]);
		watching.stop();
	});

	test("that was gone before", async () => {
		const origin = new Origin();
		const store = await origin.open();
		await add(store, "a");
		const { worker } = await origin.worker(1);
		worker.terminate();
		await origin.locks(0, 0);
		const watching = watch(store);
		expect(await claim(store)).toEqual([]);
		await expectWoken(watching);
		expect(await claim(store)).toEqual([{ id: "a", crashes: 1 }]);
	});

	test("that was gone before a drain() began, which does it", async () => {
		const origin = new Origin();
		const store = await origin.open();
		await store.add("b", [{ id: "a", kind: "k", payload: "1", delay: 0, priority: 0 }]);
		const { worker } = await origin.worker(1);
		worker.terminate();
		await origin.locks(0, 0);
		const done: string[] = [];
		await new Basket({ store, name: "b", tasks: { k: (_, { id }) => void done.push(id) } }).drain();
		expect(done).toEqual(["a"]);
	});

	test("that was gone before its kind was paused: once, and it waits for the end of the pause", async () => {
		const origin = new Origin();
		const store = await origin.open();
		await add(store, "a");
		const { worker } = await origin.worker(1);
		await store.pause("b", "k", true);
		await store.add("b", [{ id: "later", kind: "other", payload: "p", delay: 1_000, priority: 0 }]);
		worker.terminate();
		await origin.locks(0, 0);
		const watching = watch(store);
		const turn = () => store.turn("b", { settle: [], claim: [{ kinds: ["k", "other"], limit: 9 }], lease: 30_000 });
		for (let count = 0; count < 5; count++) {
			expect((await turn()).claims).toEqual([]);
			await new Promise((resolve) => setTimeout(resolve, 20)); // time for what follows a grant of the lock
		}
		expect((await turn()).dueIn).toBe(1_000);
		expect(watching.woken).toBeLessThanOrEqual(1);
		await store.pause("b", "k", false);
		expect(await claim(store)).toEqual([{ id: "a", crashes: 1 }]);
	});

	test("while somebody else who waited for that is frozen", async () => {
		const origin = new Origin();
		const store = await origin.open();
		await add(store, "a");
		const { worker } = await origin.worker(1);
		const { worker: frozen } = await origin.worker(0);
		await origin.locks(2, 1);
		frozen.postMessage("freeze");
		const watching = watch(store);
		await claim(store);
		await origin.locks(3, 2);
		worker.terminate();
		await expectWoken(watching);
		expect(await claim(store)).toEqual([{ id: "a", crashes: 1 }]);
	});
});

describe("indexedDBStore() in a page that is kept for its back button", () => {
	test("has no lock, and others take over", async () => {
		const origin = new Origin();
		const store = await origin.open();
		await add(store, "a");
		const { stop } = watch(store);
		expect(await claim(store)).toEqual([{ id: "a", crashes: 0 }]);
		const { told } = await origin.worker(0);
		await origin.locks(2, 1);
		leavePage();
		await vi.waitFor(() => expect(told.flat()).toContainEqual({ id: "a", crashes: 1 }), 5_000);
		await origin.locks(1, 0);
		returnToPage();
		await origin.locks(2, 0);
		stop();
	});

	test("keeps what it has claimed if it comes back before anybody has taken that", async () => {
		const origin = new Origin();
		const [store, other] = [await origin.open(), await origin.open()];
		await add(store, "a");
		const { stop } = watch(store);
		expect(await claim(store)).toEqual([{ id: "a", crashes: 0 }]);
		const before = await store.get("b", "a");
		leavePage();
		await origin.locks(0, 0);
		returnToPage();
		await origin.locks(1, 0);
		expect(await claim(store)).toEqual([]);
		watch(other);
		expect(await claim(other)).toEqual([]);
		await origin.locks(2, 1);
		expect(await store.get("b", "a")).toEqual(before);
		// The store is a normal owner again.
		stop();
		await store.close!();
		await origin.locks(1, 0);
		await vi.waitFor(async () => expect(await claim(other)).toEqual([{ id: "a", crashes: 1 }]), 5_000);
	});
});

describe("indexedDBStore() without Web Locks", () => {
	test.each(["absent", "refused"])("(%s) leaves its claims to their leases", async (how) => {
		const origin = new Origin();
		const [store, other] = [await origin.open(), await origin.open()];
		await add(store, "a");
		if (how === "absent") replace(navigator, "locks", undefined);
		else replace(locks, "request", () => Promise.reject(new DOMException("no", "SecurityError")));
		expect(await claim(store)).toEqual([{ id: "a", crashes: 0 }]);
		const watching = watch(other);
		expect(await claim(other)).toEqual([]);
		await origin.locks(0, 0);
		await store.close!();
		expect(await claim(other)).toEqual([]);
		expect(watching.woken).toBe(0);
	});
});
