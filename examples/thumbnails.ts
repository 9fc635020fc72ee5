/**
 * Renders large images and scales them down, in one thread per processor, with a progress bar for each thread:
 * `node examples/thumbnails.ts`, `deno run -A examples/thumbnails.ts`, `bun examples/thumbnails.ts`. A number sets
 * the number of images. Ctrl-C ends it: running tasks are aborted, and threads that do not react in time are
 * terminated.
 *
 * What the library does here:
 *
 * - a `Pool` hands the images out and has a thread for each of its workers (`upkeep/threads`);
 * - each thread reports its progress through the task of the pool, and the bars show the tasks of the pool;
 * - the pixels are moved out of the thread, not copied.
 *
 * This module is also the module of the threads: a larger program would have a separate one.
 */

import { availableParallelism } from "node:os";
import process from "node:process";
import { Pool, sleep } from "../mod.ts"; // elsewhere: from "upkeep"
import { serve, type ThreadContext, threadWorker } from "../src/threads/threads.ts"; // elsewhere: from "upkeep/threads"

/** Gray levels, row by row. */
interface Image {
	width: number;
	height: number;
	pixels: Uint8Array<ArrayBuffer>;
}

const large = { width: 800, height: 480 };
const scale = 20;
const threads = availableParallelism();

if (!serve({ makeThumbnail })) await main(Number(process.argv[2] ?? 4 * threads));

/** Runs in a thread. It processes messages after each strip; otherwise it would not notice an abort. */
async function makeThumbnail(this: ThreadContext, zoom: number): Promise<Image> {
	const { signal, report, transfer } = this;
	const [width, height] = [large.width / scale, large.height / scale];
	const pixels = new Uint8Array(width * height);
	for (let row = 0; row < height; row++) {
		const strip = renderStrip(row * scale, zoom);
		for (let column = 0; column < width; column++) pixels[row * width + column] = average(strip, column * scale);
		report((row + 1) / height);
		await sleep(0, { signal });
	}
	return transfer({ width, height, pixels }, [pixels.buffer]);
}

/** Some rows of the large image: the Mandelbrot set, near a spot on its border. */
function renderStrip(top: number, zoom: number): Uint8Array {
	const strip = new Uint8Array(large.width * scale);
	const step = 3 / large.width / zoom;
	for (let i = 0; i < strip.length; i++) {
		const x = (i % large.width - large.width / 2) * step - 0.7436;
		const y = (top + Math.floor(i / large.width) - large.height / 2) * step + 0.1318;
		strip[i] = Math.min(255, 4 * escapeTime(x, y));
	}
	return strip;
}

function escapeTime(x: number, y: number): number {
	let a = 0;
	let b = 0;
	let count = 0;
	for (; count < 200 && a * a + b * b < 4; count++) {
		const next = a * a - b * b + x;
		b = 2 * a * b + y;
		a = next;
	}
	return count;
}

/** Of one square of a strip. */
function average(strip: Uint8Array, left: number): number {
	let sum = 0;
	for (let row = 0; row < scale; row++) {
		for (let column = left; column < left + scale; column++) sum += strip[row * large.width + column]!;
	}
	return sum / scale ** 2;
}

async function main(count: number): Promise<void> {
	const pool = new Pool({ max: threads, ...threadWorker<{ makeThumbnail: typeof makeThumbnail }>(import.meta.url) });
	process.once("SIGINT", () => pool.stop());
	const startedAt = Date.now();
	const zooms = Array.from({ length: count }, (_, i) => 1.4 ** i);
	const images = zooms.map((zoom, i) =>
		pool.spawn(`image ${i + 1}`, ({ worker, signal, report }) => {
			return worker.call("makeThumbnail", [zoom], { signal, onProgress: (progress) => report(progress, "rendering") });
		}).result()
	);
	const unsubscribe = showProgress(pool, count);
	const results = await Promise.allSettled(images);
	unsubscribe();
	await pool.stop();
	const done = results.filter((result) => result.status === "fulfilled");
	const failed = results.find((result) => result.status === "rejected");
	if (failed !== undefined) {
		console.error(`thumbnails: ${failed.reason}`);
		process.exitCode = 1;
	}
	if (done.length > 0) console.log(draw(done.at(-1)!.value));
	console.log(`${done.length} of ${count} images with ${threads} threads in ${(Date.now() - startedAt) / 1000} s`);
}

/** Draws a line with a bar for each task that runs, at most ten times a second. */
function showProgress<W>(pool: Pool<W>, count: number): () => void {
	if (!process.stderr.isTTY) return () => {};
	let lastAt = 0;
	const unsubscribe = pool.subscribe(() => {
		if (Date.now() - lastAt < 100) return;
		lastAt = Date.now();
		const running = [...pool.tasks()].filter(([, { status }]) => status === "running");
		const bars = running.map(([name, { progress = 0 }]) => `${name} ${bar(progress)}`);
		process.stderr.write(`\r\x1b[K${count - pool.tasks().size}/${count}  ${bars.join("  ")}`);
	});
	return () => {
		unsubscribe();
		process.stderr.write("\r\x1b[K");
	};
}

function bar(progress: number): string {
	const done = Math.round(progress * 10);
	return "█".repeat(done) + "░".repeat(10 - done);
}

/** As text, two rows in one. */
function draw({ width, height, pixels }: Image): string {
	const shades = " .:-=+*#%@";
	const line = (row: number) =>
		Array.from(pixels.subarray(row * width, (row + 1) * width), (gray) => shades[Math.floor(gray / 25.6)]).join("");
	return Array.from({ length: Math.floor(height / 2) }, (_, i) => line(2 * i)).join("\n");
}
