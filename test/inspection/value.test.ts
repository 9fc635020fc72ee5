import { describe, expect, test } from "vitest";
import { previewOf, showValue } from "../../src/inspection/value.ts";

/** What reaches the client. */
function sent(value: unknown, limit?: number): unknown {
	return JSON.parse(JSON.stringify(showValue(value, limit)));
}

describe("the shown value", () => {
	test("is the value itself if it is JSON", () => {
		for (const value of [null, true, 0, -1.5, "", "ü🚀", [], {}, [[1], { a: [null] }], { a: { b: "c" }, "": 1 }]) {
			expect(sent(value)).toEqual({ value, isCut: false });
		}
		expect(sent(undefined)).toEqual({ isCut: false });
		const strange = JSON.parse('{"__proto__":{"a":1},"constructor":2,"toJSON":3}');
		expect(JSON.stringify(showValue(strange).value)).toBe('{"__proto__":{"a":1},"constructor":2,"toJSON":3}');
	});

	test("is cut whatever is long", () => {
		const long = "1".repeat(5_000);
		for (
			const value of [long, BigInt(long), Symbol(long), [long], { [long]: 1 }, new Error(long), new Map([[long, long]])]
		) {
			expect(JSON.stringify(sent(value, 1_000)).length).toBeLessThan(1_500);
			expect(showValue(value, 1_000).isCut).toBe(true);
		}
	});

	test("describes in words what JSON does not have", () => {
		const cycle: { self?: unknown } = {};
		cycle.self = [cycle];
		const rows: [unknown, unknown][] = [
			[NaN, "NaN"],
			[-Infinity, "-Infinity"],
			[12n, "12n"],
			[() => 1, "(function)"],
			[[undefined, Symbol("s")], ["undefined", "Symbol(s)"]],
			[{ a: undefined, b: 1 }, { b: 1 }],
			[new Uint8Array(3), "(Uint8Array of 3 bytes)"],
			[new Float64Array(2), "(Float64Array of 16 bytes)"],
			[new ArrayBuffer(4), "(ArrayBuffer of 4 bytes)"],
			[new Blob(["ab"], { type: "image/png" }), "(Blob of 2 bytes, image/png)"],
			[new Map<unknown, unknown>([["a", { b: 1 }]]), { "Map of 1": [["a", { b: 1 }]] }],
			[new Set([1, 2]), { "Set of 2": [1, 2] }],
			[new Date(0), "1970-01-01T00:00:00.000Z"],
			[new Date(NaN), "(an invalid Date)"],
			[new TypeError("no"), "TypeError: no"],
			[/a/g, "/a/g"],
			[new URL("https://example.com/"), "https://example.com/"],
			[cycle, { self: ["(a cycle)"] }],
			[{ toJSON: () => ({ a: 1 }) }, { a: 1 }],
		];
		for (const [value, shown] of rows) expect(sent(value)).toEqual({ value: shown, isCut: false });
		if (typeof File !== "undefined") {
			expect(sent(new File(["abc"], "a.txt"))).toMatchObject({ value: '(File "a.txt" of 3 bytes)' });
		}
		const twice = { a: 1 };
		expect(sent([twice, twice])).toEqual({ value: [{ a: 1 }, { a: 1 }], isCut: false });
	});

	test("never throws, whatever the value does", () => {
		const thrower = () => {
			throw new Error("mine");
		};
		const { proxy, revoke } = Proxy.revocable({}, {});
		revoke();
		const hostile = [
			{
				get a() {
					return thrower();
				},
			},
			{ toJSON: thrower },
			new Proxy({}, { ownKeys: thrower, get: thrower, getPrototypeOf: thrower }),
			proxy,
			Object.create(null),
			Object.defineProperty(new Uint8Array(1), "constructor", { get: thrower }),
		];
		for (const value of hostile) expect(typeof JSON.stringify(showValue({ value }))).toBe("string");
		const endless = { toJSON: () => endless };
		expect(typeof JSON.stringify(showValue(endless))).toBe("string");
	});

	test("is cut where it is long or deep, says where, and stays about as long as the limit", () => {
		expect(sent("x".repeat(100), 50)).toEqual({ value: `${"x".repeat(48)}… (100 characters)`, isCut: true });
		const many = sent(Array.from({ length: 100_000 }, (_, index) => ({ index })), 1_000) as {
			value: unknown[];
			isCut: boolean;
		};
		expect([many.isCut, many.value.at(-1)]).toEqual([true, expect.stringMatching(/^… \d+ more$/)]);
		expect(JSON.stringify(many).length).toBeLessThan(3_000);
		const wide = sent(Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`k${index}`, "v"])), 1_000);
		expect(wide).toMatchObject({ isCut: true, value: { k0: "v", "…": expect.stringMatching(/more$/) } });
		let deep: unknown = 1;
		for (let level = 0; level < 100_000; level++) deep = [deep];
		expect(sent(deep)).toMatchObject({ isCut: true });
		expect(JSON.stringify(sent({ payload: "y".repeat(10_000_000) })).length).toBeLessThan(66_000);
		expect(JSON.stringify(showValue("a🚀".repeat(100), 50).value)).not.toMatch(/\\ud83d"/);
	});

	test("is 200 characters in a list", () => {
		expect(previewOf(undefined)).toBe("");
		expect(previewOf({ to: "ada" })).toBe('{"to":"ada"}');
		expect([previewOf("x".repeat(1_000)).length, previewOf("x".repeat(1_000)).at(-1)]).toEqual([200, "…"]);
		expect(previewOf("🚀".repeat(200))).not.toMatch(/\p{Surrogate}/u);
	});
});
