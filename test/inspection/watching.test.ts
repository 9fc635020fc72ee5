import { describe, expect, test, vi } from "vitest";
import { Basket, memoryStore, sleep } from "../../mod.ts";
import { inspect, type InspectionChange } from "../../src/inspection/inspection.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { settle } from "../support.ts";

function bench(onError?: (error: unknown) => void) {
	const clock = new VirtualClock({ now: 1_000_000_000 });
	const outbox = new Basket({ store: memoryStore({ clock }), clock, tasks: { mail: (_: unknown) => {} } });
	const counts = vi.spyOn(outbox, "counts");
	const inspection = inspect({ outbox }, { clock, onError });
	const pass = async (time: number) => {
		await settle();
		await clock.advance(time);
		await settle();
	};
	return { clock, outbox, counts, inspection, pass };
}

describe("Inspection.watch()", () => {
	test("tells what there is at once, then at most twice a second, and at the latest every five seconds", async () => {
		const { outbox, inspection, pass, clock } = bench();
		const changes: InspectionChange[] = [];
		const stop = inspection.watch((change) => changes.push(change));
		await pass(0);
		expect(changes).toMatchObject([{ at: 1_000_000_000, hasChanged: true, sources: [{ source: "outbox" }] }]);
		await pass(5_000);
		expect(changes.map(({ hasChanged }) => hasChanged)).toEqual([true, false]);
		for (let index = 0; index < 100; index++) {
			await outbox.add("mail", index);
			await pass(10);
		}
		expect(changes.length).toBeLessThanOrEqual(5);
		await pass(500);
		expect(changes.at(-1)).toMatchObject({ hasChanged: true, sources: [{ counts: { waiting: 100 } }] });
		stop();
		stop();
		const { length } = changes;
		await outbox.add("mail", 0);
		await pass(60_000);
		expect([changes.length, clock.pending]).toEqual([length, 0]);
	});

	test("one who comes later is told soon, and that everything is new for it", async () => {
		const { inspection, pass } = bench();
		const stop = inspection.watch(() => {});
		await pass(5_000);
		const late: InspectionChange[] = [];
		const leave = inspection.watch((change) => late.push(change));
		await pass(500);
		expect(late.map(({ hasChanged }) => hasChanged)).toEqual([true]);
		leave();
		stop();
	});

	test("a listener may throw, leave, and watch again from within", async () => {
		const onError = vi.fn();
		const { inspection, pass, clock } = bench(onError);
		const failure = new Error("of the listener");
		const stopFirst = inspection.watch(() => {
			throw failure;
		});
		let second = 0;
		const stopSecond = inspection.watch(() => {
			second++;
			stopSecond();
			stopFirst();
			const stopThird = inspection.watch(() => stopThird());
		});
		await pass(0);
		expect([onError.mock.calls, second]).toEqual([[[failure]], 1]);
		await pass(10_000);
		expect([second, clock.pending]).toEqual([1, 0]);
	});

	test("slow counts are read less often: at most one part in twenty of the time", async () => {
		const { counts, inspection, pass, clock, outbox } = bench();
		const real = counts.getMockImplementation() ?? Basket.prototype.counts.bind(outbox);
		counts.mockImplementation(async () => {
			await sleep(1_000, { clock, unref: true });
			return await real();
		});
		const stop = inspection.watch(() => {});
		for (let second = 0; second < 100; second++) {
			await outbox.add("mail", second);
			await pass(1_000);
		}
		expect(counts.mock.calls.length).toBeLessThanOrEqual(6);
		expect(counts.mock.calls.length).toBeGreaterThanOrEqual(4);
		stop();
	});

	test("errors go to onError of each listener, and it goes on", async () => {
		const { counts, inspection, pass } = bench();
		const [listener, onError] = [vi.fn(), vi.fn()];
		const failure = new Error("away");
		counts.mockRejectedValueOnce(failure);
		const stop = inspection.watch(listener, onError);
		await pass(0);
		expect([listener.mock.calls.length, onError.mock.calls]).toEqual([0, [[failure]]]);
		await pass(5_000);
		expect(listener.mock.calls).toMatchObject([[{ hasChanged: true }]]);
		stop();
	});

	test("keeps samples of ten minutes for the overview, while somebody watches", async () => {
		const { inspection, pass, outbox } = bench();
		const stop = inspection.watch(() => {});
		await pass(0);
		await outbox.add("mail", 1);
		for (let round = 0; round < 130; round++) await pass(5_000);
		stop();
		const samples = (await inspection.overview()).sources[0]!.samples;
		expect([samples.length > 110, samples.length < 125]).toEqual([true, true]);
		expect(samples.at(-1)).toMatchObject({ counts: { waiting: 1 } });
		expect(samples.at(-1)!.at).toBeGreaterThan(1_000_640_000);
		for (let index = 2; index < samples.length; index++) {
			expect(samples[index]!.at - samples[index - 1]!.at).toBeGreaterThanOrEqual(4_999);
		}
	});

	test("goes on with samples when the clock was set back", async () => {
		const { inspection, pass, clock } = bench();
		const stop = inspection.watch(() => {});
		for (let round = 0; round < 10; round++) await pass(5_000);
		clock.setNow(clock.now() - 3_600_000);
		for (let round = 0; round < 10; round++) await pass(5_000);
		stop();
		const { samples } = (await inspection.overview()).sources[0]!;
		expect(samples.length).toBeGreaterThan(8);
		expect(samples.every(({ at }) => at <= clock.now())).toBe(true);
	});

	test("a read without an answer does not keep the next watch waiting", async () => {
		const { counts, inspection, pass } = bench();
		counts.mockImplementationOnce(() => new Promise(() => {}));
		const leave = inspection.watch(() => {});
		await pass(0);
		leave();
		const listener = vi.fn();
		const stop = inspection.watch(listener);
		await pass(1_000);
		expect(listener).toHaveBeenCalled();
		stop();
	});

	test("refuses what is no function", () => {
		const { inspection } = bench();
		expect(() => inspection.watch(undefined as never)).toThrow(/"listener"/);
		expect(() => inspection.watch(() => {}, 1 as never)).toThrow(/"onError"/);
	});
});
