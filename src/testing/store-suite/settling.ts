/**
 * Tests of the ends of claims, and of writes before: `turn`, `extend` and `save`.
 *
 * @module
 */

import type { Outcome } from "../../basket/store.ts";
import { between, equal } from "./assert.ts";
import { idsOf, type StoreTest } from "./bench.ts";

export const settling: readonly StoreTest[] = [
	{
		title: "turn() removes a task that is done",
		async run(bench) {
			const claims = await bench.running("a", "b", "c");
			await bench.settle(claims[0]!, { type: "done" });
			await bench.settle(claims[1]!, { type: "done", retain: 0, payload: "result" });
			equal(idsOf(await bench.list()), ["c"], "left");
			equal(await bench.store.get(bench.basket, "a"), undefined, "get() of the removed one");
		},
	},
	{
		title: "turn() keeps a task that is done for a while, with its id and its result",
		async run(bench) {
			const claims = await bench.running("a", "b");
			await bench.settle(claims[0]!, { type: "done", retain: bench.long, payload: "rest", result: "result" });
			await bench.settle(claims[1]!, { type: "done", retain: bench.long });
			const a = await bench.get("a");
			equal([a.state, a.payload, a.result], ["done", "rest", "result"], "state, payload and result");
			between(a.dueAt! - a.addedAt, bench.long, bench.long * 1.5, "how long it is kept");
			const b = await bench.get("b");
			equal([b.payload, b.result], ["payload of b", undefined], "a payload that was not replaced, and no result");
			equal(await bench.add("a"), [{ id: "a", added: false, state: "done" }], "added while it is kept");
			equal(idsOf(await bench.store.list(bench.basket, { state: "done", limit: 9 })), ["a", "b"], "listed as done");
			await bench.expectClaims([], "of done ones");
		},
	},
	{
		title: "turn() keeps an ended task for ever if its retention is infinite, and a dead one without a retention",
		async run(bench) {
			const [done, dead, gone] = await bench.running("done", "dead", "gone");
			await bench.settle(done!, { type: "done", retain: Infinity });
			await bench.settle(dead!, { type: "dead", attempts: 1, error: "x" });
			await bench.settle(gone!, { type: "dead", attempts: 1, error: "x", retain: bench.unit });
			await bench.pass(1);
			if (bench.isExact) await bench.pass(1e9);
			await bench.settleAll(await bench.running("a", "b", "c"));
			const dues = (await bench.list()).map(({ id, state, dueAt }) => ({ id, state, dueAt }));
			const kept = [{ id: "done", state: "done" }, { id: "dead", state: "dead" }];
			equal(dues, kept, "what is left");
		},
	},
	{
		title: "turn() removes at least as many done tasks whose time is over as it settles",
		async run(bench) {
			const kept = await bench.running("a", "b", "c", "d");
			await bench.settleAll(kept.slice(0, 3), { type: "done", retain: bench.unit });
			await bench.settle(kept[3]!, { type: "done", retain: bench.long });
			const claims = await bench.running("e", "f", "g");
			await bench.pass(1);
			await bench.settleAll(claims);
			equal(await bench.states("a", "b", "c", "d"), [undefined, undefined, undefined, "done"], "states");
			equal(await bench.add("a"), [{ id: "a", added: true }], "added when it is gone");
			await bench.expectClaims(["a"], "of the one that was added again");
		},
	},
	{
		title: "turn() stores a failed attempt, and makes its task due after the delay",
		async run(bench) {
			const [a, b] = await bench.running("a", "b");
			await bench.settle(a!, { type: "retry", delay: bench.unit, attempts: 3, error: "no luck", payload: "half" });
			await bench.settle(b!, { type: "retry", delay: bench.long, attempts: 1, error: "no luck" });
			const stored = await bench.get("b");
			const shown = [stored.state, stored.attempts, stored.error, stored.payload];
			equal(shown, ["waiting", 1, "no luck", "payload of b"], "state, attempts, error and payload of b");
			between(stored.dueAt! - stored.addedAt, bench.long, bench.long * 1.5, "when it is due");
			await bench.pass(1);
			const claim = await bench.claimOnly("a");
			const given = [claim.attempts, claim.crashes, claim.error, claim.payload];
			equal(given, [3, 0, "no luck", "half"], "attempts, crashes, error and payload of a");
		},
	},
	{
		title: "turn() forgets the crashes of a task whose attempt has failed",
		async run(bench) {
			await bench.add("a");
			await bench.claim(1, bench.unit);
			await bench.pass(1);
			const claim = await bench.claimOnly("a");
			await bench.settle(claim, { type: "retry", delay: 0, attempts: 2, error: "x" });
			const next = await bench.claimOnly("a");
			equal([next.attempts, next.crashes], [2, 0], "attempts and crashes");
		},
	},
	{
		title: "turn() puts a task off without a failure",
		async run(bench) {
			await bench.add("a", "b");
			await bench.claim(2, bench.unit);
			await bench.pass(1);
			const [a, b] = await bench.claim();
			await bench.settle(a!, { type: "later", delay: bench.unit, seen: 0, payload: "half" });
			await bench.settle(b!, { type: "later", delay: bench.long, seen: 0 });
			const stored = await bench.get("b");
			equal([stored.state, stored.attempts, stored.crashes], ["waiting", 0, 0], "state, attempts and crashes");
			await bench.pass(1);
			const claim = await bench.claimOnly("a");
			equal([claim.attempts, claim.crashes, claim.payload], [0, 0, "half"], "attempts, crashes and payload");
		},
	},
	{
		title: "turn() gives a task back until later, with its attempts and its error",
		async run(bench) {
			await bench.add("a", "b");
			const [first] = await bench.claim(1);
			await bench.settle(first!, { type: "retry", delay: 0, attempts: 2, error: "no luck" });
			await bench.claim(2, bench.unit);
			await bench.pass(1);
			const [a, b] = (await bench.claim()).toSorted((one, other) => one.id < other.id ? -1 : 1);
			equal([a!.attempts, a!.crashes, b!.crashes], [3, 1, 1], "attempts and crashes before");
			await bench.settle(a!, { type: "release", delay: bench.unit });
			await bench.settle(b!, { type: "release", delay: bench.long, payload: "half" });
			const stored = await bench.get("b");
			const shown = [stored.state, stored.attempts, stored.crashes, stored.payload];
			equal(shown, ["waiting", 1, 0, "half"], "state, attempts, crashes and payload");
			await bench.expectClaims([], "before that");
			await bench.pass(1);
			const claim = await bench.claimOnly("a");
			equal([claim.attempts, claim.crashes, claim.error], [3, 0, "no luck"], "attempts, crashes and error");
		},
	},
	{
		title: "turn() puts a task off until something is posted",
		async run(bench) {
			const [a] = await bench.running("a");
			await bench.settle(a!, { type: "later", delay: null, seen: 0 });
			const stored = await bench.get("a");
			equal([stored.state, stored.dueAt], ["waiting", undefined], "state and dueAt");
			await bench.pass(5);
			await bench.expectClaims([], "without a message");
			await bench.store.post(bench.basket, "a", "wake up");
			await bench.expectClaims(["a"], "with a message");
		},
	},
	{
		title: "turn() keeps a dead task aside",
		async run(bench) {
			const [a, b] = await bench.running("a", "b");
			await bench.settle(a!, { type: "dead", attempts: 4, error: "broken", payload: "rest" });
			await bench.settle(b!, { type: "dead", attempts: 1, error: "" });
			const { state, attempts, error, payload, dueAt } = await bench.get("a");
			const shown = { state, attempts, error, payload, dueAt };
			equal(shown, { state: "dead", attempts: 4, error: "broken", payload: "rest" }, "a");
			const other = await bench.get("b");
			equal([other.error, other.payload], ["", "payload of b"], "error and payload of b");
			await bench.pass(2);
			await bench.expectClaims([], "of dead ones");
			equal(idsOf(await bench.store.list(bench.basket, { state: "dead", limit: 9 })), ["a", "b"], "listed as dead");
		},
	},
	{
		title: "turn() releases a task as if it had not been claimed",
		async run(bench) {
			const [first] = await bench.running("a");
			await bench.settle(first!, { type: "retry", delay: 0, attempts: 5, error: "x" });
			await bench.add("b");
			await bench.claim(20, bench.unit);
			await bench.pass(1);
			const claims = await bench.claim();
			await bench.settleAll(claims, { type: "release", payload: "left" });
			equal(await bench.states("a", "b"), ["waiting", "waiting"], "states");
			const again = [...await bench.claim()].sort((x, y) => x.id < y.id ? -1 : 1);
			equal(again.map(({ payload }) => payload), ["left", "left"], "payloads as the runs left them");
			equal(again.map(({ attempts }) => attempts), [6, 1], "attempts are those of the claims before");
			equal(again.map(({ crashes }) => crashes), [1, 1], "crashes are those of the claims before");
			equal(again.map(({ error }) => error), ["x", undefined], "errors");
		},
	},
	{
		title: "extend() makes leases end that much later than now",
		async run(bench) {
			await bench.add("a", "b", "c");
			const [a, b, c] = await bench.claim(9, 2 * bench.unit);
			equal(await bench.store.extend(bench.basket, [a!, b!], bench.long), ["ok", "ok"], "answers");
			equal(await bench.store.extend(bench.basket, [b!], bench.unit), ["ok"], "answer to a shorter lease");
			const { dueAt, addedAt } = await bench.get("a");
			between(dueAt! - addedAt, bench.long, bench.long * 1.5, "when the extended lease ends");
			if (bench.isExact) {
				await bench.pass(1);
				equal(idsOf(await bench.claim()), ["b"], "claimed when the shorter lease is over");
				await bench.pass(1);
				equal(idsOf(await bench.claim()), ["c"], "claimed when the first leases are over");
			} else {
				await bench.pass(2);
				equal(idsOf(await bench.claim()).sort(), ["b", "c"], "claimed when their leases are over");
			}
			equal(await bench.settle(a!, { type: "done" }), true, "settled in its extended lease");
			equal(
				await bench.settle(c!, { type: "done" }),
				false,
				"settled when its lease was over and it was claimed again",
			);
		},
	},
	{
		title: "extend() says which claims are lost",
		async run(bench) {
			const [a, b, c, d] = await bench.running("a", "b", "c", "d");
			await bench.settle(b!, { type: "retry", delay: 0, attempts: 1, error: "x" });
			await bench.store.delete(bench.basket, ["d"]);
			await bench.store.post(bench.basket, "c", "hello");
			const refs = [d!, c!, { ...a!, id: "nobody" }, b!, a!];
			const answers = await bench.store.extend(bench.basket, refs, bench.long);
			equal(answers, ["lost", "posted", "lost", "lost", "ok"], "answers");
			equal(await bench.store.extend(bench.basket, [], bench.long), [], "answers to nothing");
		},
	},
	{
		title: "extend() extends a lease that is over, if nobody has claimed the task",
		async run(bench) {
			await bench.add("a");
			const claim = await bench.claimOnly("a", bench.unit);
			await bench.pass(2);
			equal(await bench.store.extend(bench.basket, [claim], bench.long), ["ok"], "answer");
			await bench.expectClaims([], "of a task whose lease was extended");
			const { attempts, crashes } = await bench.get("a");
			equal([attempts, crashes], [0, 0], "attempts and crashes");
			await bench.settleAll([claim]);
		},
	},
	{
		title: "save() stores what it is given, keeps the rest, and leaves the lease as it is",
		async run(bench) {
			const { store, basket } = bench;
			const [a, b] = await bench.running("a", "b");
			const { dueAt } = await bench.get("a");
			const saves = [{ ref: a!, payload: "half" }, { ref: { ...b!, token: "wrong" }, payload: "x" }, {
				ref: b!,
				progress: "1 of 2",
			}];
			equal(await store.save(basket, saves), [true, false, true], "answers");
			equal(await store.save(basket, [{ ref: a!, progress: "50 %" }]), [true], "answer");
			equal(await store.save(basket, []), [], "answers to nothing");
			const [first, second] = [await bench.get("a"), await bench.get("b")];
			equal([first.payload, first.progress, first.dueAt], ["half", "50 %", dueAt], "payload, progress and dueAt of a");
			equal([second.payload, second.progress], ["payload of b", "1 of 2"], "payload and progress of b");
			await bench.settle(a!, { type: "release" });
			const next = await bench.claimOnly("a");
			equal(
				[next.payload, (await bench.get("a")).progress],
				["half", "50 %"],
				"payload and progress of the next claim",
			);
		},
	},
	{
		title: "save() is there after a crash",
		async run(bench) {
			await bench.add("a");
			const claim = await bench.claimOnly("a", bench.unit);
			await bench.store.save(bench.basket, [{ ref: claim, payload: "half" }]);
			await bench.pass(1);
			const next = await bench.claimOnly("a");
			equal([next.payload, next.crashes], ["half", 1], "payload and crashes");
		},
	},
	{
		title: "turn() keeps the payload that was there where an outcome has none",
		async run(bench) {
			const outcomes: Outcome[] = [
				{ type: "retry", delay: 0, attempts: 1, error: "x", payload: undefined },
				{ type: "later", delay: 0, seen: 0, payload: undefined },
				{ type: "release" },
				{ type: "dead", attempts: 1, error: "x", payload: undefined },
			];
			await bench.add({ id: "a", payload: Uint8Array.of(1, 2) });
			for (const outcome of outcomes) await bench.settleAll([await bench.claimOnly("a")], outcome);
			equal((await bench.get("a")).payload, Uint8Array.of(1, 2), "payload");
		},
	},
];
