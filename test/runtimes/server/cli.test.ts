// The command line as a separate process, in the runtime of the test, mostly in a pipe.
import { afterEach, describe, expect, test } from "vitest";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { DatabaseSync } from "node:sqlite";
import { Basket, every, job, limit, Processor, type Store } from "upkeep";
import { sqliteStore } from "upkeep/stores/sqlite";
import { readArguments } from "../../../src/cli/arguments.ts";
import { openStore } from "../../../src/cli/open.ts";
import { CliProcess, run } from "../../cli/cli-process.ts";
import { request } from "../../cli/support.ts";
import { compareSurvey } from "../../cli/survey.ts";

const timeout = 60_000;
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
	for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function start(...options: ConstructorParameters<typeof CliProcess>): CliProcess {
	const cli = new CliProcess(...options);
	cleanups.push(() => cli.kill());
	return cli;
}

/** Runs the command line, and returns the JSON lines of its output. */
// deno-lint-ignore no-explicit-any -- the tests check the types of the values
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

/** Creates a database file with 3 dead tasks, a waiting task with evil text, and a task of another basket. */
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
		const pauses = { all: false, kinds: [] };
		expect(await read("counts", "--db", path)).toEqual([{ waiting: 1, running: 0, held: 0, dead: 3, done: 0, pauses }]);
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

	test("pauses, lists the newest, clears and resumes, each in another process", async () => {
		const { path, store } = await createDatabase();
		await read("pause", "mail", "--db", path);
		expect(await store.pauses("default")).toEqual({ all: false, kinds: ["mail"] });
		expect(await read("counts", "--db", path)).toMatchObject([{ pauses: { kinds: ["mail"] } }]);
		const newest = await read("ls", "--newest", "--kind", "mail", "--limit", "2", "--db", path);
		expect(newest.map(({ id }) => id)).toEqual(["c", "b"]);
		expect(await read("ls", "--newest", "--prefix", "a", "--db", path)).toMatchObject([{ id: "a" }]);
		const clearing = ["clear", "--state", "dead", "--kind", "mail", "--prefix", "b", "--db", path];
		expect(await run(clearing)).toEqual([2, "", "upkeep: clear needs --yes without a terminal\n"]);
		expect(await read(...clearing, "--yes")).toEqual([{ found: 1, removed: 1 }]);
		expect(await read("retry", "--all", "--state", "dead", "--yes", "--db", path)).toEqual([{ found: 2, retried: 2 }]);
		expect(await read("resume", "mail", "--db", path)).toMatchObject([{ changed: true, pauses: { kinds: [] } }]);
		expect(await store.counts("default")).toMatchObject({ waiting: 3, dead: 0 });
	}, timeout);

	test("lists schedules without a change of the database", async () => {
		const { path, store, db } = await createDatabase();
		const basket = new Basket({ store, tasks: { mail: (_: string) => {} } });
		await basket.schedule("daily", "mail", "ada", { every: every(86_400_000) });
		db.close();
		const before = readFileSync(path);
		expect(await read("schedules", "--db", path)).toMatchObject([{ schedule: { text: "86400000" }, payload: "ada" }]);
		expect(readFileSync(path)).toEqual(before);
	}, timeout);

	test("takes the database from UPKEEP_DB, and the basket by name", async () => {
		const { path } = await createDatabase();
		const [code, text] = await run(["ls", "--basket", "jobs"], { env: { UPKEEP_DB: path } });
		expect([code, JSON.parse(text).kind]).toEqual([0, "mail"]);
	}, timeout);

	test("takes the address of a file as SQLite's own tools do", async () => {
		const { path } = await createDatabase();
		for (const db of [`file:${path}`, `file:${path}?mode=ro`, pathToFileURL(path).href]) {
			expect(await read("counts", "--db", db)).toMatchObject([{ dead: 3 }]);
		}
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
		const cli = start(["ls", "--basket", "many", "--limit", "5000", "--db", path]);
		await cli.printed(/\n/);
		cli.leave();
		expect([await cli.ended, cli.errors]).toEqual([0, ""]);
	}, timeout);

	// A process on Windows cannot send a signal that another process can handle.
	test.skipIf(process.platform === "win32")("watches until it is interrupted", async () => {
		const { path, store } = await createDatabase();
		const cli = start(["watch", "--db", path, "--interval", "0.1"]);
		await cli.printed(/"dead":3.*\n/);
		await store.change("default", ["a"], "retry");
		await cli.printed(/"dead":2.*\n/);
		cli.interrupt();
		expect([await cli.ended, cli.errors]).toEqual([0, ""]);
		expect(cli.text.trimEnd().split("\n").map((line) => JSON.parse(line).counts.dead)).toEqual([3, 2]);
	}, timeout);
});

describe("upkeep with several baskets", () => {
	test("counts them as the store does", async () => {
		const { store, catalog, close } = await openStore(request("rm", { db: (await createDatabase()).path }));
		cleanups.push(close);
		await store.delete("default", ["a", "b", "c", "evil\x1b[2J"]);
		await store.delete("jobs", (await store.list("jobs", { limit: 9 })).map(({ id }) => id));
		await compareSurvey(store as Store<never>, catalog);
	}, timeout);

	test("lists them with their counts, and says which have jobs", async () => {
		const { path, store } = await createDatabase();
		const trip = job("trip").waitFor("approval");
		await new Processor({ store, jobs: [trip] }).add(trip, undefined, { id: "j" });
		const found = await read("baskets", "--db", path);
		expect(found).toMatchObject([
			{
				basket: "default",
				counts: { waiting: 1, dead: 3 },
				hasJobs: false,
				kinds: [{ kind: "mail", isJob: false }, { kind: "sms", isJob: false }],
			},
			{
				basket: "jobs",
				counts: { waiting: 2 },
				hasJobs: true,
				kinds: [{ kind: "mail", isJob: false }, { kind: "trip", isJob: true }],
			},
		]);
		expect([found[0].oldestDueAt, typeof found[1].oldestDueAt]).toEqual([undefined, "number"]);
	}, timeout);

	test.each([["counts"], ["why", "a"]])(
		"says which there are if there is nothing in this one, and exits with 3: %s",
		async (...args) => {
			const { path } = await createDatabase();
			const [code, , errors] = await run([...args, "--basket", "outbox", "--db", path]);
			expect(code).toBe(3);
			expect(errors).toContain(
				`The basket "outbox" has no tasks; in "${path}", there are "default", "jobs"; --basket NAME selects one\n`,
			);
		},
		timeout,
	);

	test("says why tasks do not run, and who has run them", async () => {
		const { path, store } = await createDatabase();
		const ended = new AbortController();
		const names = limit({ key: (name: string) => name, atOnce: 1 });
		const slow = (_: string, { signal }: { signal: AbortSignal }) =>
			new Promise<void>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
		const tasks = { slow: { run: slow, limit: names } };
		const basket = new Basket({ store, name: "slow", worker: "w1", tasks });
		await basket.add("slow", "ada", { id: "first" });
		const running = basket.run({ signal: ended.signal });
		while ((await basket.counts()).running === 0) await new Promise((resolve) => setTimeout(resolve, 5));
		await basket.add("slow", "ada", { id: "second" });
		// Its gate is closed by the next turn.
		await basket.add("slow", "bob", { id: "other" });
		while ((await basket.counts()).running === 1) await new Promise((resolve) => setTimeout(resolve, 5));
		const why = async (id: string) => (await read("why", id, "--basket", "slow", "--db", path))[0];
		expect(await why("second")).toMatchObject({
			state: "waiting",
			reasons: [{ reason: "limit", tasks: ["first"], text: expect.stringContaining(`with the key "ada"`) }],
		});
		expect(await why("first")).toMatchObject({
			reasons: [{ reason: "running", text: expect.stringContaining(`on the worker "w1" since`) }],
		});
		const [shown] = await read("show", "first", "--basket", "slow", "--db", path);
		expect(shown.run).toEqual({ worker: "w1", since: expect.any(Number) });
		ended.abort();
		await running.catch(() => {});
	}, timeout);
});

describe("upkeep never makes a database", () => {
	test.each([
		["there is none", () => undefined, 1, /^There is no file ".+"$/],
		["the file is empty", (path: string) => writeFileSync(path, ""), 1, /has no tables of upkeep/],
		["it is another's", (path: string) => make(path, "CREATE TABLE a (b)"), 1, /has no tables of upkeep/],
		["it is none", (path: string) => writeFileSync(path, "text\n".repeat(1_000)), 1, /not a database/],
		[
			"it is older",
			(path: string) =>
				make(path, "CREATE TABLE upkeep_schema (version, seq); INSERT INTO upkeep_schema VALUES (0, 0)"),
			1,
			/before the first release/,
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
		for (const command of ["ls", "rm"] as const) {
			await expect(openStore(request(command, { db: path }))).rejects.toMatchObject({
				code,
				message: expect.stringMatching(message),
			});
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
		const selecting = "--state, --outcome, --kind, --lane, --prefix, --parent, --text";
		const cases: [args: string[], message: string][] = [
			[[], "No command given"],
			[["list"], `Unknown command "list"`],
			[["ls", "--often"], "Unknown option '--often'"],
			[["ls", "a"], `ls takes no ids: "a"`],
			[["show"], "show takes one id"],
			[["ls", "--state", "asleep"], `--state takes waiting, running, held, dead, done, not "asleep"`],
			[["ls", "--limit", "0"], `--limit takes a whole number from 1, not "0"`],
			[["ls", "--limit=-1"], `--limit takes a whole number from 1, not "-1"`],
			[["counts", "--kind", "a"], "--kind does not go with counts"],
			[["rm"], "rm takes ids, or --all --state"],
			[["rm", "--all"], "rm --all takes --state"],
			[["rm", "a", "--all", "--state", "dead"], "rm takes ids or --all, not both"],
			[["rm", "a", "--state", "dead"], `${selecting} and --yes of rm go with --all`],
			[["hold", "a", "--lane", "b"], `${selecting} and --yes of hold go with --all`],
			[["clear", "--yes"], `clear takes one of ${selecting}, or --all for all tasks of the basket`],
			[["clear", "--all", "--kind", "a"], `clear takes --all without ${selecting}`],
			[["clear", "a", "--state", "dead"], `clear takes no ids: "a"`],
			[["pause", "a", "b"], "pause takes one kind, or none for all kinds"],
			[["resume", ""], "resume takes a kind that is not empty"],
			[["pause", "--kind", "a"], "--kind does not go with pause"],
			[["retry", "a", "--newest"], "--newest does not go with retry"],
			[["ls", "--prefix", "_1"], `--prefix takes the beginning of a given id, which is not empty and has no "_" first`],
			[["ls", "--parent", ""], "--parent takes the id of a job, which is not empty"],
			[["watch", "--parent", "a"], "--parent does not go with watch"],
			[["ls", "--limit", "-1"], `--limit takes a whole number from 1, not "-1"`],
			[["watch", "--interval", "-2"], `--interval takes seconds, at least 0.05, not "-2"`],
			[["ls", "--db", "file://elsewhere/tasks.db"], "--db is not a valid file URL"],
			[["hold", "a", "--half-done"], "--half-done does not go with hold"],
			[["hold", "a", "--from", "start"], "--from does not go with hold"],
			[["retry", "a", "--from", "end"], `--from takes failure or start, not "end"`],
			[["retry", "--all", "--state", "dead", "--from", "start"], "--from goes with ids, or with --all --outcome"],
			[["retry", "--all", "--outcome", "failed"], "--outcome of retry goes with --from"],
			[["hold", "--all", "--outcome", "failed"], "--outcome does not go with hold"],
			[["ls", "--outcome", "dead"], `--outcome takes completed, reverted, failed, not "dead"`],
			[["ls", "--text", ""], "--text takes a text that is not empty"],
			[["counts", "--long"], "--long does not go with counts"],
			[["counts", "--timeout", "-1"], `--timeout takes seconds, more than 0, not "-1"`],
			[["watch", "--timeout", "5"], "--timeout does not go with watch"],
			[["why"], "why takes one id"],
			[["baskets", "a"], `baskets takes no ids: "a"`],
			[["watch", "--interval", "0"], `--interval takes seconds, at least 0.05, not "0"`],
		];
		for (const [args, message] of cases) {
			expect(() => readArguments(args, { UPKEEP_DB: "tasks.db" })).toThrow(
				expect.objectContaining({ code: 2, message: expect.stringContaining(message) }),
			);
		}
		expect(() => readArguments(["ls"], {})).toThrow(/^Which database\? /);
		await expect(openStore(request("ls", { db: "mysql://me:secret@host/db" }))).rejects.toMatchObject({
			code: 2,
			message: "--db takes a file or an address that begins with postgres://, not mysql://…",
		});
		const { path, store } = await createDatabase();
		for (const args of [["list"], ["rm", "--all", "--state", "dead"]]) {
			const [code, text, errors] = await run(args, { env: { UPKEEP_DB: path } });
			expect([code, text, errors]).toEqual([2, "", expect.stringMatching(/^upkeep: .+\n$/)]);
		}
		expect((await store.counts("default")).dead).toBe(3);
	}, timeout);

	// A reader of a database in WAL mode never waits for a writer.
	test("with a database that stays locked, and exits with 4", async () => {
		const { path, db } = await createDatabase();
		db.exec("BEGIN IMMEDIATE");
		const [code, text, errors] = await run(["hold", "a", "--db", path, "--timeout", "2.5"]);
		db.exec("ROLLBACK");
		expect([code, text]).toEqual([4, ""]);
		expect(errors.split("\n")).toEqual([
			// A process that is slow to begin has waited for less of the two seconds.
			expect.stringMatching(
				/^Waiting (\d{1,3} ms|\d(\.\d)? s) for ".+" to answer \(change\), which waits for another process/,
			),
			`upkeep: hold was not done with "${path}" within 2.5 s; what it has changed by now stays changed`,
			"",
		]);
	}, timeout);

	test("with an id that is not there, and exits with 3", async () => {
		const { path } = await createDatabase();
		const message = `upkeep: There is no task "z" in the basket "default"\n`;
		expect(await run(["show", "z", "--db", path])).toEqual([3, "", message]);
		const [code, text] = await run(["rm", "z", "a", "--db", path]);
		expect([code, text.trimEnd().split("\n").map((line) => JSON.parse(line).removed)]).toEqual([3, [false, true]]);
	}, timeout);
});

test("upkeep says which version it is", async () => {
	const { version } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8"));
	expect(await run(["--version"])).toEqual([0, `${version}\n`, ""]);
}, timeout);

test("upkeep explains itself and its commands", async () => {
	expect(await run(["--help"])).toEqual([0, expect.stringMatching(/upkeep watch[^]+Exit codes/), ""]);
	for (const args of [["rm", "--help"], ["help", "rm"]]) {
		expect(readArguments(args, {})).toMatchObject({
			type: "help",
			text: expect.stringMatching(/^upkeep rm ID…[^]+--yes/),
		});
	}
}, timeout);

describe("readArguments()", () => {
	const read = (...args: string[]) => readArguments([...args, "--db", "a.db"], {});

	test("takes the basket of jobs for messages, unless another one is given", () => {
		expect(read("cancel", "a", "b")).toMatchObject({ request: { ids: ["a", "b"], basket: "jobs" } });
		expect(read("signal", "a", "go", "1", "--basket", "x")).toMatchObject({
			request: { ids: ["a", "go", "1"], basket: "x" },
		});
		expect(read("ls")).toMatchObject({ request: { basket: "default", parent: undefined } });
		expect(read("ls", "--parent", "a")).toMatchObject({ request: { basket: "jobs", parent: "a" } });
		expect(read("clear", "--parent", "a", "--basket", "x")).toMatchObject({ request: { basket: "x", parent: "a" } });
	});

	test.each([[["cancel"]], [["signal", "a"]], [["signal", "a", "b", "1", "2"]], [["cancel", "a", "--all"]]])(
		"refuses %j",
		(args) => expect(() => read(...args)).toThrow(expect.objectContaining({ code: 2 })),
	);
});

/** `script` of util-linux gives a program its own terminal. A desk may lack it, but CI must have it. */
const lacksTerminal = !existsSync("/usr/bin/script") && !process.env["CI"];

describe.skipIf(process.platform !== "linux" || lacksTerminal)("upkeep in a terminal", () => {
	/** Removes colors, which the program itself may use. */
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
			const cli = start(["rm", "--all", "--state", "dead", "--db", path], { columns: 80 });
			await cli.printed(/rm 3 tasks of the basket "default" in ".+"\? \[y\/N\] /);
			cli.write(answer.length === 1 && answer > " " ? `${answer}\n` : answer);
			expect([answer, await cli.ended]).toEqual([answer, code]);
			expect((await store.counts("default")).dead).toBe(dead);
		}
	}, timeout);

	test("watches on a screen of its own, and leaves the terminal as it was", async () => {
		const { path, store } = await createDatabase();
		const cli = start(["watch", "--interval", "0.1", "--db", path], { columns: 70 });
		await cli.printed(/dead 3/);
		await store.change("default", ["a"], "retry");
		await cli.printed(/dead 2/);
		cli.write("\x03");
		expect(await cli.ended).toBe(0);
		const [enter, leave] = ["\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"];
		expect(cli.text.split(enter)).toHaveLength(2);
		const [, after, ...rest] = cli.text.slice(cli.text.indexOf(enter)).split(leave);
		expect(rest).toEqual([]);
		expect(strip(after!)).toMatch(
			/^default .+\r\nwaiting 2 {3}running 0 {3}held 0 {3}dead 2 {3}done 0\r\n(.+\r\n)*\r\nFAILED/,
		);
	}, timeout);
});
