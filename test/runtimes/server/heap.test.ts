// Only Node, Deno and Bun let a test collect the garbage and read the size of the heap.
import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { Basket, memoryStore, sleep } from "../../../mod.ts";
import { useCases } from "../../leaks.ts";

const uses = 100_000;
const timeout = 60_000;

describe("100,000 uses of one long-lived signal leave a flat heap", () => {
	for (const [name, use] of Object.entries(useCases())) {
		test(name, async () => {
			expect(await growthOf(use, uses, 16)).toBeLessThan(16);
		}, timeout);
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
		expect(await growthOf(use, 10_000, 160)).toBeLessThan(160);
	}, timeout);

	test("and the measurement would notice if not", async () => {
		const kept: unknown[] = [];
		expect(await growthOf(async (signal) => void kept.push({ signal }), uses, 16)).toBeGreaterThan(16);
	}, timeout);
});

/**
 * Bytes per use, once as many uses have warmed up compiled code, inline caches and the tables behind weak maps. What leaks does so
 * each time; what is above the limit is measured again, since other tests may have left something in the same heap.
 */
async function growthOf(use: (signal: AbortSignal) => Promise<unknown>, times: number, limit: number): Promise<number> {
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
