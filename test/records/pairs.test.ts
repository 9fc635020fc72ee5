// Two calls to the same tasks at once: in a store over an optimistic map, each pair has the effect of one call after
// the other. The second call is made whole at each read of the first one, and before its commit. What a single call does is
// in the suite of stores, and what many do at random in the simulations. A new call of a store gets a line in `calls`.
import { expect, test } from "vitest";
import type { Claim, Outcome, Store } from "../../src/basket/store.ts";
import { overMap, recordStore } from "../../src/records/records.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { OptimisticMap } from "./optimistic-map.ts";

const basket = "b";
const lease = 1_000;
const limits = [{ kind: "limited", atOnce: 1, spacing: 0, burst: 1 }];

type Transaction = OptimisticMap["transaction"];

/** Interrupts the first attempt of a transaction. */
class InterruptedMap extends OptimisticMap {
	// A call is one commit, so that it has one moment.
	override readonly perCommit: number = 99;
	/** Called before each read of the next transaction, and before its commit. */
	interrupt: (() => Promise<void>) | undefined;

	override transaction: Transaction = (work, options) => {
		return super.transaction(async (map, attempt) => {
			const { interrupt } = this;
			if (interrupt === undefined || attempt > 0) return await work(map, attempt);
			const { get, list } = map;
			map.get = async (keys) => (await interrupt(), await get.call(map, keys));
			map.list = async (range) => (await interrupt(), await list.call(map, range));
			const result = await work(map, attempt);
			await interrupt();
			return result;
		}, options);
	};
}

interface World {
	readonly map: InterruptedMap;
	readonly refs: ReadonlyMap<string, Claim>;
	readonly key: string;
	open(): Promise<Store<never>>;
}

/** @param key that of the child that has ended */
type Call = (store: Store<never>, ref: (id: string) => Claim, key: string) => Promise<unknown>;

const dead: Outcome = { type: "dead", attempts: 1, error: "x" };
const asleep: Outcome = { type: "later", delay: null, seen: 9 };
const anew = (left: number) => ({ name: "told", isAnew: true, left, data: "anew" });
const child = (id: string) => ({ id, kind: "child", payload: "", delay: 0, priority: 0, join: "told" });
const settle = (outcome: Outcome, ...ids: string[]): Call => (store, ref) =>
	store.turn(basket, { settle: ids.map((id) => ({ ref: ref(id), outcome })), claim: [], lease, limits });
const claim = (kind: string, limit: number): Call => (store) =>
	store.turn(basket, { settle: [], claim: [{ kinds: [kind], limit }], lease, limits });

/** Calls by several processes, of which any two may come at the same time. */
const calls: Readonly<Record<string, Call>> = {
	"a child ends": settle({ type: "done" }, "child 1"),
	"another child ends": settle({ type: "done", retain: 1e9, result: "r" }, "child 2"),
	"a child is dead": settle(dead, "child 1"),
	"two children end": settle({ type: "done" }, "child 1", "child 2"),
	"a child of the other join ends": settle({ type: "done" }, "other"),
	"a child is deleted": (store) => store.delete(basket, ["child 1"]),
	"a child that has ended is restarted": (store, _, key) =>
		store.change(basket, ["ended"], { type: "restart", key, payload: "2", keepsLog: true }),
	"the join is made anew": (store, ref) => store.save(basket, [{ ref: ref("parent"), join: anew(1) }]),
	"the join is made anew, for two": (store, ref) => store.save(basket, [{ ref: ref("parent"), join: anew(2) }]),
	"a join is added": (store, ref) =>
		store.save(basket, [{ ref: ref("parent"), join: { name: "new", left: 1, data: "new" } }]),
	"a child is added": (store, ref) => store.save(basket, [{ ref: ref("parent"), children: [child("child 3")] }]),
	"the parent sleeps": settle(asleep, "parent"),
	"the parent ends": settle({ type: "done" }, "parent"),
	"the parent is kept": settle({ type: "done", retain: 1e9 }, "parent"),
	"the parent is deleted": (store) => store.delete(basket, ["parent"]),
	"the parent gets a message": (store) => store.post(basket, "parent", "hello"),
	"the parent is extended": (store, ref) => store.extend(basket, [ref("parent")], 2 * lease),
	"the head of a lane ends": settle({ type: "done" }, "lane 1"),
	"the head of a lane is given back": settle({ type: "release" }, "lane 1"),
	"a follower is deleted": (store) => store.delete(basket, ["lane 2"]),
	"a task joins the lane": (store) =>
		store.add(basket, [{ id: "lane 3", kind: "lane", payload: "", delay: 0, priority: 0, lane: "l" }]),
	"a task of the lane is claimed": claim("lane", 1),
	"a task with a limit ends": settle({ type: "done" }, "limited 1"),
	"a task with a limit fails": settle({ type: "retry", delay: 0, attempts: 1, error: "x" }, "limited 1"),
	"a task behind a gate is deleted": (store) => store.delete(basket, ["limited 2"]),
	"a task with a limit is added": (store) =>
		store.add(basket, [{ id: "limited 3", kind: "limited", payload: "", delay: 0, priority: 0, limitKey: "k" }]),
	"a task with a limit is claimed": claim("limited", 1),
	"a free task is claimed": claim("free", 1),
	"a free task is held": (store) => store.change(basket, ["free"], "hold"),
	"a free task is replaced": (store) =>
		store.add(basket, [{ id: "free", kind: "free", payload: "2", delay: 0, priority: 0, ifPresent: "replace" }]),
	"a free task is deleted": (store) => store.delete(basket, ["free"]),
	"a dead task is retried": (store) => store.change(basket, ["dead"], "retry"),
	"a dead task is added again": (store) =>
		store.add(basket, [{ id: "dead", kind: "free", payload: "2", delay: 0, priority: 0, ifPresent: "replace" }]),
	"a kind is paused": (store) => store.pause(basket, "free", true),
};

async function makeWorld(): Promise<World> {
	const clock = new VirtualClock();
	const map = new InterruptedMap(clock);
	let stores = 0;
	const open = async () => {
		const space = { ...overMap(map), mark: () => `store${++stores}`, random: () => 0 };
		const store = recordStore(space as never) as Store<never>;
		await store.open();
		return store;
	};
	const store = await open();
	const task = (id: string, kind: string) => ({ id, kind, payload: "1", delay: 0, priority: 0 });
	await store.add(basket, [
		task("parent", "parent"),
		{ ...task("lane 1", "lane"), lane: "l" },
		{ ...task("lane 2", "lane"), lane: "l" },
		{ ...task("limited 1", "limited"), limitKey: "k" },
		{ ...task("limited 2", "limited"), limitKey: "k" },
		task("dead", "free"),
	]);
	const refs = new Map<string, Claim>();
	const start = async (...kinds: string[]) => {
		const { claims } = await store.turn(basket, { settle: [], claim: [{ kinds, limit: 9 }], lease, limits });
		for (const claim of claims) refs.set(claim.id, claim);
	};
	await start("parent", "lane", "limited", "free");
	const parent = refs.get("parent")!;
	await store.save(basket, [{
		ref: parent,
		join: { name: "told", left: 1, data: "told" },
		children: [child("ended")],
	}]);
	await store.save(basket, [{
		ref: parent,
		join: { name: "counts", left: 1, data: "counted" },
		children: [child("child 1"), child("child 2"), { ...child("other"), join: "counts" }],
	}]);
	await start("child");
	const ended = { ref: refs.get("ended")!, outcome: { type: "done", retain: 1e9 } } as const;
	await store.turn(basket, { settle: [ended, { ref: refs.get("dead")!, outcome: dead }], claim: [], lease });
	await store.add(basket, [task("free", "free")]);
	const { key } = (await store.get(basket, "ended"))!;
	return { map, refs, key, open };
}

/** What all of it comes to, without the names that depend on the order of the calls. */
function contentOf({ map }: World): string[] {
	const own = ["id", "state", "posted", "seen", "attempts", "isHeld", "isBlocked", "joined", "left", "isTold", "name"];
	return map.values.list("", "~", Infinity, false).filter(([key]) => !/\.|!note!|!lane!/.test(key)).map(
		([key, { value }]) => {
			const row = Object(value) as Record<string, unknown>;
			const table = key.split("!")[1];
			const shown = own.map((name) => row[name]);
			return JSON.stringify([
				table,
				...shown,
				table === "message" || table === "task" ? row["data"] ?? row["payload"] : "",
			]);
		},
	).sort();
}

function resultOf(value: unknown): unknown {
	if (value === null || typeof value !== "object") return value;
	const { settled, claims } = value as { settled?: unknown; claims?: readonly Claim[] };
	return claims === undefined ? value : [settled, claims.map(({ id }) => id)];
}

/** What a process finds out with lists. */
async function seenBy(store: Store<never>): Promise<unknown> {
	const lists = [await store.list(basket, { limit: 99 }), await store.list(basket, { parent: "parent", limit: 99 })];
	return lists.map((tasks) => tasks.map(({ id, state, payload }) => `${id} ${state} ${payload}`).sort());
}

/** The effect of two calls. The second one is made at the moment with this number in the first one, or after it. */
async function effectOf(first: Call, second: Call, moment: number): Promise<{ text: string; isInterrupted: boolean }> {
	const world = await makeWorld();
	const ref = (id: string) => world.refs.get(id)!;
	const [one, other] = [await world.open(), await world.open()];
	let result: unknown;
	const callSecond = async () => {
		result = [resultOf(await second(other, ref, world.key)), await seenBy(other)];
	};
	let isInterrupted = false;
	let left = moment;
	const meanwhile = async () => {
		if (isInterrupted || left-- > 0) return;
		isInterrupted = true;
		world.map.interrupt = undefined;
		await callSecond();
	};
	if (moment >= 0 && moment < Infinity) world.map.interrupt = meanwhile;
	const own = moment < 0 ? undefined : await first(one, ref, world.key);
	world.map.interrupt = undefined;
	if (!isInterrupted) await callSecond();
	const late = moment < 0 ? await first(one, ref, world.key) : own;
	// What is left of a parent that is gone is removed by later turns.
	for (let turn = 0; turn < 3; turn++) await one.turn(basket, { settle: [], claim: [], lease });
	return { text: JSON.stringify([resultOf(late), result, contentOf(world)], null, 1), isInterrupted };
}

const names = Object.keys(calls);

test.each(names)("while %s, any other call has an effect of one after the other", async (name) => {
	const first = calls[name]!;
	const differing: string[] = [];
	for (const other of names) {
		// A claim that has begun before a pause may still be made.
		if (other === "a kind is paused" && name === "a free task is claimed") continue;
		const second = calls[other]!;
		const oneByOne = await effectOf(first, second, Infinity);
		const allowed = [oneByOne.text, (await effectOf(first, second, -1)).text];
		for (let moment = 0;; moment++) {
			const { text, isInterrupted } = await effectOf(first, second, moment);
			if (!isInterrupted) break;
			if (!allowed.includes(text)) differing.push(`${other}, at ${moment}`);
		}
	}
	expect(differing).toEqual([]);
});
