/**
 * Tests of claims: which worker gets which task, when, and for how long.
 *
 * @module
 */

import type { Claim, Outcome, Ref } from "../../basket/store.ts";
import { between, equal } from "./assert.ts";
import { type Bench, claimed, idsOf, numbered, type StoreTest } from "./bench.ts";

export const claiming: readonly StoreTest[] = [
	{
		title: "turn() gives a claim everything that a worker needs",
		async run(bench) {
			await bench.add({ id: "a", kind: "mail", payload: "hello", priority: 3, lane: "l" });
			const { claims } = await bench.turn({ claim: [{ kinds: ["mail"], limit: 5 }] });
			const { token, addedAt, age } = claims[0]!;
			const given = { id: "a", kind: "mail", payload: "hello", priority: 3, lane: "l" };
			equal(claimed(claims[0]!), { ...given, attempts: 0, crashes: 0, inbox: [] }, "claim");
			equal([typeof token, typeof addedAt, typeof age], ["string", "number", "number"], "types");
			equal(await bench.states("a"), ["running"], "state");
		},
	},
	{
		title: "turn() that wants nothing does nothing",
		async run(bench) {
			await bench.add("a");
			const { settled, claims } = await bench.turn({});
			equal([settled, claims], [[], []], "settled and claims");
			equal(await bench.states("a"), ["waiting"], "state");
		},
	},
	{
		title: "turn() claims the highest priority first, then the earliest due, then in the order added",
		async run(bench) {
			const { unit } = bench;
			await bench.add(
				{ id: "lowest", priority: -100 },
				{ id: "last", delay: 2 * unit },
				{ id: "second", delay: unit },
				{ id: "third", delay: unit },
				{ id: "high, late", priority: 1, delay: 2 * unit },
				{ id: "high", priority: 1, delay: unit },
				{ id: "highest", priority: 100, delay: 2 * unit },
				{ id: "first" },
			);
			await bench.pass(2);
			const ids = ["highest", "high", "high, late", "first", "second", "third", "last", "lowest"];
			await bench.expectClaims(ids, "in order");
		},
	},
	{
		title: "turn() claims no more than the limit, and says that there is more",
		async run(bench) {
			await bench.add("a", "b", "c");
			const claim = [{ kinds: ["work"], limit: 2 }];
			const first = await bench.turn({ claim });
			equal([idsOf(first.claims), first.dueIn], [["a", "b"], 0], "claims and dueIn");
			const second = await bench.turn({ claim });
			equal(idsOf(second.claims), ["c"], "claimed in the next turn");
			between(second.dueIn, bench.long / 2, bench.long, "dueIn when all are claimed");
		},
	},
	{
		title: "turn() leaves kinds that were not asked for as they are",
		async run(bench) {
			await bench.add(...numbered(30, "other ").map((id) => ({ id, kind: "other", priority: 9 })), "a");
			const { claims, dueIn } = await bench.turn({ claim: [{ kinds: ["work", "nobody has this"], limit: 9 }] });
			equal(idsOf(claims), ["a"], "claimed");
			between(dueIn, bench.long / 2, bench.long, "dueIn, with tasks due of a kind that was not asked for");
			const none = await bench.turn({ claim: [{ kinds: ["nobody has this"], limit: 9 }] });
			equal([none.claims, none.dueIn], [[], Infinity], "claims and dueIn of a kind without tasks");
			equal((await bench.store.counts(bench.basket)).waiting, 30, "how many wait");
		},
	},
	{
		title: "turn() mixes the kinds of one request in one order",
		async run(bench) {
			const kinds = ["a", "b", "c"];
			await bench.add(...numbered(9, "").map((id, index) => ({ id, kind: kinds[index % 3]!, priority: -(index % 2) })));
			const { claims } = await bench.turn({ claim: [{ kinds, limit: 7 }] });
			equal(idsOf(claims), ["1", "3", "5", "7", "9", "2", "4"], "claimed");
		},
	},
	{
		title: "turn() serves several requests one after the other",
		async run(bench) {
			await bench.add(...numbered(6, "a").map((id) => ({ id, kind: "a" })));
			await bench.add(...numbered(3, "b").map((id) => ({ id, kind: "b", priority: -1 })));
			const claim = [{ kinds: ["b"], limit: 2 }, { kinds: ["a", "b"], limit: 3 }, { kinds: ["a"], limit: 1 }];
			const { claims, dueIn } = await bench.turn({ claim });
			equal(idsOf(claims).sort(), ["a1", "a2", "a3", "a4", "b1", "b2"], "claimed");
			equal(dueIn, 0, "dueIn");
		},
	},
	{
		title: "turn() does not give away a task again while its lease holds",
		async run(bench) {
			await bench.running("a", "b");
			await bench.pass(3);
			await bench.expectClaims([], "while the leases hold");
		},
	},
	{
		title: "turn() gives away a task whose lease is over, as crashed, under a new token",
		async run(bench) {
			await bench.add({ id: "a", lane: "l" }, "b");
			const [first] = await bench.claim(20, bench.unit);
			await bench.pass(1);
			const second = (await bench.claim(20, bench.unit)).find(({ id }) => id === "a")!;
			equal([second.attempts, second.crashes], [1, 1], "attempts and crashes of the second claim");
			await bench.pass(1);
			const third = (await bench.claim()).find(({ id }) => id === "a")!;
			equal([third.attempts, third.crashes], [2, 2], "attempts and crashes of the third claim");
			equal(new Set([first!.token, second.token, third.token]).size, 3, "different tokens");
			const stored = await bench.get("a");
			equal([stored.state, stored.attempts, stored.crashes], ["running", 2, 2], "as stored");
		},
	},
	{
		title: "turn() counts a crash when the task is claimed, not before, and puts it in order by the end of its lease",
		async run(bench) {
			await bench.add("a");
			await bench.claim(1, 2 * bench.unit);
			await bench.add({ id: "before", delay: bench.unit }, { id: "after", delay: 3 * bench.unit });
			await bench.pass(4);
			const { state, attempts, crashes } = await bench.get("a");
			equal([state, attempts, crashes], ["running", 0, 0], "before it is claimed");
			const claims = await bench.claim();
			const ids = ["before", "a", "after"];
			// In real time, the lease may have begun well before the delays.
			equal(bench.isExact ? idsOf(claims) : ids, ids, "claimed");
			equal(ids.map((id) => claims.find((claim) => claim.id === id)?.crashes), [0, 1, 0], "crashes");
		},
	},
	{
		title: "turn() and all others write nothing under a token that is not the current one",
		async run(bench) {
			await bench.add("a");
			const lost = await bench.claimOnly("a", bench.unit);
			await bench.pass(1);
			const current = await bench.claimOnly("a");
			await expectFenced(bench, lost);
			await bench.settleAll([current]);
		},
	},
	{
		title: "turn() and all others write nothing about a task that is not running any more",
		async run(bench) {
			const ends: Outcome[] = [
				{ type: "done" },
				{ type: "done", retain: bench.long },
				{ type: "retry", delay: 0, attempts: 1, error: "x" },
				{ type: "later", delay: 0, seen: 0 },
				{ type: "dead", attempts: 1, error: "x" },
				{ type: "release" },
			];
			for (const [index, end] of ends.entries()) {
				const id = `task ${index}`;
				await bench.add(id);
				const claim = await bench.claimOnly(id);
				await bench.settleAll([claim], end);
				await expectFenced(bench, claim);
				await bench.store.delete(bench.basket, [id]);
				await expectFenced(bench, claim);
			}
		},
	},
	{
		title: "turn() never gives a task a token that one with its id had, not even after it was deleted",
		async run(bench) {
			const refs: Ref[] = [];
			for (let round = 0; round < 8; round++) {
				await bench.add("a");
				const claim = await bench.claimOnly("a");
				refs.push(claim);
				if (round % 2 === 0) await bench.store.delete(bench.basket, ["a"]);
				else await bench.settleAll([claim], round % 4 === 1 ? { type: "done" } : { type: "release" });
			}
			equal(new Set(refs.map(({ token }) => token)).size, 8, "different tokens");
			await bench.add("a");
			const current = await bench.claimOnly("a");
			for (const ref of refs) equal(await bench.settle(ref, { type: "done" }), false, "settled with an old token");
			await bench.settleAll([current]);
		},
	},
	{
		title: "turn() settles what it can, and says what it could not",
		async run(bench) {
			const claims = await bench.running("a", "b", "c", "d");
			await bench.store.delete(bench.basket, ["a"]);
			await bench.settleAll([claims[2]!]);
			const { settled } = await bench.turn({ settle: claims.map((ref) => ({ ref, outcome: { type: "done" } })) });
			equal(settled, [false, true, false, true], "settled");
			equal(await bench.list(), [], "left");
		},
	},
	{
		title: "turn() settles before it claims, so that a settled task can be claimed at once",
		async run(bench) {
			const claims = await bench.running("a", "b", "c");
			const settle = [
				{ ref: claims[0]!, outcome: { type: "release" } as const },
				{ ref: claims[1]!, outcome: { type: "retry", delay: 0, attempts: 1, error: "x" } as const },
				{ ref: claims[2]!, outcome: { type: "later", delay: 0, seen: 0 } as const },
			];
			const turn = await bench.turn({ settle, claim: [{ kinds: ["work"], limit: 9 }] });
			equal(turn.settled, [true, true, true], "settled");
			equal(idsOf(turn.claims), ["a", "b", "c"], "claimed");
			await expectFenced(bench, claims[0]!);
		},
	},
	{
		title: "turn() says when something of the kinds asked for is due next",
		async run(bench) {
			const { unit, long } = bench;
			const claim = [{ kinds: ["work"], limit: 9 }];
			equal((await bench.turn({ claim })).dueIn, Infinity, "dueIn without a task");
			await bench.add({ id: "other", kind: "other", delay: 9 * unit }, { id: "later", delay: 2 * long });
			expectIn((await bench.turn({ claim })).dueIn, 2 * long, bench, "dueIn with a delayed task");
			await bench.add("a");
			const turn = await bench.turn({ claim, lease: long });
			expectIn(turn.dueIn, long, bench, "dueIn with a lease that ends before");
			const two = [{ kinds: ["other"], limit: 9 }, { kinds: ["work"], limit: 9 }];
			between((await bench.turn({ claim: two })).dueIn, 0, 9 * unit, "dueIn of the earliest of two requests");
			await bench.pass(9);
			const last = await bench.turn({ claim: [{ kinds: ["other"], limit: 9 }] });
			equal(idsOf(last.claims), ["other"], "claimed when it is due");
		},
	},
	{
		title: "turn() does not count what cannot be claimed as due",
		async run(bench) {
			const [dead, done, later] = await bench.running("dead", "done", "later");
			await bench.settle(dead!, { type: "dead", attempts: 1, error: "x" });
			await bench.settle(done!, { type: "done", retain: bench.unit });
			await bench.settle(later!, { type: "later", delay: null, seen: 0 });
			await bench.add({ id: "held", lane: "l" }, { id: "blocked", lane: "l" });
			await bench.change("held", "hold");
			const turn = await bench.turn({ claim: [{ kinds: ["work"], limit: 9 }] });
			equal([turn.claims, turn.dueIn], [[], Infinity], "claims and dueIn");
		},
	},
	{
		title: "turn() does not count blocked tasks as due while the head is running",
		async run(bench) {
			await bench.add({ id: "head", lane: "l" }, { id: "blocked", lane: "l" });
			const { claims, dueIn } = await bench.turn({ claim: [{ kinds: ["work"], limit: 9 }] });
			equal(idsOf(claims), ["head"], "claimed");
			expectIn(dueIn, bench.long, bench, "dueIn");
		},
	},
	{
		title: "turn() never claims the same task in two calls at once",
		async run(bench) {
			await race(bench, [bench, bench, bench, bench].map(({ store }) => store));
		},
	},
	{
		title: "turn() never claims the same task as another process",
		needs: ["shared"],
		async run(bench) {
			await race(bench, [bench.store, await bench.fixture.another!(), await bench.fixture.another!()]);
		},
	},
	{
		title: "turn() sees what another process adds, and its writes are seen there",
		needs: ["shared"],
		async run(bench) {
			const other = await bench.fixture.another!();
			await bench.persistently(() => other.open());
			await bench.add("a", "b");
			equal(idsOf(await other.list(bench.basket, { limit: 9 })), ["a", "b"], "listed by the other");
			const { claims } = await bench.turn({ claim: [{ kinds: ["work"], limit: 1 }] }, other);
			await bench.expectClaims(["b"], "besides what the other claims");
			await bench.settleAll(claims);
			equal(await other.get(bench.basket, "a"), undefined, "what the other gets after its claim was settled here");
		},
	},
	{
		title: "turn() works through more than fits into one of its commits",
		async run(bench) {
			const ids = numbered(1500, "task ");
			await bench.add(...ids);
			let claims: readonly Claim[] = await claimAll(bench, ids.length);
			equal(idsOf(claims), ids, "claimed");
			const answers = await bench.store.extend(bench.basket, claims, bench.long);
			equal(answers.every((answer) => answer === "ok") && answers.length, 1500, "all leases extended");
			const saved = await bench.store.save(bench.basket, claims.map((ref) => ({ ref, progress: "half" })));
			equal(saved.every(Boolean) && saved.length, 1500, "all saved");
			await bench.settleAll(claims, { type: "release" });
			claims = await claimAll(bench, ids.length);
			await bench.settleAll(claims.slice(0, 700));
			await bench.settleAll(claims.slice(700), { type: "dead", attempts: 1, error: "x" });
			equal((await bench.store.counts(bench.basket)).dead, 800, "how many are dead");
			const retried = await bench.store.change(bench.basket, ids.slice(600, 1000), "retry");
			equal(retried, ids.slice(600, 1000).map((_, index) => index >= 100), "retried");
			const deleted = await bench.store.delete(bench.basket, ids);
			equal(deleted, ids.map((_, index) => index >= 700), "deleted");
			equal(await bench.list(), [], "left");
		},
	},
];

/** Claims this many tasks, in as many turns as the store needs. */
export async function claimAll(bench: Bench, count: number): Promise<Claim[]> {
	const all: Claim[] = [];
	while (all.length < count) {
		const claims = await bench.claim(count - all.length);
		if (claims.length === 0) break;
		for (const claim of claims) all.push(claim);
	}
	return all;
}

/** Expects that no write under a claim has an effect. */
async function expectFenced(bench: Bench, ref: Ref): Promise<void> {
	const { store, basket } = bench;
	const before = await store.get(basket, ref.id);
	const outcomes: Outcome[] = [
		{ type: "done" },
		{ type: "done", retain: bench.long, payload: "stale" },
		{ type: "retry", delay: 0, attempts: 7, error: "stale", payload: "stale" },
		{ type: "later", delay: 0, seen: 9, payload: "stale" },
		{ type: "dead", attempts: 7, error: "stale", payload: "stale" },
		{ type: "release" },
	];
	for (const outcome of outcomes) {
		equal(await bench.settle(ref, outcome), false, `${outcome.type} under a lost claim is written`);
	}
	equal(await store.extend(basket, [ref], 1), ["lost"], "extend() under a lost claim");
	const saves = [{ ref, payload: "stale", progress: "stale", seen: 9 }];
	equal(await store.save(basket, saves), [false], "save() under a lost claim");
	equal(await store.get(basket, ref.id), before, "the task after all this");
}

/** Several workers empty a basket together. Each one claims, and settles in its next turn. */
async function race(bench: Bench, stores: readonly Bench["store"][]): Promise<void> {
	const ids = numbered(120, "task ");
	await bench.add(...ids);
	const claimed: string[] = [];
	const work = async (store: Bench["store"]) => {
		await bench.persistently(() => store.open());
		let claims: readonly Claim[] = [];
		do {
			const settle = claims.map((ref) => ({ ref, outcome: { type: "done" } as const }));
			const claim = [{ kinds: ["work"], limit: 7 }];
			({ claims } = await bench.persistently(() => bench.turn({ settle, claim }, store)));
			for (const { id } of claims) claimed.push(id);
		} while (claims.length > 0 && claimed.length < 10 * ids.length);
	};
	await bench.patiently(Promise.all(stores.map(work)));
	equal(claimed.length, new Set(claimed).size, "how many claims there were of how many different tasks");
	equal(claimed.length, ids.length, "how many were claimed");
	equal(await bench.list(), [], "left");
}

/** Checks `dueIn`: to the millisecond if the clock stands still. */
function expectIn(dueIn: number, duration: number, bench: Bench, what: string): void {
	between(dueIn, bench.isExact ? duration - 1 : duration / 2, duration, what);
}
