import { describe, expect, test } from "vitest";
import { Basket, job, Processor, stopNow } from "../../mod.ts";
import { counts, list } from "../../src/cli/list.ts";
import { widthOf } from "../../src/cli/text.ts";
import { add, fail, FakeTerminal, request, storeOf } from "./support.ts";

describe("list()", () => {
	test("gives programs one object per task, with its payload read and whole", async () => {
		const terminal = new FakeTerminal();
		const store = storeOf(terminal);
		const long = "x".repeat(100_000);
		await add(
			store,
			{ id: "a", payload: JSON.stringify({ long }), lane: "one" },
			{ payload: new Uint8Array([1, 2, 255]) },
			{ payload: "no JSON \x1b[2J" },
			{ payload: "" },
		);
		expect(await list(store, request("ls"), terminal)).toBe(0);
		expect(terminal.json[0]).toEqual({
			...{
				key: expect.any(String),
				id: "a",
				kind: "mail",
				state: "waiting",
				attempts: 0,
				crashes: 0,
				priority: 0,
				lane: "one",
			},
			...{ addedAt: 1_000_000_000, dueAt: 1_000_000_000, payload: { long } },
		});
		expect(terminal.json.slice(1).map(({ payload, encoding }) => [payload, encoding])).toEqual([
			["AQL/", "base64"],
			["no JSON \x1b[2J", "text"],
			[undefined, undefined],
		]);
		expect(terminal.printed.join("")).not.toMatch(/\p{Cc}/u);
	});

	test("shows and selects the versions of a job by its name", async () => {
		const terminal = new FakeTerminal({ isTable: true });
		const store = storeOf(terminal);
		await add(store, { id: "a", kind: "trip\u001f2" }, { id: "b", kind: "trip" }, { id: "c", kind: "trips" });
		await list(store, request("ls", { kind: "trip" }), terminal);
		expect(terminal.printed.slice(1).map((line) => line.split(/ {2,}/).slice(0, 2))).toEqual([["a", "trip@2"], [
			"b",
			"trip",
		]]);
		const programs = Object.assign(new FakeTerminal(), { clock: terminal.clock });
		await list(store, request("ls", { kind: "trip" }), programs);
		expect(programs.json.map(({ kind, version }) => [kind, version])).toEqual([["trip", "2"], ["trip", undefined]]);
	});

	test("stops at the limit, and goes on behind a key, over pages of the store", async () => {
		const terminal = new FakeTerminal({ isTable: true });
		const store = storeOf(terminal);
		await add(store, ...Array.from({ length: 600 }, (_, index) => ({ id: `t${index}` })));
		await list(store, request("ls", { limit: 510 }), terminal);
		expect(terminal.printed).toHaveLength(511);
		const [, after] = /^510 tasks shown; --after (\S+) shows more$/.exec(terminal.notes[0]!)!;
		terminal.printed = [];
		await list(store, request("ls", { limit: 510, after }), terminal);
		expect(terminal.printed).toHaveLength(91);
		expect(terminal.printed[1]).toMatch(/^t510 /);
		expect(terminal.notes).toHaveLength(1);
	});

	test("filters by state and kind", async () => {
		const terminal = new FakeTerminal();
		const store = storeOf(terminal);
		await add(store, { id: "a" }, { id: "b", kind: "sms" }, { id: "c", kind: "fax" });
		await fail(store, "sms", "dead");
		await fail(store, "fax", "dead");
		await list(store, request("ls", { state: "dead", kind: "sms" }), terminal);
		expect(terminal.json).toMatchObject([{
			id: "b",
			state: "dead",
			error: { name: "Error", message: "no such user", code: "EUSER", stack: expect.any(String) },
		}]);
	});

	test("filters by lane and the beginning of ids, and goes on behind a key from the newest", async () => {
		const terminal = new FakeTerminal({ isTable: true });
		const store = storeOf(terminal);
		const ids = Array.from({ length: 300 }, (_, index) => `t${index}`);
		await add(store, { id: "other" }, {}, ...ids.map((id) => ({ id, lane: "ada" })), { id: "t-bob", lane: "bob" });
		const shown = async (values: Parameters<typeof request>[1]) => {
			terminal.printed = [];
			await list(store, request("ls", { limit: 1_000, ...values }), terminal);
			return terminal.printed.slice(1).map((line) => line.split(" ")[0]);
		};
		expect(await shown({ lane: "bob" })).toEqual(["t-bob"]);
		expect(await shown({ prefix: "t29", lane: "ada" })).toEqual(["t29", ...ids.slice(290)]);
		expect(await shown({ prefix: "t", isNewest: true })).toEqual(["t-bob", ...ids.toReversed()]);
		expect(await shown({ isNewest: true, limit: 3 })).toEqual(["t-bob", "t299", "t298"]);
		const [, after] = /--after (\S+) shows more$/.exec(terminal.notes[0]!)!;
		expect(await shown({ isNewest: true, limit: 2, after })).toEqual(["t297", "t296"]);
		expect(await shown({ lane: "eve" })).toEqual([]);
		expect(terminal.notes.at(-1)).toMatch(/^No tasks like that in the basket/);
	});

	test("tells people what failed and what comes next, in lines that fit", async () => {
		const terminal = new FakeTerminal({ isTable: true });
		const store = storeOf(terminal);
		await add(store, { id: "evil\x1b[2J\u202e" }, {
			id: "世界".repeat(20),
			payload: "y".repeat(5_000),
			delay: 90_000,
			kind: "other",
		});
		await fail(store, "mail", "retry", "the server\nis away");
		await list(store, request("ls"), terminal);
		expect(terminal.printed[1]).toMatch(/^evil\\u\{1b\}\[2J\\u\{202e\} .+ the/);
		expect(terminal.printed[2]).toMatch(/^(世界){8}世… /);
		for (let width = 1; width < 150; width++) {
			terminal.printed = [];
			terminal.columns = width;
			await list(store, request("ls"), terminal);
			for (const line of terminal.printed) expect(widthOf(line)).toBeLessThanOrEqual(width);
		}
		expect(terminal.printed[1]).toMatch(/ mail +waiting +1 +in 60 s +now +the server is away$/);
		expect(terminal.printed[2]).toMatch(/ other +waiting +0 +in 90 s +now +y+…$/);
	});

	test("shows the keys of limits if there are any", async () => {
		const [pipe, table] = [new FakeTerminal(), new FakeTerminal({ isTable: true })];
		const store = storeOf(pipe);
		await add(store, { id: "a" }, { id: "b", limitKey: "" });
		await list(store, request("ls"), table);
		expect(table.printed[0]).toMatch(/ERROR OR PAYLOAD$/);
		await add(store, { id: "c", limitKey: "ada\x1b" });
		table.printed = [];
		table.columns = 150;
		await list(store, request("ls"), table);
		expect(table.printed[0]).toMatch(/ERROR OR PAYLOAD +LIMIT$/);
		expect(table.printed[3]).toMatch(/ ada\\u\{1b\}$/);
		await list(store, request("ls"), pipe);
		expect(pipe.json.map(({ limitKey }) => limitKey)).toEqual([undefined, "", "ada\x1b"]);
		for (let width = 1; width < 120; width++) {
			table.printed = [];
			table.columns = width;
			await list(store, request("ls"), table);
			for (const line of table.printed) expect(widthOf(line)).toBeLessThanOrEqual(width);
		}
	});

	test("selects by outcome: a dead task has failed, and a job may be done and have failed", async () => {
		const terminal = new FakeTerminal();
		const { clock } = terminal;
		const store = storeOf(terminal);
		await add(store, { id: "dead", kind: "sms" }, { id: "waiting" });
		await fail(store, "sms", "dead");
		const basket = new Basket({ store, clock, retain: 1e9, tasks: { fax: () => {} } });
		await basket.add("fax", undefined, { id: "sent" });
		const trip = job<string>("trip").step("flight", {
			run: () => {},
			revert: ({ input }) => {
				if (input === "failed") throw stopNow(new Error("no refund"));
			},
			attempts: 1,
		}).step("hotel", {
			run: ({ input }) => {
				if (input !== "completed") throw new Error("no room");
			},
			attempts: 1,
		});
		const processor = new Processor({ store, clock, name: "default", jobs: [trip] });
		for (const id of ["completed", "reverted", "failed"]) await processor.add(trip, id, { id });
		for (const each of [basket, processor]) {
			const drained = each.drain();
			await clock.advance(1_000_000);
			await drained;
		}
		const ids = async (values: Parameters<typeof request>[1]) => {
			terminal.printed = [];
			expect(await list(store, request("ls", values), terminal)).toBe(0);
			return terminal.json.map(({ id }) => id).sort();
		};
		expect(await ids({ outcome: "completed" })).toEqual(["completed", "sent"]);
		expect(await ids({ outcome: "reverted" })).toEqual(["reverted"]);
		expect(await ids({ outcome: "failed" })).toEqual(["dead", "failed"]);
		expect(await ids({ outcome: "failed", state: "done" })).toEqual(["failed"]);
		expect(await ids({ outcome: "failed", text: "no such" })).toEqual(["dead"]);
	});

	test("selects by text in ids, kinds, payloads, errors and results, and fills the limit over many pages", async () => {
		const terminal = new FakeTerminal();
		const store = storeOf(terminal);
		const many = Array.from({ length: 1_000 }, (_, index) => ({ kind: "later", id: `t${index}`, delay: 1e9 }));
		await add(
			store,
			{ id: "in-NEEDLE-id" },
			...many,
			{ id: "b", kind: "needle" },
			{ id: "c", payload: `{"to":"a Needle"}` },
			{ id: "d", kind: "sms" },
			{ id: "e", lane: "needles" },
		);
		await fail(store, "sms", "dead", "lost needle");
		const found = async (values: Parameters<typeof request>[1]) => {
			terminal.printed = [];
			const code = await list(store, request("ls", values), terminal);
			return [code, ...terminal.json.map(({ id }) => id)];
		};
		expect(await found({ text: "needle" })).toEqual([0, "in-NEEDLE-id", "b", "c", "d", "e"]);
		expect(await found({ text: "needle", limit: 2 })).toEqual([0, "in-NEEDLE-id", "b"]);
		expect(await found({ text: "needle", isNewest: true, limit: 2 })).toEqual([0, "e", "d"]);
		expect(await found({ text: "needle", kind: "mail" })).toEqual([0, "in-NEEDLE-id", "c", "e"]);
		// What is only in the names of the JSON output is not in the task.
		expect(await found({ text: "addedat" })).toEqual([3]);
	});

	test("shows the last attempt of each task with --long", async () => {
		const terminal = new FakeTerminal({ isTable: true });
		terminal.columns = 160;
		const { clock } = terminal;
		const store = storeOf(terminal);
		let end = () => {};
		const tasks = { mail: async () => await clock.advance(1_500), slow: () => new Promise<void>((done) => end = done) };
		const basket = new Basket({ store, clock, worker: "w1", retain: 1e9, tasks });
		await basket.add("slow", undefined, { id: "s" });
		const running = basket.run();
		await clock.advance(4_000);
		await list(store, request("ls", { isLong: true }), terminal);
		expect(terminal.printed[0]).toMatch(
			/^ID +KIND +STATE +FAILED +ADDED +NEXT +LAST BEGAN +TOOK +WORKER +LANE +ERROR OR PAYLOAD$/,
		);
		expect(terminal.printed[1]).toMatch(/^s +slow +running .+ 4 s so far +w1$/);
		end();
		await clock.advance(1_000);
		terminal.printed = [];
		await list(store, request("ls", { isLong: true }), terminal);
		expect(terminal.printed[1]).toMatch(/^s +slow +done .+ 4 s +w1$/);
		for (let width = 1; width < 160; width++) {
			terminal.printed = [];
			terminal.columns = width;
			await list(store, request("ls", { isLong: true }), terminal);
			for (const line of terminal.printed) expect(widthOf(line)).toBeLessThanOrEqual(width);
		}
		await basket.stop();
		await running;
	});

	test("says where it has looked if there is nothing", async () => {
		const terminal = new FakeTerminal({ isTable: true });
		expect(await list(storeOf(terminal), request("ls"), terminal)).toBe(3);
		expect(await list(storeOf(terminal), request("ls", { text: "a" }), terminal)).toBe(3);
		expect(terminal.printed).toEqual([]);
		expect(terminal.notes).toEqual([
			`No tasks in the basket "default"`,
			`No tasks like that in the basket "default"`,
		]);
	});
});

test("counts() is one object, or a table", async () => {
	const [pipe, table] = [new FakeTerminal(), new FakeTerminal({ isTable: true })];
	const store = storeOf(pipe);
	await add(store, {}, {}, { kind: "sms" });
	await fail(store, "sms", "dead");
	await counts(store, request("counts"), pipe);
	await counts(store, request("counts"), table);
	const pauses = { all: false, kinds: [] };
	expect(pipe.json).toEqual([{ waiting: 2, running: 0, held: 0, dead: 1, done: 0, pauses }]);
	expect(table.printed.slice(0, 2)).toEqual(["STATE    TASKS", "waiting      2"]);
});

test("counts() of nothing is zeros, and ends with 3", async () => {
	const [pipe, table] = [new FakeTerminal(), new FakeTerminal({ isTable: true })];
	expect(await counts(storeOf(pipe), request("counts", { basket: "misspelt" }), pipe)).toBe(3);
	expect(pipe.json).toMatchObject([{ waiting: 0, dead: 0 }]);
	expect(await counts(storeOf(table), request("counts", { basket: "misspelt" }), table)).toBe(3);
	expect(table.printed.length).toBeGreaterThan(1);
});
