// A basket in Chromium with its profile on a full disk. It needs Linux and root, because only root can mount a small
// disk. Chromium keeps 1 % of the disk free for itself. On a disk of 80 MB this is too little for its own cleanup,
// and it loses whole databases.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { afterAll, describe, expect, test } from "vitest";
import { findBrowser } from "../../../scripts/test/browsers.ts";
import { lackOfSmallDisk, openSmallDisk } from "../../servers/small-disk.ts";
import type { FullDisk } from "../../tabs/full-disk.ts";

/** A global of the page. */
declare const fullDisk: FullDisk;

const executablePath = findBrowser("chromium");
const lack = lackOfSmallDisk() ?? lackOfChromium();
const reason = lack === undefined ? "" : `, left out: ${lack}`;
const open: { close(): unknown }[] = [];

afterAll(async () => {
	for (const each of open.toReversed()) await each.close();
}, 30_000);

// Skipped where no disk can be mounted (the title says why), and on a desk without Chromium. In CI that is a failure.
describe.skipIf(lack !== undefined)(`Basket on indexedDBStore(), whose disk is full${reason}`, () => {
	test("drains all that it has, after it has said that nothing more can be added", async () => {
		const disk = openSmallDisk(240);
		open.push(disk);
		const url = await serve();
		const args = ["--no-sandbox"];
		const context = await chromium.launchPersistentContext(disk.path, { executablePath: executablePath!, args });
		try {
			const page = await context.newPage();
			await page.goto(url);
			const { added, code, message } = await page.evaluate(() => fullDisk.fill(40_000));
			expect(code).toBe("full");
			expect(message).toMatch(/no space is left .* Delete data or tasks/);
			expect(added).toBeGreaterThan(300);
			const { delivered, errors } = await page.evaluate(() => fullDisk.drain());
			// Renewals may fail for lack of space. The basket reports this and recovers.
			const others = errors.filter((error) => !error.includes("no space is left"));
			expect({ delivered, others }).toEqual({ delivered: added, others: [] });
		} finally {
			await context.close();
		}
	}, 120_000);
});

async function serve(): Promise<string> {
	const entry = fileURLToPath(new URL("../../tabs/full-disk.ts", import.meta.url));
	const { outputFiles } = await build({ entryPoints: [entry], bundle: true, write: false, format: "esm" });
	const page = `<!doctype html><script type="module">${outputFiles[0]!.text.replaceAll("</", "<\\/")}</script>`;
	const server = createServer((_, response) => response.writeHead(200, { "content-type": "text/html" }).end(page));
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	open.push(server);
	return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

function lackOfChromium(): string | undefined {
	const isDesk = ["", "0", "false"].includes(process.env["CI"] ?? "");
	return isDesk && executablePath === undefined ? "there is no Chromium" : undefined;
}
