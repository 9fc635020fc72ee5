// The page of the main example in a real browser. The browser is driven from outside, because the test kills the
// server. The test writes screenshots to test-results/.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { type Browser, chromium, type Page } from "playwright-core";
import { findBrowser } from "../../../scripts/test/browsers.ts";
import { root } from "../../../scripts/test/engines.ts";
import { OutboxProcess } from "../../outbox-process.ts";

const executable = findBrowser("chromium");
const isSkipped = executable === undefined && ["", "0", "false"].includes(process.env["CI"] ?? "");
const timeout = 60_000;
const results = join(root, "test-results");

// Skipped on a desk without a browser. In CI a missing browser is a failure.
describe.skipIf(isSkipped)("examples/outbox/page (skipped if there is no chromium)", () => {
	let folder: string;
	let outbox: OutboxProcess;
	let browser: Browser;

	beforeAll(async () => {
		if (executable === undefined) throw new Error("chromium not found, install it or set CHROMIUM");
		folder = await mkdtemp(join(tmpdir(), "outbox-page-"));
		browser = await chromium.launch({ executablePath: executable, args: ["--no-sandbox"] });
		await mkdir(results, { recursive: true });
	}, timeout);

	afterAll(async () => {
		await browser?.close();
		await outbox?.kill();
		await rm(folder, { recursive: true, force: true, maxRetries: 5 });
	}, timeout);

	function start(): OutboxProcess {
		return outbox = new OutboxProcess(["--plain", "--no-demo", "--db", join(folder, "outbox.db")]);
	}

	test("takes messages while the server is away, over a reload, and delivers them when it is back", async () => {
		const url = await start().url();
		const page = await browser.newPage({ viewport: { width: 1000, height: 700 } });
		page.setDefaultTimeout(timeout);
		const failures: string[] = [];
		page.on("pageerror", (error) => failures.push(String(error)));
		page.on("console", (message) => {
			// The browser logs each request that gets no answer.
			if (message.type() === "error" && !message.text().includes("net::ERR_")) failures.push(message.text());
		});
		await page.goto(url);
		await state(page, "there");
		await send(page, "while the server is there");
		await listed(page, "delivered", "while the server is there");
		await page.waitForFunction(() => navigator.serviceWorker.controller !== null);

		await outbox.kill();
		await state(page, "away");
		await send(page, "the first without the server");
		await send(page, "the second without the server");
		await listed(page, "device", "the second without the server");
		await page.reload();
		await state(page, "away");
		await listed(page, "device", "the first without the server");
		expect(await page.locator("#device li").count()).toBe(2);
		await picture(page, "outbox-server-away");

		expect(await start().url()).toBe(url);
		await state(page, "there");
		await listed(page, "delivered", "the first without the server");
		await listed(page, "delivered", "the second without the server");
		await page.waitForFunction(() => document.querySelectorAll("#device li, #queue li").length === 0);
		await picture(page, "outbox-delivered");
		const { counts, totals } = await outbox.status();
		expect(counts).toMatchObject({ waiting: 0, running: 0, dead: 0 });
		expect(totals).toMatchObject({ accepted: 2, delivered: 2 });
		expect(failures).toEqual([]);

		await outbox.kill();
		await state(page, "away");
		await send(page, "the third without the server");
		const note = page.locator("#outcome");
		await note.getByText("Kept on this device until the server is available.").waitFor();
		expect(await start().url()).toBe(url);
		await note.getByText("The server has received all messages of this device.").waitFor();
	}, timeout);

	test("lets dead messages be tried again and deleted", async () => {
		const url = await outbox.url();
		const body = JSON.stringify({ to: "nobody", text: "refused" });
		await fetch(`${url}messages`, { method: "POST", headers: { "idempotency-key": "refused" }, body });
		const page = await browser.newPage();
		await page.goto(url);
		await listed(page, "dead", "nobody: refused");
		await page.setViewportSize({ width: 390, height: 700 });
		const error = await page.locator("#dead li small").first().boundingBox();
		expect(error!.width).toBeGreaterThan(250); // beside the buttons it would have a third of this width
		await picture(page, "outbox-narrow");
		await page.locator("#dead li", { hasText: "refused" }).getByText("Try now").click();
		await outbox.printed(/ dead refused [^]* dead refused /);
		await listed(page, "dead", "attempt 1: 404 Not Found");
		await page.locator("#dead li", { hasText: "refused" }).getByText("Delete").click();
		await page.locator("#dead").waitFor({ state: "hidden" });
		expect((await outbox.status()).counts.dead).toBe(0);
	}, timeout);

	test("/inspector shows and changes the messages in two tabs, over a restart of the server, by keyboard", async () => {
		const url = await (outbox ?? start()).url();
		const body = JSON.stringify({ to: "nobody", text: "refused" });
		await fetch(`${url}messages`, { method: "POST", headers: { "idempotency-key": "inspected" }, body });
		const context = await browser.newContext({ forcedColors: "active", reducedMotion: "reduce" });
		const [one, two] = [await context.newPage(), await context.newPage()];
		const failures: string[] = [];
		one.on("pageerror", (error) => failures.push(String(error)));
		one.on("console", (message) => {
			if (message.type() === "error" && !/net::ERR_|Failed to load/.test(message.text())) failures.push(message.text());
		});
		for (const page of [one, two]) {
			page.setDefaultTimeout(20_000);
			await page.goto(`${url}inspector`);
			await page.locator(".row", { hasText: "inspected" }).getByText("dead").waitFor();
		}
		await one.route(/id=inspected/, async (route) => {
			await one.getByText("Reading …").waitFor(); // the details can be slow
			await route.continue();
		}, { times: 1 });
		await one.getByRole("button", { name: "dead inspected" }).focus();
		await one.keyboard.press("Enter");
		await one.getByRole("heading", { name: "inspected" }).waitFor();
		await one.locator(".detail").getByText("404 Not Found").first().waitFor();
		await one.keyboard.press("Tab"); // the button that closes
		await one.keyboard.press("Tab");
		expect(await focused(one)).toBe("Retry");
		expect(
			await one.getByRole("button", { name: "Retry", exact: true }).evaluate((button) =>
				getComputedStyle(button).outlineStyle
			),
		).toBe("solid");
		await one.keyboard.press("Tab");
		await one.keyboard.press("Enter");
		await one.getByRole("dialog").waitFor();
		await one.keyboard.press("Escape");
		await one.getByRole("dialog").waitFor({ state: "hidden" });
		expect(await focused(one)).toBe("Delete …");
		await picture(one, "inspector-forced-colors");

		await outbox.kill();
		await one.getByText("No answer, trying again").waitFor();
		await two.getByText("No answer, trying again").waitFor();
		expect(await one.locator(".row").count()).toBeGreaterThan(0);
		expect(await start().url()).toBe(url);
		await one.getByText("Live", { exact: true }).waitFor();
		await two.getByText("Live", { exact: true }).waitFor();

		await one.keyboard.press("Enter");
		await one.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
		await one.getByText("Deleted inspected.").waitFor();
		await two.locator(".row", { hasText: "inspected" }).waitFor({ state: "detached" });
		await one.emulateMedia({ forcedColors: "none", colorScheme: "dark" });
		await one.setViewportSize({ width: 390, height: 800 });
		await picture(one, "inspector-narrow-dark");
		expect(failures).toEqual([]);
		await context.close();
	}, timeout);
});

/** The text of what has the focus, also in a shadow tree. */
async function focused(page: Page): Promise<string | null> {
	return await page.evaluate(() => {
		let element = document.activeElement;
		while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
		return element?.textContent ?? null;
	});
}

async function state(page: Page, state: "there" | "away"): Promise<void> {
	await page.locator(`#server[data-state="${state}"]`).waitFor();
}

async function send(page: Page, text: string): Promise<void> {
	await page.getByLabel("Message").fill(text);
	await page.getByRole("button", { name: "Send" }).click();
	await page.waitForFunction(() => document.querySelector("input")!.value === ""); // the message is stored
}

async function listed(page: Page, list: "device" | "delivered" | "dead", text: string): Promise<void> {
	await page.locator(`#${list} li`, { hasText: text }).first().waitFor();
}

async function picture(page: Page, name: string): Promise<void> {
	const path = join(results, `${name}.png`);
	await page.screenshot({ path });
	console.log(path);
}
