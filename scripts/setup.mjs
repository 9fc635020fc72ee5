// Installs the dependencies if they are missing or differ from package-lock.json, makes sure that the Node, Deno and Bun
// among them work, and then runs a program on that Node:
//
//     node scripts/setup.mjs scripts/test.ts --help
//
// `--help` installs nothing. This is plain JavaScript, because it must start on the Node of the machine.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const binaries = join(root, "node_modules", ".bin");
const lockFile = join(root, "package-lock.json");
const installedFile = join(root, "node_modules", ".package-lock.json");
const stampFile = join(root, "node_modules", ".setup-stamp");
const windows = process.platform === "win32";

/** The oldest major version that each tool may have. Node runs the scripts and tests, which are TypeScript. */
const tools = { node: 24, deno: 2, bun: 1 };

if (Number.parseInt(process.versions.node) < 20) {
	fail(
		`Node ${process.versions.node} is too old: install Node 20 or later (the project brings its own 24 for the rest)`,
	);
}
const [program, ...rest] = process.argv.slice(2);
if (program !== undefined && rest.some((text) => text === "--help" || text === "-h")) {
	await import("./run.mjs");
} else {
	if (!isStamped()) setUp();
	if (program !== undefined) await run();
}

function setUp() {
	if (!isInstalled()) install();
	Object.entries(tools).forEach(([tool, oldest]) => checkTool(tool, oldest));
	writeFileSync(stampFile, fingerprint());
}

/** Runs the program in this process, unless npm has started it on a Node that is older than the one of the project. */
async function run() {
	if (Number.parseInt(process.versions.node) >= tools.node) {
		process.argv.splice(1, 2, resolve(program));
		await import(pathToFileURL(process.argv[1]).href);
		return;
	}
	const path = `${binaries}${delimiter}${process.env.PATH ?? ""}`;
	const child = spawn(binary("node"), process.argv.slice(2), {
		stdio: "inherit",
		shell: windows,
		env: { ...process.env, PATH: path },
	});
	// A terminal interrupts both processes: this one waits until the other one has ended.
	for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
	child.on("close", (code) => process.exitCode = code ?? 1);
}

/** Whether an earlier call found everything in order, and nothing has changed since. */
function isStamped() {
	const present = Object.keys(tools).every((tool) => existsSync(binary(tool)));
	return present && read(stampFile) === fingerprint();
}

function fingerprint() {
	return createHash("sha256").update(`${read(lockFile)}\0${read(installedFile)}`).digest("hex");
}

/**
 * Compares package by package, so that dependencies installed by hand (`npm ci`, `npm install`) are left alone.
 * npm leaves out optional packages that are for other platforms; the others follow the package that needs them.
 */
function isInstalled() {
	const installed = parse(read(installedFile)).packages ?? {};
	const wanted = Object.entries(parse(read(lockFile)).packages ?? {}).filter(([path]) => path !== "");
	return wanted.length > 0 && wanted.every(([path, { version, optional }]) => {
		const found = installed[path];
		return optional === true || found?.version === version;
	});
}

function install() {
	console.error(
		"setup: `npm ci` installs, once, what the tests and checks need: Node 24, Deno, Bun, workerd, a Postgres, TypeScript,\n" +
			"       Vitest and others. About 900 MB under node_modules, half a minute …",
	);
	// npm must not run on the Node that it is about to replace.
	const path = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== binaries).join(delimiter);
	const options = { cwd: root, stdio: "inherit", shell: windows, env: { ...process.env, PATH: path } };
	const { error, status } = spawnSync("npm", ["ci", "--loglevel=error"], options);
	if (error) fail(`npm could not be started (${error.message}): install npm, which comes with Node`);
	if (status !== 0) fail("`npm ci` failed, see above; run it by hand, then try again");
}

function checkTool(tool, oldest) {
	const { stdout } = spawnSync(binary(tool), ["--version"], { encoding: "utf8", shell: windows });
	const version = /\d+\.\d+\.\d+/.exec(stdout ?? "")?.[0];
	const cure = "run `npm ci --ignore-scripts=false`, then try again";
	if (version === undefined) fail(`node_modules/.bin/${tool} does not answer, its install script did not run: ${cure}`);
	if (Number.parseInt(version) < oldest) fail(`node_modules/.bin/${tool} is ${version}, ${oldest} is needed: ${cure}`);
}

function binary(tool) {
	return join(binaries, windows ? `${tool}.cmd` : tool);
}

function read(file) {
	try {
		return readFileSync(file, "utf8");
	} catch {
		return "";
	}
}

/** An interrupted installation can leave half a file, which counts as not installed. */
function parse(text) {
	try {
		return JSON.parse(text);
	} catch {
		return {};
	}
}

function fail(message) {
	console.error(`setup: ${message}`);
	process.exit(1);
}
