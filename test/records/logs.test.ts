// The logs of tasks in stores over maps. What all stores must do with logs is in the conformance suite.
import { describe, expect, test } from "vitest";
import type { Claim, Data, LogEntry, Outcome, Ref, Store } from "../../src/basket/store.ts";
import { textOf } from "../../src/records/key-text.ts";
import { type MapTransaction, type OrderedMap, overMap, recordStore } from "../../src/records/records.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { MemoryMap } from "./memory-map.ts";
import { OptimisticMap } from "./optimistic-map.ts";
import { errorOf } from "../support.ts";

/** A map that knows what its commits have written, and lets others come first. */
class ObservedMap extends OptimisticMap {
	/** The keys of each commit that has written some. */
	readonly commits: string[][] = [];
	attempts = 0;
	/** Called once, before a commit. */
	meanwhile: (() => Promise<unknown>) | undefined;

	override transaction: OptimisticMap["transaction"] = (work, options) => {
		return super.transaction(async (map: MapTransaction, attempt) => {
			this.attempts++;
			const result = await work(map, attempt);
			const { meanwhile } = this;
			this.meanwhile = undefined;
			await meanwhile?.();
			return result;
		}, options);
	};

	override commit(draft: Parameters<OptimisticMap["commit"]>[0]): boolean {
		const isCommitted = super.commit(draft);
		if (isCommitted && draft.written.size > 0) this.commits.push([...draft.written.keys()]);
		return isCommitted;
	}
}

const maps = {
	"a map": () => {
		const map = new MemoryMap(new VirtualClock());
		return { map: map as OrderedMap<never>, keys: () => keysOf(map.entries), set: map.entries.set.bind(map.entries) };
	},
	"an optimistic map": () => {
		const map = new ObservedMap(new VirtualClock());
		const set = (key: string, value: unknown) => map.values.set(key, { value, version: -1 });
		return { map: map as OrderedMap<never>, keys: () => keysOf(map.values), set };
	},
};

describe.each(Object.entries(maps))("recordStore() over %s", (_name, makeMap) => {
	test.each(["done", "dead", "deleted", "replaced", "retried", "restarted", "restarted with its log"])(
		"leaves nothing of the log of a task that is %s and removed",
		async (end) => {
			const { map, keys } = makeMap();
			const store = await open(map);
			const claim = await begin(store, "a");
			await append(store, claim, 0, numbered(5));
			if (end === "dead" || end === "retried") await settle(store, claim, { type: "dead", attempts: 1, error: "e" });
			if (end === "retried") await store.change(basket, ["a"], "retry");
			if (end === "done") await settle(store, claim, { type: "done" });
			else if (end.startsWith("restarted")) {
				for (const data of ["1", "2", "long ".repeat(10_000)]) await store.post(basket, "a", data);
				const result = "long ".repeat(10_000);
				await settle(store, claim, { type: "done", retain: 1e9, payload: result, result });
				const { key } = (await store.get(basket, "a"))!;
				const change = { type: "restart", key, payload: "", keepsLog: end !== "restarted" } as const;
				expect(await store.change(basket, ["a"], change)).toEqual([true]);
				await store.delete(basket, ["a"]);
			} else if (end !== "replaced") await store.delete(basket, ["a"]);
			else {
				await settle(store, claim, { type: "done", retain: 1e9 });
				await store.add(basket, [{ ...task, id: "a", ifPresent: "replace" }]);
				await store.delete(basket, ["a"]);
			}
			// Where transactions are concurrent, the next turn removes it.
			if (map.isOptimistic) await claimAll(store);
			expect(keys()).toEqual([]);
		},
	);

	test("leaves nothing of the log of a task that cannot be read, once it is deleted", async () => {
		const { map, keys, set } = makeMap();
		const store = await open(map);
		await append(store, await begin(store, "a"), 0, numbered(5));
		const [row] = keys().filter((key) => key.includes("!task!"));
		set(row!, "damaged");
		await store.list(basket, { limit: 1 });
		const [found] = await store.list(basket, { limit: 1 });
		expect(found!.state).toBe("dead");
		await store.delete(basket, [found!.id]);
		for (let turn = 0; turn < 3; turn++) await claimAll(store);
		expect(keys().filter((key) => key.includes("!log!"))).toEqual([]);
	});

	test.each<[string, (home: unknown) => [key: unknown[], value: unknown]]>([
		["no row", (home) => [[home, 2], null]],
		["a text", (home) => [[home, 2], "text"]],
		["data of another type", (home) => [[home, 2], { home, n: 2, data: 7 }]],
		["no data", (home) => [[home, 2], { home, n: 2 }]],
		["another number", (home) => [[home, 2], { home, n: 3, data: "x" }]],
		["a number that is not whole", (home) => [[home, 2.5], { home, n: 2.5, data: "x" }]],
		["a number that is negative", (home) => [[home, -1], { home, n: -1, data: "x" }]],
		["a text as its number", (home) => [[home, "2"], { home, n: "2", data: "x" }]],
		["no number", (home) => [[home, NaN], { home, n: NaN, data: "x" }]],
		["a number far behind", (home) => [[home, 2 ** 52], { home, n: 2 ** 52, data: "x" }]],
	])("log() gives what is readable of a log with %s, and all of it goes with its task", async (_what, damage) => {
		const { map, keys, set } = makeMap();
		const store = await open(map);
		const claim = await begin(store, "a", "b");
		await append(store, claim, 0, numbered(3));
		const before = keys();
		const home = map.isOptimistic ? claim.token.split(".")[0] : Number(claim.token.split(".")[0]);
		const [key, value] = damage(home);
		set(`t${basket}!log!${textOf(key as string[])}`, value);
		const isIn = before.length === keys().length;
		const found = await logOf(store, "a", 9);
		const readable = found!.filter(({ n }) => n < 9);
		expect(readable.map(({ n, data }) => [n, data])).toEqual(
			[[1, "1"], [2, "2"], [3, "3"]].filter(([n]) => !isIn || n !== 2),
		);
		expect(await append(store, claim, 3, ["4"])).toBe(true);
		const turn = await settle(store, claim, { type: "done" });
		expect(turn.claims.map(({ id }) => id)).toEqual(["b"]);
		await settle(store, turn.claims[0]!, { type: "done" });
		for (let turn = 0; turn < 4; turn++) await claimAll(store);
		expect(keys()).toEqual([]);
	});
});

describe("recordStore() with concurrent transactions", () => {
	test("save() appends with one write, and conflicts with nobody who changes other tasks or appends, too", async () => {
		const map = new ObservedMap(new VirtualClock());
		const store = await open(map);
		const claim = await begin(store, "a", "b", "c");
		await append(store, claim, 0, ["1"]);
		map.commits.length = map.attempts = 0;
		expect(await append(store, claim, 1, ["2"])).toBe(true);
		expect(map.commits.map((keys) => keys.map((key) => key.split("!")[1]))).toEqual([["log"]]);
		map.attempts = 0;
		const [isFirst, isSecond] = await Promise.all([
			append(store, claim, 2, ["3"]),
			append(store, claim, 3, ["4"]),
			store.add(basket, [{ ...task, id: "d" }]),
			store.delete(basket, ["b"]),
			store.change(basket, ["c"], "hold"),
		]);
		expect([isFirst, isSecond, map.attempts]).toEqual([true, true, 5]);
		expect((await logOf(store, "a", 9))!.map(({ data }) => data)).toEqual(["1", "2", "3", "4"]);
	});

	test("save() appends nothing if its task is removed meanwhile", async () => {
		const map = new ObservedMap(new VirtualClock());
		const store = await open(map);
		const claim = await begin(store, "a");
		await append(store, claim, 0, ["1"]);
		map.meanwhile = () => store.delete(basket, ["a"]);
		expect(await append(store, claim, 1, ["2"])).toBe(false);
		for (let turn = 0; turn < 2; turn++) await claimAll(store);
		expect(keysOf(map.values)).toEqual([]);
	});

	test("turn() tells of the entries that the former claim appends while this one begins", async () => {
		const clock = new VirtualClock();
		const map = new ObservedMap(clock);
		const store = await open(map);
		const former = await begin(store, "a");
		await append(store, former, 0, ["1"]);
		await clock.advance(1000);
		// The first transaction of a turn only expires tasks.
		const appended: boolean[] = [];
		map.meanwhile = async () => {
			map.meanwhile = async () => void appended.push(await append(store, former, 1, ["2"]));
		};
		expect((await claimAll(store)).map(({ logged }) => logged)).toEqual([2]);
		expect([appended, await append(store, former, 2, ["3"])]).toEqual([[true], false]);
	});

	test("turn() claims tasks with logs in their order, as many as a commit can check", async () => {
		const map = new ObservedMap(new VirtualClock());
		const store = await open(map);
		await add(store, ...numbered(9));
		const claims = await claimAll(store);
		const log = { after: 0, entries: ["1"] };
		const settle = claims.map((ref) => ({ ref, outcome: { type: "release" } as const, log }));
		await store.turn(basket, { settle, claim: [], lease: 1 });
		map.commits.length = 0;
		const again = await claimAll(store);
		expect(again.map(({ id, logged }) => [id, logged])).toEqual(numbered(9).map((id) => [id, 1]));
		expect(map.commits.length).toBe(3);
	});

	test("delete() leaves nothing of what is appended meanwhile", async () => {
		const map = new ObservedMap(new VirtualClock());
		const store = await open(map);
		const claim = await begin(store, "a");
		await append(store, claim, 0, ["1"]);
		map.meanwhile = () => append(store, claim, 1, ["2"]);
		expect(await store.delete(basket, ["a"])).toEqual([true]);
		for (let turn = 0; turn < 2; turn++) await claimAll(store);
		expect(keysOf(map.values)).toEqual([]);
	});

	test("turn() removes a long log in small commits, which another process continues, and nobody sees it", async () => {
		const clock = new VirtualClock();
		const map = new ObservedMap(clock);
		const store = await open(map);
		const claim = await begin(store, "a");
		for (let after = 0; after < 1000; after += 100) await append(store, claim, after, numbered(100, after));
		await settle(store, claim, { type: "done" });
		const countLeft = () => keysOf(map.values).filter((key) => key.includes("!log!")).length;
		expect(countLeft()).toBe(1000);
		map.commits.length = 0;
		await claimAll(store);
		const left = countLeft();
		expect(left > 0 && left < 1000).toBe(true);
		expect(await store.counts(basket)).toEqual({ waiting: 0, running: 0, held: 0, dead: 0, done: 0 });
		expect([await store.list(basket, { limit: 9 }), await logOf(store, "a", 9)]).toEqual([[], undefined]);
		const another = await open(map);
		await append(another, await begin(another, "a"), 0, ["new"]);
		for (let turn = 0; turn < 3; turn++) await claimAll(another);
		expect([countLeft(), (await logOf(another, "a", 9))!.length]).toEqual([1, 1]);
		for (const keys of map.commits) expect(keys.length < 50).toBe(true);
	});

	test("save() splits what does not fit into one commit", async () => {
		const map = new ObservedMap(new VirtualClock());
		const store = await open(map);
		await add(store, ...numbered(9));
		const claims = (await claimAll(store)).slice(0, 6);
		map.commits.length = 0;
		// Each weighs 3 of the 9 that a commit takes.
		const saves = claims.map((ref) => ({ ref, log: { after: 0, entries: numbered(20) } }));
		expect(await store.save(basket, saves)).toEqual(claims.map(() => true));
		expect(map.commits.map((keys) => keys.length)).toEqual([63, 63]);
	});
});

describe("recordStore() with limits", () => {
	const limits = { payload: 10, entries: 3 };
	const tooMuch: [string, Data[]][] = [
		["too long", ["1", "12345678901"]],
		["too long together", ["123456", "12345"]],
		["too many", ["1", "2", "3", "4"]],
	];

	test.each(tooMuch)("save() refuses entries that are %s, and saves the others", async (_what, entries) => {
		const store = await open(Object.assign(new MemoryMap(new VirtualClock()), { limits }));
		await add(store, "a", "b");
		const [a, b] = await claimAll(store);
		const saves = [{ ref: a!, progress: "p", log: { after: 0, entries } }, {
			ref: b!,
			log: { after: 0, entries: ["1"] },
		}];
		expect(await errorOf(store.save(basket, saves))).toMatchObject({
			name: "RangeError",
			message: expect.stringMatching(/^"log" has/),
		});
		expect([await logOf(store, "a", 9), (await store.get(basket, "a"))!.progress]).toEqual([[], undefined]);
		expect((await logOf(store, "b", 9))!.length).toBe(1);
	});

	test.each(tooMuch)("turn() makes a task dead with entries that are %s, and keeps its log", async (_what, entries) => {
		const store = await open(Object.assign(new MemoryMap(new VirtualClock()), { limits }));
		const claim = await begin(store, "a");
		await append(store, claim, 0, ["1"]);
		const outcome = { type: "later", delay: 0, seen: 0, payload: "2" } as const;
		const settlement = { ref: claim, outcome, log: { after: 1, entries } };
		const { settled } = await store.turn(basket, { settle: [settlement], claim: [], lease: 1000 });
		expect(settled).toEqual([true]);
		expect(await store.get(basket, "a")).toMatchObject({
			state: "dead",
			payload: "",
			error: expect.stringMatching(/^"log" has/),
		});
		expect((await logOf(store, "a", 9))!.length).toBe(1);
	});
});

const basket = "logs";
const task = { kind: "k", payload: "", delay: 0, priority: 0 };

async function open<Tx>(map: OrderedMap<Tx>): Promise<Store<Tx>> {
	const store = recordStore(overMap(map));
	await store.open();
	return store;
}

async function add<Tx>(store: Store<Tx>, ...ids: string[]): Promise<void> {
	for (const id of ids) await store.add(basket, [{ ...task, id }]);
}

/** Adds tasks, and claims the first one. */
async function begin<Tx>(store: Store<Tx>, ...ids: string[]): Promise<Claim> {
	await add(store, ...ids);
	return (await claimAll(store, 1))[0]!;
}

async function claimAll<Tx>(store: Store<Tx>, limit = 9): Promise<readonly Claim[]> {
	return (await store.turn(basket, { settle: [], claim: [{ kinds: ["k"], limit }], lease: 1000 })).claims;
}

async function settle<Tx>(store: Store<Tx>, ref: Ref, outcome: Outcome) {
	return await store.turn(basket, { settle: [{ ref, outcome }], claim: [{ kinds: ["k"], limit: 1 }], lease: 1000 });
}

async function append<Tx>(store: Store<Tx>, ref: Ref, after: number, entries: readonly Data[]): Promise<boolean> {
	return (await store.save(basket, [{ ref, log: { after, entries } }]))[0]!;
}

async function logOf<Tx>(store: Store<Tx>, id: string, limit: number): Promise<readonly LogEntry[] | undefined> {
	return (await store.log(basket, [{ id, after: 0, limit }]))[0];
}

function numbered(count: number, after = 0): string[] {
	return Array.from({ length: count }, (_, index) => String(after + index + 1));
}

/** The stored keys, except for facts about the basket. */
function keysOf(entries: MemoryMap["entries"] | OptimisticMap["values"]): string[] {
	const all: readonly (readonly [string, unknown])[] = entries.list("", "~", Infinity, false);
	return all.map(([key]) => key).filter((key) => !key.includes("!meta!"));
}
