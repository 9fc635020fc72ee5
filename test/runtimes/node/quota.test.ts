// A basket in Chromium whose quota is full. A quota of the test's own, not a small disk: of that, Chromium gives a page
// 60 %, and merging its files may need more than the rest, after which it deletes whole databases.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium, type Page } from "playwright-core";
import { afterAll, describe, expect, test } from "vitest";
import { findBrowser } from "../../../scripts/test/browsers.ts";
import type { Quota } from "../../tabs/quota.ts";

/** A global of the page. */
declare const quota: Quota;

const executablePath = findBrowser("chromium");
const isDesk = ["", "0", "false"].includes(process.env["CI"] ?? "");
const open: (() => unknown)[] = [];

afterAll(async () => {
	for (const close of open.toReversed()) await close();
}, 30_000);

// Skipped on a desk without Chromium. In CI that is a failure.
describe.skipIf(isDesk && executablePath === undefined)("Basket on indexedDBStore(), whose quota is full", () => {
	test("drains all that it has, after it has said that nothing more can be added", async () => {
		const folder = mkdtempSync(join(tmpdir(), "upkeep-quota-"));
		open.push(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
		const url = await serve();
		const context = await chromium.launchPersistentContext(folder, {
			executablePath: executablePath!,
			args: ["--no-sandbox"],
		});
		open.push(() => context.close());
		const page = await context.newPage();
		const devtools = await context.newCDPSession(page);
		await devtools.send("Storage.overrideQuotaForOrigin", { origin: new URL(url).origin, quotaSize: 30e6 });
		await page.goto(url);
		const { added, code, message } = await inTime(page, page.evaluate(() => quota.fill(40_000)));
		expect(code).toBe("full");
		expect(message).toMatch(/no space is left .* Delete data or tasks/);
		expect(added).toBeGreaterThan(300);
		const { delivered, errors } = await inTime(page, page.evaluate(() => quota.drain()));
		// Turns and renewals may fail for lack of space. The basket reports this and recovers.
		const others = errors.filter((error) => !error.includes("no space is left"));
		expect({ delivered, others }).toEqual({ delivered: added, others: [] });
	}, 150_000);
});

/** Rejects with the diary of the page if its work takes more than a minute. */
async function inTime<T>(page: Page, work: Promise<T>): Promise<T> {
	let timer: NodeJS.Timeout | undefined;
	const late = new Promise<never>((_, reject) => {
		timer = setTimeout(
			() => page.evaluate(() => quota.diary()).then((diary) => reject(new Error(diary)), reject),
			60_000,
		);
	});
	return await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

async function serve(): Promise<string> {
	const entry = fileURLToPath(new URL("../../tabs/quota.ts", import.meta.url));
	const { outputFiles } = await build({ entryPoints: [entry], bundle: true, write: false, format: "esm" });
	const page = `<!doctype html><script type="module">${outputFiles[0]!.text.replaceAll("</", "<\\/")}</script>`;
	const server = createServer((_, response) => response.writeHead(200, { "content-type": "text/html" }).end(page));
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	open.push(() => server.close());
	return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}
