// The thumbnails of examples/apps in a real process of Deno, which is killed while it works.
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { decode, encode } from "../../../examples/apps/thumbnails/png.ts";
import { root } from "../../../scripts/test/engines.ts";
import { Program } from "../../apps/process.ts";

const patience = { timeout: 20_000, interval: 20 };

let folder: string;
let app: Program | undefined;

describe("examples/apps/thumbnails", { timeout: 60_000 }, () => {
	beforeEach(async () => {
		folder = await mkdtemp(join(tmpdir(), "upkeep-thumbnails-"));
		await mkdir(join(folder, "photos"));
	});
	afterEach(async () => {
		await app?.end("SIGKILL");
		await rm(folder, { recursive: true, force: true, maxRetries: 5 });
	});

	test("thumbnails appear, change and go with their photos", async () => {
		await savePhoto("before.png", 10);
		app = start();
		await vi.waitFor(async () => expect(await look("before.png")).toEqual([128, 64, 10]), patience);
		await app.printed(/^Watching/m);
		await savePhoto("new.png", 20);
		await vi.waitFor(async () => expect(await look("new.png")).toEqual([128, 64, 20]), patience);
		await savePhoto("new.png", 30);
		await vi.waitFor(async () => expect(await look("new.png")).toEqual([128, 64, 30]), patience);
		await rm(join(folder, "photos/before.png"));
		await vi.waitFor(() => expect(existsSync(join(folder, "thumbnails/before.png"))).toBe(false), patience);

		await writeFile(join(folder, "photos/text.png"), "no photo");
		await app.printed(/^dead text\.png It is no PNG file$/m);
		await savePhoto("text.png", 40);
		await vi.waitFor(async () => expect(await look("text.png")).toEqual([128, 64, 40]), patience);
	});

	test("what a killed or ended process has left is done by the next one", async () => {
		const names = Array.from({ length: 16 }, (_, index) => `${index}.png`);
		for (const [index, name] of names.entries()) await savePhoto(name, index, 1_200);
		app = start();
		await app.printed(/^done/m);
		await app.end("SIGKILL");
		expect(await missing(names)).not.toEqual([]);

		app = start();
		await app.printed(/^done/m);
		expect(await app.end("SIGTERM")).toBe(0);
		const left = await missing(names);
		expect(left).not.toEqual([]);

		app = start();
		await vi.waitFor(async () => expect(await missing(names)).toEqual([]), patience);
		expect(await app.end("SIGTERM")).toBe(0);
		for (const [index, name] of names.entries()) expect(await look(name)).toEqual([128, 64, index]);
		const files = await readdir(join(folder, "thumbnails"));
		expect(files.filter((name) => name.endsWith(".part"))).toEqual([]);
	});
});

/** Runs the task "start" without `deno task`, which would outlive a killed process. */
function start(): Program {
	const cwd = join(root, "examples/apps/thumbnails");
	const { tasks } = JSON.parse(readFileSync(join(cwd, "deno.json"), "utf8"));
	const [, ...args] = tasks.start.split(" ");
	const folders = [join(folder, "photos"), join(folder, "thumbnails")];
	return new Program(join(root, "node_modules/.bin/deno"), [...args, ...folders], { cwd });
}

/** A photo of one color, which appears at once. */
async function savePhoto(name: string, color: number, width = 256): Promise<void> {
	const pixels = new Uint8Array(width * width / 2 * 3).fill(color);
	await writeFile(join(folder, name), await encode({ width, height: width / 2, channels: 3, pixels }));
	await rename(join(folder, name), join(folder, "photos", name));
}

/** The size and the color of a thumbnail. */
async function look(name: string): Promise<(number | undefined)[]> {
	const { width, height, pixels } = await decode(new Uint8Array(await readFile(join(folder, "thumbnails", name))));
	expect(new Set(pixels).size).toBe(1);
	return [width, height, pixels[0]];
}

async function missing(names: readonly string[]): Promise<string[]> {
	const made = await readdir(join(folder, "thumbnails"));
	return names.filter((name) => !made.includes(name));
}
