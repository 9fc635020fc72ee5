// The steps of stored jobs, as Processor.get shows them.
import { describe, expect, test } from "vitest";
import { durable, job, memoryStore, Processor, stopNow } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { watch } from "../support.ts";

const backoff = { start: 60_000, jitter: "none" } as const;

async function drain(processor: { drain(): Promise<void> }, clock: VirtualClock): Promise<void> {
	const draining = watch(processor.drain());
	while (draining.state === "pending") await clock.advance(0);
}

describe("JobRecord.steps", () => {
	test("a chain: what is done with its result, what waits for its next attempt until then, and what is to come", async () => {
		const clock = new VirtualClock({ now: 1_000_000 });
		const trip = job("trip")
			.step("flight", { run: () => ({ seat: 4 }), revert: () => {} })
			.step("hotel", { run: () => Promise.reject(new Error("full")), attempts: 3, backoff })
			.waitFor("approval")
			.step("mail", { run: () => {} });
		const processor = new Processor({ store: memoryStore({ clock }), jobs: [trip], clock });
		const { id } = await processor.add(trip);
		await drain(processor, clock);
		const { steps } = (await processor.get(id))!;
		expect(steps).toEqual([
			{ name: "flight", type: "step", state: "done", result: { seat: 4 } },
			{
				name: "hotel",
				type: "step",
				state: "current",
				attempts: 1,
				error: expect.objectContaining({ message: "full" }),
				until: 1_060_000,
			},
			{ name: "approval", type: "waitFor", state: "pending" },
			{ name: "mail", type: "step", state: "pending" },
		]);
	});

	test("a job that goes backward: its revert waits", async () => {
		const clock = new VirtualClock({ now: 1_000_000 });
		const trip = job("trip")
			.step("flight", { run: () => 1, revert: () => Promise.reject(new Error("closed")), backoff })
			.step("hotel", {
				run: () => {
					throw stopNow(new Error("full"));
				},
			});
		const processor = new Processor({ store: memoryStore({ clock }), jobs: [trip], clock });
		const { id } = await processor.add(trip);
		await drain(processor, clock);
		const { steps } = (await processor.get(id))!;
		expect(steps).toEqual([
			{
				name: "flight",
				type: "step",
				state: "reverting",
				result: 1,
				attempts: 1,
				error: expect.objectContaining({ message: "closed" }),
				until: 1_060_000,
			},
			{ name: "hotel", type: "step", state: "failed" },
		]);
	});

	test("branches and names of a durable function: each has its own attempts", async () => {
		const clock = new VirtualClock({ now: 1_000_000 });
		const fails = () => Promise.reject(new Error("away"));
		const both = job("both").all("book", { flight: { run: fails, attempts: 2, backoff }, hotel: { run: () => 2 } });
		const flow = durable("flow", async (flow) => {
			await flow.step("account", () => "ada");
			await Promise.all([flow.step("a", fails, { attempts: 2, backoff }), flow.sleep("day", 5_000)]);
		});
		const processor = new Processor({ store: memoryStore({ clock }), jobs: [both, flow], clock });
		const ids = [(await processor.add(both)).id, (await processor.add(flow)).id];
		await drain(processor, clock);
		const [booked, flowed] = await Promise.all(ids.map(async (id) => (await processor.get(id))!.steps));
		const failed = {
			state: "current",
			attempts: 1,
			error: expect.objectContaining({ message: "away" }),
			until: 1_060_000,
		};
		expect(booked).toEqual([
			{ name: `["book","flight"]`, type: "step", ...failed },
			{ name: `["book","hotel"]`, type: "step", state: "done", result: 2 },
		]);
		expect(flowed).toEqual([
			{ name: "account", type: "step", state: "done", result: "ada" },
			{ name: "a", type: "step", ...failed },
			{ name: "day", type: "sleep", state: "current", attempts: 0, error: undefined, until: 1_005_000 },
		]);
	});
});
