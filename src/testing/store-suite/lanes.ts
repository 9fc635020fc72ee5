/**
 * Tests of lanes: one task of a lane at a time, in the order added, in all situations.
 *
 * @module
 */

import type { Claim, Outcome, Store } from "../../basket/store.ts";
import { between, equal, fail } from "./assert.ts";
import { type Bench, idsOf, numbered, type StoreTest } from "./bench.ts";

export const lanes: readonly StoreTest[] = [
	{
		title: "turn() claims one task of a lane at a time, in the order added",
		async run(bench) {
			await lane(bench, "a", "b", "c");
			equal(await bench.states("a", "b", "c"), ["waiting", "waiting", "waiting"], "states before");
			for (const id of ["a", "b", "c"]) {
				const claim = await bench.claimOnly(id);
				equal(claim.lane, "lane", "lane of the claim");
				await bench.expectClaims([], `while ${id} is running`);
				await bench.settleAll([claim]);
			}
			equal(await bench.list(), [], "left");
		},
	},
	{
		title: "turn() claims the next one of a lane in the turn in which the head ends",
		async run(bench) {
			await lane(bench, "a", "b", "c");
			const ends: Outcome[] = [
				{ type: "done" },
				{ type: "dead", attempts: 1, error: "x" },
				{ type: "done", retain: bench.long },
			];
			let claim = await bench.claimOnly("a");
			for (const [index, outcome] of ends.entries()) {
				const settle = [{ ref: claim, outcome }];
				const { claims } = await bench.turn({ settle, claim: [{ kinds: ["work"], limit: 9 }] });
				equal(idsOf(claims), ["b", "c"].slice(index, index + 1), `claimed when one is ${outcome.type}`);
				claim = claims[0]!;
			}
		},
	},
	{
		title: "turn() keeps lanes and tasks without a lane apart",
		async run(bench) {
			const tasks = ["a", "b"].flatMap((lane) => numbered(2, lane).map((id) => ({ id, lane })));
			await bench.add("free 1", ...tasks, "free 2");
			const claims = await bench.expectClaims(["free 1", "a1", "b1", "free 2"], "at first");
			await bench.settleAll([claims[1]!]);
			await bench.expectClaims(["a2"], "when the head of one lane is done");
		},
	},
	{
		title: "turn() keeps equal lanes of two baskets apart",
		async run(bench) {
			await lane(bench, "a");
			await bench.store.add("other", [{ id: "b", kind: "work", payload: "", delay: 0, priority: 0, lane: "lane" }]);
			await bench.claimOnly("a");
			const claim = [{ kinds: ["work"], limit: 9 }];
			const { claims } = await bench.store.turn("other", { settle: [], claim, lease: bench.long });
			equal(idsOf(claims), ["b"], "claimed in the other basket");
		},
	},
	{
		title:
			"turn() claims nothing of a lane whose head is delayed, held, backing off, put off, or of a kind nobody wants",
		async run(bench) {
			const heads = ["delayed", "held", "backing off", "put off", "unwanted"];
			await bench.running(...heads.slice(2, 4).map((lane) => ({ id: `${lane} 1`, lane }))).then(async ([off, put]) => {
				await bench.settle(off!, { type: "retry", delay: bench.long, attempts: 1, error: "x" });
				await bench.settle(put!, { type: "later", delay: null, seen: 0 });
			});
			await bench.add({ id: "delayed 1", lane: "delayed", delay: bench.long }, { id: "held 1", lane: "held" });
			await bench.add({ id: "unwanted 1", lane: "unwanted", kind: "other" });
			await bench.change("held 1", "hold");
			await bench.add(...heads.map((lane) => ({ id: `${lane} 2`, lane })));
			await bench.expectClaims([], "behind heads that cannot be claimed");
			await bench.change("held 1", "release");
			await bench.change("delayed 1", "retry");
			await bench.store.post(bench.basket, "put off 1", "x");
			const claims = [...await bench.claim()].sort((a, b) => a.id < b.id ? -1 : 1);
			equal(idsOf(claims), ["delayed 1", "held 1", "put off 1"], "heads that can be claimed now");
			await bench.settleAll(claims);
			equal(idsOf(await bench.claim()).sort(), ["delayed 2", "held 2", "put off 2"], "those behind them");
		},
	},
	{
		title: "turn() claims nothing of a lane whose head has crashed, but the head",
		async run(bench) {
			await lane(bench, "a", "b");
			await bench.claimOnly("a", bench.unit);
			await bench.pass(1);
			const claim = await bench.claimOnly("a");
			equal(claim.crashes, 1, "crashes");
			await bench.settle(claim, { type: "release" });
			await bench.claimOnly("a");
		},
	},
	{
		title: "turn() claims those behind a head only when their own delay is over",
		async run(bench) {
			await bench.add({ id: "a", lane: "l" }, { id: "b", lane: "l", delay: bench.long }, { id: "c", lane: "l" });
			await bench.settleAll([await bench.claimOnly("a")]);
			const { claims, dueIn } = await bench.turn({ claim: [{ kinds: ["work"], limit: 9 }] });
			equal(idsOf(claims), [], "claimed before b is due");
			between(dueIn, bench.long / 2, bench.long, "dueIn");
		},
	},
	{
		title: "turn() lets no priority reorder a lane, but the head's counts among others",
		async run(bench) {
			await bench.add({ id: "a", lane: "l", priority: -5 }, { id: "b", lane: "l", priority: 100 }, "free");
			const claims = await bench.expectClaims(["free", "a"], "at first");
			await bench.add("free 2");
			await bench.settleAll([claims[1]!]);
			await bench.expectClaims(["b", "free 2"], "when the head is done");
		},
	},
	{
		title: "turn() claims a lane's tasks in order whatever their kinds",
		async run(bench) {
			await bench.add({ id: "a", lane: "l", kind: "one" }, { id: "b", lane: "l", kind: "two" });
			const two = [{ kinds: ["two"], limit: 9 }];
			equal((await bench.turn({ claim: two })).claims, [], "claimed of the second kind");
			const { claims } = await bench.turn({ claim: [{ kinds: ["one", "two"], limit: 9 }] });
			equal(idsOf(claims), ["a"], "claimed of both kinds");
			const turn = await bench.turn({ settle: [{ ref: claims[0]!, outcome: { type: "done" } }], claim: two });
			equal(idsOf(turn.claims), ["b"], "claimed of the second kind when the first is done");
		},
	},
	{
		title: "delete() frees a lane, wherever the deleted stood",
		async run(bench) {
			await lane(bench, "a", "b", "c", "d", "e", "f");
			await bench.store.delete(bench.basket, ["c", "f"]);
			await bench.store.delete(bench.basket, ["a", "b"]);
			const claim = await bench.claimOnly("d");
			await lane(bench, "g");
			await bench.store.delete(bench.basket, ["d"]);
			equal(await bench.settle(claim, { type: "done" }), false, "settled after its deletion");
			await bench.settleAll([await bench.claimOnly("e")]);
			await bench.settleAll([await bench.claimOnly("g")]);
			await lane(bench, "h", "i");
			await bench.claimOnly("h");
			await bench.store.delete(bench.basket, ["i", "h"]);
			await lane(bench, "j");
			await bench.claimOnly("j");
		},
	},
	{
		title: "delete() of a dead or done task leaves its lane as it is",
		async run(bench) {
			await lane(bench, "dead", "done", "a", "b");
			await bench.settleAll([await bench.claimOnly("dead")], { type: "dead", attempts: 1, error: "x" });
			await bench.settleAll([await bench.claimOnly("done")], { type: "done", retain: bench.long });
			const claim = await bench.claimOnly("a");
			equal(await bench.store.delete(bench.basket, ["dead", "done"]), [true, true], "deleted");
			await bench.expectClaims([], "while the head is running");
			await bench.settleAll([claim]);
			await bench.claimOnly("b");
		},
	},
	{
		title: "change() lets a dead task that is retried join its lane at the end",
		async run(bench) {
			await lane(bench, "a", "b");
			await bench.settleAll([await bench.claimOnly("a")], { type: "dead", attempts: 1, error: "x" });
			await lane(bench, "c");
			equal(await bench.change("a", "retry"), true, "retried");
			await lane(bench, "d");
			equal(idsOf(await bench.list()), ["b", "c", "a", "d"], "listed");
			for (const id of ["b", "c", "a", "d"]) await bench.settleAll([await bench.claimOnly(id)]);
		},
	},
	{
		title: "change() makes a retried dead task the head of an empty lane",
		async run(bench) {
			await lane(bench, "a");
			await bench.settleAll([await bench.claimOnly("a")], { type: "dead", attempts: 1, error: "x" });
			await bench.change("a", "retry");
			await lane(bench, "b");
			await bench.settleAll([await bench.claimOnly("a")]);
			await bench.claimOnly("b");
		},
	},
	{
		title: "change() holds a blocked task, which then holds its lane when its turn comes",
		async run(bench) {
			await lane(bench, "a", "b", "c");
			equal(await bench.change("b", "hold"), true, "held");
			equal(await bench.states("a", "b", "c"), ["waiting", "held", "waiting"], "states");
			await bench.settleAll([await bench.claimOnly("a")]);
			await bench.expectClaims([], "behind a held head");
			equal(await bench.change("b", "release"), true, "released");
			await bench.settleAll([await bench.claimOnly("b")]);
			await bench.claimOnly("c");
		},
	},
	{
		title: "change() releases a blocked task without letting it overtake",
		async run(bench) {
			await lane(bench, "a", "b", "c");
			const claim = await bench.claimOnly("a");
			for (const change of ["hold", "release", "retry"] as const) {
				equal(await bench.change("b", change), true, change);
				await bench.expectClaims([], `behind a running head, after ${change}`);
			}
			await bench.store.post(bench.basket, "b", "hello");
			await bench.expectClaims([], "behind a running head, after post()");
			await bench.settleAll([claim]);
			equal((await bench.claimOnly("b")).inbox.length, 1, "messages");
		},
	},
	{
		title: "change() makes a blocked task that is delayed due when its turn comes",
		async run(bench) {
			await bench.add({ id: "a", lane: "l" }, { id: "b", lane: "l", delay: bench.long });
			equal(await bench.change("b", "retry"), true, "changed");
			await bench.settleAll([await bench.claimOnly("a")]);
			await bench.claimOnly("b");
		},
	},
	{
		title: "add() of an id that is in use leaves the lane that was given alone",
		async run(bench) {
			await bench.add("a");
			await lane(bench, "a", "b");
			await bench.expectClaims(["a", "b"], "of which only b is in the lane");
		},
	},
	{
		title: "turn() works through a lane in order, however many wait in it",
		async run(bench) {
			const ids = numbered(5000, "");
			await lane(bench, ...ids.slice(0, 10));
			await lane(bench, ...ids.slice(10));
			let next = await workThrough(bench, ids.slice(0, 150));
			equal(idsOf([next!]), ["151"], "claimed next");
			const deleted = await bench.store.delete(bench.basket, ids.slice(150, 4900));
			equal(deleted.every(Boolean), true, "deleted");
			next = await workThrough(bench, ids.slice(4900));
			equal([next, await bench.list()], [undefined, []], "claimed next, and left");
		},
	},
	{
		title: "turn() never lets two workers into one lane",
		async run(bench) {
			await raceInLanes(bench, [bench.store, bench.store, bench.store]);
		},
	},
	{
		title: "turn() never lets two processes into one lane",
		needs: ["shared"],
		async run(bench) {
			await raceInLanes(bench, [bench.store, await bench.fixture.another!(), await bench.fixture.another!()]);
		},
	},
];

/** Adds tasks to one lane. */
async function lane(bench: Bench, ...ids: string[]): Promise<void> {
	await bench.add(...ids.map((id) => ({ id, lane: "lane" })));
}

/** Claims and settles tasks one after the other, in one turn each. Resolves with the next claim. */
async function workThrough(bench: Bench, ids: readonly string[]): Promise<Claim | undefined> {
	let [claim] = await bench.claim();
	for (const id of ids) {
		if (claim?.id !== id) fail(`claimed: expected only ${id}, got ${claim?.id}`);
		const settle = [{ ref: claim, outcome: { type: "done" } as const }];
		const { claims } = await bench.turn({ settle, claim: [{ kinds: ["work"], limit: 9 }] });
		if (claims.length > 1) fail(`claimed: expected one of the lane, got ${idsOf(claims)}`);
		claim = claims[0];
	}
	return claim;
}

/** Workers add to four lanes and process them at the same time. */
async function raceInLanes(bench: Bench, stores: readonly Store[]): Promise<void> {
	const busy = new Set<string>();
	const ended: Record<string, string[]> = {};
	const lanesOf = (round: number) => ["a", "b", "c", "d"].map((lane) => ({ lane, payload: `${round}` }));
	const work = async (store: Store, worker: number) => {
		await bench.persistently(() => store.open());
		let claims: readonly Claim[] = [];
		for (let round = 0, idle = 0; idle < 3; round++) {
			if (round === 1000) fail("the lanes do not become empty");
			const tasks = lanesOf(round).map((task) => ({ ...task, id: `${worker} ${round} ${task.lane}` }));
			if (round < 8) await bench.persistently(() => store.add(bench.basket, tasks.map(complete)));
			const settle = claims.map((ref) => ({ ref, outcome: { type: "done" } as const }));
			for (const { lane, id } of claims) (ended[lane!] ??= []).push(id);
			for (const { lane } of claims) busy.delete(lane!);
			({ claims } = await bench.persistently(() =>
				bench.turn({ settle, claim: [{ kinds: ["work"], limit: 2 }] }, store)
			));
			for (const { lane, id } of claims) {
				if (busy.has(lane!)) fail(`two tasks of lane ${lane} are running, one of them ${id}`);
				busy.add(lane!);
			}
			idle = claims.length === 0 && round >= 8 ? idle + 1 : 0;
		}
	};
	await bench.patiently(Promise.all(stores.map(work)));
	const left = await bench.list();
	equal(left.length, 0, "tasks left");
	for (const worker of stores.keys()) {
		for (const [lane, ids] of Object.entries(ended)) {
			const added = Array.from({ length: 8 }, (_, round) => `${worker} ${round} ${lane}`);
			equal(
				ids.filter((id) => id.startsWith(`${worker} `)),
				added,
				`order of worker ${worker}'s tasks in lane ${lane}`,
			);
		}
	}
}

function complete(task: { id: string; lane: string; payload: string }) {
	return { kind: "work", delay: 0, priority: 0, ...task };
}
