// Lets `deno test` run the suite natively: deno.json maps "vitest" to this file. Each test is registered with Deno
// under its full title ("suite > test"), so that the filter, the report and the skips of Deno refer to tests, not to
// suites. `expect`, `vi` and `expectTypeOf` come from Vitest. The shim contains the common features of Vitest, Bun
// and Deno. Rejected: the node:test of Deno, which reports a suite as a further test and a skipped suite as a single
// test.
import * as vitest from "npm:vitest@5.1.0";

type Vitest = typeof vitest;
type Body = (...values: never[]) => unknown;
type Hook = () => unknown;
type Register = (title: string, mode: Mode, body: Body | undefined, timeout: number | undefined) => void;
type Argument = Body | number | { timeout?: number } | undefined;

interface Mode {
	skip?: boolean;
	only?: boolean;
}

interface Suite {
	title: string;
	mode: Mode;
	parent: Suite | undefined;
	beforeAll: Hook[];
	beforeEach: Hook[];
	afterEach: Hook[];
	afterAll: Hook[];
	/** The beforeAll hooks, when they have started. */
	opening: Promise<void> | undefined;
	/** The number of tests that must run before the afterAll hooks. */
	remaining: number;
}

// Tests may replace the global functions.
const { setTimeout, clearTimeout } = globalThis;
/** In milliseconds, as in scripts/test/engines.ts. */
const defaultTimeout = 60_000;
const whole: Suite = createSuite("", {}, undefined);
/** The suite whose body is running. New tests and hooks belong to it. */
let current: Suite = whole;
/** The suites whose beforeAll hooks have run and whose afterAll hooks have not, outer ones before inner ones. */
const opened: Set<Suite> = new Set();
/** The hooks that run at the end of the running test. */
let finishers: Hook[] = [];

export const test: Vitest["test"] = createRegistrar(registerTest, {}) as unknown as Vitest["test"];
export const it: Vitest["it"] = test;
export const describe: Vitest["describe"] = createRegistrar(registerSuite, {}) as unknown as Vitest["describe"];
export const beforeAll: Vitest["beforeAll"] = (hook) => void current.beforeAll.push(hook as Hook);
export const beforeEach: Vitest["beforeEach"] = (hook) => void current.beforeEach.push(hook as Hook);
export const afterEach: Vitest["afterEach"] = (hook) => void current.afterEach.unshift(hook as Hook);
export const afterAll: Vitest["afterAll"] = (hook) => void current.afterAll.unshift(hook as Hook);
export const onTestFinished: Vitest["onTestFinished"] = (hook) => void finishers.unshift(hook as Hook);
export const expect: Vitest["expect"] = vitest.expect;
export const expectTypeOf: Vitest["expectTypeOf"] = vitest.expectTypeOf;
export const vi: Vitest["vi"] = vitest.vi;

// With a filter or `only`, the last test of a suite may not run.
Deno.test.afterAll(async () => {
	for (const suite of [...opened].reverse()) await close(suite);
});

/** Creates `test` or `describe` with all of its properties. For example, `test.skip.each` registers skipped tests. */
function createRegistrar(register: Register, mode: Mode): unknown {
	const change = (more: Mode): unknown => createRegistrar(register, { ...mode, ...more });
	const registrar = (title: string, first?: Argument, second?: Argument): void => {
		const [body, options] = typeof first === "function" ? [first, second] : [second as Body | undefined, first];
		register(title, mode, body, typeof options === "object" ? options.timeout : options as number | undefined);
	};
	const lazily = (more: Mode): PropertyDescriptor => ({ get: () => change(more) });
	Object.defineProperties(registrar, {
		skip: lazily({ skip: true }),
		todo: lazily({ skip: true }),
		only: lazily({ only: true }),
	});
	return Object.assign(registrar, {
		skipIf: (condition: unknown) => condition ? change({ skip: true }) : registrar,
		runIf: (condition: unknown) => condition ? registrar : change({ skip: true }),
		each: (rows: readonly unknown[]) => (title: string, body: Body, timeout?: number) =>
			rows.forEach((row, index) => {
				const values = (Array.isArray(row) ? row : [row]) as never[];
				register(formatTitle(title, values, index), mode, () => body(...values), timeout);
			}),
	});
}

function registerSuite(title: string, mode: Mode, body: Body | undefined): void {
	const outer = current;
	current = createSuite(title, { ...outer.mode, ...mode }, outer);
	try {
		body?.();
	} finally {
		current = outer;
	}
}

function registerTest(title: string, mode: Mode, body: Body | undefined, timeout: number = defaultTimeout): void {
	const suites = lineage(current);
	const { skip = false, only = false } = { ...current.mode, ...mode };
	const ignore = skip || body === undefined;
	if (!ignore) suites.forEach((suite) => suite.remaining++);
	Deno.test({
		name: [...suites.slice(1).map((suite) => suite.title), title].join(" > "),
		ignore,
		only,
		sanitizeOps: false, // the other engines have no such check, and the suite checks for leaks itself
		sanitizeResources: false,
		fn: () => runTest(suites, body!, timeout),
	});
}

async function runTest(suites: Suite[], body: Body, timeout: number): Promise<void> {
	finishers = [];
	const inwards = suites.flatMap((suite) => suite.beforeEach);
	const outwards = suites.toReversed();
	try {
		for (const suite of suites) await open(suite);
		await runHooks(inwards);
		await within(timeout, (body as Hook)());
	} finally {
		await runHooks(outwards.flatMap((suite) => suite.afterEach));
		await runHooks(finishers);
		for (const suite of outwards) if (--suite.remaining === 0) await close(suite);
	}
}

/** Runs the beforeAll hooks of a suite once. If they fail, every test of the suite fails. */
function open(suite: Suite): Promise<void> {
	opened.add(suite);
	return suite.opening ??= runHooks(suite.beforeAll);
}

async function close(suite: Suite): Promise<void> {
	if (opened.delete(suite)) await runHooks(suite.afterAll);
}

async function runHooks(hooks: Iterable<Hook>): Promise<void> {
	for (const hook of hooks) await hook();
}

function within(timeout: number, work: unknown): Promise<void> {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(() => reject(new Error(`Test timed out in ${timeout} ms`)), timeout);
		Promise.resolve(work).then(() => resolve(), reject).finally(() => clearTimeout(timer));
	});
}

/** Returns a suite and its enclosing suites, the outermost first. */
function lineage(suite: Suite): Suite[] {
	return suite.parent === undefined ? [suite] : [...lineage(suite.parent), suite];
}

function createSuite(title: string, mode: Mode, parent: Suite | undefined): Suite {
	const hooks = { beforeAll: [], beforeEach: [], afterEach: [], afterAll: [] };
	return { title, mode, parent, ...hooks, opening: undefined, remaining: 0 };
}

/**
 * Replaces `%s` and similar placeholders by the values in turn, `%#` by the index of the row, and `$name` by a
 * property of a row object.
 */
function formatTitle(title: string, values: readonly unknown[], index: number): string {
	const rest = [...values];
	return title
		.replace(
			/%([sdifjoO#%])/g,
			(_match, kind: string) => formatters[kind]?.(rest.shift()) ?? (kind === "#" ? `${index}` : "%"),
		)
		.replace(/\$(\w+)/g, (match, name: string) => {
			const row = values[0];
			return row instanceof Object && name in row ? String(row[name as keyof typeof row]) : match;
		});
}

const inspect = (value: unknown): string => Deno.inspect(value);
const formatters: Record<string, (value: unknown) => string> = {
	s: String,
	d: (value) => String(Number(value)),
	i: (value) => String(Math.trunc(Number(value))),
	f: (value) => String(Number(value)),
	j: (value) => JSON.stringify(value),
	o: inspect,
	O: inspect,
};
