import fc from "../property.ts";
import { describe, expect, test } from "vitest";
import { Basket, memoryStore, type Store, StoreError, systemClock } from "../../mod.ts";
import type { NewTask } from "../../src/store.ts";
import { Batch } from "../../src/basket/batch.ts";
import { errorOf } from "../support.ts";
import { Machine } from "./support.ts";

/** Errors that mean that nothing is stored. */
const refusals: readonly [string, () => Error][] = [
	["RangeError", () => new RangeError("too large")],
	["TypeError", () => new TypeError("no such type")],
	...(["full", "busy", "refused", "not-open"] as const).map((code): [string, () => Error] => [
		code,
		() => new StoreError(code, "no"),
	]),
];

const revocable = Proxy.revocable({}, {});
revocable.revoke();

/** Thrown values whose members cannot be read. */
const unreadable: readonly (readonly [string, unknown])[] = [
	["a revoked proxy", revocable.proxy],
	[
		"an error whose getters throw",
		Object.create(Error.prototype, {
			code: { get: fail },
			isTransient: { get: fail },
			name: { get: fail },
			message: { get: fail },
		}),
	],
	["null", null],
];

function fail(): never {
	throw new Error("a getter");
}

/** Not the thrown value itself: a promise cannot resolve with it. */
async function isRejected(promise: Promise<unknown>, thrown: unknown): Promise<boolean> {
	return await promise.then(() => false, (error) => Object.is(error, thrown));
}

const patience = { clock: systemClock, limit: 10_000 };

describe("Batch.submit()", () => {
	for (const [name, error] of refusals) {
		test(`lets a caller's own item fail nobody else, if the store says ${name}`, async () => {
			const batch = new Batch<string, string>(async (items) => {
				if (items.includes("bad")) throw error();
				return items.map((item) => item.toUpperCase());
			}, patience);
			const calls = ["a", "bad", "b", "c", "bad", "d"].map((item) => batch.submit([item, item]));
			const results = await Promise.allSettled(calls);
			const wanted = ["A A", undefined, "B B", "C C", undefined, "D D"];
			expect(results.map((result) => result.status === "fulfilled" ? result.value.join(" ") : undefined)).toEqual(
				wanted,
			);
			expect(await batch.submit(["again"])).toEqual(["AGAIN"]);
		});
	}

	test.each(unreadable)("gives each caller what the store has thrown, even %s", async (_, thrown) => {
		const batch = new Batch<string, string>(() => Promise.reject(thrown), patience);
		const ends = await Promise.all(["a", "b"].map((item) => isRejected(batch.submit([item]), thrown)));
		expect(ends).toEqual([true, true]);
	});

	test("repeats nothing after an error that does not say whether it was done", async () => {
		for (const error of [new StoreError("unavailable", "lost"), new Error("what?"), undefined]) {
			let calls = 0;
			const batch = new Batch<string, string>(() => {
				calls++;
				return Promise.reject(error);
			}, patience);
			const results = await Promise.allSettled(["a", "b", "c"].map((item) => batch.submit([item])));
			expect(results.map((result) => result.status === "rejected" && result.reason)).toEqual([error, error, error]);
			expect(calls).toBe(1);
		}
	});

	test("does not let each caller wait for a store that is busy with all of them", async () => {
		let calls = 0;
		const batch = new Batch<number, number>(() => {
			calls++;
			return Promise.reject(new StoreError("busy", "locked"));
		}, patience);
		const results = await Promise.allSettled(Array.from({ length: 100 }, (_, n) => batch.submit([n])));
		expect(results.every((result) => result.status === "rejected" && result.reason.code === "busy")).toBe(true);
		expect(calls).toBe(4);
	});

	test("gives each caller its own results, in order, in calls within all limits but for a caller who alone is over one", async () => {
		const sizes = fc.array(fc.array(fc.nat(9), { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 30 });
		await fc.assert(
			fc.asyncProperty(
				sizes,
				fc.integer({ min: 1, max: 6 }),
				fc.integer({ min: 1, max: 20 }),
				async (callers, most, mostSum) => {
					const sum = (items: readonly number[]) => items.reduce((sum, item) => sum + item, 0);
					const seen: number[] = [];
					const batch = new Batch<number, number>(
						async (items) => {
							const isWithin = items.length <= most && sum(items) <= mostSum;
							const isAlone = callers.some((caller) => caller.join() === items.join());
							expect(isWithin || isAlone).toBe(true);
							seen.push(...items);
							return items.map((item) => -item);
						},
						patience,
						(items) => Math.max(items.length / most, sum(items) / mostSum),
					);
					const results = await Promise.all(callers.map((caller) => batch.submit(caller)));
					expect(results).toEqual(callers.map((caller) => caller.map((item) => -item)));
					expect(seen).toEqual(callers.flat());
				},
			),
		);
	});
});

/** Returns a store with other capabilities. */
function storeWith(capabilities: Partial<Store["capabilities"]>, add?: Store["add"]): Store<never> {
	const store = memoryStore();
	return { ...store, ...add && { add }, capabilities: { ...store.capabilities, ...capabilities } };
}

describe("Basket.add()", () => {
	test("joins calls as far as the store takes their bytes, and refuses nobody for the size of all", async () => {
		const calls: number[] = [];
		const inner = memoryStore();
		const store = storeWith({ maxAddBytes: 100 }, async (basket: string, tasks: readonly NewTask[]) => {
			const bytes = tasks.reduce((sum, { payload }) => sum + payload.length, 0);
			if (bytes > 100) throw new RangeError("too many bytes");
			calls.push(tasks.length);
			return await inner.add(basket, tasks);
		});
		const basket = new Basket({ store, tasks: { a: (_: string) => {} } });
		const added = await Promise.all(Array.from({ length: 20 }, () => basket.add("a", "x".repeat(28))));
		expect(added.every(({ added }) => added)).toBe(true);
		expect(calls).toEqual(Array.from({ length: 7 }, (_, index) => index < 6 ? 3 : 2));
	});

	test("refuses at the door what alone has more bytes than one call takes, in bytes", async () => {
		const basket = new Basket({ store: storeWith({ maxAddBytes: 10 }), tasks: { a: (_: string) => {} } });
		const [large, small] = [basket.add("a", "ääää€"), basket.add("a", "1234")];
		const error = await errorOf(large) as Error;
		expect([error.name, error.message]).toEqual([
			"RangeError",
			"At most 10 bytes of payloads can be added to this store at once: these are 13",
		]);
		expect((await small).added).toBe(true);
		expect((await basket.counts()).waiting).toBe(1);
	});
});

describe("Basket.addMany()", () => {
	test("refuses more bytes than one call takes, and stores none of them", async () => {
		const basket = new Basket({ store: storeWith({ maxAddBytes: 10 }), tasks: { a: (_: string) => {} } });
		const entries = ["123", "456"].map((payload) => ({ kind: "a" as const, payload }));
		expect((await basket.addMany(entries)).length).toBe(2);
		const error = await errorOf(basket.addMany([...entries, entries[0]!]));
		expect((error as Error).message).toContain("At most 10 bytes of payloads");
		expect((await basket.counts()).waiting).toBe(2);
	});

	test("adds 200,000 at once, and wakes the worker for the first of them", async () => {
		const machine = new Machine();
		let ran = 0;
		const basket = machine.basket({ a: () => void ran++ });
		const controller = new AbortController();
		const run = basket.run({ signal: controller.signal });
		await machine.clock.advance(0);
		const entries = Array.from(
			{ length: 200_000 },
			(_, n) => ({ kind: "a" as const, delay: n === 150_000 ? 5 : 1_000_000 }),
		);
		const added = await basket.addMany(entries);
		expect([added.length, added.every(({ added }) => added)]).toEqual([200_000, true]);
		await machine.clock.advance(5);
		expect(ran).toBe(1);
		controller.abort();
		await run;
		expect((await basket.counts()).waiting).toBe(199_999);
	});
});

describe("Basket.run()", () => {
	test.each(unreadable)("rejects with what the store throws again and again, even with %s", async (_, thrown) => {
		const machine = new Machine();
		machine.spied.before = (member) => {
			if (member === "turn") throw thrown;
		};
		const basket = machine.basket({ a: () => {} });
		await basket.add("a");
		const end = isRejected(basket.run(), thrown);
		await machine.clock.advance(3_600_000);
		expect(await end).toBe(true);
	});
});
