// Only Node, Deno and Bun let a test collect the garbage and read the size of the heap.
import process from "node:process";
import { describe, expect, test } from "vitest";
import { sleep } from "../../../mod.ts";
import { useCases } from "../../leaks.ts";

const slice = 20_000;

describe("100,000 uses of one long-lived signal leave a flat heap", () => {
	for (const [name, use] of Object.entries(useCases())) {
		test(name, async () => {
			expect(await growthOf(use)).toBeLessThan(8);
		});
	}

	test("and the measurement would notice if not", async () => {
		const kept: unknown[] = [];
		expect(await growthOf(async (signal) => void kept.push({ signal }))).toBeGreaterThan(8);
	});
});

/** Bytes per use, after a first slice that warms up: compiled code, the feedback of inline caches. */
async function growthOf(use: (signal: AbortSignal) => Promise<unknown>): Promise<number> {
	const { signal } = new AbortController();
	let warm = 0;
	for (let i = 0; i < 5; i++) {
		for (let j = 0; j < slice; j++) await use(signal);
		if (i === 0) warm = await usedHeap();
	}
	return (await usedHeap() - warm) / (4 * slice);
}

async function usedHeap(): Promise<number> {
	const { gc, Bun } = globalThis as { gc?: () => void; Bun?: { gc(force: boolean): void } };
	const collect = Bun === undefined ? gc : () => Bun.gc(true);
	if (collect === undefined) throw new Error("Run this with --expose-gc");
	for (let i = 0; i < 3; i++) {
		await sleep(1);
		collect();
	}
	return process.memoryUsage().heapUsed;
}
