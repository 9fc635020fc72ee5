/**
 * Tests of `open` and `add`.
 *
 * @module
 */

import type { Data } from "../../basket/store.ts";
import { between, equal } from "./assert.ts";
import { idsOf, newTask, numbered, type StoreTest, wait } from "./bench.ts";

export const adding: readonly StoreTest[] = [
	{
		title: "open() may be called again, and loses nothing",
		async run(bench) {
			const { capabilities } = bench.store;
			await bench.add("a");
			await bench.store.open();
			equal(await bench.states("a"), ["waiting"], "state after open()");
			equal(bench.store.capabilities === capabilities, true, "capabilities is the same object");
		},
	},
	{
		title: "add() stores tasks as they were given",
		async run(bench) {
			await bench.add({ id: "a", kind: "mail", payload: "hello", priority: -7, lane: "l" }, {
				id: "b",
				delay: bench.long,
			});
			const { key: _, addedAt, dueAt, ...a } = await bench.get("a");
			const none = { attempts: 0, crashes: 0, inbox: [], state: "waiting" };
			equal(a, { ...none, id: "a", kind: "mail", payload: "hello", priority: -7, lane: "l" }, "a");
			equal(dueAt, addedAt, "dueAt of a task without a delay");
			const b = await bench.get("b");
			equal([b.lane, b.error, b.progress], [undefined, undefined, undefined], "what was not given");
			between(b.dueAt, b.addedAt + bench.long - 1, b.addedAt + bench.long + 1, "dueAt of a delayed task");
		},
	},
	{
		title: "add() resolves with the ids in order, and makes those that are missing",
		async run(bench) {
			const first = await bench.add({ id: "a" }, { payload: "1" }, { payload: "2" }, { id: "b" });
			const second = await bench.add({ payload: "3" });
			equal([...first, ...second].map(({ added }) => added), [true, true, true, true, true], "added");
			equal([first[0]!.id, first[3]!.id], ["a", "b"], "given ids");
			const made = [first[1]!.id, first[2]!.id, second[0]!.id];
			equal(made.map((id) => id[0]), ["_", "_", "_"], "first characters of made ids");
			equal(new Set(made).size, 3, "different ids");
			for (const [index, id] of made.entries()) {
				equal((await bench.get(id)).payload, `${index + 1}`, `payload of ${id}`);
			}
		},
	},
	{
		title: "add() never makes an id twice, not even when its task is gone",
		async run(bench) {
			const seen = new Set<string>();
			for (let round = 0; round < 5; round++) {
				const added = await bench.add({ payload: "x" }, { payload: "y" });
				for (const { id } of added) seen.add(id);
				await bench.store.delete(bench.basket, idsOf(added));
			}
			equal(seen.size, 10, "different ids");
		},
	},
	{
		title: "add() leaves a task as it is whose id is in use, and says in which state it is",
		async run(bench) {
			const [dead, done] = await bench.running("dead", "done", "running");
			await bench.settle(dead!, { type: "dead", attempts: 1, error: "broken" });
			await bench.settle(done!, { type: "done", retain: bench.long });
			await bench.add("waiting", "held");
			await bench.change("held", "hold");
			const ids = ["waiting", "running", "held", "dead", "done"];
			const before = await Promise.all(ids.map((id) => bench.get(id)));
			const added = await bench.add(...ids.map((id) => ({ id, payload: "other", priority: 1 })), "new");
			const kept = ids.map((id) => ({ id, added: false, state: id }));
			equal(added, [...kept, { id: "new", added: true }], "what add() says");
			equal(await Promise.all(ids.map((id) => bench.get(id))), before, "the tasks that were there");
			equal(await bench.states(...ids, "new"), [...ids, "waiting"], "states");
		},
	},
	{
		title: "add() adds the first of two with the same id in one call",
		async run(bench) {
			const added = await bench.add({ id: "a", payload: "first" }, "b", { id: "a", payload: "second" });
			equal(added.map(({ added }) => added), [true, true, false], "added");
			equal(added.map(({ state }) => state), [undefined, undefined, "waiting"], "states of what was there");
			equal((await bench.get("a")).payload, "first", "payload");
			equal(idsOf(await bench.list()), ["a", "b"], "all tasks");
		},
	},
	{
		title: "add() says of a task that waits in its lane or for its time that it is waiting",
		async run(bench) {
			const tasks = [{ id: "head", lane: "l" }, { id: "blocked", lane: "l" }, { id: "delayed", delay: bench.long }];
			await bench.add(...tasks);
			const ids = tasks.map(({ id }) => id);
			equal(await bench.add(...ids), ids.map((id) => ({ id, added: false, state: "waiting" })), "what add() says");
		},
	},
	{
		title: "add() takes an id again once its task is gone",
		async run(bench) {
			const [a] = await bench.running("a");
			await bench.settleAll([a!]);
			equal(await bench.add("a"), [{ id: "a", added: true }], "added after done");
			await bench.store.delete(bench.basket, ["a"]);
			equal(await bench.add("a"), [{ id: "a", added: true }], "added after delete()");
		},
	},
	{
		title: "add() of nothing does nothing",
		async run(bench) {
			equal(await bench.store.add(bench.basket, []), [], "added");
			equal(await bench.list(), [], "tasks");
		},
	},
	{
		title: "add() is all or none to whoever looks meanwhile",
		async run(bench) {
			const count = Math.min(50, bench.store.capabilities.maxAdd ?? 50);
			for (let round = 1; round <= 3; round++) {
				let isPending = true;
				const adding = bench.add(...numbered(count, `round ${round}, task `)).finally(() => isPending = false);
				for (let look = 1; isPending; look++) {
					if (look % 100 === 0) await wait(0);
					const { waiting } = await bench.store.counts(bench.basket);
					equal(waiting % count, 0, `part of ${count} tasks that is seen (of ${waiting})`);
				}
				await adding;
			}
		},
	},
	{
		title: "add() keeps the order of the array, behind all that were there",
		async run(bench) {
			const [first, second] = [["c", "a", "d"], ["b", "f", "e"]];
			await bench.add(...first);
			await bench.add(...second);
			equal(idsOf(await bench.list()), [...first, ...second], "listed");
			await bench.expectClaims([...first, ...second], "in the order added");
		},
	},
	{
		title: "add() keeps the order of calls that are made at once",
		async run(bench) {
			const ids = numbered(12, "task ");
			await Promise.all([0, 4, 8].map((start) => bench.add(...ids.slice(start, start + 4))));
			const listed = idsOf(await bench.list());
			for (const start of [0, 4, 8]) {
				const part = ids.slice(start, start + 4);
				const from = listed.indexOf(part[0]!);
				equal(listed.slice(from, from + 4), part, "tasks of one call stand together, in order");
			}
		},
	},
	{
		title: "add() keeps a task from running until its delay is over",
		async run(bench) {
			await bench.add({ id: "long", delay: bench.long }, { id: "short", delay: bench.unit }, "now");
			if (bench.isExact) {
				await bench.expectClaims(["now"], "at once");
				await bench.fixture.advance!(bench.unit - 1);
				await bench.expectClaims([], "a millisecond before the delay is over");
				await bench.fixture.advance!(1);
				await bench.expectClaims(["short"], "when the delay is over");
			} else {
				await bench.pass(1);
				await bench.expectClaims(["now", "short"], "after the delay");
			}
		},
	},
	{
		title: "add() and whatever gives data back keep text and bytes exactly",
		async run(bench) {
			const values = samples(bench.store.capabilities.maxPayload);
			for (const [index, payload] of values.entries()) {
				const id = `task ${index}`;
				await bench.add({ id, payload });
				await bench.store.post(bench.basket, id, payload);
				const stored = await bench.get(id);
				equal(stored.payload, payload, `payload ${index} of get()`);
				equal(stored.inbox[0]!.data, payload, `message ${index} of get()`);
				equal((await bench.list())[0]!.payload, payload, `payload ${index} of list()`);
				const claim = await bench.claimOnly(id);
				equal(claim.payload, payload, `payload ${index} of a claim`);
				equal(claim.inbox[0]!.data, payload, `message ${index} of a claim`);
				await bench.store.save(bench.basket, [{ ref: claim, payload }]);
				equal((await bench.get(id)).payload, payload, `payload ${index} after save()`);
				await bench.settleAll([claim], { type: "dead", attempts: 1, error: "x", payload });
				equal((await bench.get(id)).payload, payload, `payload ${index} after its settlement`);
				await bench.store.delete(bench.basket, [id]);
			}
		},
	},
	{
		title: "cloned values are kept wherever data is, if the capabilities say so",
		async run(bench) {
			if (!bench.store.capabilities.clones) return;
			// Longer than a row of most stores.
			const values = [9, 90_000].map((length) => ({
				cloned: new Map([["a", new Date(length)]]),
				length,
				mark: `${length}`,
			}));
			for (const value of values) {
				const payload = value as unknown as Data;
				await bench.add({ id: "a", payload });
				await bench.store.post(bench.basket, "a", payload);
				const claim = await bench.claimOnly("a");
				equal([claim.payload, claim.inbox[0]!.data], [payload, payload], "claimed");
				await bench.store.save(bench.basket, [{ ref: claim, payload }]);
				await bench.settleAll([claim], { type: "done", retain: bench.long, result: payload });
				const { payload: kept, result } = await bench.get("a");
				equal([kept, result], [payload, payload], "kept");
				const { cloned } = kept as unknown as { cloned: Map<string, Date> };
				equal(cloned.get("a")?.getTime(), value.length, "the value in it");
				await bench.store.delete(bench.basket, ["a"]);
			}
		},
	},
	{
		title: "add() keeps its own copy of bytes, and gives none of it away",
		async run(bench) {
			const payload = Uint8Array.of(1, 2, 3);
			const data = Uint8Array.of(4, 5, 6);
			await bench.add({ id: "a", payload });
			await bench.store.post(bench.basket, "a", data);
			payload[0] = data[0] = 0;
			const wanted = [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5, 6)];
			const first = await bench.get("a");
			equal([first.payload, first.inbox[0]!.data], wanted, "stored, after the caller has changed its arrays");
			(first.payload as Uint8Array)[0] = (first.inbox[0]!.data as Uint8Array)[0] = 0;
			const second = await bench.claimOnly("a");
			equal([second.payload, second.inbox[0]!.data], wanted, "claimed, after what get() gave was changed");
			(second.payload as Uint8Array)[0] = 0;
			equal((await bench.list())[0]!.payload, wanted[0], "listed, after the claim was changed");
			const saved = Uint8Array.of(7);
			await bench.store.save(bench.basket, [{ ref: second, payload: saved }]);
			saved[0] = 0;
			equal((await bench.get("a")).payload, Uint8Array.of(7), "saved, after the caller has changed its array");
		},
	},
	{
		title: "add() takes as many tasks, and as large ones, as the capabilities say",
		async run(bench) {
			const { maxAdd = 1000, maxPayload = 1_000_000 } = bench.store.capabilities;
			const ids = numbered(maxAdd, "task ");
			const added = await bench.store.add(bench.basket, ids.map(newTask));
			equal(idsOf(added), ids, "ids");
			equal((await bench.store.counts(bench.basket)).waiting, maxAdd, "how many are stored");
			const large = "é".repeat(Math.floor(maxPayload / 2));
			const bytes = new Uint8Array(maxPayload).fill(7);
			await bench.add({ id: "large text", payload: large });
			await bench.add({ id: "many bytes", payload: bytes });
			equal((await bench.get("large text")).payload === large, true, "the largest text is the same");
			equal((await bench.get("many bytes")).payload, bytes, "the largest array");
		},
	},
	{
		title: "add() tells apart all names that differ, whatever their characters",
		async run(bench) {
			const names = oddNames();
			await bench.add(...names.map((name) => ({ id: name, kind: name, payload: name, lane: name })));
			equal(idsOf(await bench.list()), names, "listed");
			for (const name of names) {
				const { id, kind, payload, lane } = await bench.get(name);
				equal([id, kind, payload, lane], [name, name, name, name], "id, kind, payload and lane");
				equal(idsOf(await bench.store.list(bench.basket, { kind: name, limit: 10 })), [name], "listed by kind");
			}
			const { claims } = await bench.turn({ claim: names.map((name) => ({ kinds: [name], limit: 9 })) });
			equal(idsOf(claims), names, "claimed by kind");
			await bench.settleAll(claims.slice(1));
			equal(idsOf(await bench.list()), names.slice(0, 1), "left");
		},
	},
	{
		title: "add() keeps baskets apart, whatever the characters of their names",
		async run(bench) {
			const { store, long } = bench;
			const names = oddNames();
			for (const name of names) {
				equal(
					await store.add(name, [newTask({ id: "a", payload: name, lane: "l" })]),
					[{ id: "a", added: true }],
					"added",
				);
			}
			for (const name of names) {
				equal((await store.list(name, { limit: 10 })).map(({ payload }) => payload), [name], "listed");
				const turn = { settle: [], claim: [{ kinds: ["work"], limit: 10 }], lease: long };
				const { claims } = await store.turn(name, turn);
				equal(claims.map(({ payload }) => payload), [name], "claimed");
				equal((await store.counts(name)).running, 1, "running");
			}
			equal(await store.delete(names[0]!, ["a"]), [true], "deleted");
			equal(await store.change(names[0]!, ["a"], "hold"), [false], "held in the basket where it was deleted");
			for (const name of names.slice(1)) equal((await store.get(name, "a"))?.payload, name, "left in another basket");
		},
	},
	{
		title: "add() says when, on the store's clock",
		async run(bench) {
			await bench.add("a", "b");
			await bench.pass(2);
			await bench.add("c");
			const [a, b, c] = await bench.list();
			const claims = await bench.claim();
			equal(claims.map(({ addedAt }) => addedAt), [a!.addedAt, b!.addedAt, c!.addedAt], "addedAt of claims");
			equal(b!.addedAt, a!.addedAt, "addedAt of two that were added together");
			const most = bench.isExact ? 0 : bench.long;
			between(c!.addedAt - a!.addedAt, 2 * bench.unit, 2 * bench.unit + most, "time between two additions");
			between(claims[0]!.age, 2 * bench.unit, 2 * bench.unit + most, "age of the oldest");
			between(claims[2]!.age, 0, most, "age of the newest");
		},
	},
];

function samples(maxPayload = Infinity): Data[] {
	const size = Math.min(30_000, Math.floor(maxPayload / 3));
	const all = Uint8Array.from({ length: 256 }, (_, index) => index);
	return [
		"",
		"plain",
		"0",
		"null",
		' {"json": [1, "\\u0000"]}\n',
		"a\0b",
		"日本語 ✓ é e\u0301 😀 '\"`;--%_\\ \r\n\t\u2028\ufeff",
		"語".repeat(size),
		new Uint8Array(),
		all,
		all.subarray(65, 70),
		new Uint8Array(size).fill(255),
	];
}

function oddNames(): string[] {
	const long = "x".repeat(254);
	return [
		..."a A a\u0301 á ä ß SS 日本 😀 ' \" ` % a_ \\ / a/b a:b a,b a;b a|b {} [] $1 :a ? # null 0 00 -1 1e3".split(" "),
		...[" ", " a", "a ", "a\nb", "a\tb", "toString", "__proto__", "constructor", `${long}y`, `${long}z`],
	];
}
