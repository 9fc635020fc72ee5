/**
 * Tests of joins: what they count, and that they post once.
 *
 * @module
 */

import type { Claim, Outcome } from "../../basket/store.ts";
import { equal } from "./assert.ts";
import { type Bench, idsOf, newTask, numbered, type StoreTest } from "./bench.ts";
import { grow, inboxOf, newChild, newJoin } from "./children.ts";

const dead: Outcome = { type: "dead", attempts: 1, error: "x" };
const asleep: Outcome = { type: "later", delay: null, seen: 0 };

export const joining: readonly StoreTest[] = [
	{
		title: "a join counts the end of each child once, however it ends, and then makes its task due",
		async run(bench) {
			const ids = ["done", "kept", "expired", "dead", "deleted", "running", "last"];
			const claims = await expecting(bench, ids, newJoin(ids.length, { data: Uint8Array.of(1, 2) }));
			await bench.settleAll([claims[0]!]);
			await bench.settleAll([claims[1]!], { type: "done", retain: bench.long, result: "x" });
			await bench.settleAll([claims[2]!], { type: "done", retain: bench.unit });
			await bench.settleAll([claims[3]!], dead);
			await bench.settle(claims[4]!, { type: "release" });
			await bench.store.delete(bench.basket, ["deleted", "running"]);
			await bench.pass(2);
			await bench.turn({});
			await bench.store.delete(bench.basket, ["kept", "dead"]);
			equal(await inboxOf(bench, "a"), [], "inbox before the last one");
			await bench.settleAll([claims[6]!]);
			const a = await bench.claimOnly("a");
			equal(a.inbox, [{ n: 1, data: Uint8Array.of(1, 2) }], "inbox");
			await bench.settle(a, { ...asleep, seen: 1 } as Outcome);
			await bench.expectClaims([], "after that");
		},
	},
	{
		title: "a join does not count children that go on: that fail, crash, wait, are replaced or held",
		async run(bench) {
			await expecting(bench, ["b", "c"], newJoin(1), bench.unit);
			await bench.pass(2);
			const [b, c] = await bench.expectClaims(["b", "c"], "after a crash");
			await bench.settle(b!, { type: "retry", delay: 0, attempts: 1, error: "x" });
			await bench.settle(c!, { type: "release" });
			const [b2, c2] = [...await bench.claim()].sort((x, y) => x.id < y.id ? -1 : 1);
			await bench.store.add(bench.basket, [newTask({ id: "b", payload: "new", ifPresent: "replace" })]);
			await bench.settleAll([b2!]);
			await bench.settle(c2!, { type: "later", delay: bench.long, seen: 0 });
			await bench.change("c", "hold");
			equal(await inboxOf(bench, "a"), [], "inbox");
			equal(await bench.states("b", "c"), ["waiting", "held"], "states");
			await bench.settleAll([await bench.claimOnly("b")], dead);
			equal(await inboxOf(bench, "a"), ["joined j"], "inbox when one is dead");
		},
	},
	{
		title: "a join posts once more than its spare children have ended badly, and then no more",
		async run(bench) {
			const [b, c, d, e] = await expecting(bench, ["b", "c", "d", "e", "f"], newJoin(5, { spare: 1 }));
			await bench.settleAll([b!], { type: "done", isBad: true });
			await bench.settleAll([c!], { type: "done" });
			equal(await inboxOf(bench, "a"), [], "inbox");
			await bench.settleAll([d!], dead);
			equal(await inboxOf(bench, "a"), ["joined j"], "inbox after two of them");
			await bench.settleAll([e!], { type: "done", isBad: true, retain: bench.long });
			await bench.store.delete(bench.basket, ["f"]);
			equal(await inboxOf(bench, "a"), ["joined j"], "inbox when all have ended");
		},
	},
	{
		title: "a join without spare children posts when one is deleted",
		async run(bench) {
			await expecting(bench, ["b", "c"], newJoin(2, { spare: 0 }));
			equal(await inboxOf(bench, "a"), [], "inbox");
			await bench.store.delete(bench.basket, ["b"]);
			await bench.claimOnly("a");
		},
	},
	{
		title: "a join counts a child again that begins anew, however it did so, and none when it is removed afterwards",
		async run(bench) {
			const [b, c, d] = await expecting(bench, ["b", "c", "d"], newJoin(6, { spare: 4 }));
			const restart = async (id: string, keepsLog: boolean) => {
				const { key } = await bench.get(id);
				await bench.change(id, { type: "restart", key, payload: "anew", keepsLog });
				return await bench.claimOnly(id);
			};
			await bench.settleAll([b!], dead);
			await bench.change("b", "retry");
			await bench.settleAll([await bench.claimOnly("b")], dead);
			await bench.settleAll([c!], { type: "done", retain: bench.long, isBad: true });
			await bench.settleAll([await restart("c", true)], { type: "done", retain: bench.long });
			await bench.settleAll([d!], dead);
			await bench.store.delete(bench.basket, ["b", "c"]);
			equal(await inboxOf(bench, "a"), [], "inbox after five ends");
			await bench.settleAll([await restart("d", false)]);
			equal(await inboxOf(bench, "a"), ["joined j"], "inbox after six");
		},
	},
	{
		title: "a task goes before its children when its join has posted, or when it has another message",
		async run(bench) {
			const ids = numbered(6, "child ");
			for (const way of ["dead", "post", "before it sleeps"]) {
				const [a] = await bench.running("a");
				await bench.until(() => false, 1);
				await grow(bench, a!, ids.map((id) => newChild(id)), newJoin(6, { spare: 0 }));
				if (way !== "before it sleeps") await bench.settle(a!, asleep);
				const [first] = await bench.claim(1);
				await bench.until(() => false, 1);
				if (way === "dead") await bench.settleAll([first!], dead);
				else await bench.store.post(bench.basket, "a", "x");
				if (way === "before it sleeps") await bench.settle(a!, asleep);
				const [next] = await bench.claim(1);
				equal(next?.id, "a", `the next claim after: ${way}`);
				await bench.settleAll([next!]);
				for (let turn = 0; turn < 5; turn++) await bench.turn({});
			}
		},
	},
	{
		title: "a join that is made anew counts from then on, and posts once more",
		async run(bench) {
			const [b, c, d, e] = await expecting(bench, ["b", "c", "d", "e"], newJoin(9, { spare: 0 }), bench.long, {
				type: "later",
				delay: 0,
				seen: 0,
			});
			const a = await bench.claimOnly("a");
			const join = { isAnew: true, data: "anew" };
			await bench.settleAll([b!], dead);
			for (let round = 0; round < 2; round++) await grow(bench, a, [], newJoin(2, join));
			await bench.settle(a, { type: "later", delay: null, seen: 1 });
			await bench.settleAll([c!], dead);
			equal(await inboxOf(bench, "a"), [], "inbox after the first end");
			await bench.settleAll([d!]);
			const again = await bench.claimOnly("a");
			equal(again.inbox.map(({ data }) => data), ["anew"], "inbox after the second one");
			await grow(bench, again, [], newJoin(1, join));
			await bench.settle(again, { type: "later", delay: null, seen: 2 });
			await bench.store.delete(bench.basket, ["e"]);
			equal(await bench.store.extend(bench.basket, [e!], bench.long), ["lost"], "extend()");
			equal((await bench.claimOnly("a")).inbox.map(({ data }) => data), ["anew"], "inbox after the last one");
		},
	},
	{
		title: "a join counts children that end before their parent does, and tells it",
		async run(bench) {
			const [a] = await bench.running("a");
			await grow(bench, a!, [newChild("b"), newChild("c", { join: undefined })], newJoin(1));
			await bench.settleAll(await bench.expectClaims(["b", "c"], "of the children"));
			equal(await bench.store.extend(bench.basket, [a!], bench.long), ["posted"], "extend()");
			await bench.settle(a!, asleep);
			equal((await bench.claimOnly("a")).inbox, [{ n: 1, data: "joined j" }], "inbox");
		},
	},
	{
		title: "turn() counts what it settles before it claims, for several joins and parents",
		async run(bench) {
			const parents = await bench.running("a", "b");
			const ids = numbered(6, "child ");
			for (const [index, ref] of parents.entries()) {
				for (const name of ["j", "k"]) {
					const some = ids.map((id) => newChild(`${ref.id} ${name} ${id}`, { join: name }));
					await grow(bench, ref, some, newJoin(6 - index, { name, spare: 2 }));
				}
			}
			await bench.settleAll(parents, asleep);
			const claims = await bench.claim(24);
			equal(claims.length, 24, "claimed children");
			const settle = claims.map((ref, index) => ({ ref, outcome: index % 6 < 2 ? dead : { type: "done" } as const }));
			const turn = await bench.turn({ settle, claim: [{ kinds: ["work"], limit: 9 }] });
			equal(turn.settled, settle.map(() => true), "settled");
			equal(idsOf(turn.claims).sort(), ["a", "b"], "claimed");
			for (const claim of turn.claims) {
				equal(claim.inbox.map(({ data }) => data).sort(), ["joined j", "joined k"], `inbox of ${claim.id}`);
			}
		},
	},
	{
		title: "turn() settles a parent and its last child together, in any order",
		async run(bench) {
			for (const isFirst of [false, true]) {
				const [a] = await bench.running("a");
				await grow(bench, a!, [newChild("b")], newJoin(1));
				const ended = [{ ref: await bench.claimOnly("b"), outcome: { type: "done" } as const }];
				const waits = [{ ref: a!, outcome: asleep }];
				await bench.turn({ settle: isFirst ? [...ended, ...waits] : [...waits, ...ended] });
				await bench.settleAll([await bench.claimOnly("a")]);
			}
		},
	},
	{
		title: "a join does nothing when its task is gone, and joins of a dead task are gone",
		async run(bench) {
			const [b, c] = await expecting(bench, ["b", "c"], newJoin(1), bench.long, { type: "later", delay: 0, seen: 0 });
			await bench.settleAll([await bench.claimOnly("a")], dead);
			await bench.settleAll([b!], { type: "done", retain: bench.long });
			equal((await bench.get("a")).inbox, [], "inbox of a dead task");
			await bench.change("a", "retry");
			const again = await bench.claimOnly("a");
			equal(again.inbox, [], "inbox of a retried task");
			await grow(bench, again, [newChild("d")], newJoin(2, { data: "anew" }));
			await bench.settleAll([c!]);
			await bench.settleAll([await bench.claimOnly("d")]);
			equal(await inboxOf(bench, "a"), ["anew"], "inbox after a new join of this name");
		},
	},
	{
		title: "children have children, and each end is told one level up",
		async run(bench) {
			const [b] = await expecting(bench, ["b"], newJoin(1));
			await grow(bench, b!, [newChild("c")], newJoin(1, { data: "deep" }));
			await bench.settle(b!, asleep);
			await bench.settleAll([await bench.claimOnly("c")]);
			const again = await bench.claimOnly("b");
			equal(again.inbox.map(({ data }) => data), ["deep"], "inbox of the child");
			await bench.settleAll([again]);
			equal((await bench.claimOnly("a")).inbox.map(({ data }) => data), ["joined j"], "inbox of the parent");
		},
	},
	{
		title: "save() after the join has posted changes nothing, and a join of another name counts anew",
		async run(bench) {
			const [a] = await bench.running("a");
			for (let round = 0; round < 2; round++) {
				await grow(bench, a!, [newChild("b")], newJoin(1));
				await bench.settleAll(await bench.claim(), { type: "done", retain: bench.long });
			}
			await grow(bench, a!, [newChild("c", { join: "k" }), newChild("d")], newJoin(1, { name: "k" }));
			await bench.settleAll(await bench.expectClaims(["c", "d"], "of the others"));
			equal(await inboxOf(bench, "a"), ["joined j", "joined k"], "inbox");
		},
	},
	{
		title: "complete() and delete() of children in a transaction count when it commits, and only then",
		needs: ["tx"],
		async run(bench) {
			const [b] = await expecting(bench, ["b", "c"], newJoin(2));
			const { store, basket } = bench;
			const work = async (tx: unknown) => {
				await store.complete(basket, b!, { type: "done" }, tx);
				await store.delete(basket, ["c"], tx);
			};
			const failure = new Error("rolled back");
			await bench.patiently(bench.fixture.transaction!(async (tx) => {
				await work(tx);
				throw failure;
			})).catch((error) => equal(error, failure, "the error"));
			await bench.turn({});
			equal(await inboxOf(bench, "a"), [], "inbox after a rollback");
			await bench.patiently(bench.fixture.transaction!(work));
			await bench.turn({});
			equal(await inboxOf(bench, "a"), ["joined j"], "inbox after a commit");
			await bench.claimOnly("a");
		},
	},
	{
		title: "children that end at the same time in several processes are all counted, and the last one tells",
		needs: ["shared"],
		async run(bench) {
			const other = await bench.fixture.another!();
			await bench.persistently(() => other.open());
			for (let round = 0; round < 5; round++) {
				const ids = numbered(4, `${round} child `);
				const claims = await expecting(bench, ids, newJoin(4));
				const [first, second, third] = claims.map((ref) => [{ ref, outcome: { type: "done" } as const }]);
				await Promise.all([
					bench.persistently(() => bench.turn({ settle: first! })),
					bench.persistently(() => bench.turn({ settle: second! }, other)),
					bench.persistently(() => bench.turn({ settle: third! })),
					bench.persistently(() => other.delete(bench.basket, [ids[3]!])),
				]);
				let [a]: readonly Claim[] = [];
				// What two of them have changed at the same time, one of the next turns may count.
				for (let turn = 0; a === undefined && turn < 40; turn++) {
					[a] = await bench.claim();
					if (a === undefined) await bench.until(() => false, 1);
				}
				equal(a?.inbox.map(({ data }) => data), ["joined j"], "inbox");
				await bench.settleAll([a!]);
			}
		},
	},
];

/** Claims of the children of a task `a` that is asleep. */
async function expecting(
	bench: Bench,
	ids: readonly string[],
	join: ReturnType<typeof newJoin>,
	lease: number = bench.long,
	outcome: Outcome = asleep,
): Promise<readonly Claim[]> {
	const [a] = await bench.running("a");
	await grow(bench, a!, ids.map((id) => newChild(id)), join);
	const claims = await bench.claim(20, lease);
	equal(idsOf(claims), ids, "claimed children");
	await bench.settle(a!, outcome);
	return claims;
}
