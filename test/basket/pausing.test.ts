// Pauses in the store, and changes of many tasks.
import { describe, expect, test } from "vitest";
import type { StoredPause } from "../../mod.ts";
import { errorOf } from "../support.ts";
import { Machine, running } from "./support.ts";

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
	const list: T[] = [];
	for await (const item of items) list.push(item);
	return list;
}

describe("Basket.pause() in the store", () => {
	test("is heeded by all processes, until one of them resumes", async () => {
		const machine = new Machine();
		const runs: string[] = [];
		const tasks = { send: (to: string) => void runs.push(to), count: (what: string) => void runs.push(what) };
		const [one, two, operator] = [machine.basket(tasks), machine.basket(tasks), machine.basket({})];
		expect(await operator.pause({ stored: true, kind: "send" })).toBe(true);
		expect(await operator.pause({ stored: true, kind: "send" })).toBe(false);
		const workers = [running(one), running(two)];
		await one.add("send", "ada");
		await two.add("count", "one");
		await machine.clock.advance(3_600_000);
		expect(runs).toEqual(["one"]);
		expect(await two.pauses()).toEqual({ all: false, kinds: ["send"] });
		const turns = machine.spied.count("turn");
		await machine.clock.advance(3_600_000);
		expect(machine.spied.count("turn") - turns).toBeLessThan(200); // about one a minute each
		expect(await one.resume({ stored: true, kind: "send" })).toBe(true);
		await machine.clock.advance(100);
		expect(runs).toEqual(["one", "ada"]);
		for (const { stop } of workers) await stop();
	});

	test("of all kinds leaves running tasks alone, and lets drain() end", async () => {
		const machine = new Machine();
		const runs: string[] = [];
		const basket = machine.basket({ send: (to: string) => void runs.push(to) });
		await basket.add("send", "ada");
		await basket.pause({ stored: true });
		await machine.drain(basket);
		expect(runs).toEqual([]);
		await basket.resume({ stored: true });
		await machine.drain(basket);
		expect(runs).toEqual(["ada"]);
	});

	test("refuses options that are none", async () => {
		const basket = new Machine().basket({});
		for (const options of [{}, { stored: false }, { kind: "a" }, { stored: true, kind: "" }, null]) {
			expect(await errorOf(basket.pause(options as StoredPause))).toBeInstanceOf(Error);
			expect(await errorOf(basket.resume(options as StoredPause))).toBeInstanceOf(Error);
		}
		expect(await basket.pauses()).toEqual({ all: false, kinds: [] });
	});
});

describe("Basket, changes of many tasks", () => {
	async function filled() {
		const machine = new Machine();
		const runs: string[] = [];
		const basket = machine.basket({
			good: (name: string) => void runs.push(name),
			bad: (name: string) => {
				runs.push(name);
				throw new Error("no");
			},
		}, { attempts: 1, concurrency: 1000 });
		const entries = Array.from(
			{ length: 450 },
			(_, index) => ({ kind: "bad" as const, payload: `bad ${index}`, id: `bad:${index}` }),
		);
		await basket.addMany(entries);
		await machine.drain(basket);
		await basket.addMany(entries.map(({ id }, index) => (
			{ kind: "good", payload: `good ${index}`, id: id.replace("bad", "good"), delay: 60_000, lane: `l${index % 3}` }
		)));
		runs.length = 0;
		return { machine, basket, runs };
	}

	test("retry() of all dead ones, of a kind, of a prefix", async () => {
		const { machine, basket, runs } = await filled();
		expect(await basket.retry({ state: "dead", prefix: "bad:44" })).toBe(11);
		await machine.drain(basket);
		expect(runs).toEqual(["bad 44", ...Array.from({ length: 10 }, (_, index) => `bad ${440 + index}`)]);
		expect(await basket.retry({ kind: "bad" })).toBe(450);
		await machine.drain(basket);
		expect(runs.length).toBe(461);
		expect(await basket.retry({ prefix: "bad" })).toBe(450);
		expect(await basket.retry({ prefix: "good" })).toBe(450);
		await machine.drain(basket);
		expect(await basket.counts()).toMatchObject({ dead: 450, waiting: 0 });
	});

	test("retry() ends although those that it retries die again at once", async () => {
		const { machine, basket } = await filled();
		const { stop } = running(basket);
		const retrying = basket.retry({ state: "dead" });
		await machine.clock.advance(1_000);
		expect(await retrying).toBeLessThanOrEqual(450);
		await stop();
	});

	test("hold() and release() of a lane, delete() and clear() of what a filter selects", async () => {
		const { basket } = await filled();
		expect(await basket.hold({ lane: "l1" })).toBe(150);
		expect(await basket.counts()).toMatchObject({ held: 150, waiting: 300 });
		expect(await basket.release({ lane: "l1", prefix: "good:1" })).toBe(39);
		expect(await basket.delete({ state: "held" })).toBe(111);
		expect(await basket.clear({ kind: "bad", state: "waiting" })).toBe(0);
		expect(await basket.clear({ state: "dead" })).toBe(450);
		expect(await basket.clear()).toBe(339);
		expect(await all(basket.list())).toEqual([]);
	});

	test("refuse filters that are none, and change nothing then", async () => {
		const { basket } = await filled();
		for (
			const filter of [
				{ state: "gone" },
				{ kind: "" },
				{ lane: 5 },
				{ prefix: "_" },
				{ limit: 5 },
				{ order: "newest" },
				{ id: "good:1" },
				["good:1"],
			]
		) {
			for (const verb of ["retry", "hold", "release", "delete", "clear"] as const) {
				if (verb !== "clear") expect(await errorOf(basket[verb]({}))).toBeInstanceOf(TypeError);
				expect(await errorOf((basket[verb] as (filter: object) => Promise<number>)(filter))).toBeInstanceOf(Error);
			}
		}
		expect(await basket.counts()).toMatchObject({ dead: 450, waiting: 450, held: 0 });
	});
});

describe("Basket.list()", () => {
	test("lists the newest first, of a lane, of a prefix", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: (_: number) => {} });
		await basket.addMany(Array.from({ length: 250 }, (_, index) => (
			{ kind: "a", payload: index, id: `${index % 2 === 0 ? "even" : "odd"}:${index}`, lane: `l${index % 5}` }
		)));
		const payloads = async (query: Parameters<typeof basket.list>[0]) =>
			(await all(basket.list(query))).map(({ payload }) => payload);
		expect(await payloads({ order: "newest", limit: 3 })).toEqual([249, 248, 247]);
		expect((await payloads({ order: "newest" })).length).toBe(250);
		expect(await payloads({ lane: "l3", prefix: "odd:", limit: 3 })).toEqual([3, 13, 23]);
		const [record] = await all(basket.list({ order: "newest", lane: "l3", prefix: "odd:", limit: 1 }));
		expect(record!.id).toBe("odd:243");
		const { key } = record!;
		expect(await payloads({ order: "newest", lane: "l3", prefix: "odd:", after: key, limit: 2 })).toEqual([233, 223]);
		expect(await errorOf(all(basket.list({ order: "up" as "newest" })))).toBeInstanceOf(RangeError);
	});
});
