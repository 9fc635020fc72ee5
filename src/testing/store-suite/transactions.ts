/**
 * Tests of transactions of the caller. The effect of an open transaction on others depends on the database, so inside
 * it the tests await only the store.
 *
 * @module
 */

import { equal, rejects } from "./assert.ts";
import { type Bench, idsOf, newTask, type StoreTest } from "./bench.ts";

type Work = (tx: unknown) => Promise<unknown>;

export const transactions: readonly StoreTest[] = [
	{
		title: "add() in a transaction is there when it commits",
		needs: ["tx"],
		async run(bench) {
			const added = await commit(bench, (tx) => bench.store.add(bench.basket, ["a", "b", {}].map(newTask), tx));
			const made = (added as { id: string }[])[2]!.id;
			equal(added, ["a", "b", made].map((id) => ({ id, added: true })), "what add() says");
			await bench.expectClaims(["a", "b", made], "after the commit");
		},
	},
	{
		title: "add() in a transaction never was when it does not commit",
		needs: ["tx"],
		async run(bench) {
			await rollBack(bench, (tx) => bench.store.add(bench.basket, ["a", { id: "b", lane: "l" }].map(newTask), tx));
			equal(await bench.list(), [], "tasks");
			equal(await bench.add("a"), [{ id: "a", added: true }], "added after that");
			await bench.add({ id: "c", lane: "l" });
			await bench.expectClaims(["a", "c"], "of which c is the head of the lane");
		},
	},
	{
		title: "add() in a transaction stores no id twice",
		needs: ["tx"],
		async run(bench) {
			await bench.add({ id: "a", payload: "first" });
			const ids = ["a", "b"].map((id) => newTask({ id, payload: "second" }));
			const committed = await attempt(bench, (tx) => bench.store.add(bench.basket, ids, tx));
			equal((await bench.get("a")).payload, "first", "payload of the task that was there");
			equal(await bench.states("b"), [committed ? "waiting" : undefined], "state of the other task");
			equal((await bench.list()).length, committed ? 2 : 1, "how many tasks there are");
		},
	},
	{
		title: "add() may be called several times in one transaction",
		needs: ["tx"],
		async run(bench) {
			const tasks = ["a", "b", "c"].map((id) => newTask({ id, lane: "l" }));
			await commit(bench, async (tx) => {
				for (const task of tasks) await bench.store.add(bench.basket, [task], tx);
			});
			for (const id of ["a", "b", "c"]) await bench.settleAll([await bench.claimOnly(id)]);
		},
	},
	{
		title: "add() in a transaction joins a lane behind those that are there",
		needs: ["tx"],
		async run(bench) {
			await bench.add({ id: "a", lane: "l" });
			await commit(bench, (tx) => bench.store.add(bench.basket, [newTask({ id: "b", lane: "l" })], tx));
			const claim = await bench.claimOnly("a");
			await bench.settleAll([claim]);
			await bench.claimOnly("b");
		},
	},
	{
		title: "add() in a transaction keeps its lane in order with what happens meanwhile",
		needs: ["tx"],
		async run(bench) {
			for (let round = 0; round < 5; round++) {
				const [head, inside, outside] = ["head", "inside", "outside"].map((id) => ({
					id: `${id} ${round}`,
					lane: "l",
				}));
				const [claim] = await bench.running(head!);
				let others: Promise<unknown> = Promise.resolve();
				const committed = await attempt(bench, async (tx) => {
					await bench.store.add(bench.basket, [newTask(inside!)], tx);
					others = Promise.all([
						bench.persistently(() => bench.store.add(bench.basket, [newTask(outside!)])),
						bench.persistently(() => bench.turn({ settle: [{ ref: claim!, outcome: { type: "done" } }] })),
					]);
					// The rejection is handled later.
					others.catch(() => {});
				});
				await bench.patiently(others);
				const listed = idsOf(await bench.list());
				equal(listed.length, committed ? 2 : 1, "how many are left");
				for (const id of listed) await bench.settleAll([await bench.claimOnly(id)]);
				equal(await bench.list(), [], "left at the end");
			}
		},
	},
	{
		title: "save() in a transaction is there when it commits, and only then",
		needs: ["tx"],
		async run(bench) {
			const [a] = await bench.running("a");
			await rollBack(bench, (tx) => bench.store.save(bench.basket, [{ ref: a!, payload: "x", progress: "x" }], tx));
			const before = await bench.get("a");
			equal([before.payload, before.progress], ["payload of a", undefined], "after a rollback");
			await commit(bench, (tx) => bench.store.save(bench.basket, [{ ref: a!, payload: "y", progress: "z" }], tx));
			const after = await bench.get("a");
			equal([after.payload, after.progress, after.state], ["y", "z", "running"], "after a commit");
			await bench.settleAll([a!]);
		},
	},
	{
		title: "complete() ends a claim when the transaction commits",
		needs: ["tx"],
		async run(bench) {
			const claims = await bench.running({ id: "a", lane: "l" }, "b");
			await bench.add({ id: "next", lane: "l" });
			const kept = { type: "done", retain: bench.long, payload: "result" } as const;
			const done = await commit(bench, async (tx) => [
				await bench.store.complete(bench.basket, claims[0]!, { type: "done" }, tx),
				await bench.store.complete(bench.basket, claims[1]!, kept, tx),
			]);
			equal(done, [true, true], "what complete() says");
			equal(await bench.states("a", "b"), [undefined, "done"], "states");
			equal((await bench.get("b")).payload, "result", "payload that is kept");
			await bench.expectClaims(["next"], "of the lane");
			equal(await bench.settle(claims[0]!, { type: "release" }), false, "settled after it was completed");
		},
	},
	{
		title: "complete() does nothing when the transaction does not commit",
		needs: ["tx"],
		async run(bench) {
			const [a] = await bench.running({ id: "a", lane: "l" });
			await bench.add({ id: "next", lane: "l" });
			await rollBack(bench, (tx) => bench.store.complete(bench.basket, a!, { type: "done" }, tx));
			equal(await bench.states("a", "next"), ["running", "waiting"], "states");
			await bench.expectClaims([], "of the lane");
			equal(await bench.store.extend(bench.basket, [a!], bench.long), ["ok"], "extend()");
			await bench.settleAll([a!]);
			await bench.claimOnly("next");
		},
	},
	{
		title: "complete() and save() under a lost claim change nothing",
		needs: ["tx"],
		async run(bench) {
			await bench.add("a");
			const lost = await bench.claimOnly("a", bench.unit);
			await bench.pass(1);
			const current = await bench.claimOnly("a");
			const before = await bench.get("a");
			const { store, basket } = bench;
			let isDone = false;
			const committed = await attempt(bench, async (tx) => {
				isDone = await store.complete(basket, lost, { type: "done" }, tx);
			});
			equal(committed && isDone, false, "whether it has committed and complete() has said that it was done");
			await attempt(bench, (tx) => store.save(basket, [{ ref: lost, payload: "stale" }], tx));
			equal(await bench.get("a"), before, "the task");
			await bench.settleAll([current]);
		},
	},
	{
		title: "add() and complete() take effect together",
		needs: ["tx"],
		async run(bench) {
			const [a] = await bench.running("a");
			const both: Work = async (tx) => {
				await bench.store.complete(bench.basket, a!, { type: "done" }, tx);
				await bench.store.add(bench.basket, [newTask("b")], tx);
			};
			await rollBack(bench, both);
			equal(await bench.states("a", "b"), ["running", undefined], "states after a rollback");
			await commit(bench, both);
			equal(await bench.states("a", "b"), [undefined, "waiting"], "states after a commit");
		},
	},
];

/** Commits. Resolves with the value of the work. */
async function commit(bench: Bench, work: Work): Promise<unknown> {
	let result: unknown;
	await bench.patiently(bench.fixture.transaction!(async (tx) => result = await work(tx)));
	return result;
}

async function rollBack(bench: Bench, work: Work): Promise<void> {
	const failing = bench.fixture.transaction!(async (tx) => {
		await work(tx);
		throw new Error("roll back");
	});
	await rejects(bench.patiently(failing), "a transaction whose work rejects");
}

/** Commits if the database allows it: if a transaction is only a list of changes, a conflict makes the commit fail. */
function attempt(bench: Bench, work: Work): Promise<boolean> {
	return bench.patiently(bench.fixture.transaction!(work)).then(() => true, () => false);
}
