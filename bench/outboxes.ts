// Measures the size of an outbox in a page or a service worker, for this library and others. Each is bundled with all of
// its imports, minified and compressed in the same way.
//
//     npm run bench:outboxes        measures, and writes the sizes of the others into bench/outboxes.json
//
// The README quotes the sizes. `npm run check -- readme` measures ours, and reads those of the others from that file, which
// is valid for the versions in bench/package.json.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { brotliCompressSync } from "node:zlib";
import { build } from "esbuild";

/** Sizes in bytes, by their names in the README. */
export type Sizes = Record<string, number>;

interface Recorded {
	versions: Record<string, string>;
	sizes: Sizes;
}

interface Program {
	code: string;
	/** Packages that are not bundled. */
	external?: string[];
}

const record = "bench/outboxes.json";
const packages = ["@tanstack/offline-transactions", "workbox-background-sync"];

const own: Record<string, Program> = {
	"outbox-page": {
		code: `
			export { Basket, stopNow } from "../dist/index.js";
			export { indexedDBStore } from "../dist/stores/indexeddb.js";
			export { leader, online, visible } from "../dist/browser.js";`,
	},
	"outbox-worker": {
		code: `
			export { Basket, stopNow } from "../dist/index.js";
			export { indexedDBStore } from "../dist/stores/indexeddb.js";
			export { backgroundSync } from "../dist/browser.js";`,
	},
};

const others: Record<string, Program> = {
	"workbox": { code: `export { Queue } from "workbox-background-sync";` },
	"tanstack": {
		code: `export { IndexedDBAdapter, NonRetriableError, startOfflineExecutor } from "@tanstack/offline-transactions";`,
		external: ["@tanstack/db"],
	},
	"tanstack-db": {
		code: `
			export { IndexedDBAdapter, NonRetriableError, startOfflineExecutor } from "@tanstack/offline-transactions";
			export { createCollection, localOnlyCollectionOptions } from "@tanstack/db";`,
	},
};

/** Measures the outboxes of this library, from dist/, and those of others. */
export async function measureOutboxes(): Promise<Sizes> {
	const { versions, sizes }: Recorded = JSON.parse(readFileSync(record, "utf8"));
	if (JSON.stringify(versions) === JSON.stringify(wantedVersions())) return { ...await measure(own), ...sizes };
	throw new Error(`${record} is about other versions than bench/package.json: npm run bench:outboxes measures them`);
}

async function measure(programs: Record<string, Program>): Promise<Sizes> {
	const sizes: Sizes = {};
	for (const [name, program] of Object.entries(programs)) sizes[name] = await weigh(program);
	return sizes;
}

async function weigh({ code, external = [] }: Program): Promise<number> {
	const { outputFiles: [file] } = await build({
		stdin: { contents: code, resolveDir: "bench" },
		...{ bundle: true, minify: true, format: "esm", platform: "browser", target: "es2022", external },
		define: { "process.env.NODE_ENV": '"production"' },
		legalComments: "none",
		logLevel: "error",
		write: false,
	});
	return brotliCompressSync(file!.contents).length;
}

function wantedVersions(): Record<string, string> {
	const { dependencies } = JSON.parse(readFileSync("bench/package.json", "utf8"));
	return Object.fromEntries(packages.map((name: string) => [name, dependencies[name]]));
}

async function main(): Promise<void> {
	const isWindows: boolean = process.platform === "win32";
	const { status } = spawnSync("npm", ["ci", "--loglevel=error"], { cwd: "bench", stdio: "inherit", shell: isWindows });
	if (status !== 0) throw new Error("`npm ci` failed in bench/, see above");
	const sizes: Sizes = await measure(others);
	writeFileSync(record, JSON.stringify({ versions: wantedVersions(), sizes }, undefined, "\t") + "\n");
	console.table({ ...await measure(own), ...sizes });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main();
