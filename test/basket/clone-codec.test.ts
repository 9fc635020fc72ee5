import { describe, expect, test } from "vitest";
import {
	Basket,
	batch,
	type BatchTask,
	cloneCodec,
	every,
	job,
	live,
	memoryStore,
	Processor,
	retryNow,
	type Store,
	unchecked,
} from "../../mod.ts";
import { errorOf } from "../support.ts";
import { Machine } from "./support.ts";

const codec = cloneCodec;
const cannot = { ...memoryStore(), capabilities: { ...memoryStore().capabilities, clones: undefined } };

/** Returns the error message of `encode`. */
function refusal(payload: unknown): string {
	try {
		cloneCodec.encode(payload);
	} catch (error) {
		expect(error instanceof TypeError).toBe(true);
		return (error as Error).message;
	}
	return "";
}

describe("cloneCodec.encode()", () => {
	test("refuses what cannot be cloned, and says where it is", () => {
		const deep: unknown[] = [];
		let inner = deep;
		for (let level = 0; level < 2_000; level++) inner.push(inner = []);
		const wrong: [unknown, string][] = [
			[() => {}, "payload is a function"],
			[{ form: { onEnd() {} } }, "payload.form.onEnd is a function"],
			[{ "the key": [1, Symbol()] }, 'payload["the key"][1] is a symbol'],
			[new Map<unknown, unknown>([[1, 1], ["a", { f() {} }]]), "payload.values()[1].f is a function"],
			[new Map([[() => {}, 1]]), "payload.keys()[0] is a function"],
			[{ set: new Set([Symbol()]) }, "payload.set.values()[0] is a symbol"],
			[{ later: Promise.resolve() }, "payload.later is a Promise that cannot be cloned"],
			[{ map: new WeakMap() }, "payload.map is a WeakMap that cannot be cloned"],
			[deep, "more than 1000 levels deep"],
		];
		for (const [payload, where] of wrong) expect(refusal(payload)).toContain(where);
	});
});

describe("Basket with cloneCodec", () => {
	test("keeps values with their classes, as they were when they were added", async () => {
		const cycle: Record<string, unknown> = { big: 7n };
		cycle.self = cycle;
		const bytes = Uint16Array.of(1, 2);
		const given = { map: new Map([["a", new Set([1])]]), at: new Date(5), bytes, cycle, nothing: undefined, nan: NaN };
		const seen: (typeof given | undefined)[] = [];
		const results: unknown[] = [];
		const run = (payload: typeof given | undefined) => {
			seen.push(payload);
			return payload?.map;
		};
		const basket = new Basket({ store: memoryStore(), codec, retain: Infinity, tasks: { run } });
		await basket.add("run", given, { id: "a" });
		given.map.clear();
		bytes[0] = 0;
		await basket.add("run", undefined, { id: "b" });
		await basket.drain();
		const [first] = seen;
		expect([first!.map.get("a")!.has(1), first!.at.getTime(), first!.nan, seen[1]]).toEqual([true, 5, NaN, undefined]);
		expect(first!.bytes instanceof Uint16Array && first!.bytes[0]).toBe(1);
		expect((first!.cycle.self as typeof cycle).big).toBe(7n);
		results.push((await basket.wait("a")).result, (await basket.get("a"))?.result);
		expect(results.map((result) => (result as typeof given.map).get("a")?.size)).toEqual([1, 1]);
	});

	test("gives each attempt the payload as the one before has left it", async () => {
		const sizes: number[] = [];
		const grow = (set: Set<number>) => {
			sizes.push(set.add(sizes.length).size);
			if (sizes.length < 3) throw retryNow();
		};
		const basket = new Basket({ store: memoryStore(), codec, tasks: { grow } });
		await basket.add("grow", new Set());
		while (sizes.length < 3) await basket.drain();
		expect(sizes).toEqual([1, 2, 3]);
	});

	test("collects items, and gives batches their payloads", async () => {
		const seen: number[][] = [];
		const basket = new Basket({
			store: memoryStore(),
			codec,
			tasks: {
				track: (items: Map<string, number>[]) => seen.push(items.map((item) => item.get("n")!)),
				send: batch({ most: 2 }, (tasks: readonly BatchTask<Set<number>>[]) => {
					seen.push(tasks.flatMap(({ payload }) => [...payload]));
				}),
			},
		});
		for (const n of [1, 2]) {
			await basket.add("track", new Map([["n", n]]), { id: "all", ifPresent: "collect" });
			await basket.add("send", new Set([n + 2]));
		}
		await basket.drain();
		expect(seen.sort()).toEqual([[1, 2], [3, 4]]);
	});

	test("refuses a store that cannot keep such values, and payloads of schedules", async () => {
		const tasks = { run: (_: Map<string, string> | void) => {} };
		const text = '"tasks.run.codec" must be another one, as this store cannot keep cloned values';
		const make = (store: Store<never>) => () => new Basket({ store, tasks, codec });
		expect(make(cannot)).toThrow(text);
		expect(() => new Basket({ store: cannot, tasks: { run: { ...tasks, codec, run: tasks.run } } })).toThrow(text);
		const jobs = [job("one").step("step", { run: () => 1 })];
		expect(() => new Processor({ store: cannot, jobs, codec })).toThrow("cannot keep cloned values");
		const basket = make(memoryStore())();
		const error = await errorOf(basket.schedule("a", "run", new Map(), { every: every(1_000) }));
		expect([error instanceof TypeError, (error as Error).message.includes("must be a string or a Uint8Array")]).toEqual(
			[true, true],
		);
		expect((await basket.schedule("a", "run", undefined, { every: every(1_000) })).added).toBe(true);
		expect(await basket.counts()).toEqual({ waiting: 1, running: 0, held: 0, dead: 0, done: 0 });
	});

	test("live() shows a payload whose JSON has not changed", async () => {
		const { clock } = new Machine();
		const basket = new Basket({ store: memoryStore({ clock }), clock, codec, tasks: { run: (_: Set<number>) => {} } });
		const list = live(basket, {}, { clock });
		list.subscribe(() => {});
		const add = (n: number) => basket.add("run", new Set([n]), { id: "a", ifPresent: "replace", delay: 60_000 });
		for (const n of [1, 2]) {
			await add(n);
			await clock.advance(1_000);
			expect([...list.getSnapshot()![0]!.payload as Set<number>]).toEqual([n]);
		}
	});
});

describe("Processor with cloneCodec", () => {
	test("keeps inputs, results and signals with their classes", async () => {
		const trip = job<Set<number>>("trip")
			.step("map", { run: ({ input }) => new Map([["size", input.size]]) })
			.waitFor("date", { schema: unchecked<Date>() })
			.step("all", { run: ({ results }) => [results.map.get("size"), results.date.getTime()] });
		const processor = new Processor({ store: memoryStore(), jobs: [trip], codec });
		const { id } = await processor.add(trip, new Set([1, 2]));
		await processor.signal(id, "date", new Date(7));
		await processor.drain();
		expect(await processor.wait(id)).toMatchObject({ status: "completed", results: { all: [2, 7] } });
	});
});
