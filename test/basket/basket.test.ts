import { describe, expect, test } from "vitest";
import { number, object, pipe, string, transform } from "valibot";
import {
	Basket,
	type BasketContext,
	type Codec,
	memoryStore,
	resetBackoff,
	retryAfter,
	retryNow,
	sleep,
	stopNow,
	StoreError,
	ValidationError,
} from "../../mod.ts";
import type { StoredTask } from "../../src/store.ts";
import { deferred, errorOf, SpiedController, untilAborted, watch } from "../support.ts";
import { Machine, running } from "./support.ts";

const noop = () => {};
const fail = (): never => {
	throw new Error("failure");
};

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
	const list: T[] = [];
	for await (const item of items) list.push(item);
	return list;
}

describe("Basket.add()", () => {
	test("stores a task, and resolves with an id that the store made", async () => {
		const machine = new Machine();
		const { id, added } = await machine.basket({ a: (_: number) => {} }).add("a", 1);
		expect(added).toBe(true);
		expect(id.startsWith("_")).toBe(true);
		expect(await machine.memory.get("default", id)).toMatchObject({ kind: "a", payload: "1", state: "waiting" });
	});

	test("does nothing for an id that is there already", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: (_: number) => {} });
		expect(await basket.add("a", 1, { id: "mine" })).toEqual({ id: "mine", added: true });
		expect(await basket.add("a", 2, { id: "mine" })).toEqual({ id: "mine", added: false, state: "waiting" });
		expect((await basket.get("mine"))!.payload).toBe(1);
	});

	test("stores calls that come at the same time together, and resolves after the store has", async () => {
		const machine = new Machine();
		const gate = deferred();
		machine.spied.before = (member) => member === "add" ? gate.promise : undefined;
		const basket = machine.basket({ a: (_: number) => {} });
		const adds = [1, 2, 3].map((n) => basket.add("a", n));
		const first = watch(adds[0]!);
		await machine.clock.advance(0);
		expect([machine.spied.count("add"), first.state]).toEqual([1, "pending"]);
		gate.resolve();
		await Promise.all(adds);
		expect(machine.spied.count("add")).toBe(1);
		expect((await all(basket.list())).map(({ payload }) => payload)).toEqual([1, 2, 3]);
	});

	test("rejects with the store's error, and the basket goes on working", async () => {
		const machine = new Machine();
		const error = new StoreError("unavailable", "gone");
		machine.spied.before = (member) => {
			if (member === "add") throw error;
		};
		const basket = machine.basket({ a: noop });
		expect(await errorOf(basket.add("a"))).toBe(error);
		machine.spied.before = undefined;
		expect((await basket.add("a")).added).toBe(true);
	});

	test("gives each caller a call of its own when a shared one did not fit in", async () => {
		const machine = new Machine();
		machine.spied.before = (member, [, tasks]) => {
			const isTooMuch = (tasks as { payload: string }[] | undefined)?.some(({ payload }) => payload.length > 10);
			if (member === "add" && isTooMuch) throw new StoreError("full", "no space");
		};
		const basket = machine.basket({ a: (_: string) => {} });
		const small = basket.add("a", "small");
		const large = errorOf(basket.add("a", "much too large"));
		expect((await small).added).toBe(true);
		expect(await large).toMatchObject({ name: "StoreError", code: "full" });
	});

	test("does not repeat a shared call that may have been made", async () => {
		const machine = new Machine();
		machine.spied.after = (member) => {
			if (member === "add") throw new StoreError("unavailable", "the answer was lost");
		};
		const basket = machine.basket({ a: (_: number) => {} });
		await Promise.all([1, 2].map((n) => errorOf(basket.add("a", n))));
		expect(machine.spied.count("add")).toBe(1);
		expect((await basket.counts()).waiting).toBe(2);
	});

	test("refuses what is not allowed, and stores nothing", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: (_: unknown) => {} });
		const add = basket.add.bind(basket) as (kind: unknown, payload?: unknown, options?: unknown) => Promise<unknown>;
		const wrong: [unknown, unknown, unknown, string, string][] = [
			["b", 1, {}, "TypeError", `no tasks of the kind "b", only of "a"`],
			[1, 1, {}, "TypeError", `"kind" must be a string`],
			["a", 1, null, "TypeError", `"options" must be an object`],
			["a", 1, { id: "" }, "RangeError", `"id" must be 1 to 255 characters`],
			["a", 1, { id: "x".repeat(256) }, "RangeError", `"id"`],
			["a", 1, { id: "a\0b" }, "RangeError", `"id"`],
			["a", 1, { id: "_1" }, "RangeError", `"id" must be without "_" at the beginning`],
			["a", 1, { id: 7 }, "TypeError", `"id"`],
			[
				"a",
				1,
				{ id: "a\ud83d" },
				"TypeError",
				`"id" must be well-formed text, without half a surrogate pair: current value is "a\\ud83d"`,
			],
			["a", 1, { lane: "\ude00a" }, "TypeError", `"lane" must be well-formed text`],
			["a", 1, { delay: -1 }, "RangeError", `"delay" must be 0 or more`],
			["a", 1, { delay: Infinity }, "RangeError", `"delay"`],
			["a", 1, { delay: NaN }, "RangeError", `"delay"`],
			["a", 1, { delay: "1" }, "TypeError", `"delay"`],
			["a", 1, { priority: 101 }, "RangeError", `"priority" must be a whole number from -100 to 100`],
			["a", 1, { priority: 0.5 }, "RangeError", `"priority"`],
			["a", 1, { lane: "" }, "RangeError", `"lane"`],
			["a", () => {}, {}, "TypeError", "cannot be encoded as JSON"],
			["a", 1n, {}, "TypeError", "payload is a bigint"],
			["a", { photo: new Map() }, {}, "TypeError", "payload.photo is a Map"],
		];
		for (const [kind, payload, options, name, message] of wrong) {
			const error = await errorOf(add(kind, payload, options)) as Error;
			expect(error.name).toBe(name);
			expect(error.message).toContain(message);
		}
		expect(machine.spied.count("add")).toBe(0);
	});

	test("refuses a payload that is larger than the store can keep, in bytes", async () => {
		const machine = new Machine();
		const capabilities = { ...machine.memory.capabilities, maxPayload: 10 };
		const basket = machine.basket({ a: (_: string) => {} }, {
			store: { ...bound(machine.memory), capabilities } as never,
		});
		expect((await basket.add("a", "12345678")).added).toBe(true);
		const error = await errorOf(basket.add("a", "ääää€")) as Error;
		expect(error.name).toBe("RangeError");
		expect(error.message).toContain("at most 10 bytes in this store: it has 13");
	});

	test("checks the payload by the kind's schema, and keeps what was given", async () => {
		const machine = new Machine();
		const seen: unknown[] = [];
		const schema = object({ at: pipe(string(), transform((text) => new Date(text))) });
		const basket = machine.basket({ a: { schema, run: (payload: { at: unknown }) => void seen.push(payload) } });
		const error = await errorOf(basket.add("a", { at: 1 } as never));
		expect(error instanceof ValidationError).toBe(true);
		await basket.add("a", { at: "2026-01-01T00:00:00.000Z" });
		await machine.drain(basket);
		expect(seen).toEqual([{ at: new Date("2026-01-01") }]);
	});

	test("takes a codec, also an asynchronous one and one of bytes", async () => {
		const machine = new Machine();
		const codec: Codec = {
			encode: (payload) => Promise.resolve(new TextEncoder().encode(JSON.stringify({ payload }))),
			decode: async (data) => (await JSON.parse(new TextDecoder().decode(data as Uint8Array))).payload,
		};
		const seen: unknown[] = [];
		const basket = machine.basket({ a: (payload: { n: number }) => void seen.push(payload) }, { codec });
		const { id } = await basket.add("a", { n: 1 });
		expect((await machine.memory.get("default", id))!.payload instanceof Uint8Array).toBe(true);
		expect((await basket.get(id))!.payload).toEqual({ n: 1 });
		await machine.drain(basket);
		expect(seen).toEqual([{ n: 1 }]);
	});

	test("with a transaction calls the store at once, and refuses what is asynchronous", async () => {
		const machine = new Machine();
		const tx = { some: "transaction" } as never;
		const basket = machine.basket({
			a: (_: number) => {},
			late: { codec: { encode: () => Promise.resolve("1"), decode: noop }, run: (_: number) => {} },
			checked: {
				schema: { "~standard": { version: 1, vendor: "t", validate: () => Promise.resolve({ value: 1 }) } } as never,
				run: (_: number) => {},
			},
		});
		const added = basket.add("a", 1, { tx });
		expect(machine.spied.calls).toEqual(["add"]);
		expect((await errorOf(added) as Error).message).toContain("has no transactions");
		for (const kind of ["late", "checked"] as const) {
			expect((await errorOf(basket.add(kind, 1, { tx })) as Error).message).toContain("must be synchronous");
		}
	});
});

/** Adds a task and returns it as the store shows it. */
async function addedTask(machine: Machine): Promise<StoredTask> {
	await machine.memory.add("default", [{ kind: "a", payload: "", delay: 0, priority: 0 }]);
	return (await machine.memory.list("default", { limit: 1 }))[0]!;
}

function bound(store: object): Record<string, unknown> {
	const members = ["open", "add", "turn", "extend", "save", "get", "list", "counts", "delete", "change", "hasten"];
	return Object.fromEntries(members.map((name) => [name, (store as Record<string, () => unknown>)[name]!.bind(store)]));
}

describe("Basket.addMany()", () => {
	test("adds all in order, or none", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: (_: number) => {}, b: noop });
		const added = await basket.addMany([{ kind: "a", payload: 1, id: "one" }, { kind: "b" }, {
			kind: "a",
			payload: 3,
		}]);
		expect(added.map(({ added }) => added)).toEqual([true, true, true]);
		expect((await all(basket.list())).map(({ kind, payload }) => [kind, payload])).toEqual([
			["a", 1],
			["b", undefined],
			["a", 3],
		]);
		const error = await errorOf(basket.addMany([{ kind: "b" }, { kind: "a", payload: 1, priority: 1000 }]));
		expect(error instanceof RangeError).toBe(true);
		expect((await basket.counts()).waiting).toBe(3);
		expect(await basket.addMany([])).toEqual([]);
	});

	test("refuses what is not iterable, and what is no entry", async () => {
		const basket = new Machine().basket({ a: noop });
		const addMany = basket.addMany.bind(basket) as (entries: unknown, options?: unknown) => Promise<unknown>;
		for (const entries of [5, null, undefined, {}, () => {}]) {
			const error = await errorOf(addMany(entries)) as Error;
			expect([error.name, error.message.startsWith(`"entries" must be iterable`)]).toEqual(["TypeError", true]);
		}
		for (const entries of [[null], "ab", [undefined]]) {
			expect((await errorOf(addMany(entries)) as Error).message).toContain(`"entry" must be an object`);
		}
		expect((await errorOf(addMany([], null)) as Error).message).toContain(`"options" must be an object`);
		expect((await basket.counts()).waiting).toBe(0);
	});

	test("refuses more than the store takes at once", async () => {
		const machine = new Machine();
		const capabilities = { ...machine.memory.capabilities, maxAdd: 2 };
		const basket = machine.basket({ a: noop }, { store: { ...bound(machine.memory), capabilities } as never });
		const error = await errorOf(basket.addMany([{ kind: "a" }, { kind: "a" }, { kind: "a" }])) as Error;
		expect(error.message).toContain("At most 2 tasks");
		expect((await basket.counts()).waiting).toBe(0);
	});
});

describe("Basket: queries and names", () => {
	test("are refused if no task can have them, before the store is asked", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: noop });
		const calls: [string, (value: never) => Promise<unknown>][] = [
			["id", (id) => basket.get(id)],
			["id", (id) => basket.delete(id)],
			["id", (id) => basket.retry(id)],
			["id", (id) => basket.hold(id)],
			["id", (id) => basket.release(id)],
			["kind", (kind) => basket.list({ kind }).next()],
		];
		const names: [unknown, string][] = [
			[7, "TypeError"],
			[null, "TypeError"],
			["", "RangeError"],
			["a\0b", "RangeError"],
			["x".repeat(256), "RangeError"],
			["a\ud83d", "TypeError"],
		];
		for (const [what, call] of calls) {
			for (const [name, error] of names) {
				const refused = await errorOf(call(name as never)) as Error;
				expect(refused.name).toBe(error);
				expect(refused.message).toContain(`"${what}"`);
			}
		}
		const queries: [unknown, string, string][] = [
			[null, "TypeError", `"query"`],
			[{ state: "bogus" }, "RangeError", `"state" must be waiting or running or held or dead or done`],
			[{ state: 1 }, "TypeError", `"state"`],
			[{ after: 1 }, "TypeError", `"after"`],
			[{ after: "garbage" }, "RangeError", `"after" must be the key of a task in this store`],
			[{ limit: 0 }, "RangeError", `"limit"`],
			[{ limit: 1.5 }, "RangeError", `"limit"`],
			[{ limit: "1" }, "TypeError", `"limit"`],
		];
		for (const [query, error, message] of queries) {
			const refused = await errorOf(basket.list(query as never).next()) as Error;
			expect(refused.name).toBe(error);
			expect(refused.message).toContain(message);
		}
	});
});

describe("new Basket()", () => {
	test("refuses options that are not allowed", () => {
		const store = memoryStore();
		const tasks = { a: noop };
		const wrong: [unknown, string][] = [
			[undefined, `"options" must be an object`],
			[{ tasks }, `"store" must be an object`],
			[{ store: {}, tasks }, `"store.turn" must be a function`],
			[{ store: { turn: noop }, tasks }, `"store.capabilities" must be an object`],
			[{ store }, `"tasks" must be an object`],
			[{ store, tasks: { a: 1 } }, `"tasks.a" must be an object`],
			[{ store, tasks: { a: {} } }, `"run" must be a function`],
			[{ store, tasks: { a: { run: noop, schema: {} } } }, `"schema" must be a Standard Schema validator`],
			[{ store, tasks: { "": noop } }, `"kind" must be 1 to 255 characters`],
			[{ store, tasks: { "\ud83d": noop } }, `"kind" must be well-formed text`],
			[{ store, tasks, name: "" }, `"name" must be 1 to 255 characters`],
			[{ store, tasks, name: "\ud83d" }, `"name" must be well-formed text`],
			[{ store, tasks, concurrency: 0 }, `"concurrency" must be a whole number from 1`],
			[{ store, tasks, lease: 0 }, `"lease" must be more than 0`],
			[{ store, tasks, lease: Infinity }, `"lease" must be more than 0, and finite`],
			[{ store, tasks, grace: -1 }, `"grace" must be 0 or more`],
			[{ store, tasks, crashes: 0 }, `"crashes" must be a whole number from 1`],
			[{ store, tasks, retain: -1 }, `"retain" must be 0 or more`],
			[{ store, tasks, attempts: 0 }, `"attempts" must be a whole number from 1`],
			[{ store, tasks, codec: {} }, `"codec.encode" must be a function`],
			[{ store, tasks, gate: {} }, `"gate.getSnapshot" must be a function`],
			[{ store, tasks, gate: { getSnapshot: noop } }, `"gate.subscribe" must be a function`],
			[{ store, tasks, wake: [{}] }, `"wake.subscribe" must be a function`],
			[{ store, tasks, onError: 1 }, `"onError" must be a function`],
			[{ store, tasks, clock: {} }, `"clock.set" must be a function`],
		];
		for (const [options, message] of wrong) {
			expect(() => new Basket(options as never)).toThrow(message);
		}
	});

	test("takes an option that is undefined for one that is not given", async () => {
		const undefinedOptions = {
			name: undefined,
			concurrency: undefined,
			lease: undefined,
			grace: undefined,
			attempts: undefined,
			codec: undefined,
			gate: undefined,
			wake: undefined,
			clock: undefined,
			crashes: undefined,
			retain: undefined,
		};
		const basket = new Basket({
			store: memoryStore(),
			...undefinedOptions,
			tasks: { a: { run: noop, codec: undefined } },
		});
		expect(basket.name).toBe("default");
		await basket.add("a", undefined, { id: undefined, delay: undefined, priority: undefined, lane: undefined });
		await basket.drain({ signal: undefined });
		expect(basket.getSnapshot().succeeded).toBe(1);
	});
});

describe("Basket: retries", () => {
	test("go on for ever by default, with a backoff from a second to an hour", async () => {
		const machine = new Machine();
		const delays: number[] = [];
		const basket = machine.basket({ a: fail }, {
			backoff: undefined,
			onSettled: ({ delay }) => delays.push(delay),
		});
		await basket.add("a");
		const run = running(basket);
		await machine.clock.advance(15 * 3_600_000);
		await run.stop();
		expect(delays.length).toBeGreaterThan(20);
		delays.forEach((delay, index) => expect(delay <= Math.min(1_000 * 2 ** index, 3_600_000)).toBe(true));
		expect(delays.some((delay) => delay > 1_000_000)).toBe(true);
		expect((await basket.counts()).waiting).toBe(1);
	});

	test("count attempts, and grow the backoff, over processes; the error of the last attempt comes along", async () => {
		const machine = new Machine();
		const seen: unknown[] = [];
		const tasks = {
			a: (_: unknown, { attempt, previousError }: BasketContext) => {
				seen.push([attempt, (previousError as Error | undefined)?.message, machine.clock.now() - 1_000_000]);
				expect(Object.keys(previousError ?? {})).not.toContain("delay"); // an internal property of the engine
				throw new TypeError(`failure ${attempt}`);
			},
		};
		await machine.basket(tasks).add("a", 1);
		for (let process = 0; process < 4; process++) {
			const run = running(machine.basket(tasks));
			await machine.clock.advance(process === 0 ? 0 : 1_000 * 2 ** (process - 1));
			await run.stop();
		}
		expect(seen).toEqual([[1, undefined, 0], [2, "failure 1", 1_000], [3, "failure 2", 3_000], [
			4,
			"failure 3",
			7_000,
		]]);
	});

	test("get the payload as the task left it", async () => {
		const machine = new Machine();
		const seen: unknown[] = [];
		const basket = machine.basket({
			a: (payload: { done: number[] }, { attempt }) => {
				seen.push([...payload.done]);
				payload.done.push(attempt);
				if (attempt < 3) throw new Error("half done");
			},
		});
		await basket.add("a", { done: [] });
		const run = running(basket);
		await machine.clock.advance(10_000);
		await run.stop();
		expect(seen).toEqual([[], [1], [1, 2]]);
	});

	test("keep the payload of before if it cannot be stored any more, and say so", async () => {
		const machine = new Machine();
		const seen: unknown[] = [];
		const basket = machine.basket({
			a: (payload: { n: unknown }, { attempt }) => {
				seen.push(payload.n);
				payload.n = 1n;
				if (attempt < 2) throw new Error("again");
			},
		});
		await basket.add("a", { n: 1 });
		const run = running(basket);
		await machine.clock.advance(10_000);
		await run.stop();
		expect(seen).toEqual([1, 1]);
		expect(machine.errors.length).toBe(1);
	});

	test("obey the hints: stopNow, retryNow, resetBackoff, retryAfter", async () => {
		const machine = new Machine();
		const at: Record<string, number[]> = {};
		const basket = machine.basket({
			a: (kind: string, { attempt }) => {
				(at[kind] ??= []).push(machine.clock.now() - 1_000_000);
				if (attempt === 4) return;
				if (kind === "stop") throw stopNow(new Error("404"));
				if (kind === "now" && attempt === 3) throw retryNow(new Error("again"));
				if (kind === "reset" && attempt === 3) throw resetBackoff(new Error("half"));
				if (kind === "after" && attempt === 2) throw retryAfter(9_000, new Error("429"));
				throw new Error("usual");
			},
		});
		for (const kind of ["stop", "now", "reset", "after"]) await basket.add("a", kind, { id: kind });
		const run = running(basket);
		await machine.clock.advance(60_000);
		await run.stop();
		expect(at).toEqual({
			stop: [0],
			now: [0, 1_000, 3_000, 3_000],
			reset: [0, 1_000, 3_000, 4_000],
			after: [0, 1_000, 10_000, 12_000],
		});
		expect(await basket.get("stop")).toMatchObject({
			state: "dead",
			attempts: 1,
			error: { name: "Error", message: "404" },
		});
	});

	test("end with a dead task when a finite number of attempts is used up; retry() begins it anew, delete() removes it", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: { run: fail, attempts: 2 } });
		await basket.add("a", undefined, { id: "x" });
		const run = running(basket);
		await machine.clock.advance(60_000);
		const [dead] = await all(basket.list({ state: "dead" }));
		expect(dead).toMatchObject({ id: "x", attempts: 2, error: { name: "Error", message: "failure" }, state: "dead" });
		expect(dead!.error!.stack).toContain("fail");
		expect(await basket.retry("x")).toBe(true);
		expect(await basket.retry("none")).toBe(false);
		await machine.clock.advance(60_000);
		expect(machine.settled.map(({ outcome, attempt }) => [outcome, attempt])).toEqual([
			["retry", 1],
			["dead", 2],
			["retry", 1],
			["dead", 2],
		]);
		expect([await basket.delete("x"), await basket.delete("x")]).toEqual([true, false]);
		expect((await basket.counts()).dead).toBe(0);
		await run.stop();
	});

	test("stop at the deadline, which counts from the add over processes", async () => {
		const machine = new Machine();
		const tasks = { a: fail };
		await machine.basket(tasks, { deadline: 10_000 }).add("a", undefined, { id: "x" });
		for (const duration of [2_000, 60_000]) {
			const run = running(machine.basket(tasks, { deadline: 10_000 }));
			await machine.clock.advance(duration);
			await run.stop();
		}
		// The attempts start at 0, 1 and 3 s. The next attempt would start at 7 s, and the one after it would exceed
		// the deadline.
		expect(await machine.basket(tasks).get("x")).toMatchObject({
			state: "dead",
			attempts: 4,
			error: { name: "TimeoutError" },
		});
	});

	test("let shouldRetry decide, and give up if it throws", async () => {
		const machine = new Machine();
		const basket = machine.basket({
			no: { run: fail, shouldRetry: () => false },
			broken: {
				run: fail,
				shouldRetry: () => {
					throw new Error("cannot say");
				},
			},
		});
		await basket.add("no", undefined, { id: "no" });
		await basket.add("broken", undefined, { id: "broken" });
		await machine.drain(basket);
		expect((await basket.get("no"))!.error!.message).toBe("failure");
		expect((await basket.get("broken"))!.error!.message).toBe("cannot say");
		expect((await basket.counts()).dead).toBe(2);
	});

	test("have a timeout for each attempt", async () => {
		const machine = new Machine();
		const basket = machine.basket({
			a: { run: (_: unknown, { signal }) => untilAborted(signal), timeout: 500, attempts: 1 },
		});
		await basket.add("a", 1, { id: "x" });
		const drained = basket.drain();
		await machine.clock.advance(500);
		await drained;
		expect(await basket.get("x")).toMatchObject({ state: "dead", error: { name: "TimeoutError" } });
	});
});

describe("Basket: payloads that cannot be read", () => {
	test("make their tasks dead with the reason, and stop nobody else", async () => {
		const machine = new Machine();
		const ran: number[] = [];
		const schema = object({ n: number() });
		const basket = machine.basket({ a: { schema, run: ({ n }: { n: number }) => void ran.push(n) } });
		const wrong = { kind: "a", delay: 0, priority: 0 };
		await machine.memory.add("default", [
			{ ...wrong, id: "broken", payload: "{" },
			{ ...wrong, id: "bytes", payload: new Uint8Array([1]) },
			{ ...wrong, id: "schema", payload: `{"n":"1"}` },
			{ ...wrong, id: "good", payload: `{"n":1}` },
		]);
		await machine.drain(basket);
		expect(ran).toEqual([1]);
		const dead = await all(basket.list({ state: "dead" }));
		expect(dead.map(({ id, error, attempts }) => [id, error!.name, attempts])).toEqual([
			["broken", "SyntaxError", 0],
			["bytes", "TypeError", 0],
			["schema", "ValidationError", 0],
		]);
		expect(dead[0]!.payload).toBe("{");
	});

	test("of a kind that nobody handles stay untouched", async () => {
		const machine = new Machine();
		await machine.basket({ old: noop }).add("old", undefined, { id: "x" });
		const basket = machine.basket({ a: noop });
		await machine.drain(basket);
		expect(await basket.get("x")).toMatchObject({ state: "waiting", attempts: 0 });
	});
});

describe("context.save()", () => {
	test("stores a payload at once, for the next process", async () => {
		const machine = new Machine();
		const seen: unknown[] = [];
		const tasks = {
			a: async (payload: { page: number }, { save, attempt }: BasketContext<{ page: number }>) => {
				seen.push(payload.page);
				if (attempt > 1) return;
				await save({ page: 7 });
				await new Promise(() => {}); // the process dies here
			},
		};
		const dying = machine.basket(tasks);
		await dying.add("a", { page: 1 }, { id: "x" });
		dying.run();
		await machine.clock.advance(0);
		machine.spied.before = () => new Promise(() => {});
		await machine.clock.advance(30_000);
		machine.spied.before = undefined;
		const next = machine.basket(tasks, { store: machine.memory });
		await machine.drain(next);
		expect(seen).toEqual([1, 7]);
	});

	test("is what a failure leaves, unless the task changes it further", async () => {
		const machine = new Machine();
		const seen: unknown[] = [];
		const basket = machine.basket({
			a: async (payload: { n: number }, { save, attempt }) => {
				seen.push(payload.n);
				if (attempt === 1) await save({ n: 2 });
				else if (attempt === 2) {
					const next = { n: 3 };
					await save(next);
					next.n = 4;
				} else return;
				throw new Error("again");
			},
		});
		await basket.add("a", { n: 1 });
		const run = running(basket);
		await machine.clock.advance(10_000);
		await run.stop();
		expect(seen).toEqual([1, 2, 4]);
	});

	test("rejects with a ClaimLostError when the task was taken over, and with what the codec throws", async () => {
		const machine = new Machine();
		const errors: unknown[] = [];
		const basket = machine.basket({
			a: async (_: unknown, { save, signal }) => {
				errors.push(await errorOf(save(1n)));
				await machine.memory.delete("default", ["x"]);
				errors.push(await errorOf(save(1)));
				errors.push(signal.reason);
			},
		});
		await basket.add("a", 1, { id: "x" });
		await machine.drain(basket);
		expect(errors.map((error) => (error as Error).name)).toEqual(["TypeError", "ClaimLostError", "ClaimLostError"]);
	});
});

describe("context.report()", () => {
	test("keeps the first 1,000 characters of a description, and refuses what is no progress", async () => {
		const machine = new Machine();
		const refused: unknown[] = [];
		const basket = machine.basket({
			a: async (_: unknown, { report }) => {
				const wrongs: unknown[][] = [[NaN], [Infinity], ["1"], [1, 2], [1, null]];
				for (const wrong of wrongs as [number, string?][]) {
					try {
						report(...wrong);
					} catch (error) {
						refused.push((error as Error).name);
					}
				}
				report(0.5, "😀".repeat(100_000) + "x");
				await sleep(2_000, { clock: machine.clock });
			},
		});
		const { id } = await basket.add("a");
		const run = running(basket);
		await machine.clock.advance(1_500);
		const { value, description } = (await basket.get(id))!.progress!;
		expect([value, description]).toEqual([0.5, "😀".repeat(500)]);
		expect(refused).toEqual(["RangeError", "RangeError", "TypeError", "TypeError", "TypeError"]);
		await machine.clock.advance(2_000);
		await run.stop();
	});

	test("a progress that somebody has edited harms neither get() nor list()", async () => {
		const machine = new Machine();
		const edited = ["", "{", "null", "7", `{"value":"x"}`, `{"value":1,"description":2}`];
		const shown = { ...await addedTask(machine), progress: undefined as string | undefined };
		const store = { ...machine.memory, get: async () => shown, list: async () => [shown] } as never;
		const basket = machine.basket({ a: noop }, { store });
		for (shown.progress of edited) {
			expect((await basket.get("x"))!.progress).toBe(undefined);
			expect((await all(basket.list()))[0]!.progress).toBe(undefined);
		}
	});

	test("shows in list() within a second", async () => {
		const machine = new Machine();
		const basket = machine.basket({
			a: (_: unknown, { report, signal }) => {
				report(0.1);
				report(0.5, "half of it");
				return untilAborted(signal);
			},
		});
		const { id } = await basket.add("a", 1);
		const run = running(basket);
		await machine.clock.advance(999);
		expect((await basket.get(id))!.progress).toBe(undefined);
		await machine.clock.advance(1);
		expect(await basket.get(id)).toMatchObject({
			state: "running",
			progress: { value: 0.5, description: "half of it" },
		});
		expect(machine.spied.count("save")).toBe(1);
		await machine.clock.advance(5_000);
		expect(machine.spied.count("save")).toBe(1);
		await run.stop();
		expect(machine.clock.pending).toBe(0);
	});
});

describe("Basket: lanes and priorities", () => {
	test("a lane runs one at a time in order, and waits for its head", async () => {
		const machine = new Machine();
		const log: string[] = [];
		const basket = machine.basket({
			a: (name: string, { attempt }) => {
				log.push(`${name}.${attempt}`);
				if (name === "x1" && attempt < 3) throw new Error("not yet");
			},
		});
		await basket.addMany(
			["x1", "x2", "x3"].map((payload, index) => ({ kind: "a", payload, lane: "x", priority: index }) as const),
		);
		await basket.add("a", "y1", { lane: "y" });
		await basket.add("a", "free");
		const run = running(basket);
		await machine.clock.advance(999);
		expect(log).toEqual(["x1.1", "y1.1", "free.1"]);
		await machine.clock.advance(60_000);
		expect(log.slice(3)).toEqual(["x1.2", "x1.3", "x2.1", "x3.1"]);
		await run.stop();
	});

	test("of tasks that are due, those with the highest priority begin first", async () => {
		const machine = new Machine();
		const log: number[] = [];
		const basket = machine.basket({ a: (n: number) => void log.push(n) }, { concurrency: 1 });
		for (const priority of [0, 5, -5, 100, -100, 5]) await basket.add("a", priority, { priority });
		await machine.drain(basket);
		expect(log).toEqual([100, 5, 5, 0, -5, -100]);
	});
});

describe("Basket.run()", () => {
	test("runs at most as many tasks at the same time as the concurrency allows", async () => {
		const machine = new Machine();
		let now = 0;
		let most = 0;
		const basket = machine.basket({
			a: async () => {
				most = Math.max(most, ++now);
				await null;
				now--;
			},
		}, { concurrency: 3 });
		await basket.addMany(Array.from({ length: 100 }, () => ({ kind: "a" }) as const));
		await machine.drain(basket);
		expect([most, basket.getSnapshot().succeeded]).toEqual([3, 100]);
	});

	test("begins what is added while it waits, and a delayed one when it is due", async () => {
		const machine = new Machine();
		const log: string[] = [];
		const basket = machine.basket({ a: (name: string) => void log.push(`${name}@${machine.clock.now() - 1_000_000}`) });
		const run = running(basket);
		await machine.clock.advance(500);
		await basket.add("a", "now");
		await basket.add("a", "later", { delay: 700 });
		await machine.clock.advance(5_000);
		expect(log).toEqual(["now@500", "later@1200"]);
		await run.stop();
	});

	test("shows that it runs as soon as it does, though the store fails", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: noop });
		const states: string[] = [];
		basket.subscribe(() => states.push(basket.getSnapshot().state));
		machine.spied.before = (member) => {
			if (member === "turn") throw new StoreError("full", "no space");
		};
		const run = running(basket);
		await machine.clock.advance(0);
		expect(states).toEqual(["starting", "running"]);
		await run.stop();
	});

	test("has one timer while nothing is due, and asks the store once a minute at most", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: noop });
		const run = running(basket);
		await machine.clock.advance(1_000);
		expect(machine.clock.pending).toBe(1);
		const before = machine.spied.calls.length;
		await machine.clock.advance(3_600_000);
		expect(machine.spied.calls.length - before).toBe(60);
		await run.stop();
	});

	test("is woken by another basket on the same store", async () => {
		const machine = new Machine();
		const log: number[] = [];
		const run = running(machine.basket({ a: (n: number) => void log.push(n) }));
		await machine.clock.advance(1_000);
		await machine.basket({ a: (_: number) => {} }).add("a", 1);
		await machine.clock.advance(0);
		expect(log).toEqual([1]);
		await run.stop();
	});

	test("with an aborted signal resolves and touches nothing", async () => {
		const machine = new Machine();
		await machine.basket({ a: noop }).run({ signal: AbortSignal.abort() });
		expect(machine.spied.calls).toEqual([]);
	});

	test("on abort gives its tasks time: successes count, failures are left to the next run and count no attempt", async () => {
		const machine = new Machine();
		const reasons: unknown[] = [];
		const basket = machine.basket({
			obeys: (payload: { seen: boolean }, { signal }) => {
				payload.seen = true;
				signal.addEventListener("abort", () => reasons.push(signal.reason));
				return untilAborted(signal);
			},
			finishes: async (_: unknown, { signal }) => {
				await errorOf(untilAborted(signal));
			},
		});
		await basket.add("obeys", { seen: false }, { id: "obeys" });
		await basket.add("finishes", 1, { id: "finishes" });
		const run = running(basket);
		await machine.clock.advance(100);
		await run.stop("the end");
		expect(reasons).toEqual(["the end"]);
		expect(await basket.get("obeys")).toMatchObject({
			state: "waiting",
			attempts: 0,
			crashes: 0,
			payload: { seen: true },
		});
		expect(await basket.get("finishes")).toBe(undefined);
		expect(machine.settled.map(({ id, outcome }) => [id, outcome]).sort()).toEqual([["finishes", "done"], [
			"obeys",
			"released",
		]]);
		expect([machine.clock.pending, basket.getSnapshot().state]).toEqual([0, "stopped"]);
	});

	test("after the grace leaves alone what ignores its signal, and the basket touches the store no more", async () => {
		const machine = new Machine();
		const end = deferred();
		let late: unknown;
		const basket = machine.basket({
			deaf: async (_: unknown, { save, complete, report }) => {
				await end.promise;
				report(1);
				late = [await errorOf(save(2)), await errorOf(complete(undefined as never))];
				throw new Error("too late");
			},
		}, { grace: 2_000 });
		await basket.add("deaf", 1, { id: "x" });
		const run = running(basket);
		await machine.clock.advance(100);
		const stopped = watch(run.stop());
		expect(basket.getSnapshot().state).toBe("stopping");
		await machine.clock.advance(1_999);
		expect(stopped.state).toBe("pending");
		await machine.clock.advance(1);
		expect(stopped.state).toBe("resolved");
		expect(await basket.get("x")).toMatchObject({ state: "waiting", attempts: 0, crashes: 0 });
		const calls = machine.spied.calls.length;
		end.resolve();
		await machine.clock.advance(3_600_000);
		expect(late).toMatchObject([{ name: "ClaimLostError" }, { name: "ClaimLostError" }]);
		expect(machine.spied.calls.length).toBe(calls);
		expect(machine.clock.pending).toBe(0);
	});

	test("several times at once shares one worker, which ends with the last of them", async () => {
		const machine = new Machine();
		const log: number[] = [];
		const basket = machine.basket({ a: (n: number) => void log.push(n) });
		const [first, second] = [running(basket), running(basket)];
		await machine.clock.advance(0);
		await first.stop();
		await basket.add("a", 1);
		await machine.clock.advance(0);
		expect(log).toEqual([1]);
		await second.stop();
		expect(machine.clock.pending).toBe(0);
	});

	test("can be called again while it is stopping, and goes on afterwards", async () => {
		const machine = new Machine();
		const log: number[] = [];
		const basket = machine.basket({
			a: (n: number, { signal }) => {
				log.push(n);
				return n === 1 && log.length === 1 ? untilAborted(signal) : undefined;
			},
		});
		await basket.add("a", 1);
		const first = running(basket);
		await machine.clock.advance(0);
		const stopped = first.stop();
		const second = running(basket);
		await machine.clock.advance(10);
		await stopped;
		expect(log).toEqual([1, 1]);
		await second.stop();
		expect((await basket.counts()).waiting).toBe(0);
	});

	test("is ended by stop() and by disposing, twice without harm", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: (_: unknown, { signal }) => untilAborted(signal) });
		await basket.stop();
		await basket.add("a", 1);
		const run = watch(basket.run());
		const drain = watch(basket.drain());
		await machine.clock.advance(0);
		await Promise.all([basket.stop(), basket.stop()]);
		await basket[Symbol.asyncDispose]?.();
		expect([run.state, drain.state, (drain.error as Error).name]).toEqual(["resolved", "rejected", "AbortError"]);
		expect((await basket.counts()).waiting).toBe(1);
	});

	test("leaves no listener on its signal", async () => {
		const machine = new Machine();
		const controller = new SpiedController();
		const basket = machine.basket({ a: (_: unknown, { signal }) => void signal.aborted });
		for (let round = 0; round < 3; round++) {
			await basket.add("a", 1);
			await machine.drain(basket, { signal: controller.signal });
		}
		expect([controller.listeners, controller.added]).toEqual([0, 3]);
	});

	test("refuses a signal that is none", async () => {
		const basket = new Machine().basket({ a: noop });
		expect((await errorOf(basket.run({ signal: 1 as never })) as Error).name).toBe("TypeError");
		expect((await errorOf(basket.drain({ signal: {} as never })) as Error).name).toBe("TypeError");
	});
});

describe("Basket.drain()", () => {
	test("resolves when nothing is due and everything is stored; what waits for later stays", async () => {
		const machine = new Machine();
		const basket = machine.basket({ good: noop, bad: fail });
		await basket.add("good");
		await basket.add("bad");
		await basket.add("good", undefined, { delay: 1 });
		const held = deferred();
		let isHeld = false;
		machine.spied.before = (member, [, turn]) => {
			if (member !== "turn" || (turn as { settle: unknown[] }).settle.length === 0 || isHeld) return;
			isHeld = true;
			return held.promise;
		};
		const drained = watch(basket.drain());
		await machine.clock.advance(0);
		expect([drained.state, basket.getSnapshot().succeeded]).toEqual(["pending", 0]);
		held.resolve();
		await machine.clock.advance(0);
		expect([drained.state, basket.getSnapshot()]).toEqual([
			"resolved",
			{ state: "stopped", running: 0, succeeded: 1, failed: 1, dead: 0 },
		]);
		expect((await basket.counts()).waiting).toBe(2);
		expect(machine.clock.pending).toBe(0);
	});

	test("works off what its tasks add, and whole lanes", async () => {
		const machine = new Machine();
		const log: number[] = [];
		const basket: Basket<{ a: (n: number) => Promise<void> }> = machine.basket({
			a: async (n: number) => {
				log.push(n);
				if (n < 5) await basket.add("a", n + 1, { lane: "x" });
			},
		});
		await basket.add("a", 1, { lane: "x" });
		await basket.add("a", 10, { lane: "x" });
		await machine.drain(basket);
		expect(log).toEqual([1, 10, 2, 3, 4, 5]);
	});

	test("while a run is under way waits until nothing is due, and leaves the run alone", async () => {
		const machine = new Machine();
		const end = deferred();
		const basket = machine.basket({ a: () => end.promise });
		const run = running(basket);
		await basket.add("a");
		const drained = watch(basket.drain());
		await machine.clock.advance(1_000);
		expect(drained.state).toBe("pending");
		end.resolve();
		await machine.clock.advance(0);
		expect([drained.state, basket.getSnapshot().state]).toEqual(["resolved", "running"]);
		await run.stop();
	});

	test("rejects with the reason of its signal, after its tasks have ended", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: (_: unknown, { signal }) => untilAborted(signal) });
		await basket.add("a", 1);
		const controller = new AbortController();
		const drained = watch(basket.drain({ signal: controller.signal }));
		await machine.clock.advance(0);
		controller.abort("enough");
		await machine.clock.advance(0);
		expect(drained).toEqual({ state: "rejected", error: "enough" });
		expect(await errorOf(basket.drain({ signal: AbortSignal.abort("before") }))).toBe("before");
	});

	test("of an empty basket, or one without kinds, resolves", async () => {
		const machine = new Machine();
		await machine.drain(machine.basket({ a: noop }));
		await machine.drain(machine.basket({}));
	});
});

describe("Basket.pause(), resume() and the gate", () => {
	test("nothing is begun while it is paused; what runs goes on", async () => {
		const machine = new Machine();
		const end = deferred();
		const log: number[] = [];
		const basket = machine.basket({
			a: async (n: number) => {
				log.push(n);
				if (n === 1) await end.promise;
			},
		});
		await basket.add("a", 1);
		const run = running(basket);
		await machine.clock.advance(0);
		basket.pause();
		basket.pause();
		expect(basket.getSnapshot().state).toBe("paused");
		await basket.add("a", 2);
		end.resolve();
		await machine.clock.advance(600_000);
		expect([log, basket.getSnapshot().succeeded]).toEqual([[1], 1]);
		basket.resume();
		basket.resume();
		await machine.clock.advance(0);
		expect(log).toEqual([1, 2]);
		await run.stop();
	});

	test("a closed gate lets nothing begin, an opening one does", async () => {
		const machine = new Machine();
		const listeners = new Set<() => void>();
		let isOpen = false;
		const gate = {
			getSnapshot: () => isOpen,
			subscribe: (listener: () => void) => {
				listeners.add(listener);
				return () => void listeners.delete(listener);
			},
		};
		const set = (open: boolean) => {
			isOpen = open;
			for (const listener of listeners) listener();
		};
		const log: number[] = [];
		const basket = machine.basket({ a: (n: number) => void log.push(n) }, { gate });
		await basket.add("a", 1);
		const run = running(basket);
		await machine.clock.advance(120_000);
		expect([log, basket.getSnapshot().state, machine.spied.count("turn")]).toEqual([[], "paused", 0]);
		set(true);
		await machine.clock.advance(0);
		expect([log, basket.getSnapshot().state]).toEqual([[1], "running"]);
		set(false);
		await basket.add("a", 2);
		await machine.clock.advance(120_000);
		expect(log).toEqual([1]);
		await run.stop();
		expect(listeners.size).toBe(0);
	});

	test("of several gates, each must be open", async () => {
		const machine = new Machine();
		const gates = [true, false].map((isOpen) => {
			const listeners = new Set<() => void>();
			return {
				listeners,
				getSnapshot: () => isOpen,
				subscribe: (listener: () => void) => {
					listeners.add(listener);
					return () => void listeners.delete(listener);
				},
				set(open: boolean) {
					isOpen = open;
					for (const listener of listeners) listener();
				},
			};
		});
		const basket = machine.basket({ a: () => {} }, { gate: gates });
		const state = async (first: boolean, second: boolean) => {
			for (const [index, open] of [first, second].entries()) gates[index]!.set(open);
			await machine.clock.advance(120_000);
			return basket.getSnapshot();
		};
		await basket.add("a");
		const run = running(basket);
		expect(await state(true, false)).toMatchObject({ state: "paused", succeeded: 0 });
		expect(await state(false, true)).toMatchObject({ state: "paused", succeeded: 0 });
		expect(await state(true, true)).toMatchObject({ state: "running", succeeded: 1 });
		await basket.add("a");
		expect(await state(true, true)).toMatchObject({ state: "running", succeeded: 2 });
		expect(await state(false, false)).toMatchObject({ state: "paused" });
		await run.stop();
		expect(gates.map(({ listeners }) => listeners.size)).toEqual([0, 0]);
		expect(() => machine.basket({ a: () => {} }, { gate: [gates[0]!, {} as never] })).toThrow(
			`"gate.getSnapshot" must be a function`,
		);
	});

	test("a gate may be an object of a class of one's own", async () => {
		class Gate {
			#isOpen = false;
			#listener = () => {};
			getSnapshot(): boolean {
				return this.#isOpen;
			}
			subscribe(listener: () => void): () => void {
				this.#listener = listener;
				return () => this.#listener = () => {};
			}
			open(): void {
				this.#isOpen = true;
				this.#listener();
			}
		}
		const machine = new Machine();
		const gate = new Gate();
		const basket = machine.basket({ a: () => {} }, { gate });
		await basket.add("a");
		const run = running(basket);
		await machine.clock.advance(0);
		expect(basket.getSnapshot()).toMatchObject({ state: "paused", succeeded: 0 });
		gate.open();
		await machine.clock.advance(0);
		expect(basket.getSnapshot()).toMatchObject({ state: "running", succeeded: 1 });
		await run.stop();
		expect(machine.errors).toEqual([]);
	});
});

describe("Basket: wake-up hints", () => {
	test("make backoffs end within a second, but no delay that was asked for", async () => {
		const machine = new Machine();
		const listeners = new Set<() => void>();
		const hint = {
			subscribe: (listener: () => void) => {
				listeners.add(listener);
				return () => void listeners.delete(listener);
			},
		};
		const at: Record<string, number[]> = {};
		const note = (name: string) => (at[name] ??= []).push(machine.clock.now() - 1_000_000);
		const basket = machine.basket({
			backoff: (_: unknown, { attempt }) => {
				note("backoff");
				if (attempt === 1) throw new Error("offline");
			},
			firm: (_: unknown, { attempt }) => {
				note("firm");
				if (attempt === 1) throw retryAfter(60_000, new Error("429"));
			},
			delayed: () => void note("delayed"),
		}, { wake: [hint], backoff: 100_000 });
		await basket.add("backoff", 1);
		await basket.add("firm", 1);
		await basket.add("delayed", undefined, { delay: 80_000 });
		const run = running(basket);
		await machine.clock.advance(10_000);
		for (const listener of listeners) listener();
		await machine.clock.advance(1_000);
		expect(at).toEqual({ backoff: [0, 10_500], firm: [0] });
		await machine.clock.advance(200_000);
		expect(at).toEqual({ backoff: [0, 10_500], firm: [0, 60_000], delayed: [80_000] });
		await run.stop();
		expect(listeners.size).toBe(0);
	});
});

describe("Basket.hold(), release() and list()", () => {
	test("a held task waits for its release", async () => {
		const machine = new Machine();
		const log: number[] = [];
		const basket = machine.basket({ a: (n: number) => void log.push(n) });
		await basket.add("a", 1, { id: "x" });
		expect(await basket.hold("x")).toBe(true);
		const run = running(basket);
		await machine.clock.advance(60_000);
		expect([log, (await basket.get("x"))!.state]).toEqual([[], "held"]);
		expect(await basket.release("x")).toBe(true);
		await machine.clock.advance(0);
		expect(log).toEqual([1]);
		expect([await basket.hold("x"), await basket.release("x")]).toEqual([false, false]);
		await run.stop();
	});

	test("list() gives tasks by state and kind, page by page, also while they are deleted", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: (_: number) => {}, b: (_: number) => {} });
		await basket.addMany(
			Array.from({ length: 350 }, (_, n) => ({ kind: n % 2 === 0 ? "a" : "b", payload: n }) as const),
		);
		const seen: unknown[] = [];
		for await (const { id, payload } of basket.list({ kind: "b", state: "waiting" })) {
			seen.push(payload);
			await basket.delete(id);
		}
		expect(seen).toEqual(Array.from({ length: 175 }, (_, n) => 2 * n + 1));
		const [first, second] = await all(basket.list({ limit: 2 }));
		expect((await all(basket.list({ after: first!.key, limit: 1 }))).map(({ id }) => id)).toEqual([second!.id]);
		expect(first).toMatchObject({
			kind: "a",
			payload: 0,
			state: "waiting",
			attempts: 0,
			crashes: 0,
			addedAt: 1_000_000,
		});
		expect((await errorOf(all(basket.list({ limit: 0 }))) as Error).name).toBe("RangeError");
	});

	test("a task that is done is kept for as long as `retain` says, and its id with it", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: noop }, { retain: 10_000 });
		await basket.add("a", undefined, { id: "x" });
		await machine.drain(basket);
		expect((await basket.get("x"))!.state).toBe("done");
		expect((await basket.add("a", undefined, { id: "x" })).added).toBe(false);
		await machine.clock.advance(10_001);
		await machine.drain(basket);
		expect((await basket.add("a", undefined, { id: "x" })).added).toBe(true);
	});
});

describe("Basket.subscribe() and getSnapshot()", () => {
	test("tell of each change, and the snapshot stays the same between", async () => {
		const machine = new Machine();
		const end = deferred();
		const basket = machine.basket({ a: () => end.promise });
		const seen: string[] = [];
		const unsubscribe = basket.subscribe(() => {
			const { state, running, succeeded } = basket.getSnapshot();
			const text = `${state} ${running} ${succeeded}`;
			if (seen.at(-1) !== text) seen.push(text);
		});
		basket.subscribe(() => {
			throw new Error("observer");
		});
		const run = running(basket);
		await basket.add("a");
		await machine.clock.advance(0);
		expect(basket.getSnapshot()).toBe(basket.getSnapshot());
		end.resolve();
		await machine.clock.advance(0);
		await run.stop();
		expect(seen).toEqual(["starting 0 0", "running 0 0", "running 1 0", "running 0 1", "stopping 0 1", "stopped 0 1"]);
		expect(machine.errors.every((error) => (error as Error).message === "observer")).toBe(true);
		unsubscribe();
	});

	test("onSettled is told once it is stored, and may throw", async () => {
		const machine = new Machine();
		const counts: unknown[] = [];
		const basket = machine.basket({ a: noop }, {
			onSettled: ({ id, kind, outcome, attempt }) => {
				counts.push([id, kind, outcome, attempt]);
				throw new Error("observer");
			},
		});
		await basket.add("a", undefined, { id: "x" });
		await machine.drain(basket);
		expect(counts).toEqual([["x", "a", "done", 1]]);
		expect(machine.errors.length).toBe(1);
	});
});
