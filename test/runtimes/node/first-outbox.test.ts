// The guide docs/first-outbox.md, followed to the letter: its files are written, checked, built with Vite, served and used
// in Chromium. Only the ports differ.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join, relative } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { findFiles } from "../../../scripts/docs-blocks.ts";
import { entryPoints, root } from "../../../scripts/project.ts";
import { findBrowser } from "../../../scripts/test/browsers.ts";
import { isLong } from "../../support.ts";

/** Without `NODE_ENV`, which Vitest sets: Vite would not build for production. */
const { NODE_ENV: _, ...env } = process.env;
const patience = { timeout: 15_000, interval: 50 };

let folder: string;
let api: ChildProcess | undefined;
let preview: ChildProcess;
let browser: Browser;
let context: BrowserContext;
let ports: { readonly api: number; readonly page: number };
/** What `api.js` has printed. */
let printed = "";

// Builds an application twice, so only with `--long`. Skipped on a desk without a browser: in CI that is a failure.
describe.skipIf(!isLong || isMissing())("docs/first-outbox.md", { timeout: 40_000 }, () => {
	beforeAll(async () => {
		ports = { api: await findPort(), page: await findPort() };
		folder = writeProgram();
		await runTool("typescript/bin/tsc", ["-p", "."]);
		await runTool("vite/bin/vite.js", ["build"]);
		const args = ["preview", "--host", "127.0.0.1", "--port", `${ports.page}`, "--strictPort"];
		preview = start([toolPath("vite/bin/vite.js"), ...args]);
		browser = await chromium.launch({ executablePath: findBrowser("chromium")!, args: ["--no-sandbox"] });
		context = await browser.newContext();
		await vi.waitFor(() => fetch(url()), patience);
	}, 60_000);

	afterAll(async () => {
		await browser?.close();
		for (const child of [api, preview]) child?.kill("SIGKILL");
		if (folder !== undefined) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
	});

	test("a message stays in all tabs while there is no server, and is sent when there is one", async () => {
		const [page, other] = [await open(), await open()];
		await send(page, "hello");
		for (const tab of [page, other]) await expectItem(tab, "hello: waiting Status 502");
		await page.reload();
		await expectItem(page, "hello: waiting Status 502");
		startApi();
		await vi.waitFor(() => expect(printed).toContain(`{"text":"hello"}`), patience);
		for (const tab of [page, other]) {
			await vi.waitFor(async () => expect(await tab.locator("li").count()).toBe(0), patience);
		}
		await other.close();
	});

	test("the service worker sends what a closed tab has left", { timeout: 90_000 }, async () => {
		const page = context.pages()[0]!;
		await page.evaluate(() => navigator.serviceWorker.ready);
		await context.setOffline(true);
		await send(page, "later");
		await expectItem(page, "later: waiting Failed to fetch");
		await page.close();
		await context.setOffline(false);
		const witness = await context.newPage();
		await witness.goto(`${url()}service-worker.js`); // of the same origin, and without an outbox
		await vi.waitFor(async () => {
			await dispatchSync(witness);
			expect(printed).toContain(`{"text":"later"}`);
		}, { timeout: 60_000, interval: 300 }); // the lease of 30 s, if the tab was closed during an attempt
	});
});

/** Writes the files of the guide, and a package `upkeep` that is the sources. */
function writeProgram(): string {
	mkdirSync(join(root, "test-results"), { recursive: true });
	const target = mkdtempSync(join(root, "test-results", "first-outbox-"));
	const write = (path: string, content: string) => {
		mkdirSync(dirname(join(target, path)), { recursive: true });
		writeFileSync(join(target, path), content);
	};
	for (const [path, content] of findFiles("docs/first-outbox.md")) {
		write(path, content.replaceAll("3000", `${ports.api}`));
	}
	write("package.json", `{ "type": "module" }`);
	const exports: Record<string, string> = {};
	for (const { subpath, output, source } of entryPoints()) {
		const path = `node_modules/upkeep/${output}.ts`;
		exports[subpath] = `./${output}.ts`;
		write(path, `export * from "${relative(dirname(join(target, path)), join(root, source))}";\n`);
	}
	write("node_modules/upkeep/package.json", JSON.stringify({ name: "upkeep", type: "module", exports }));
	return target;
}

async function runTool(tool: string, args: string[]): Promise<void> {
	await promisify(execFile)(process.execPath, [toolPath(tool), ...args], { cwd: folder, env }).catch(
		({ stdout, stderr }) => {
			throw new Error(`${tool}: ${stdout}${stderr}`);
		},
	);
}

function toolPath(tool: string): string {
	return join(root, "node_modules", tool);
}

function start(args: string[]): ChildProcess {
	return spawn(process.execPath, args, { cwd: folder, env, stdio: ["ignore", "pipe", "ignore"] });
}

function startApi(): void {
	api = start(["api.js"]);
	api.stdout!.on("data", (data) => printed += data);
}

async function findPort(): Promise<number> {
	const server = createServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as AddressInfo;
	server.close();
	await once(server, "close");
	return port;
}

function url(): string {
	return `http://127.0.0.1:${ports.page}/`;
}

async function open(): Promise<Page> {
	const page = await context.newPage();
	await page.goto(url());
	return page;
}

async function send(page: Page, message: string): Promise<void> {
	await page.getByLabel("Message").fill(message);
	await page.getByRole("button", { name: "Send" }).click();
	await vi.waitFor(async () => expect(await page.getByLabel("Message").inputValue()).toBe(""), patience);
}

async function expectItem(page: Page, start: string): Promise<void> {
	await vi.waitFor(
		async () => expect(await page.locator("li").allInnerTexts()).toEqual([expect.stringContaining(start)]),
		patience,
	);
}

/** Makes the browser send the event of Background Sync that it would send when the network is back. */
async function dispatchSync(page: Page): Promise<void> {
	const session = await context.newCDPSession(page);
	const registered = new Promise<string>((resolve) => {
		session.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => {
			const found = registrations.find(({ scopeURL, isDeleted }) => scopeURL === url() && !isDeleted);
			if (found !== undefined) resolve(found.registrationId);
		});
	});
	await session.send("ServiceWorker.enable");
	const event = { origin: url(), registrationId: await registered, tag: "upkeep", lastChance: false };
	await session.send("ServiceWorker.dispatchSyncEvent", event);
	await session.detach();
}

function isMissing(): boolean {
	const isCi = !["", "0", "false"].includes(process.env["CI"] ?? "");
	return findBrowser("chromium") === undefined && !isCi;
}
