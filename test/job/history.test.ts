// What a job keeps of its past, and what travels with it.
import { expect, test } from "vitest";
import { durable, job, memoryStore, Processor } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";

function world() {
	const clock = new VirtualClock({ now: 1_000_000 });
	const store = memoryStore({ clock });
	let calls = 0;
	const trip = job("trip")
		.step("flight", { run: () => 1, revert: () => {} })
		.step("hotel", {
			run: () => {
				if (++calls < 2) throw new Error("full");
			},
			attempts: 3,
		});
	const onboard = durable("onboard", async (flow) => {
		await flow.step("welcome", () => 1, { revert: () => {} });
		throw new Error("no");
	});
	const jobs = [trip, onboard];
	const make = (worker: string) => new Processor({ store, jobs, clock, worker, backoff: 1_000, retain: 1e9 });
	return { clock, store, trip, onboard, make };
}

test("JobRecord.history says which worker has made each attempt of a step or a revert", async () => {
	const { clock, store, trip, onboard, make } = world();
	const [one, two] = [make("one"), make("two")];
	void one.run();
	await one.add(trip, undefined, { id: "a" });
	await one.add(onboard, undefined, { id: "b" });
	await clock.advance(500);
	await one.stop();
	void two.run();
	await clock.advance(10_000);
	const shown = (await two.get("a"))!.history.map(({ step, worker, error }) => [step, worker, error]);
	expect(shown).toEqual([["flight", "one", undefined], ["hotel", "one", "full"], ["hotel", "two", undefined]]);
	const durables = (await two.get("b"))!.history.map(({ step, isRevert, worker }) => [step, isRevert, worker]);
	expect(durables).toEqual([["welcome", false, "one"], ["welcome", true, "one"]]);
	// The claims of its task are none of its attempts.
	expect((await store.get(two.name, "a"))!.history).toBe(undefined);
	await two.stop();
});

test("JobRecord.run says which worker runs a job, and JobRecord.lapses which ones have never said what became of it", async () => {
	const { clock, store, trip, make } = world();
	const processor = make("next");
	const { id } = await processor.add(trip, undefined, { meta: { user: "ada" } });
	const claim = [{ kinds: ["trip"], limit: 1 }];
	await store.turn(processor.name, { settle: [], claim, lease: 3_000, worker: "gone" });
	const lost = { worker: "gone", since: 1_000_000 };
	expect(await processor.get(id)).toMatchObject({ run: lost, lapses: [], meta: { user: "ada" } });
	void processor.run();
	await clock.advance(10_000);
	const shown = (await processor.get(id))!;
	expect(shown).toMatchObject({ status: "completed", run: undefined, meta: { user: "ada" } });
	expect(shown.lapses).toEqual([{ worker: "gone", startedAt: 1_000_000 }]);
	await processor.stop();
});
