/**
 * Tests of `get`, `list`, `counts` and `delete`.
 *
 * @module
 */

import type { ListQuery, TaskState } from "../../basket/store.ts";
import { equal, rejects } from "./assert.ts";
import { type Bench, idsOf, numbered, type StoreTest } from "./bench.ts";

export const looking: readonly StoreTest[] = [
	{
		title: "get() gives nothing for a task that is not there",
		async run(bench) {
			await bench.add("a");
			equal(await bench.store.get(bench.basket, "b"), undefined, "get() of another id");
			equal(await bench.store.get("other", "a"), undefined, "get() in another basket");
		},
	},
	{
		title: "list() and counts() know every state",
		async run(bench) {
			await inEveryState(bench);
			const states: TaskState[] = ["waiting", "running", "held", "dead", "done"];
			const counts = { waiting: 3, running: 2, held: 2, dead: 1, done: 1 };
			equal(await bench.store.counts(bench.basket), counts, "counts()");
			const all = await bench.list();
			equal(all.length, 9, "how many are listed");
			for (const state of states) {
				const listed = await bench.store.list(bench.basket, { state, limit: 99 });
				equal(idsOf(listed), idsOf(all.filter((task) => task.state === state)), `listed as ${state}`);
				equal(listed.length, counts[state], `how many are listed as ${state}`);
			}
			equal(await bench.states(...idsOf(all)), all.map(({ state }) => state), "states that get() and list() give");
		},
	},
	{
		title: "list() shows the same as get(), but for the inbox",
		async run(bench) {
			await inEveryState(bench);
			for (const listed of await bench.list()) {
				const { inbox: _, ...got } = await bench.get(listed.id);
				equal(listed, got, `"${listed.id}" as list() and get() show it`);
			}
		},
	},
	{
		title: "list() goes on behind a key, with any filter",
		async run(bench) {
			await bench.add(...numbered(23, "").map((id, index) => ({ id, kind: index % 2 ? "odd" : "even" })));
			await bench.store.change(bench.basket, numbered(12, ""), "hold");
			const queries = [{}, { kind: "odd" }, { state: "held" as const }, { kind: "even", state: "waiting" as const }];
			for (const query of queries) {
				const all = await bench.store.list(bench.basket, { ...query, limit: 99 });
				for (const limit of [1, 5, 23]) equal(await page(bench, query, limit), idsOf(all), `pages of ${limit}`);
			}
			equal(
				idsOf(await bench.store.list(bench.basket, { kind: "odd", state: "held", limit: 2 })),
				["2", "4"],
				"listed",
			);
		},
	},
	{
		title: "list() lists the last tasks first, and goes on with earlier ones",
		async run(bench) {
			await inEveryState(bench);
			const ids = idsOf(await bench.list());
			for (const limit of [1, 2, 4, 100]) {
				equal(await page(bench, { isReverse: true }, limit), ids.toReversed(), `all, ${limit} at a time`);
				const held = await page(bench, { isReverse: true, state: "held" }, limit);
				equal(held, ["held head", "held"], `held ones, ${limit} at a time`);
			}
			const { key } = (await bench.list())[3]!;
			await bench.store.delete(bench.basket, [ids[3]!]);
			const behind = await bench.store.list(bench.basket, { after: key, limit: 9, isReverse: true });
			equal(idsOf(behind), ids.slice(0, 3).toReversed(), "those before a deleted one");
		},
	},
	{
		title: "list() lists the tasks of a lane, in every state",
		async run(bench) {
			await bench.add({ id: "dead", lane: "l" }, { id: "done", lane: "l" }, { id: "other", lane: "m" }, "none");
			await bench.settleAll([(await bench.claim())[0]!], { type: "dead", attempts: 1, error: "x" });
			await bench.settleAll(await bench.claim(), { type: "done", retain: bench.long });
			await bench.add({ id: "running", lane: "l" }, ...numbered(3, "blocked ").map((id) => ({ id, lane: "l" })));
			await bench.claimOnly("running");
			const lane = ["dead", "done", "running", ...numbered(3, "blocked ")];
			for (const limit of [1, 2, 100]) {
				equal(await page(bench, { lane: "l" }, limit), lane, `all, ${limit} at a time`);
				const reverse = await page(bench, { lane: "l", isReverse: true }, limit);
				equal(reverse, lane.toReversed(), `from the end, ${limit} at a time`);
			}
			equal(await page(bench, { lane: "l", state: "waiting" }, 2), numbered(3, "blocked "), "waiting ones");
			equal(await page(bench, { lane: "l", kind: "other" }, 2), [], "of another kind");
			equal(await page(bench, { lane: "nobody" }, 2), [], "of a lane without tasks");
		},
	},
	{
		title: "list() lists the tasks whose ids begin with a text",
		async run(bench) {
			const ids = [
				"order:1",
				"order:10",
				"Order:1",
				"order",
				"order:",
				"order;",
				"order:2",
				"a%b_c",
				"aXbYc",
				"ä:1",
				"z",
			];
			await bench.add(...ids, { payload: "no id" }, { id: "order:3", lane: "l" });
			const all = [...ids, "order:3"];
			for (const prefix of ["order:", "order:1", "o", "O", "order:10", "nobody", "a%", "a%b_", "ä", "\uffff", "z"]) {
				const wanted = all.filter((id) => id.startsWith(prefix));
				for (const limit of [1, 3, 100]) {
					equal(await page(bench, { prefix }, limit), wanted, `"${prefix}", ${limit} at a time`);
					const reverse = await page(bench, { prefix, isReverse: true }, limit);
					equal(reverse, wanted.toReversed(), `"${prefix}" from the end, ${limit} at a time`);
				}
			}
			equal(await page(bench, { prefix: "order:", lane: "l" }, 2), ["order:3"], "in a lane");
		},
	},
	{
		title: "list() gives each task a key of its own, which stays",
		async run(bench) {
			await bench.add(...numbered(5, ""));
			const before = await bench.list();
			equal(new Set(before.map(({ key }) => key)).size, 5, "different keys");
			await bench.settleAll(await bench.claim(2), { type: "retry", delay: 0, attempts: 1, error: "x" });
			await bench.change("3", "hold");
			equal((await bench.list()).map(({ key }) => key), before.map(({ key }) => key), "keys after some changes");
		},
	},
	{
		title: "list() goes on behind a task that was deleted, and shows each left one once",
		async run(bench) {
			const ids = numbered(40, "");
			await bench.add(...ids);
			const seen: string[] = [];
			let after: string | undefined;
			for (let round = 0; round <= ids.length; round++) {
				const listed = await bench.store.list(bench.basket, { after, limit: 4 });
				if (listed.length === 0) break;
				for (const { id } of listed) seen.push(id);
				after = listed.at(-1)!.key;
				// Deletes the tasks just listed, and in some rounds the first one not yet listed.
				await bench.store.delete(bench.basket, idsOf(listed));
				if (round % 2 === 0) await bench.store.delete(bench.basket, [`${Number(listed.at(-1)!.id) + 1}`]);
			}
			equal(new Set(seen).size, seen.length, "each once");
			equal(seen, ids.filter((id) => seen.includes(id)), "in order");
			equal(await bench.list(), [], "left");
			await bench.add("new");
			equal(idsOf(await bench.store.list(bench.basket, { after, limit: 4 })), ["new"], "added behind all of them");
		},
	},
	{
		title: "list() refuses to go on behind what is no key",
		async run(bench) {
			await bench.add("a", "b");
			const { key } = (await bench.list())[0]!;
			for (
				const after of ["", "garbage", "-1", "1e3", "null", "\0", ` ${key}`, `${key}x`, `${key} `, `${key}\0`, "a"]
			) {
				const what = `list() after ${JSON.stringify(after)}`;
				const error = await rejects(bench.store.list(bench.basket, { after, limit: 9 }), what);
				equal((error as Error).name, "RangeError", `name of the error of ${what}`);
			}
			equal(idsOf(await bench.store.list(bench.basket, { after: key, limit: 9 })), ["b"], "listed behind a key");
		},
	},
	{
		title: "list() shows a retried dead task at the end",
		async run(bench) {
			const [a] = await bench.running("a", "b");
			await bench.settle(a!, { type: "dead", attempts: 1, error: "x" });
			const { key } = (await bench.list())[1]!;
			await bench.change("a", "retry");
			equal(idsOf(await bench.store.list(bench.basket, { after: key, limit: 9 })), ["a"], "listed behind b");
		},
	},
	{
		title: "counts() of an empty basket are 0",
		async run(bench) {
			const none = { waiting: 0, running: 0, held: 0, dead: 0, done: 0 };
			equal(await bench.store.counts(bench.basket), none, "counts()");
			await bench.add("a");
			equal(await bench.store.counts("other"), none, "counts() of another basket");
			await bench.store.delete(bench.basket, ["a"]);
			equal(await bench.store.counts(bench.basket), none, "counts() when all were deleted");
		},
	},
	{
		title: "delete() removes tasks in any state, and says which were there",
		async run(bench) {
			await inEveryState(bench);
			const ids = idsOf(await bench.list());
			equal(await bench.store.delete(bench.basket, []), [], "answers to nothing");
			const deleted = await bench.store.delete(bench.basket, ["nobody", ...ids]);
			equal(deleted, [false, ...ids.map(() => true)], "deleted");
			equal(await bench.list(), [], "left");
			equal(await bench.store.delete(bench.basket, ids), ids.map(() => false), "deleted again");
		},
	},
	{
		title: "delete() takes a running task's claim away",
		async run(bench) {
			const [a] = await bench.running("a");
			await bench.store.delete(bench.basket, ["a"]);
			equal(await bench.settle(a!, { type: "retry", delay: 0, attempts: 1, error: "x" }), false, "settled");
			equal(await bench.store.extend(bench.basket, [a!], bench.long), ["lost"], "extend()");
			equal(await bench.store.save(bench.basket, [{ ref: a!, payload: "x" }]), [false], "save()");
			equal(await bench.store.get(bench.basket, "a"), undefined, "get()");
		},
	},
];

/** 3 waiting (one of them blocked), 2 running (one to be held), 2 held, 1 dead, 1 done. */
async function inEveryState(bench: Bench): Promise<void> {
	const [dead, done, retried, , stopping] = await bench.running("dead", "done", "retried", "running", "stopping");
	await bench.settle(dead!, { type: "dead", attempts: 3, error: "broken", payload: Uint8Array.of(1) });
	await bench.settle(done!, { type: "done", retain: bench.long, payload: "result" });
	await bench.store.save(bench.basket, [{ ref: retried!, progress: "half" }]);
	await bench.settle(retried!, { type: "retry", delay: bench.long, attempts: 1, error: "broken" });
	await bench.store.change(bench.basket, [stopping!.id], "hold");
	await bench.add({ id: "delayed", delay: bench.long, priority: 5 }, "held", { id: "held head", lane: "l" });
	await bench.store.change(bench.basket, ["held", "held head"], "hold");
	await bench.add({ id: "blocked", lane: "l" });
}

async function page(bench: Bench, query: Omit<ListQuery, "limit">, limit: number): Promise<string[]> {
	const ids: string[] = [];
	let after: string | undefined;
	while (true) {
		const listed = await bench.store.list(bench.basket, { ...query, after, limit });
		if (listed.length === 0) return ids;
		equal(new Set([...ids, ...idsOf(listed)]).size, ids.length + listed.length, "each page shows others");
		equal(listed.length <= limit, true, `at most ${limit}, got ${listed.length}`);
		for (const { id } of listed) ids.push(id);
		after = listed.at(-1)!.key;
	}
}
