// The gates of limits, as rows in maps: damage, costs, conflicts, and what is left behind.
import { describe, expect, test } from "vitest";
import type { Claim, KindLimit, NewTask, Store, Turn } from "../../src/basket/store.ts";
import type { MapRange, MapTransaction } from "../../src/records/records.ts";
import { overMap, recordStore } from "../../src/records/records.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { MemoryMap } from "./memory-map.ts";
import { OptimisticMap } from "./optimistic-map.ts";

const limits: readonly KindLimit[] = [{ kind: "k", atOnce: 1, spacing: 1_000, burst: 1 }];

/** A map that counts and names what is read. */
class MeteredMap extends MemoryMap {
	read: string[] = [];

	override get(keys: readonly string[]): unknown[] {
		this.read.push(...keys);
		return super.get(keys);
	}

	override list(range: MapRange) {
		const found = super.list(range);
		this.read.push(range.start, ...found.map(([key]) => key));
		return found;
	}
}

/** An optimistic map that counts the conflicts, and can be held before a commit. */
class BusyMap extends OptimisticMap {
	conflicts = 0;
	beforeCommit: (() => Promise<unknown>) | undefined;

	override transaction<R>(
		work: (map: MapTransaction, attempt: number) => R | Promise<R>,
		options: Parameters<OptimisticMap["transaction"]>[1],
	): Promise<R> {
		return super.transaction<R>(async (map, attempt) => {
			if (attempt > 0) this.conflicts++;
			const result = await work(map, attempt);
			const held = this.beforeCommit;
			this.beforeCommit = undefined;
			await held?.();
			return result;
		}, options);
	}
}

function task(id: string, fields: Partial<NewTask> = {}): NewTask {
	return { id, kind: "k", payload: "", delay: 0, priority: 0, limitKey: "key", ...fields };
}

async function turn(store: Pick<Store, "turn">, given: Partial<Turn> = {}, limit = 9): Promise<readonly Claim[]> {
	const claim = [{ kinds: ["k"], limit }];
	return (await store.turn("b", { settle: [], claim, lease: 60_000, limits, ...given })).claims;
}

function done(claims: readonly Claim[]): Partial<Turn> {
	return { settle: claims.map((ref) => ({ ref, outcome: { type: "done" } })) };
}

function idsOf(claims: readonly Claim[]): string[] {
	return claims.map(({ id }) => id);
}

describe.each([
	["a map", (clock: VirtualClock) => {
		const map = new MemoryMap(clock);
		return { store: recordStore(overMap(map)), entries: map.entries };
	}],
	["an optimistic map", (clock: VirtualClock) => {
		const map = new OptimisticMap(clock);
		const { values } = map;
		const set = (key: string, value: unknown) => values.set(key, { value, version: Math.random() });
		const entries = {
			list: (...range: Parameters<typeof values.list>) => values.list(...range).map(([key]) => [key] as const),
			get: (key: string) => values.get(key)?.value,
			delete: (key: string) => values.delete(key),
			set,
		};
		return { store: recordStore(overMap(map)), entries };
	}],
])("recordStore() over %s", (_name, open) => {
	test("Store.turn() makes a damaged gate anew, and drops keys of gates that lead nowhere", async () => {
		const garbage = [5, "text", null, {}, { kind: "k", limitKey: "key", readyAt: "soon" }];
		const waits = { readyAt: 1e15, by: "1 5 1", turn: 0, next: 0, startedAt: 0, shutUntil: 0 };
		for (const damage of [...garbage, "row", "index", { kind: "other", limitKey: "key", ...waits }]) {
			const clock = new VirtualClock({ now: 1_000 });
			const { store, entries } = open(clock);
			const keys = (name: string) => entries.list(`tb!${name}!`, `tb!${name}!~`, 9, false).map(([key]) => key);
			await store.add("b", [task("a"), task("b"), task("c")]);
			const first = await turn(store);
			expect(idsOf(first)).toEqual(["a"]);
			expect([keys("gate").length, keys("gate.ready").length]).toEqual([1, 1]);
			if (damage === "row") entries.delete(keys("gate")[0]!);
			else if (damage === "index") entries.set(keys("gate.ready")[0]!, "nowhere");
			else entries.set(keys("gate")[0]!, damage);
			// Its place is not lost with it, because running tasks are counted.
			const before = await turn(store);
			expect(idsOf(before)).toEqual([]);
			await clock.advance(1_000);
			const second = await turn(store, done(first));
			expect([damage, idsOf(second)]).toEqual([damage, ["b"]]);
			await clock.advance(1_000);
			const third = await turn(store, done(second));
			expect([damage, idsOf(third)]).toEqual([damage, ["c"]]);
			await turn(store, done(third));
			await clock.advance(1_000);
			await turn(store);
			expect([damage, keys("gate.ready"), keys("gate.idle"), keys("note")]).toEqual([damage, [], [], []]);
		}
	});

	test("Store.turn() finds a task again whose gate is gone, when anything behind it changes", async () => {
		for (const change of ["add", "retry", "delete"] as const) {
			const { store, entries } = open(new VirtualClock({ now: 1_000 }));
			await store.add("b", [task("a", { delay: 5 }), task("b", { delay: 5 }), task("x", { limitKey: undefined })]);
			await turn(store);
			for (const name of ["gate", "gate.ready", "gate.idle"]) {
				for (const [key] of entries.list(`tb!${name}!`, `tb!${name}!~`, 9, false)) entries.delete(key);
			}
			if (change === "add") await store.add("b", [task("c", { delay: 9 })]);
			else if (change === "retry") await store.change("b", ["a"], "retry");
			else await store.delete("b", ["b"]);
			const { dueIn, claims } = await store.turn("b", {
				settle: [],
				claim: [{ kinds: ["k"], limit: 9 }],
				lease: 60_000,
				limits,
			});
			expect([change, idsOf(claims), dueIn]).toEqual(change === "retry" ? [change, ["a"], 60_000] : [change, [], 5]);
		}
	});

	test("Store.turn() leaves nothing behind of keys whose tasks are gone and whose starts no longer matter", async () => {
		const clock = new VirtualClock({ now: 1_000 });
		const { store, entries } = open(clock);
		for (let n = 0; n < 30; n++) await store.add("b", [task(`a${n}`, { limitKey: `key ${n}` })]);
		const claims: Claim[] = [];
		for (let part = await turn(store); part.length > 0; part = await turn(store)) claims.push(...part);
		expect(claims.length).toBe(30);
		await turn(store, done(claims));
		await clock.advance(1_000);
		for (let turns = 0; turns < 60; turns++) await turn(store);
		const left = entries.list("tb!", "tb!~", 99, false).map(([key]) => key);
		// The row of the pauses knows that the kind has had gates, and another one has the last order.
		expect(left.filter((key) => !/^tb!(task|meta)/.test(key))).toEqual([]);
		expect(await store.counts("b")).toEqual({ waiting: 0, running: 0, held: 0, dead: 0, done: 0 });
		expect(await store.pauses("b")).toEqual({ all: false, kinds: [] });
	});

	test("Store.extend() with a shorter lease lets the task be taken up when that ends, though others wait", async () => {
		const clock = new VirtualClock({ now: 1_000 });
		const { store } = open(clock);
		const one = { limits: [{ kind: "k", atOnce: 1, spacing: 0, burst: 1 }] };
		await store.add("b", [task("a"), task("b")]);
		const [a] = await turn(store, one);
		expect(await turn(store, one)).toEqual([]);
		await store.change("b", ["a"], "hold");
		expect(await turn(store, one)).toEqual([]);
		await store.extend("b", [a!], 10);
		await store.change("b", ["a"], "release");
		expect(await turn(store, one)).toEqual([]);
		await clock.advance(10);
		expect(idsOf(await turn(store, one))).toEqual(["a"]);
	});

	test("Store.pause() and a resume forget no kind that has gates", async () => {
		const { store } = open(new VirtualClock({ now: 1_000 }));
		await store.add("b", [task("a")]);
		await store.pause("b", "k", true);
		expect(await turn(store, { limits: [] })).toEqual([]);
		await store.pause("b", "k", false);
		expect(idsOf(await turn(store, { limits: [] }))).toEqual(["a"]);
	});

	test("Store.turn() learns again which kinds have gates when their row was damaged", async () => {
		const { store, entries } = open(new VirtualClock({ now: 1_000 }));
		await store.add("b", [task("a")]);
		await store.pause("b", "other", true);
		const [[place]] = entries.list("tb!task!", "tb!task!~", 1, false) as [readonly [string]];
		entries.set(place, { order: "", paused: true });
		await turn(store, { claim: [] });
		await store.add("b", [task("b", { limitKey: "another key" })]);
		await turn(store, { claim: [] });
		await store.add("b", [task("c", { limitKey: "third key" })]);
		expect(idsOf(await turn(store, { limits: undefined })).sort()).toEqual(["a", "b", "c"]);
	});

	test("Store.turn() lets a crashed task wait at the gate of the key that its new payload has", async () => {
		const clock = new VirtualClock({ now: 1_000 });
		const { store } = open(clock);
		await store.add("b", [task("a"), task("b", { limitKey: "other" })]);
		const [a, b] = await turn(store, { lease: 5_000, limits: [] });
		expect([a!.id, b!.id]).toEqual(["a", "b"]);
		await store.add("b", [task("a", { limitKey: "other", payload: "new", ifPresent: "replace" })]);
		await store.extend("b", [b!], 60_000);
		await clock.advance(5_000);
		expect(await turn(store)).toEqual([]);
		expect(await store.extend("b", [a!], 60_000)).toEqual(["lost"]);
		const [again] = await turn(store, done([b!]));
		expect([again?.id, again?.payload, again?.attempts, again?.crashes]).toEqual(["a", "new", 1, 1]);
	});
});

test("Store.turn() of a basket without keys reads no gates", async () => {
	const map = new MeteredMap(new VirtualClock());
	const store = recordStore(overMap(map));
	await store.add("b", [task("a", { limitKey: undefined })]);
	map.read = [];
	const claims = await turn(store, { limits: [] });
	await turn(store, { ...done(claims), limits: [] });
	expect(idsOf(claims)).toEqual(["a"]);
	expect(map.read.filter((key) => /gate|note|busy/.test(key))).toEqual([]);
});

test("Store.turn() reads as much however many tasks wait behind a gate, open or not", async () => {
	const map = new MeteredMap(new VirtualClock({ now: 1_000 }));
	const store = recordStore(overMap(map));
	await store.add("b", [task("first")]);
	await turn(store);
	const reads: number[] = [];
	for (const count of [10, 2_000]) {
		await store.add("b", Array.from({ length: count }, (_, index) => task(`${count} ${index}`)));
		await store.add("b", [task(`other ${count}`, { limitKey: `other ${count}` })]);
		map.read = [];
		expect(idsOf(await turn(store, {}, 5))).toEqual([`other ${count}`]);
		reads.push(map.read.length);
	}
	expect(reads[1]! - reads[0]!).toBeLessThan(20);
});

test("Store.add() never conflicts with a claim behind the same gate, and none of its tasks is overlooked", async () => {
	const clock = new VirtualClock({ now: 1_000 });
	const map = new BusyMap(clock);
	const [store, other] = [recordStore(overMap(map)), recordStore(overMap(map))];
	const free = { limits: [] };
	await store.add("b", [task("a")]);
	// The add has read what it reads, and the claim finds the gate empty behind its task.
	map.beforeCommit = () => turn(other, free);
	await store.add("b", [task("b")]);
	expect([map.conflicts, idsOf(await turn(other, free))]).toEqual([0, ["b"]]);
	// The claim has looked behind the gate, and the add commits before it does.
	await store.add("b", [task("c")]);
	map.beforeCommit = async () => {
		map.beforeCommit = () => store.add("b", [task("d")]);
	};
	const found = idsOf(await turn(other, free));
	map.beforeCommit = undefined;
	expect([...found, ...idsOf(await turn(other, free))]).toEqual(["c", "d"]);
	expect(map.conflicts).toBe(0);
});

test("Store.turn() serves a key soon that was added behind a thousand adds to another one", async () => {
	const clock = new VirtualClock({ now: 1_000 });
	const store = recordStore(overMap(new OptimisticMap(clock)));
	for (let n = 0; n < 1_000; n++) await store.add("b", [task(`many ${n}`, { limitKey: "many" })]);
	await store.add("b", [task("late", { limitKey: "late" })]);
	const served: string[] = [];
	for (let turns = 0; turns < 15; turns++) {
		await clock.advance(1);
		served.push(...idsOf(await turn(store, { limits: [{ kind: "k", atOnce: Infinity, spacing: 0, burst: 1 }] }, 1)));
	}
	expect(served).toContain("late");
});
