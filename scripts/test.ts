// `npm test`: runs the test suite in every engine and reports what passed, failed and did not run. `--help` shows
// the options.
//
// An engine that this machine lacks is "not run". With CI=true this is a failure; an engine that ran no test always fails.
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { type Outcome, runChild } from "./test/child.ts";
import { type Engine, engines, longestFirst, longVariable, root, testFiles } from "./test/engines.ts";
import type { Counts, Source } from "./test/reports.ts";
import { formatCounts, formatTable, judge, notRun, type Result, total } from "./test/results.ts";

interface Request {
	/** The engines to run. */
	names: readonly string[];
	/** Parts of paths of test files; all files if it is empty. */
	paths: readonly string[];
	/** Part of the titles of tests. */
	filter: string | undefined;
	/** How many engines run at the same time. */
	jobs: number;
	/** How long an engine may take, in milliseconds. */
	limit: number;
}

const usage: string = `Runs the one suite in every engine: ${Object.keys(engines).join(", ")}

  npm test                                all engines
  npm test -- --long                      more seeds, more kills, every file in every engine
  npm test -- node deno                   only these engines
  npm test -- test/group/group.test.ts    only files whose path contains this (anything with a "/" or a ".")
  npm test -- --filter "Group.spawn()"    only tests whose title contains this
  npm test -- --jobs 1 --limit 60         one engine at a time (3, with --long 2), each stopped after 60 seconds (600)`;

const request: Request = readArguments(process.argv.slice(2));
const narrowed: boolean = request.paths.length > 0 || request.filter !== undefined;
const strict: boolean = !["", "0", "false"].includes(process.env["CI"] ?? "");
const temporary: string = mkdtempSync(join(tmpdir(), "upkeep-test-"));
chmodSync(temporary, 0o711); // a Postgres that root starts is another user
const running: Set<string> = new Set();
const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => interruption.abort(signal));
process.stdout.on("error", () => interruption.abort("SIGPIPE")); // nobody reads on

const results: Result[] = await runAll().finally(cleanUp);
if (interruption.signal.aborted) leave(`interrupted by ${interruption.signal.reason}`, 130);
const counts: Counts = total(results);
if (narrowed && counts.passed + counts.failed === 0) leave("no test matches", 1);
console.log(`\n${formatTable(results)}\n\n${formatCounts(counts)}`);
process.exitCode = counts.failed === 0 ? 0 : 1;

/** A file that cannot be removed must not delay the results. */
function cleanUp(): void {
	try {
		rmSync(temporary, { recursive: true, force: true, maxRetries: 5 });
	} catch (error) {
		console.error(`test: ${temporary} is left behind: ${(error as Error).message}`);
	}
}

function readArguments(args: string[]): Request {
	const text = { type: "string" } as const;
	const flag = { type: "boolean" } as const;
	try {
		const { values, positionals } = parseArgs({
			args,
			allowPositionals: true,
			options: { filter: text, jobs: text, limit: text, long: flag, help: { ...flag, short: "h" } },
		});
		const { filter, long, jobs = long ? "2" : "3", limit = "600", help } = values;
		if (help) {
			console.log(usage);
			process.exit();
		}
		// The processes of the engines and vitest.config.ts read it, too.
		if (long) process.env[longVariable] = "1";
		const paths = positionals.filter((text) => /[/.]/.test(text));
		const named = positionals.filter((text) => !paths.includes(text));
		return {
			names: choose(named, filter),
			paths,
			filter,
			jobs: toCount("jobs", jobs),
			limit: toCount("limit", limit) * 1000,
		};
	} catch (error) {
		return leave((error as Error).message, 2);
	}
}

/** In the order of the table. Types have no titles, so that a filter leaves them out. */
function choose(named: readonly string[], filter: string | undefined): string[] {
	const all = Object.keys(engines);
	const unknown = named.find((name) => !all.includes(name));
	if (unknown !== undefined) throw new TypeError(`there is no engine "${unknown}", but ${all.join(", ")}`);
	if (named.length > 0) return all.filter((name) => named.includes(name));
	return filter === undefined ? all : all.filter((name) => name !== "types");
}

function toCount(name: string, text: string): number {
	if (!/^[1-9]\d*$/.test(text)) throw new RangeError(`--${name} must be a positive integer, it is "${text}"`);
	return Number(text);
}

async function runAll(): Promise<Result[]> {
	const results = new Map<string, Result>();
	const queue = longestFirst(request.names).values();
	const lane = async (): Promise<void> => {
		for (const name of queue) results.set(name, await run(name, engines[name]!));
	};
	await Promise.all(Array.from({ length: request.jobs }, lane));
	return request.names.map((name) => results.get(name)!);
}

async function run(name: string, engine: Engine): Promise<Result> {
	const files = testFiles(name, request.paths);
	const left = narrowed ? 0 : testFiles(name, [], true).length - files.length;
	const missing = engine.missing();
	if (interruption.signal.aborted) return notRun(name, "interrupted");
	if (missing !== undefined) return tell(notRun(name, missing, strict ? 1 : 0));
	if (files.length === 0) return tell(notRun(name, "it has no such test file", narrowed ? 0 : 1));
	const start = performance.now();
	const { outcome, source } = await startEngine(name, engine, files);
	const result = judge(name, readCounts(engine, source), outcome, narrowed, left);
	return interruption.signal.aborted ? result : tell(result, outcome, performance.now() - start);
}

async function startEngine(
	name: string,
	engine: Engine,
	files: string[],
): Promise<{ outcome: Outcome; source: Source }> {
	const folder = join(temporary, name);
	const report = join(folder, "report");
	mkdirSync(folder);
	running.add(name);
	showRunning();
	const outcome = await runChild(engine.command({ files, report, filter: request.filter }), {
		cwd: root,
		environment: {
			TEST_ENGINE: name,
			DENO_NO_UPDATE_CHECK: "1",
			NODE_COMPILE_CACHE: join(temporary, "compiled"), // programs of the tests start in a quarter of the time
			...colors(),
		},
		temporary: folder,
		limit: request.limit,
		signal: interruption.signal,
	});
	running.delete(name);
	return { outcome, source: { report, output: outcome.output, files } };
}

function readCounts(engine: Engine, source: Source): Counts | undefined {
	try {
		return engine.read(source);
	} catch {
		return undefined; // it crashed before it wrote its report
	}
}

/** The output of the engines goes through a pipe, and is shown on the output of this process. */
function colors(): NodeJS.ProcessEnv {
	return process.stdout.isTTY ? { FORCE_COLOR: "1", NO_COLOR: undefined } : { NO_COLOR: "1", FORCE_COLOR: undefined };
}

/** Prints one line when an engine ends; if it failed, its output comes first. */
function tell(result: Result, outcome?: Outcome, duration?: number): Result {
	const time = duration === undefined ? "" : `${(duration / 1000).toFixed(1)} s`;
	const verdict = result.ran ? formatCounts(result) : `not run: ${result.reason}`;
	clearLine();
	if (result.failed > 0 && outcome !== undefined) console.log(`\n${outcome.output.trim()}\n`);
	const sign = result.failed > 0 ? "✗" : result.ran ? "✓" : "–";
	console.log(`${sign} ${result.name.padEnd(10)}${time.padStart(8)}  ${verdict}`);
	showRunning();
	return result;
}

function showRunning(): void {
	if (!process.stdout.isTTY || running.size === 0) return;
	clearLine();
	process.stdout.write(`… ${[...running].join(", ")}`);
}

function clearLine(): void {
	if (process.stdout.isTTY) process.stdout.write("\r\x1b[2K");
}

function leave(message: string, code: number): never {
	console.error(`test: ${message}`);
	process.exit(code);
}
