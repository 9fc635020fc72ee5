/**
 * Tests of limits: how often tasks of a key start, and when a store is to be asked again.
 *
 * @module
 */

import type { Outcome, Settlement } from "../../basket/store.ts";
import { between, equal, fail } from "./assert.ts";
import { type Bench, idsOf, type StoreTest } from "./bench.ts";
import { done, keyed, limitedTo, Limiter } from "./limiter.ts";

/** A function, because bundlers treat the call of a function at the top as a side effect. */
export function spacing(): StoreTest[] {
	return [
		{
			title: "turn() lets the starts of a key be as far apart as its limit says, and no farther",
			async run(bench) {
				const { unit, isExact } = bench;
				const limiter = new Limiter(bench, { spacing: unit });
				await bench.add(...keyed("a", 3), ...keyed("b", 1));
				equal(idsOf(await limiter.claim()).sort(), ["a1", "b1"], "claimed first");
				if (isExact) {
					await bench.fixture.advance!(unit - 1);
					const { claims, dueIn } = await limiter.turn();
					equal(claims, [], "claimed a millisecond too early");
					between(dueIn, 0.001, 1, "dueIn then");
					await bench.fixture.advance!(1);
				} else await bench.pass(1);
				equal(idsOf(await limiter.claim()), ["a2"], "claimed then");
				await bench.pass(5);
				equal(idsOf(await limiter.claim()), ["a3"], "claimed after a rest");
			},
		},
		{
			title: "turn() lets as many tasks of a key start at once as its limit says, and then one after the other",
			async run(bench) {
				const limiter = new Limiter(bench, { spacing: bench.isExact ? bench.unit : bench.long, burst: 3 });
				await bench.add(...keyed("a", 12));
				equal(idsOf(await limiter.claim()), ["a1", "a2", "a3"], "claimed first");
				equal((await limiter.turn()).claims, [], "claimed when that is used up");
				if (!bench.isExact) return;
				await bench.pass(1);
				equal(idsOf(await limiter.claim()), ["a4"], "claimed a moment later");
				await bench.pass(2);
				equal(idsOf(await limiter.claim()), ["a5", "a6"], "claimed two moments later");
				await bench.pass(9);
				equal(idsOf(await limiter.claim()), ["a7", "a8", "a9"], "claimed after a rest");
			},
		},
		{
			title: "turn() rounds no time between two starts",
			async run(bench) {
				if (!bench.isExact) return;
				const limiter = new Limiter(bench, { spacing: 1000 / 7, burst: 2 });
				await bench.add(...keyed("a", 142));
				let settle: Settlement[] = done(await limiter.claim());
				equal(settle.length, 2, "how many start at once");
				let passed = 0;
				for (let count = 1; count <= 140; count++) {
					// A whole number of milliseconds may be just over or just under what the store has calculated.
					const due = Math.ceil(count * 1000 / 7) + (count % 7 === 0 ? 1 : 0);
					const early = count % 20 === 0 ? due - (count % 7 === 0 ? 2 : 1) : due;
					if (early < due) {
						await bench.fixture.advance!(early - passed);
						equal((await limiter.turn({ settle })).claims, [], `claimed before start ${count}`);
						settle = [];
					}
					await bench.fixture.advance!(due - Math.max(passed, early < due ? early : passed));
					passed = due;
					const { claims } = await limiter.turn({ settle });
					equal(claims.length, 1, `how many are claimed at start ${count}, after ${due} ms`);
					settle = done(claims);
				}
			},
		},
		{
			title: "turn() counts retries and whatever else is claimed again as starts",
			async run(bench) {
				const { long, unit, isExact } = bench;
				const outcomes: Outcome[] = [
					{ type: "retry", delay: 0, attempts: 1, error: "x" },
					{ type: "later", delay: 0, seen: 0 },
					{ type: "release", delay: 0 },
				];
				for (const outcome of outcomes) {
					const key = outcome.type;
					const limiter = new Limiter(bench, { spacing: isExact ? unit : long });
					await bench.add({ id: key, limitKey: key });
					const claims = await limiter.claim();
					const { claims: next, dueIn } = await limiter.turn({ settle: [{ ref: claims[0]!, outcome }] });
					equal(next, [], `claimed again at once after ${key}`);
					between(dueIn, isExact ? unit - 1 : long / 2, isExact ? unit : long, `dueIn after ${key}`);
					if (!isExact) continue;
					await bench.pass(1);
					await bench.settleAll(await limiter.claim());
					equal(await bench.states(key), [undefined], `state of ${key} in the end`);
				}
			},
		},
		{
			title: "turn() counts the claim that takes up a crashed task as a start",
			async run(bench) {
				const { unit, long, isExact } = bench;
				const limiter = new Limiter(bench, { spacing: isExact ? 4 * unit : long, atOnce: 1 });
				await bench.add(...keyed("a", 2));
				await limiter.claim(9, unit);
				await bench.pass(2);
				const { claims, dueIn } = await limiter.turn();
				equal(claims, [], "claimed when the lease is over");
				between(dueIn, isExact ? 2 * unit - 1 : long / 2, isExact ? 2 * unit : long, "dueIn then");
				if (!isExact) return;
				await bench.pass(2);
				const taken = await limiter.claim();
				equal(taken.map(({ id, crashes }) => [id, crashes]), [["a1", 1]], "claimed then");
				equal(await limiter.expectNext(taken, "a1", []), [], "claimed at once after the end of that");
				await bench.pass(4);
				equal(idsOf(await limiter.claim()), ["a2"], "claimed last");
			},
		},
		{
			title: "turn() takes the start of a released claim back",
			async run(bench) {
				const limiter = new Limiter(bench, { spacing: bench.long, burst: 3 });
				await bench.add(...keyed("a", 5));
				let claims = await limiter.claim();
				equal(claims.length, 3, "how many are claimed");
				for (let round = 0; round < 3; round++) {
					await bench.settleAll(claims, { type: "release" });
					claims = await limiter.claim();
					equal(claims.length, 3, "how many are claimed after all were released");
				}
				await bench.settleAll(claims.slice(0, 2));
				equal((await limiter.turn()).claims, [], "claimed when two have ended");
				await bench.settleAll(claims.slice(2), { type: "release" });
				claims = await limiter.claim();
				equal(claims.length, 1, "how many are claimed when the third was released");
				await bench.settleAll(claims, { type: "release", delay: 0 });
				equal((await limiter.turn()).claims, [], "claimed when it was released after it had run");
			},
		},
		{
			title: "turn() takes a start back for the key under which it was",
			async run(bench) {
				const limiter = new Limiter(bench, { spacing: bench.long });
				await bench.add(...keyed("a", 2), ...keyed("b", 1));
				const claims = await limiter.claim();
				equal(idsOf(claims).sort(), ["a1", "b1"], "claimed");
				const a1 = claims.find(({ id }) => id === "a1")!;
				equal(
					idsOf(await limiter.expectNext([a1], "a1", ["a2"], { type: "release", limitKey: "b" })),
					["a2"],
					"claimed",
				);
				equal((await bench.get("a1")).limitKey, "b", "its key");
			},
		},
		{
			title: "turn() starts no more than its limit says after a claim was released that later starts have followed",
			async run(bench) {
				if (!bench.isExact) return;
				const { unit } = bench;
				const limiter = new Limiter(bench, { spacing: unit });
				await bench.add(...keyed("a", 3));
				const [a1] = await limiter.claim();
				await bench.pass(1);
				equal(idsOf(await limiter.claim()), ["a2"], "claimed");
				const { claims, dueIn } = await limiter.turn({ settle: [{ ref: a1!, outcome: { type: "release" } }] });
				equal(claims, [], "claimed at once");
				between(dueIn, unit - 1, unit, "dueIn");
				await bench.pass(1);
				equal((await limiter.claim()).length, 1, "how many are claimed then");
			},
		},
		{
			title: "turn() gives nothing back for a claim that no limit has counted",
			async run(bench) {
				const limiter = new Limiter(bench, { spacing: bench.long });
				await bench.add(...keyed("a", 3));
				equal(idsOf(await limiter.claim()), ["a1"], "claimed with the limit");
				const others = await bench.claim(2);
				equal(idsOf(others), ["a2", "a3"], "claimed without it");
				await bench.settleAll(others, { type: "release" });
				equal((await limiter.turn()).claims, [], "claimed with the limit after the release");
			},
		},
		{
			title: "turn() starts nothing of a key that an outcome has shut, until its delay has passed",
			async run(bench) {
				const { unit, long, isExact } = bench;
				const limiter = new Limiter(bench, {});
				const outcomes: Outcome[] = [
					{ type: "retry", delay: long, attempts: 1, error: "x", isKeyShut: true },
					{ type: "later", delay: long, seen: 0, isKeyShut: true },
					{ type: "release", delay: long, isKeyShut: true },
				];
				for (const outcome of outcomes) {
					const key = outcome.type;
					await bench.add(...keyed(key, 4), ...keyed(`other than ${key}`, 1));
					const claims = await limiter.claim(2);
					const first = claims.filter(({ limitKey }) => limitKey === key);
					const settle = first.map((ref) => ({ ref, outcome }));
					const { claims: next, dueIn } = await limiter.turn({ settle });
					const shut = next.filter(({ limitKey }) => limitKey === key);
					equal([first.length > 0, idsOf(shut)], [true, []], `claimed of a key that ${key} has shut`);
					between(dueIn, isExact ? long - 1 : long / 2, long, "dueIn");
					await bench.settleAll([...claims, ...next].filter(({ limitKey }) => limitKey !== key));
					const ids = (await bench.list()).filter(({ limitKey }) => limitKey === key).map(({ id }) => id);
					equal(ids.length, 4, "how many wait");
					if (!isExact) {
						await bench.store.delete(bench.basket, ids);
						continue;
					}
					await bench.fixture.advance!(long - 1);
					equal((await limiter.turn()).claims, [], "claimed a millisecond too early");
					await bench.fixture.advance!(1);
					const all = await limiter.claim();
					equal(idsOf(all).sort(), ids, "claimed then");
					await bench.settleAll(all);
				}
				if (!isExact) return;
				await bench.add(...keyed("a", 3));
				const [a1, a2] = await limiter.claim(2);
				const shutFor = (delay: number): Outcome => ({
					type: "retry",
					delay,
					attempts: 1,
					error: "x",
					isKeyShut: true,
				});
				await bench.settle(a1!, shutFor(3 * unit));
				await bench.settle(a2!, shutFor(unit));
				await bench.pass(2);
				equal((await limiter.turn()).claims, [], "claimed when the shorter delay has passed");
				await bench.pass(1);
				equal((await limiter.claim()).length, 3, "how many are claimed when both have passed");
			},
		},
		{
			title: "turn() keeps a key shut, and its starts apart, while it has no tasks",
			async run(bench) {
				const { unit, long, isExact } = bench;
				const limiter = new Limiter(bench, { spacing: isExact ? 2 * unit : long });
				await bench.add("stays", ...keyed("a", 1), ...keyed("b", 1));
				const claims = await limiter.claim();
				const a1 = claims.find(({ id }) => id === "a1")!;
				await bench.settle(a1, { type: "retry", delay: 4 * unit, attempts: 1, error: "x", isKeyShut: true });
				await bench.store.delete(bench.basket, ["a1"]);
				await bench.settleAll(claims.filter(({ id }) => id === "b1"));
				await bench.add(...keyed("a", 1), ...keyed("b", 1));
				equal((await limiter.turn()).claims, [], "claimed of new tasks of the two keys");
				if (!isExact) return;
				await bench.pass(2);
				equal(idsOf(await limiter.claim()), ["b1"], "claimed when the starts are far enough apart");
				await bench.pass(1);
				equal((await limiter.turn()).claims, [], "claimed while the other key is shut");
				await bench.pass(1);
				equal(idsOf(await limiter.claim()), ["a1"], "claimed when it is not");
			},
		},
		{
			title: "hasten() and retry() make tasks of a key due, but do not open its gate",
			async run(bench) {
				const { long, store, basket } = bench;
				const limiter = new Limiter(bench, { atOnce: 1 });
				await bench.add(...keyed("a", 2), { id: "a3", limitKey: "a", delay: long });
				const first = await limiter.claim();
				const outcome: Outcome = { type: "retry", delay: long, attempts: 1, error: "x", backoff: true };
				const next = await limiter.expectNext(first, "a1", ["a2"], outcome);
				equal(await store.hasten(basket, 0), 1, "how many are hastened");
				equal(await bench.change("a3", "retry"), true, "whether the delayed task is due");
				equal((await limiter.turn()).claims, [], "claimed while the place is taken");
				await bench.settleAll(next);
				const [one] = await limiter.claim();
				const [other] = await limiter.expectNext([one!], one!.id, [one!.id === "a1" ? "a3" : "a1"]);
				equal([one!.id, other!.id].sort(), ["a1", "a3"], "claimed");
			},
		},
		{
			title: "turn() says when a gate may open, and never 0 for one that is closed",
			async run(bench) {
				const { unit, long, isExact } = bench;
				const near = (dueIn: number, wanted: number, what: string) =>
					between(dueIn, isExact ? wanted - 1 : wanted / 2, wanted, `dueIn ${what}`);
				await bench.add(...keyed("a", 3));
				const limiter = new Limiter(bench, { atOnce: 1 });
				const first = await limiter.turn({ lease: long / 2 });
				near(first.dueIn, long / 2, "when the lease of the running task ends first");
				await bench.add({ id: "b1", limitKey: "b", delay: long / 4 });
				near((await limiter.turn()).dueIn, long / 4, "when a task of another key is due first");
				await bench.add({ id: "other", kind: "other", delay: long / 8 });
				const two = [{ kinds: ["work"], limit: 9 }, { kinds: ["other"], limit: 9 }];
				near((await limiter.turn({ claim: two })).dueIn, long / 8, "when a task of another kind is due first");
				await bench.store.delete(bench.basket, ["b1", "other"]);
				await bench.settleAll(first.claims);
				const spaced = new Limiter(bench, { spacing: long });
				equal(idsOf((await spaced.turn()).claims), ["a2"], "claimed");
				near((await spaced.turn()).dueIn, long, "when the next start of the key is first");
				equal((await new Limiter(bench, { atOnce: 9 }).turn({}, 1)).dueIn > 0, true, "dueIn when nothing else waits");
				if (!isExact) return;
				await bench.add(...keyed("c", 1));
				await bench.fixture.advance!(unit);
				const both = await spaced.turn({}, 1);
				equal(both.claims.length, 1, "how many are claimed");
			},
		},
		{
			title: "turn() says that there is more behind a gate that is open",
			async run(bench) {
				const limiter = new Limiter(bench, { atOnce: 3 });
				await bench.add(...keyed("a", 5));
				equal((await limiter.turn({}, 2)).dueIn, 0, "dueIn when there is a place");
				const { claims, dueIn } = await limiter.turn({}, 2);
				equal(idsOf(claims), ["a3"], "claimed");
				between(dueIn, bench.long / 2, bench.long, "dueIn when there is none");
			},
		},
		{
			title: "watch() wakes when a place becomes free and others wait for it",
			needs: ["watch"],
			async run(bench) {
				const limits = [limitedTo({ atOnce: 5 })];
				await bench.add(...keyed("a", 11));
				const { claims } = await bench.turn({ claim: [{ kinds: ["work"], limit: 9 }], limits });
				equal(claims.length, 5, "how many are claimed");
				await bench.until(() => false, 10);
				await expectWoken(bench, [
					() => bench.settleAll(claims.slice(0, 1)),
					() => bench.settleAll(claims.slice(1, 2)),
				]);
				await expectWoken(bench, [
					() => bench.store.delete(bench.basket, [claims[2]!.id]),
					() => bench.store.delete(bench.basket, [claims[3]!.id]),
				]);
			},
		},
	];
}

/** Expects one of the causes to wake a watcher: a hint may be lost. */
async function expectWoken(bench: Bench, causes: readonly (() => Promise<unknown>)[]): Promise<void> {
	let woken = 0;
	const stop = bench.store.watch!(bench.basket, () => woken++, () => {});
	try {
		await bench.until(() => false, 10); // it may have been woken for earlier changes
		woken = 0;
		for (const cause of causes) {
			await cause();
			if (await bench.until(() => woken > 0, 100)) return;
		}
		fail("watch() has not woken, though places have become free");
	} finally {
		stop();
	}
}
