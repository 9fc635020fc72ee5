// What an observer is told of the steps of jobs.
import { expect, test } from "vitest";
import { durable, job, memoryStore, type ObservedAttempt, observer, Processor } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";

test("ProcessorOptions.observe is told of each attempt of a step and of a revert, and of no job as a task", async () => {
	const clock = new VirtualClock();
	const lines: string[] = [];
	const nameOf = ({ by, basket, kind, id, step, isRevert, attempt }: ObservedAttempt) =>
		`${by} ${basket} ${kind} ${id} ${step}${isRevert ? " revert" : ""} ${attempt}`;
	const observe = observer({
		started: (attempt) => lines.push(`${nameOf(attempt)} started`),
		ended: (attempt, { outcome }) => lines.push(`${nameOf(attempt)} ${outcome}`),
	});
	const trip = job("trip")
		.step("flight", { run: () => 1, revert: () => {} })
		.step("hotel", {
			run: () => {
				throw new Error("full");
			},
			attempts: 2,
		});
	const onboard = durable("onboard", async (flow) => await flow.step(["page", 1], () => 2));
	const processor = new Processor({
		store: memoryStore({ clock }),
		jobs: [trip, onboard],
		clock,
		observe,
		backoff: 100,
	});
	void processor.run();
	await processor.add(trip, undefined, { id: "a" });
	await clock.advance(1_000);
	const step = (name: string, attempt: number, outcome: string) => {
		const place = `step jobs trip a ${name} ${attempt}`;
		return [`${place} started`, `${place} ${outcome}`];
	};
	expect(lines.splice(0)).toEqual([
		...step("flight", 1, "done"),
		...step("hotel", 1, "failed"),
		...step("hotel", 2, "failed"),
		...step("flight revert", 1, "done"),
	]);
	await processor.add(onboard, undefined, { id: "b" });
	await clock.advance(1_000);
	const place = `step jobs onboard b ["page",1] 1`;
	expect(lines).toEqual([`${place} started`, `${place} done`]);
	await processor.stop();
});

test("the meta of a job is in the contexts of its steps, of its children and of a durable function", async () => {
	const clock = new VirtualClock();
	const seen: unknown[] = [];
	const see = (name: string) => ({ meta }: { meta: unknown }) => void seen.push([name, meta]);
	const inner = durable("inner", async (flow) => {
		see("body")(flow);
		await flow.step("s", see("durable step"));
	});
	const trip = job("trip")
		.step("one", { run: see("step") })
		.each("list", { items: () => [1], run: see("item") })
		.job("inner", inner, () => undefined);
	const processor = new Processor({ store: memoryStore({ clock }), jobs: [trip], clock });
	void processor.run();
	const { id } = await processor.add(trip, undefined, { meta: { trace: "1" } });
	await clock.advance(10_000);
	expect((await processor.result(id))?.status).toBe("completed");
	const names = ["step", "item", "body", "durable step"];
	expect(seen.filter((one, index) => index < 4 || JSON.stringify(one).includes("step"))).toEqual(
		names.map((name) => [name, { trace: "1" }]),
	);
	await processor.stop();
});
