/**
 * Keeps a folder of thumbnails like a folder of PNG files: `deno task start <photos> <thumbnails>`. Ctrl-C ends it; what is
 * left to do is done at the next start.
 */

import { Basket, type BasketContext, Pool, stopNow } from "upkeep";
import { denoKvStore } from "upkeep/stores/deno-kv";
import { threadWorker } from "upkeep/threads";
import type { functions } from "./thread.ts";

const [photos = "photos", thumbnails = "thumbnails"] = Deno.args;
const size = 128;
const threads = navigator.hardwareConcurrency;

await Deno.mkdir(thumbnails, { recursive: true });
const kv = await Deno.openKv(`${thumbnails}/.tasks.db`);
const pool = new Pool({
	max: threads,
	...threadWorker<typeof functions>(new URL("thread.ts", import.meta.url)),
});
const basket = new Basket({
	store: denoKvStore(kv),
	name: "thumbnails",
	tasks: { update },
	concurrency: 2 * threads, // while threads compute, other files are read and written
	attempts: 5,
	timeout: 60_000,
	// After a crash, its tasks wait for this time. The threads do the work, so the renewal is never late.
	lease: 5_000,
	onSettled: ({ id, outcome, error }) => console.log(outcome, id, ...error instanceof Error ? [error.message] : []),
	onError: (error) => console.error(error),
});

/** Makes one thumbnail, or removes that of a photo that is gone. It may run any number of times. */
async function update(
	{ name }: { name: string },
	{ signal }: BasketContext,
): Promise<void> {
	const file = await Deno.readFile(`${photos}/${name}`, { signal }).catch(
		absent,
	);
	if (file === undefined) {
		return await Deno.remove(`${thumbnails}/${name}`).catch(absent);
	}
	const thumbnail = await pool.run(async ({ worker, signal }) => {
		return await worker.call("thumbnail", [file, size], {
			signal,
			transfer: [file.buffer],
		});
	}, { signal }).catch((error) => {
		throw error.name === "FormatError" ? stopNow(error) : error; // another attempt would not help
	});
	const part = `${thumbnails}/.${name}.part`; // nobody ever sees half a thumbnail
	await Deno.writeFile(part, thumbnail, { signal });
	await Deno.rename(part, `${thumbnails}/${name}`);
}

/** While a photo is being written, its task waits; a photo that failed is tried again when it has changed. */
async function changed(name: string): Promise<void> {
	await basket.add("update", { name }, {
		id: name,
		ifPresent: "replace",
		delay: 200,
		within: 5_000,
	});
}

/** Finds what has changed while nobody watched. */
async function compare(): Promise<void> {
	const [sources, targets] = await Promise.all([
		timesOf(photos),
		timesOf(thumbnails),
	]);
	for (const name of new Set([...sources.keys(), ...targets.keys()])) {
		const [source, target] = [sources.get(name), targets.get(name)];
		if (source === undefined || target === undefined || target < source) {
			await changed(name);
		}
	}
}

async function timesOf(folder: string): Promise<Map<string, Date>> {
	const times = new Map<string, Date>();
	for await (const { name } of Deno.readDir(folder)) {
		const info = isPhoto(name) &&
			await Deno.stat(`${folder}/${name}`).catch(absent);
		if (info) times.set(name, info.mtime!);
	}
	return times;
}

function isPhoto(name: string): boolean {
	return name.endsWith(".png") && !name.startsWith(".");
}

function absent(error: unknown): undefined {
	if (!(error instanceof Deno.errors.NotFound)) throw error;
}

const watcher = Deno.watchFs(photos, { recursive: false }); // before the comparison, so that nothing is missed
const end = () => {
	watcher.close();
	basket.stop({ finish: 10_000 });
};
Deno.addSignalListener("SIGINT", end);
Deno.addSignalListener("SIGTERM", end);

const running = basket.run();
await compare();
console.log(`Watching ${photos}`);
for await (const { paths } of watcher) {
	for (
		const name of new Set(paths.map((path) => path.replace(/^.*[\\/]/, "")))
	) if (isPhoto(name)) await changed(name);
}
await running;
await pool.stop();
kv.close();
