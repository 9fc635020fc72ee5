/**
 * Tests of `pause` and `pauses`.
 *
 * @module
 */

import { equal } from "./assert.ts";
import { idsOf, type StoreTest } from "./bench.ts";

export const pausing: readonly StoreTest[] = [
	{
		title: "pause() of a kind lets no turn claim its tasks, until it is resumed",
		async run(bench) {
			const { store, basket } = bench;
			await bench.add("a", { id: "b", kind: "other" });
			const claim = [{ kinds: ["work", "other"], limit: 9 }];
			equal(await store.pause(basket, "work", true), true, "whether this changed anything");
			equal(await store.pause(basket, "work", true), false, "whether another pause changed anything");
			equal(await store.pauses(basket), { all: false, kinds: ["work"] }, "what is paused");
			const turn = await bench.turn({ claim });
			equal(idsOf(turn.claims), ["b"], "claimed while paused");
			await bench.settleAll(turn.claims);
			equal((await bench.turn({ claim })).dueIn, Infinity, "dueIn while paused");
			await bench.add("c");
			equal(await bench.store.change(basket, ["c"], "retry"), [true], "retry while paused");
			await bench.expectClaims([], "while paused");
			equal(await bench.states("a", "c"), ["waiting", "waiting"], "states while paused");
			equal(await store.pause(basket, "work", false), true, "whether the resume changed anything");
			equal(await store.pause(basket, "work", false), false, "whether another resume changed anything");
			equal(await store.pauses(basket), { all: false, kinds: [] }, "what is paused in the end");
			await bench.expectClaims(["a", "c"], "when resumed");
		},
	},
	{
		title: "pause() of all kinds stays apart from that of a kind",
		async run(bench) {
			const { store, basket } = bench;
			await bench.add("a", { id: "b", kind: "other" });
			for (const kind of [undefined, "other", "absent"]) await store.pause(basket, kind, true);
			equal(await store.pauses(basket), { all: true, kinds: ["absent", "other"] }, "what is paused");
			const claim = [{ kinds: ["other", "work"], limit: 9 }];
			equal((await bench.turn({ claim })).claims, [], "claimed while all are paused");
			await store.pause(basket, undefined, false);
			equal(await store.pauses(basket), { all: false, kinds: ["absent", "other"] }, "what is still paused");
			equal(idsOf((await bench.turn({ claim })).claims), ["a"], "claimed while one is paused");
			await store.pause(basket, "other", false);
			equal(idsOf((await bench.turn({ claim })).claims), ["b"], "claimed when both are resumed");
		},
	},
	{
		title: "pause() leaves running tasks alone, and does not take up crashed ones",
		async run(bench) {
			const { store, basket } = bench;
			await bench.add("a", "b", { id: "next", lane: "l" });
			const [a, b] = await bench.claim(2, bench.unit);
			await store.pause(basket, undefined, true);
			equal(await store.extend(basket, [a!], bench.long), ["ok"], "extend()");
			equal(await store.save(basket, [{ ref: a!, payload: "half" }]), [true], "save()");
			equal(await bench.settle(a!, { type: "retry", delay: 0, attempts: 1, error: "x" }), true, "settled");
			await bench.pass(1);
			await bench.expectClaims([], "while paused");
			await store.pause(basket, undefined, false);
			equal(idsOf(await bench.claim()).sort(), ["a", "b", "next"], "claimed when resumed");
			equal(await bench.settle(b!, { type: "done" }), false, "the end of the crashed claim");
		},
	},
	{
		title: "pause() is of one basket, and outlives its tasks",
		async run(bench) {
			const { store, basket } = bench;
			await store.pause(basket, undefined, true);
			equal(await store.pauses("other"), { all: false, kinds: [] }, "what is paused in another basket");
			const task = { id: "a", kind: "work", payload: "", delay: 0, priority: 0 };
			await store.add("other", [task]);
			const turn = { settle: [], claim: [{ kinds: ["work"], limit: 1 }], lease: bench.long };
			equal(idsOf((await store.turn("other", turn)).claims), ["a"], "claimed in another basket");
			await bench.add("a");
			await store.delete(basket, ["a"]);
			await bench.add("b");
			await bench.expectClaims([], "while paused");
			const counts = { waiting: 1, running: 0, held: 0, dead: 0, done: 0 };
			equal(await store.counts(basket), counts, "counts()");
		},
	},
	{
		title: "pause() and a resume are heeded by another connection",
		needs: ["shared"],
		async run(bench) {
			const other = await bench.fixture.another!();
			await bench.add("a");
			await other.pause(bench.basket, "work", true);
			await bench.expectClaims([], "while paused elsewhere");
			equal(await bench.store.pauses(bench.basket), { all: false, kinds: ["work"] }, "what is paused");
			await other.pause(bench.basket, "work", false);
			await bench.expectClaims(["a"], "when resumed elsewhere");
		},
	},
];
