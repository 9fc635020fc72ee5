// The command line as its users run it: a process of its own, in the runtime that runs this test, mostly in a pipe.
import { afterEach, describe, expect, test } from "vitest";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { sqliteStore } from "upkeep/stores/sqlite";

const file = fileURLToPath(new URL("../../../src/cli.ts", import.meta.url));
const prefix = "Deno" in globalThis ? ["run", "--quiet", "--allow-all", "--no-lock", "--no-check", file] : [file];
const timeout = 60_000;
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
	for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A process that runs the command line, perhaps in a terminal. */
class Cli {
	readonly child: ChildProcess;
	text = "";
	errors = "";
	#onText = () => {};
	/** Its exit code, or the signal that ended it. */
	readonly ended: Promise<unknown>;

	constructor(
		args: readonly string[],
		{ env = {}, columns = 0 }: { env?: Record<string, string>; columns?: number } = {},
	) {
		const { NO_COLOR: _1, UPKEEP_DB: _2, FORCE_COLOR: _3, ...rest } = process.env;
		const command = [process.execPath, ...prefix, ...args];
		const line = `stty cols ${columns} rows 20; exec ${command.map((word) => `'${word}'`).join(" ")}`;
		const [program, ...words] = columns === 0 ? command : ["script", "-qefc", line, "/dev/null"];
		this.child = spawn(program!, words, { env: { ...rest, TERM: "xterm", ...env } });
		cleanups.push(() => this.child.kill("SIGKILL"));
		this.child.stdout!.setEncoding("utf8").on("data", (text: string) => {
			this.text += text;
			this.#onText();
		});
		this.child.stderr!.setEncoding("utf8").on("data", (text: string) => this.errors += text);
		this.child.stdin!.on("error", () => {}); // it may be gone before it has read anything
		this.ended = once(this.child, "close").then(([code, signal]) => {
			this.#onText();
			return signal ?? code;
		});
	}

	/** Resolves once this was printed; rejects if it ends without that. */
	async printed(pattern: RegExp): Promise<void> {
		for (let isOver = false; !pattern.test(this.text);) {
			if (isOver) throw new Error(`${pattern} was not printed:\n${this.text}\n${this.errors}`);
			const text = new Promise<boolean>((resolve) => this.#onText = () => resolve(false));
			isOver = await Promise.race([text, this.ended.then(() => true)]);
		}
	}
}

async function run(
	args: readonly string[],
	options?: ConstructorParameters<typeof Cli>[1],
): Promise<[unknown, string, string]> {
	const cli = new Cli(args, options);
	cli.child.stdin!.end();
	const code = await cli.ended;
	return [code, cli.text, cli.errors];
}

/** Runs it, and reads the JSON lines that it prints. */
// deno-lint-ignore no-explicit-any -- a test says what it expects
async function read(...args: string[]): Promise<any[]> {
	const [code, text, errors] = await run(args);
	expect([code, errors]).toEqual([0, ""]);
	return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

async function folder(): Promise<string> {
	const path = await mkdtemp(join(tmpdir(), "cli-test-"));
	cleanups.push(() => rm(path, { recursive: true, force: true, maxRetries: 5 }));
	return path;
}

/** A file with 3 dead tasks, one that waits and has evil text, and one of another basket. */
async function createDatabase(): Promise<{ path: string; db: DatabaseSync; store: ReturnType<typeof sqliteStore> }> {
	const path = join(await folder(), "tasks.db");
	const db = new DatabaseSync(path);
	cleanups.push(() => db.isOpen && db.close());
	db.exec("PRAGMA journal_mode = WAL");
	const store = sqliteStore(db);
	await store.open();
	const task = { kind: "mail", payload: `{"to":"ada"}`, delay: 0, priority: 0 };
	await store.add("default", ["a", "b", "c"].map((id) => ({ ...task, id })));
	const { claims } = await store.turn("default", { settle: [], claim: [{ kinds: ["mail"], limit: 3 }], lease: 1_000 });
	const outcome = { type: "dead", attempts: 1, error: `{"name":"Error","message":"no such user"}` } as const;
	await store.turn("default", { settle: claims.map((ref) => ({ ref, outcome })), claim: [], lease: 1_000 });
	await store.add("default", [{
		...task,
		id: "evil\x1b[2J",
		kind: "sms",
		payload: "\x1b]0;title\x07\u202e".repeat(50),
		delay: 100_000,
	}]);
	await store.add("jobs", [task]);
	return { path, db, store };
}

describe("upkeep in a pipe", () => {
	test("prints JSON and changes tasks, each in another process", async () => {
		const { path, store } = await createDatabase();
		expect(await read("counts", "--db", path)).toEqual([{ waiting: 1, running: 0, held: 0, dead: 3, done: 0 }]);
		const dead = await read("ls", "--db", path, "--state", "dead", "--limit", "2");
		expect(dead).toMatchObject([{ id: "a", payload: { to: "ada" }, error: { message: "no such user" } }, { id: "b" }]);
		expect(await read("ls", "--db", path, "--state", "dead", "--after", dead[1].key)).toMatchObject([{ id: "c" }]);
		expect(await read("show", "evil\x1b[2J", "--db", path)).toMatchObject([{
			kind: "sms",
			encoding: "text",
			inbox: [],
		}]);
		expect(await read("retry", "--db", path, "a", "b")).toEqual([{ id: "a", retried: true }, {
			id: "b",
			retried: true,
		}]);
		expect(await read("hold", "a", "--db", path)).toEqual([{ id: "a", held: true }]);
		expect(await read("release", "a", "--db", path)).toEqual([{ id: "a", released: true }]);
		expect(await read("rm", "--all", "--state", "dead", "--yes", "--db", path)).toEqual([{ found: 1, removed: 1 }]);
		expect(await store.counts("default")).toMatchObject({ waiting: 3, held: 0, dead: 0 });
	}, timeout);

	test("takes the database from UPKEEP_DB, and the basket by name", async () => {
		const { path } = await createDatabase();
		const [code, text] = await run(["ls", "--basket", "jobs"], { env: { UPKEEP_DB: path } });
		expect([code, JSON.parse(text).kind]).toEqual([0, "mail"]);
	}, timeout);

	test("reads while somebody writes", async () => {
		const { path, db } = await createDatabase();
		db.exec("BEGIN IMMEDIATE; DELETE FROM upkeep_tasks");
		expect(await read("counts", "--db", path)).toMatchObject([{ dead: 3 }]);
		db.exec("ROLLBACK");
	}, timeout);

	test("ends quietly when nobody reads any more", async () => {
		const { path, store } = await createDatabase();
		await store.add(
			"many",
			Array.from({ length: 5_000 }, () => ({ kind: "a", payload: "x".repeat(500), delay: 0, priority: 0 })),
		);
		const cli = new Cli(["ls", "--basket", "many", "--limit", "5000", "--db", path]);
		await cli.printed(/\n/);
		cli.child.stdout!.destroy();
		expect([await cli.ended, cli.errors]).toEqual([0, ""]);
	}, timeout);

	// Windows has no signal that a process could send to another and that this one could react to.
	test.skipIf(process.platform === "win32")("watches until it is interrupted", async () => {
		const { path, store } = await createDatabase();
		const cli = new Cli(["watch", "--db", path, "--interval", "0.1"]);
		await cli.printed(/"dead":3.*\n/);
		await store.change("default", ["a"], "retry");
		await cli.printed(/"dead":2.*\n/);
		process.kill(cli.child.pid!, "SIGINT");
		expect([await cli.ended, cli.errors]).toEqual([0, ""]);
		expect(cli.text.trimEnd().split("\n").map((line) => JSON.parse(line).counts.dead)).toEqual([3, 2]);
	}, timeout);
});

describe("upkeep never makes a database", () => {
	test.each([
		["there is none", () => undefined, 1, /^upkeep: There is no file ".+"\n$/],
		["the file is empty", (path: string) => writeFileSync(path, ""), 1, /has no tables of upkeep/],
		["it is another's", (path: string) => make(path, "CREATE TABLE a (b)"), 1, /has no tables of upkeep/],
		["it is none", (path: string) => writeFileSync(path, "text\n".repeat(1_000)), 1, /not a database/],
		[
			"it is older",
			(path: string) =>
				make(path, "CREATE TABLE upkeep_schema (version, seq); INSERT INTO upkeep_schema VALUES (0, 0)"),
			1,
			/older version/,
		],
		[
			"it is newer",
			(path: string) =>
				make(path, "CREATE TABLE upkeep_schema (version, seq); INSERT INTO upkeep_schema VALUES (99, 0)"),
			1,
			/update it/,
		],
	] as [string, (path: string) => unknown, number, RegExp][])("where %s", async (_, prepare, code, message) => {
		const path = join(await folder(), "tasks.db");
		prepare(path);
		const before = existsSync(path) ? readFileSync(path) : undefined;
		for (const command of [["ls"], ["rm", "a"]]) {
			const [ended, text, errors] = await run([...command, "--db", path]);
			expect([ended, text, errors]).toEqual([code, "", expect.stringMatching(message)]);
			expect(errors).not.toMatch(/\n.*\n/);
			expect(existsSync(path) ? readFileSync(path) : undefined).toEqual(before);
		}
	}, timeout);
});

function make(path: string, sql: string): void {
	const db = new DatabaseSync(path);
	db.exec(sql);
	db.close();
}

describe("upkeep says what is wrong in one line", () => {
	test("with its arguments, and exits with 2", async () => {
		const { path, store } = await createDatabase();
		const cases: [args: string[], message: string][] = [
			[[], "There is no command"],
			[["list"], `There is no command "list"`],
			[["ls", "--often"], "Unknown option '--often'"],
			[["ls", "a"], `ls takes no ids: "a"`],
			[["show"], "show takes one id"],
			[["ls", "--state", "asleep"], `--state takes waiting, running, held, dead, done, not "asleep"`],
			[["ls", "--limit", "0"], `--limit takes a whole number from 1, not "0"`],
			[["counts", "--kind", "a"], "--kind does not go with counts"],
			[["rm"], "rm takes ids, or --all --state"],
			[["rm", "--all"], "rm --all takes --state"],
			[["rm", "a", "--all", "--state", "dead"], "rm takes ids or --all, not both"],
			[["rm", "a", "--state", "dead"], "--state, --kind and --yes of rm go with --all"],
			[["rm", "--all", "--state", "dead"], "rm --all needs --yes where nobody can be asked"],
			[
				["ls", "--db", "mysql://me:secret@host/db"],
				"--db takes a file or an address that begins with postgres://, not mysql://…",
			],
		];
		await Promise.all(cases.map(async ([args, message]) => {
			const [code, text, errors] = await run(args, { env: { UPKEEP_DB: path } });
			expect([code, text, errors]).toEqual([2, "", expect.stringContaining(`upkeep: ${message}`)]);
			expect(errors).toMatch(/^.+\n$/);
		}));
		expect((await store.counts("default")).dead).toBe(3);
		const [code, , errors] = await run(["ls"]);
		expect([code, errors]).toEqual([2, expect.stringContaining("Which database?")]);
	}, timeout);

	test("with an id that is not there, and exits with 3", async () => {
		const { path } = await createDatabase();
		const message = `upkeep: There is no task "z" in the basket "default"\n`;
		expect(await run(["show", "z", "--db", path])).toEqual([3, "", message]);
		const [code, text] = await run(["rm", "z", "a", "--db", path]);
		expect([code, text.trimEnd().split("\n").map((line) => JSON.parse(line).removed)]).toEqual([3, [false, true]]);
	}, timeout);
});

test("upkeep explains itself and its commands", async () => {
	for (const args of [["--help"], ["help"]]) {
		expect(await run(args)).toEqual([0, expect.stringMatching(/upkeep watch[^]+Exit codes/), ""]);
	}
	for (const args of [["rm", "--help"], ["help", "rm"]]) {
		expect(await run(args)).toEqual([0, expect.stringMatching(/^upkeep rm ID…[^]+--yes/), ""]);
	}
}, timeout);

const hasTerminal = process.platform === "linux" && existsSync("/usr/bin/script");

describe.skipIf(!hasTerminal)("upkeep in a terminal", () => {
	/** Without what the program itself may use: colours. */
	const strip = (text: string): string => text.replaceAll("\x1b[", "\x9b").replace(/\x9b[\d;]*m/g, "");

	test("prints tables that fit, in colours, and nothing that could do harm", async () => {
		const { path } = await createDatabase();
		const [code, text] = await run(["ls", "--db", path], { columns: 60 });
		expect(code).toBe(0);
		expect(text).toContain("\x1b[31mdead\x1b[0m");
		const lines = strip(text).trimEnd().split("\r\n");
		expect(lines).toHaveLength(5);
		for (const line of lines) expect(line.length).toBeLessThanOrEqual(60);
		expect(lines.join("")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
		for (const [args, env] of [[["--no-color"], {}], [[], { NO_COLOR: "1" }]] as const) {
			expect((await run(["ls", "--db", path, ...args], { columns: 60, env }))[1]).not.toContain("\x1b");
		}
		const [, json] = await run(["ls", "--json", "--db", path], { columns: 60 });
		expect(JSON.parse(json.split("\r\n").at(-2)!)).toMatchObject({ id: "evil\x1b[2J" });
	}, timeout);

	test("asks before it changes what was not named", async () => {
		const { path, store } = await createDatabase();
		for (const [answer, code, dead] of [["n", 1, 3], ["\x03", 1, 3], ["\x04", 1, 3], ["y", 0, 0]] as const) {
			const cli = new Cli(["rm", "--all", "--state", "dead", "--db", path], { columns: 80 });
			await cli.printed(/rm 3 tasks of the basket "default"\? \[y\/N\] /);
			cli.child.stdin!.write(answer.length === 1 && answer > " " ? `${answer}\n` : answer);
			expect([answer, await cli.ended]).toEqual([answer, code]);
			expect((await store.counts("default")).dead).toBe(dead);
		}
	}, timeout);

	test("watches on a screen of its own, and leaves the terminal as it was", async () => {
		const { path, store } = await createDatabase();
		const cli = new Cli(["watch", "--interval", "0.1", "--db", path], { columns: 70 });
		await cli.printed(/dead 3/);
		await store.change("default", ["a"], "retry");
		await cli.printed(/dead 2/);
		cli.child.stdin!.write("\x03");
		expect(await cli.ended).toBe(0);
		const [enter, leave] = ["\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"];
		expect(cli.text.split(enter)).toHaveLength(2);
		const [, after, ...rest] = cli.text.slice(cli.text.indexOf(enter)).split(leave);
		expect(rest).toEqual([]);
		expect(strip(after!)).toMatch(/^default .+\r\nwaiting 2 {3}running 0 {3}held 0 {3}dead 2 {3}done 0\r\n\r\nFAILED/);
	}, timeout);
});
