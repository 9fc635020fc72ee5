// Measures heap growth per use. Only Node, Deno and Bun let a test force a garbage collection and read the heap size.
import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { sleep } from "../mod.ts";

/**
 * Returns the growth in bytes per use. As many uses before the measurement warm up compiled code, inline caches and
 * the tables of weak maps. A result above the limit is measured again, because other tests may have left garbage in
 * the same heap, while a leak grows each time.
 */
export async function growthOf(
	use: (signal: AbortSignal) => Promise<unknown>,
	times: number,
	limit: number,
): Promise<number> {
	const { signal } = new AbortController();
	for (let i = 0; i < times; i++) await use(signal);
	let growth = Infinity;
	for (let round = 0; round < 3 && growth >= limit; round++) {
		const before = await usedHeap();
		for (let i = 0; i < times; i++) await use(signal);
		growth = (await usedHeap() - before) / times;
	}
	return growth;
}

async function usedHeap(): Promise<number> {
	for (let i = 0; i < 2; i++) {
		await sleep(1);
		collectGarbage();
	}
	await sleep(1);
	return heapNow();
}

/** The heap in bytes after a garbage collection. */
export function heapNow(): number {
	collectGarbage();
	return process.memoryUsage().heapUsed;
}

function collectGarbage(): void {
	const { Bun } = globalThis as { Bun?: { gc(force: boolean): void } };
	if (Bun !== undefined) return Bun.gc(true);
	setFlagsFromString("--expose-gc");
	runInNewContext("gc")();
}
