import { describe, expect, test } from "vitest";
import { Basket, job, limit, memoryStore, Processor, sleep } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";

const kinds = ["a", "b"] as const;

/** Runs two processes with this limit on ten tasks, each of which takes a second. */
async function work(options: Parameters<typeof limit>[0], time: number, stops: boolean) {
	const clock = new VirtualClock({ now: 1_000_000 });
	const store = memoryStore({ clock });
	const begun: number[] = [];
	let [running, most] = [0, 0];
	const run = async (_: undefined, { signal }: { signal: AbortSignal }) => {
		begun.push(clock.now() - 1_000_000);
		most = Math.max(most, ++running);
		await sleep(1_000, { clock, signal }).finally(() => running--);
	};
	const process = () => new Basket({ store, clock, tasks: { a: run, b: run }, limit: limit(options) });
	const both = [process(), process()];
	for (let index = 0; index < 10; index++) await both[0]!.add(kinds[index % 2]!, undefined);
	const runs = both.map((one) => one.run());
	await clock.advance(500);
	if (stops) await Promise.all([both[0]!.stop(), clock.advance(0)]);
	await clock.advance(time);
	const stopped = both.map((one) => one.stop());
	await clock.advance(0);
	await Promise.all([...stopped, ...runs]);
	return { begun, most, counts: await store.counts("default") };
}

describe("Basket", () => {
	test("runs no more tasks of all kinds at once than its limit allows, in all processes, and loses no time", async () => {
		const { begun, most, counts } = await work({ atOnce: 3 }, 3_900, false);
		expect([most, counts.waiting + counts.running]).toEqual([3, 0]);
		expect(begun).toEqual([0, 0, 0, 1_000, 1_000, 1_000, 2_000, 2_000, 2_000, 3_000]);
	});

	test("begins no more tasks of all kinds than the rate of its limit allows, in all processes", async () => {
		const { begun } = await work({ rate: { tasks: 2, per: 1_000, burst: 2 } }, 2_000, false);
		expect(begun).toEqual([0, 0, 500, 1_000, 1_500, 2_000, 2_500]);
	});

	test("gives the places of a process that stops to the others", async () => {
		const { begun, counts } = await work({ atOnce: 2 }, 10_000, true);
		expect(counts.waiting + counts.running).toBe(0);
		expect(begun.at(-1)! < 8_000).toBe(true);
	});

	test("refuses a limit with a key for all kinds, and what limit() has not made", () => {
		const create = (limit: unknown) => new Basket({ store: memoryStore(), tasks: {}, limit: limit as never });
		expect(() => create(limit({ key: () => "a", atOnce: 1 }))).toThrow(TypeError);
		expect(() => create(limit({ key: () => "a", atOnce: 1 }))).toThrow("without a key");
		for (const other of [{ atOnce: 2 }, 2, null, () => {}]) expect(() => create(other)).toThrow("made by limit()");
	});
});

describe("Processor", () => {
	test("runs no more jobs at once than its limit allows, whatever their definitions", async () => {
		const clock = new VirtualClock({ now: 1_000_000 });
		let [running, most] = [0, 0];
		const run = async () => {
			most = Math.max(most, ++running);
			await sleep(1_000, { clock });
			running--;
		};
		const jobs = ["a", "b"].map((name) => job(name).step("only", { run }));
		const processor = new Processor({ store: memoryStore({ clock }), clock, jobs, limit: limit({ atOnce: 2 }) });
		for (const one of [...jobs, ...jobs]) await processor.add(one);
		const ran = processor.run();
		await clock.advance(2_500);
		const stopped = processor.stop();
		await clock.advance(0);
		await Promise.all([stopped, ran]);
		expect([most, (await processor.counts()).done]).toEqual([2, 4]);
	});
});
