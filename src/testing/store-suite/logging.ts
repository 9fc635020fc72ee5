/**
 * Tests of logs: entries that claims append, and their removal.
 *
 * @module
 */

import { type Data, mostAppended, type Outcome, type Ref, type Settlement } from "../../basket/store.ts";
import { equal } from "./assert.ts";
import { type Bench, newTask, numbered, type StoreTest } from "./bench.ts";

export const logging: readonly StoreTest[] = [
	{
		title: "save() appends entries to the log of a task, in order, and changes nothing else",
		async run(bench) {
			const [a, b] = await bench.running("a", "b");
			equal(await bench.log("a"), [], "log without entries");
			const before = await bench.list();
			equal(await append(bench, a!, 0, ["1"]), true, "saved");
			equal(await append(bench, a!, 1, ["2", "3"]), true, "saved");
			equal(await append(bench, b!, 0, ["other"]), true, "saved");
			equal(await bench.log("a"), ["1", "2", "3"], "log");
			equal(await bench.log("b"), ["other"], "log of another task");
			equal(await bench.list(), before, "tasks");
			equal((await bench.get("a")).inbox, [], "inbox");
		},
	},
	{
		title: "save() appends to logs of several tasks at once, with payloads and without",
		async run(bench) {
			const [a, b, c] = await bench.running("a", "b", "c");
			await bench.store.delete(bench.basket, ["b"]);
			const saves = [
				{ ref: a!, payload: "new", progress: "half", log: { after: 0, entries: ["1"] } },
				{ ref: b!, log: { after: 0, entries: ["1"] } },
				{ ref: c!, log: { after: 0, entries: ["2"] } },
			];
			equal(await bench.store.save(bench.basket, saves), [true, false, true], "saved");
			const { payload, progress } = await bench.get("a");
			equal([payload, progress, await bench.log("a"), await bench.log("c")], ["new", "half", ["1"], ["2"]], "stored");
		},
	},
	{
		title: "save() and turn() append nothing for a claim that is lost",
		async run(bench) {
			const [a] = await bench.running("a");
			await append(bench, a!, 0, ["1"]);
			await bench.settle(a!, { type: "release" });
			equal(await append(bench, a!, 1, ["2"]), false, "saved after the end of the claim");
			const next = await bench.claimOnly("a");
			equal(await append(bench, a!, 1, ["2"]), false, "saved during the next claim");
			const { settled } = await bench.turn({ settle: [settlement(a!, { type: "done" }, 1, "2")] });
			equal(settled, [false], "settled");
			equal(await bench.log("a"), ["1"], "log");
			equal(await append(bench, next, 1, ["2"]), true, "saved by the next claim");
		},
	},
	{
		title: "turn() appends entries with each kind of settlement, and the log stays for the next claim",
		async run(bench) {
			const outcomes: Outcome[] = [
				{ type: "later", delay: 0, seen: 0, payload: "x" },
				{ type: "retry", delay: 0, attempts: 1, error: "x" },
				{ type: "release" },
				{ type: "release", delay: 0 },
				{ type: "done", retain: bench.long, result: "x" },
			];
			await bench.add({ id: "a", lane: "l" }, "b");
			for (const [index, outcome] of outcomes.entries()) {
				const claims = await bench.claim();
				const settle = claims.map((claim) => settlement(claim, outcome, index, `${claim.id} ${index}`));
				equal((await bench.turn({ settle })).settled, [true, true], `settled as ${outcome.type}`);
			}
			for (const id of ["a", "b"]) equal(await bench.log(id), [0, 1, 2, 3, 4].map((n) => `${id} ${n}`), "log");
			equal(await bench.states("a", "b"), ["done", "done"], "states");
		},
	},
	{
		title: "turn() says of each claim how many entries its log has",
		async run(bench) {
			const [a, b] = await bench.running("a", "b");
			equal([a, b].map((claim) => claim!.logged ?? 0), [0, 0], "logs of new tasks");
			await append(bench, a!, 0, ["1", "2"]);
			await append(bench, a!, 0, ["1"]);
			await bench.settleAll([a!, b!], { type: "release" });
			const again = await bench.expectClaims(["a", "b"], "again");
			equal(again.map(({ logged = 0 }) => logged), [2, 0], "logs of released tasks");
			await bench.turn({ settle: [settlement(again[1]!, { type: "release" }, 0, "1")] });
			await bench.settleAll([again[0]!], { type: "dead", attempts: 1, error: "x" });
			await bench.change("a", "retry");
			const claims = await bench.expectClaims(["b", "a"], "at last");
			equal(claims.map(({ logged }) => logged), [1, 2], "logs of tasks with entries");
		},
	},
	{
		title: "a log survives a lease that ends, and a dead task keeps it when it is retried",
		async run(bench) {
			await bench.add("a");
			await append(bench, await bench.claimOnly("a", bench.unit), 0, ["1"]);
			await bench.pass(2);
			const next = await bench.claimOnly("a");
			await append(bench, next, 1, ["2"]);
			const dead: Outcome = { type: "dead", attempts: 1, error: "x" };
			await bench.turn({ settle: [settlement(next, dead, 2, "3")] });
			equal(await bench.log("a"), ["1", "2", "3"], "log of a dead task");
			await bench.change("a", "retry");
			equal(await bench.log("a"), ["1", "2", "3"], "log of a retried task");
			await append(bench, await bench.claimOnly("a"), 3, ["4"]);
			equal(await bench.log("a"), ["1", "2", "3", "4"], "log of a retried task that goes on");
		},
	},
	{
		title: "save() replaces the entries that are there, so that it can be repeated",
		async run(bench) {
			const [a] = await bench.running("a");
			for (const entries of [["1", "2"], ["1", "2"], ["one"]]) await append(bench, a!, 0, entries);
			equal(await bench.log("a"), ["one", "2"], "log");
			await append(bench, a!, 1, ["two", "three"]);
			equal(await bench.log("a"), ["one", "two", "three"], "log");
			await bench.turn({ settle: [settlement(a!, { type: "release" }, 2, "3", "4")] });
			equal(await bench.log("a"), ["one", "two", "3", "4"], "log");
		},
	},
	{
		title: "log() reads a part of the log, of several tasks at once, and knows whose claim is current",
		async run(bench) {
			const [a, b] = await bench.running("a", "b");
			await append(bench, a!, 0, ["1", "2", "3", "4"]);
			await append(bench, b!, 0, ["5"]);
			const all = { after: 0, limit: 10 };
			const reads = [
				{ id: "a", after: 1, limit: 2 },
				{ id: "nobody", ...all },
				{ id: "b", token: b!.token, ...all },
				{ id: "b", token: a!.token, ...all },
				{ id: "a", after: 4, limit: 1 },
				{ id: "a", ...all },
				{ id: "a", token: a!.token, after: 3, limit: 10 },
			];
			const found = await bench.store.log(bench.basket, reads);
			const wanted = [["2", "3"], undefined, ["5"], undefined, [], ["1", "2", "3", "4"], ["4"]];
			equal(found.map((entries) => entries?.map(({ data }) => data)), wanted, "entries");
			equal(found[0], [{ n: 2, data: "2" }, { n: 3, data: "3" }], "numbered entries");
			await bench.settleAll([a!], { type: "release" });
			const after = await bench.store.log(bench.basket, [{ id: "a", token: a!.token, ...all }]);
			equal(after, [undefined], "log for a claim that has ended");
			equal(await bench.store.log("another basket", [{ id: "a", ...all }]), [undefined], "log in another basket");
			equal(await bench.store.log(bench.basket, []), [], "no logs");
		},
	},
	{
		title: "log() gives text and bytes back exactly, and as many entries at once as a part may have",
		async run(bench) {
			const [a] = await bench.running({ id: "a", lane: "l" });
			const entries: Data[] = ["", "\u0000\uffff\u{1f600}", `{"a":1}`, Uint8Array.of(0, 1, 255), new Uint8Array(0)];
			await append(bench, a!, 0, entries);
			equal(await bench.log("a"), entries, "log");
			await append(bench, a!, entries.length, numbered(mostAppended, "entry "));
			equal(await bench.log("a", entries.length), numbered(mostAppended, "entry "), "log");
			const { maxPayload = 1_000_000 } = bench.store.capabilities;
			const largest = "x".repeat(Math.min(maxPayload, 1_000_000));
			await append(bench, a!, 0, [largest]);
			equal((await bench.log("a", 0, 1))[0] === largest, true, "whether the largest entry is the same");
		},
	},
	{
		title: "a task takes its log with it when it is deleted, done, over or replaced",
		async run(bench) {
			const ids = ["deleted", "done", "over", "replaced", "kept"];
			const tasks = ids.map((id) => ({ id, lane: `lane of ${id}` }));
			const claims = await bench.running(...tasks);
			for (const claim of claims) await append(bench, claim, 0, ["1", "2"]);
			equal(await countEntries(bench, ids), ids.map(() => 2), "entries of each");
			const [, done, over, replaced] = claims;
			await bench.store.delete(bench.basket, ["deleted"]);
			await bench.settleAll([done!]);
			await bench.settleAll([over!], { type: "done", retain: bench.unit });
			await bench.settleAll([replaced!], { type: "done", retain: bench.long });
			await bench.store.add(bench.basket, [newTask({ ...tasks[3], ifPresent: "replace" })]);
			await bench.pass(2);
			equal(await countEntries(bench, ids), [undefined, undefined, undefined, 0, 2], "entries of what is left");
			await bench.add(...tasks);
			equal(await countEntries(bench, ids), [0, 0, 0, 0, 2], "entries of new tasks with the same ids");
		},
	},
	{
		title: "a task with a long log is removed, and so is its log",
		async run(bench) {
			const [a, b] = await bench.running("a", "b");
			const count = 1200;
			for (let n = 0; n < count; n += mostAppended) {
				const log = { after: n, entries: numbered(mostAppended, "entry ") };
				equal(await bench.store.save(bench.basket, [a!, b!].map((ref) => ({ ref, log }))), [true, true], "saved");
			}
			equal(await countEntries(bench, ["a", "b"]), [count, count], "entries");
			await bench.settleAll([a!]);
			await bench.store.delete(bench.basket, ["b"]);
			for (let turn = 0; turn < 20; turn++) await bench.claim();
			await bench.add("a", "b");
			equal(await countEntries(bench, ["a", "b"]), [0, 0], "entries of new tasks with the same ids");
		},
	},
	{
		title: "save() in a transaction appends when it commits, and only then",
		needs: ["tx"],
		async run(bench) {
			const [a] = await bench.running("a");
			const { transaction } = bench.fixture;
			const save = (tx: unknown) => append(bench, a!, 1, ["2"], tx);
			await append(bench, a!, 0, ["1"]);
			const failure = new Error("rolled back");
			await transaction!(async (tx) => {
				await save(tx);
				throw failure;
			}).catch((error) => equal(error, failure, "the error"));
			equal(await bench.log("a"), ["1"], "log after a rollback");
			await transaction!(save);
			equal(await bench.log("a"), ["1", "2"], "log after a commit");
		},
	},
];

/** Appends entries with a save. */
async function append(
	{ store, basket }: Bench,
	ref: Ref,
	after: number,
	entries: readonly Data[],
	tx?: unknown,
): Promise<boolean> {
	const [isSaved] = await store.save(basket, [{ ref, log: { after, entries } }], tx);
	return isSaved!;
}

/** An end of a claim that appends entries. */
function settlement(ref: Ref, outcome: Outcome, after: number, ...entries: Data[]): Settlement {
	return { ref, outcome, log: { after, entries } };
}

/** The number of entries of each task; `undefined` for missing tasks. */
async function countEntries({ store, basket }: Bench, ids: readonly string[]): Promise<(number | undefined)[]> {
	const found = await store.log(basket, ids.map((id) => ({ id, after: 0, limit: 10_000 })));
	return found.map((entries) => entries?.length);
}
