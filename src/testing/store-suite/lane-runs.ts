/**
 * Tests of runs: a head of a lane that is claimed with those behind it.
 *
 * @module
 */

import type { Claim, Outcome, Settlement, Turn } from "../../basket/store.ts";
import { equal } from "./assert.ts";
import { type Bench, type BenchTurn, idsOf, type StoreTest } from "./bench.ts";

const retried: Outcome = { type: "retry", delay: 0, attempts: 1, error: "x" };

export const laneRuns: readonly StoreTest[] = [
	{
		title: "turn() claims the followers of a head with it, in order and at most as many as the run may have",
		async run(bench) {
			await lane(bench, "a", "b", "c", "d");
			await bench.add("free", { id: "x", lane: "other" }, { id: "y", lane: "other" });
			const { claims, dueIn } = await bench.turn(request(1, 3));
			equal(idsOf(claims), ["a", "b", "c"], "claimed with a limit of one");
			equal(dueIn, 0, "dueIn while others are due");
			equal(new Set(claims.map(({ token }) => token)).size, 3, "tokens");
			equal(claims.map(({ payload, lane, attempts }) => [payload, lane, attempts]), [
				["payload of a", "lane", 0],
				["payload of b", "lane", 0],
				["payload of c", "lane", 0],
			], "what is claimed");
			equal(await bench.states("a", "b", "c", "d"), ["running", "running", "running", "waiting"], "states");
			equal((await bench.store.counts(bench.basket)).running, 3, "counted as running");
			const running = await bench.store.list(bench.basket, { state: "running", limit: 9 });
			equal(idsOf(running), ["a", "b", "c"], "listed as running");
			equal(idsOf((await bench.turn(request(9, 3))).claims), ["free", "x", "y"], "claimed next");
		},
	},
	{
		title: "turn() claims no followers of kinds without a run",
		async run(bench) {
			await lane(bench, "a", "b");
			const runs = [{ kind: "other", most: 9 }];
			equal(idsOf((await bench.turn({ ...request(9), runs })).claims), ["a"], "claimed");
		},
	},
	{
		title: "turn() ends a run before a task that is held, not due, of another kind, limited, or has failed",
		async run(bench) {
			await lane(bench, "crashed 1", "crashed 2", "crashed 3");
			await bench.turn({ ...request(1, 2), lease: bench.unit });
			await bench.pass(1);
			await bench.settleAll(await bench.claim(1), { type: "done" });
			await bench.add(...[1, 2].map((n) => ({ id: `failed ${n}`, lane: "failed" })));
			const settle = (await bench.claim()).map((ref): Settlement => {
				return { ref, outcome: ref.id === "failed 1" ? retried : { type: "release" } };
			});
			equal((await bench.turn({ settle })).settled, [true, true], "settled");
			const lanes = ["held", "delayed", "other", "limited"];
			for (const name of lanes) await bench.add(...[1, 2].map((n) => ({ id: `${name} ${n}`, lane: name })));
			await bench.change("held 2", "hold");
			for (const name of lanes.slice(1)) await bench.store.delete(bench.basket, [`${name} 2`]);
			await bench.add({ id: "delayed 2", lane: "delayed", delay: bench.long });
			await bench.add({ id: "other 2", lane: "other", kind: "other" });
			await bench.add({ id: "limited 2", lane: "limited", limitKey: "key" });
			for (const name of lanes) await bench.add({ id: `${name} 3`, lane: name });
			const { claims } = await bench.turn(request(20, 9));
			equal(idsOf(claims).sort(), ["crashed 2", "failed 1", ...lanes.map((name) => `${name} 1`)].sort(), "claimed");
		},
	},
	{
		title: "turn() claims nothing of a lane of which a claim is left, whichever ends first",
		async run(bench) {
			await lane(bench, "a", "b", "c", "d", "e");
			const [a, b, c] = (await bench.turn(request(9, 3))).claims;
			for (const claim of [b!, a!]) {
				equal(idsOf(await end(bench, [claim], { type: "done" })), [], `claimed when ${claim.id} is done`);
			}
			equal(await bench.states("c", "d"), ["running", "waiting"], "states");
			const next = await end(bench, [c!], { type: "dead", attempts: 1, error: "x" });
			equal(idsOf(next), ["d", "e"], "claimed when the last one has ended");
			equal(idsOf(await end(bench, next, { type: "done", retain: bench.long })), [], "claimed at the end");
		},
	},
	{
		title: "turn() gives the followers behind a task back whose claim ends while it stays in its lane",
		async run(bench) {
			const outcomes: Outcome[] = [
				{ type: "release" },
				{ type: "release", delay: 0 },
				{ type: "later", delay: 0, seen: 0 },
				retried,
			];
			await lane(bench, "a", "b", "c", "d");
			for (const [index, outcome] of outcomes.entries()) {
				const claims = (await bench.turn(request(9, 4))).claims;
				equal(idsOf(claims), ["a", "b", "c", "d"], `claimed before ${outcome.type}`);
				const at = index % 2;
				equal(await bench.settle(claims[at]!, outcome), true, "settled");
				const states = ["running", "waiting", "waiting", "waiting"];
				if (at === 0) states[0] = "waiting";
				equal(await bench.states("a", "b", "c", "d"), states, `states after ${outcome.type}`);
				equal(
					await bench.store.extend(bench.basket, claims.slice(at), bench.long),
					claims.slice(at).map(() => "lost"),
					"extended",
				);
				equal(await bench.settle(claims[3]!, { type: "done" }), false, "settled when it was given back");
				const { attempts, crashes } = await bench.get("d");
				equal([attempts, crashes], [0, 0], "attempts and crashes of a follower");
				if (at > 0) await bench.settleAll(claims.slice(0, at), { type: "release" });
			}
		},
	},
	{
		title: "turn() counts all settlements before it gives followers back",
		async run(bench) {
			await lane(bench, "a", "b", "c", "d");
			const [a, b, c, d] = (await bench.turn(request(9, 4))).claims;
			const settle: Settlement[] = [
				{ ref: a!, outcome: { type: "later", delay: 0, seen: 0 } },
				{ ref: b!, outcome: { type: "done" } },
				{ ref: c!, outcome: { type: "release" } },
			];
			const { settled, claims } = await bench.turn({ ...request(9, 4), settle });
			equal(settled, [true, true, true], "settled");
			equal(idsOf(claims), ["a", "c", "d"], "claimed next");
			equal(await bench.settle(d!, { type: "done" }), false, "settled under the old claim");
		},
	},
	{
		title: "turn() counts all settlements before it gives followers back, also of as many as a run may have",
		async run(bench) {
			await lane(bench, ...Array.from({ length: 60 }, (_, index) => `task ${index}`));
			const { claims } = await bench.turn(request(1, 60));
			const [head, ...others] = claims.map((ref): Settlement => ({ ref, outcome: { type: "done" } }));
			const settle: Settlement[] = [{ ref: head!.ref, outcome: { type: "later", delay: 0, seen: 0 } }, ...others];
			equal((await bench.turn({ settle })).settled, settle.map(() => true), "settled");
			equal((await bench.get("task 0")).state, "waiting", "state of the head");
			equal((await bench.list()).length, 61 - claims.length, "how many are left");
		},
	},
	{
		title: "turn() gives the followers of a head back that is replaced or held",
		async run(bench) {
			for (const [index, outcome] of ([{ type: "done" }, { ...retried, hold: true }] as Outcome[]).entries()) {
				const ids = ["a", "b"].map((id) => id + index);
				await bench.add(...ids.map((id) => ({ id, lane: `lane ${index}` })));
				const claims = (await bench.turn(request(9, 9))).claims;
				equal(idsOf(claims), ids, "claimed");
				if (outcome.type === "done") {
					await bench.add({ id: ids[0]!, lane: "lane 0", payload: "new", ifPresent: "replace" });
				}
				equal(await bench.settle(claims[0]!, outcome), true, "settled");
				equal(await bench.states(...ids), [outcome.type === "done" ? "waiting" : "held", "waiting"], "states");
				if (outcome.type === "done") await bench.settleAll((await bench.turn(request(9, 9))).claims);
			}
			equal(idsOf((await bench.turn(request(9, 9))).claims), [], "claimed behind a held head");
			await bench.change("a1", "release");
			equal(idsOf((await bench.turn(request(9, 9))).claims), ["a1"], "claimed when it is released");
		},
	},
	{
		title: "turn() claims the head of a crashed run first and alone, and so each of its followers",
		async run(bench) {
			await lane(bench, "a", "b", "c", "d");
			const old = (await bench.turn({ ...request(9, 3), lease: bench.unit })).claims;
			equal(await bench.store.extend(bench.basket, old.slice(2), bench.long), ["ok"], "extended");
			await bench.pass(1);
			for (const id of ["a", "b", "c"]) {
				const { claims } = await bench.turn(request(9, 9));
				equal(claims.map(({ id, attempts, crashes }) => [id, attempts, crashes]), [[id, 1, 1]], "claimed");
				const settle = old.filter((ref) => ref.id >= id).map((ref): Settlement => ({ ref, outcome: { type: "done" } }));
				equal((await bench.turn({ settle })).settled, settle.map(() => false), "settled under the old claims");
				await bench.settleAll(claims);
			}
			equal(idsOf((await bench.turn(request(9, 9))).claims), ["d"], "claimed behind them");
		},
	},
	{
		title: "turn() keeps the claim of a follower that becomes the head, and counts its own crash",
		async run(bench) {
			await lane(bench, "a", "b", "c");
			const [a, b] = (await bench.turn({ ...request(9, 2), lease: 2 * bench.unit })).claims;
			await bench.settleAll([a!]);
			equal(await bench.store.extend(bench.basket, [b!], 2 * bench.unit), ["ok"], "extended");
			equal(await bench.store.save(bench.basket, [{ ref: b!, payload: "saved" }]), [true], "saved");
			await bench.pass(2);
			const claim = await bench.claimOnly("b");
			equal([claim.payload, claim.attempts, claim.crashes], ["saved", 1, 1], "what is claimed");
			await bench.settleAll([claim]);
			await bench.claimOnly("c");
		},
	},
	{
		title: "extend(), save(), post(), change(), delete() and add() know a follower as a running task",
		async run(bench) {
			await lane(bench, "a", "b", "c", "d");
			const claims = (await bench.turn(request(9, 4))).claims;
			const [a, b, c, d] = claims;
			equal(await bench.store.save(bench.basket, [{ ref: b!, progress: "half" }]), [true], "saved");
			equal((await bench.get("b")).progress, "half", "progress");
			equal(await bench.store.post(bench.basket, "b", "x"), true, "posted");
			equal(await bench.store.extend(bench.basket, claims, bench.long), ["ok", "posted", "ok", "ok"], "extended");
			equal([await bench.change("c", "release"), await bench.change("c", "hold"), await bench.change("c", "hold")], [
				false,
				true,
				false,
			], "changed");
			equal(await bench.change("b", "retry"), false, "retried while it is running");
			await bench.add({ id: "d", lane: "lane", payload: "new", ifPresent: "replace" });
			equal(await bench.store.delete(bench.basket, ["b"]), [true], "deleted");
			equal(await bench.store.extend(bench.basket, claims, bench.long), ["ok", "lost", "ok", "ok"], "extended");
			equal(await bench.states("a", "c", "d"), ["running", "running", "running"], "states");
			await bench.settleAll([a!]);
			equal(idsOf((await bench.turn(request(9, 4))).claims), [], "claimed while c is running");
			await bench.settleAll([c!], { type: "release" });
			equal(await bench.states("c", "d"), ["held", "waiting"], "states at the end");
			equal(await bench.settle(d!, { type: "done" }), false, "settled");
			await bench.change("c", "release");
			const last = (await bench.turn(request(9, 4))).claims;
			equal(last.map(({ id, payload }) => [id, payload]), [["c", "payload of c"], ["d", "new"]], "claimed at last");
		},
	},
	{
		title: "delete() of a head makes the first follower the head, whose claim continues",
		async run(bench) {
			await lane(bench, "a", "b", "c");
			const [, b] = (await bench.turn(request(9, 2))).claims;
			await bench.store.delete(bench.basket, ["a"]);
			equal(idsOf((await bench.turn(request(9, 2))).claims), [], "claimed");
			equal(await bench.change("b", "hold"), true, "held");
			equal(await bench.settle(b!, { type: "release" }), true, "released");
			equal(await bench.states("b", "c"), ["held", "waiting"], "states");
		},
	},
	{
		title: "turn() cuts runs to what the limit of the basket admits, and counts followers for it",
		async run(bench) {
			await lane(bench, "a", "b", "c", "d");
			await bench.add({ id: "x", lane: "other" }, { id: "y", lane: "other" });
			const limit = { atOnce: 3, spacing: 0, burst: 1 };
			const claims = (await bench.turn({ ...request(1, 9), overall: limit })).claims;
			equal(idsOf(claims), ["a", "b", "c"], "claimed in a run of three places");
			equal((await bench.turn({ ...request(9, 9), overall: limit })).claims, [], "claimed while all places are taken");
			const settle = claims.slice(0, 2).map((ref): Settlement => ({ ref, outcome: { type: "done" } }));
			equal(idsOf((await bench.turn({ ...request(9, 9), settle, overall: limit })).claims), ["x", "y"], "claimed next");
			await bench.add(...["p", "q"].flatMap((lane) => [1, 2, 3].map((n) => ({ id: `${lane}${n}`, lane }))));
			const both = await bench.turn({ ...request(9, 9), overall: { ...limit, atOnce: 7 } });
			equal(both.claims.length, 4, "how many are claimed of two lanes");
			equal(idsOf(both.claims).filter((id) => id.endsWith("1")), ["p1", "q1"], "heads among them");
			const rate = { atOnce: Infinity, spacing: bench.long, burst: 2 };
			await bench.add(...[1, 2, 3].map((n) => ({ id: `r${n}`, lane: "r" })), "free");
			const started = await bench.turn({ ...request(1, 9), overall: rate });
			equal(idsOf(started.claims), ["r1", "r2"], "claimed at a rate");
			equal(started.dueIn > bench.unit, true, "whether dueIn is that of the next start");
		},
	},
	{
		title: "turn() with a limit of the basket puts a crashed head back with its followers, and no follower alone",
		async run(bench) {
			await lane(bench, "a", "b", "c", "d");
			await bench.add("free");
			const limit = { atOnce: 2, spacing: 0, burst: 1 };
			const lease = bench.unit;
			const old = (await bench.turn({ ...request(1, 3), lease, overall: { ...limit, atOnce: 9 } })).claims;
			equal(await bench.store.extend(bench.basket, old.slice(0, 1), bench.long), ["ok"], "extended");
			await bench.pass(1);
			const { claims, dueIn } = await bench.turn({ ...request(9, 9), overall: limit });
			equal(claims, [], "claimed when only the leases of followers have ended");
			equal(dueIn > bench.unit, true, "whether dueIn is that of the lease of the head");
			equal(await bench.states("a", "b", "c", "d"), ["running", "running", "running", "waiting"], "states");
			equal(await bench.store.extend(bench.basket, old.slice(0, 1), lease), ["ok"], "extended for a short time");
			await bench.pass(1);
			await bench.turn({ claim: [{ kinds: ["other"], limit: 1 }], overall: limit });
			equal(await bench.states("a", "b", "c", "d"), ["waiting", "waiting", "waiting", "waiting"], "states after that");
			const crashes = await Promise.all(["a", "b", "c", "d"].map(async (id) => (await bench.get(id)).crashes));
			equal(crashes, [1, 1, 1, 0], "crashes");
			const settle = old.map((ref): Settlement => ({ ref, outcome: { type: "done" } }));
			equal((await bench.turn({ settle })).settled, [false, false, false], "settled under the old claims");
			const alone = (await bench.turn({ ...request(9, 9), overall: limit })).claims;
			equal(idsOf(alone).sort(), ["a", "free"], "claimed");
			equal((await bench.get("a")).attempts, 1, "attempts");
		},
	},
	{
		title: "complete() ends the claim of a follower, which promotes nobody",
		needs: ["tx"],
		async run(bench) {
			await lane(bench, "a", "b", "c");
			const [a, b] = (await bench.turn(request(9, 2))).claims;
			await bench.fixture.transaction!((tx) => bench.store.complete(bench.basket, b!, { type: "done" }, tx));
			equal(idsOf((await bench.turn(request(9, 2))).claims), [], "claimed while the head is running");
			await bench.settleAll([a!]);
			await bench.claimOnly("c");
		},
	},
];

function lane(bench: Bench, ...ids: string[]): Promise<unknown> {
	return bench.add(...ids.map((id) => ({ id, lane: "lane" })));
}

/** A turn that claims heads of the kind `work`, each with its followers if `most` is given. */
function request(limit: number, most?: number): BenchTurn & Pick<Turn, "claim"> {
	return { claim: [{ kinds: ["work"], limit }], ...(most !== undefined && { runs: [{ kind: "work", most }] }) };
}

/** Ends claims, and claims the next tasks in the same turn. */
async function end(bench: Bench, refs: readonly Claim[], outcome: Outcome): Promise<readonly Claim[]> {
	const { settled, claims } = await bench.turn({ ...request(9, 9), settle: refs.map((ref) => ({ ref, outcome })) });
	equal(settled, refs.map(() => true), `settled as ${outcome.type}`);
	return claims;
}
