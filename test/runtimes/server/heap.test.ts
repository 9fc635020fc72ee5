// Only Node, Deno and Bun let a test force a garbage collection and read the heap size.
import { describe, expect, test } from "vitest";
import { Basket, memoryStore, Pool } from "../../../mod.ts";
import { growthOf } from "../../heap.ts";
import { useCases } from "../../leaks.ts";
import { isLong } from "../../support.ts";

const uses = isLong ? 100_000 : 50_000;
const timeout = 60_000;
/** The limit in bytes. Two additional promises, one of them with its settling functions, exceed it. */
const mostForWaiting = "Bun" in globalThis ? 340 : 480;

describe(`${uses} uses of one long-lived signal leave a flat heap`, () => {
	for (const [name, use] of Object.entries(useCases())) {
		test(name, async () => {
			expect(await growthOf(use, uses, 16)).toBeLessThan(16);
		}, timeout);
	}

	// Fewer uses, because each takes some turns of the event loop.
	test("Basket.add() and drain(), 2,000 times", async () => {
		const basket = new Basket({
			store: memoryStore(),
			tasks: { a: (_: number, { signal }) => void signal.aborted },
		});
		const use = async (signal: AbortSignal) => {
			await basket.add("a", 1, { lane: "x" });
			await basket.drain({ signal });
		};
		expect(await growthOf(use, 2_000, 160)).toBeLessThan(160);
	}, timeout);

	test("and the measurement would notice if not", async () => {
		const kept: unknown[] = [];
		expect(await growthOf(async (signal) => void kept.push({ signal }), uses, 16)).toBeGreaterThan(16);
	}, timeout);
});

// Retained objects cost time, because the garbage collector processes the objects of each of 100,000 waiting tasks.
test("Pool.run() keeps no more for a task that waits than its place, its turn and its result", async () => {
	const pool = new Pool({ max: 1 });
	pool.pause();
	const growth = await growthOf(async () => void pool.run(() => {}), uses, mostForWaiting);
	expect(growth).toBeLessThan(mostForWaiting);
	expect(growth).toBeGreaterThan(100);
}, timeout);
