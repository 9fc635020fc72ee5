// Data of any length, lists, and pauses: in stores over maps.
import { describe, expect, test } from "vitest";
import type { Store } from "../../src/basket/store.ts";
import { overMap, PlainStore, type RecordSpace, recordStore } from "../../src/records/records.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { expectData, expectLists } from "./laws.ts";
import { MemoryMap } from "./memory-map.ts";
import { OptimisticMap } from "./optimistic-map.ts";

/** A map that counts the entries that it returns. */
class MeteredMap extends MemoryMap {
	read = 0;

	override get(keys: readonly string[]): unknown[] {
		this.read += keys.length;
		return super.get(keys);
	}

	override list(range: Parameters<MemoryMap["list"]>[0]) {
		const found = super.list(range);
		this.read += found.length;
		return found;
	}
}

/** Opens a store over a map. */
function openMap(make: (space: RecordSpace) => Store<never>, map: MeteredMap | OptimisticMap) {
	const space: RecordSpace = map instanceof MeteredMap ? overMap(map) : overMap(map) as never;
	let stores = 0;
	space.mark = () => `store${++stores}`;
	const entries = map instanceof MeteredMap ? map.entries : map.values;
	return { store: make(space), keys: () => entries.list("", "~", Infinity, false).map(([key]) => key) };
}

describe.each([
	["recordStore() over a map", (clock: VirtualClock) => openMap(recordStore, new MeteredMap(clock))],
	["PlainStore over a map", (clock: VirtualClock) => openMap((space) => new PlainStore(space), new MeteredMap(clock))],
	["recordStore() over an optimistic map", (clock: VirtualClock) => openMap(recordStore, new OptimisticMap(clock))],
])("%s", (_name, open) => {
	test("lists by lane and by prefix, whatever the names are made of", async () => {
		await expectLists(open(new VirtualClock()).store);
	});

	test("stores data of any length, and leaves nothing of it behind", async () => {
		const clock = new VirtualClock();
		const { store, keys } = open(clock);
		const leftovers = async () => keys().filter((key) => !key.startsWith("tlaws!meta!"));
		await expectData(store, 1000, (duration) => clock.advance(duration), leftovers);
	});

	test("pauses of several stores at once are all kept, and leave nothing behind", async () => {
		const { store, keys } = open(new VirtualClock());
		const kinds = Array.from({ length: 8 }, (_, index) => `kind ${index}`);
		for (const isPaused of [true, false]) {
			expect(await Promise.all(kinds.map((kind) => store.pause("b", kind, isPaused)))).toEqual(kinds.map(() => true));
			expect(await store.pauses("b")).toEqual({ all: false, kinds: isPaused ? kinds : [] });
			expect(await store.list("b", { limit: 9 })).toEqual([]);
			expect((await store.counts("b")).done).toBe(0);
		}
		expect(keys()).toEqual([]);
	});
});

test("Store.list() of a lane or a prefix reads no other tasks, and of the end only the last ones", async () => {
	const map = new MeteredMap(new VirtualClock());
	const { store } = openMap(recordStore, map);
	const task = (id: string, lane?: string) => ({ id, kind: "k", payload: "", delay: 0, priority: 0, lane });
	const many = Array.from({ length: 1000 }, (_, index) => `${index}`);
	await store.add("b", many.map((id) => task(id, Number(id) % 100 === 0 ? "rare" : "often")));
	await store.add("b", ["a:1", "a:2"].map((id) => task(id)));
	for (const query of [{ lane: "rare" }, { prefix: "a:" }, {}, { lane: "often" }]) {
		for (const isReverse of [true, false]) {
			map.read = 0;
			const found = await store.list("b", { ...query, isReverse, limit: 5 });
			expect([query, found.length, map.read < 20]).toEqual([query, query.prefix === undefined ? 5 : 2, true]);
		}
	}
});

test("Store.turn() makes a task dead whose waiting payload is gone or damaged, and lets its lane go on", async () => {
	for (const damage of [undefined, { data: 5 }, "text"]) {
		const map = new MeteredMap(new VirtualClock());
		const { store } = openMap(recordStore, map);
		const task = { id: "a", kind: "k", payload: "1", delay: 0, priority: 0, lane: "l" };
		await store.add("b", [task, { ...task, id: "next" }]);
		const turn = { settle: [], claim: [{ kinds: ["k"], limit: 9 }], lease: 9 };
		const { claims: [ref] } = await store.turn("b", turn);
		await store.add("b", [{ ...task, payload: "2".repeat(2000), ifPresent: "replace" }]);
		const [key] = map.entries.list("tb!spare!", "tb!spare!~", 9, false)[0]!;
		if (damage === undefined) map.entries.delete(key);
		else map.entries.set(key, damage);
		await store.turn("b", { ...turn, settle: [{ ref: ref!, outcome: { type: "done" } }], claim: [] });
		expect(await store.get("b", "a")).toMatchObject({ state: "dead", error: "The stored task could not be read" });
		await store.turn("b", turn);
		expect((await store.turn("b", turn)).claims.map(({ id }) => id)).toEqual(["next"]);
		await store.delete("b", ["a", "next"]);
		expect(map.entries.list("tb!t", "tb!~", 9, false)).toEqual([]);
	}
});

test("Store.get() shows a task as dead whose long result is gone", async () => {
	const map = new MeteredMap(new VirtualClock());
	const { store } = openMap(recordStore, map);
	await store.add("b", [{ id: "a", kind: "k", payload: "1", delay: 0, priority: 0 }]);
	const turn = { settle: [], claim: [{ kinds: ["k"], limit: 9 }], lease: 9 };
	const { claims: [ref] } = await store.turn("b", turn);
	const outcome = { type: "done", retain: Infinity, result: "x".repeat(2000) } as const;
	await store.turn("b", { ...turn, settle: [{ ref: ref!, outcome }] });
	expect((await store.get("b", "a"))?.result).toBe(outcome.result);
	map.entries.delete(map.entries.list("tb!spare!", "tb!spare!~", 9, false)[0]![0]);
	const dead = { state: "dead", error: "The stored task could not be read" };
	expect(await store.get("b", "a")).toMatchObject(dead);
	expect(await store.list("b", { limit: 9 })).toMatchObject([dead]);
});

test("Store.turn() heeds pauses only where they are stored, and no damaged ones", async () => {
	const map = new MeteredMap(new VirtualClock({ now: 1_000 }));
	const { store } = openMap(recordStore, map);
	const task = { id: "a", kind: "k", payload: "1", delay: 0, priority: 0 };
	const turn = { settle: [], claim: [{ kinds: ["k"], limit: 1 }], lease: 9 };
	const claim = async () => (await store.turn("b", turn)).claims.map(({ id }) => id);
	await store.pause("b", "k", true);
	const [[place, row]] = map.entries.list("tb!task!", "tb!task!~", 1, false) as [readonly [string, object]];
	for (const paused of [true, "k", { k: 1 }, [["k"]]]) {
		map.entries.set(place, { ...row, paused });
		await store.add("b", [task]);
		expect(await claim()).toEqual(["a"]);
		await store.delete("b", ["a"]);
		expect(await store.pauses("b")).toEqual({ all: false, kinds: [] });
		// A pause mends the row.
		await store.pause("b", "k", true);
		await store.add("b", [task]);
		expect(await claim()).toEqual([]);
		await store.delete("b", ["a"]);
		expect(await store.list("b", { limit: 9 })).toEqual([]);
	}
	await store.pause("b", "k", false);
	await store.add("b", [task, { ...task, id: "edited" }]);
	const { claims: [ref] } = await store.turn("b", turn);
	await store.turn("b", { ...turn, settle: [{ ref: ref!, outcome: { type: "done", retain: 1e-9 } }], claim: [] });
	const [[edited, done]] = map.entries.list("tb!task!", "tb!task!~", 1, false) as [readonly [string, object]];
	map.entries.set(edited, { ...done, paused: ["k", true] });
	expect(await claim()).toEqual(["edited"]);
});
