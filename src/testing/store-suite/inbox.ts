/**
 * Tests of messages: `post`, and their removal.
 *
 * @module
 */

import type { Outcome } from "../../basket/store.ts";
import { equal } from "./assert.ts";
import { type Bench, idsOf, type StoreTest } from "./bench.ts";

export const inbox: readonly StoreTest[] = [
	{
		title: "post() makes a waiting task due at once, with its messages in order",
		async run(bench) {
			await bench.add({ id: "a", delay: bench.long });
			equal(await post(bench, "a", "first"), true, "posted");
			equal(await post(bench, "a", "second"), true, "posted");
			const messages = [{ n: 1, data: "first" }, { n: 2, data: "second" }];
			equal((await bench.get("a")).inbox, messages, "inbox of get()");
			equal((await bench.claimOnly("a")).inbox, messages, "inbox of the claim");
		},
	},
	{
		title: "post() makes a task due that backs off, firmly or not, or was put off",
		async run(bench) {
			const delay = bench.long;
			const outcomes: Outcome[] = [
				{ type: "retry", delay, attempts: 1, error: "x" },
				{ type: "retry", delay, attempts: 1, error: "x", backoff: true },
				{ type: "later", delay, seen: 0 },
				{ type: "later", delay: null, seen: 0 },
			];
			for (const [index, outcome] of outcomes.entries()) {
				const id = `task ${index}`;
				const [claim] = await bench.running(id);
				await bench.settle(claim!, outcome);
				await bench.expectClaims([], `after ${outcome.type}`);
				await post(bench, id, "hello");
				const next = await bench.claimOnly(id);
				equal(next.attempts, outcome.type === "retry" ? 1 : 0, "attempts");
			}
		},
	},
	{
		title: "post() does nothing to a task that is dead, done or not there",
		async run(bench) {
			const [dead, done] = await bench.running("dead", "done");
			await bench.settle(dead!, { type: "dead", attempts: 1, error: "x" });
			await bench.settle(done!, { type: "done", retain: bench.long });
			const before = await bench.list();
			for (const id of ["dead", "done", "nobody"]) equal(await post(bench, id, "hello"), false, `posted to ${id}`);
			equal(await bench.list(), before, "tasks");
			await bench.change("dead", "retry");
			equal((await bench.claimOnly("dead")).inbox, [], "inbox of the dead one when it was retried");
		},
	},
	{
		title: "post() tells the worker of a running task through extend()",
		async run(bench) {
			const [a] = await bench.running("a");
			equal(await post(bench, "a", "hello"), true, "posted");
			equal(await bench.states("a"), ["running"], "state");
			await bench.expectClaims([], "while it is running");
			equal(await bench.store.extend(bench.basket, [a!], bench.long), ["posted"], "extend()");
			equal(await bench.store.save(bench.basket, [{ ref: a!, seen: 1 }]), [true], "save()");
			equal(await bench.store.extend(bench.basket, [a!], bench.long), ["ok"], "extend() when it was seen");
			equal((await bench.get("a")).inbox, [], "inbox");
		},
	},
	{
		title: "turn() makes a task due at once that is put off before it has seen the last message",
		async run(bench) {
			const [a] = await bench.running("a");
			for (const data of ["1", "2", "3"]) await post(bench, "a", data);
			await bench.settle(a!, { type: "later", delay: null, seen: 2 });
			const second = await bench.claimOnly("a");
			equal(second.inbox, [{ n: 3, data: "3" }], "inbox");
			await bench.settle(second, { type: "later", delay: bench.long, seen: 2 });
			const third = await bench.claimOnly("a");
			equal(third.inbox, [{ n: 3, data: "3" }], "inbox of one that was put off without having seen it");
			await bench.settle(third, { type: "later", delay: bench.long, seen: 3 });
			await bench.expectClaims([], "of one that has seen all");
			equal((await bench.get("a")).inbox, [], "inbox when all were seen");
		},
	},
	{
		title: "turn() claims a task that was put off before it has seen the last message, however long ago it was added",
		async run(bench) {
			const [old] = await bench.running("old");
			// Meanwhile, a store may learn that nothing else of that time is left.
			for (let round = 0; round < 5; round++) {
				await bench.pass(1);
				await bench.settleAll(await bench.running(`task ${round}`));
			}
			await bench.store.post(bench.basket, "old", "x");
			const settle = [{ ref: old!, outcome: { type: "later", delay: null, seen: 0 } }] as const;
			const { claims } = await bench.turn({ settle, claim: [{ kinds: ["work"], limit: 1 }] });
			equal(idsOf(claims), ["old"], "claimed");
		},
	},
	{
		title: "post() never uses the number of a message again",
		async run(bench) {
			await bench.add("a");
			for (const n of [1, 2, 3]) {
				await post(bench, "a", "hello");
				const claim = await bench.claimOnly("a");
				equal(claim.inbox, [{ n, data: "hello" }], "inbox");
				await bench.settle(claim, { type: "later", delay: null, seen: n });
			}
			const claim = await post(bench, "a", "x").then(() => bench.claimOnly("a"));
			await bench.store.save(bench.basket, [{ ref: claim, seen: 4 }]);
			await post(bench, "a", "y");
			equal((await bench.get("a")).inbox, [{ n: 5, data: "y" }], "inbox after save()");
		},
	},
	{
		title: "save() takes away the messages that were seen, and no others",
		async run(bench) {
			const [a] = await bench.running("a");
			for (const data of ["1", "2", "3"]) await post(bench, "a", data);
			await bench.store.save(bench.basket, [{ ref: a!, payload: "x" }]);
			equal((await bench.get("a")).inbox.length, 3, "messages after save() without seen");
			await bench.store.save(bench.basket, [{ ref: a!, seen: 1 }]);
			const left = [{ n: 2, data: "2" }, { n: 3, data: "3" }];
			equal((await bench.get("a")).inbox, left, "inbox");
			await bench.settle(a!, { type: "release" });
			equal((await bench.claimOnly("a")).inbox, left, "inbox of the next claim");
		},
	},
	{
		title: "turn() keeps the messages of a task that has failed, crashed or was released",
		async run(bench) {
			await bench.add("a");
			await post(bench, "a", "hello");
			await bench.settle(await bench.claimOnly("a"), { type: "retry", delay: 0, attempts: 1, error: "x" });
			await bench.settle(await bench.claimOnly("a"), { type: "release" });
			await bench.claimOnly("a", bench.unit);
			await bench.pass(1);
			equal((await bench.claimOnly("a")).inbox, [{ n: 1, data: "hello" }], "inbox");
		},
	},
	{
		title: "turn() holds a failed task to its delay, though it has messages",
		async run(bench) {
			const [a] = await bench.running("a");
			await post(bench, "a", "hello");
			await bench.settle(a!, { type: "retry", delay: bench.long, attempts: 1, error: "x" });
			await bench.expectClaims([], "during the backoff");
		},
	},
	{
		title: "post() to a held task keeps it held, and is not lost on its release",
		async run(bench) {
			const [a, b] = await bench.running("a", "b");
			await bench.settle(a!, { type: "later", delay: null, seen: 0 });
			await bench.store.change(bench.basket, ["a", "b"], "hold");
			for (const id of ["a", "b"]) equal(await post(bench, id, "hello"), true, `posted to ${id}`);
			await bench.settle(b!, { type: "later", delay: null, seen: 0 });
			equal(await bench.states("a", "b"), ["held", "held"], "states");
			await bench.expectClaims([], "while both are held");
			await bench.store.change(bench.basket, ["a", "b"], "release");
			const claims = [...await bench.claim()].sort((x, y) => x.id < y.id ? -1 : 1);
			equal(claims.map(({ id, inbox }) => [id, inbox.length]), [["a", 1], ["b", 1]], "claimed, with messages");
		},
	},
	{
		title: "delete() takes the messages with it",
		async run(bench) {
			await bench.add("a", "b");
			await post(bench, "a", "hello");
			await bench.store.delete(bench.basket, ["a"]);
			await bench.add("a");
			equal((await bench.get("a")).inbox, [], "inbox of a new task with the same id");
		},
	},
];

function post(bench: Bench, id: string, data: string): Promise<boolean> {
	return bench.store.post(bench.basket, id, data);
}
