// Damaged checkpoints: each field with each kind of invalid value.
import { describe, expect, test } from "vitest";
import { durable, job } from "../../mod.ts";
import { kindOf } from "../../src/job/version.ts";
import { openMemory } from "./database.ts";
import { type Machine, withMachines } from "./support.ts";

type Checkpoint = Record<string, unknown>;

const texts = ["", "x", "__proto__"];
const numbers = [-1, 0.5, 7, 1e300];
const objects = [[], [null], {}, { x: 1 }];

/** Invalid values of each field. Values that a run could also have stored are not included. */
const wrong: Record<string, readonly unknown[]> = {
	form: [null, true, ...texts, ...numbers, ...objects, 1],
	uid: [null, true, "", ...numbers, ...objects],
	version: [null, true, ...objects],
	plan: [null, true, ...texts, ...numbers, ...objects, ["a", "a"], [["a"]]],
	at: [null, true, ...texts, ...numbers, ...objects],
	causes: [null, true, ...texts, ...numbers, ...objects.slice(1), [0], ["1"]],
	ignored: [null, true, ...texts, ...numbers, ...objects.slice(1), [0.5]],
	isBackward: [null, ...texts, ...numbers, ...objects],
	logged: [null, true, ...texts, -1, 0.5, 7, 1e300, ...objects],
	signals: [null, true, ...texts, ...numbers, [null], { x: 1 }, { w: null }],
	crashed: [null, true, ...texts, -1, 0.5, 1e300, ...objects],
	attempts: [null, true, ...texts, -1, 0.5, 1e300, ...objects],
	history: [null, true, ...texts, ...numbers, [null], {}, [[]], [[9, 1, 0, 0]], [[0, 0, 0, 0]], [[0, 1, "", 0]], [[
		0,
		1,
		0,
		0,
		2,
	]], [[0, 1, 0, 0, 0, {}]]],
	error: [null, true, ...texts, ...numbers, ...objects, { name: 1, message: "" }, { name: "", message: [] }],
	revertError: [null, true, ...texts, ...numbers, ...objects],
	previous: [null, true, ...texts, ...numbers, ...objects, { name: "", message: "", stack: 1 }],
	unreverted: [null, true, ...texts, ...numbers, [null], {}, ["x"]],
	status: [null, true, ...texts, ...numbers, ...objects, "completed", "reverted", "failed"],
	until: [null, true, ...texts, ...objects],
	since: [null, true, ...texts, ...objects],
	lastDelay: [null, true, ...texts, ...objects],
	isFirm: [null, ...texts, ...numbers, ...objects],
};

/** May contain any value that the codec can read. Only a schema can reject it. */
const free = ["input"];

/** The calls of the steps, in order. */
const calls: string[] = [];

const away = (name: string) => () => {
	calls.push(name);
	throw new Error("away");
};
const done = (name: string) => () => void calls.push(name);

const definition = job<string>("damaged", { version: 1 })
	.step("a", { run: done("a"), revert: away("revert a") })
	.step("b", { run: away("b"), attempts: 9 })
	.waitFor("w")
	.step("last", { run: done("last") });
const failing = job<string>("failing")
	.step("a", { run: done("a"), revert: away("revert a") })
	.step("b", { run: away("b") })
	.waitFor("w")
	.step("last", { run: done("last") });
const healthy = job("healthy").step("a", { run: () => "well" });
const jobs = [definition, failing, healthy];

/** The positions of a job when its checkpoint is damaged. */
const places: Record<string, (machine: Machine) => Promise<{ id: string; kind: string; state: Checkpoint }>> = {
	"that waits for the next attempt of a step": (machine) => stand(machine, definition),
	"that waits for the next attempt of a revert": (machine) => stand(machine, failing),
};

async function stand(machine: Machine, definition: (typeof jobs)[number]) {
	const processor = machine.processor(jobs);
	const { id } = await processor.add(definition as typeof failing, "input");
	await machine.drain(processor);
	return { id, kind: kindOf(definition), state: await machine.head(id) };
}

/** Runs a processor with a damaged job and a healthy job for half a day. */
async function suffer(machine: Machine, id: string, kind: string, state: Checkpoint): Promise<void> {
	const processor = machine.processor(jobs);
	await machine.replace(id, kind, JSON.stringify(state));
	const { id: other } = await processor.add(healthy);
	calls.length = 0;
	await machine.drain(processor);
	await machine.advance(43_200_000);
	await machine.drain(processor);
	expect((await processor.wait(other)).status).toBe("completed");
}

for (const [place, standThere] of Object.entries(places)) {
	describe(`The damaged checkpoint of a job ${place}`, () => {
		test("has no field that this test does not know", () =>
			withMachines(openMemory, async (make) => {
				const { state } = await standThere(await make());
				expect(Object.keys(state).filter((name) => !(name in wrong) && !free.includes(name))).toEqual([]);
			}));

		test.each(Object.keys(wrong))(
			"holds the job, with the reason, and harms no other: %s",
			(name) =>
				withMachines(openMemory, async (make) => {
					const machine = await make();
					const { id, kind, state } = await standThere(machine);
					for (const value of wrong[name]!) {
						await suffer(machine, id, kind, { ...state, [name]: value });
						const processor = machine.processor(jobs);
						const { status, problem } = (await processor.get(id))!;
						const what = `${name}: ${JSON.stringify(value)}`;
						expect([what, status, problem?.name]).toEqual([what, "held", "InvalidStateError"]);
						expect([what, calls.splice(0)]).toEqual([what, []]);
						for await (const { id: listed } of processor.list()) expect(typeof listed).toBe("string");
					}
					expect(machine.errors).toEqual([]);
				}),
		);

		test.each(["form", "uid", "plan", "at", "isBackward", "logged", "signals", "crashed", "attempts", "history"])(
			"holds the job if it is not there: %s",
			(name) =>
				withMachines(openMemory, async (make) => {
					const machine = await make();
					const { id, kind, state } = await standThere(machine);
					const { [name]: _, ...rest } = state;
					await suffer(machine, id, kind, rest);
					const { status, problem } = (await machine.processor(jobs).get(id))!;
					expect([status, problem?.message.includes(`"${name}"`), calls]).toEqual(["held", true, []]);
				}),
		);
	});
}

describe("The log of a job", () => {
	test.each([
		["lacks its only entry", []],
		["has an entry of a step that is still to come", [{ at: 0 }, { at: 3 }]],
		["has an entry of a step that was done before", [{ at: 0 }, { at: 0 }]],
		["has a revert while the job goes forward", [{ at: 0 }, { at: 0, isRevert: true }]],
	])("holds the job, and harms no other: it %s", (_, entries) =>
		withMachines(openMemory, async (make) => {
			const machine = await make();
			const { id, kind, state } = await stand(machine, definition);
			await machine.replace(id, kind, JSON.stringify(state), entries.map((entry) => JSON.stringify(entry)));
			const processor = machine.processor(jobs);
			const { id: other } = await processor.add(healthy);
			calls.length = 0;
			await machine.drain(processor);
			expect((await processor.wait(other)).status).toBe("completed");
			expect([(await processor.get(id))!.status, calls]).toEqual(["held", []]);
		}));
});

describe("The log of a durable function", () => {
	const entry = { name: "a", type: "step", order: 0 };
	const wrongFields: Record<string, unknown[]> = {
		uid: [1, "of another job"],
		name: ["", 1, null],
		type: ["stop", 1, undefined],
		order: [-1, 0.5, "0", undefined],
		gaps: [0, {}, [1], ["length"], [0.5], [-1]],
		error: ["no", {}, { name: "Error" }],
		isRevert: [false, 1],
		attempt: [{}, [0, 1, 1, 1], ["a", 0, 1, 1]],
		crashed: [-1, "0"],
	};

	test.each(Object.keys(wrongFields))(
		"holds the job, with the reason, and harms no other: a wrong %s",
		(name) =>
			withMachines(openMemory, async (make) => {
				const machine = await make();
				const flow = durable("flow", (flow) => flow.step("a", () => calls.push("a")));
				for (const wrong of wrongFields[name]!) {
					const id = `with ${JSON.stringify(wrong)}`;
					await machine.processor([flow]).add(flow, undefined, { id });
					const { payload } = await machine.stored(id);
					await machine.replace(id, "flow", payload, [JSON.stringify({ ...entry, value: ["x"], [name]: wrong })]);
					const processor = machine.processor([flow, healthy]);
					const { id: other } = await processor.add(healthy);
					calls.length = 0;
					await machine.drain(processor);
					expect([id, (await processor.wait(other)).status, (await processor.get(id))?.status, calls])
						.toEqual([id, "completed", "held", []]);
				}
			}),
	);
});

describe("The damaged outcome of a job", () => {
	test("rejects result() and wait(), by name, and is still listed", () =>
		withMachines(openMemory, async (make) => {
			const machine = await make();
			const processor = machine.processor(jobs);
			const { id } = await processor.add(healthy);
			await machine.drain(processor);
			const state = await machine.checkpoint(id);
			await machine.replace(id, "healthy", JSON.stringify({ ...state, status: "reverted" }));
			const { claims: [claim] } = await machine.store.turn(machine.name, {
				settle: [],
				claim: [{ kinds: ["healthy"], limit: 1 }],
				lease: 1_000,
			});
			await machine.store.turn(machine.name, {
				settle: [{ ref: claim!, outcome: { type: "done", retain: 1_000 } }],
				claim: [],
				lease: 1_000,
			});
			await expect(processor.result(id)).rejects.toMatchObject({ name: "TypeError" });
			await expect(processor.wait(id)).rejects.toMatchObject({ name: "TypeError" });
			const listed = [];
			for await (const { status } of processor.list()) listed.push(status);
			expect(listed).toEqual(["failed"]);
		}));
});
