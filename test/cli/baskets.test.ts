import { describe, expect, test } from "vitest";
import { job, Processor } from "../../mod.ts";
import { baskets, noteBaskets } from "../../src/cli/baskets.ts";
import { widthOf } from "../../src/cli/text.ts";
import { add, catalogOf, fail, FakeTerminal, request, storeOf } from "./support.ts";

describe("baskets()", () => {
	test("gives programs one object per basket, with its counts, kinds and whether it has jobs", async () => {
		const terminal = new FakeTerminal();
		const { clock } = terminal;
		const store = storeOf(terminal);
		await add(store, { delay: 60_000 }, { kind: "sms" }, { kind: "sms" });
		await fail(store, "sms", "dead");
		await add(store, { kind: "mail" });
		const trip = job("trip").waitFor("approval");
		await new Processor({ store, clock, jobs: [trip] }).add(trip, undefined);
		await clock.advance(5_000);
		expect(await baskets(store, request("baskets"), terminal, catalogOf(terminal, store))).toBe(0);
		expect(terminal.json).toEqual([
			{
				basket: "default",
				counts: { waiting: 2, running: 0, held: 0, dead: 2, done: 0 },
				oldestDueAt: 1_000_000_000,
				kinds: [{ kind: "mail", isJob: false }, { kind: "sms", isJob: false }],
				hasJobs: false,
			},
			{
				basket: "jobs",
				counts: { waiting: 1, running: 0, held: 0, dead: 0, done: 0 },
				oldestDueAt: 1_000_000_000,
				kinds: [{ kind: "trip", isJob: true }],
				hasJobs: true,
			},
		]);
	});

	test("prints a table that fits, and names the database if it has no tasks", async () => {
		const terminal = new FakeTerminal({ isTable: true });
		const store = storeOf(terminal);
		const catalog = catalogOf(terminal, store);
		const listing = request("baskets", { db: "postgres://me:secret@db.example/shop" });
		expect(await baskets(store, listing, terminal, catalog)).toBe(3);
		expect(terminal.notes).toEqual([`There are no tasks in "db.example/shop"`]);
		await add(store, { kind: "世界".repeat(20) }, { kind: "a" });
		for (let width = 1; width < 120; width++) {
			terminal.printed = [];
			terminal.columns = width;
			expect(await baskets(store, listing, terminal, catalog)).toBe(0);
			for (const line of terminal.printed) expect(widthOf(line)).toBeLessThanOrEqual(width);
		}
		expect(terminal.printed[1]).toMatch(/^default +2 +0 +0 +0 +0 +now +a, /);
	});
});

describe("noteBaskets()", () => {
	test("names the baskets that there are, if that of the request has no tasks", async () => {
		const terminal = new FakeTerminal();
		const store = storeOf(terminal);
		const catalog = catalogOf(terminal, store);
		const of = (basket: string) => noteBaskets(store, catalog, request("show", { basket, db: "a.db" }), terminal);
		await of("default");
		await add(store, {});
		await of("default");
		await of("outbox\x1b");
		expect(terminal.notes).toEqual([
			`There are no tasks in "a.db". Done tasks are removed at once, unless their kind has "retain"`,
			`The basket "outbox\\u001b" has no tasks; in "a.db", there are "default"; --basket NAME selects one`,
		]);
	});

	test("names the baskets that have the task that is missing in this one", async () => {
		const terminal = new FakeTerminal();
		const store = storeOf(terminal);
		await add(store, { id: "a" });
		const task = { kind: "trip", payload: "", delay: 0, priority: 0 };
		await store.add("jobs", [{ ...task, id: "b" }]);
		for (const id of ["a", "b", "c"]) {
			const asked = request("show", { ids: [id], db: "a.db" });
			await noteBaskets(store, catalogOf(terminal, store), asked, terminal);
		}
		expect(terminal.notes).toEqual([`There is a task "b" in the basket "jobs"; --basket NAME selects it`]);
	});
});
