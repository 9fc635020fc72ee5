// Actions at each of the first microtasks around the end of a step, of a revert, and of a job.
import { describe, expect, test } from "vitest";
import { job, type Processor } from "../../mod.ts";
import { afterMicrotasks, atEachMicrotask } from "../every-microtask.ts";
import { isPage } from "../support.ts";
import { openMemory } from "./database.ts";
import { type Machine, withMachines } from "./support.ts";

const count = 30;
/** Fewer trials in pages and workerd, where a macrotask is slow. The order of microtasks does not depend on the engine. */
const stride = isPage ? 3 : 1;

/** An action during a job, and its possible results. */
interface Case {
	act: (processor: Processor, id: string, controller: AbortController) => unknown;
	/** Undoes the action, so that the job can end. */
	undo?: (processor: Processor, id: string) => unknown;
	ends: readonly string[];
}

const cases: Record<string, Case> = {
	"its run is aborted": { act: (_processor, _id, controller) => controller.abort("enough"), ends: ["completed"] },
	"stop()": { act: (processor) => processor.stop(), ends: ["completed"] },
	"pause()": {
		act: (processor) => processor.pause(),
		undo: (processor) => processor.resume(),
		ends: ["completed"],
	},
	"hold()": {
		act: (processor, id) => processor.hold(id),
		undo: (processor, id) => processor.release(id),
		ends: ["completed"],
	},
	"signal()": { act: (processor, id) => processor.signal(id, "go", 1), ends: ["completed"] },
	"cancel()": { act: (processor, id) => processor.cancel(id), ends: ["completed", "reverted"] },
	"add() of the same id": {
		act: (processor, id) => processor.add(definition, undefined, { id }),
		ends: ["completed"],
	},
};

let log: string[] = [];
/** Called at the end of a function of a step. */
let atEnd: (name: string) => void = () => {};

const step = (name: string) => () => {
	log.push(name);
	atEnd(name);
};
const definition = job("whole")
	.step("a", { run: step("a"), revert: step("undo a") })
	.step("b", { run: async () => step("b")(), revert: step("undo b") })
	.waitFor("go", { timeout: 1_000_000 })
	.step("c", { run: step("c"), revert: step("undo c") });

/** Runs a job to its end. Calls `act` k microtasks after `at` has returned. */
async function trial(machine: Machine, k: number, at: string, { act, undo }: Case): Promise<string> {
	log = [];
	const processor = machine.processor([definition]);
	const controller = new AbortController();
	const { id } = await processor.add(definition, undefined, { id: `${at}-${k}` });
	if (at !== "b") await processor.signal(id, "go", 1);
	let acted: unknown;
	atEnd = (name) => {
		if (name === at) afterMicrotasks(k, () => acted = act(processor, id, controller));
	};
	let first = processor.run({ signal: controller.signal });
	for (let round = 0; round < 10; round++) await machine.advance(1_000);
	await acted;
	await undo?.(processor, id);
	await processor.signal(id, "go", 1);
	if (processor.getSnapshot().state === "stopped") first = processor.run();
	await machine.advance(200_000);
	const { status } = (await processor.result(id))!;
	await Promise.all([processor.stop(), machine.advance(10_000), first]);
	expect(machine.errors).toEqual([]);
	expect(processor.getSnapshot().jobs.size).toBe(0);
	return status;
}

describe.each(Object.keys(cases))("Processor, when %s comes at each microtask", (name) => {
	test.each(["a", "b", "c"])(
		"after the step %s: each step is run once, and the job ends in one way",
		(at) =>
			withMachines(openMemory, async (make) => {
				const machine = await make();
				await atEachMicrotask(count, async (k) => {
					const status = await trial(machine, k, at, cases[name]!);
					expect(cases[name]!.ends).toContain(status);
					const done = log.filter((line) => !line.startsWith("undo"));
					const undone = log.filter((line) => line.startsWith("undo")).map((line) => line.slice(5));
					expect([...new Set(done)]).toEqual(done);
					expect(undone).toEqual(status === "reverted" ? [...done].reverse() : []);
					if (status === "completed") expect(done).toEqual(["a", "b", "c"]);
				}, stride);
			}),
	);
});

describe("Processor.delete()", () => {
	test.each(["a", "b", "c"])(
		"at each microtask after the step %s: no later step is begun once it has resolved",
		(at) =>
			withMachines(openMemory, async (make) => {
				const machine = await make();
				await atEachMicrotask(count, async (k) => {
					log = [];
					const processor = machine.processor([definition]);
					const { id } = await processor.add(definition);
					await processor.signal(id, "go", 1);
					let deleted: string[] | undefined;
					atEnd = (name) => {
						if (name !== at) return;
						afterMicrotasks(k, () => void processor.delete(id).then(() => deleted = [...log]));
					};
					const work = machine.start(processor);
					await machine.advance(60_000);
					expect(log).toEqual(deleted);
					expect([await processor.get(id), new Set(log).size]).toEqual([undefined, log.length]);
					await Promise.all([work.stop(), machine.advance(10_000)]);
					const foreign = machine.errors.splice(0).filter((error) => (error as Error).name !== "ClaimLostError");
					expect(foreign).toEqual([]);
				}, stride);
			}),
	);
});
