/**
 * Tests of limits: how many tasks of a key run at once, and which of them are claimed.
 *
 * @module
 */

import type { Claim, Ref, Settlement } from "../../basket/store.ts";
import { equal } from "./assert.ts";
import { type Bench, idsOf, numbered, type StoreTest } from "./bench.ts";
import { done, keyed, limitedTo, Limiter } from "./limiter.ts";

/** A function, because bundlers treat the call of a function at the top as a side effect. */
export function limiting(): StoreTest[] {
	return [
		{
			title: "turn() claims no more tasks of a key than may run at once, and those of other keys",
			async run(bench) {
				const limiter = new Limiter(bench, { atOnce: 2 });
				await bench.add(...keyed("a", 5), ...keyed("b", 1), ...keyed("", 3));
				const first = await limiter.turn();
				equal(idsOf(first.claims).sort(), ["1", "2", "a1", "a2", "b1"], "claimed");
				equal(first.claims.map(({ limitKey }) => limitKey).sort(), ["", "", "a", "a", "b"], "keys of the claims");
				equal((await limiter.turn()).claims, [], "claimed while all places are taken");
				equal(await bench.states("a1", "a3"), ["running", "waiting"], "states");
				await limiter.expectNext(first.claims, "a1", ["a3"]);
				await limiter.expectNext(first.claims, "1", ["3"]);
			},
		},
		{
			title: "turn() claims tasks without a key of a kind that has a limit",
			async run(bench) {
				const limiter = new Limiter(bench, { atOnce: 1, spacing: bench.long });
				await bench.add("x", "y", ...keyed("a", 2), "z");
				const { claims } = await limiter.turn();
				equal(idsOf(claims).sort(), ["a1", "x", "y", "z"], "claimed");
				equal(claims.find(({ id }) => id === "x")!.limitKey, undefined, "key of a task without one");
			},
		},
		{
			title: "turn() without a limit for a kind claims all of its tasks, and with one again counts what is running",
			async run(bench) {
				const limiter = new Limiter(bench, { atOnce: 2, spacing: bench.long, burst: 2 });
				await bench.add(...keyed("a", 3));
				const [a1] = await limiter.claim(1);
				await bench.settle(a1!, { type: "retry", delay: bench.long, attempts: 1, error: "x", isKeyShut: true });
				equal((await limiter.turn()).claims, [], "claimed while the key is shut");
				const claim = [{ kinds: ["work"], limit: 9 }];
				const { claims } = await bench.turn({ claim, limits: [limitedTo({ atOnce: 1 }, "other")] });
				equal(idsOf(claims), ["a2", "a3"], "claimed without a limit");
				await bench.add(...keyed("b", 3));
				const four = await bench.claim(1);
				await bench.settleAll(four);
				equal(idsOf(four), ["b1"], "claimed without a limit, of the other key");
				const other = new Limiter(bench, { atOnce: 2 });
				equal(idsOf(await other.claim()), ["b2", "b3"], "claimed of the other key with a limit again");
				await bench.add({ id: "a4", limitKey: "a" });
				await bench.settleAll(claims.slice(0, 1), { type: "dead", attempts: 1, error: "x" });
			},
		},
		{
			title: "turn() heeds a limit that differs from that of the turn before",
			async run(bench) {
				await bench.add(...keyed("a", 8));
				const expect = async (atOnce: number, ids: string[]) => {
					equal(idsOf(await new Limiter(bench, { atOnce }).claim()), ids, `claimed with ${atOnce} at once`);
				};
				await expect(1, ["a1"]);
				await expect(3, ["a2", "a3"]);
				await expect(2, []);
				await expect(4, ["a4"]);
				await expect(Infinity, ["a5", "a6", "a7", "a8"]);
			},
		},
		{
			title: "turn() keeps tasks of two kinds with the same key apart",
			async run(bench) {
				await bench.add(
					...keyed("a", 2),
					...keyed("a", 2).map((task) => ({ ...task, id: "o" + task.id, kind: "other" })),
				);
				const claim = [{ kinds: ["work", "other"], limit: 9 }];
				const limits = [limitedTo({ atOnce: 1 }), limitedTo({ atOnce: 2 }, "other")];
				equal(idsOf((await bench.turn({ claim, limits })).claims).sort(), ["a1", "oa1", "oa2"], "claimed");
			},
		},
		{
			title: "turn() serves the keys in turn, whatever waits behind one of them",
			async run(bench) {
				const limiter = new Limiter(bench, { atOnce: Infinity });
				await bench.add(...keyed("many", 1000));
				equal(idsOf(await limiter.claim(1)), ["many1"], "claimed first");
				for (const key of ["a", "b", "c"]) await bench.add(...keyed(key, 2));
				const served: (string | undefined)[] = [];
				for (let turn = 0; turn < 8; turn++) {
					await limiter.tick();
					served.push((await limiter.claim(1))[0]?.limitKey);
				}
				equal([...new Set(served)].sort(), ["a", "b", "c", "many"], "keys that were served in eight turns");
			},
		},
		{
			title: "turn() is not kept from other keys by those that are full",
			async run(bench) {
				const limiter = new Limiter(bench, { atOnce: 1 });
				await bench.add(...numbered(40, "full ").flatMap((key) => keyed(key, 5)));
				await bench.add(...keyed("late", 2).map((task) => ({ ...task, priority: -1 })));
				const claims = await limiter.claim(100);
				equal(new Set(claims.map(({ limitKey }) => limitKey)).size, 41, "keys of which one is claimed");
				equal(claims.length, 41, "how many are claimed");
				await limiter.expectNext(claims, "late1", ["late2"]);
			},
		},
		{
			title: "turn() claims the tasks of a key by priority, due time and order",
			async run(bench) {
				const { unit } = bench;
				const limiter = new Limiter(bench, { atOnce: 1 });
				await bench.add(
					{ id: "third", limitKey: "a" },
					{ id: "last", limitKey: "a", priority: -1 },
					{ id: "first", limitKey: "a", priority: 2, delay: unit },
					{ id: "second", limitKey: "a", priority: 1 },
					{ id: "fourth", limitKey: "a", delay: unit },
				);
				await bench.pass(1);
				let settle: Settlement[] = [];
				for (const id of ["first", "second", "third", "fourth", "last"]) {
					const { claims } = await limiter.turn({ settle });
					equal(idsOf(claims), [id], "claimed");
					settle = done(claims);
				}
			},
		},
		{
			title: "turn() takes the crashed tasks of a key up by priority, the end of the lease and order",
			async run(bench) {
				const limiter = new Limiter(bench, { atOnce: 9 });
				const ids = ["fourth", "fifth", "sixth", "second", "third", "first"];
				const priorities = [0, 0, 0, 1, 1, 2];
				await bench.add(...ids.map((id, index) => ({ id, limitKey: "a", priority: priorities[index]! })));
				equal((await limiter.claim(20, bench.unit)).length, ids.length, "how many are claimed");
				await bench.pass(2);
				for (const id of ["first", "second", "third", "fourth", "fifth", "sixth"]) {
					equal(idsOf(await limiter.claim(1)), [id], "taken up");
				}
			},
		},
		{
			title: "turn() merges the tasks of a key with other tasks by priority, due time and order",
			async run(bench) {
				await bench.add(
					...[1, 2, 3, 4, 5, 6].map((n) => ({
						id: `${n}`,
						kind: n % 3 === 0 ? "other" : "work",
						priority: n === 5 ? 1 : 0,
						limitKey: n % 2 === 0 ? undefined : "a",
					})),
				);
				const limits = [limitedTo({ atOnce: 2 })];
				const next = async (limit: number) =>
					idsOf((await bench.turn({ claim: [{ kinds: ["work", "other"], limit }], limits })).claims);
				equal(await next(1), ["5"], "claimed first");
				equal(await next(3), ["1", "2", "3"], "claimed next");
				equal(await next(3), ["4", "6"], "claimed last");
			},
		},
		{
			title: "turn() starves neither a key nor tasks without one",
			async run(bench) {
				const ids = numbered(30, "");
				const names = ["a", "b", "c", "none", "other"];
				await bench.add(...ids.flatMap((id) =>
					names.map((name) => ({
						id: name + id,
						kind: name === "other" ? "other" : "work",
						limitKey: name.length === 1 ? name : undefined,
					}))
				));
				const served = new Set<string>();
				const claim = [{ kinds: ["work", "other"], limit: 3 }];
				let settle: Settlement[] = [];
				for (let turn = 0; turn < 12; turn++) {
					const { claims } = await bench.turn({ settle, claim, limits: [limitedTo({ atOnce: 2 })] });
					equal(claims.length, 3, "how many are claimed");
					for (const { id } of claims) served.add(id.replace(/\d+/, ""));
					settle = done(claims);
				}
				equal([...served].sort(), names, "served in twelve turns");
			},
		},
		{
			title: "turn() counts a task whose lease is over until it is taken up, which needs no second place",
			async run(bench) {
				const limiter = new Limiter(bench, { atOnce: 1 });
				await bench.add({ id: "crashed", limitKey: "a" });
				const [first] = await limiter.claim(9, bench.unit);
				await bench.add({ id: "waiting", limitKey: "a", priority: 1 });
				await bench.pass(1);
				equal(await bench.settle(first!, { type: "release" }), true, "whether the expired claim could be ended");
				const second = await limiter.claim(9, bench.unit);
				equal(idsOf(second), ["waiting"], "claimed when the place is free");
				await bench.add({ id: "urgent", limitKey: "a", priority: 9 });
				await bench.pass(1);
				const third = await limiter.claim();
				equal(third.map(({ id, crashes }) => [id, crashes]), [["waiting", 1]], "claimed when the lease is over");
				await limiter.expectNext(third, "waiting", ["urgent"]);
			},
		},
		{
			title: "turn() never has more tasks of a key than may run at once in several calls at once",
			async run(bench) {
				await race(bench, [bench, bench, bench, bench].map(({ store }) => store));
			},
		},
		{
			title: "turn() never has more tasks of a key than may run at once, together with other processes",
			needs: ["shared"],
			async run(bench) {
				await race(bench, [bench.store, await bench.fixture.another!(), await bench.fixture.another!()]);
			},
		},
	];
}

/** Several workers empty a basket together. Each one claims, and settles in its next turn. */
async function race(bench: Bench, stores: readonly Bench["store"][]): Promise<void> {
	const keys = ["a", "b", "c", "d"];
	await bench.add(...keys.flatMap((key) => keyed(key, 20)));
	const limits = [limitedTo({ atOnce: 2 })];
	const running = new Map<string, number>(keys.map((key) => [key, 0]));
	const count = (claims: readonly Claim[], change: number) => {
		for (const { limitKey } of claims) running.set(limitKey!, running.get(limitKey!)! + change);
	};
	let [most, ended] = [0, 0];
	const work = async (store: Bench["store"]) => {
		await bench.persistently(() => store.open());
		let claims: readonly Claim[] = [];
		for (let idle = 0; ended < 80 && idle < 1000; idle++) {
			// A task counts only while it is certainly running.
			count(claims, -1);
			const ending: readonly Ref[] = claims;
			const turn = { settle: done(ending), claim: [{ kinds: ["work"], limit: 3 }], limits };
			({ claims } = await bench.persistently(() => bench.turn(turn, store)));
			count(claims, 1);
			for (const count of running.values()) most = Math.max(most, count);
			ended += ending.length;
			if (claims.length > 0) idle = 0;
		}
	};
	await bench.patiently(Promise.all(stores.map(work)));
	equal([ended, most <= 2], [80, true], "how many have ended, and whether at most two of a key were running");
	equal(await bench.list(), [], "left");
}
