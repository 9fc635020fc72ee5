import { describe, expect, test } from "vitest";
import type { InspectedDetail, InspectedJob } from "../../src/inspection/inspection.ts";
import { offersOf } from "../../src/inspector/actions.ts";
import { type FakeTask, fakeTask } from "./fake.ts";

const offered = (task: Partial<FakeTask>) => offersOf(fakeTask({ id: "a", ...task })).map(({ words }) => words);
const ofJob = (state: InspectedDetail["state"], job: Partial<InspectedJob> = {}) =>
	offered({ source: "processor", state, job: { direction: "forward", ...job } });

describe("actions of an inspector", () => {
	test("those of a task follow from its state", () => {
		expect(offered({ state: "waiting" })).toEqual(["Run now", "Hold", "Delete …"]);
		expect(offered({ state: "running" })).toEqual(["Hold", "Delete …"]);
		expect(offered({ state: "held" })).toEqual(["Release", "Delete …"]);
		expect(offered({ state: "dead" })).toEqual(["Retry", "Delete …"]);
		expect(offered({ state: "done" })).toEqual(["Delete …"]);
	});

	test("those of a job follow from its direction and its end", () => {
		expect(ofJob("waiting")).toEqual(["Run now", "Hold", "Signal …", "Cancel …", "Delete …"]);
		expect(ofJob("waiting", { direction: "backward" })).toEqual(["Run now", "Hold", "Delete …"]);
		expect(ofJob("done", { status: "failed" })).toEqual(["Retry from the failure", "Retry from the start", "Delete …"]);
		expect(ofJob("done", { status: "reverted" })).toEqual(["Retry from the start", "Delete …"]);
		expect(ofJob("done", { status: "completed" })).toEqual(["Delete …"]);
	});

	test("a recurring task runs now by its schedule", () => {
		const task = fakeTask({ id: "nightly", schedule: { text: "0 2 * * *", next: 1 } });
		expect(offersOf(task)[0]!.action).toEqual({ type: "runNow", source: "outbox", id: "nightly" });
	});
});
