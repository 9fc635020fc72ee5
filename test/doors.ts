// What the tests of the doors share: what nobody expects, and the law for what comes of it.
import fc from "./property.ts";
import { describe, expect, test } from "vitest";
import { VirtualClock } from "../src/testing/testing.ts";

/** What the getters of hostile objects throw. */
export const mine = new Error("of the caller");
const cycle: { self?: unknown } = {};
cycle.self = [cycle];

const thrower = (): never => {
	throw mine;
};

const revoked = Proxy.revocable({}, {});
revoked.revoke();

/** What nobody expects, each time. */
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

/** How an engine speaks of a value that it was not prepared for. */
const raw =
	/is not a function|is not iterable|not an object|of (null|undefined)|(null|undefined) is not|call stack|reading '|convert|destructur/i;

/** One place where a caller gives something. */
export interface Door {
	/** Whose error names the argument so. */
	readonly names: RegExp;
	/** Gives it. What it returns is waited for if it comes soon. */
	readonly give: (value: never) => unknown;
	/** What must be as before if it was refused. */
	readonly state?: () => unknown;
	/** Whether a symbol and a bigint may be given, which is so almost nowhere. */
	readonly takesAll?: boolean;
	/** The only types, as `typeof` has them, that may be taken, besides `undefined`; `null` is none of them. */
	readonly takes?: readonly string[] | undefined;
}

/** What a call has come to: an error, or nothing for a while. */
async function refusalOf(give: () => unknown): Promise<{ readonly error: unknown } | undefined> {
	try {
		let isSettled = false;
		const given = Promise.resolve(give()).finally(() => isSettled = true);
		given.catch(() => {});
		// Whatever checks its arguments does that soon.
		for (let turn = 0; turn < 50 && !isSettled; turn++) await Promise.resolve();
		if (isSettled) await given;
	} catch (error) {
		return { error };
	}
}

function expectRefusal(error: unknown, names: RegExp): void {
	if (error === mine) return;
	// Only an engine knows that a proxy is revoked.
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
				await fc.assert(fc.asyncProperty(anything, check), { numRuns: 25 });
			});
		}
	});
}

export const noop = () => {};
export const clock = new VirtualClock();
/** Options of which one is hostile. */
export const one = (name: string, value: unknown) => ({ clock, [name]: value });
/** With the clock last, which a single task has not. */
export const runnerOptions = [
	...["attempts", "backoff", "timeout", "deadline", "shouldRetry", "onAttemptFailed", "abandonAfter", "unref", "clock"],
];

const other: Record<string, string> = {
	min: "max",
	tasks: "run|kind|schema|codec|crashes|retain|attempts|backoff",
	jobs: "job",
};

/** Of which type an option is, whoever has it; absent: of several. */
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

/** A door for each of some options. */
export function options(
	names: readonly string[],
	give: (options: never) => unknown,
): Record<string, () => Door> {
	return Object.fromEntries(names.map((name) => {
		// Whoever gives "min" may be told of "max".
		const open = () => ({
			names: new RegExp(`"(${name}|${other[name] ?? name})`),
			give: (value: unknown) => give(one(name, value) as never),
			takes: types.get(name),
		});
		return [`options.${name}`, open];
	}));
}

/** The first step of a list. */
export function next(list: unknown): unknown {
	return (list as AsyncIterator<unknown>).next();
}
