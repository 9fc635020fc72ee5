/**
 * Tests of done and dead tasks whose retention has ended: from then on, every member treats them as absent, even if no
 * turn has removed them.
 *
 * @module
 */

import type { Claim, Outcome } from "../../basket/store.ts";
import type { Bench, StoreTest } from "./bench.ts";
import { equal } from "./assert.ts";
import { idsOf, numbered } from "./bench.ts";

/** The tests of tasks that have ended in this state. */
const testsOf = (state: "done" | "dead"): readonly StoreTest[] => [
	{
		title: `add() takes the id of a ${state} task whose time is over, though no turn has removed it`,
		async run(bench) {
			await overdue(bench, state, "a", "b");
			await bench.add("c");
			const added = await bench.add({ id: "a", payload: "new" }, { id: "a", payload: "newer" }, "c");
			const wanted = [{ id: "a", added: true }, { id: "a", added: false, state: "waiting" }];
			equal(added, [...wanted, { id: "c", added: false, state: "waiting" }], "what add() says");
			equal(idsOf(await bench.list()), ["kept", "c", "a"], "listed");
			const a = await bench.get("a");
			equal([a.state, a.payload, a.attempts, a.error], ["waiting", "new", 0, undefined], "what is stored of a");
			await bench.expectClaims(["c", "a"], "of which a was added again");
		},
	},
	{
		title: `turn() leaves a task alone that was added under the id of a ${state} one whose time is over`,
		async run(bench) {
			await overdue(bench, state, "a");
			await bench.add({ id: "a", payload: "new" });
			// Each of these calls may remove expired tasks.
			for (let round = 0; round < 3; round++) {
				const [b] = await bench.running({ id: "b", kind: "work", priority: 1 });
				await bench.settleAll([b!]);
				if (round === 0) await bench.settleAll([await bench.claimOnly("a")], { type: "release" });
			}
			equal((await bench.get("a")).payload, "new", "payload");
			const counts = { waiting: 1, running: 0, held: 0, dead: 0, done: 0, [state]: 1 };
			equal(await bench.store.counts(bench.basket), counts, "counts()");
		},
	},
	{
		title: `get(), list() and counts() show no ${state} task whose time is over, though no turn has removed it`,
		async run(bench) {
			// Many, because reading a task may remove it.
			await overdue(bench, state, "a", "b", ...numbered(150, "task "));
			const { store, basket } = bench;
			equal(idsOf(await bench.list()), ["kept"], "listed at first");
			equal(await bench.states("a", "b", "kept"), [undefined, undefined, state], "states that get() gives");
			equal(idsOf(await bench.list()), ["kept"], "listed");
			equal(idsOf(await store.list(basket, { state, limit: 9 })), ["kept"], `listed as ${state}`);
			equal(idsOf(await store.list(basket, { kind: "work", limit: 1 })), ["kept"], "the first one listed");
			const counts = { waiting: 0, running: 0, held: 0, dead: 0, done: 0, [state]: 1 };
			equal(await store.counts(basket), counts, "counts()");
		},
	},
	{
		title: `delete(), change() and post() find no ${state} task whose time is over, though no turn has removed it`,
		async run(bench) {
			await overdue(bench, state, "a", "b");
			const { store, basket } = bench;
			equal(await store.delete(basket, ["a", "kept"]), [false, true], "deleted");
			for (const change of ["retry", "hold", "release"] as const) {
				equal(await bench.change("b", change), false, `${change} of b`);
			}
			equal(await store.post(basket, "b", "message"), false, "post() to b");
			equal(await store.hasten(basket, 0), 0, "how many hasten() makes due");
			equal(await bench.list(), [], "listed");
		},
	},
	{
		title: `extend(), save() and turn() know no claim of a ${state} task whose time is over`,
		async run(bench) {
			const [a] = await overdue(bench, state, "a");
			const { store, basket } = bench;
			equal(await store.extend(basket, [a!], bench.long), ["lost"], "extend()");
			equal(await store.save(basket, [{ ref: a!, payload: "late" }]), [false], "save()");
			equal(await bench.settle(a!, { type: "retry", delay: 0, attempts: 1, error: "x" }), false, "settled");
			equal(await bench.states("a"), [undefined], "state");
		},
	},
	{
		title: `add() in a transaction takes the id of a ${state} task whose time is over`,
		needs: ["tx"],
		async run(bench) {
			await overdue(bench, state, "a");
			const task = { id: "a", kind: "work", payload: "new", delay: 0, priority: 0 };
			await bench.fixture.transaction!(async (tx) => {
				equal((await bench.store.add(bench.basket, [task], tx))[0]!.added, true, "added");
			});
			equal((await bench.get("a")).payload, "new", "payload");
			await bench.expectClaims(["a"], "after the commit");
		},
	},
];

/** A function, because bundlers treat the construction of a list as a side effect. */
export function expiring(): readonly StoreTest[] {
	return (["done", "dead"] as const).flatMap(testsOf);
}

/** Adds ended tasks whose retention has ended, with their claims, and a task "kept" whose retention has not ended. */
async function overdue(bench: Bench, state: "done" | "dead", ...ids: string[]): Promise<readonly Claim[]> {
	const claims = await bench.running(...ids, "kept");
	const end = (retain: number): Outcome =>
		state === "done" ? { type: "done", retain, result: "result" } : { type: "dead", retain, attempts: 1, error: "x" };
	await bench.settleAll(claims.slice(0, -1), end(bench.unit));
	await bench.settle(claims.at(-1)!, end(bench.long));
	await bench.pass(1);
	return claims;
}
