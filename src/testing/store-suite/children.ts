/**
 * Tests of children: how they are added, listed and removed.
 *
 * @module
 */

import type { Child, Join, Ref, Save } from "../../basket/store.ts";
import { equal } from "./assert.ts";
import { type Bench, idsOf, numbered, type StoreTest } from "./bench.ts";

export const children: readonly StoreTest[] = [
	{
		title: "save() adds children, which are tasks as any other, but lists of tasks leave them out",
		async run(bench) {
			const [a] = await bench.running("a");
			const more = [newChild("low", { priority: -1 }), newChild("b", { lane: "l" }), newChild("c", { lane: "l" })];
			const late = newChild("late", { delay: bench.long, limitKey: "k" });
			equal(await grow(bench, a!, [...more, late]), true, "saved");
			equal(idsOf(await bench.list()), ["a"], "tasks");
			const listed = await childrenOf(bench, "a");
			equal(idsOf(listed), ["low", "b", "c", "late"], "children");
			const { parent, lane, limitKey, payload } = listed[3]!;
			equal([parent, lane, limitKey, payload], ["a", undefined, "k", "payload of late"], "a child");
			const found = await bench.get("b");
			equal([found.parent, found.lane, found.state], ["a", "l", "waiting"], "a child by its id");
			equal((await bench.get("a")).parent, undefined, "parent of a task");
			equal((await bench.store.counts(bench.basket)).waiting, 4, "waiting tasks");
			const [b] = await bench.expectClaims(["b", "low"], "of the children");
			await bench.settleAll([b!]);
			await bench.expectClaims(["c"], "behind b in its lane");
		},
	},
	{
		title: "turn() adds children with a settlement, and claims them at once",
		async run(bench) {
			const [a] = await bench.running("a");
			const outcome = { type: "later", delay: null, seen: 0 } as const;
			const settle = [{ ref: a!, outcome, children: [newChild("b"), newChild("c")] }];
			const { settled, claims } = await bench.turn({ settle, claim: [{ kinds: ["work"], limit: 9 }] });
			equal([settled, idsOf(claims)], [[true], ["b", "c"]], "settled, and claimed");
		},
	},
	{
		title: "turn() adds no children to a task that ends",
		async run(bench) {
			const [a, b] = await bench.running("a", "b");
			const settle = [
				{ ref: a!, outcome: { type: "done" }, children: [newChild("c")] },
				{ ref: b!, outcome: { type: "dead", attempts: 1, error: "x" }, children: [newChild("d")], join: newJoin() },
			] as const;
			equal((await bench.turn({ settle })).settled, [true, true], "settled");
			equal(await bench.states("a", "b", "c", "d"), [undefined, "dead", undefined, undefined], "states");
		},
	},
	{
		title: "save() and turn() add no children if the claim is lost",
		async run(bench) {
			const [a] = await bench.running("a");
			await bench.settle(a!, { type: "release" });
			equal(await grow(bench, a!, [newChild("b")], newJoin(1)), false, "saved after the end of the claim");
			const next = await bench.claimOnly("a");
			const settle = [{
				ref: a!,
				outcome: { type: "release" } as const,
				children: [newChild("b")],
				join: newJoin(1),
			}];
			equal((await bench.turn({ settle })).settled, [false], "settled");
			equal(await bench.states("b"), [undefined], "state of the child");
			equal(await grow(bench, next, [newChild("c")], newJoin(2)), true, "saved by the next claim");
			await bench.settleAll([await bench.claimOnly("c")]);
			equal((await bench.get("a")).inbox, [], "inbox, as the join has another child");
		},
	},
	{
		title: "save() of children can be repeated, and leaves other tasks with their ids as they are",
		async run(bench) {
			const [a, x] = await bench.running("a", "x");
			const other = newChild("x", { payload: "of a child" });
			const some = [newChild("b"), newChild("b", { payload: "again" }), newChild("c"), other];
			for (let round = 0; round < 2; round++) await grow(bench, a!, some, newJoin(2));
			equal(idsOf(await childrenOf(bench, "a")), ["b", "c"], "children");
			const { payload, parent, state } = await bench.get("x");
			equal([payload, parent, state], ["payload of x", undefined, "running"], "the other task");
			equal((await bench.get("b")).payload, "payload of b", "payload of b");
			await bench.settleAll([x!]);
			const claims = await bench.expectClaims(["b", "c"], "of the children");
			await bench.settleAll(claims, { type: "done", retain: bench.long });
			await grow(bench, a!, some, newJoin(2));
			equal(await inboxOf(bench, "a"), ["joined j"], "inbox");
			equal(await bench.states("b", "c"), ["done", "done"], "states of the children");
		},
	},
	{
		title: "save() adds children beside a payload, entries and other saves",
		async run(bench) {
			const [a, b, c] = await bench.running("a", "b", "c");
			await bench.store.delete(bench.basket, ["b"]);
			const saves: Save[] = [
				{ ref: a!, payload: "new", log: { after: 0, entries: ["1"] }, children: [newChild("a1")] },
				{ ref: b!, children: [newChild("b1")] },
				{ ref: c!, progress: "half", children: [newChild("c1")], join: newJoin(1) },
				{ ref: a!, log: { after: 1, entries: ["2"] }, children: [newChild("a2")] },
			];
			equal(await bench.store.save(bench.basket, saves), [true, false, true, true], "saved");
			equal(idsOf(await childrenOf(bench, "a")), ["a1", "a2"], "children of a");
			equal(idsOf(await childrenOf(bench, "c")), ["c1"], "children of c");
			equal([(await bench.get("a")).payload, await bench.log("a")], ["new", ["1", "2"]], "payload and log");
			equal(await bench.states("b1"), [undefined], "state of the child of a deleted task");
		},
	},
	{
		title: "list() shows the children of one task in order, by pages, states and kinds",
		async run(bench) {
			const [a, b] = await bench.running("a", "b");
			await bench.store.save(bench.basket, [
				{ ref: a!, children: [newChild("c1"), newChild("other", { kind: "other" }), newChild("c2")] },
				{ ref: b!, children: [newChild("d1")] },
			]);
			await bench.add("later");
			await grow(bench, a!, [newChild("c3")]);
			equal(idsOf(await childrenOf(bench, "a")), ["c1", "other", "c2", "c3"], "children");
			equal(idsOf(await childrenOf(bench, "b")), ["d1"], "children of b");
			for (const id of ["c1", "nobody"]) equal(await childrenOf(bench, id), [], `children of ${id}`);
			const { store, basket } = bench;
			for (const isReverse of [false, true]) {
				const wanted = ["c1", "other", "c2", "c3"];
				if (isReverse) wanted.reverse();
				let after: string | undefined;
				for (let from = 0; from < wanted.length; from += 3) {
					const page = await store.list(basket, { parent: "a", isReverse, after, limit: 3 });
					equal(idsOf(page), wanted.slice(from, from + 3), "a page");
					after = page.at(-1)!.key;
				}
				equal(
					await store.list(basket, { parent: "a", isReverse, after, limit: 3 }),
					[],
					"the page behind the last one",
				);
			}
			equal(idsOf(await store.list(basket, { parent: "a", kind: "other", limit: 9 })), ["other"], "by kind");
			const claims = await bench.expectClaims(["c1", "c2", "d1", "later", "c3"], "in order");
			await bench.settleAll(claims.slice(0, 2), { type: "dead", attempts: 1, error: "x" });
			equal(idsOf(await store.list(basket, { parent: "a", state: "dead", limit: 9 })), ["c1", "c2"], "dead children");
			equal(await store.list(basket, { state: "dead", limit: 9 }), [], "dead tasks");
			await bench.change("c1", "retry");
			equal(idsOf(await childrenOf(bench, "a")), ["other", "c2", "c3", "c1"], "children, of which one was retried");
			equal((await bench.get("c1")).parent, "a", "parent of the retried child");
		},
	},
	{
		title: "a task takes its children with it when it is deleted or done, whatever they do, and theirs",
		async run(bench) {
			for (const end of ["delete", "done"]) {
				const [a, b] = await bench.running("a", "b");
				await bench.store.save(bench.basket, [
					{ ref: a!, children: [newChild("c1"), newChild("c2"), newChild("c3", { lane: "l" })], join: newJoin(3) },
					{ ref: b!, children: [newChild("d", { lane: "l" })] },
				]);
				const claims = await bench.expectClaims(["c1", "c2", "c3"], "of the children");
				await grow(bench, claims[0]!, [newChild("deep")]);
				await bench.settle(claims[1]!, { type: "dead", attempts: 1, error: "x" });
				if (end === "delete") await bench.store.delete(bench.basket, ["a"]);
				else await bench.settleAll([a!]);
				for (let turn = 0; turn < 5; turn++) await bench.turn({});
				const states = await bench.states("a", "c1", "c2", "c3", "deep");
				equal(states, states.map(() => undefined), `states after ${end}`);
				equal(await bench.store.extend(bench.basket, [claims[0]!], bench.long), ["lost"], "extend()");
				await bench.settleAll([await bench.claimOnly("d"), b!]);
				await bench.turn({});
				equal(Object.values(await bench.store.counts(bench.basket)), [0, 0, 0, 0, 0], "counts");
			}
		},
	},
	{
		title: "a task that is kept keeps its children, and a new task with its id has none",
		async run(bench) {
			const [a] = await bench.running("a");
			await grow(bench, a!, [newChild("b"), newChild("c")], newJoin(2));
			await bench.settleAll([await bench.claim(1).then(([b]) => b!)], { type: "done", retain: Infinity });
			await bench.settleAll([a!], { type: "done", retain: 4 * bench.unit });
			await bench.turn({});
			equal(idsOf(await childrenOf(bench, "a")), ["b", "c"], "children of a done task");
			await bench.pass(5);
			equal(await childrenOf(bench, "a"), [], "children of a task whose retention has ended");
			await bench.add("a");
			equal(await childrenOf(bench, "a"), [], "children of a new task");
			for (let turn = 0; turn < 5; turn++) await bench.turn({});
			equal(await bench.states("a", "b", "c"), ["waiting", undefined, undefined], "states");
		},
	},
	{
		title: "a retried dead task keeps its children",
		async run(bench) {
			const [a] = await bench.running("a", {});
			await grow(bench, a!, [newChild("b")]);
			await bench.settle(a!, { type: "dead", attempts: 1, error: "x" });
			await bench.turn({});
			equal(idsOf(await childrenOf(bench, "a")), ["b"], "children of a dead task");
			await bench.change("a", "retry");
			equal(idsOf(await childrenOf(bench, "a")), ["b"], "children of a retried task");
			const [b, again] = await bench.expectClaims(["b", "a"], "of both");
			equal((await bench.get("b")).parent, "a", "parent");
			await grow(bench, again!, [newChild("c")], newJoin(1));
			await bench.settleAll([b!]);
			await bench.settleAll([await bench.claimOnly("c")]);
			equal(await inboxOf(bench, "a"), ["joined j"], "inbox");
			await bench.store.delete(bench.basket, ["a"]);
			for (let turn = 0; turn < 5; turn++) await bench.turn({});
			equal(await bench.states("b", "c"), [undefined, undefined], "states");
		},
	},
	{
		title: "a task with many children is removed, and so are they",
		async run(bench) {
			const [a] = await bench.running("a", "b");
			const most = Math.min(bench.store.capabilities.maxAdd ?? Infinity, 100);
			const count = 3 * most;
			for (let from = 0; from < count; from += most) {
				const some = numbered(most, `child ${from} `).map((id) => newChild(id));
				equal(await grow(bench, a!, some, newJoin(count)), true, "saved");
			}
			equal((await childrenOf(bench, "a")).length, count, "children");
			await bench.store.delete(bench.basket, ["a"]);
			for (let turn = 0; turn < 30; turn++) await bench.turn({});
			equal(Object.values(await bench.store.counts(bench.basket)), [0, 1, 0, 0, 0], "counts");
		},
	},
	{
		title: "a new task with the id of a removed one has children with the same ids",
		async run(bench) {
			const most = Math.min(bench.store.capabilities.maxAdd ?? Infinity, 120);
			for (const round of ["first", "second", "third"]) {
				const [a] = await bench.running({ id: "a", priority: 1 });
				for (let from = 0; from < 2 * most; from += most) {
					const some = numbered(most, `child ${from} `).map((id) => newChild(id, { payload: round }));
					await grow(bench, a!, some, newJoin(2 * most));
				}
				const listed = await childrenOf(bench, "a");
				equal([listed.length, listed[0]!.payload, listed.at(-1)!.payload], [2 * most, round, round], "children");
				await bench.settleAll(await bench.claim(2));
				equal(await inboxOf(bench, "a"), [], "inbox");
				if (round === "second") await bench.settleAll([a!]);
				else await bench.store.delete(bench.basket, ["a"]);
			}
		},
	},
	{
		title: "save() in a transaction adds children when it commits, and only then",
		needs: ["tx"],
		async run(bench) {
			const [a] = await bench.running("a");
			const { transaction } = bench.fixture;
			const save = (tx: unknown) => grow(bench, a!, [newChild("b"), newChild("c")], newJoin(2), tx);
			const failure = new Error("rolled back");
			await transaction!(async (tx) => {
				await save(tx);
				throw failure;
			}).catch((error) => equal(error, failure, "the error"));
			equal(await childrenOf(bench, "a"), [], "children after a rollback");
			await transaction!(save);
			await bench.settleAll(await bench.expectClaims(["b", "c"], "after a commit"));
			equal(await inboxOf(bench, "a"), ["joined j"], "inbox");
		},
	},
];

/** A child of the kind `work` that is due at once, and that the join `j` counts. */
export function newChild(id: string, more: Partial<Child> = {}): Child {
	return { id, kind: "work", payload: `payload of ${id}`, delay: 0, priority: 0, join: "j", ...more };
}

/** A join, whose message has its name. */
export function newJoin(left = 1, more: Partial<Join> = {}): Join {
	const { name = "j" } = more;
	return { name, left, data: `joined ${name}`, ...more };
}

/** Adds children with a save. */
export async function grow(
	{ store, basket }: Bench,
	ref: Ref,
	children: readonly Child[],
	join?: Join,
	tx?: unknown,
): Promise<boolean> {
	const [isSaved] = await store.save(basket, [{ ref, children, ...(join && { join }) }], tx);
	return isSaved!;
}

/** The children of a task. */
export function childrenOf({ store, basket }: Bench, parent: string): ReturnType<Bench["list"]> {
	return store.list(basket, { parent, limit: 10_000 });
}

/** The data of the messages of a task. */
export async function inboxOf(bench: Bench, id: string): Promise<unknown[]> {
	return (await bench.get(id)).inbox.map(({ data }) => data);
}
