/**
 * Tests of limits: what becomes of a task with a key, and of its place, in each of its states.
 *
 * @module
 */

import { between, equal } from "./assert.ts";
import { idsOf, newTask, type StoreTest } from "./bench.ts";
import { keyed, limitedTo, Limiter } from "./limiter.ts";

/** A function, because bundlers treat the call of a function at the top as a side effect. */
export function limitKeys(): StoreTest[] {
	return [
		{
			title: "turn() gives a released task the key of the outcome",
			async run(bench) {
				const limiter = new Limiter(bench, { atOnce: 1 });
				await bench.add("x", "y");
				const claims = await limiter.claim();
				await bench.settleAll(claims, { type: "release", limitKey: "a" });
				equal([(await bench.get("x")).limitKey, (await bench.get("y")).limitKey], ["a", "a"], "keys");
				const [x] = await limiter.claim();
				equal([x!.id, x!.limitKey], ["x", "a"], "claimed, one at a time");
				equal((await limiter.turn()).claims, [], "claimed while the place is taken");
				await bench.settleAll([x!], { type: "release", limitKey: "b" });
				const both = await limiter.claim();
				equal(both.map(({ id, limitKey }) => [id, limitKey]).sort(), [["x", "b"], ["y", "a"]], "claimed with two keys");
				await bench.settleAll(both, { type: "release" });
				equal(idsOf(await limiter.claim()).sort(), ["x", "y"], "claimed after releases that name no key");
			},
		},
		{
			title: "turn() leaves a held task of a key as it is, and counts one that is running",
			async run(bench) {
				const limiter = new Limiter(bench, { atOnce: 1 });
				await bench.add(...keyed("a", 3));
				await bench.change("a1", "hold");
				const [a2] = await limiter.claim(9, bench.unit);
				equal(a2!.id, "a2", "claimed while the first is held");
				await bench.change("a2", "hold");
				await bench.pass(1);
				const { claims, dueIn } = await limiter.turn();
				equal([claims, dueIn], [[], Infinity], "claims and dueIn while the only place is that of a held task");
				await bench.settleAll([a2!], { type: "release" });
				equal(await bench.states("a1", "a2", "a3"), ["held", "held", "waiting"], "states");
				const rest = await limiter.claim();
				equal(idsOf(rest), ["a3"], "claimed");
				await bench.change("a1", "release");
				await limiter.expectNext(rest, "a3", ["a1"]);
			},
		},
		{
			title: "turn() keeps a lane in order while its head waits for a place, and its place in the lane",
			async run(bench) {
				const limiter = new Limiter(bench, { atOnce: 1 });
				await bench.add(
					...keyed("a", 1),
					{ id: "head", limitKey: "a", lane: "l" },
					{ id: "behind", lane: "l" },
					{ id: "keyed behind", lane: "l", limitKey: "b" },
					{ id: "last", lane: "l" },
				);
				const first = await limiter.claim();
				equal(idsOf(first), ["a1"], "claimed");
				const [head] = await limiter.expectNext(first, "a1", ["head"]);
				const [again] = await limiter.expectNext([head!], "head", ["head"], {
					type: "retry",
					delay: 0,
					attempts: 1,
					error: "x",
				});
				const [behind] = await limiter.expectNext([again!], "head", ["behind"]);
				const [next] = await limiter.expectNext([behind!], "behind", ["keyed behind"]);
				await limiter.expectNext([next!], "keyed behind", ["last"], { type: "dead", attempts: 1, error: "x" });
				equal(await bench.change("keyed behind", "retry"), true, "whether the dead one is retried");
				equal((await bench.get("keyed behind")).limitKey, "b", "key of a retried task");
			},
		},
		{
			title: "turn() claims a dead task of a key that is retried, when there is a place",
			async run(bench) {
				const limiter = new Limiter(bench, { atOnce: 1 });
				await bench.add(...keyed("a", 2));
				const claims = await limiter.claim();
				const next = await limiter.expectNext(claims, "a1", ["a2"], { type: "dead", attempts: 1, error: "x" });
				await bench.change("a1", "retry");
				equal((await limiter.turn()).claims, [], "claimed while the place is taken");
				await limiter.expectNext(next, "a2", ["a1"]);
			},
		},
		{
			title: "turn() has a place again when a running task is deleted, done and kept, or waits for a message",
			async run(bench) {
				const limiter = new Limiter(bench, { atOnce: 1 });
				await bench.add(...keyed("a", 5));
				let claims = await limiter.claim();
				await bench.store.delete(bench.basket, ["a1"]);
				claims = await limiter.claim();
				equal(idsOf(claims), ["a2"], "claimed after the deletion");
				claims = await limiter.expectNext(claims, "a2", ["a3"], { type: "done", retain: bench.long });
				equal((await bench.get("a2")).limitKey, "a", "key of a task that is kept as done");
				claims = await limiter.expectNext(claims, "a3", ["a4"], { type: "later", delay: null, seen: 0 });
				await bench.store.post(bench.basket, "a3", "hello");
				equal((await limiter.turn()).claims, [], "claimed after a message, while the place is taken");
				await bench.store.delete(bench.basket, ["a5"]);
				await limiter.expectNext(claims, "a4", ["a3"]);
			},
		},
		{
			title: "turn() has a place for the tasks of a key that is paused meanwhile, and none for others",
			async run(bench) {
				const { store, basket } = bench;
				const limiter = new Limiter(bench, { atOnce: 1 });
				await bench.add(...keyed("a", 2), ...keyed("b", 1).map((task) => ({ ...task, kind: "other" })));
				await store.pause(basket, "work", true);
				const claim = [{ kinds: ["work", "other"], limit: 9 }];
				const { claims, dueIn } = await bench.turn({ claim, limits: [limitedTo({ atOnce: 1 })] });
				equal(idsOf(claims), ["b1"], "claimed");
				between(dueIn, bench.long / 2, bench.long, "dueIn");
				await store.pause(basket, "work", false);
				equal(idsOf(await limiter.claim()), ["a1"], "claimed when resumed");
			},
		},
		{
			title: "add() that replaces a task gives it another key",
			async run(bench) {
				const limiter = new Limiter(bench, { atOnce: 1 });
				await bench.add(...keyed("a", 2), ...keyed("b", 1));
				const [a1, b1] = [...await limiter.claim()].sort((x, y) => x.id < y.id ? -1 : 1);
				const replace = (id: string, limitKey?: string) => bench.add({ id, limitKey, ifPresent: "replace" });
				await replace("a2", "b");
				await bench.settleAll([a1!]);
				equal((await limiter.turn()).claims, [], "claimed while the place of the new key is taken");
				equal((await bench.get("a2")).limitKey, "b", "its key");
				await replace("b1", "c");
				equal((await bench.get("b1")).limitKey, "b", "key of a replaced task that is still running");
				const both = await limiter.expectNext([b1!], "b1", ["a2", "b1"]);
				equal((await bench.get("b1")).limitKey, "c", "its key when that run has ended");
				await replace("b1");
				await limiter.expectNext(both, "b1", ["b1"]);
				equal((await bench.get("b1")).limitKey, undefined, "its key when the replacement has none");
			},
		},
		{
			title: "turn() puts a crashed task that was replaced by one with another key behind the gate of that",
			async run(bench) {
				const limiter = new Limiter(bench, { atOnce: 1 });
				await bench.add(...keyed("a", 2), ...keyed("b", 2));
				const claims = [...await limiter.claim(9, bench.unit)].sort((x, y) => x.id < y.id ? -1 : 1);
				equal(idsOf(claims), ["a1", "b1"], "claimed");
				// Each has the place that the other one needs.
				await bench.add({ id: "a1", limitKey: "b", payload: "new", ifPresent: "replace" });
				await bench.add({ id: "b1", limitKey: "a", payload: "new", ifPresent: "replace" });
				await bench.pass(1);
				const ended: unknown[] = [];
				for (let turn = 0; turn < 20 && ended.length < 4; turn++) {
					const some = await limiter.claim();
					equal(new Set(some.map(({ limitKey }) => limitKey)).size, some.length, "how many have keys of their own");
					for (const { id, limitKey, crashes, payload } of some) ended.push([id, limitKey, crashes, payload]);
					await bench.settleAll(some);
				}
				const wanted = [["a1", "b", 1, "new"], ["a2", "a", 0, "payload of a2"], ["b1", "a", 1, "new"]];
				equal([...ended].sort(), [...wanted, ["b2", "b", 0, "payload of b2"]], "claims");
			},
		},
		{
			title: "turn() claims a crashed task of a key once, though a newer payload has lowered its priority",
			async run(bench) {
				const limiter = new Limiter(bench, { atOnce: 9 });
				await bench.add({ id: "a", limitKey: "k", priority: 5 });
				await limiter.claim(9, bench.unit);
				await bench.add({ id: "a", limitKey: "k", priority: 1, payload: "new", ifPresent: "replace" }, {
					id: "b",
					priority: 1,
				});
				await bench.pass(1);
				const claims = await limiter.claim();
				const shown = claims.map(({ id, crashes, payload, priority }) => [id, crashes, payload, priority]);
				equal(shown, [["a", 1, "new", 1], ["b", 0, "payload of b", 1]], "claims");
				await bench.settleAll(claims);
			},
		},
		{
			title: "list(), get() and counts() show tasks that wait for a place as waiting, with their keys",
			async run(bench) {
				const limiter = new Limiter(bench, { atOnce: 1 });
				await bench.add(...keyed("a", 3), "x");
				await limiter.claim();
				const listed = await bench.list();
				equal(listed.map(({ id, limitKey }) => [id, limitKey]), [["a1", "a"], ["a2", "a"], ["a3", "a"], [
					"x",
					undefined,
				]], "list");
				equal(listed.map(({ state }) => state), ["running", "waiting", "waiting", "running"], "states");
				const { waiting, running } = await bench.store.counts(bench.basket);
				equal([waiting, running], [2, 2], "counts");
				equal((await bench.get("a2")).limitKey, "a", "key of a task that waits");
				const query = { state: "waiting", limit: 9 } as const;
				equal(idsOf(await bench.store.list(bench.basket, query)), ["a2", "a3"], "list of waiting tasks");
			},
		},
		{
			title:
				"add(), complete(), delete() and change() in a transaction are right about limits when it commits, and if not",
			needs: ["tx"],
			async run(bench) {
				const { store, basket } = bench;
				const limiter = new Limiter(bench, { atOnce: 1 });
				const inTx = (work: (tx: unknown) => Promise<unknown>) => bench.patiently(bench.fixture.transaction!(work));
				const inVain = (work: (tx: unknown) => Promise<unknown>) =>
					inTx(async (tx) => {
						await work(tx);
						throw new Error("roll back");
					}).then(() => false, () => true);
				const add = (tx: unknown) => store.add(basket, keyed("a", 3).map(newTask), tx);
				equal(await inVain(add), true, "whether the first transaction has not committed");
				await inTx(add);
				const claims = await limiter.claim();
				equal(idsOf(claims), ["a1"], "claimed");
				const complete = (tx: unknown) => store.complete(basket, claims[0]!, { type: "done" }, tx);
				await inVain(complete);
				equal((await limiter.turn()).claims, [], "claimed when the end of the task was rolled back");
				await inTx(complete);
				const next = await limiter.claim();
				equal(idsOf(next), ["a2"], "claimed when the task has ended");
				await inVain((tx) => store.delete(basket, ["a2"], tx));
				equal((await limiter.turn()).claims, [], "claimed when the deletion was rolled back");
				await inTx((tx) => store.change(basket, ["a3"], "hold", tx));
				await inTx((tx) => store.delete(basket, ["a2"], tx));
				equal((await limiter.turn()).claims, [], "claimed while the last is held");
				await inTx((tx) => store.change(basket, ["a3"], "release", tx));
				equal(idsOf(await limiter.claim()), ["a3"], "claimed when it was released");
			},
		},
	];
}
