// What a task keeps of its past, and what travels with it.
import { describe, expect, test } from "vitest";
import { later, sleep, stopNow } from "../../mod.ts";
import { errorOf } from "../support.ts";
import { Machine, running } from "./support.ts";

describe("TaskRecord.history", () => {
	test("has the last attempts with their times, workers and errors", async () => {
		const machine = new Machine();
		let calls = 0;
		const work = async () => {
			await sleep(200, { clock: machine.clock });
			if (++calls < 3) throw new TypeError(`no ${calls}`);
		};
		const basket = machine.basket({ work }, { worker: "one", backoff: 1_000, retain: 60_000 });
		const { stop } = running(basket);
		await basket.add("work", undefined, { id: "a" });
		const begin = machine.clock.now();
		await machine.clock.advance(100);
		const now = (await basket.get("a"))!;
		expect([now.run, now.history]).toEqual([{ worker: "one", since: begin }, {
			firstAddedAt: undefined,
			attempts: [],
		}]);
		await machine.clock.advance(5_000);
		const { history, run, state } = (await basket.get("a"))!;
		expect([state, run]).toEqual(["done", undefined]);
		const failed = (attempt: number) => ({ error: { name: "TypeError", message: `no ${attempt}` } });
		expect(history.attempts).toEqual([1, 2, 3].map((attempt) => ({
			attempt,
			startedAt: begin + (attempt - 1) * 1_200,
			endedAt: begin + (attempt - 1) * 1_200 + 200,
			worker: "one",
			error: undefined,
			...attempt < 3 ? failed(attempt) : {},
		})));
		await stop();
	});

	test("stays when a dead task is retried, with the time at which it was first added", async () => {
		const machine = new Machine();
		const work = () => {
			throw stopNow(new Error("no"));
		};
		const basket = machine.basket({ work });
		const { added } = await basket.add("work", undefined, { id: "a" });
		expect(added).toBe(true);
		const { addedAt } = (await basket.get("a"))!;
		for (const count of [1, 2]) {
			await machine.drain(basket);
			await machine.clock.advance(1_000);
			await basket.retry("a");
			const { history, attempts } = (await basket.get("a"))!;
			expect([attempts, history.attempts.length, history.firstAddedAt]).toEqual([0, count, addedAt]);
		}
	});

	test("has the attempts of processes that died", async () => {
		const machine = new Machine();
		const basket = machine.basket({ work: () => {} }, { worker: "next", retain: Infinity });
		await basket.add("work", undefined, { id: "a" });
		const at = machine.clock.now();
		await machine.crash("work", 3_000, "gone");
		const { stop } = running(basket);
		await machine.clock.advance(10_000);
		const { attempts } = (await basket.get("a"))!.history;
		expect(attempts.map(({ attempt, worker, endedAt }) => [attempt, worker, endedAt === undefined])).toEqual([
			[1, "gone", true],
			[2, "next", false],
		]);
		expect(attempts[0]!.startedAt).toBe(at);
		await stop();
	});

	test("is short: the last ten attempts, fewer if their errors are long; no failure is what later() says", async () => {
		const machine = new Machine();
		let calls = 0;
		const basket = machine.basket({
			short: () => {
				throw new Error(`no ${++calls}`);
			},
			long: () => {
				throw new Error("😀".repeat(1_000));
			},
			later: () => {
				throw later(1_000);
			},
		}, { backoff: 1_000, attempts: 25 });
		await basket.addMany(["short", "long", "later"].map((kind) => ({ kind, id: kind }) as never));
		const { stop } = running(basket);
		await machine.clock.advance(60_000);
		const [short, long, put] = await Promise.all(["short", "long", "later"].map((id) => basket.get(id)));
		const numbers = Array.from({ length: 10 }, (_, index) => 16 + index);
		expect(short!.history.attempts.map(({ attempt, error }) => [attempt, error!.message])).toEqual(
			numbers.map((number) => [number, `no ${number}`]),
		);
		expect(long!.history.attempts.length).toBeGreaterThan(3);
		expect((await machine.memory.get("default", "long"))!.history!.length).toBeLessThanOrEqual(2_048);
		expect(long!.history.attempts.at(-1)!.attempt).toBe(25);
		expect(put!.history.attempts).toEqual([]);
		await stop();
	});
});

test("TaskRecord.history leaves out what somebody has damaged, and each part of the rest has its type", async () => {
	const machine = new Machine();
	const basket = machine.basket({ mail: () => {} });
	const good = [1, 5, 6, "a", "Error", "no"];
	const odd = ["\x1b[2J", {}, { tag: "b" }, [[]], true, "5", null, 1e308];
	const one = odd.flatMap((value) => good.map((_, index) => good.with(index, value as never)));
	const texts = [[0, ...odd, ...one, good], odd, {}, null, "x", [[]], [null, good]].map((value) =>
		JSON.stringify(value)
	);
	for (const [index, text] of [...texts, "", "[", "[-1e999,[1,1e308,1e308]]"].entries()) {
		const id = `${index}`;
		await machine.memory.add("default", [{ id, kind: "mail", payload: "{}", delay: 0, priority: 0 }]);
		const { claims } = await machine.memory.turn("default", {
			settle: [],
			claim: [{ kinds: ["mail"], limit: 1 }],
			lease: 30_000,
		});
		const outcome = { type: "dead", attempts: 1, error: "x", history: text } as const;
		await machine.memory.turn("default", { settle: [{ ref: claims[0]!, outcome }], claim: [], lease: 30_000 });
		const { history } = (await basket.get(id))!;
		expect(Number.isFinite(history.firstAddedAt ?? 0)).toBe(true);
		for (const { attempt, startedAt, endedAt, worker, error } of history.attempts) {
			for (const number of [attempt, startedAt, endedAt ?? 0]) expect(Number.isFinite(number)).toBe(true);
			for (const text of [worker ?? "", error?.name ?? "", error?.message ?? ""]) expect(text).toBeTypeOf("string");
		}
		if (index === 0) {
			expect(history.attempts.at(-1)).toMatchObject({ attempt: 1, startedAt: 5, endedAt: 11, worker: "a" });
		}
	}
});

describe("BasketOptions.worker", () => {
	test("is any name by default, and refused if it is too long", async () => {
		const machine = new Machine();
		const work = () => {
			throw stopNow(new Error("no"));
		};
		const names = new Set<string | undefined>();
		for (const id of ["a", "b"]) {
			const basket = machine.basket({ work });
			await basket.add("work", undefined, { id });
			await machine.drain(basket);
			names.add((await basket.get(id))!.history.attempts[0]!.worker);
		}
		expect([names.size, [...names].every((name) => /^[0-9a-z]{1,8}$/.test(name!))]).toEqual([2, true]);
		expect(() => machine.basket({ work }, { worker: "" })).toThrow(`"worker"`);
		expect(() => machine.basket({ work }, { worker: "x".repeat(101) })).toThrow(`"worker"`);
	});
});

describe("AddOptions.meta", () => {
	test("travels with a task, outside of its payload", async () => {
		const machine = new Machine();
		const seen: unknown[] = [];
		const basket = machine.basket({
			work(payload: string, { meta }) {
				seen.push([payload, meta]);
			},
		}, { retain: Infinity });
		await basket.add("work", "p", { id: "a", meta: { trace: "1", user: "ada" } });
		await basket.add("work", "q");
		await basket.addMany([{ kind: "work", payload: "r", meta: { trace: "2" } }]);
		expect((await basket.get("a"))!.meta).toEqual({ trace: "1", user: "ada" });
		await machine.drain(basket);
		expect(seen).toEqual([["p", { trace: "1", user: "ada" }], ["q", {}], ["r", { trace: "2" }]]);
	});

	test("is refused if it is not texts, or too long, and nothing is added", async () => {
		const machine = new Machine();
		const basket = machine.basket({ work: () => {} });
		for (const meta of ["text", null, { a: 1 }, { a: { b: "c" } }]) {
			expect(String(await errorOf(basket.add("work", undefined, { meta: meta as never })))).toMatch(/"meta/);
		}
		const error = await errorOf(basket.add("work", undefined, { meta: { a: "x".repeat(3_000) } }));
		expect(error).toBeInstanceOf(RangeError);
		expect(await basket.counts()).toMatchObject({ waiting: 0 });
		await basket.add("work", undefined, { id: "a", meta: { a: "x".repeat(2_000) } });
		expect((await basket.get("a"))!.meta.a!.length).toBe(2_000);
	});
});
