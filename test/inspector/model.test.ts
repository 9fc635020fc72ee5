import { describe, expect, onTestFinished, test } from "vitest";
import { Model } from "../../src/inspector/model.ts";
import { settle } from "../support.ts";
import { FakeInspection, type FakeTask } from "./fake.ts";

async function begin(tasks: readonly FakeTask[] = []): Promise<{ fake: FakeInspection; model: Model }> {
	const fake = new FakeInspection(tasks);
	const model = new Model(fake, () => {});
	onTestFinished(() => model.stop());
	model.start();
	await settle();
	return { fake, model };
}

const many = (count: number): FakeTask[] => Array.from({ length: count }, (_, index) => ({ id: `task ${index}` }));
const ids = (model: Model) => model.page?.items.map(({ id }) => id);

describe("Model of an inspector", () => {
	test("is live after the first answer, away after an error, and live again after the next answer", async () => {
		const { fake, model } = await begin(many(1));
		expect([model.link, ids(model)]).toEqual(["live", ["task 0"]]);
		fake.failure = new Error("gone");
		fake.changed();
		await settle();
		expect([model.link, model.problem, ids(model)]).toEqual(["away", "gone", ["task 0"]]);
		fake.failure = undefined;
		fake.changed();
		await settle();
		expect(model.link).toBe("live");
	});

	test("is away if only reading fails", async () => {
		const { fake, model } = await begin();
		const reading = fake.list;
		fake.list = () => Promise.reject(new Error("no list"));
		fake.changed();
		await settle();
		expect([model.link, model.problem]).toEqual(["away", "no list"]);
		fake.list = reading;
		fake.changed();
		await settle();
		expect(model.link).toBe("live");
	});

	test("goes through the pages and back", async () => {
		const { model } = await begin(many(120));
		const lengths: (number | undefined)[] = [];
		for (const step of ["next", "next", "previous", "previous"] as const) {
			model[step]();
			await settle();
			lengths.push(ids(model)?.length);
		}
		expect(lengths).toEqual([50, 20, 50, 50]);
		expect(ids(model)![0]).toBe("task 119");
		expect(model.trail).toEqual([]);
	});

	test("reads once more if the filter changes meanwhile", async () => {
		const { fake, model } = await begin([{ id: "a" }, { id: "b", state: "dead" }]);
		fake.queries.length = 0;
		model.filter({ state: "waiting" });
		model.filter({ state: "dead" });
		await settle();
		expect(ids(model)).toEqual(["b"]);
		expect(fake.queries.length).toBeLessThanOrEqual(2);
	});

	test("keeps the rows where they are while somebody reads them", async () => {
		const { fake, model } = await begin(many(3));
		model.read("pointer", true);
		fake.tasks = [...fake.tasks.slice(1), { ...fake.tasks[0]!, id: "new" }];
		fake.change("task 2", { state: "dead" });
		fake.changed();
		await settle();
		expect(ids(model)).toEqual(["task 2", "task 1", "task 0"]);
		expect(model.page!.items[0]!.state).toBe("dead");
		expect([model.hasMore, model.isGone("task 0"), model.isGone("task 1")]).toEqual([true, true, false]);
		model.read("pointer", false);
		expect(ids(model)).toEqual(["new", "task 2", "task 1"]);
		expect(model.hasMore).toBe(false);
	});

	test("tells that a selected task is gone", async () => {
		const { fake, model } = await begin(many(1));
		model.open("outbox", "task 0");
		await settle();
		expect(model.detail?.id).toBe("task 0");
		fake.tasks = [];
		fake.changed();
		await settle();
		expect(model.detail).toBe(null);
	});

	test("says what an action has changed, and what it has not", async () => {
		const { fake, model } = await begin(many(1));
		await model.act({ type: "hold", id: "task 0" }, "Held task 0");
		expect(model.told).toBe("Held task 0.");
		fake.act = () => Promise.resolve({ changed: 0 });
		await model.act({ type: "hold", id: "task 0" }, "Held task 0");
		expect(model.told).toMatch(/^Nothing was changed/);
		fake.act = () => Promise.reject(new Error("forbidden"));
		await model.act({ type: "hold", id: "task 0" }, "Held task 0");
		expect(model.told).toBe("Failed: forbidden");
	});

	test("shows the jobs if there is no outbox", async () => {
		const fake = new FakeInspection([{ id: "a job", source: "processor" }]);
		fake.sources = ["processor"];
		const model = new Model(fake, () => {});
		onTestFinished(() => model.stop());
		model.start();
		await settle();
		expect([model.tab, ids(model)]).toEqual(["processor", ["a job"]]);
	});

	test("collects the counts of what it watches for ten minutes", async () => {
		const { fake, model } = await begin(many(2));
		fake.samples = [
			{ at: Date.now() - 700_000, counts: { waiting: 9, running: 0, held: 0, dead: 0, done: 0 } },
			{ at: Date.now() - 500_000, counts: { waiting: 7, running: 0, held: 0, dead: 0, done: 0 } },
		];
		fake.changed();
		await settle();
		expect(model.samples[0]!.counts.waiting).toBe(7);
		expect(model.samples.at(-1)!.counts.waiting).toBe(2);
		expect(model.samples.map(({ at }) => at)).toEqual(model.samples.map(({ at }) => at).toSorted());
	});

	test("reads when it goes on to watch, and then only what has changed", async () => {
		const { fake, model } = await begin(many(1));
		model.stop();
		fake.hasChanged = false;
		fake.tasks = [];
		model.start();
		await settle();
		expect(ids(model)).toEqual([]);
		fake.queries.length = 0;
		fake.changed();
		await settle();
		expect(fake.queries).toEqual([]);
	});

	test("watches only between start() and stop()", async () => {
		const { fake, model } = await begin();
		model.start();
		expect(fake.watchers).toBe(1);
		model.stop();
		model.stop();
		expect(fake.watchers).toBe(0);
	});
});
