/**
 * Brings a folder to a declared state: creates missing files, rewrites different ones, and removes extra ones. Run it
 * with `node examples/reconcile.ts [folder]`, `deno run -A examples/reconcile.ts [folder]` or
 * `bun examples/reconcile.ts [folder]`; without a folder it uses a temporary one and removes it.
 *
 * Interrupt it (Ctrl-C) and run it again on the same folder: it computes what is left to do and continues. Random
 * disk failures are simulated.
 */

import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative, sep } from "node:path";
import process from "node:process";
import { type PlanTask, reconcile, type ReconcileEvent, sleep } from "../mod.ts"; // elsewhere: from "upkeep"

/** The declared state: files and their contents. */
const wanted: ReadonlyMap<string, string> = new Map([
	["readme.txt", "made by reconcile\n"],
	...Array.from({ length: 12 }, (_, index): [string, string] => {
		const day = String(index + 1).padStart(2, "0");
		return [`days/${day}/plan.txt`, `what to do on day ${day}\n`];
	}),
]);

/** Compares the folder with the declared state, and returns the remaining tasks. */
async function plan(folder: string): Promise<PlanTask[]> {
	const present = await filesIn(folder);
	const surplus = present.filter((file) => !wanted.has(file)).map((file) => removal(folder, file));
	const states = await Promise.all([...wanted].map(async ([file, text]) => {
		const isThere = present.includes(file) && await readFile(join(folder, file), "utf8") === text;
		return isThere ? [] : [writing(folder, file, text)];
	}));
	return [...surplus, ...states.flat()];
}

function removal(folder: string, file: string): PlanTask {
	return { name: `remove ${file}`, perform: () => rm(join(folder, file)) };
}

function writing(folder: string, file: string, text: string): PlanTask {
	const path = join(folder, file);
	return {
		name: `write ${file}`,
		pre: async () => void await mkdir(dirname(path), { recursive: true }),
		// Renamed at the end, so that an interruption leaves no incomplete file.
		perform: async ({ signal }) => {
			await writeFile(`${path}.part`, text, { signal });
			await sleep(50, { signal });
			if (Math.random() < 0.2) throw new Error("the disk has had a bad moment");
			await rename(`${path}.part`, path);
		},
		post: async () => {
			if (await readFile(path, "utf8") !== text) throw new Error("it does not read as it was written");
		},
	};
}

/** The paths of all files, with forward slashes. */
async function filesIn(folder: string): Promise<string[]> {
	const entries = await readdir(folder, { recursive: true, withFileTypes: true });
	return entries.filter((entry) => entry.isFile())
		.map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"));
}

function tell(event: ReconcileEvent): void {
	if (event.type === "round") console.log(`round ${event.round}: ${event.tasks.length} to do`);
	if (event.type === "succeeded" && event.phase === "perform") console.log(`  ${event.name}`);
	if (event.type === "failed") console.log(`  ${event.name} failed: ${(event.error as Error).message}`);
}

async function main(given: string | undefined): Promise<void> {
	const folder = given ?? await mkdtemp(join(tmpdir(), "reconcile-"));
	const controller = new AbortController();
	const interrupt = () => controller.abort(new Error("interrupted; run it again to go on"));
	process.once("SIGINT", interrupt);
	try {
		await mkdir(folder, { recursive: true });
		const options = { errorsToTolerate: 100, interval: 100, onEvent: tell, signal: controller.signal };
		const { rounds, tasks, failures } = await reconcile({ create: () => plan(folder) }, options);
		console.log(`${folder} is as declared: ${rounds} rounds, ${tasks} tasks, ${failures.length} failures on the way`);
	} catch (error) {
		console.error(`reconcile: ${(error as Error).message}`);
		process.exitCode = 1;
	} finally {
		process.off("SIGINT", interrupt);
		if (given === undefined) await rm(folder, { recursive: true, force: true });
	}
}

await main(process.argv[2]);
