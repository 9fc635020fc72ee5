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
		title: "pause() and list() of a kind concern its variants, and no kind whose name only begins alike",
		async run(bench) {
			const { store, basket } = bench;
			const kinds = ["work", "work\u001f2", "work\u001f", "work2", "wor", "Work\u001f2"];
			await bench.add(...kinds.map((kind) => ({ id: `waiting ${kind}`, kind, lane: "l", limitKey: "k" })));
			await bench.add(...kinds.map((kind) => ({ id: kind, kind })));
			const claim = [{ kinds, limit: 99 }];
			const running = (await bench.turn({ claim: [{ kinds: ["work\u001f2"], limit: 1 }] })).claims;
			equal(idsOf(running), ["work\u001f2"], "claimed of a variant alone");
			const variants = kinds.slice(0, 3);
			const listed = async (query: object) => idsOf(await store.list(basket, { kind: "work", limit: 99, ...query }));
			const waiting = variants.map((kind) => `waiting ${kind}`);
			equal(await listed({}), [...waiting, ...variants], "listed");
			equal(await listed({ isReverse: true }), [...waiting, ...variants].reverse(), "listed the other way round");
			equal(await listed({ lane: "l" }), waiting, "listed of a lane");
			equal(await listed({ state: "running" }), ["work\u001f2"], "listed of a state");
			equal(await listed({ prefix: "wai" }), waiting, "listed with a prefix");
			equal(await listed({ kind: "work\u001f2" }), ["waiting work\u001f2", "work\u001f2"], "listed of a variant");
			equal(await store.pause(basket, "work", true), true, "paused");
			const { claims } = await bench.turn({ claim });
			equal(idsOf(claims).sort(), kinds.slice(3).sort(), "claimed while paused");
			await bench.settleAll(running, { type: "done", retain: bench.long });
			equal(await listed({ state: "done" }), ["work\u001f2"], "listed of ended ones");
			await store.pause(basket, "work", false);
			const resumed = (await bench.turn({ claim })).claims;
			equal(idsOf(resumed).sort(), ["waiting work", "work", "work\u001f"], "claimed when resumed");
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
