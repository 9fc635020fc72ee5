// The notes of examples/apps, built by Vite and used in Chromium as people would: offline, in two tabs, closed, logged out.
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { NotesServer } from "../../../examples/apps/notes/server.ts";
import { findBrowser } from "../../../scripts/test/browsers.ts";
import { install } from "../../apps/install.ts";

const executable = findBrowser("chromium");
const isSkipped = executable === undefined && ["", "0", "false"].includes(process.env["CI"] ?? "");
const patience = { timeout: 20_000, interval: 20 };

let folder: string;
let browser: Browser;
let server: NotesServer;
let port: number;
let context: BrowserContext;

// Skipped on a desk without a browser. In CI a missing browser is a failure.
describe.skipIf(isSkipped)("examples/apps/notes", { timeout: 60_000 }, () => {
	beforeAll(async () => {
		folder = await install("notes");
		const env = { ...process.env, NODE_ENV: "production" }; // Vitest sets another one
		await promisify(execFile)(process.execPath, ["node_modules/vite/bin/vite.js", "build"], { cwd: folder, env });
		browser = await chromium.launch({ executablePath: executable!, args: ["--no-sandbox"] });
	}, 60_000);
	afterAll(async () => {
		await browser?.close();
		await rm(folder, { recursive: true, force: true });
	});

	beforeEach(async () => {
		server = new NotesServer(join(folder, "dist"));
		port = await server.listen(0);
		context = await browser.newContext();
		context.setDefaultTimeout(patience.timeout);
	});
	afterEach(async () => {
		await context.close();
		await server.close();
	});

	test("what is typed reaches a flaky server in few requests, with its newest text", async () => {
		const page = await openLoggedIn();
		server.flaky = 2;
		const text = "The newest text wins, however often somebody types.";
		const note = await newNote(page);
		const before = server.requests;
		await note.pressSequentially(text, { delay: 5 });
		await vi.waitFor(() => expect(textsOf("ada")).toEqual([text]), patience);
		await status(page, "All changes are saved.");
		expect(server.requests - before).toBeLessThan(text.length / 2);
	});

	test("notes and photos wait for the network over a reload, and arrive byte for byte", async () => {
		const page = await openLoggedIn();
		const note = await newNote(page);
		await status(page, "All changes are saved.");
		await goOffline();
		await note.fill("written offline");
		const buffer = randomBytes(300_000);
		await page.getByLabel("Photo").setInputFiles({ name: "photo.jpg", mimeType: "image/jpeg", buffer });
		await status(page, "Changes on this device only: 2");
		await page.reload();
		await status(page, "Changes on this device only: 2");
		expect(await page.getByLabel("Note", { exact: true }).inputValue()).toBe("written offline");
		await page.getByAltText("on this device").waitFor({ state: "attached" });

		await goOnline();
		await status(page, "All changes are saved.");
		expect(textsOf("ada")).toEqual(["written offline"]);
		const [photos] = [...server.notes.get("ada")!.values()].map(({ photos }) => [...photos.values()]);
		expect(photos!.map((photo) => buffer.equals(photo))).toEqual([true]);
	});

	test("an expired login holds everything back, and the next login lets it go on", async () => {
		const page = await openLoggedIn();
		const note = await newNote(page);
		await status(page, "All changes are saved.");
		server.expireSessions();
		await note.fill("while logged out");
		const expired = page.getByText("Your login has expired.");
		await expired.waitFor();
		await status(page, "Changes on this device only: 1");
		const before = server.requests;
		await page.waitForTimeout(1_000); // time for requests that must not come
		expect(server.requests - before).toBeLessThanOrEqual(2); // the service worker may try once, too
		expect(textsOf("ada")).toEqual([""]);

		await page.getByRole("button", { name: "Log in again" }).click();
		await vi.waitFor(() => expect(textsOf("ada")).toEqual(["while logged out"]), patience);
		await expired.waitFor({ state: "hidden" });
		await status(page, "All changes are saved.");
	});

	test("another tab shows what a tab has not sent, and sends it when that is closed", async () => {
		const [first, second] = [await openLoggedIn(), await context.newPage()];
		await second.goto(url());
		await goOffline();
		const note = await newNote(first);
		await note.fill("from the first tab");
		await vi.waitFor(async () => {
			expect(await second.getByLabel("Note", { exact: true }).inputValue()).toBe("from the first tab");
		}, patience);
		await first.close();
		await goOnline();
		await status(second, "All changes are saved.");
		expect(textsOf("ada")).toEqual(["from the first tab"]);
	});

	test("the service worker sends what the last tab has left", async () => {
		const page = await openLoggedIn();
		server.flaky = 1;
		const note = await newNote(page);
		await note.fill("left behind");
		await status(page, "Changes on this device only: 1");
		await page.close();
		server.flaky = Infinity;
		const sync = await syncEvents();
		await vi.waitFor(async () => {
			await sync();
			expect(textsOf("ada")).toEqual(["left behind"]);
		}, { timeout: 20_000, interval: 500 });
	});

	test("a logout leaves nothing on the device, and nothing reaches the next user", async () => {
		const page = await openLoggedIn();
		await newNote(page);
		await status(page, "All changes are saved.");
		await goOffline();
		await page.getByLabel("Note", { exact: true }).fill("a secret");
		await page.getByLabel("Photo").setInputFiles({ name: "a.jpg", mimeType: "image/jpeg", buffer: randomBytes(99) });
		await status(page, "Changes on this device only: 2");
		expect(await leftOn(page)).toHaveLength(3);
		await page.getByRole("button", { name: "Log out" }).click();
		await page.getByLabel("Your name").waitFor();
		await vi.waitFor(async () => expect(await leftOn(page)).toEqual([]), patience);

		await goOnline();
		await login(page, "bob");
		await status(page, "All changes are saved.");
		expect(await page.getByLabel("Note", { exact: true }).count()).toBe(0);
		expect([textsOf("ada"), textsOf("bob")]).toEqual([[""], []]);
	});
});

function url(): string {
	return `http://127.0.0.1:${port}`;
}

/** Opens the page, and waits until it works offline. */
async function openLoggedIn(): Promise<Page> {
	const page = await context.newPage();
	await page.goto(url());
	await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
	await login(page, "ada");
	return page;
}

async function login(page: Page, name: string): Promise<void> {
	await page.getByLabel("Your name").fill(name);
	await page.getByRole("button", { name: "Log in" }).click();
	await page.getByRole("heading", { name: `Notes of ${name}` }).waitFor();
}

async function newNote(page: Page) {
	await page.getByRole("button", { name: "New note" }).click();
	const note = page.getByLabel("Note", { exact: true });
	await note.waitFor();
	return note;
}

async function status(page: Page, text: string): Promise<void> {
	await page.getByRole("status").filter({ hasText: text }).waitFor();
}

function textsOf(user: string): string[] {
	return [...server.notes.get(user)?.values() ?? []].map(({ text }) => text);
}

/** Also for the service worker, whose network the browser does not take away. */
async function goOffline(): Promise<void> {
	await server.close();
	await context.setOffline(true);
}

async function goOnline(): Promise<void> {
	await server.listen(port);
	await context.setOffline(false);
}

/** Sends Background Sync events, for which the browser may wait for minutes otherwise. No page of the origin is open. */
async function syncEvents(): Promise<() => Promise<void>> {
	const session = await context.newCDPSession(await context.newPage());
	const registrationId = new Promise<string>((resolve) => {
		session.on("ServiceWorker.workerRegistrationUpdated", ({ registrations: [registration] }) => {
			if (registration !== undefined) resolve(registration.registrationId);
		});
	});
	await session.send("ServiceWorker.enable");
	const event = { origin: url(), registrationId: await registrationId, tag: "upkeep", lastChance: false };
	return async () => void await session.send("ServiceWorker.dispatchSyncEvent", event);
}

/** The stored tasks, and the cached list of notes. */
async function leftOn(page: Page): Promise<unknown[]> {
	return await page.evaluate(async () => {
		const result = <T>(request: IDBRequest<T>) =>
			new Promise<T>((resolve, reject) => {
				request.onsuccess = () => resolve(request.result);
				request.onerror = () => reject(request.error);
			});
		const database = await result(indexedDB.open("notes"));
		const names = [...database.objectStoreNames];
		const rows = await Promise.all(
			names.map((name) => result(database.transaction(name).objectStore(name).getAll())),
		);
		database.close();
		const texts = rows.flat().map((row) => JSON.stringify(row)).filter((row) => /"kind":"(?:save|photo)"/.test(row));
		return [...texts, ...(await caches.has("notes") ? ["the list"] : [])];
	});
}
