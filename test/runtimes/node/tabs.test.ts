// Baskets on IndexedDB in real tabs of Chromium, which the test closes, crashes and freezes. These tests use the real
// timers of the browser.
import process from "node:process";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { findBrowser } from "../../../scripts/test/browsers.ts";
import type { Delivery } from "../../tabs/basket.ts";
import type { Tab } from "../../tabs/page.ts";
import { bundle, type Request, Site } from "../../tabs/site.ts";

/** A global of the pages. */
declare const tab: Tab;

/** The lease of a claim, and the time limit of an operation on a slow machine, in milliseconds. */
const lease = 1_500;
const longLease = 60_000;
const patience = { timeout: 20_000, interval: 20 };

let files: Map<string, string>;
let browser: Browser;
let context: BrowserContext;
let site: Site;

// Skipped on a desk without a browser. In CI a missing browser is a failure.
describe.skipIf(isMissing())("Basket on indexedDBStore() in tabs", { timeout: 60_000 }, () => {
	beforeAll(async () => {
		files = await bundle();
		browser = await chromium.launch({ executablePath: findBrowser("chromium")!, args: ["--no-sandbox"] });
	}, 60_000);
	afterAll(() => browser?.close());

	beforeEach(async () => {
		site = new Site(files);
		await site.open();
		context = await browser.newContext();
	});
	afterEach(async () => {
		await context.close();
		site.close();
	});

	test("two tabs and a service worker share the tasks out, and run each by one at a time", async () => {
		const [first, second] = [await open("first", longLease), await open("second", longLease)];
		const ids: string[] = [];
		const add = async () => {
			const more = Array.from({ length: 20 }, (_, index) => `${ids.length + index}`);
			ids.push(...more);
			await first.evaluate(
				([ids, delivery]) => tab.add(ids, delivery),
				[more, { duration: 30 }] as [string[], Delivery],
			);
		};
		await add();
		for (const page of [first, second]) await page.evaluate(() => tab.run());
		await second.evaluate(() => tab.register());
		await vi.waitFor(async () => {
			await add();
			expect(new Set(site.requests.map(({ by }) => by))).toEqual(new Set(["first", "second", "service worker"]));
		}, patience);
		await untilDone(first);
		expect(site.overlaps).toEqual([]);
		expect(site.requests.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
	});

	test("what a closed tab was doing goes on in another at once", async () => {
		const { first, second } = await openTwo(longLease);
		const before = await begin(first, "task");
		await second.evaluate(() => tab.run());
		await first.close();
		const after = await nextRequest("task", before);
		after.answer();
		await untilDone(second);
		expect(site.deliverersOf("task")).toEqual(["first", "second"]);
	});

	test("what a reloaded tab was doing goes on in it at once", async () => {
		const page = await open("first", longLease);
		const before = await begin(page, "task");
		await page.reload();
		await page.evaluate(() => tab.run());
		(await nextRequest("task", before)).answer();
		await untilDone(page);
		expect(site.deliverersOf("task")).toEqual(["first", "first"]);
	});

	test("what a crashed tab was doing goes on in another at once", async () => {
		const { first, second } = await openTwo(longLease);
		const before = await begin(first, "task");
		await second.evaluate(() => tab.run());
		const session = await context.newCDPSession(first);
		const crashed = new Promise((resolve) => first.once("crash", resolve));
		session.send("Page.crash").catch(() => {}); // the crashed page does not answer
		await crashed;
		const after = await nextRequest("task", before);
		after.answer();
		await untilDone(second);
		expect(site.deliverersOf("task")).toEqual(["first", "second"]);
	});

	test("without Web Locks it goes on when the lease is over", async () => {
		await context.addInitScript(() => Object.defineProperty(Navigator.prototype, "locks", { value: undefined }));
		const { first, second } = await openTwo();
		const before = await begin(first, "task");
		await second.evaluate(() => tab.run());
		await first.close();
		const after = await nextRequest("task", before);
		expect(after.by).toBe("second");
		after.answer();
		await untilDone(second);
	});

	// Chromium only freezes hidden tabs, and a headless browser has none. Therefore a debugger stops the tab.
	test("a tab that stands still loses its claim, and writes nothing under it when it goes on", async () => {
		const { first, second } = await openTwo();
		const session = await context.newCDPSession(first);
		const paused = new Promise((resolve) => session.once("Debugger.paused", resolve));
		await session.send("Debugger.enable");
		await first.evaluate(() => tab.run());
		await first.evaluate(() => tab.add(["task"], { stands: true }));
		await paused;
		await second.evaluate(() => tab.run());
		const inTime = await nextRequest("task");
		await session.send("Debugger.resume");
		const late = await nextRequest("task", inTime);
		late.answer();
		await vi.waitFor(async () => {
			expect(await first.evaluate(() => tab.errors.join())).toContain("ClaimLostError");
		}, patience);
		expect(await second.evaluate(async () => (await tab.get("task"))!.payload)).toEqual({ stands: true });
		inTime.answer();
		await untilDone(second);
		expect(site.deliverersOf("task")).toEqual(["second", "first"]);
	});

	test("an add() in one tab wakes another at once", async () => {
		const { first, second } = await openTwo();
		await second.evaluate(() => tab.run());
		const before = await begin(second, "before");
		before.answer();
		await untilDone(second);
		// From this point, the other tab sleeps for a minute unless it is woken.
		const addedAt = performance.now();
		const request = await begin(first, "task", false);
		expect(request.by).toBe("second");
		expect(request.begunAt - addedAt).toBeLessThan(30_000);
		request.answer();
		await untilDone(second);
	});

	test("what failed offline is delivered when the browser is online again", async () => {
		const { first } = await openTwo();
		await context.setOffline(true);
		await first.evaluate(() => tab.run());
		await first.evaluate(() => tab.add(["task"], { duration: 0 }));
		// The next attempt is due in an hour.
		await vi.waitFor(async () => {
			expect(await first.evaluate(async () => (await tab.get("task"))!.attempts)).toBe(1);
		}, patience);
		expect(site.requests).toEqual([]);
		await context.setOffline(false);
		await untilDone(first);
		expect(site.deliverersOf("task")).toEqual(["first"]);
	});
});

/** Whether the browser is missing and the tests may be skipped. CI never skips them. */
function isMissing(): boolean {
	return findBrowser("chromium") === undefined && ["", "0", "false"].includes(process.env["CI"] ?? "");
}

async function open(by: string, claimLease = lease): Promise<Page> {
	const page = await context.newPage();
	page.on("pageerror", (error) => console.error(by, error));
	await page.goto(`${site.url}/?by=${by}&lease=${claimLease}`);
	return page;
}

async function openTwo(claimLease = lease): Promise<{ first: Page; second: Page }> {
	return { first: await open("first", claimLease), second: await open("second", claimLease) };
}

/** Adds a task that ends when the test answers it, and waits until it runs. By default, this tab runs the basket. */
async function begin(page: Page, id: string, isRunHere = true): Promise<Request> {
	if (isRunHere) await page.evaluate(() => tab.run());
	await page.evaluate((id) => tab.add([id], {}), id);
	return await nextRequest(id);
}

async function nextRequest(id: string, before?: Request): Promise<Request> {
	const isNext = (request: Request) => request.id === id && request !== before;
	return await vi.waitFor(() => site.requests.find(isNext) ?? expect.unreachable(`nobody delivers "${id}"`), patience);
}

async function untilDone(page: Page): Promise<void> {
	await vi.waitFor(async () => {
		const { waiting, running } = await page.evaluate(() => tab.counts());
		expect(waiting + running).toBe(0);
	}, patience);
}
