// How the heap grows with the uses of something. Only Node, Deno and Bun let a test collect the garbage and read the size.
import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { sleep } from "../mod.ts";

/**
 * Bytes per use, once as many uses have warmed up compiled code, inline caches and the tables behind weak maps. What leaks does so
 * each time; what is above the limit is measured again, since other tests may have left something in the same heap.
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
	for (let i = 0; i < 3; i++) {
		await sleep(1);
		collectGarbage();
	}
	return process.memoryUsage().heapUsed;
}

function collectGarbage(): void {
	const { Bun } = globalThis as { Bun?: { gc(force: boolean): void } };
	if (Bun !== undefined) return Bun.gc(true);
	setFlagsFromString("--expose-gc");
	runInNewContext("gc")();
}
