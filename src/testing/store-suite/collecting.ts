/**
 * Tests of `add` with `ifPresent: "collect"`, and of tasks whose end leaves messages.
 *
 * @module
 */

import type { Message, NewTask, Outcome, Ref } from "../../basket/store.ts";
import { mostInbox } from "../../basket/store.ts";
import { between, equal, rejects } from "./assert.ts";
import { idsOf, newTask, numbered, type StoreTest } from "./bench.ts";
import { collect, done, envelope, itemsOf, newItem, running } from "./items.ts";

/** A function, because bundlers treat the construction of a list as a side effect. */
export function collecting(): readonly StoreTest[] {
	return [
		{
			title: "add() with collect adds a task with its first item, and then the other items in order",
			async run(bench) {
				equal(await collect(bench, "1"), { id: "a", added: true }, "what add() says first");
				const item = Uint8Array.of(2, 3);
				const added = await bench.store.add(bench.basket, [
					newItem(item, { priority: 3 }),
					newTask("b"),
					newItem("3", { priority: 5 }),
				]);
				const waiting = { id: "a", added: true, state: "waiting" };
				equal(added, [waiting, { id: "b", added: true }, waiting], "what add() says then");
				const { payload, priority, state, inbox, ...a } = await bench.get("a");
				equal([payload, priority, state], [envelope, 5, "waiting"], "the task");
				equal([a.attempts, a.crashes, a.error, a.progress], [0, 0, undefined, undefined], "its past");
				const messages = ["1", item, "3"].map((data, index) => ({ n: index + 1, data }));
				equal(inbox, messages, "inbox of get()");
				const [claim] = await bench.expectClaims(["a", "b"], "by priority");
				equal([claim!.payload, claim!.inbox], [envelope, messages], "the claim");
			},
		},
		{
			title: "add() with collect counts the delay anew, but within its maximum since the first item",
			async run(bench) {
				const [delay, within] = [3 * bench.long, 5 * bench.long];
				await collect(bench, "1", { delay, within });
				const { addedAt, dueAt } = await bench.get("a");
				between(dueAt! - addedAt, delay - 1, delay + bench.long / 2, "due after the first item");
				if (!bench.isExact) return;
				for (const [units, wanted] of [[2000, 4], [1000, 4.5], [2000, 5]] as const) {
					await bench.pass(units);
					await collect(bench, "more", { delay, within });
					equal((await bench.get("a")).dueAt! - addedAt, wanted * bench.long, `due after ${units} more units`);
				}
				equal((await bench.get("a")).addedAt, addedAt, "addedAt");
			},
		},
		{
			title: "add() with collect makes a task due at once with the given number of items",
			async run(bench) {
				const late = { delay: bench.long, most: 3 };
				for (const item of ["1", "2"]) await collect(bench, item, late);
				await collect(bench, "only", { id: "one", delay: bench.long, most: 1 });
				await bench.expectClaims(["one"], "with fewer items");
				await collect(bench, "3", late);
				await collect(bench, "4", late);
				equal(itemsOf(await bench.claimOnly("a")), ["1", "2", "3", "4"], "items");
			},
		},
		{
			title: "add() with collect keeps the task's place in its lane, and whether it is held",
			async run(bench) {
				for (const id of ["a", "b", "c"]) await collect(bench, "1", { id, lane: "l", most: 2 });
				await collect(bench, "1", { id: "held", most: 2 });
				await bench.change("b", "hold");
				await bench.change("held", "hold");
				const states = [];
				for (const id of ["c", "b"]) states.push((await collect(bench, "2", { id, lane: "l", most: 2 })).state);
				states.push((await collect(bench, "2", { id: "held", most: 2 })).state);
				equal(states, ["waiting", "held", "held"], "states of what was there");
				equal(idsOf(await bench.list()), ["a", "b", "c", "held"], "all tasks");
				await done(bench, await bench.claimOnly("a"), 1);
				await bench.expectClaims([], "while the head of the lane is held");
				await bench.change("b", "release");
				await bench.change("held", "release");
				const claims = await bench.claim();
				equal(idsOf(claims).sort(), ["b", "held"], "claimed when they are released");
				equal(claims.map(itemsOf), [["1", "2"], ["1", "2"]], "their items");
				for (const claim of claims) await done(bench, claim, 2);
				equal(itemsOf(await bench.claimOnly("c")), ["1", "2"], "items of the last one");
			},
		},
		{
			title: "add() with collect leaves the due time and the past of a task that has failed or crashed",
			async run(bench) {
				const [failed, crashed] = await running(bench, "failed", "crashed");
				await bench.settle(failed!, { type: "retry", delay: bench.long, attempts: 3, error: "no luck", backoff: true });
				await bench.store.extend(bench.basket, [crashed!], bench.unit);
				await bench.pass(1);
				await bench.settle(await bench.claimOnly("crashed"), { type: "release" });
				const before = await bench.get("failed");
				for (const id of ["failed", "crashed"]) await collect(bench, "2", { id, most: 1, delay: 2 * bench.long });
				const { inbox, ...after } = await bench.get("failed");
				equal(after, { ...before, inbox: undefined }, "the failed one");
				equal(inbox.map(({ data }) => data), ["1", "2"], "its items");
				const claim = await bench.claimOnly("crashed");
				equal([claim.attempts, claim.crashes, itemsOf(claim)], [1, 1, ["1", "2"]], "the crashed one");
				equal(await bench.store.hasten(bench.basket, 0), 1, "how many backoffs end");
				const next = await bench.claimOnly("failed");
				equal([next.attempts, next.error, itemsOf(next)], [3, "no luck", ["1", "2"]], "the failed one");
			},
		},
		{
			title: "add() with collect lets items wait behind a running task, until its claim is done",
			async run(bench) {
				const [first] = await running(bench, "a");
				for (const item of ["2", "3"]) {
					const added = await collect(bench, item, { delay: bench.long });
					equal(added, { id: "a", added: true, state: "running" }, "what add() says");
				}
				equal(await bench.states("a"), ["running"], "state");
				equal(await done(bench, first!, 1), true, "whether its end is stored");
				equal(await done(bench, first!, 3), false, "a second end of the claim");
				const { inbox, addedAt, dueAt, ...a } = await bench.get("a");
				equal([a.state, a.attempts, a.crashes, a.error], ["waiting", 0, 0, undefined], "the task that waits");
				equal(inbox, [{ n: 2, data: "2" }, { n: 3, data: "3" }], "the items that are left");
				// In real time, the items may have come far apart.
				const most = bench.isExact ? bench.long + bench.unit : 2 * bench.long;
				between(dueAt! - addedAt, bench.long - 1, most, "due after the first item behind the claim");
				await bench.expectClaims([], "before this time");
			},
		},
		{
			title: "turn() makes a done task due at once if as many messages are left as it says",
			async run(bench) {
				const claims = await running(bench, "a", "b");
				for (const id of ["a", "b"]) {
					for (const item of ["2", "3"]) await collect(bench, item, { id, delay: bench.long });
				}
				for (const [index, most] of [2, 3].entries()) {
					await bench.settleAll([claims[index]!], { type: "done", seen: 1, most });
				}
				const a = await bench.claimOnly("a");
				equal(itemsOf(a), ["2", "3"], "items");
				equal(await done(bench, a, 3), true, "whether the end is stored");
				equal(await bench.states("a", "b"), [undefined, "waiting"], "states");
			},
		},
		{
			title: "turn() with seen lets a done task that has other messages wait again, due at once, in its lane",
			async run(bench) {
				const lane = { lane: "l" };
				await bench.add(newItem("1", lane), newItem("2", lane), newItem("3", lane), { id: "next", ...lane });
				const first = await bench.claimOnly("a");
				await bench.store.save(bench.basket, [{ ref: first, progress: "half" }]);
				await bench.settle(first, { type: "retry", delay: 0, attempts: 1, error: "x" });
				const second = await bench.claimOnly("a");
				await bench.settleAll([second], { type: "done", seen: 2, retain: bench.long, result: "result" });
				const a = await bench.get("a");
				equal([a.state, a.payload, a.result], ["waiting", envelope, undefined], "the task");
				equal([a.attempts, a.error, a.progress], [0, undefined, undefined], "its past");
				const third = await bench.claimOnly("a");
				equal(third.inbox, [{ n: 3, data: "3" }], "inbox");
				await bench.settleAll([third], { type: "done", seen: 3, retain: bench.long, result: "result" });
				const kept = await bench.get("a");
				equal([kept.state, kept.result, kept.inbox], ["done", "result", []], "the task in the end");
				await bench.claimOnly("next");
			},
		},
		{
			title: "turn() with seen holds a done task that is to be held, if it has other messages",
			async run(bench) {
				const [a] = await running(bench, "a");
				await collect(bench, "2");
				await bench.change("a", "hold");
				await done(bench, a!, 1);
				equal(await bench.states("a"), ["held"], "state");
				await bench.change("a", "release");
				equal(itemsOf(await bench.claimOnly("a")), ["2"], "items");
			},
		},
		{
			title: "turn() without seen ends a done task, whatever messages it has",
			async run(bench) {
				await bench.add("a", "b");
				const [a, b] = await bench.claim();
				for (const id of ["a", "b"]) await bench.store.post(bench.basket, id, "hello");
				await bench.settleAll([a!]);
				await bench.settleAll([b!], { type: "done", retain: bench.long });
				equal(await bench.states("a", "b"), [undefined, "done"], "states");
				await bench.add("a");
				equal((await bench.get("a")).inbox, [], "inbox of a new task with the same id");
			},
		},
		...([
			["fails", { type: "retry", delay: 0, attempts: 1, error: "x" }],
			["is put off", { type: "release", delay: 0 }],
			["is given back", { type: "release" }],
		] as const).map(([name, outcome]): StoreTest => ({
			title: `add() with collect gives all items to the next attempt of a running task that ${name}, when it is due`,
			async run(bench) {
				const [a] = await running(bench, "a");
				await collect(bench, "2", { delay: bench.long });
				await bench.settleAll([a!], outcome);
				const next = await bench.claimOnly("a");
				equal(next.attempts, outcome.type === "retry" ? 1 : 0, "attempts");
				equal(itemsOf(next), ["1", "2"], "items");
				await done(bench, next, 2);
				equal(await bench.list(), [], "tasks in the end");
			},
		})),
		{
			title: "add() with collect gives all items to the claim that takes up a crashed task",
			async run(bench) {
				await collect(bench, "1");
				const [lost] = await bench.claim(1, bench.unit);
				await collect(bench, "2", { delay: bench.long });
				await bench.pass(1);
				const next = await bench.claimOnly("a");
				equal([next.crashes, itemsOf(next)], [1, ["1", "2"]], "what is claimed");
				equal(await done(bench, lost!, 1), false, "the end of the lost claim");
				await done(bench, next, 2);
				equal(await bench.list(), [], "tasks in the end");
			},
		},
		{
			title: "add() with collect lets a task whose claim ends as dead begin anew with all items",
			async run(bench) {
				const [a] = await running(bench, "a");
				await collect(bench, "2");
				await bench.settleAll([a!], { type: "dead", attempts: 4, error: "broken" });
				const next = await bench.claimOnly("a");
				equal([next.attempts, next.error, itemsOf(next)], [0, undefined, ["1", "2"]], "what is claimed");
			},
		},
		{
			title: "add() with collect lets a dead task begin anew with its old items, behind all others",
			async run(bench) {
				const claims = await running(bench, "a", "late", "full");
				for (const claim of claims) await bench.settle(claim, { type: "dead", attempts: 3, error: "broken" });
				await bench.add({ id: "head", lane: "l" });
				equal((await collect(bench, "2")).state, "dead", "state of what was there");
				await collect(bench, "2", { id: "late", delay: bench.long, most: 3 });
				await collect(bench, "2", { id: "full", delay: bench.long, most: 2 });
				equal(idsOf(await bench.list()), ["head", "a", "late", "full"], "all tasks");
				const anew = await bench.expectClaims(["head", "a", "full"], "at once");
				equal(anew.slice(1).map(itemsOf), [["1", "2"], ["1", "2"]], "items");
				equal([anew[1]!.attempts, anew[1]!.crashes], [0, 0], "attempts and crashes");
				await done(bench, anew[1]!, 1);
				equal(itemsOf(await bench.claimOnly("a")), ["2"], "items of a claim after the next one");
			},
		},
		{
			title: "add() with collect begins a new task in place of a done one",
			async run(bench) {
				const [a] = await running(bench, "a");
				await bench.settleAll([a!], { type: "done", seen: 1, retain: bench.long, result: "result" });
				await bench.add("head");
				equal((await collect(bench, "2")).state, "done", "state of what was there");
				const [, next] = await bench.expectClaims(["head", "a"], "at once");
				equal(itemsOf(next!), ["2"], "items");
			},
		},
		{
			title: "add() with collect refuses a task that is not collected, another kind or lane, and stores nothing then",
			async run(bench) {
				await bench.running("running");
				await collect(bench, "1");
				await bench.add("plain");
				const before = await bench.list();
				const wrong: NewTask[] = [
					newItem("x", { kind: "other" }),
					newItem("x", { lane: "l" }),
					newItem("x", { id: "plain" }),
					newItem("x", { id: "running" }),
					newTask({ id: "a", ifPresent: "replace" }),
				];
				for (const task of wrong) {
					const adding = bench.store.add(bench.basket, [newTask({ id: "new" }), newItem("2"), task]);
					const error = await rejects(adding, `add() of ${task.id}`);
					equal(error instanceof TypeError, true, `${error} is a TypeError`);
				}
				const mixed = [newItem("x", { id: "m" }), newTask({ id: "m", ifPresent: "replace" })];
				await rejects(bench.store.add(bench.basket, mixed), "add() of an item and a replacement with one id");
				equal(await bench.list(), before, "tasks");
				equal((await bench.get("a")).inbox.length, 1, "items");
				const kept = await bench.store.add(bench.basket, [newTask({ id: "a" })]);
				equal(kept, [{ id: "a", added: false, state: "waiting" }], "add() without ifPresent");
			},
		},
		{
			title: "turn() gives a claim at most the first messages, and the next claim the others",
			async run(bench) {
				const { maxAdd = 500 } = bench.store.capabilities;
				const count = maxAdd < 500 ? 2 * maxAdd : mostInbox + 200;
				const items = numbered(count, "");
				for (let from = 0; from < count; from += maxAdd) {
					await bench.store.add(bench.basket, items.slice(from, from + maxAdd).map((item) => newItem(item)));
				}
				equal((await bench.get("a")).inbox.length, count, "messages of get()");
				let given: Message["data"][] = [];
				while (given.length < count) {
					const claim = await bench.claimOnly("a");
					given = [...given, ...itemsOf(claim)];
					equal(claim.inbox.length <= mostInbox, true, `${claim.inbox.length} messages are few enough`);
					await done(bench, claim, claim.inbox.at(-1)!.n);
				}
				equal(given, items, "all items");
				equal(await bench.list(), [], "tasks in the end");
			},
		},
		{
			title: "delete() takes the items with it, also those behind a claim",
			async run(bench) {
				const [a] = await running(bench, "a");
				await collect(bench, "2");
				await bench.store.delete(bench.basket, ["a"]);
				equal(await done(bench, a!, 1), false, "the end of the claim");
				await collect(bench, "3");
				equal(itemsOf(await bench.claimOnly("a")), ["3"], "items of a new task with the same id");
			},
		},
		{
			title: "add() with collect by many at once loses no item",
			async run(bench) {
				const [running] = await bench.running(newItem("first", { id: "running" }));
				const stores = [bench.store, ...bench.fixture.another === undefined ? [] : [await bench.fixture.another()]];
				const add = (id: string, item: string, index: number) => {
					const store = stores[index % stores.length]!;
					return bench.persistently(() => store.add(bench.basket, [newItem(item, { id })]));
				};
				const items = numbered(20, "item ");
				await Promise.all(items.flatMap((item, index) => [add("a", item, index), add("running", item, index)]));
				equal(await done(bench, running!, 1), true, "whether the end of the running one is stored");
				const claims = await bench.claim();
				equal(idsOf(claims).sort(), ["a", "running"], "claimed");
				for (const claim of claims) equal(itemsOf(claim).sort(), [...items].sort(), `items of "${claim.id}"`);
			},
		},
		{
			title: "add() with collect in a transaction takes effect when it commits, and not if it does not",
			needs: ["tx"],
			async run(bench) {
				const [running] = await bench.running(newItem("1", { id: "running" }));
				await collect(bench, "1");
				const both = ["a", "running"].map((id) => newItem("2", { id }));
				const none = await rejects(
					bench.fixture.transaction!(async (tx) => {
						await bench.store.add(bench.basket, both, tx);
						throw new Error("rolled back");
					}),
					"the transaction",
				);
				equal(String(none), "Error: rolled back", "why the transaction is rolled back");
				equal((await bench.get("a")).inbox.length, 1, "items after the rollback");
				await bench.fixture.transaction!((tx) => bench.store.add(bench.basket, both, tx));
				await done(bench, running!, 1);
				const claims = [...await bench.claim()].sort((x, y) => x.id < y.id ? -1 : 1);
				equal(claims.map(itemsOf), [["1", "2"], ["2"]], "items after the commit");
			},
		},
		{
			title: "complete() with seen lets a task that has other messages wait again",
			needs: ["tx"],
			async run(bench) {
				await collect(bench, "1");
				await collect(bench, "2");
				const first = await bench.claimOnly("a");
				await collect(bench, "3", { delay: bench.long });
				const seen = { type: "done", seen: 1 } as const;
				const none = await rejects(
					bench.fixture.transaction!(async (tx) => {
						await bench.store.complete(bench.basket, first, seen, tx);
						throw new Error("rolled back");
					}),
					"the transaction",
				);
				equal(String(none), "Error: rolled back", "why the transaction is rolled back");
				equal((await bench.get("a")).inbox.length, 3, "items after the rollback");
				const complete = (ref: Ref, outcome: Outcome & { type: "done" }) =>
					bench.fixture.transaction!((tx) => bench.store.complete(bench.basket, ref, outcome, tx));
				await complete(first, { ...seen, most: 2 });
				equal((await bench.get("a")).state, "waiting", "state");
				const second = await bench.claimOnly("a");
				equal(itemsOf(second), ["2", "3"], "items");
				await complete(second, { type: "done", seen: 3 });
				equal(await bench.store.get(bench.basket, "a"), undefined, "the task in the end");
			},
		},
	];
}
