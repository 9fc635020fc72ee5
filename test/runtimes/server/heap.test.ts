// Only Node, Deno and Bun let a test collect the garbage and read the size of the heap.
import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { Basket, memoryStore, sleep } from "../../../mod.ts";
import { useCases } from "../../leaks.ts";

const uses = 100_000;

describe("100,000 uses of one long-lived signal leave a flat heap", () => {
	for (const [name, use] of Object.entries(useCases())) {
		test(name, async () => {
			expect(await growthOf(use)).toBeLessThan(16);
		});
	}

	// Fewer, because each is some turns of the event loop.
	test("Basket.add() and drain(), 10,000 times", async () => {
		const basket = new Basket({
			store: memoryStore(),
			tasks: { a: (_: number, { signal }) => void signal.aborted },
		});
		const use = async (signal: AbortSignal) => {
			await basket.add("a", 1, { lane: "x" });
			await basket.drain({ signal });
		};
		expect(await growthOf(use, 10_000)).toBeLessThan(160);
	});

	test("and the measurement would notice if not", async () => {
		const kept: unknown[] = [];
		expect(await growthOf(async (signal) => void kept.push({ signal }))).toBeGreaterThan(16);
	});
});

/** Bytes per use, once as many uses have warmed up compiled code, inline caches and the tables behind weak maps. */
async function growthOf(use: (signal: AbortSignal) => Promise<unknown>, times = uses): Promise<number> {
	const { signal } = new AbortController();
	for (let i = 0; i < times; i++) await use(signal);
	const before = await usedHeap();
	for (let i = 0; i < times; i++) await use(signal);
	return (await usedHeap() - before) / times;
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
