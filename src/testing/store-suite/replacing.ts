/**
 * Tests of `add` with `ifPresent: "replace"`.
 *
 * @module
 */

import type { NewTask, Outcome } from "../../basket/store.ts";
import { between, equal, rejects } from "./assert.ts";
import { type Bench, claimed, idsOf, newTask, type StoreTest } from "./bench.ts";

const replace = { ifPresent: "replace" } as const;

/** A function, because bundlers treat the construction of a list as a side effect. */
export function replacing(): readonly StoreTest[] {
	return [
		{
			title: "add() with replace adds a task that is not there",
			async run(bench) {
				equal(await put(bench, { id: "a" }), { id: "a", added: true }, "what add() says");
				equal((await put(bench, { id: undefined })).added, true, "added without an id");
				equal((await bench.list()).length, 2, "how many tasks there are");
			},
		},
		{
			title: "add() with replace gives a waiting task the payload and the priority",
			async run(bench) {
				await bench.add({ id: "a", payload: "1" }, "b", { id: "late", delay: bench.long });
				const before = await bench.get("a");
				const added = await bench.store.add(bench.basket, [
					newTask({ id: "a", payload: Uint8Array.of(2), priority: -1, ...replace }),
					newTask({ id: "late", payload: "2", priority: 5, ...replace }),
					newTask({ id: "new", ...replace }),
				]);
				const waiting = { added: true, state: "waiting" };
				equal(
					added,
					[{ id: "a", ...waiting }, { id: "late", ...waiting }, { id: "new", added: true }],
					"what add() says",
				);
				const { dueAt: _, ...a } = await bench.get("a");
				const { dueAt: __, ...wanted } = { ...before, payload: Uint8Array.of(2), priority: -1 };
				equal(a, wanted, "a");
				const claims = await bench.expectClaims(["late", "b", "new", "a"], "by their new priorities");
				equal(claims.map(({ payload }) => payload), ["2", "payload of b", "payload of new", a.payload], "payloads");
			},
		},
		{
			title: "add() with replace takes the last of two with the same id in one call",
			async run(bench) {
				const tasks = ["1", "2", "3"].map((payload) => newTask({ id: "a", payload, ...replace }));
				const added = await bench.store.add(bench.basket, tasks);
				equal(added.map(({ added }) => added), [true, true, true], "added");
				equal(added.map(({ state }) => state), [undefined, "waiting", "waiting"], "states of what was there");
				equal((await bench.list()).map(({ payload }) => payload), ["3"], "payloads");
			},
		},
		{
			title: "add() with replace keeps the task's place in its lane, and whether it is held",
			async run(bench) {
				const tasks = ["a", "b", "c"].map((id) => ({ id, lane: "l" }));
				await bench.add(...tasks, "held");
				await bench.change("b", "hold");
				await bench.change("held", "hold");
				const states = [];
				for (const id of ["c", "b", "a"]) states.push((await put(bench, { id, lane: "l", payload: "2" })).state);
				states.push((await put(bench, { id: "held", payload: "2" })).state);
				equal(states, ["waiting", "held", "waiting", "held"], "states of what was there");
				equal(idsOf(await bench.list()), ["a", "b", "c", "held"], "all tasks");
				equal(await bench.states("a", "b", "c", "held"), ["waiting", "held", "waiting", "held"], "states");
				await bench.settleAll([await bench.claimOnly("a")]);
				await bench.expectClaims([], "while the head of the lane is held");
				await bench.change("b", "release");
				await bench.change("held", "release");
				const claims = await bench.claim();
				equal(idsOf(claims).sort(), ["b", "held"], "claimed when they are released");
				await bench.settleAll(claims);
				equal((await bench.claimOnly("c")).payload, "2", "payload of the last one");
			},
		},
		{
			title: "add() with replace counts the delay anew, but within its maximum since the first add",
			async run(bench) {
				const [delay, within] = [3 * bench.long, 5 * bench.long];
				await put(bench, { id: "a", delay, within });
				await put(bench, { id: "free", delay });
				const { addedAt } = await bench.get("a");
				const dues = async () => [(await bench.get("a")).dueAt! - addedAt, (await bench.get("free")).dueAt! - addedAt];
				const first = await dues();
				for (const due of first) between(due, delay - 1, delay + bench.long / 2, "due after the first add");
				if (!bench.isExact) return;
				for (const [units, a, free] of [[4000, 5, 5], [2000, 5, 6], [2000, 5, 7]] as const) {
					await bench.pass(units);
					await put(bench, { id: "a", delay, within });
					await put(bench, { id: "free", delay });
					const wanted = [a, free].map((each) => each * bench.long);
					equal(await dues(), wanted, `due after ${units} more units`);
				}
				equal((await bench.get("a")).addedAt, addedAt, "addedAt");
			},
		},
		{
			title: "add() with replace makes a delayed task due at once if it has no delay",
			async run(bench) {
				await bench.add({ id: "a", delay: bench.long });
				await put(bench, { id: "a", payload: "2" });
				equal((await bench.claimOnly("a")).payload, "2", "payload");
			},
		},
		{
			title: "add() with replace lets a task begin anew that has failed or crashed",
			async run(bench) {
				const [failed, crashed] = await bench.running("failed", "crashed");
				const retry: Outcome = { type: "retry", delay: bench.long, attempts: 3, error: "no luck", backoff: true };
				await bench.store.save(bench.basket, [{ ref: failed!, progress: "half" }]);
				await bench.settle(failed!, retry);
				await bench.turn({ settle: [{ ref: crashed!, outcome: { type: "release" } }] });
				await put(bench, { id: "failed", payload: "2" });
				await put(bench, { id: "crashed", payload: "2" });
				const { attempts, crashes, error, progress } = await bench.get("failed");
				equal([attempts, crashes, error, progress], [0, 0, undefined, undefined], "what is left of its past");
				equal(await bench.store.hasten(bench.basket, 0), 0, "how many backoffs end");
				const claims = await bench.claim();
				equal(claims.map(({ payload }) => payload), ["2", "2"], "payloads");
			},
		},
		...([
			["done", { type: "done" }],
			["done and kept", { type: "done", retain: 1_000_000, payload: "old", result: "old" }],
			["dead", { type: "dead", attempts: 4, error: "broken", payload: "old" }],
		] as const).map(([name, outcome]): StoreTest => ({
			title: `add() with replace lets the newest payload wait behind a running task, until that is ${name}`,
			async run(bench) {
				await bench.add({ id: "a", lane: "l", payload: "1" }, { id: "next", lane: "l" });
				const first = await bench.claimOnly("a");
				const before = await bench.get("a");
				for (const payload of ["2", "3"]) {
					const added = await put(bench, { id: "a", lane: "l", payload, priority: 7 });
					equal(added, { id: "a", added: true, state: "running" }, "what add() says");
				}
				equal(await bench.get("a"), before, "the task that runs");
				await bench.expectClaims([], "while it runs");
				equal(await bench.store.extend(bench.basket, [first], bench.long), ["ok"], "extend() of the claim");
				await bench.settleAll([first], outcome);
				equal(await bench.settle(first, { type: "done" }), false, "a second end of the claim");
				const { key: _, addedAt: __, dueAt: ___, ...a } = await bench.get("a");
				const anew = { kind: "work", state: "waiting", attempts: 0, crashes: 0, priority: 7, inbox: [] };
				equal(a, { ...anew, id: "a", lane: "l", payload: "3" }, "the task that waits");
				const second = await bench.claimOnly("a");
				equal([second.payload, second.attempts, second.error], ["3", 0, undefined], "what is claimed");
				await bench.settleAll([second]);
				await bench.claimOnly("next");
			},
		})),
		...([
			["fails", { type: "retry", delay: 0, attempts: 1, error: "x", payload: "old" }, [1, "x"]],
			["is put off", { type: "later", delay: 0, seen: 0, payload: "old" }, [0, undefined]],
			["is given back", { type: "release", payload: "old" }, [0, undefined]],
		] as const).map(([name, outcome, [attempts, error]]): StoreTest => ({
			title: `add() with replace gives the newest payload to the next attempt of a running task that ${name}`,
			async run(bench) {
				const [a] = await bench.running({ id: "a", payload: "1" });
				await put(bench, { id: "a", payload: "2" });
				equal(await bench.store.save(bench.basket, [{ ref: a!, payload: "saved" }]), [true], "save() of the claim");
				await bench.settleAll([a!], outcome);
				const next = await bench.claimOnly("a");
				equal([next.payload, next.attempts, next.error], ["2", attempts, error], "what is claimed");
				await bench.settleAll([next]);
				equal(await bench.list(), [], "tasks in the end");
			},
		})),
		{
			title: "add() with replace gives the newest payload to the claim that takes up a crashed task",
			async run(bench) {
				await bench.add({ id: "a", payload: "1" });
				const [lost] = await bench.claim(1, bench.unit);
				await put(bench, { id: "a", payload: "2" });
				await bench.pass(1);
				const next = await bench.claimOnly("a");
				equal([next.payload, next.attempts, next.crashes], ["2", 1, 1], "what is claimed");
				equal(await bench.settle(lost!, { type: "done" }), false, "the end of the lost claim");
				await bench.settleAll([next]);
				equal(await bench.list(), [], "tasks in the end");
			},
		},
		{
			title: "add() with replace and a delay lets the newest payload wait after the run, within its maximum",
			async run(bench) {
				const [a] = await bench.running("a");
				await put(bench, { id: "a", delay: bench.long, within: 2 * bench.long });
				await bench.settleAll([a!]);
				const { addedAt, dueAt, state } = await bench.get("a");
				equal(state, "waiting", "state");
				between(dueAt! - addedAt, bench.long - 1, bench.long + bench.unit, "due after the first such add");
				if (!bench.isExact) return;
				await bench.pass(2000);
				const again = await bench.claimOnly("a");
				for (const units of [0, 1500, 1000]) {
					await bench.pass(units);
					await put(bench, { id: "a", delay: bench.long, within: 2 * bench.long });
				}
				await bench.settle(again, { type: "retry", delay: bench.unit, attempts: 1, error: "x" });
				const last = await bench.get("a");
				equal(last.dueAt! - last.addedAt, 2 * bench.long, "due after the first such add");
			},
		},
		{
			title: "add() with replace leaves a hold of a running task, and ends with its delete()",
			async run(bench) {
				const [held, deleted] = await bench.running("held", "deleted");
				for (const id of ["held", "deleted"]) await put(bench, { id, payload: "2" });
				await bench.change("held", "hold");
				await bench.store.delete(bench.basket, ["deleted"]);
				await bench.settleAll([held!]);
				equal(await bench.settle(deleted!, { type: "done" }), false, "the end of the deleted one");
				equal(await bench.states("held", "deleted"), ["held", undefined], "states");
				await bench.change("held", "release");
				equal((await bench.claimOnly("held")).payload, "2", "payload");
			},
		},
		{
			title: "add() with replace lets dead and done tasks begin anew, behind all others",
			async run(bench) {
				const [dead, done] = await bench.running("dead", "done", { id: "head", lane: "l" });
				await bench.settle(dead!, { type: "dead", attempts: 3, error: "broken" });
				await bench.settle(done!, { type: "done", retain: bench.long, result: "result" });
				const states = [];
				for (const id of ["dead", "done"]) states.push((await put(bench, { id, payload: "2" })).state);
				equal(states, ["dead", "done"], "states of what was there");
				equal(idsOf(await bench.list()), ["head", "dead", "done"], "all tasks");
				const fresh = { kind: "work", payload: "2", attempts: 0, crashes: 0, priority: 0, inbox: [] };
				const claims = await bench.expectClaims(["dead", "done"], "at once");
				equal(claims.map(claimed), ["dead", "done"].map((id) => ({ id, ...fresh })), "claims");
			},
		},
		{
			title: "add() with replace refuses another kind or lane, and stores nothing then",
			async run(bench) {
				await bench.running("running");
				await bench.add("a", { id: "b", lane: "l" });
				const before = await bench.list();
				const others: Partial<NewTask>[] = [
					{ id: "a", kind: "other" },
					{ id: "a", lane: "l" },
					{ id: "b" },
					{ id: "b", lane: "m" },
					{ id: "running", kind: "other" },
				];
				for (const other of others) {
					const tasks = [newTask({ id: "new" }), newTask({ id: "a", payload: "2", ...replace }), newTask(other)];
					const adding = bench.store.add(bench.basket, [...tasks.slice(0, 2), { ...tasks[2]!, ...replace }]);
					const error = await rejects(adding, `add() of ${other.id}`);
					equal(error instanceof TypeError, true, `${error} is a TypeError`);
				}
				const twice = ["work", "other"].map((kind) => newTask({ id: "twice", kind, ...replace }));
				await rejects(bench.store.add(bench.basket, twice), "add() of two kinds with one id");
				equal(await bench.list(), before, "tasks");
			},
		},
		{
			title: "add() with replace by many at once leaves one task",
			async run(bench) {
				const [running] = await bench.running("running");
				const payloads = Array.from({ length: 20 }, (_, index) => `${index}`);
				const stores = [bench.store, ...bench.fixture.another === undefined ? [] : [await bench.fixture.another()]];
				const put = (id: string, payload: string, index: number) => {
					const tasks = [newTask({ id, payload, ...replace })];
					return bench.persistently(() => stores[index % stores.length]!.add(bench.basket, tasks));
				};
				const adding = payloads.flatMap((payload, index) => [put("a", payload, index), put("running", payload, index)]);
				const added = (await Promise.all(adding)).flat();
				equal(added.every(({ added }) => added), true, "all are added");
				await bench.settleAll([running!]);
				const claims = await bench.claim();
				equal(idsOf(claims).sort(), ["a", "running"], "claimed");
				equal(claims.every(({ payload }) => payloads.includes(payload as string)), true, "their payloads were added");
				await put("a", "last", 0);
				await put("a", "very last", stores.length - 1);
				await bench.settleAll(claims);
				equal((await bench.claimOnly("a")).payload, "very last", "the payload that was added last");
			},
		},
		{
			title: "add() with replace in a transaction takes effect when it commits, and not if it does not",
			needs: ["tx"],
			async run(bench) {
				const [running] = await bench.running({ id: "running", payload: "1" });
				await bench.add({ id: "a", payload: "1" });
				const both = ["a", "running"].map((id) => newTask({ id, payload: "2", ...replace }));
				const none = await rejects(
					bench.fixture.transaction!(async (tx) => {
						await bench.store.add(bench.basket, both, tx);
						throw new Error("rolled back");
					}),
					"the transaction",
				);
				equal(String(none), "Error: rolled back", "why the transaction is rolled back");
				equal((await bench.get("a")).payload, "1", "payload after the rollback");
				await bench.fixture.transaction!((tx) => bench.store.add(bench.basket, both, tx));
				await bench.settleAll([running!]);
				const claims = await bench.claim();
				equal(claims.map(({ payload }) => payload), ["2", "2"], "payloads after the commit");
			},
		},
	];
}

/** Adds one task with `replace`. */
async function put(bench: Bench, task: Partial<NewTask>) {
	const [added] = await bench.add({ ...replace, ...task });
	return added!;
}
