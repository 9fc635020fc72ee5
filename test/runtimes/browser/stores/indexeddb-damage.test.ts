// Manually edited records: each property, in each state. Browsers are slow, so each state is tested with some of the
// invalid values, which differ for each property: every fifth value with --long, otherwise every fourteenth.
import { afterEach, describe, expect, test } from "vitest";
import type { NewTask, Outcome, Ref, Store } from "../../../../src/basket/store.ts";
import { indexedDBStore } from "../../../../src/stores/indexeddb/indexeddb.ts";
import { isSound } from "../../../../src/records/row.ts";
import { VirtualClock } from "../../../../src/testing/virtual-clock.ts";
import { isLong } from "../../../support.ts";
import { committed, openPlain, settled } from "./indexeddb-support.ts";

const damaged = "The stored task could not be read";

const wrong = [null, true, -1, 0.5, NaN, 1e300, "text", "", {}, [], [1], new Uint8Array(2), new Date(0), undefined];

const properties = [
	"order",
	"home",
	"id",
	"kind",
	"payload",
	"state",
	"isHeld",
	"isBlocked",
	"isBackingOff",
	"token",
	"attempts",
	"crashes",
	"error",
	"progress",
	"dueAt",
	"addedAt",
	"priority",
	"lane",
	"posted",
	"seen",
	"spare",
	"next",
	"isSwapped",
	"isLogged",
	"paused",
	"$in",
];

const states = ["waiting", "running", "replaced", "held", "blocked", "dead", "done"];

const every = isLong ? 5 : wrong.length;

const rowsOf = (state: string) =>
	properties.flatMap((property, index) => {
		const from = states.indexOf(state) + index;
		return wrong.filter((_, at) => (at + from) % every === 0).map((value) => ({ property, value }));
	});

let count = 0;
const closing: (() => unknown)[] = [];

afterEach(async () => {
	for (const close of closing.splice(0)) await close();
});

function task(id: string, more: Partial<NewTask> = {}): NewTask {
	return { id, kind: "k", payload: id, delay: 0, priority: 0, ...more };
}

async function open() {
	const name = `upkeep-damage-${Date.now()}-${++count}`;
	const clock = new VirtualClock({ now: 1_000_000 });
	const store = indexedDBStore(name, { clock, durability: "relaxed" });
	await store.open();
	const database = await openPlain(name);
	closing.push(() => database.close(), () => store.close!(), () => void indexedDB.deleteDatabase(name));
	return { store, clock, database };
}

type Opened = Awaited<ReturnType<typeof open>>;

/** Brings a task into a state, with another task behind it. */
async function prepare(store: Store<IDBTransaction>, basket: string, state: string): Promise<void> {
	if (state === "blocked") await store.add(basket, [task("head", { lane: "l" })]);
	await store.add(basket, [task("bad", { lane: "l", priority: 1 }), task("next", { lane: "l" }), task("other")]);
	if (state === "held") await store.change(basket, ["bad"], "hold");
	if (!["running", "replaced", "dead", "done"].includes(state)) return;
	const claims = await take(store, basket, 1);
	if (state === "replaced") await store.add(basket, [task("bad", { lane: "l", payload: "new", ifPresent: "replace" })]);
	if (state === "dead") await end(store, basket, claims, { type: "dead", attempts: 1, error: "e" });
	if (state === "done") await end(store, basket, claims, { type: "done", retain: 1e9, result: "result" });
}

async function take(store: Store<IDBTransaction>, basket: string, limit = 9) {
	return await store.turn(basket, { settle: [], claim: [{ kinds: ["k"], limit }], lease: 1_000 }).then(
		({ claims, dueIn }) => {
			expect(dueIn >= 0).toBe(true); // false for NaN, too
			return claims;
		},
	);
}

async function end(
	store: Store<IDBTransaction>,
	basket: string,
	refs: readonly Ref[],
	outcome: Outcome,
): Promise<void> {
	await store.turn(basket, { settle: refs.map((ref) => ({ ref, outcome })), claim: [], lease: 1_000 });
}

/** Completes all tasks that can be claimed, and returns their ids. */
async function workOff(store: Store<IDBTransaction>, basket: string): Promise<string[]> {
	const seen: string[] = [];
	for (let round = 0; round < 3; round++) {
		const claims = await take(store, basket);
		expect(claims.filter(({ lane }) => lane === "l").length <= 1).toBe(true);
		seen.push(...claims.map(({ id }) => id));
		await end(store, basket, claims, { type: "done" });
	}
	return seen;
}

/** Returns the problem after the damage, if there is one. */
async function damageOne(
	{ store, clock, database }: Opened,
	state: string,
	row: { property: string; value: unknown },
): Promise<unknown> {
	const basket = `basket ${++count}`;
	await prepare(store, basket, state);
	const transaction = database.transaction("upkeep.rows", "readwrite");
	const rows = transaction.objectStore("upkeep.rows");
	const seq = state === "blocked" ? 2 : 1;
	const stored = await settled(rows.get([`task ${basket}`, seq])) as object;
	const changed: Record<string, unknown> = { ...stored, [row.property]: row.value };
	if (row.value === undefined) delete changed[row.property];
	rows.put(changed);
	await committed(transaction);
	const shown = await store.list(basket, { limit: 9 });
	// Some of these values are valid.
	const isRight = isSound(changed) && shown.every(({ state: now }) => now !== "dead" || state === "dead");
	if (isRight) return undefined;
	const key = String(seq).padStart(16, "0");
	const before = shown.find((task) => task.key === key);
	if (before?.state !== "dead" || before.error !== damaged) return { before };
	// The row of a held task is sound if only its payload is gone: what is shown of it is stored once it may run.
	if (state === "held" && isSound(changed)) await store.change(basket, [before.id], "release");
	await clock.advance(2_000);
	const seen = await workOff(store, basket);
	const after = (await store.list(basket, { limit: 9 })).find((task) => task.key === key);
	if (after?.state !== "dead") return { after, seen };
	if ((await store.change(basket, [after.id], "retry"))[0] !== true) return { retry: after };
	if ((await store.delete(basket, [after.id]))[0] !== true) return { delete: after };
	seen.push(...await workOff(store, basket));
	const wanted = state === "blocked" ? ["head", "next", "other"] : ["next", "other"];
	if (seen.sort().join() !== wanted.join()) return { seen };
	const left = await store.list(basket, { limit: 9 });
	return left.length === 0 ? undefined : { left };
}

describe("indexedDBStore() with a record that was edited by hand", () => {
	test.each(states)(
		"makes a %s task dead with the reason, and harms nothing else",
		async (state) => {
			const opened = await open();
			for (const row of rowsOf(state)) {
				const problem = await damageOne(opened, state, row).catch(String);
				expect({ ...row, problem }).toEqual({ ...row, problem: undefined });
			}
		},
		60_000,
	);
});
