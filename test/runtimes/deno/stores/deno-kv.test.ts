import { DatabaseSync } from "node:sqlite";
import { Basket, StoreError, systemClock } from "upkeep";
import { describe, expect, onTestFinished, test } from "vitest";
import { type DenoKv, denoKvStore, type DenoKvStoreOptions } from "upkeep/stores/deno-kv";
import { testRecordSpace, testStore, VirtualClock } from "upkeep/testing";
import type { NewTask, Outcome, Ref, Store } from "../../../../src/basket/store.ts";
import { Resource } from "../../../../src/platform/resource.ts";
import { textOf } from "../../../../src/records/key-text.ts";
import { overMap } from "../../../../src/records/records.ts";
import { isSound } from "../../../../src/records/row.ts";
import { DenoKvMap } from "../../../../src/stores/deno-kv/map.ts";
import { Schema } from "../../../../src/stores/deno-kv/schema.ts";
import { expectHeardElsewhere } from "../../../basket/elsewhere.ts";
import { seed } from "../../../seed.ts";
import { expectData, expectLists } from "../../../records/laws.ts";
import { errorOf, isLong, settle } from "../../../support.ts";

const basket = "basket";

for (const [name, makePath] of [["in memory", () => ":memory:"], ["in a file", makeFile]] as const) {
	testStore(`denoKvStore() ${name}`, async () => {
		const clock = new VirtualClock({ now: 1_000_000 });
		const path = makePath();
		const open = async () => {
			const kv = await Deno.openKv(path);
			opened.push(kv);
			return denoKvStore(kv, { clock });
		};
		const opened: Deno.Kv[] = [];
		const store = await open();
		const transaction = async (work: (tx: Deno.AtomicOperation) => Promise<unknown>) => {
			const tx = opened[0]!.atomic();
			await work(tx);
			if (!(await tx.commit()).ok) throw new Error("The commit failed");
		};
		return {
			store,
			transaction,
			advance: (duration) => clock.advance(duration),
			another: path === ":memory:" ? async () => denoKvStore(opened[0]!, { clock }) : open,
			async close() {
				for (const kv of opened) kv.close();
			},
		};
	}, { test: (title, body) => test(title, body), seed });
}

testRecordSpace("Deno KV", async () => {
	const kv = await Deno.openKv(":memory:");
	const given = new Resource<DenoKv>(kv);
	const parts = { kv: given, prefix: ["upkeep"], schema: new Schema(given, ["upkeep"]) };
	const map = new DenoKvMap(parts, { clock: systemClock, pollInterval: Infinity });
	return { space: overMap(map), close: () => kv.close() };
}, { test: (title, body) => test(title, body) });

describe("denoKvStore() of a function", () => {
	test.each([["at once", false], ["later", true]])(
		"opens the database once, when it is opened, and closes it in close(): %s",
		async (_when, isLate) => {
			const kv = await Deno.openKv(":memory:");
			let calls = 0;
			const store = denoKvStore(() => {
				calls++;
				return isLate ? settle().then(() => kv) : kv;
			});
			expect(await errorOf(store.add(basket, [task("a")]))).toMatchObject({ name: "StoreError", code: "not-open" });
			expect(calls).toBe(0);
			const ran = Promise.withResolvers<void>();
			const worker = new Basket({ store: store as Store, tasks: { work: () => ran.resolve() } });
			const running = errorOf(worker.run());
			await worker.add("work", undefined);
			await ran.promise;
			await worker.drain();
			await store.open();
			expect(calls).toBe(1);
			await store.close();
			await store.close();
			expect(await running).toMatchObject({ name: "StoreError", code: "closed" });
			for (const call of [() => store.open(), () => store.counts(basket)]) {
				expect(await errorOf(call())).toMatchObject({ name: "StoreError", code: "closed", isTransient: false });
			}
			expect(await errorOf(kv.get(["a"]))).toBeInstanceOf(Error);
		},
	);

	test("that fails rejects with a StoreError, refuses by name what is no database, and calls it again for the next open()", async () => {
		const kv = await Deno.openKv(":memory:");
		const given: readonly unknown[] = [undefined, {}, kv];
		let calls = -1;
		const store = denoKvStore(
			(() => {
				if (++calls === 0) throw new Deno.errors.PermissionDenied("no");
				return given[calls - 1];
			}) as () => Deno.Kv,
		);
		expect(await errorOf(store.open())).toMatchObject({ name: "StoreError", code: "refused" });
		for (let times = 0; times < 2; times++) {
			const error = await errorOf(store.open());
			expect(error).toBeInstanceOf(TypeError);
			expect(String(error)).toMatch(/"kv\(\)/);
		}
		await store.open();
		await store.add(basket, [task("a")]);
		expect((await store.counts(basket)).waiting).toBe(1);
		await store.close();
	});

	test("close() leaves an open database alone that was given", async () => {
		const { kv, store } = await open();
		await store.close!();
		expect((await store.counts(basket)).waiting).toBe(0);
		expect((await kv.get(["a"])).value).toBe(null);
	});
});

describe("denoKvStore() in a transaction", () => {
	test("add() of an id in use lets commit() fail, with all that is in it", async () => {
		const { kv, store } = await open();
		await store.add(basket, [task("a")]);
		const tx = kv.atomic().set(["mine"], 1);
		expect(await store.add(basket, [task("b"), task("a")], tx)).toEqual([
			{ id: "b", added: true },
			{ id: "a", added: true },
		]);
		expect(await tx.commit()).toEqual({ ok: false });
		expect((await kv.get(["mine"])).value).toBe(null);
		expect(await store.get(basket, "b")).toBe(undefined);
	});

	test("add() without ids and lanes has appended everything when it returns", async () => {
		const { kv, store } = await open();
		const tx = kv.atomic();
		const nameless = { kind: "work", payload: "", delay: 0, priority: 0 };
		const adding = store.add(basket, [nameless, nameless], tx);
		expect((await tx.commit()).ok).toBe(true);
		await adding;
		expect((await store.counts(basket)).waiting).toBe(2);
	});

	test("add() behind a gate that is claimed meanwhile commits, and its task is claimed", async () => {
		const { kv, store } = await open();
		await store.add(basket, [task("a", { limitKey: "key" })]);
		const tx = kv.atomic();
		await store.add(basket, [task("b", { limitKey: "key" })], tx);
		const [a] = await claim(store);
		await end(store, [a!]);
		expect(await claim(store)).toEqual([]);
		expect((await tx.commit()).ok).toBe(true);
		expect((await claim(store)).map(({ id }) => id)).toEqual(["b"]);
	});

	test("what is no transaction is refused by name, and nothing is stored", async () => {
		const { kv, store } = await open();
		await store.add(basket, [task("a")]);
		const [ref] = await claim(store);
		const before = await contents(kv);
		for (const tx of [null, 5, {}, () => {}] as never[]) {
			const calls = [
				() => store.add(basket, [task("b")], tx),
				() => store.save(basket, [{ ref: ref!, payload: "2" }], tx),
				() => store.complete(basket, ref!, { type: "done" }, tx),
				() => store.delete(basket, ["a"], tx),
				() => store.change(basket, ["a"], "hold", tx),
			];
			for (const call of calls) {
				await expect(call()).rejects.toMatchObject({
					name: "TypeError",
					message: expect.stringMatching(/^"tx(\.check)?" must be /),
				});
			}
		}
		expect(await contents(kv)).toEqual(before);
	});

	test("complete() and save() of a lost claim let commit() fail, with all that is in it", async () => {
		const { kv, store } = await open();
		const entry = { after: 0, entries: ["1"] };
		await store.add(basket, [task("a")]);
		const [ref] = await claim(store);
		await store.delete(basket, ["a"]);
		for (
			const call of [
				(tx: Deno.AtomicOperation) => store.complete(basket, ref!, { type: "done" }, tx),
				async (tx: Deno.AtomicOperation) => (await store.save(basket, [{ ref: ref!, payload: "x" }], tx))[0],
				async (tx: Deno.AtomicOperation) => (await store.save(basket, [{ ref: ref!, log: entry }], tx))[0],
			]
		) {
			const tx = kv.atomic().set(["mine"], 1);
			expect(await call(tx)).toBe(false);
			expect(await tx.commit()).toEqual({ ok: false });
			expect((await kv.get(["mine"])).value).toBe(null);
		}
	});

	test("complete() lets commit() fail if the claim is lost between the two", async () => {
		const { kv, store, clock } = await open();
		await store.add(basket, [task("a")]);
		const [ref] = await claim(store);
		const tx = kv.atomic().set(["mine"], 1);
		expect(await store.complete(basket, ref!, { type: "done" }, tx)).toBe(true);
		await clock.advance(60_000);
		const [other] = await claim(store);
		expect(other!.id).toBe("a");
		expect(await tx.commit()).toEqual({ ok: false });
		expect((await store.get(basket, "a"))!.state).toBe("running");
	});

	test("save() that only appends lets commit() fail if the claim is lost between the two, and no other append", async () => {
		const { kv, store, clock } = await open();
		await store.add(basket, [task("a")]);
		const [ref] = await claim(store);
		const append = async (after: number, tx?: Deno.AtomicOperation) => {
			return (await store.save(basket, [{ ref: ref!, log: { after, entries: ["x"] } }], tx))[0];
		};
		await append(0);
		const commit = async (meanwhile: () => Promise<unknown>) => {
			const tx = kv.atomic();
			expect(await append(1, tx)).toBe(true);
			await meanwhile();
			return (await tx.commit()).ok;
		};
		expect(await commit(() => append(2))).toBe(true);
		await clock.advance(60_000);
		expect(await commit(() => claim(store))).toBe(false);
	});

	test("delete() and change() of what cannot be deleted or changed let commit() fail, with all that is in it", async () => {
		const { kv, store } = await open();
		await store.add(basket, [task("a"), task("b")]);
		for (const ids of [["a", "b"], ["a", "absent"]]) {
			for (const call of ["delete", "hold"] as const) {
				const tx = kv.atomic().set(["mine"], 1);
				const asked = call === "delete" ? store.delete(basket, ids, tx) : store.change(basket, ids, call, tx);
				expect(await asked).toEqual(ids.map((id) => id !== "absent"));
				expect((await store.counts(basket)).waiting).toBe(2);
				if (ids.includes("absent")) expect(await tx.commit()).toEqual({ ok: false });
			}
		}
		expect((await kv.get(["mine"])).value).toBe(null);
		const tx = kv.atomic();
		expect(await store.change(basket, ["a"], "hold", tx)).toEqual([true]);
		expect(await store.delete(basket, ["b", "b"], tx)).toEqual([true, false]);
		expect((await tx.commit()).ok).toBe(true);
		expect((await store.list(basket, { limit: 9 })).map(({ id, state }) => [id, state])).toEqual([["a", "held"]]);
	});

	test("add() with replace conflicts with a claim that came first, and shows what it replaces", async () => {
		const { kv, store } = await open();
		await store.add(basket, [task("a")]);
		const replacing = task("a", { payload: "new", ifPresent: "replace" });
		const tx = kv.atomic();
		expect(await store.add(basket, [replacing], tx)).toEqual([{ id: "a", added: true, state: "waiting" }]);
		await claim(store);
		expect(await tx.commit()).toEqual({ ok: false });
		expect(await store.add(basket, [replacing])).toEqual([{ id: "a", added: true, state: "running" }]);
	});

	test("calls with the same transaction see what the others have done in it", async () => {
		const { kv, store } = await open();
		await store.add(basket, [task("a", { lane: "l" })]);
		const [ref] = await claim(store);
		const tx = kv.atomic();
		await store.add(basket, [task("b", { lane: "l" })], tx);
		await store.save(basket, [{ ref: ref!, payload: "saved" }], tx);
		await store.complete(basket, ref!, { type: "done", retain: 1000 }, tx);
		await store.add(basket, [task("c", { lane: "l" })], tx);
		expect((await tx.commit()).ok).toBe(true);
		expect((await store.get(basket, "a"))!.payload).toBe("saved");
		for (const id of ["b", "c"]) {
			const claims = await claim(store);
			expect(claims.map((claim) => claim.id)).toEqual([id]);
			await end(store, claims);
		}
	});

	test("calls with the same transaction at the same time keep a lane whole", async () => {
		const { kv, store } = await open();
		await store.add(basket, [task("head", { lane: "l" })]);
		const [ref] = await claim(store);
		const tx = kv.atomic();
		const ids = ["a", "b", "c"];
		await Promise.all([
			store.complete(basket, ref!, { type: "done" }, tx),
			...ids.map((id) => store.add(basket, [task(id, { lane: "l" })], tx)),
		]);
		expect((await tx.commit()).ok).toBe(true);
		for (const id of ids) {
			const claims = await claim(store);
			expect(claims.map((claim) => claim.id)).toEqual([id]);
			await end(store, claims);
		}
	});

	test("an add() to a lane conflicts with another that came first, and keeps the lane whole", async () => {
		const { kv, store } = await open();
		const tx = kv.atomic();
		await store.add(basket, [task("late", { lane: "l" })], tx);
		await store.add(basket, [task("early", { lane: "l" })]);
		expect(await tx.commit()).toEqual({ ok: false });
		expect((await claim(store)).map(({ id }) => id)).toEqual(["early"]);
	});
});

describe("denoKvStore() and the limits of Deno KV", () => {
	test("what is too large is refused at the door, and changes nothing", async () => {
		const { kv, store } = await open();
		const { maxPayload = 0, maxAdd = 0 } = store.capabilities;
		await store.add(basket, [task("a")]);
		const [ref] = await claim(store);
		const before = await contents(kv);
		const refused = [
			store.add(basket, [task("b", { payload: new Uint8Array(maxPayload + 1) })]),
			store.add(basket, [task("b", { payload: "語".repeat(maxPayload / 3 + 1) })]),
			store.add(basket, Array.from({ length: maxAdd + 1 }, (_, index) => task(`b${index}`))),
			store.add(basket, Array.from({ length: 20 }, (_, index) => task(`b${index}`, { payload: "x".repeat(60_000) }))),
			store.add(basket, [task("b".repeat(1001))]),
			store.add(basket, [task("b", { kind: "é".repeat(501) })]),
			store.add(basket, [task("b", { lane: "l".repeat(1001) })]),
			store.save(basket, [{ ref: ref!, payload: "x".repeat(maxPayload + 1) }]),
			store.save(basket, [{ ref: ref!, progress: "x".repeat(16_001) }]),
			store.post(basket, "a", "x".repeat(maxPayload + 1)),
		];
		for (const promise of refused) expect(await errorOf(promise)).toBeInstanceOf(RangeError);
		expect(await contents(kv)).toEqual(before);
	});

	test("an add() takes as many bytes as the capabilities say, whatever they are made of, and no more", async () => {
		const { kv, store } = await open();
		const { maxAdd = 0, maxAddBytes = 0 } = store.capabilities;
		// Half of the size is in large payloads, half in short ones. Their characters take two bytes or more.
		const payloads = [
			...Array.from({ length: 9 }, () => "x".repeat(64_999) + "é"),
			"語".repeat(666),
			"ab語".repeat(600),
		];
		const tasks = payloads.map((payload, index) => task(`t${index}`, { payload, lane: `l${index}` }));
		const size = payloads.reduce((sum, payload) => sum + new TextEncoder().encode(payload).length, 0);
		const short = Array.from(
			{ length: maxAdd - tasks.length - 1 },
			(_, index) => task(`s${index}`, { payload: "語".repeat(500) }),
		);
		const rest = maxAddBytes - size - short.length * 1_500;
		await store.add(basket, [...tasks, ...short, task("rest", { payload: "x".repeat(rest) })]);
		expect((await store.counts(basket)).waiting).toBe(maxAdd);
		const before = await contents(kv);
		const more = tasks.map(({ id, ...others }) => ({ ...others, id: id + "'" }));
		const error = await errorOf(store.add(basket, [...more, task("more", { payload: "x".repeat(65_000) })]));
		expect(error).toMatchObject({ name: "RangeError", message: /payloads/ });
		expect(await contents(kv)).toEqual(before);
	});

	test("Basket.add() of 20 callers at once, 60 kB each, succeeds for all, and for those with the longest names", async () => {
		const { kv } = await open();
		const basket = new Basket({ store: denoKvStore(kv), tasks: { work: { run: (_: string) => {} } } });
		const payload = "x".repeat(60_000);
		const adding = Array.from({ length: 20 }, (_, index) => basket.add("work", payload, { id: `large ${index}` }));
		const long = (index: number) => `${index}`.padEnd(255, "語");
		const named = Array.from(
			{ length: 49 },
			(_, index) => basket.add("work", "", { id: long(index), lane: long(index) }),
		);
		const refused = errorOf(basket.add("work", "x".repeat(70_000)));
		const added = await Promise.all([...adding, ...named]);
		expect(added.every(({ added }) => added)).toBe(true);
		expect(await refused).toBeInstanceOf(RangeError);
		expect((await basket.counts()).waiting).toBe(69);
	});

	test("add() refuses at the door what would not fit into one commit for its names", async () => {
		const { kv, store } = await open();
		const before = await contents(kv);
		const long = (index: number) => `${index}`.padEnd(1_000, "-");
		const tasks = Array.from({ length: 49 }, (_, index) => task(long(index), { lane: long(index), kind: long(0) }));
		expect(await errorOf(store.add(basket, tasks))).toMatchObject({ name: "RangeError", message: /names/ });
		expect(await errorOf(store.add("b".repeat(501), [task("a")]))).toMatchObject({
			name: "RangeError",
			message: /basket/,
		});
		expect(await errorOf(store.add(basket, [task("\0".repeat(501))]))).toMatchObject({
			name: "RangeError",
			message: /id/,
		});
		expect(await contents(kv)).toEqual(before);
		await store.add(basket, tasks.slice(0, 8));
		await store.add("b".repeat(500), [task("é".repeat(500), { kind: "\0".repeat(500), lane: "\ud800".repeat(150) })]);
	});

	test("add() refuses text with half a surrogate pair that takes more than it seems to", async () => {
		const { store } = await open();
		const payload = "x".repeat(40_000) + "\ud83d";
		expect(await errorOf(store.add(basket, [task("a", { payload })]))).toMatchObject({
			name: "RangeError",
			message: /payload/,
		});
		await store.add(basket, [task("a", { payload: payload.slice(10_000) })]);
		expect((await store.get(basket, "a"))!.payload).toBe(payload.slice(10_000));
	});

	test("save() of one claim that is too large loses nothing of the others", async () => {
		const { store } = await open();
		await store.add(basket, ["a", "b", "c"].map((id) => task(id)));
		const [a, b, c] = await claim(store);
		const saving = store.save(basket, [
			{ ref: a!, progress: "of a" },
			{ ref: b!, progress: "x".repeat(16_001) },
			{ ref: c!, payload: "of c", progress: "of c" },
		]);
		expect(await errorOf(saving)).toMatchObject({ name: "RangeError", message: /progress/ });
		const tasks = await store.list(basket, { limit: 3 });
		expect(tasks.map(({ progress }) => progress)).toEqual(["of a", undefined, "of c"]);
		expect(tasks.map(({ payload }) => payload)).toEqual(["a", "b", "of c"]);
	});

	test("turn() makes a task dead whose payload has outgrown Deno KV, and settles the others", async () => {
		const { store } = await open();
		await store.add(basket, [task("a"), task("b", { lane: "l" }), task("c"), task("d", { lane: "l" })]);
		const claims = await claim(store);
		const settle = claims.map((ref) => {
			const payload = ref.id === "b" ? "x".repeat(65_001) : "changed";
			return { ref, outcome: { type: "retry", delay: 0, attempts: 1, error: "e", payload } as const };
		});
		const { settled } = await store.turn(basket, { settle, claim: [], lease: 1 });
		expect(settled).toEqual([true, true, true]);
		expect(await store.get(basket, "b")).toMatchObject({ state: "dead", payload: "b", error: /65001 bytes/ });
		expect((await claim(store)).map(({ id, payload }) => [id, payload])).toEqual([["a", "changed"], ["c", "changed"], [
			"d",
			"d",
		]]);
	});

	test("the largest of everything fits", async () => {
		const { kv, store } = await open();
		const { maxPayload = 0, maxAdd = 0 } = store.capabilities;
		const name = "é".repeat(500);
		const payload = "語".repeat(Math.floor(maxPayload / 3));
		await store.add(basket, [task(name, { kind: name, lane: name, payload })]);
		const ids = Array.from({ length: maxAdd }, (_, index) => `task ${index}`);
		await store.add(basket, ids.map((id) => task(id, { lane: `lane of ${id}`, payload: "x".repeat(13_000) })));
		const [ref] = await claim(store, 10, name);
		expect(ref!.payload).toBe(payload);
		await store.save(basket, [{ ref: ref!, payload: "é".repeat(2000), progress: "語".repeat(16_000) }]);
		const error = "語".repeat(10_000);
		const turn = {
			settle: [{ ref: ref!, outcome: { type: "dead", attempts: 1, error } as const }],
			claim: [],
			lease: 1,
		};
		expect((await store.turn(basket, turn)).settled).toEqual([true]);
		expect((await store.get(basket, name))!.error).toBe(error.slice(0, 8000) + "…");
		await end(store, await claim(store, 100));
		await store.delete(basket, [name]);
		expect(await leftovers(kv)).toEqual([]);
	});

	test.each<[string, readonly string[], string, number]>([
		["with the longest name of a basket", ["upkeep"], "é".repeat(250), 100],
		["behind a long prefix", ["p".repeat(900)], "b", 46],
	])(
		"save() and turn() append as much as they may at once %s, and it is removed",
		async (_what, prefix, name, most) => {
			const { kv, store } = await open({ prefix });
			const long = "n".repeat(500);
			await store.add(name, [task(long, { kind: long, lane: long, payload: "x".repeat(60_000) })]);
			const request = { kinds: [long], limit: 1 };
			const { claims: [ref] } = await store.turn(name, { settle: [], claim: [request], lease: 60_000 });
			const size = Math.floor(260_000 / most / 3);
			const entries = Array.from({ length: most }, () => "語".repeat(size));
			const payload = "y".repeat(60_000);
			const more = { after: 0, entries: Array.from({ length: most + 1 }, () => "") };
			expect(await errorOf(store.save(name, [{ ref: ref!, log: more }]))).toMatchObject({ name: "RangeError" });
			expect(await store.save(name, [{ ref: ref!, payload, log: { after: 0, entries } }])).toEqual([true]);
			const outcome = { type: "dead", attempts: 1, error: "語".repeat(8_000), payload } as const;
			const settlement = { ref: ref!, outcome, log: { after: most, entries } };
			expect((await store.turn(name, { settle: [settlement], claim: [], lease: 1 })).settled).toEqual([true]);
			const [found] = await store.log(name, [{ id: long, after: 0, limit: 999 }]);
			expect(found!.map(({ data }) => data)).toEqual([...entries, ...entries]);
			await store.delete(name, [long]);
			for (let turn = 0; turn < 2; turn++) await store.turn(name, { settle: [], claim: [request], lease: 1 });
			expect(await leftovers(kv)).toEqual([]);
		},
	);

	test.each([
		["an entry", ["x", "y".repeat(65_001)], "an entry of 65001 bytes"],
		["entries", [..."1234"].map((text) => text.repeat(65_000)).concat("x"), "entries of 260001 bytes"],
	])("save() refuses %s too large, and a task that is settled with it is dead", async (_what, entries, problem) => {
		const { store } = await open();
		await store.add(basket, [task("a"), task("b")]);
		const [a, b] = await claim(store);
		const log = { after: 0, entries };
		const few = { after: 0, entries: ["x"] };
		const saving = store.save(basket, [{ ref: a!, log }, { ref: b!, log: few }]);
		expect(await errorOf(saving)).toMatchObject({
			name: "RangeError",
			message: `"log" has ${problem}: ${problem.includes("an ") ? 65_000 : 260_000} is the most`,
		});
		const settle = [a!, b!].map((ref) => ({ ref, outcome: { type: "release" } as const, log }));
		expect((await store.turn(basket, { settle, claim: [], lease: 1 })).settled).toEqual([true, true]);
		const reads = ["a", "b"].map((id) => ({ id, after: 0, limit: 9 }));
		expect((await store.log(basket, reads)).map((entries) => entries!.length)).toEqual([0, 1]);
		expect(await store.get(basket, "b")).toMatchObject({ state: "dead", error: expect.stringContaining(problem) });
	});

	test("turn() appends to the logs of a hundred tasks, and those of 3,000 entries are removed with their tasks", async () => {
		const { kv, store } = await open();
		const ids = Array.from({ length: 100 }, (_, index) => `task ${index}`);
		for (let start = 0; start < 100; start += 25) {
			await store.add(basket, ids.slice(start, start + 25).map((id) => task(id)));
		}
		const claims = await claim(store, 100);
		const log = { after: 0, entries: Array.from({ length: 30 }, (_, index) => `entry ${index}`) };
		const settle = claims.map((ref) => ({ ref, outcome: { type: "done" as const, retain: 1e9 }, log }));
		expect((await store.turn(basket, { settle, claim: [], lease: 1 })).settled).toEqual(ids.map(() => true));
		expect((await store.delete(basket, ids)).every(Boolean)).toBe(true);
		let turns = 0;
		while ((await leftovers(kv)).length > 0 && turns < 20) {
			await claim(store);
			turns++;
		}
		// Each looks at ten tasks that are gone.
		expect(turns <= 12).toBe(true);
	});

	test("turn() and delete() split what does not fit into one commit", async () => {
		const { kv, store } = await open();
		const ids = Array.from({ length: 130 }, (_, index) => `task ${index}`);
		for (let start = 0; start < ids.length; start += 13) {
			await store.add(basket, ids.slice(start, start + 13).map((id) => task(id, { payload: "x".repeat(50_000) })));
		}
		const claims = await claim(store, 200);
		expect(claims.map(({ id }) => id)).toEqual(ids);
		const outcome = {
			type: "retry",
			delay: 0,
			attempts: 1,
			error: "e".repeat(8000),
			payload: "y".repeat(50_000),
		} as const;
		const { settled } = await store.turn(basket, {
			settle: claims.map((ref) => ({ ref, outcome })),
			claim: [],
			lease: 1,
		});
		expect(settled.every(Boolean)).toBe(true);
		expect((await claim(store, 200)).map(({ payload }) => payload.length)).toEqual(ids.map(() => 50_000));
		expect((await store.delete(basket, ids)).every(Boolean)).toBe(true);
		expect(await leftovers(kv)).toEqual([]);
	});

	test.each([[10, 1], [49, 1], [99, 2], [100, 3]])(
		"turn() fills its commits: %i settlements and as many claims take %i",
		async (count, most) => {
			const { kv, store } = await open();
			for (let n = 0; n < 2 * count; n++) await store.add(basket, [task(`t${n}`)]);
			const claims = await claim(store, count);
			let commits = 0;
			const atomic = () => {
				const operation = kv.atomic();
				const commit = () => {
					commits++;
					return Deno.AtomicOperation.prototype.commit.call(operation);
				};
				return Object.assign(operation, { commit });
			};
			const counted = denoKvStore(replace(kv, { atomic }), { clock: new VirtualClock({ now: 1_000_000 }) });
			await counted.open();
			commits = 0;
			const settle = claims.map((ref) => ({ ref, outcome: { type: "done" } as const }));
			const request = [{ kinds: ["work"], limit: count }];
			const result = await counted.turn(basket, { settle, claim: request, lease: 60_000 });
			expect([result.settled, result.claims.length]).toEqual([claims.map(() => true), count]);
			expect(commits).toBe(most);
		},
	);

	test("turn() claims and settles a hundred tasks with keys of their own, and leaves no gates behind", async () => {
		const { kv, store, clock } = await open();
		const limits = [{ kind: "work", atOnce: 1, spacing: 100, burst: 1 }];
		const tasks = Array.from({ length: 120 }, (_, index) => task(`t${index}`, { limitKey: `${index % 100}` }));
		for (let index = 0; index < tasks.length; index += 40) await store.add(basket, tasks.slice(index, index + 40));
		const turn = (refs: readonly Ref[]) =>
			store.turn(basket, {
				settle: refs.map((ref) => ({ ref, outcome: { type: "done" } })),
				claim: [{ kinds: ["work"], limit: 200 }],
				lease: 60_000,
				limits,
			});
		const first = await turn([]);
		expect([first.claims.length, first.dueIn]).toEqual([100, 60_000]);
		const second = await turn(first.claims);
		expect([second.settled.every(Boolean), second.claims, second.dueIn]).toEqual([true, [], 100]);
		await clock.advance(100);
		const third = await turn([]);
		expect(third.claims.map(({ limitKey }) => Number(limitKey)).sort((a, b) => a - b)).toEqual(
			Array.from({ length: 20 }, (_, index) => index),
		);
		await turn(third.claims);
		await clock.advance(100);
		for (let turns = 0; turns < 12; turns++) await turn([]);
		expect((await leftovers(kv)).filter((key) => /gate|note/.test(String(key.at(-1))))).toEqual([]);
	});

	test("add() refuses a limit key that is too long for its kind, and a released task that gets one becomes dead", async () => {
		const { kv, store } = await open();
		const long = "€".repeat(255);
		const before = await contents(kv);
		const refused = store.add(basket, [task("a", { limitKey: long, kind: "k".repeat(500) })]);
		expect(await errorOf(refused)).toMatchObject({ name: "RangeError", message: /limitKey/ });
		expect(await contents(kv)).toEqual(before);
		await store.add(basket, [
			task("a", { limitKey: long, kind: "k".repeat(485) }),
			task("b", { kind: "k".repeat(500) }),
		]);
		const [b] = await claim(store, 1, "k".repeat(500));
		const settle = [{ ref: b!, outcome: { type: "release", limitKey: long } }] as const;
		expect((await store.turn(basket, { settle, claim: [], lease: 1 })).settled).toEqual([true]);
		expect(await store.get(basket, "b")).toMatchObject({ state: "dead", error: expect.stringMatching(/limitKey/) });
		expect((await claim(store, 1, "k".repeat(485))).map(({ id }) => id)).toEqual(["a"]);
	});

	test("post() refuses more messages than one commit can remove", async () => {
		const { kv, store } = await open();
		await store.add(basket, [task("a")]);
		for (let n = 0; n < 500; n++) await store.post(basket, "a", "x");
		expect(await errorOf(store.post(basket, "a", "x"))).toMatchObject({ name: "StoreError", code: "full" });
		await end(store, await claim(store));
		expect(await leftovers(kv)).toEqual([]);
	});

	test("turn() reads as much however many tasks are of other kinds, blocked, delayed or kept", async () => {
		const { kv, store } = await open();
		const reads = async () => {
			const counted = countReads(kv);
			const { claims } = await denoKvStore(counted.kv).turn(basket, {
				settle: [],
				claim: [{ kinds: ["work", "play"], limit: 3 }],
				lease: 60_000,
			});
			await end(store, claims);
			return counted.count();
		};
		const few = Array.from({ length: 3 }, (_, index) => task(`work ${index}`));
		await store.add(basket, [task("head", { lane: "l", kind: "other" }), task("later", { delay: 1e12 })]);
		await store.add(basket, few);
		const before = await reads();
		for (let round = 0; round < 10; round++) {
			const name = (index: number) => `${round} ${index}`;
			await store.add(basket, Array.from({ length: 20 }, (_, index) => task(`a ${name(index)}`, { kind: "other" })));
			await store.add(basket, Array.from({ length: 20 }, (_, index) => task(`b ${name(index)}`, { lane: "l" })));
			await store.add(basket, Array.from({ length: 20 }, (_, index) => task(`c ${name(index)}`, { delay: 1e12 })));
		}
		await store.add(basket, few);
		expect(await reads()).toBe(before);
	});
});

describe("denoKvStore() and others", () => {
	test("processes on one file hear of tasks, and share them out", async () => {
		const path = makeFile();
		const { store } = await open({}, path);
		const ids = Array.from({ length: 150 }, (_, index) => `task ${index}`);
		const workers = [startProcess(path), startProcess(path)];
		for (const worker of workers) await worker.ready;
		for (let start = 0; start < ids.length; start += 40) {
			await store.add(basket, ids.slice(start, start + 40).map((id) => task(id)));
		}
		await store.add(basket, [task("end", { kind: "other" })]);
		const ended = (await Promise.all(workers.map(({ lines }) => lines))).flat();
		expect(ended.sort()).toEqual(ids.sort());
	});

	test("turn() leaves a lane alone whose head was ended between two of its reads", async () => {
		const { kv, store, clock } = await open();
		await store.add(basket, [task("a", { lane: "l" }), task("b", { lane: "l" })]);
		let isFirst = true;
		const slow = replace(kv, {
			async getMany(keys: Deno.KvKey[]) {
				if (isFirst) {
					isFirst = false;
					await end(store, await claim(store));
					expect((await claim(store)).map(({ id }) => id)).toEqual(["b"]);
				}
				return await kv.getMany(keys);
			},
		});
		expect(await claim(denoKvStore(slow, { clock }))).toEqual([]);
		await store.add(basket, [task("c", { lane: "l" })]);
		expect(await claim(store)).toEqual([]);
	});

	test("watch() wakes for a running task that is deleted, so that whoever runs it can look", async () => {
		const { store } = await open({ pollInterval: Infinity });
		await store.add(basket, [task("a"), task("b", { delay: 1e9 })]);
		await claim(store);
		let woken = 0;
		const stop = store.watch!(basket, () => woken++, () => {});
		await until(() => woken === 1); // the first wake-up is for the existing tasks
		await store.delete(basket, ["a"]);
		await until(() => woken === 2);
		await store.delete(basket, ["b"]);
		stop();
	});

	test("watch() lets a task hear at once that another process has deleted or cancelled it", async () => {
		const path = makeFile();
		const { store } = await open({ clock: systemClock }, path);
		const { store: other } = await open({ clock: systemClock }, path);
		await expectHeardElsewhere(store, other);
		await expectHeardElsewhere(store, store);
	});

	test("watch() looks now and then where Deno KV tells nothing", async () => {
		const { kv, store, clock } = await open();
		const silent = replace(kv, { watch: () => new ReadableStream() });
		let woken = 0;
		const stop = denoKvStore(silent, { clock, pollInterval: 500 }).watch!(basket, () => woken++, () => {});
		await clock.advance(500);
		await until(() => clock.pending === 1);
		expect(woken).toBe(0);
		await store.add(basket, [task("a")]);
		await clock.advance(499);
		expect(woken).toBe(0);
		await clock.advance(1);
		await until(() => woken === 1);
		await until(() => clock.pending === 1);
		stop();
		expect(clock.pending).toBe(0);
	});

	test("watch() with pollInterval: Infinity sets no timer, and is told by Deno KV", async () => {
		const { store, clock } = await open({ pollInterval: Infinity });
		let woken = 0;
		const stop = store.watch!(basket, () => woken++, () => {});
		await settle();
		expect(clock.pending).toBe(0);
		await store.add(basket, [task("a")]);
		await until(() => woken > 0);
		stop();
	});

	test("watch() tells of a failure once, and listens again", async () => {
		const { kv, store, clock } = await open();
		let failures = 0;
		const flaky = replace(kv, {
			watch: (keys: Deno.KvKey[]) => {
				if (failures++ < 3) throw new Error("connection reset");
				return kv.watch(keys);
			},
		});
		const errors: unknown[] = [];
		let woken = 0;
		const watching = denoKvStore(flaky, { clock, pollInterval: Infinity });
		const stop = watching.watch!(basket, () => woken++, (error) => errors.push(error));
		await until(() => errors.length === 1);
		for (let round = 0; round < 3; round++) {
			await until(() => clock.pending === 1);
			await clock.advance(1000);
		}
		await store.add(basket, [task("a")]);
		await until(() => woken > 0);
		expect(errors).toMatchObject([{ name: "StoreError", code: "unavailable" }]);
		stop();
	});

	test("places are in the order of calls, even behind a store whose clock is ahead", async () => {
		const { kv, store, clock } = await open();
		const ahead = denoKvStore(kv, { clock: new VirtualClock({ now: clock.now() + 1e9 }) });
		const stores = [store, ahead, store, ahead, store];
		for (const [index, store] of stores.entries()) await store.add(basket, [task(`${index}`)]);
		clock.setNow(0);
		await store.add(basket, [task("5")]);
		expect((await store.list(basket, { limit: 10 })).map(({ id }) => id)).toEqual(["0", "1", "2", "3", "4", "5"]);
	});
});

describe("denoKvStore() and failures", () => {
	test("every member says that the database was closed", async () => {
		const { kv, store } = await open();
		await store.add(basket, [task("a")]);
		const [ref] = await claim(store);
		const errors: unknown[] = [];
		const stop = store.watch!(basket, () => {}, (error) => errors.push(error));
		await settle();
		kv.close();
		const calls = [
			() => store.open(),
			() => store.add(basket, [task("b")]),
			() => claim(store),
			() => store.extend(basket, [ref!], 1000),
			() => store.save(basket, [{ ref: ref! }]),
			() => store.get(basket, "a"),
			() => store.list(basket, { limit: 1 }),
			() => store.counts(basket),
			() => store.delete(basket, ["a"]),
			() => store.change(basket, ["a"], "hold"),
			() => store.hasten(basket, 1),
			() => store.post(basket, "a", "x"),
		];
		for (const call of calls) {
			const error = await errorOf(call());
			expect(error).toBeInstanceOf(StoreError);
			expect(error).toMatchObject({ code: "closed" });
		}
		store.watch!(basket, () => {}, (error) => errors.push(error));
		await until(() => errors.length > 0);
		expect(errors[0]).toMatchObject({ name: "StoreError", code: "closed" });
		stop();
	});

	test.each([
		["database disk image is malformed", "corrupt"],
		["database or disk is full", "full"],
		["error sending request", "unavailable"],
	])("%s: %s", async (message, code) => {
		const { kv } = await open();
		const cause = new Error(message);
		const store = denoKvStore(replace(kv, { getMany: () => Promise.reject(cause) }));
		expect(await errorOf(store.get(basket, "a"))).toMatchObject({ name: "StoreError", code, cause });
	});

	/** Errors of SQLite, of the system, and of a server for a token without the required permission. */
	test.each([
		["attempt to write a readonly database"],
		["Permission denied (os error 13)"],
		["Failed to commit: 403 Forbidden"],
		["Unauthorized"],
	])("Basket.run() and drain() end where nothing can be written, and say what to do: %s", async (message) => {
		const { kv, store } = await open();
		await store.add(basket, [task("a", { payload: "1" })]);
		const cause = new Error(message);
		const atomic = () => Object.assign(kv.atomic(), { commit: () => Promise.reject(cause) });
		let runs = 0;
		const errors: unknown[] = [];
		const outbox = new Basket({
			store: denoKvStore(replace(kv, { atomic })),
			name: basket,
			tasks: { work: (_: number) => void runs++ },
			onError: (error) => errors.push(error),
		});
		const error = await errorOf(outbox.run());
		expect(error).toMatchObject({ name: "StoreError", code: "refused", isTransient: false, cause });
		expect(String(error)).toMatch(/check the permissions of its file/);
		expect(await errorOf(outbox.drain())).toMatchObject({ code: "refused" });
		expect(await errorOf(outbox.add("work", 2))).toMatchObject({ code: "refused" });
		expect([runs, errors, outbox.getSnapshot().state]).toEqual([0, [], "stopped"]);
		expect(await store.counts(basket)).toMatchObject({ waiting: 1, running: 0 });
	});

	test("a locked database is waited for, but not for ever", async () => {
		const { kv, store } = await open();
		await store.add(basket, [task("a")]);
		let locked = 3;
		const busy = replace(kv, {
			getMany: (keys: Deno.KvKey[]) =>
				locked-- > 0 ? Promise.reject(new Error("database is locked")) : kv.getMany(keys),
		});
		expect((await denoKvStore(busy).get(basket, "a"))!.id).toBe("a");
		locked = Infinity;
		expect(await errorOf(denoKvStore(busy).get(basket, "a"))).toMatchObject({ name: "StoreError", code: "busy" });
	});

	test("open() refuses a newer schema, and changes nothing", async () => {
		const { kv, store } = await open();
		await kv.set(["upkeep", "schema"], 3);
		const before = await contents(kv);
		expect(await errorOf(store.open())).toMatchObject({ name: "StoreError", code: "newer-schema", isTransient: false });
		expect(await contents(kv)).toEqual(before);
	});

	test("an old process notices a newer schema, and stops writing", async () => {
		const { kv, store } = await open();
		await store.add(basket, [task("a"), task("b"), task("c", { delay: 1 })]);
		const [a] = await claim(store, 1);
		await kv.set(["upkeep", "schema"], 3);
		const before = await contents(kv);
		const newer = { name: "StoreError", code: "newer-schema", isTransient: false, message: /update the library/ };
		for (
			const call of [
				() => store.add(basket, [task("d")]),
				() => claim(store),
				() => end(store, [a!]),
				() => store.extend(basket, [a!], 1_000),
				() => store.save(basket, [{ ref: a!, progress: "p" }]),
				() => store.delete(basket, ["b"]),
				() => store.change(basket, ["c"], "retry"),
				() => store.pause(basket, "work", true),
				() => store.post(basket, "b", "message"),
			]
		) expect(await errorOf(call())).toMatchObject(newer);
		const tx = kv.atomic();
		await store.add(basket, [task("e")], tx);
		expect(await tx.commit()).toEqual({ ok: false });
		expect(await contents(kv)).toEqual(before);
	});

	test("open() takes over the first schema, and its tasks stay", async () => {
		const { kv, store } = await open();
		await store.add(basket, [task("a"), task("b")]);
		const [a] = await claim(store, 1);
		await kv.set(["upkeep", "schema"], 1);
		const later = denoKvStore(kv);
		await Promise.all([later.open(), denoKvStore(kv).open()]);
		expect((await kv.get(["upkeep", "schema"])).value).toBe(2);
		await end(later, [a!]);
		await later.add(basket, [task("c", { limitKey: "key" })]);
		expect((await claim(later)).map(({ id }) => id)).toEqual(["b", "c"]);
	});

	test("goes on with an empty database once somebody has removed everything", async () => {
		const { kv, store } = await open();
		await store.add(basket, [task("a")]);
		const [ref] = await claim(store);
		for (const { key } of await contents(kv)) await kv.delete(key);
		expect(await store.extend(basket, [ref!], 1_000)).toEqual(["lost"]);
		await store.add(basket, [task("b")]);
		expect((await claim(store)).map(({ id }) => id)).toEqual(["b"]);
		expect((await kv.get(["upkeep", "schema"])).value).toBe(2);
	});

	test("a database whose tables are gone is corrupt, which waiting does not mend", async () => {
		const path = makeFile();
		const { store } = await open({}, path);
		const file = new DatabaseSync(path);
		file.exec("DROP TABLE kv");
		file.close();
		const corrupt = {
			name: "StoreError",
			code: "corrupt",
			isTransient: false,
			cause: { message: "no such table: kv" },
		};
		for (const call of [() => store.add(basket, [task("a")]), () => claim(store), () => store.counts(basket)]) {
			expect(await errorOf(call())).toMatchObject(corrupt);
		}
	});

	test("names with half a surrogate pair are names of their own", async () => {
		const { store } = await open();
		const names = ["a\ud83d", "a\ud83e", "a\ufffd", '"a\\ud83d"'];
		const ids = names.map((name) => ({ id: name, added: true }));
		expect(await store.add(basket, names.map((name) => task(name, { lane: name })))).toEqual(ids);
		expect((await claim(store)).map(({ id, lane }) => [id, lane])).toEqual(names.map((name) => [name, name]));
		for (const name of names) {
			await store.add(basket, [task(name + name, { kind: name })]);
			expect((await claim(store, 9, name)).map(({ id, kind }) => [id, kind])).toEqual([[name + name, name]]);
			await store.add(name, [task("one")]);
		}
		for (const name of names) expect((await store.counts(name)).waiting).toBe(1);
		expect(await store.delete(basket, names)).toEqual(names.map(() => true));
	});

	test.each(["", "garbage", "-1", "9".repeat(23) + "g"])(
		"list() refuses %j, which is no key of a task",
		async (after) => {
			const { store } = await open();
			expect(await errorOf(store.list(basket, { after, limit: 1 }))).toMatchObject({
				name: "RangeError",
				message: /after/,
			});
		},
	);

	describe("and damage by hand", () => {
		const wrong = [null, true, -1, 0.5, NaN, 1e300, 7n, "text", "", {}, [], new Uint8Array(2), new Date(0)];
		const properties = [
			"order",
			"home",
			"id",
			"kind",
			"payload",
			"state",
			"isHeld",
			"isBlocked",
			"isBackingOff",
			"attempts",
			"crashes",
			"error",
			"progress",
			"dueAt",
			"addedAt",
			"priority",
			"lane",
			"token",
			"posted",
			"seen",
			"spare",
			"next",
			"isSwapped",
			"isLogged",
			"paused",
		];
		const whole = [["null", null], ["text", "damaged"], ["an empty object", {}], ["a list", [1]]] as const;
		const states = ["waiting", "running", "replaced", "held", "blocked", "dead", "done"];
		const rows = properties.flatMap((property) => wrong.map((value) => [property, value] as const));

		// Without --long, each state gets a fifth of the wrong values, which differ for each property.
		test.each(states)(
			"makes that %s task dead with the reason, and harms nothing else: each property, each wrong value",
			async (state) => {
				const { kv, store, clock } = await open();
				const from = states.indexOf(state);
				for (const [index, row] of [...rows, ...whole].entries()) {
					if (!isLong && index < rows.length && (index + from) % 5 !== 0) continue;
					const name = `basket ${index}`;
					await damageOne(kv, store, clock, name, state, index % 2 === 0, (record) => {
						return index < rows.length ? { ...record, [row[0] as string]: row[1] } : row[1];
					});
				}
			},
		);
	});

	test("a task whose large payload is gone is made dead", async () => {
		const { kv, store } = await open();
		await store.add(basket, [task("a", { payload: "x".repeat(50_000), lane: "l" }), task("b", { lane: "l" })]);
		await kv.delete((await contents(kv)).find(({ key }) => String(key[2]).startsWith("tbasket!data!"))!.key);
		expect(await store.get(basket, "a")).toMatchObject({ state: "dead", error: unreadable });
		expect((await claim(store)).map(({ id }) => id)).toEqual(["b"]);
		expect(await store.list(basket, { state: "dead", limit: 9 })).toMatchObject([{ id: "a", error: unreadable }]);
	});

	test("a task whose record is gone leaves its lane, and keys that lead nowhere are removed", async () => {
		const { kv, store } = await open();
		await store.add(basket, [task("a", { lane: "l" }), task("b", { lane: "l" })]);
		await kv.delete((await recordOf(kv, "a")).key);
		const wrong = [["task.due", "work", 0, 0, "nowhere"], ["task.kept", 0, "nowhere"], [
			"task.backoff",
			1e15,
			"nowhere",
		]];
		for (const [index, ...key] of wrong) {
			await kv.set(["upkeep", "row", `tbasket!${index}!${textOf(key)}`], ["nowhere"]);
		}
		await kv.set(["upkeep", "row", "tbasket!task.due!twork!n1"], "nothing like it");
		expect(await store.hasten(basket, 0)).toBe(0);
		const claims = await claim(store);
		expect(claims.map(({ id }) => id)).toEqual(["b"]);
		await end(store, claims);
		expect((await leftovers(kv)).map((key) => key[2])).toEqual(["tbasket!task.id!ta!"]);
		await store.add(basket, [task("a")]);
		await end(store, await claim(store));
		expect(await leftovers(kv)).toEqual([]);
	});
});

describe("denoKvStore()", () => {
	test("add() replaces as many ended tasks as it takes new ones, each in a lane of its own", async () => {
		const { kv, store } = await open();
		const ids = Array.from({ length: store.capabilities.maxAdd! }, (_, index) => `task ${index}`);
		const payload = "x".repeat(3_000);
		const tasks = ids.map((id) => task(id, { lane: id, payload, ifPresent: "replace" }));
		await store.add(basket, tasks);
		const claims = await claim(store, 99);
		const outcome = { type: "done", retain: 1e9, result: payload } as const;
		await store.turn(basket, { settle: claims.map((ref) => ({ ref, outcome })), claim: [], lease: 1 });
		const replaced = ids.map((id) => ({ id, added: true, state: "done" }));
		expect(await store.add(basket, tasks)).toEqual(replaced);
		await end(store, await claim(store, 99));
		expect(await leftovers(kv)).toEqual([]);
	});

	test("lists by lane and by prefix, whatever the names are made of", async () => {
		await expectLists((await open()).store as Store<never>);
	});

	test("stores data of any length, and leaves nothing of it behind", async () => {
		const { kv, store, clock } = await open();
		await expectData(store as Store<never>, 2_000, (duration) => clock.advance(duration), () => leftovers(kv));
	});

	test("turn() makes a task dead whose result has outgrown Deno KV", async () => {
		const { store } = await open();
		await store.add(basket, [task("a")]);
		const [ref] = await claim(store);
		const outcome = { type: "done", retain: 1e9, result: "x".repeat(70_000) } as const;
		await store.turn(basket, { settle: [{ ref: ref!, outcome }], claim: [], lease: 1 });
		expect(await store.get(basket, "a")).toMatchObject({ state: "dead", error: /A result of 70000 bytes/ });
	});

	test("leaves nothing behind of tasks that are gone", async () => {
		const { kv, store, clock } = await open();
		const large = "x".repeat(5000);
		await store.add(basket, [task("a", { lane: "l", payload: large }), task("b", { lane: "l" }), task("c"), {
			...task("d"),
		}]);
		await store.add(basket, [{ kind: "work", payload: "", delay: 0, priority: 1 }]);
		await store.post(basket, "b", "message");
		const claims = await claim(store);
		const outcomes = [
			{ type: "done", retain: 1000 },
			{ type: "retry", delay: 1000, attempts: 1, error: "e", payload: large },
			{ type: "dead", attempts: 1, error: "e", payload: large },
			{ type: "later", delay: null, seen: 0, payload: large },
		] as const;
		const settle = claims.map((ref, index) => ({ ref, outcome: outcomes[index]! }));
		await store.turn(basket, { settle, claim: [], lease: 1 });
		await store.change(basket, claims.map(({ id }) => id), "retry");
		await clock.advance(5000);
		await end(store, await claim(store));
		await end(store, await claim(store));
		expect(await store.list(basket, { limit: 10 })).toEqual([]);
		expect(await leftovers(kv)).toEqual([]);
	});

	test("keeps to its prefix", async () => {
		const { kv, store } = await open({ prefix: ["app", 7] });
		await store.add(basket, [task("a")]);
		const keys = (await contents(kv)).map(({ key }) => key.slice(0, 2));
		expect(keys.length > 3).toBe(true);
		expect(keys.every(([first, second]) => first === "app" && second === 7)).toBe(true);
	});

	test("checks its arguments", async () => {
		const { kv } = await open();
		expect(() => denoKvStore(undefined as never)).toThrow(TypeError);
		expect(() => denoKvStore({} as never)).toThrow(TypeError);
		expect(() => denoKvStore(kv, null as never)).toThrow(TypeError);
		expect(() => denoKvStore(kv, { prefix: "upkeep" as never })).toThrow(TypeError);
		expect(() => denoKvStore(kv, { pollInterval: 0 })).toThrow(RangeError);
		expect(() => denoKvStore(kv, { clock: 3 as never })).toThrow(TypeError);
	});
});

const unreadable = "The stored task could not be read";

/**
 * Brings a task, with a task before and behind it, into a state, damages its record, and checks the results for all
 * three tasks.
 */
async function damageOne(
	kv: Deno.Kv,
	store: Store<Deno.AtomicOperation>,
	clock: VirtualClock,
	name: string,
	state: string,
	isRetried: boolean,
	damage: (record: object) => unknown,
): Promise<void> {
	const take = async (limit = 9) =>
		(await store.turn(name, { settle: [], claim: [{ kinds: ["work"], limit }], lease: 1_000 })).claims;
	const settle = (refs: readonly Ref[], outcome: Outcome) =>
		store.turn(name, { settle: refs.map((ref) => ({ ref, outcome })), claim: [], lease: 1_000 });
	const head = state === "blocked" ? [task("head", { lane: "l" })] : [];
	await store.add(name, [...head, task("bad", { lane: "l", priority: 1 }), task("next", { lane: "l" }), task("other")]);
	if (state === "held") await store.change(name, ["bad"], "hold");
	if (["running", "replaced", "dead", "done"].includes(state)) {
		const claims = await take(1);
		if (state === "replaced") await store.add(name, [task("bad", { lane: "l", payload: "new", ifPresent: "replace" })]);
		if (state === "dead") await settle(claims, { type: "dead", attempts: 1, error: "e" });
		if (state === "done") await settle(claims, { type: "done", retain: 1e9, result: "result" });
	}
	const rows = () =>
		contents(kv).then((all) => all.filter(({ key }) => key[1] === "row" && String(key[2]).startsWith(textOf([name]))));
	const isTask = (key: Deno.KvKey) => String(key[2]).startsWith(`${textOf([name])}task!`);
	const found = (await rows()).find(({ key, value }) => isTask(key) && (value as { id?: string }).id === "bad")!;
	const damaged = damage(found.value as object);
	await kv.set(found.key, damaged);
	// Some of these values are valid, although they do not belong here.
	const place = (found.value as { order: string }).order;
	if (isSound(damaged) && damaged.order === place) return;
	const shown = `${name}, ${state}, ${Deno.inspect(damaged)}`;
	const view = await store.list(name, { limit: 9 });
	same(view.length, head.length + 3, shown);
	same(view.find(({ key }) => key === place)?.state, "dead", shown);
	same((await store.get(name, "bad"))?.error, unreadable, shown);
	await clock.advance(2_000);
	const seen: string[] = [];
	for (let round = 0; round < 3; round++) {
		const claims = await take();
		seen.push(...claims.map(({ id }) => id));
		await settle(claims, { type: "done" });
	}
	// If its id was unreadable, the task has a new id.
	const { id } = (await store.list(name, { limit: 9 })).find(({ key }) => key === place)!;
	if (isRetried) {
		same(await store.change(name, [id], "retry"), [true], shown);
		expect((await store.get(name, id))?.state).toBe("waiting");
	}
	same(await store.delete(name, [id]), [true], shown);
	for (let round = 0; round < 3; round++) {
		const claims = await take();
		// Never claims two tasks of one lane at once.
		expect(claims.filter(({ lane }) => lane === "l").length <= 1).toBe(true);
		seen.push(...claims.map(({ id }) => id));
		await settle(claims, { type: "done" });
	}
	same(seen.sort(), [...head.map(({ id }) => id), "next", "other"], shown);
	const left = (await rows()).map(({ key }) => String(key[2])).filter((key) => !key.includes("!task.id!"));
	same(left, [], shown);
}

function same(actual: unknown, expected: unknown, what: string): void {
	const [one, other] = [Deno.inspect(actual), Deno.inspect(expected)];
	if (one !== other) throw new Error(`${what}: expected ${other}, got ${one}`);
}

interface Opened {
	kv: Deno.Kv;
	store: Store<Deno.AtomicOperation>;
	clock: VirtualClock;
}

async function open(options: DenoKvStoreOptions = {}, path = ":memory:"): Promise<Opened> {
	const kv = await Deno.openKv(path);
	onTestFinished(() => {
		try {
			kv.close();
		} catch {
			// the test has closed the database
		}
	});
	const clock = new VirtualClock({ now: 1_000_000 });
	const store = denoKvStore(kv, { clock, ...options });
	await store.open();
	return { kv, store, clock };
}

function makeFile(): string {
	const folder = Deno.makeTempDirSync();
	onTestFinished(() => Deno.removeSync(folder, { recursive: true }));
	return folder + "/kv.sqlite3";
}

function task(id: string, fields: Partial<NewTask> = {}): NewTask {
	return { id, kind: "work", payload: id, delay: 0, priority: 0, ...fields };
}

async function claim(store: Store<Deno.AtomicOperation>, limit = 10, kind = "work") {
	return (await store.turn(basket, { settle: [], claim: [{ kinds: [kind], limit }], lease: 60_000 })).claims;
}

async function end(store: Store<Deno.AtomicOperation>, refs: readonly Ref[]): Promise<void> {
	const settle = refs.map((ref) => ({ ref, outcome: { type: "done" } as const }));
	const { settled } = await store.turn(basket, { settle, claim: [], lease: 1 });
	expect(settled).toEqual(refs.map(() => true));
}

async function contents(kv: Deno.Kv): Promise<Deno.KvEntry<unknown>[]> {
	return await Array.fromAsync(kv.list({ prefix: [] }));
}

/** Returns the stored keys, except for those that each basket has. */
async function leftovers(kv: Deno.Kv): Promise<Deno.KvKey[]> {
	return (await contents(kv)).map(({ key }) => key).filter((key) => key.includes("row"));
}

async function recordOf(kv: Deno.Kv, id: string): Promise<Deno.KvEntry<object>> {
	const found = (await contents(kv)).find(({ key, value }) =>
		/^tbasket!task!/.test(String(key[2])) && (value as { id?: string }).id === id
	);
	return found as Deno.KvEntry<object>;
}

function replace(kv: Deno.Kv, members: object): DenoKv<Deno.AtomicOperation> {
	const bound = {
		get: kv.get.bind(kv),
		getMany: kv.getMany.bind(kv),
		list: kv.list.bind(kv),
		atomic: kv.atomic.bind(kv),
		watch: kv.watch.bind(kv),
	};
	return { ...bound, ...members } as never;
}

/** Counts the keys that are read, and the answers for ranges. */
function countReads(kv: Deno.Kv): { kv: DenoKv<Deno.AtomicOperation>; count: () => number } {
	let count = 0;
	const list = (selector: Deno.KvListSelector, options?: Deno.KvListOptions) => {
		const iterator = kv.list(selector, options);
		const next = iterator.next.bind(iterator);
		return Object.assign(iterator, {
			next: () => {
				count++;
				return next();
			},
		});
	};
	const getMany = (keys: Deno.KvKey[]) => {
		count += keys.length;
		return kv.getMany(keys);
	};
	return { kv: replace(kv, { list, getMany }), count: () => count };
}

function startProcess(path: string): { ready: Promise<void>; lines: Promise<string[]> } {
	const script = new URL("deno-kv-process.ts", import.meta.url).pathname;
	const config = new URL("../../../../deno.json", import.meta.url).pathname;
	const args = ["run", "--allow-all", "--unstable-kv", "--no-check", "--no-lock", `--config=${config}`, script, path];
	const child = new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
	const ready = Promise.withResolvers<void>();
	const read = async () => {
		let text = "";
		for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
			text += part;
			if (text.startsWith("ready\n")) ready.resolve();
		}
		await child.status;
		return text.trim().split("\n").slice(1);
	};
	const lines = read();
	lines.catch(ready.reject);
	return { ready: ready.promise, lines };
}

async function until(isSo: () => boolean): Promise<void> {
	for (let round = 0; !isSo(); round++) {
		if (round === 1000) throw new Error("It did not happen");
		await new Promise((resolve) => setTimeout(resolve, 5));
	}
}
