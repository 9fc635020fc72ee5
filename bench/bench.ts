// `npm run bench` measures the speed and the size of this library and of others, in each installed engine.
//
//     npm run bench                                 everything, which takes some minutes
//     npm run bench -- run attach                   only these topics
//     npm run bench -- --engine node --engine bun   only in these engines
//     npm run bench -- --quick                      fewer and shorter processes
//     npm run bench -- --json results.json          writes the results to a file as well
//     npm run bench -- --library ../copy/mod.ts     measures another copy of the library
//
// Each case runs in a process of its own and reports its best round. The processes take turns, case by case, so that
// other load of the machine affects all cases alike, and the best process of each case counts. Trust the ratios.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { build, type Plugin, type PluginBuild } from "esbuild";
import { readJson, root } from "../scripts/project.ts";
import { type PostgresServer, startPostgres } from "../test/servers/postgres.ts";
import { presentEngines, runIn } from "./engines.ts";
import { casesIn, columnsOf, format, judge, type Results } from "./table.ts";
import { type EngineName, type Topic, type TopicName, topics } from "./topics.ts";

interface Request {
	topics: TopicName[];
	engines: EngineName[];
	quick: boolean;
	json: string | undefined;
	library: string;
}

const folder: string = join(root, "bench");
/** These packages load files of their own. */
const unbundled: Plugin = {
	name: "unbundled",
	setup({ onResolve }: PluginBuild): void {
		const filter =
			/^(@dbos-inc\/dbos-sdk|better-sqlite3|graphile-worker|liteque|openworkflow(\/sqlite)?|pg|pg-boss|piscina|plainjob|postgres|tinypool)$/;
		onResolve({ filter }, ({ path }: { path: string }) => ({
			path: import.meta.resolve(path),
			external: true,
		}));
	},
};
const request: Request = readRequest();
installPeers();
const bundles: string = mkdtempSync(join(tmpdir(), "upkeep-bench-"));
process.once("exit", () => rmSync(bundles, { recursive: true, force: true }));
process.once("SIGINT", () => process.exit(130)).once("SIGTERM", () => process.exit(143));
await bundle();
const all: Partial<Record<TopicName, unknown>> = {};
for (const name of request.topics) await measure(name);
if (request.json !== undefined) writeFileSync(request.json, JSON.stringify(all, undefined, "\t") + "\n");

function readRequest(): Request {
	try {
		const { values, positionals } = parseArgs({
			allowPositionals: true,
			options: {
				engine: { type: "string", multiple: true, default: [] },
				quick: { type: "boolean", default: false },
				json: { type: "string" },
				library: { type: "string", default: join(root, "mod.ts") },
			},
		});
		return {
			topics: chosen("topic", positionals, Object.keys(topics) as TopicName[]),
			engines: chosen("engine", values.engine, presentEngines()),
			quick: values.quick,
			json: values.json,
			library: resolve(values.library),
		};
	} catch (error) {
		console.error((error as Error).message.split(". ")[0]); // the rest of the message is advice on quoting
		return process.exit(2);
	}
}

/** The named entries in their usual order, or all entries if no name is given. */
function chosen<T extends string>(kind: string, names: string[], known: readonly T[]): T[] {
	const unknown: string | undefined = names.find((name: string) => !known.includes(name as T));
	if (unknown !== undefined) throw new Error(`There is no ${kind} "${unknown}", only ${known.join(", ")}`);
	return names.length === 0 ? [...known] : known.filter((name: T) => names.includes(name));
}

/** Only the benchmarks need the peers, so they are not dependencies of the project. */
function installPeers(): void {
	const { dependencies } = readJson<{ dependencies: Record<string, string> }>(join(folder, "package.json"));
	if (Object.entries(dependencies).every(([name, version]: [string, string]) => installed(name) === version)) return;
	const { status } = spawnSync("npm", ["ci", "--loglevel=error"], {
		cwd: folder,
		stdio: ["ignore", "ignore", "inherit"],
		shell: process.platform === "win32",
	});
	if (status === 0) return;
	console.error("`npm ci` failed in bench/, see above");
	process.exit(1);
}

function installed(name: string): string | undefined {
	const file: string = join(folder, "node_modules", name, "package.json");
	return existsSync(file) ? readJson<{ version: string }>(file).version : undefined;
}

/** Bundles the same JavaScript for all engines. */
async function bundle(): Promise<void> {
	await build({
		entryPoints: request.topics.flatMap((name: TopicName) => [name, ...topics[name].modules ?? []])
			.map((name: string) => join(folder, "cases", `${name}.ts`)),
		outdir: bundles,
		outExtension: { ".js": ".mjs" },
		bundle: true,
		format: "esm",
		target: "es2022",
		platform: "browser",
		external: ["node:*"],
		define: { "process.env.NODE_ENV": '"production"' },
		alias: {
			upkeep: request.library,
			...Object.fromEntries(
				["threads", "cron", "otel", ...["deno-kv", "indexeddb", "postgres", "sqlite"].map((name) => `stores/${name}`)]
					.map(aliasOf),
			),
		},
		plugins: [unbundled],
	});
}

/** Another copy of the library may be older than the current layout, which has one folder per room. */
function aliasOf(name: string): [string, string] {
	const source: string = join(dirname(request.library), "src", name);
	const door: string = join(source, `${basename(name)}.ts`);
	return [`upkeep/${name}`, existsSync(door) ? door : `${source}.ts`];
}

async function measure(name: TopicName): Promise<void> {
	const topic: Topic = topics[name];
	const engines: EngineName[] = topic.engines.filter((engine: EngineName) => request.engines.includes(engine));
	const results: Results = Object.fromEntries(topic.cases.map((label: string) => [label, {}]));
	// The default durability of Postgres.
	const server: PostgresServer | undefined = topic.needsPostgres
		? await startPostgres({ isDurable: true, settings: { max_connections: 300 } })
		: undefined;
	const { processes = 5 } = topic;
	for (let left = request.quick ? Math.min(2, processes) : processes; left > 0; left--) {
		for (const engine of engines) {
			for (const label of casesIn(topic, engine)) await improve(results, name, label, engine, server?.url);
		}
	}
	await server?.stop();
	if (engines.length > 0) console.log(format(name, topic, results, engines));
	all[name] = { columns: columnsOf(topic), results, verdicts: judge(topic, results, engines) };
}

async function improve(
	results: Results,
	name: TopicName,
	label: string,
	engine: EngineName,
	server = "",
): Promise<void> {
	const parameters = new URLSearchParams({ case: label, plan: request.quick ? "quick" : "full", server });
	const result: number[] = await runIn(engine, join(bundles, `${name}.mjs`), parameters);
	const before: number[] | undefined = results[label]![engine];
	results[label]![engine] = result.map((value: number, i: number) => Math.min(value, before?.[i] ?? Infinity));
}
