// A job with children, as the commands show and change it.
import { describe, expect, test } from "vitest";
import { job, Processor, type Store } from "../../mod.ts";
import { change } from "../../src/cli/change.ts";
import { counts, list } from "../../src/cli/list.ts";
import { show } from "../../src/cli/show.ts";
import type { Request } from "../../src/cli/terminal.ts";
import { FakeTerminal, request, storeOf } from "./support.ts";

const invoice = job<number>("invoice").step("write", { run: ({ input }) => input, revert: () => {} });
const trip = job("trip", { version: 2 })
	.each("thumbs", {
		items: () => ["a.jpg", "b.jpg", "c.jpg"],
		run({ item, attempt }) {
			if (item === "b.jpg") throw new Error(`no disk ${attempt}`);
			return item;
		},
		attempts: 3,
		revert: () => {},
	})
	.job("bill", invoice, () => 7);

/** A job whose second child waits for its next attempt. */
async function withChildren(terminal: FakeTerminal): Promise<{ store: Store<never>; ids: readonly string[] }> {
	const store = storeOf(terminal);
	const { clock } = terminal;
	const processor = new Processor({ store, clock, jobs: [trip], backoff: { start: 60_000 } });
	await processor.add(trip, undefined, { id: "x" });
	const drained = processor.drain();
	await clock.advance(0);
	await drained;
	return { store, ids: (await store.list("jobs", { parent: "x", limit: 9 })).map(({ id }) => id) };
}

const asked = (command: Request["command"], values: Partial<Request> = {}) =>
	request(command, { basket: "jobs", ...values });

/** The lines of a table, without the ids of children. */
const lines = ({ printed }: FakeTerminal, ids: readonly string[]) =>
	printed.map((line) => ids.reduce((line, id, index) => line.replace(id, `child ${index}`), line));

describe("children of jobs", () => {
	test("ls shows a job as one, and its children with --parent", async () => {
		const terminal = new FakeTerminal({ isTable: true });
		terminal.columns = 200;
		const { store, ids } = await withChildren(terminal);
		await list(store, asked("ls"), terminal);
		expect(terminal.printed[1]).toMatch(/^x +trip@2 +waiting .* at thumbs \(1 of 2\), 3 children$/);
		expect(terminal.printed).toHaveLength(2);
		terminal.printed = [];
		await list(store, asked("ls", { parent: "x" }), terminal);
		expect(lines(terminal, ids).slice(1)).toEqual([
			expect.stringMatching(/^child 0 +trip@2: thumbs +done .* completed$/),
			expect.stringMatching(/^child 1 +trip@2: thumbs +waiting .* item 1, "b.jpg", attempt 1 failed: no disk 1/),
			expect.stringMatching(/^child 2 +trip@2: thumbs +done .* completed/),
		]);
		await list(store, asked("ls", { parent: "y" }), terminal);
		expect(terminal.notes).toEqual([`No tasks like that in the basket "jobs"`]);
		for (const text of ["\u001f", "u{1f}"]) expect(terminal.printed.join()).not.toContain(text);
	});

	test("ls and show give programs the parent, the step and the numbers of children", async () => {
		const terminal = new FakeTerminal();
		const { store, ids } = await withChildren(terminal);
		await list(store, asked("ls", { parent: "x", limit: 1 }), terminal);
		await show(store, asked("show", { ids: ["x"] }), terminal);
		const [child, parent] = terminal.json;
		expect(child).toMatchObject({ id: ids[0], kind: "trip", version: "2", itemOf: "thumbs", parent: "x" });
		expect(child.job).toMatchObject({ status: "completed", input: { item: "a.jpg", index: 0 } });
		expect(child.job.input).not.toHaveProperty("parent");
		expect(parent.job).toMatchObject({ children: { count: 3, added: 3 } });
		expect(parent.job.steps).toEqual([
			{ name: "thumbs", state: "current", children: { completed: 2, waiting: 1 } },
			{ name: "bill", state: "pending" },
		]);
	});

	test("show tells how many children each step has, forward and backward", async () => {
		const terminal = new FakeTerminal({ isTable: true });
		const { store, ids } = await withChildren(terminal);
		await show(store, asked("show", { ids: ["x"] }), terminal);
		expect(terminal.printed).toContain("  ▶ thumbs (current)  3 children: 2 completed, 1 waiting");
		terminal.printed = [];
		await show(store, asked("show", { ids: [ids[1]!] }), terminal);
		const text = terminal.printed.join("\n");
		expect(text).toMatch(/ job +trip, version 2, an item of thumbs\n +parent +x\n/);
		expect(text).toContain(`  "item": "b.jpg",\n    "index": 1\n`);
		expect(text).toContain("  ▶ thumbs (current)  attempts that failed: 1");

		const processor = new Processor({ store, clock: terminal.clock, jobs: [trip], backoff: 1 });
		const running = processor.run();
		await terminal.clock.advance(1_000_000);
		await processor.stop();
		await running;
		terminal.printed = [];
		await show(store, asked("show", { ids: ["x"] }), terminal);
		expect(terminal.printed).toContain("  ✗ thumbs (failed)  3 children: 3 reverted");
		expect(terminal.printed).toContain("  · bill");
	});

	test("show tells that a step was reverted by its children", async () => {
		const terminal = new FakeTerminal({ isTable: true });
		const store = storeOf(terminal);
		const { clock } = terminal;
		const shop = job("shop")
			.each("pack", {
				items: () => [1, 2, 3],
				run: ({ item }) => item === 2 ? Promise.reject(new Error("no paper")) : item,
				revert: () => {},
				tolerate: 1,
			})
			.each("mail", { items: () => [1], run: ({ item }) => item })
			.step("pay", { run: () => Promise.reject(new Error("no money")) });
		const processor = new Processor({ store, clock, jobs: [shop] });
		await processor.add(shop, undefined, { id: "x" });
		const running = processor.run();
		await clock.advance(1_000_000);
		await processor.stop();
		await running;
		await show(store, asked("show", { ids: ["x"] }), terminal);
		expect(terminal.printed).toContain("  ↩ pack (reverted)  3 children: 3 reverted → [1,null,3]");
		expect(terminal.printed).toContain("  ✓ mail (done)  1 child: 1 completed → [1]");
		expect(terminal.printed).toContain("  ✗ pay (failed)");
		expect(terminal.printed.join("\n")).toMatch(/pack, item 1, attempt 1, \d+ ms: failed: no paper\n/);
	});

	test("counts contains children", async () => {
		const terminal = new FakeTerminal();
		const { store } = await withChildren(terminal);
		await counts(store, asked("counts"), terminal);
		expect(terminal.json).toMatchObject([{ waiting: 2, done: 2 }]);
	});

	test("rm leaves a job whose children have begun, and a child that its parent needs", async () => {
		const terminal = new FakeTerminal();
		const { store, ids } = await withChildren(terminal);
		for (const id of ["x", ids[0]!, ids[1]!]) {
			expect(await change(store, asked("rm", { ids: [id] }), terminal)).toBe(1);
			expect(terminal.notes.at(-1)).toBe(
				`The job "${id}" is half done, and removing it reverts nothing: --half-done removes it`,
			);
		}
		expect(await change(store, asked("rm", { isAll: true, isSure: true, state: "done", parent: "x" }), terminal)).toBe(
			1,
		);
		expect(terminal.json.at(-1)).toEqual({ found: 2, removed: 0, halfDone: 2 });
		expect(await change(store, asked("rm", { ids: ["x"], takesHalfDone: true }), terminal)).toBe(0);
		expect(await store.list("jobs", { parent: "x", limit: 9 })).toEqual([]);
	});

	test("rm asks twice for a job whose children have begun", async () => {
		const terminal = new FakeTerminal({ isTable: true, canAsk: true });
		const { store } = await withChildren(terminal);
		terminal.answer = "no";
		expect(await change(store, asked("rm", { ids: ["x"] }), terminal)).toBe(1);
		expect(terminal.questions).toEqual([
			"It is a job that is half done, and nothing would be reverted. Remove all the same? [y/N] ",
		]);
		expect(await store.get("jobs", "x")).toBeDefined();
	});

	test("retry --from start lets a failed child begin anew, which stays a child", async () => {
		const terminal = new FakeTerminal();
		const store = storeOf(terminal);
		const { clock } = terminal;
		let isFull = true;
		let release = () => {};
		const released = new Promise<string>((resolve) => release = () => resolve("large"));
		const album = job("album").each("thumbs", {
			items: () => [0, 1],
			run: ({ item }) => item === 1 ? released : isFull ? Promise.reject(new Error("full")) : "small",
			tolerate: 1,
		});
		const processor = new Processor({ store, clock, jobs: [album] });
		await processor.add(album, undefined, { id: "x" });
		const running = processor.run();
		await clock.advance(1_000);
		const [first] = await store.list("jobs", { parent: "x", limit: 9 });
		isFull = false;
		expect(await change(store, asked("retry", { ids: [first!.id], from: "start" }), terminal)).toBe(0);
		await clock.advance(1_000);
		// It is behind the others, as every task that begins anew.
		const again = (await store.list("jobs", { parent: "x", limit: 9 })).at(-1);
		expect(again).toMatchObject({ id: first!.id, state: "done", parent: "x" });
		expect(again!.dueAt).toBeUndefined();
		expect(again!.result).toContain("small");
		release();
		await processor.stop();
		await running;
	});
});
