// Installs the packed package in an empty project, as users do, and uses it there in each runtime and with each module
// resolution of TypeScript.
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import { build, type BuildOptions } from "esbuild";
import { hasBrowser, runInPage } from "./page.ts";
import { pack } from "./check-package.ts";
import { execute } from "./command.ts";
import { minified, type PackageManifest, readJson } from "./project.ts";

/** Uses the package in the project at `folder`; rejects if it does not work there. */
type Consumer = (folder: string) => unknown;

const timeLimit = 20_000;

const consumers: Record<string, Consumer> = {
	"no dependency": hasNoDependency,
	"Node 20": async (folder: string) => runBoth(folder, await findNode(folder, "20")),
	"Node 22.13": async (folder: string) => {
		const node: string = await findNode(folder, "22.13.0");
		await runBoth(folder, node);
		await execute(node, ["command-line.mjs"], { cwd: folder, timeout: timeLimit }); // the first that has SQLite unasked
	},
	"Node 24": (folder: string) => runBoth(folder, "node"),
	Deno: (folder: string) => runBoth(folder, "deno", "run", "--allow-all"),
	Bun: (folder: string) => runBoth(folder, "bun", "run"),
	workerd: useInWorkerd,
	browser: useInBrowser,
	minified: useMinified,
	"source maps": async (folder: string) => {
		await execute("node", ["--enable-source-maps", "source-maps.mjs"], { cwd: folder, timeout: timeLimit });
	},
	"command line": useCommandLine,
	TypeScript: compileTypes,
};

/** Runs all consumers; rejects with their failures. */
export async function checkConsumers(): Promise<string> {
	const folder: string = mkdtempSync(join(tmpdir(), "upkeep-consumer-"));
	try {
		await install(folder);
		const failures: string[] = [];
		for (const name of Object.keys(consumers)) failures.push(...await failureOf(name, folder));
		if (failures.length > 0) throw new Error(failures.join("\n\n"));
	} finally {
		rmSync(folder, { recursive: true });
	}
	return Object.keys(consumers).join(", ") + (hasBrowser() ? "" : " (there is no browser: that part was skipped)");
}

async function failureOf(name: string, folder: string): Promise<string[]> {
	try {
		await consumers[name]!(folder);
		return [];
	} catch (error) {
		return [`${name}: ${error instanceof Error ? error.message : error}`];
	}
}

async function install(folder: string): Promise<void> {
	const tarball: string = await pack(folder);
	writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "consumer", private: true, type: "module" }));
	await execute("npm", ["install", "--offline", "--no-audit", "--no-fund", tarball], { cwd: folder });
	cpSync("scripts/consumer", folder, { recursive: true });
	cpSync(`dist/${minified}.js`, join(folder, `${minified}.js`));
}

function hasNoDependency(folder: string): void {
	const { dependencies } = readJson<PackageManifest>(join(folder, "node_modules/upkeep/package.json"));
	if (dependencies !== undefined) throw new Error(`the package depends on ${Object.keys(dependencies)}`);
}

async function runBoth(folder: string, program: string, ...args: string[]): Promise<void> {
	for (const file of ["esm.mjs", "commonjs.cjs"]) {
		await execute(program, [...args, file], { cwd: folder, timeout: timeLimit });
	}
}

/** The Node of the machine if it has this version, otherwise one from npm: the package that `node` installs by a script. */
async function findNode(folder: string, version: string): Promise<string> {
	const folders: string[] = (process.env["PATH"] ?? "").split(delimiter);
	const node: string | undefined = folders.filter((path: string) => !path.includes("node_modules"))
		.map((path: string) => join(path, "node")).find(existsSync);
	if (node && `${(await execute(node, ["--version"])).trim()}.`.startsWith(`v${version}.`)) return node;
	const platform = `${process.platform}-${process.arch}`;
	const name: string = platform === "darwin-arm64" ? `node-bin-${platform}` : `node-${platform}`;
	await execute("npm", ["install", "--no-save", "--prefer-offline", "--no-audit", "--no-fund", `${name}@${version}`], {
		cwd: folder,
	});
	return join(folder, "node_modules", name, "bin/node");
}

async function useInWorkerd(folder: string): Promise<void> {
	await bundle(folder, "worker.mjs", { outfile: "worker.js", conditions: ["workerd", "worker"], platform: "neutral" });
	await execute("workerd", ["test", "worker.capnp"], { cwd: folder, timeout: timeLimit });
}

async function useInBrowser(folder: string): Promise<void> {
	if (!hasBrowser()) return;
	await bundle(folder, "esm.mjs", { outfile: "page.js", platform: "browser" });
	await runInPage({ "/main.js": readFileSync(join(folder, "page.js"), "utf8") }, timeLimit);
}

async function bundle(folder: string, entry: string, options: BuildOptions): Promise<void> {
	await build({ ...options, entryPoints: [entry], absWorkingDir: folder, bundle: true, format: "esm" });
}

async function useMinified(folder: string): Promise<void> {
	await execute("node", ["minified.mjs"], { cwd: folder, timeout: timeLimit });
	if (!hasBrowser()) return;
	const [main, core]: string[] = ["minified.mjs", `${minified}.js`].map((name) =>
		readFileSync(join(folder, name), "utf8")
	);
	await runInPage({ "/main.js": main!, [`/${minified}.js`]: core! }, timeLimit);
}

/** Starts it as `npx upkeep` does, in each runtime. Without a driver for Postgres, the error must name the packages. */
async function useCommandLine(folder: string): Promise<void> {
	rmSync(join(folder, "tasks.db"), { force: true });
	await execute("node", ["command-line.mjs"], { cwd: folder, timeout: timeLimit });
	const program: string = join("node_modules", "upkeep", "bin", "upkeep.mjs");
	for (const [name, ...args] of [["node"], ["deno", "run", "--allow-all"], ["bun", "run"]]) {
		const counts: string = await execute(name!, [...args, program, "counts", "--db", "tasks.db"], {
			cwd: folder,
			timeout: timeLimit,
		});
		if (JSON.parse(counts).waiting !== 1) throw new Error(`${name} counts ${counts}`);
	}
	const command: string = join("node_modules", ".bin", "upkeep");
	await execute(command, ["rm", "first", "--db", "tasks.db"], { cwd: folder, timeout: timeLimit });
	const refused: Promise<string> = execute(command, ["ls", "--db", "postgres://127.0.0.1/none"], {
		cwd: folder,
		timeout: timeLimit,
	});
	const failure: string = await refused.catch((error: Error) => error.message);
	if (!/ended with 1\n.*install the package/.test(failure)) throw new Error(`without a driver: ${failure}`);
}

async function compileTypes(folder: string): Promise<void> {
	for (const extension of ["mts", "cts"]) cpSync(join(folder, "types.ts"), join(folder, `types.${extension}`));
	await compile(folder, { module: "node16" }, ["types.mts", "types.cts"]);
	await compile(folder, { module: "nodenext" }, ["types.mts", "types.cts"]);
	await compile(folder, { module: "esnext", moduleResolution: "bundler" }, ["types.ts"]);
}

// The declaration files are checked, too, without the types of Node: they must need no other library than these.
async function compile(folder: string, options: object, files: string[]): Promise<void> {
	const strict: object = { strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true };
	const rest: object = { target: "es2022", lib: ["es2022", "dom"], types: [], skipLibCheck: false, noEmit: true };
	const config: object = { compilerOptions: { ...strict, ...rest, ...options }, files };
	writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
	await execute("tsc", ["-p", folder]);
}
