// Runs a TypeScript program of this project on the Node of the machine, if possible without installing anything:
//
//     node scripts/run.mjs examples/outbox.ts --help
//
// Node 22.13 or later needs nothing else. For an older Node, two packages are fetched once: esbuild, which strips types, and
// libsql, an SQLite. This is plain JavaScript, because it must start on that Node.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import module, { createRequire } from "node:module";
import { join, resolve } from "node:path";
import process from "node:process";
import threads from "node:worker_threads";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const fetched = join(root, "node_modules", ".run");
/** The packages for an old Node, in the versions of package.json. */
const packages = ["esbuild", "libsql"];

const [file] = process.argv.splice(2, 1);
if (file === undefined) fail("which program? Name a file, such as examples/outbox.ts");
if (Number.parseInt(process.versions.node) < 20) {
	fail(`Node ${process.versions.node} is too old: install Node 20 or later`);
}
process.argv[1] = resolve(file);
silenceExperiments();
if (!process.features.typescript) {
	const folder = module.stripTypeScriptTypes === undefined ? findPackages() : undefined;
	const hooks = new URL("./type-stripping.mjs", import.meta.url).href;
	const options = { data: { folder, packages } };
	module.register(hooks, options);
	stripInThreads(hooks, options);
}
await import(pathToFileURL(process.argv[1]).href);

/** Node's warnings that SQLite and the stripping of types are experimental are noise for somebody who tries an example. */
function silenceExperiments() {
	const { emitWarning } = process;
	process.emitWarning = (warning, ...rest) => {
		if ((rest[0]?.type ?? rest[0]) !== "ExperimentalWarning") emitWarning.call(process, warning, ...rest);
	};
}

/** A thread does not inherit the hooks of the thread that starts it, so each thread registers its own. */
function stripInThreads(hooks, options) {
	const { Worker } = threads;
	const code = `import { register } from "node:module"; register(${JSON.stringify(hooks)}, ${
		JSON.stringify(options)
	});`;
	const preload = ["--import", `data:text/javascript,${encodeURIComponent(code)}`];
	threads.Worker = class extends Worker {
		constructor(source, { execArgv = process.execArgv, ...rest } = {}) {
			super(source, { ...rest, execArgv: [...execArgv, ...preload] });
		}
	};
	module.syncBuiltinESMExports();
}

/** The folder that contains the packages: the project itself, or a folder for fetched packages. */
function findPackages() {
	for (const folder of [root, fetched]) if (has(folder)) return folder;
	fetchPackages();
	return fetched;
}

function has(folder) {
	const { resolve } = createRequire(join(folder, "package.json"));
	try {
		for (const name of packages) resolve(name);
		return true;
	} catch {
		return false;
	}
}

/** Fetches into a temporary folder, which is renamed when it is complete, so that an interrupted fetch leaves no trace. */
function fetchPackages() {
	const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
	const wanted = packages.map((name) => `${name}@${devDependencies[name]}`);
	console.error(
		`Node ${process.versions.node} can neither run TypeScript nor open an SQLite file. Fetching two packages once, about 30 MB:\n` +
			`  npm install ${wanted.join(" ")}    (into node_modules/.run; Node 22.13 or later needs neither)`,
	);
	const draft = `${fetched}-${process.pid}`;
	mkdirSync(draft, { recursive: true });
	const options = [
		"--no-save",
		"--no-package-lock",
		"--no-audit",
		"--no-fund",
		"--ignore-scripts",
		"--prefer-offline",
		"--loglevel=error",
	];
	const isWindows = process.platform === "win32";
	const { error, status } = spawnSync("npm", ["install", "--prefix", draft, ...options, ...wanted], {
		cwd: draft,
		stdio: ["ignore", "ignore", "inherit"],
		shell: isWindows,
	});
	if (error) fail(`npm could not be started (${error.message}): install npm, which comes with Node`);
	if (status !== 0) {
		rmSync(draft, { recursive: true, force: true });
		fail("`npm install` failed, see above");
	}
	try {
		renameSync(draft, fetched);
	} catch {
		rmSync(draft, { recursive: true, force: true }); // another process was faster
	}
	if (!has(fetched)) fail(`${fetched} is not complete: remove it, then try again`);
}

function fail(message) {
	console.error(`run: ${message}`);
	process.exit(1);
}
