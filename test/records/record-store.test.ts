import { expect, test } from "vitest";
import { textOf } from "../../src/records/key-text.ts";
import { type Key, overMap, PlainStore, recordStore, type Table } from "../../src/records/records.ts";
import { testRecordSpace, testStore, VirtualClock } from "../../src/testing/testing.ts";
import { errorOf } from "../support.ts";
import { MemoryMap } from "./memory-map.ts";
import { Changes, OptimisticMap } from "./optimistic-map.ts";

testStore("recordStore() over a map", async () => {
	const clock = new VirtualClock();
	const store = recordStore(overMap(new MemoryMap(clock)));
	return { store, advance: (duration) => clock.advance(duration), close: () => {} };
}, { test, without: ["tx", "shared"] });

// PlainStore is the part of the store that pages load; see the store on IndexedDB.
testStore("PlainStore over a map", async () => {
	const clock = new VirtualClock();
	const map = new MemoryMap(clock);
	const space = overMap(map);
	let stores = 0;
	space.mark = () => `store${++stores}`;
	const { transact } = space;
	space.transact = async (basket, work, options) => {
		if (options.tx !== undefined) throw new TypeError("There are no transactions");
		const clear = ({ name }: Table, prefix: Key) => {
			const start = `${textOf([basket])}${name}!${textOf(prefix)}`;
			for (const [key] of map.list({ start, end: `${start}~` })) map.delete(key);
		};
		return await transact(basket, (tx) => work(Object.assign(tx, { clear })), options);
	};
	return { store: new PlainStore(space), advance: (duration) => clock.advance(duration), close: () => {} };
}, { test, without: ["tx", "shared"] });

testStore("recordStore() over an optimistic map", async () => {
	const clock = new VirtualClock();
	const map = new OptimisticMap(clock);
	return {
		store: recordStore(overMap(map)),
		another: async () => recordStore(overMap(map)),
		async transaction(work: (tx: Changes) => Promise<unknown>) {
			const tx = new Changes();
			await work(tx);
			if (!tx.commit()) throw new Error("not committed");
		},
		advance: (duration) => clock.advance(duration),
		close: () => {},
	};
}, { test });

testRecordSpace(
	"overMap() over a map",
	async () => ({ space: overMap(new MemoryMap(new VirtualClock())), close() {} }),
	{ test },
);

testRecordSpace("overMap() over an optimistic map", async () => {
	return { space: overMap(new OptimisticMap(new VirtualClock())), close() {} };
}, { test });

/** A map that copies each value, like a database. */
class CopyingMap extends MemoryMap {
	override get(keys: readonly string[]): unknown[] {
		return super.get(keys).map((value) => structuredClone(value));
	}
}

test("Store.save() adds what a claim says a second time to what it has said first", async () => {
	const store = recordStore(overMap(new CopyingMap(new VirtualClock())));
	await store.open();
	await store.add("b", [{ id: "a", kind: "k", payload: "1", delay: 0, priority: 0 }]);
	const { claims: [ref] } = await store.turn("b", { settle: [], claim: [{ kinds: ["k"], limit: 1 }], lease: 9 });
	expect(await store.save("b", [{ ref: ref!, payload: "2" }, { ref: ref!, progress: "half" }])).toEqual([true, true]);
	expect(await store.get("b", "a")).toMatchObject({ payload: "2", progress: "half" });
});

test("Store.turn() ends a claim once: of two outcomes the second is lost", async () => {
	const store = recordStore(overMap(new CopyingMap(new VirtualClock())));
	await store.open();
	await store.add("b", [{ id: "a", kind: "k", payload: "1", delay: 0, priority: 0 }]);
	const { claims: [ref] } = await store.turn("b", { settle: [], claim: [{ kinds: ["k"], limit: 1 }], lease: 9 });
	const settle = [
		{ ref: ref!, outcome: { type: "retry", delay: 5, attempts: 1, error: "first" } },
		{ ref: ref!, outcome: { type: "done" } },
	] as const;
	expect((await store.turn("b", { settle, claim: [], lease: 9 })).settled).toEqual([true, false]);
	expect((await store.get("b", "a"))?.error).toBe("first");
});

/** Counts its commits that write. */
class CountingMap extends OptimisticMap {
	commits = 0;
	override commit(draft: Parameters<OptimisticMap["commit"]>[0]): boolean {
		if (draft.written.size > 0) this.commits++;
		return super.commit(draft);
	}
}

/** Each transaction reads a key once. A read of due tasks waits for what others do meanwhile. */
class CachingMap extends OptimisticMap {
	meanwhile: (() => Promise<unknown>) | undefined;

	override transaction: OptimisticMap["transaction"] = (work, options) => {
		return super.transaction((map, attempt) => {
			const read = new Map<string, unknown>();
			const { get, list } = map;
			map.get = async (keys) => {
				const others = keys.filter((key) => !read.has(key));
				(await get.call(map, others)).forEach((value, index) => read.set(others[index]!, value));
				return keys.map((key) => read.get(key));
			};
			map.list = async (range) => {
				const { meanwhile } = this;
				if (meanwhile !== undefined && range.start.includes(".due!")) {
					this.meanwhile = undefined;
					await meanwhile();
				}
				return await list.call(map, range);
			};
			return work(map, attempt);
		}, options);
	};
}

test("Store.turn() keeps the index keys of a task that another process puts back meanwhile", async () => {
	const clock = new VirtualClock();
	const map = new CachingMap(clock);
	const [slow, other] = [recordStore(overMap(map)), recordStore(overMap(map))];
	await slow.open();
	await slow.add("b", [{ id: "a", kind: "k", payload: "1", delay: 0, priority: 0 }]);
	const claim = [{ kinds: ["k"], limit: 1 }];
	const { claims: [lost] } = await slow.turn("b", { settle: [], claim, lease: 9 });
	await clock.advance(10);
	const { claims: [ref] } = await other.turn("b", { settle: [], claim, lease: 9 });
	// The turn has read the row, as the claim of the other process, before it reads the due tasks.
	const outcome = { type: "retry", delay: 5, attempts: 1, error: "again" } as const;
	map.meanwhile = () => other.turn("b", { settle: [{ ref: ref!, outcome }], claim: [], lease: 9 });
	await slow.turn("b", { settle: [{ ref: lost!, outcome: { type: "done" } }], claim, lease: 9 });
	await clock.advance(5);
	expect((await other.turn("b", { settle: [], claim, lease: 9 })).claims.map(({ id }) => id)).toEqual(["a"]);
});

/** It fails when so many commits that write are done. */
class BreakingMap extends CountingMap {
	left = Infinity;
	override commit(draft: Parameters<OptimisticMap["commit"]>[0]): boolean {
		if (draft.written.size > 0 && this.left-- <= 0) throw new Error("broken");
		return super.commit(draft);
	}
}

test("Store.turn() ends the tasks of a run in order, so that its process may die in between", async () => {
	const map = new BreakingMap(new VirtualClock());
	const store = recordStore(overMap(map));
	await store.open();
	const ids = ["a", "b", "c", "d", "e", "f"];
	await store.add("b", ids.map((id) => ({ id, kind: "k", payload: "1", delay: 0, priority: 0, lane: "l" })));
	const runs = [{ kind: "k", most: 4 }];
	const { claims } = await store.turn("b", { settle: [], claim: [{ kinds: ["k"], limit: 1 }], lease: 9, runs });
	expect(claims.map(({ id }) => id)).toEqual(["a", "b", "c", "d"]);
	const settle = claims.map((ref) => ({ ref, outcome: { type: "done" } as const })).reverse();
	map.left = 1;
	await expect(store.turn("b", { settle, claim: [], lease: 9 })).rejects.toThrow("broken");
	map.left = Infinity;
	const left = (await store.list("b", { limit: 9 })).map(({ id }) => id);
	expect([left.length < 6, left]).toEqual([true, ids.slice(-left.length)]);
});

test("Store.turn() gives the tasks of a run back one commit after the other, and loses no claim by that", async () => {
	const map = new CountingMap(new VirtualClock());
	const store = recordStore(overMap(map));
	await store.open();
	const ids = ["a", "b", "c", "d"];
	await store.add("b", ids.map((id) => ({ id, kind: "k", payload: "1", delay: 0, priority: 0, lane: "l" })));
	const runs = [{ kind: "k", most: 4 }];
	const { claims } = await store.turn("b", { settle: [], claim: [{ kinds: ["k"], limit: 1 }], lease: 9, runs });
	const settle = claims.map((ref) => ({ ref, outcome: { type: "release" } as const }));
	map.commits = 0;
	const { settled } = await store.turn("b", { settle, claim: [], lease: 9 });
	expect([settled, map.commits > 1]).toEqual([[true, true, true, true], true]);
});

// One commit takes nine tasks without a lane.
test.each([[4, 4, 1], [4, 5, 1], [9, 9, 2], [10, 10, 3], [0, 10, 2], [10, 0, 2]])(
	"Store.turn() fills its commits: %i settlements and %i claims take %i",
	async (ended, wanted, commits) => {
		const map = new CountingMap(new VirtualClock());
		const store = recordStore(overMap(map));
		await store.open();
		const add = async (count: number) => {
			for (let n = 0; n < count; n++) await store.add("b", [{ kind: "k", payload: "1", delay: 0, priority: 0 }]);
		};
		await add(ended);
		const claim = (limit: number) => limit === 0 ? [] : [{ kinds: ["k"], limit }];
		const { claims } = await store.turn("b", { settle: [], claim: claim(ended), lease: 9 });
		await add(wanted);
		map.commits = 0;
		const settle = claims.map((ref) => ({ ref, outcome: { type: "done" } as const }));
		const result = await store.turn("b", { settle, claim: claim(wanted), lease: 9 });
		expect([result.settled, result.claims.length]).toEqual([claims.map(() => true), wanted]);
		expect(map.commits).toBe(commits);
	},
);

test("Store.turn() claims fewer tasks when an error of another build says that no space is left", async () => {
	const space = overMap(new MemoryMap(new VirtualClock()));
	const { transact } = space;
	let most = Infinity;
	space.transact = (basket, work, options) =>
		transact(basket, function* (tx) {
			let written = 0;
			const put: typeof tx.put = (...given) => {
				if (++written > most) throw Object.assign(new Error("full"), { name: "StoreError", code: "full" });
				tx.put(...given);
			};
			return yield* work(new Proxy(tx, { get: (_, name) => name === "put" ? put : bound(tx, name) }));
		}, options);
	const store = recordStore(space);
	await store.open();
	const tasks = Array.from({ length: 8 }, () => ({ kind: "k", payload: "1", delay: 0, priority: 0 }));
	await store.add("b", tasks);
	most = 2;
	const turn = { settle: [], claim: [{ kinds: ["k"], limit: 8 }], lease: 9 };
	const { claims } = await store.turn("b", turn);
	expect(claims.length).toBe(2);
	// What is settled must be known, though nothing can be claimed.
	most = 0;
	const settle = claims.map((ref) => ({ ref, outcome: { type: "done" } as const }));
	expect(await store.turn("b", { ...turn, settle })).toEqual({ settled: [true, true], claims: [], dueIn: 0 });
	expect(await errorOf(store.turn("b", turn))).toMatchObject({ code: "full" });
	most = Infinity;
	expect((await store.turn("b", turn)).claims.length).toBe(6);
});

function bound(target: object, name: string | symbol): unknown {
	const value = Reflect.get(target, name);
	return typeof value === "function" ? value.bind(target) : value;
}
