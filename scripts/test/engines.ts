// Every engine that the suite runs in, as data: a new one is a new entry here, and a project in vitest.config.ts if Vitest
// runs it. The test files of an engine are all of test/, with those in test/runtimes/ only where its folders say so.
import { existsSync, globSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { incremental } from "../check-types.ts";
import { type BrowserName, browsers, findBrowser } from "./browsers.ts";
import { readJunit, type ReadReport, readTypes, readVitest } from "./reports.ts";

export const root: string = dirname(dirname(import.meta.dirname));

/** How long a test may take, in milliseconds: generous, because a slow machine must not fail a test that works. */
export const testTimeout = 120_000;

const typesProject = "tsconfig.test.json";

/** One run of one engine. */
export interface Run {
	/** Its test files, relative to the root of the project. */
	files: readonly string[];
	/** Where it has to write its report. */
	report: string;
	/** Only tests whose title contains this. */
	filter: string | undefined;
}

/** Says in the environment that everything runs at full length: `npm test -- --long` sets it to "1", and the tests read it. */
export const longVariable = "UPKEEP_LONG";

/*
 * Files that an engine runs only with `--long`, as `.ci/run` does, so that `npm test` takes a few minutes.
 */

/** Examples and storms, in processes of their own. `npm start` and the page of its outbox always run in Node. */
const manyPrograms: readonly string[] = ["runtimes/server/(?:[\\w-]+-example|kills(?:-\\w+)?|watch)"];

/** These start many processes, and show the same of the library in Deno and Bun as in Node. */
const manyProcesses: readonly string[] = [
	...manyPrograms,
	"runtimes/server/(?:cli|cli-postgres|postgres-(?:faults|full)|kills-replaces)",
];

/** These do thousands of things to the library alone, which needs nothing of the platform for them. Node always runs them. */
const manySteps: readonly string[] = [
	"job/(?:microtasks|reentry|crashes|storm|damage)",
	"basket/microtasks",
	"records/record-store",
	"(?:records/)?simulation",
	"[\\w-]+/[\\w-]+\\.model",
	"runtimes/(?:server|browser|deno|bun)/stores/[\\w-]+-(?:simulation|jobs(?:-bun)?|database)",
];

/** Also databases through one more driver or in one more state, and whole applications. Node always runs `pg`, `node:sqlite` and `lmdb`. */
const longInNode: readonly string[] = [
	...manyPrograms,
	"runtimes/node/(?:postgres-clients|postgres-simulation|quota|kills-\\w+|tabs|apps-\\w+)",
	"runtimes/node/stores/(?:postgres-(?:client|pglite|jobs|sql)|lmdb-kills|lmdb-simulation|sqlite-libsql(?:-jobs)?|sqlite-jobs-storm)",
	"runtimes/server/(?:postgres-faults|kills-replaces)",
	"runtimes/server/stores/postgres-levels",
];

/** Also what Node shows for them: they talk to Postgres in the same way. */
const longInDeno: readonly string[] = [
	...manyProcesses,
	...manySteps,
	"runtimes/server/stores/postgres[\\w-]*",
	"runtimes/server/testing/store-suite",
	"runtimes/(?:bun|deno)/kills-[\\w-]+",
];

/** Also `node:sqlite`: Bun always runs `bun:sqlite`. */
const longInBun: readonly string[] = [...longInDeno, "runtimes/server/stores/sqlite"];

export interface Engine {
	/** The folders of test/runtimes/ whose tests it runs besides the common ones. */
	folders: readonly string[];
	/** Returns the reason why this machine cannot run it, or undefined if it can. */
	missing: () => string | undefined;
	/** The program and its arguments. */
	command: (run: Run) => string[];
	/** How its report is read. */
	read: ReadReport;
	/** Which of the files of test/ it takes. @default "*.test.ts" */
	pattern?: string | undefined;
	/** Which of these it takes only with `--long`: patterns of paths under test/, without `.test.ts`. */
	long?: readonly string[] | undefined;
}

/** In the order of the table of results. */
export const engines: Record<string, Engine> = {
	types: {
		folders: ["node", "bun", "server", "workerd", "happy-dom", "browser"], // Deno's own tests: `deno check`
		missing: () => missingBinary("tsc"),
		command: () => [
			binary("node"),
			...[binary("tsc"), "--project", typesProject, "--pretty", "false"],
			...incremental(typesProject),
		],
		read: readTypes,
		pattern: "*.{test,test-d}.ts",
	},
	node: vitest("node", ["node", "server"], longInNode),
	deno: {
		folders: ["deno", "server"],
		missing: () => missingBinary("deno"),
		command: ({ files, report, filter }) => [
			binary("deno"),
			...["test", "--allow-all", "--unstable-kv", "--no-lock", "--no-check", `--junit-path=${report}`],
			...(filter === undefined ? [] : [`--filter=${filter}`]),
			...files,
		],
		read: readJunit,
		long: longInDeno,
	},
	bun: {
		folders: ["bun", "server"],
		missing: () => missingBinary("bun"),
		command: ({ files, report, filter }) => [
			binary("bun"),
			...["test", `--timeout=${testTimeout}`, "--reporter=junit", `--reporter-outfile=${report}`],
			...(filter === undefined ? [] : [`--test-name-pattern=${literally(filter)}`]),
			...heapFirst(files).map((file) => `./${file}`), // without the dot Bun takes it for a part of a name
		],
		read: readJunit,
		long: longInBun,
	},
	workerd: vitest("workerd", ["workerd"], manySteps),
	"happy-dom": vitest("happy-dom", ["happy-dom"], manySteps),
	chromium: browser("chromium"),
	firefox: browser("firefox"),
	webkit: browser("webkit"),
};

/** In this order no engine runs for long while all others are done, and the machine has nothing else to do. */
export function longestFirst(names: readonly string[]): string[] {
	const order = ["node", "deno", "workerd", "webkit", "chromium", "bun", "firefox", "happy-dom", "types"];
	return names.toSorted((a, b) => order.indexOf(a) - order.indexOf(b));
}

/**
 * The test files of an engine, relative to the root; with `only`, those whose path contains one of these texts. Files that
 * want `--long` are among them if that was given, `all` asks for them, or `only` names them.
 */
export function testFiles(
	name: string,
	only: readonly string[] = [],
	all: boolean = process.env[longVariable] === "1",
): string[] {
	const { folders, pattern = "*.test.ts", long = [] } = engines[name]!;
	const needsLength = new RegExp(`^test/(?:${long.join("|")})\\.test\\.ts$`);
	const files = globSync(`test/**/${pattern}`, { cwd: root }).map((file) => file.replaceAll("\\", "/")).sort();
	return files.filter((file) => {
		if (!belongs(file, folders)) return false;
		return only.length > 0 ? only.some((part) => file.includes(part)) : all || !needsLength.test(file);
	});
}

function belongs(file: string, folders: readonly string[]): boolean {
	const folder = /^test\/runtimes\/([^/]+)\//.exec(file)?.[1];
	return folder === undefined || folders.includes(folder);
}

/**
 * Bun runs all files in one process, in this order. The heap is measured first: modules that others load stay in it (fast-check
 * keeps 80 MB of characters), and each collection of it takes ten times as long then.
 */
function heapFirst(files: readonly string[]): string[] {
	return files.toSorted((a, b) => Number(b.endsWith("/heap.test.ts")) - Number(a.endsWith("/heap.test.ts")));
}

/** An engine that Vitest drives: vitest.config.ts reads its name from the environment, see there. */
function vitest(
	name: string,
	folders: readonly string[],
	long: readonly string[],
	missing: Engine["missing"] = () => undefined,
): Engine {
	return {
		folders,
		long,
		missing: () => missingBinary("vitest") ?? missing(),
		command: ({ files, report, filter }) => [
			binary("node"),
			...[binary("vitest"), "run", `--project=${name}*`],
			...["--reporter=default", "--reporter=json", `--outputFile.json=${report}`],
			...(filter === undefined ? [] : [`--testNamePattern=${literally(filter)}`]),
			...files,
		],
		read: readVitest,
	};
}

function browser(name: BrowserName): Engine {
	return vitest(name, ["browser"], manySteps, () => {
		return findBrowser(name) === undefined
			? `${name} not found, install it or set ${browsers[name].variable}`
			: undefined;
	});
}

/** A regular expression for exactly this text. */
function literally(text: string): string {
	return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

function binary(name: string): string {
	return join(root, "node_modules", ".bin", name);
}

function missingBinary(name: string): string | undefined {
	return existsSync(binary(name)) ? undefined : `${name} not found, run \`npm ci\``;
}
