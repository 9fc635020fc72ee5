import fc from "../property.ts";
import { describe, expect, test } from "vitest";
import { jsonCodec } from "../../mod.ts";
import { decodeFailure, encodeFailure } from "../../src/basket/codec.ts";

/** Returns the error message of `encode`; `undefined` if it accepts the payload. */
function refusal(payload: unknown): string | undefined {
	try {
		jsonCodec.encode(payload);
	} catch (error) {
		expect(error instanceof TypeError).toBe(true);
		return (error as Error).message;
	}
}

class Empty {}
class Secret {
	readonly #name = "hidden";
	get name(): string {
		return this.#name;
	}
}
class User {
	readonly id = 7;
}
class Labelled extends Map {
	readonly label = "a property of its own";
}
/** The objects of another frame have another prototype. */
const foreign = Object.assign(Object.create(Object.create(null, { toString: { value: () => "" } })), { a: 1 });
const cycle: Record<string, unknown> = { a: 1 };
cycle.self = { again: [cycle] };

function form(): FormData {
	const form = new FormData();
	form.append("file", new Blob(["x"]));
	return form;
}

describe("jsonCodec.encode()", () => {
	test("refuses what JSON would change or drop, and says where it is", () => {
		const wrong: [unknown, string][] = [
			[{ photo: new Blob(["x"]) }, "payload.photo is a Blob"],
			// Bun gives FormData a toJSON(), and calls a File a Blob.
			[{ form: form() }, "payload.form"],
			[{ file: new File(["x"], "x.txt") }, "payload.file is a"],
			[new Map([[1, 2]]), "payload is a Map"],
			[[1, { seen: new Set() }], "payload[1].seen is a Set"],
			[{ deep: { map: new Labelled() } }, "payload.deep.map is a Labelled"],
			[new ArrayBuffer(1), "payload is an ArrayBuffer"],
			[{ bytes: Uint8Array.of(1) }, "payload.bytes is an Uint8Array"],
			[new DataView(new ArrayBuffer(1)), "payload is a DataView"],
			[{ pattern: /x/ }, "payload.pattern is a RegExp"],
			[{ error: new RangeError("x") }, "payload.error is a RangeError"],
			[{ error: Object.assign(new Error("x"), { code: 1 }) }, "payload.error is an Error"],
			[new WeakMap(), "payload is a WeakMap"],
			[{ later: Promise.resolve() }, "payload.later is a Promise"],
			[{ signal: new AbortController().signal }, "payload.signal is an AbortSignal"],
			[Object("boxed"), "payload is a String"],
			[{ n: NaN }, "payload.n is NaN"],
			[[0, -Infinity], "payload[1] is -Infinity"],
			[{ at: new Date(NaN) }, "payload.at is an invalid Date"],
			[() => {}, "payload is a function"],
			[{ done() {} }, "payload.done is a function"],
			[Symbol("s"), "payload is a symbol"],
			[{ s: Symbol("s") }, "payload.s is a symbol"],
			[{ "odd key": 1n }, `payload["odd key"] is a bigint`],
			[[undefined], "payload[0] is undefined"],
			[{ list: [1, , 3] }, "payload.list[1] is undefined"],
			[{ [Symbol("key")]: 1 }, "payload has the key Symbol(key)"],
			[{ a: { [Symbol.iterator]: 1 } }, "payload.a has the key Symbol(Symbol.iterator)"],
			[{ it: new Empty() }, "payload.it is an Empty"],
			[new Secret(), "payload is a Secret"],
			[Object.create({ inherited: 1 }), "payload is an Object"],
			[cycle, "is more than 1000 levels deep: is there a cycle?"],
			[{ toJSON: () => new Map() }, "payload is a Map"],
			[{ a: { toJSON: () => NaN } }, "payload.a is NaN"],
			[{ toJSON: () => undefined }, "payload is undefined"],
		];
		// In happy-dom the properties of these objects show that they do not belong to the platform.
		if (globalThis.navigator?.userAgent.includes("HappyDOM")) wrong.splice(0, 3);
		for (const [payload, message] of wrong) {
			const said = refusal(payload);
			expect(said).toContain(message);
			expect(said).toContain("The payload cannot be encoded as JSON: payload");
			expect(said!.length < 400).toBe(true);
		}
	});

	test("leaves out properties that are undefined, takes -0 for 0, and heeds toJSON()", () => {
		const at = new Date("2026-01-01");
		const self = Object.assign(Object.create({ toJSON: () => self }), { n: 1 });
		const taken: [unknown, string][] = [
			[undefined, ""],
			[null, "null"],
			["\ud800", `"\\ud800"`],
			[-0, "0"],
			[{ a: undefined, b: 1 }, `{"b":1}`],
			[{ at }, `{"at":"2026-01-01T00:00:00.000Z"}`],
			[new URL("https://example.com"), `"https://example.com/"`],
			[{ hidden: { toJSON: () => undefined }, b: 1 }, `{"b":1}`],
			[{ self }, `{"self":{"n":1}}`],
			[new User(), `{"id":7}`],
			[Object.assign(Object.create(null), { a: 1 }), `{"a":1}`],
			[foreign, `{"a":1}`],
			[JSON.parse(`{"__proto__":{"a":1},"constructor":2}`), `{"__proto__":{"a":1},"constructor":2}`],
			[Object.defineProperty({ a: 1 }, Symbol("hidden"), { value: 1 }), `{"a":1}`],
		];
		for (const [payload, text] of taken) expect(jsonCodec.encode(payload)).toBe(text);
	});

	test("takes whatever comes back as it was, and nothing else", () => {
		const values = fc.anything({
			maxDepth: 2,
			size: "xsmall",
			withBigInt: true,
			withDate: true,
			withMap: true,
			withSet: true,
			withNullPrototype: true,
			withObjectString: true,
			withSparseArray: true,
			withTypedArray: true,
			withUnicodeString: true,
		} as never);
		fc.assert(fc.property(values, (payload) => {
			const said = refusal(payload);
			if (said !== undefined) return said.startsWith("The payload cannot be encoded as JSON: payload");
			expect(jsonCodec.decode(jsonCodec.encode(payload) as string)).toEqual(plain(payload));
		}));
	});
});

/** Returns a payload in its documented form after decoding. Throws for a payload that must be refused. */
function plain(value: unknown): unknown {
	if (Array.isArray(value)) return Array.from(value, (part) => part === undefined ? refuse("a hole") : plain(part));
	if (typeof value === "number") return Number.isFinite(value) ? value + 0 : refuse(value);
	if (value instanceof Date) return Number.isNaN(value.getTime()) ? refuse(value) : value.toISOString();
	if (typeof value !== "object" || value === null) {
		return ["string", "boolean", "object", "undefined"].includes(typeof value) ? value : refuse(value);
	}
	if (Object.prototype.toString.call(value) !== "[object Object]") refuse(value);
	const entries = Object.entries(value).filter(([, part]) => part !== undefined);
	return Object.fromEntries(entries.map(([key, part]) => [key, plain(part)]));
}

function refuse(value: unknown): never {
	throw new Error(`It must not be taken: ${String(value)}`);
}

describe("encodeFailure()", () => {
	/** Returns the stored form of a thrown value. */
	const stored = (error: unknown) => decodeFailure(encodeFailure(error));

	test("keeps name, message and code of errors, and of whatever looks like one", () => {
		const error = Object.assign(new TypeError("bad"), { code: "ERR_BAD" });
		expect(stored(error)).toMatchObject({
			name: "TypeError",
			message: "bad",
			code: "ERR_BAD",
			stack: error.stack!.slice(0, 2_000),
		});
		expect(stored({ name: "HttpError", message: "gone", code: 410 })).toEqual({
			name: "HttpError",
			message: "gone",
			code: 410,
		});
		expect(stored({ message: "only that", code: "23505" })).toEqual({
			name: "Error",
			message: "only that",
			code: "23505",
		});
		expect(stored(new DOMException("late", "TimeoutError"))).toMatchObject({ name: "TimeoutError", message: "late" });
		expect(stored({ code: 7 })).toEqual({ name: "Error", message: `{"code":7}`, code: 7 });
		expect(stored(Object.assign(Object.create(null), { message: "bare" }))).toEqual({ name: "Error", message: "bare" });
	});

	test("keeps the JSON of any other object, and of all else what String() makes of it", () => {
		const loop: Record<string, unknown> = { id: 1n, part: { n: 2 } };
		loop.self = loop;
		const cases: [unknown, string][] = [
			[{ status: 500, body: { why: "x" } }, `{"status":500,"body":{"why":"x"}}`],
			[loop, `{"id":"1","part":{"n":2}}`],
			[[1, [2]], "[1,[2]]"],
			[{ message: 42 }, `{"message":42}`],
			[new Map(), "[object Map]"],
			["text", "text"],
			[undefined, "undefined"],
			[null, "null"],
			[Symbol("s"), "Symbol(s)"],
			[7n, "7"],
		];
		for (const [thrown, message] of cases) expect(stored(thrown)).toMatchObject({ name: "Error", message });
	});

	test("is bounded, and never ends in half a surrogate pair", () => {
		const long = "😀".repeat(1_000_000);
		const failure = stored({ name: `x${long}`, message: `x${long}`, code: `x${long}`, stack: `x${long}` })!;
		expect([failure.name.length, failure.message.length, String(failure.code).length, failure.stack!.length]).toEqual(
			[199, 999, 199, 1_999],
		);
		for (const text of Object.values(failure)) expect(/\p{Surrogate}/u.test(String(text))).toBe(false);
		expect(stored({ data: long })!.message.length <= 1_000).toBe(true);
		expect(stored(long)!.message.length <= 1_000).toBe(true);
	});

	test("never throws", () => {
		const thrower = () => {
			throw new Error("not this");
		};
		const evil = [
			new Proxy({}, { get: thrower }),
			{
				get message() {
					return thrower();
				},
			},
			{ toJSON: thrower },
			{ toString: thrower, toJSON: () => undefined },
			Object.assign(Object.create(null), { toJSON: () => undefined }),
		];
		for (const thrown of evil) {
			expect(stored(thrown)).toMatchObject({ name: "Error", message: "An error that cannot be shown" });
		}
	});
});

describe("decodeFailure()", () => {
	test("takes for a message what is no failure, or was edited", () => {
		for (const text of ["", "plain", "null", "7", `{"message":1}`, `{"name":1,"message":"x"}`, `{"message":"x"}`]) {
			expect(decodeFailure(text)).toEqual({ name: "Error", message: text });
		}
		const edited = `{"name":"E","message":"x","delay":"soon"}`;
		expect(decodeFailure(edited)).toEqual({ name: "E", message: "x" });
		expect(decodeFailure(`{"name":"E","message":"x","delay":-1}`)).toEqual({ name: "E", message: "x" });
		expect(decodeFailure(`{"name":"E","message":"x","delay":5}`)).toEqual({ name: "E", message: "x", delay: 5 });
		expect(decodeFailure(undefined)).toBe(undefined);
	});
});
