/**
 * Tests of changes from outside: `change` and `hasten`.
 *
 * @module
 */

import type { Outcome } from "../../basket/store.ts";
import { between, equal } from "./assert.ts";
import { type Bench, idsOf, type StoreTest } from "./bench.ts";

export const changing: readonly StoreTest[] = [
	{
		title: "change() holds a waiting task until it is released",
		async run(bench) {
			await bench.add("a", "b");
			equal(await bench.store.change(bench.basket, ["a", "nobody"], "hold"), [true, false], "held");
			equal(await bench.states("a", "b"), ["held", "waiting"], "states");
			await bench.expectClaims(["b"], "while a is held");
			equal(await bench.store.change(bench.basket, ["a", "nobody"], "release"), [true, false], "released");
			equal(await bench.states("a"), ["waiting"], "state");
			await bench.expectClaims(["a"], "when it is released");
		},
	},
	{
		title: "change() keeps the time of a task that is held",
		async run(bench) {
			await bench.add({ id: "long", delay: bench.long }, { id: "short", delay: bench.unit });
			const before = await Promise.all(["long", "short"].map((id) => bench.get(id)));
			await bench.store.change(bench.basket, ["long", "short"], "hold");
			await bench.pass(1);
			await bench.expectClaims([], "while both are held");
			await bench.store.change(bench.basket, ["long", "short"], "release");
			equal((await bench.get("long")).dueAt, before[0]!.dueAt, "dueAt");
			await bench.expectClaims(["short"], "when both are released");
		},
	},
	{
		title: "change() holds a running task: its worker goes on, and it is held when the claim ends",
		async run(bench) {
			const outcomes: Outcome[] = [
				{ type: "retry", delay: 0, attempts: 1, error: "x" },
				{ type: "later", delay: 0, seen: 0 },
				{ type: "release" },
			];
			for (const outcome of outcomes) {
				await bench.add(outcome.type);
				const claim = await bench.claimOnly(outcome.type);
				equal(await bench.change(outcome.type, "hold"), true, "held");
				equal(await bench.states(outcome.type), ["running"], "state while it is running");
				equal(await bench.store.extend(bench.basket, [claim], bench.long), ["ok"], "extend()");
				equal(await bench.store.save(bench.basket, [{ ref: claim, progress: "half" }]), [true], "save()");
				await bench.settleAll([claim], outcome);
				equal(await bench.states(outcome.type), ["held"], `state after ${outcome.type}`);
				await bench.expectClaims([], `of a held task after ${outcome.type}`);
				await bench.change(outcome.type, "release");
				await bench.settleAll([await bench.claimOnly(outcome.type)]);
			}
		},
	},
	{
		title: "turn() holds a failed task that asks for it, with its error",
		async run(bench) {
			await bench.add({ id: "a", lane: "l" }, { id: "b", lane: "l" });
			const claim = await bench.claimOnly("a");
			await bench.settle(claim, { type: "retry", delay: 0, attempts: 1, error: "why", hold: true });
			const [a] = await bench.list();
			equal([a!.state, a!.error], ["held", "why"], "state and error");
			await bench.expectClaims([], "of a held task, or of those behind it");
			equal(await bench.change("a", "release"), true, "released");
			await bench.settleAll([await bench.claimOnly("a")], { type: "retry", delay: 0, attempts: 1, error: "no" });
			equal(await bench.states("a"), ["waiting"], "state after another failure");
		},
	},
	{
		title: "change() undoes the hold of a running task",
		async run(bench) {
			const [a] = await bench.running("a");
			await bench.change("a", "hold");
			equal(await bench.change("a", "release"), true, "released");
			await bench.settle(a!, { type: "retry", delay: 0, attempts: 1, error: "x" });
			await bench.claimOnly("a");
		},
	},
	{
		title: "change() lets a held task that is running end as done or dead",
		async run(bench) {
			const [done, dead] = await bench.running("done", "dead");
			await bench.store.change(bench.basket, ["done", "dead"], "hold");
			await bench.settleAll([done!]);
			await bench.settleAll([dead!], { type: "dead", attempts: 1, error: "x" });
			equal(await bench.states("done", "dead"), [undefined, "dead"], "states");
			equal(await bench.change("dead", "retry"), true, "retried");
			await bench.claimOnly("dead");
		},
	},
	{
		title: "change() keeps a running task that is held from being claimed again when its lease is over",
		async run(bench) {
			await bench.add({ id: "a", lane: "l" }, { id: "b", lane: "l" });
			const first = await bench.claimOnly("a", bench.unit);
			await bench.change("a", "hold");
			await bench.pass(1);
			const turn = await bench.turn({ claim: [{ kinds: ["work"], limit: 9 }] });
			equal(turn.claims, [], "claimed while it is held");
			equal(await bench.change("a", "release"), true, "released");
			const second = await bench.claimOnly("a");
			equal([second.attempts, second.crashes], [1, 1], "attempts and crashes when it is claimed again");
			equal(await bench.settle(first, { type: "done" }), false, "settled under the first claim");
		},
	},
	{
		title: "change() holds and releases only what it can",
		async run(bench) {
			const [dead, done] = await bench.running("dead", "done", "running");
			await bench.settle(dead!, { type: "dead", attempts: 1, error: "x" });
			await bench.settle(done!, { type: "done", retain: bench.long });
			await bench.add("waiting");
			const ids = ["dead", "done", "nobody"];
			equal(await bench.store.change(bench.basket, ids, "hold"), [false, false, false], "held");
			const others = [...ids, "running", "waiting"];
			const released = await bench.store.change(bench.basket, others, "release");
			equal(released, [false, false, false, false, false], "released though not held");
			const states = ["dead", "done", undefined, "running", "waiting"];
			equal(await bench.states(...others), states, "states");
			equal(await bench.store.change(bench.basket, [], "hold"), [], "answers to nothing");
		},
	},
	{
		title: "change() lets a dead task begin anew, as if added now",
		async run(bench) {
			await bench.add({ id: "a", priority: 1 }, "b");
			const [a] = await bench.claim(1);
			await bench.settle(a!, { type: "dead", attempts: 4, error: "x", payload: "rest" });
			await bench.pass(1);
			await bench.add({ id: "c", priority: 1 });
			const before = await bench.get("a");
			equal(await bench.change("a", "retry"), true, "retried");
			const { state, attempts, crashes, payload, priority, addedAt, dueAt } = await bench.get("a");
			const shown = { state, attempts, crashes, payload, priority };
			equal(shown, { state: "waiting", attempts: 0, crashes: 0, payload: "rest", priority: 1 }, "the task");
			between(
				addedAt - before.addedAt,
				bench.unit,
				bench.isExact ? bench.unit : bench.long,
				"how much later it was added",
			);
			equal(dueAt, addedAt, "dueAt");
			equal(idsOf(await bench.list()), ["b", "c", "a"], "listed");
			const claims = await bench.expectClaims(["c", "a", "b"], "in order");
			equal([claims[1]!.attempts, claims[1]!.crashes], [0, 0], "attempts and crashes");
		},
	},
	{
		title: "change() makes a waiting task due at once, whatever it waits for",
		async run(bench) {
			const [retry, firm, later] = await bench.running("retry", "firm", "later");
			const delay = bench.long;
			await bench.settle(retry!, { type: "retry", delay, attempts: 2, error: "x", backoff: true });
			await bench.settle(firm!, { type: "retry", delay, attempts: 2, error: "x" });
			await bench.settle(later!, { type: "later", delay: null, seen: 0 });
			await bench.add({ id: "delayed", delay }, "due");
			const ids = ["retry", "firm", "later", "delayed", "due"];
			equal(await bench.store.change(bench.basket, ids, "retry"), ids.map(() => true), "changed");
			const claims = await bench.claim();
			equal(idsOf(claims).sort(), [...ids].sort(), "claimed");
			equal(claims.find(({ id }) => id === "retry")?.attempts, 2, "attempts of one that has failed before");
			equal(idsOf(await bench.list()), ids, "listed, in the order in which they were added");
		},
	},
	{
		title: "change() retries no task that is running, held or done",
		async run(bench) {
			const [done] = await bench.running("done", "running");
			await bench.settle(done!, { type: "done", retain: bench.long });
			await bench.add({ id: "held", delay: bench.long });
			await bench.change("held", "hold");
			const ids = ["done", "running", "held", "nobody"];
			const before = await bench.list();
			equal(await bench.store.change(bench.basket, ids, "retry"), [false, false, false, false], "retried");
			equal(await bench.list(), before, "tasks");
		},
	},
	{
		title: "hasten() ends backoffs early, and leaves everything else alone",
		async run(bench) {
			await waitInEveryWay(bench);
			const before = await bench.list();
			equal(await bench.store.hasten(bench.basket, bench.unit), 3, "how many");
			const after = await bench.list();
			for (const [index, task] of after.entries()) {
				if (task.id.startsWith("backoff")) {
					const most = before[index]!.dueAt! - 1.5 * bench.long;
					between(task.dueAt, task.addedAt, most, `dueAt of ${task.id}`);
				} else equal(task, before[index], `${task.id}, which is no backoff`);
			}
			equal(await bench.store.hasten(bench.basket, bench.unit), 0, "how many in a second call");
			await bench.pass(1);
			equal(
				idsOf(await bench.claim()).sort(),
				["backoff 1", "backoff 2", "backoff 3"],
				"claimed when that time is over",
			);
		},
	},
	{
		title: "hasten() leaves alone what is due before that anyway",
		async run(bench) {
			const [a] = await bench.running("a");
			await bench.settle(a!, { type: "retry", delay: bench.long, attempts: 1, error: "x", backoff: true });
			const before = await bench.list();
			equal(await bench.store.hasten(bench.basket, 2 * bench.long), 0, "how many");
			equal(await bench.store.hasten("other", 0), 0, "how many in another basket");
			equal(await bench.list(), before, "tasks");
		},
	},
	{
		title: "hasten() knows only the last settlement",
		async run(bench) {
			await bench.add("a", "b");
			for (const claim of await bench.claim()) {
				await bench.settle(claim, { type: "retry", delay: 0, attempts: 1, error: "x", backoff: true });
			}
			const [a, b] = await bench.claim();
			await bench.settle(a!, { type: "later", delay: bench.long, seen: 0 });
			await bench.settle(b!, { type: "retry", delay: bench.long, attempts: 2, error: "x" });
			equal(await bench.store.hasten(bench.basket, 0), 0, "how many");
			await bench.expectClaims([], "of those that do not back off");
		},
	},
];

/** Adds three tasks in a backoff, and one task for each other kind of wait. */
async function waitInEveryWay(bench: Bench): Promise<void> {
	const delay = 2 * bench.long;
	const claims = await bench.running(
		"backoff 1",
		"backoff 2",
		"backoff 3",
		"firm",
		"held",
		"later",
		"message",
		"dead",
		"done",
		"running",
	);
	const retry: Outcome = { type: "retry", delay, attempts: 1, error: "x", backoff: true };
	const outcomes: Outcome[] = [
		retry,
		retry,
		{ type: "later", delay, seen: 0, backoff: true },
		{ ...retry, backoff: false },
		retry,
		{ type: "later", delay, seen: 0 },
		{ type: "later", delay: null, seen: 0 },
		{ type: "dead", attempts: 1, error: "x" },
		{ type: "done", retain: delay },
	];
	for (const [index, outcome] of outcomes.entries()) await bench.settle(claims[index]!, outcome);
	await bench.change("held", "hold");
	await bench.add({ id: "delayed", delay }, { id: "head", delay, lane: "l" }, { id: "blocked", delay, lane: "l" });
}
