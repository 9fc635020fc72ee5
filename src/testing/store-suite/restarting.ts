/**
 * Tests of restarts: `change` lets tasks begin anew that have ended.
 *
 * @module
 */

import { type Data, mostAppended, type Outcome, type Restart } from "../../basket/store.ts";
import { equal } from "./assert.ts";
import { type Bench, idsOf, numbered, type StoreTest } from "./bench.ts";

export const restarting: readonly StoreTest[] = [
	{
		title: "change() restarts done and dead tasks with another payload, as if added now",
		async run(bench) {
			const place = { lane: "l", priority: 1, limitKey: "k" };
			for (const [id, outcome] of endings(bench)) {
				await bench.add({ id, ...place });
				const claim = await bench.claimOnly(id);
				await bench.store.post(bench.basket, id, "hello");
				await bench.settle(claim, outcome);
			}
			await bench.add("last");
			for (const [id] of endings(bench)) equal(await restart(bench, id, { payload: `new ${id}` }), true, id);
			equal(idsOf(await bench.list()), ["last", "done", "dead"], "listed");
			for (const id of ["done", "dead"]) {
				const { key: _, addedAt, dueAt, ...task } = await bench.get(id);
				const none = { error: undefined, result: undefined, progress: undefined, inbox: [] };
				const wanted = { id, kind: "work", state: "waiting", attempts: 0, crashes: 0, payload: `new ${id}`, ...place };
				equal(task, { ...wanted, ...none }, "task");
				equal(dueAt, addedAt, "dueAt");
			}
			// They are in their lane, one behind the other.
			const [done] = await bench.expectClaims(["done", "last"], "first");
			equal([done!.payload, done!.inbox], ["new done", []], "claimed");
			await bench.settleAll([done!]);
			await bench.claimOnly("dead");
		},
	},
	{
		title: "change() restarts no task that has not ended, and none whose key is another one by now",
		async run(bench) {
			const [running] = await bench.running("running");
			await ended(bench, "a");
			await bench.add("waiting", "held");
			await bench.change("held", "hold");
			const before = await bench.list();
			for (const id of ["waiting", "held", "running"]) equal(await restart(bench, id), false, id);
			const { key } = await bench.get("a");
			for (const other of ["", "nothing", `${key}0`, (await bench.get("held")).key]) {
				equal(await restart(bench, "a", { key: other }), false, `with the key "${other}"`);
			}
			const change: Restart = { type: "restart", key, payload: "new", keepsLog: true };
			equal(await bench.change("nobody", change), false, "of nobody");
			equal(await bench.list(), before, "tasks");
			const both = await Promise.all([1, 2].map(() => bench.persistently(() => bench.change("a", change))));
			equal(both.filter((isChanged) => isChanged).length, 1, "how many of two calls");
			await bench.settleAll([running!, ...await bench.claim()]);
			await bench.add("a");
			await bench.settleAll([await bench.claimOnly("a")], { type: "done", retain: bench.long });
			equal(await bench.change("a", change), false, "of a later task with this id");
		},
	},
	{
		title: "change() restarts a task whose claim has ended: whoever had it can store nothing more",
		async run(bench) {
			const claim = await ended(bench, "a", ["1"]);
			await restart(bench, "a");
			const log = { after: 1, entries: ["old"] };
			equal(await bench.store.save(bench.basket, [{ ref: claim, payload: "old", log }]), [false], "saved");
			equal(await bench.settle(claim, { type: "done" }), false, "settled");
			const next = await bench.claimOnly("a");
			equal([next.payload, next.logged, next.token === claim.token], ["new", 1, false], "the next claim");
			equal(await bench.store.save(bench.basket, [{ ref: claim, log }]), [false], "saved during the next claim");
			equal(await bench.log("a"), ["1"], "log");
		},
	},
	{
		title:
			"change() restarts a task with its log, as often as it likes, or without it, also if the store has made the id",
		async run(bench) {
			const [added] = await bench.add({ payload: "made" });
			const { id } = added!;
			for (const [keepsLog, wanted] of [[true, ["1"]], [true, ["1", "2"]], [false, []], [true, ["1"]]] as const) {
				const claim = await bench.claimOnly(id);
				for (const data of ["old 1", "old 2"]) await bench.store.post(bench.basket, id, data);
				const after = claim.logged ?? 0;
				const settlement = { ref: claim, outcome: done(bench), log: { after, entries: [`${after + 1}`] } };
				equal((await bench.turn({ settle: [settlement] })).settled, [true], "settled");
				equal(await restart(bench, id, { keepsLog }), true, "restarted");
				equal(await bench.log(id), wanted, "log");
			}
			equal(await bench.store.post(bench.basket, id, "hello"), true, "posted");
			equal((await bench.claimOnly(id)).inbox, [{ n: 1, data: "hello" }], "inbox");
			equal(await bench.store.delete(bench.basket, [id]), [true], "deleted");
		},
	},
	{
		title: "a restarted task never has entries of an old log that was long, whenever these are removed",
		async run(bench) {
			const count = 1200;
			const claim = await ended(bench, "a", numbered(count, "old "));
			equal(claim.id, "a", "id");
			await restart(bench, "a", { keepsLog: false });
			equal(await bench.log("a"), [], "log after the restart");
			const next = await bench.claimOnly("a");
			equal(next.logged ?? 0, 0, "entries of the claim");
			await append(bench, next, ["1", "2"]);
			for (let turn = 0; turn < 20; turn++) await bench.claim();
			equal(await bench.log("a"), ["1", "2"], "log in the end");
			await bench.settleAll([next], done(bench));
			await restart(bench, "a");
			equal(await bench.log("a"), ["1", "2"], "log that is kept");
		},
	},
	{
		title: "change() restarts a task when a transaction commits, and only then",
		needs: ["tx"],
		async run(bench) {
			await ended(bench, "a", ["1"]);
			const { transaction } = bench.fixture;
			const change = await restartOf(bench, "a", {});
			const begin = (tx: unknown) => bench.store.change(bench.basket, ["a"], change, tx);
			const failure = new Error("rolled back");
			await transaction!(async (tx) => {
				await begin(tx);
				throw failure;
			}).catch((error) => equal(error, failure, "the error"));
			equal(await bench.states("a"), ["done"], "state after a rollback");
			await transaction!(begin);
			equal([(await bench.claimOnly("a")).payload, await bench.log("a")], ["new", ["1"]], "after a commit");
		},
	},
];

/** A restart of a task that exists. */
async function restartOf(bench: Bench, id: string, change: Partial<Restart>): Promise<Restart> {
	const { key } = await bench.get(id);
	return { type: "restart", key, payload: "new", keepsLog: true, ...change };
}

async function restart(bench: Bench, id: string, change: Partial<Restart> = {}): Promise<boolean> {
	return await bench.change(id, await restartOf(bench, id, change));
}

function done(bench: Bench): Outcome {
	return { type: "done", retain: bench.long, result: "result" };
}

function endings(bench: Bench): readonly (readonly [id: string, outcome: Outcome])[] {
	return [["done", done(bench)], ["dead", { type: "dead", attempts: 3, error: "x" }]];
}

/** A done task with a log. Returns its last claim. */
async function ended(bench: Bench, id: string, log: readonly Data[] = []): ReturnType<Bench["claimOnly"]> {
	const [claim] = await bench.running(id);
	if (log.length > 0) await append(bench, claim!, log);
	await bench.settleAll([claim!], done(bench));
	return claim!;
}

async function append({ store, basket }: Bench, ref: Parameters<Bench["settle"]>[0], log: readonly Data[]) {
	for (let after = 0; after < log.length; after += mostAppended) {
		const entries = log.slice(after, after + mostAppended);
		equal(await store.save(basket, [{ ref, log: { after, entries } }]), [true], "saved");
	}
}
