import { describe, expect, test } from "vitest";
import { Basket, later, limit, type LimitOptions, memoryStore, retryAfter } from "../../mod.ts";

describe("limit()", () => {
	test("takes atOnce, a rate or both, and does not round", () => {
		expect(limit({ atOnce: 2 }).bounds).toEqual({ atOnce: 2, spacing: 0, burst: 1 });
		expect(limit({ rate: { tasks: 3, per: 1_000 } }).bounds).toEqual({
			atOnce: Infinity,
			spacing: 1_000 / 3,
			burst: 1,
		});
		const both = limit({ atOnce: 1, rate: { tasks: 100, per: 60_000, burst: 5 } });
		expect(both.bounds).toEqual({ atOnce: 1, spacing: 600, burst: 5 });
	});

	test("limits the whole kind without a key, and otherwise what the key returns for the payload", () => {
		expect(limit({ atOnce: 1 }).keyOf({ tenant: "a" })).toBe("");
		const byTenant = limit({ key: ({ tenant }: { tenant: string }) => tenant, atOnce: 1 });
		expect(byTenant.keyOf({ tenant: "ä".repeat(255) })).toBe("ä".repeat(255));
	});

	const rate = { tasks: 1, per: 1 };
	const refused: [what: string, options: unknown, error: ErrorConstructor, text: string][] = [
		["nothing", undefined, TypeError, "options"],
		["null", null, TypeError, "options"],
		["a number", 2, TypeError, "options"],
		["neither of both", {}, TypeError, "atOnce"],
		["a key alone", { key: () => "a" }, TypeError, "atOnce"],
		["an infinite atOnce alone", { atOnce: Infinity }, TypeError, "atOnce"],
		["atOnce of 0", { atOnce: 0 }, RangeError, "atOnce"],
		["a negative atOnce", { atOnce: -1 }, RangeError, "atOnce"],
		["a broken atOnce", { atOnce: 1.5 }, RangeError, "atOnce"],
		["atOnce of NaN", { atOnce: NaN, rate }, RangeError, "atOnce"],
		["atOnce as text", { atOnce: "2" }, TypeError, "atOnce"],
		["a bigint", { atOnce: 2n }, TypeError, "atOnce"],
		["a key that is no function", { key: "tenant", atOnce: 1 }, TypeError, "key"],
		["a rate that is a number", { rate: 10 }, TypeError, "rate"],
		["a rate of null", { rate: null }, TypeError, "rate"],
		["an empty rate", { rate: {} }, TypeError, "rate.tasks"],
		["no time", { rate: { tasks: 1 } }, TypeError, "rate.per"],
		["0 tasks", { rate: { ...rate, tasks: 0 } }, RangeError, "rate.tasks"],
		["negative tasks", { rate: { ...rate, tasks: -5 } }, RangeError, "rate.tasks"],
		["half a task", { rate: { ...rate, tasks: 0.5 } }, RangeError, "rate.tasks"],
		["infinitely many tasks", { rate: { ...rate, tasks: Infinity } }, RangeError, "rate.tasks"],
		["a time of 0", { rate: { ...rate, per: 0 } }, RangeError, "rate.per"],
		["a negative time", { rate: { ...rate, per: -1 } }, RangeError, "rate.per"],
		["an infinite time", { rate: { ...rate, per: Infinity } }, RangeError, "rate.per"],
		["a time of NaN", { rate: { ...rate, per: NaN } }, RangeError, "rate.per"],
		["a time of a century", { rate: { ...rate, per: 3_155_760_000_000 } }, RangeError, "rate"],
		["a burst of 0", { rate: { ...rate, burst: 0 } }, RangeError, "rate.burst"],
		["a broken burst", { rate: { ...rate, burst: 1.5 } }, RangeError, "rate.burst"],
		["an infinite burst", { rate: { ...rate, burst: Infinity } }, RangeError, "rate.burst"],
		["a burst of decades", { rate: { tasks: 1, per: 86_400_000, burst: 10_000 } }, RangeError, "rate"],
	];
	test.each(refused)("refuses %s", (_, options, error, text) => {
		const refusal = () => limit(options as LimitOptions<unknown>);
		expect(refusal).toThrow(error);
		expect(refusal).toThrow(text);
	});

	const keys: [what: string, key: unknown, error: ErrorConstructor][] = [
		["a number", 5, TypeError],
		["undefined", undefined, TypeError],
		["a promise", Promise.resolve("a"), TypeError],
		["an empty text", "", RangeError],
		["256 characters", "x".repeat(256), RangeError],
		["NUL", "a\0b", RangeError],
		["half a surrogate pair", "😀".slice(0, 1), TypeError],
	];
	test.each(keys)("refuses a key that is %s, with a text that names it", (_, key, error) => {
		const { keyOf } = limit({ key: () => key as string, atOnce: 1 });
		expect(() => keyOf("payload")).toThrow(error);
		expect(() => keyOf("payload")).toThrow("limit.key()");
	});
});

describe("Basket", () => {
	test("refuses a limit that limit() has not made", () => {
		for (const limit of [{ atOnce: 2 }, 2, null, "2", () => {}]) {
			const create = () => new Basket({ store: memoryStore(), tasks: { a: { run: () => {}, limit: limit as never } } });
			expect(create).toThrow(TypeError);
			expect(create).toThrow("limit()");
		}
	});
});

describe("later() and retryAfter()", () => {
	test("refuse options that are none", () => {
		for (const hint of [later, retryAfter]) {
			expect(() => hint(1, undefined, null as never)).toThrow(TypeError);
			expect(() => hint(1, undefined, true as never)).toThrow("options");
			expect(() => hint(1, undefined, { limit: "yes" as never })).toThrow("limit");
			expect(() => hint(-1, undefined, { limit: true })).toThrow("delay");
		}
	});
});
