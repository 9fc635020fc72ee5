// Helpers for tests of argument checks: hostile values, and the law for the result.
import fc from "./property.ts";
import { describe, expect, test } from "vitest";
import { VirtualClock } from "../src/testing/testing.ts";
import { isLong, isNode } from "./support.ts";

/** The values are the same in each engine. */
const numRuns = isLong || isNode ? 25 : 5;

/** The error that the getters of hostile objects throw. */
export const mine = new Error("of the caller");
const cycle: { self?: unknown } = {};
cycle.self = [cycle];

const thrower = (): never => {
	throw mine;
};

const revoked = Proxy.revocable({}, {});
revoked.revoke();

/** Values that are hostile for every argument. */
const hostile: readonly unknown[] = [
	...[null, true, false, 0, -0, -1, 1, 0.5, NaN, Infinity, -Infinity, 2 ** 53, 1e308, 1n, Symbol("s"), new Date(NaN)],
	...["", "a", " ", "\0", "a\ud83d", "\udc00", "__proto__", "constructor", "x".repeat(200_000), "100", "_1"],
	...[{}, [], Object.create(null), Object.freeze({}), new Map(), new Error("x"), cycle, /x/, Array(200_000).fill(0)],
	...[() => {}, class {}, thrower, Promise.resolve(), { then: thrower }, { aborted: 1 }, { encode: 1 }, { start: -1 }],
	...[{ toString: thrower, valueOf: thrower }, { [Symbol.iterator]: 1 }, { [Symbol.iterator]: thrower }],
	new Proxy({}, { get: thrower, ownKeys: thrower, getPrototypeOf: thrower, has: thrower }),
	new Proxy(() => {}, { get: thrower, apply: thrower }),
	revoked.proxy,
	{ ["__proto__"]: 1, ["constructor"]: 2 },
];

const anything = fc.anything({ maxDepth: 1, withBigInt: true, withDate: true, withMap: true, withNullPrototype: true });

/** Messages of engines for unchecked values. */
const raw =
	/is not a function|is not iterable|not an object|of (null|undefined)|(null|undefined) is not|call stack|reading '|convert|destructur/i;

/** A place where a caller passes a value. */
export interface Door {
	/** The name of the argument in the error. */
	readonly names: RegExp;
	/** Passes the value. The test waits for the result if it settles soon. */
	readonly give: (value: never) => unknown;
	/** Returns the state that a refused call must not change. */
	readonly state?: () => unknown;
	/** Whether the argument may be a symbol or a bigint, which is rare. */
	readonly takesAll?: boolean;
	/** The accepted types in addition to `undefined`, as results of `typeof`. `null` is not accepted. */
	readonly takes?: readonly string[] | undefined;
}

/** Returns the error of a call; `undefined` if it does not fail soon. */
async function refusalOf(give: () => unknown): Promise<{ readonly error: unknown } | undefined> {
	try {
		let isSettled = false;
		const given = Promise.resolve(give()).finally(() => isSettled = true);
		given.catch(() => {});
		// Arguments are checked within a few microtasks.
		for (let turn = 0; turn < 50 && !isSettled; turn++) await Promise.resolve();
		if (isSettled) await given;
	} catch (error) {
		return { error };
	}
}

function expectRefusal(error: unknown, names: RegExp): void {
	if (error === mine) return;
	// Only the engine can detect a revoked proxy.
	const { name, message } = error as Error;
	if (name === "TypeError" && /revoked/.test(message)) return;
	if (names.test(message) && !raw.test(message.replace(/current value is.*/s, "")) && message.length < 1_000) {
		if (name === "TypeError" || name === "RangeError") return;
	}
	throw new Error(`It was refused with ${name}: ${message.slice(0, 300)}`, { cause: error });
}

export function testDoors(title: string, doors: Readonly<Record<string, () => Door>>): void {
	describe(title, () => {
		for (const [argument, open] of Object.entries(doors)) {
			test(`${argument}: whatever is given instead of it is taken or refused by name, and a refusal changes nothing`, async () => {
				const check = async (value: unknown) => {
					const { names, give, state = () => undefined, takesAll = false, takes } = open();
					const before = await state();
					const refusal = await refusalOf(() => give(value as never));
					const type = value === null ? "null" : typeof value;
					const isOfType = takes === undefined || type === "undefined" || takes.includes(type);
					const mustRefuse = !isOfType || !takesAll && (type === "symbol" || type === "bigint");
					if (refusal === undefined && mustRefuse) throw new Error(`It was taken: ${type}`);
					if (refusal === undefined) return;
					expectRefusal(refusal.error, names);
					expect(await state()).toEqual(before);
				};
				const problems = new Set<string>();
				for (const value of hostile) await check(value).catch(({ message }) => problems.add(message));
				expect([...problems]).toEqual([]);
				await fc.assert(fc.asyncProperty(anything, check), { numRuns });
			});
		}
	});
}

export const noop = () => {};
export const clock = new VirtualClock();
/** Options with one hostile value. */
export const one = (name: string, value: unknown) => ({ clock, [name]: value });
/** The clock is the last option, because a single task does not have it. */
export const runnerOptions = [
	...["attempts", "backoff", "timeout", "deadline", "shouldRetry", "onAttemptFailed", "abandonAfter", "unref", "clock"],
];

const other: Record<string, string> = {
	min: "max",
	tasks: "run|kind|schema|codec|crashes|retain|attempts|backoff",
	jobs: "job",
};

/** The type of each option in all functions; absent if the option has several types. */
const types = new Map(
	Object.entries({
		number: [
			...[
				"attempts",
				"timeout",
				"deadline",
				"abandonAfter",
				"concurrency",
				"lease",
				"grace",
				"crashes",
				"retain",
				"min",
			],
			...["max", "idleTimeout", "pollInterval", "busyTimeout", "errorsToTolerate", "interval", "pageSize"],
			...["maxBodySize", "heartbeat", "maxStreams", "maxStreamWaiting", "maxStreamTime"],
			...["startTimeout"],
		],
		function: [
			...["shouldRetry", "onAttemptFailed", "onSettled", "onError", "onFallback", "onEvent", "readConfig", "authorize"],
			...["createWorker", "destroyWorker"],
		],
		object: [
			"store",
			"tasks",
			"codec",
			"gate",
			"clock",
			"signal",
			"fallback",
			"kinds",
			"wake",
			"jobs",
			"trustedOrigins",
		],
		string: ["name", "durability", "schema", "prefix", "basePath"],
		boolean: ["unref"],
	}).flatMap(([type, names]) => names.map((name) => [name, [type]] as const)),
);

/** Returns a door for each option. */
export function options(
	names: readonly string[],
	give: (options: never) => unknown,
): Record<string, () => Door> {
	return Object.fromEntries(names.map((name) => {
		// The error for "min" may name "max".
		const open = () => ({
			names: new RegExp(`"(${name}|${other[name] ?? name})`),
			give: (value: unknown) => give(one(name, value) as never),
			takes: types.get(name),
		});
		return [`options.${name}`, open];
	}));
}

/** Returns the first result of an async iterable. */
export function next(list: unknown): unknown {
	return (list as AsyncIterator<unknown>).next();
}
