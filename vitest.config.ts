// One Vitest project for each engine of scripts/test/engines.ts that Vitest runs. Deno and Bun run the same tests natively.
import type { Plugin } from "vitest/config";
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";
import { join } from "node:path";
import { tmpdir } from "node:os";
import process from "node:process";
import type { BrowserName } from "./scripts/test/browsers.ts";
import { longVariable, root, testFiles, testTimeout } from "./scripts/test/engines.ts";

type Project = TestProjectInlineConfiguration;

const projects: Record<string, () => Project | Promise<Project> | Project[]> = {
	// Files that every engine runs share a process, as they do in the other engines: loading the library anew for each of them
	// would cost a minute.
	node: () => [
		{ extends: true, test: { ...tests("node", isCommon), isolate: false } },
		{ extends: true, test: { ...tests("node", (file) => !isCommon(file)), name: "node-alone" } },
	],
	// A window for every file would cost half a second each; workerd and Bun share their globals, too.
	"happy-dom": () => ({ extends: true, test: { ...tests("happy-dom"), environment: "happy-dom", isolate: false } }),
	workerd,
	chromium: () => browser("chromium"),
	firefox: () => browser("firefox"),
	webkit: () => browser("webkit"),
};

// The test script names the one engine that it wants: loading the others' plugins would double the time of a short run.
const engine = process.env["TEST_ENGINE"];
const wanted = engine === undefined ? Object.keys(projects) : [engine];

export default defineConfig(async () => ({
	resolve: {
		alias: [
			{ find: /^upkeep$/, replacement: join(root, "mod.ts") },
			{ find: /^upkeep\/browser$/, replacement: join(root, "src/browser/browser.ts") },
			{ find: /^upkeep\/cron$/, replacement: join(root, "src/cron/cron.ts") },
			{ find: /^upkeep\/http$/, replacement: join(root, "src/http/http.ts") },
			{ find: /^upkeep\/inspector$/, replacement: join(root, "src/inspector/inspector.ts") },
			{ find: /^upkeep\/otel$/, replacement: join(root, "src/otel/otel.ts") },
			{ find: /^upkeep\/store$/, replacement: join(root, "src/store.ts") },
			{ find: /^upkeep\/stores\/(.+)$/, replacement: join(root, "src/stores/$1/$1.ts") },
			{ find: /^upkeep\/testing$/, replacement: join(root, "src/testing/testing.ts") },
			{ find: /^upkeep\/threads$/, replacement: join(root, "src/threads/threads.ts") },
		],
	},
	// Two runs at the same time must not rewrite each other's prepared dependencies, which Vite warns of outside node_modules.
	...(engine === undefined ? {} : { cacheDir: join(tmpdir(), "node_modules/.vite") }),
	test: {
		api: { host: "127.0.0.1" }, // the port is the next free one
		env: { [longVariable]: process.env[longVariable] ?? "" },
		testTimeout,
		hookTimeout: testTimeout,
		projects: (await Promise.all(wanted.map((name) => projects[name]!()))).flat(),
	},
}));

function tests(name: string, isWanted: (file: string) => boolean = () => true): { name: string; include: string[] } {
	return { name, include: testFiles(name, [], true).filter(isWanted) };
}

function isCommon(file: string): boolean {
	return !file.startsWith("test/runtimes/");
}

async function workerd(): Promise<Project> {
	const { cloudflareTest } = await import("@cloudflare/vitest-plugin");
	const miniflare = { compatibilityDate: "2026-10-01", compatibilityFlags: ["nodejs_compat"] };
	return {
		extends: true,
		plugins: [cloudflareTest({ miniflare }) as Plugin],
		test: { ...tests("workerd"), isolate: false },
	};
}

/** The packages that tests in pages import, besides small ones. */
const inPages = [
	"axe-core",
	...["core", "sdk-metrics", "sdk-trace-base", "semantic-conventions/incubating"].map((name) =>
		`@opentelemetry/${name}`
	),
];

async function browser(name: BrowserName): Promise<Project> {
	const { systemBrowser } = await import("./scripts/system-browser.ts");
	const instances = [{ browser: name }];
	return {
		extends: true,
		optimizeDeps: { include: inPages }, // found only when a test is running, they would load the page anew
		// Vitest leaves this import as it is, and Vite does not find it from the folder of the prepared dependencies.
		resolve: { alias: { "@opentelemetry/api": join(root, "node_modules/@opentelemetry/api/build/esm/index.js") } },
		test: {
			...tests(name),
			isolate: false,
			browser: {
				enabled: true,
				headless: true,
				ui: false,
				screenshotFailures: false,
				provider: systemBrowser(),
				instances,
			},
		},
	};
}
