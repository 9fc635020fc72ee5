import { describe, expect, test } from "vitest";
import { job, Processor, unchecked } from "../../mod.ts";
import { cancel, signal } from "../../src/cli/messages.ts";
import { add, FakeTerminal, request, storeOf } from "./support.ts";

const undone: string[] = [];
const order = job<string>("order")
	.step("reserve", { run: ({ input }) => input, revert: ({ result }) => void undone.push(result) })
	.waitFor("approval", { schema: unchecked<{ by: string }>() })
	.waitFor("payment")
	.step("ship", { run: ({ results }) => results.approval.by });

async function open(options?: { isTable: boolean }) {
	undone.length = 0;
	const terminal = new FakeTerminal(options);
	const store = storeOf(terminal);
	const { clock } = terminal;
	const processor = new Processor({ store, clock, jobs: [order], retain: 1e9 });
	const work = async () => {
		const drained = processor.drain();
		await clock.advance(0);
		await drained;
	};
	for (const id of ["tea", "oil"]) await processor.add(order, id, { id });
	await work();
	const of = (...ids: string[]) => request("signal", { ids, basket: "jobs" });
	return { terminal, store, processor, work, of };
}

describe("cancel()", () => {
	test("lets a processor revert jobs, and says of each other one why it cannot", async () => {
		const { terminal, store, processor, work } = await open();
		await processor.signal("oil", "approval", { by: "ada" });
		await processor.signal("oil", "payment", undefined);
		await work();
		await add(store, { id: "a task" });
		await store.add("jobs", [{ id: "a task", kind: "mail", payload: "{}", delay: 0, priority: 0 }]);
		const ids = ["tea", "oil", "a task", "nobody", "tea"];
		expect(await cancel(store, request("cancel", { ids, basket: "jobs" }), terminal)).toBe(3);
		expect(terminal.json).toEqual([
			{ id: "tea", cancelled: true },
			{ id: "oil", cancelled: false, reason: `The job "oil" has ended` },
			{ id: "a task", cancelled: false, reason: `The task "a task" is no job that can be read` },
			{ id: "nobody", cancelled: false, reason: `There is no task "nobody" in the basket "jobs"` },
		]);
		await work();
		expect([(await processor.result("tea"))!.status, undone]).toEqual(["reverted", ["tea"]]);
	});
});

describe("signal()", () => {
	test("gives a step the value that it waits for, also before it does", async () => {
		const { terminal, store, processor, work, of } = await open({ isTable: true });
		expect(await signal(store, of("tea", "payment"), terminal)).toBe(0);
		expect(await signal(store, of("tea", "approval", `{"by":"ada"}`), terminal)).toBe(0);
		expect(terminal.printed).toEqual([`"tea" has got "payment"`, `"tea" has got "approval"`]);
		await work();
		expect((await processor.result("tea"))!.value).toBe("ada");
		await expect(signal(store, of("tea", "approval", "1"), terminal)).rejects.toMatchObject({ code: 1 });
	});

	test.each([
		[
			["tea", "reserve"],
			1,
			`The job "tea" does not wait for "reserve"; its next steps are "approval", "payment", "ship"`,
		],
		[
			["tea", "misspelt"],
			1,
			`The job "tea" does not wait for "misspelt"; its next steps are "approval", "payment", "ship"`,
		],
		[["nobody", "approval"], 3, `There is no task "nobody" in the basket "jobs"`],
		[["tea", "approval", "ada"], 2, `signal takes a value as JSON, such as true or '"a text"', not "ada" (see --help)`],
	])("changes nothing if the job does not wait for it: %j", async (ids, code, message) => {
		const { terminal, store, of } = await open();
		await expect(signal(store, of(...ids), terminal)).rejects.toMatchObject({ code, message });
		expect((await store.get("jobs", "tea"))!.inbox).toEqual([]);
	});
});
