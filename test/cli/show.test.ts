import { describe, expect, test } from "vitest";
import { Basket, durable, job, Processor, sleep, stopNow, type Store } from "../../mod.ts";
import { list } from "../../src/cli/list.ts";
import { show } from "../../src/cli/show.ts";
import { add, FakeTerminal, request, storeOf } from "./support.ts";

/** Creates jobs that wait, are reverted, are retried, and are completed. */
async function withJobs(terminal: FakeTerminal): Promise<Store<never>> {
	const store = storeOf(terminal);
	const trip = job<{ to: string }>("trip", { version: 3 })
		.step("flight", { run: ({ input }) => ({ to: input.to }), revert: () => {} })
		.step("hotel", {
			run: ({ input }) => {
				if (input.to === "hell") throw stopNow(new Error("no vacancy"));
				if (input.to === "limbo") throw new Error("503 \x1b[2J");
				return "room 5";
			},
			attempts: 5,
		})
		.waitFor("approval");
	const { clock } = terminal;
	const processor = new Processor({ store, clock, jobs: [trip], backoff: { start: 60_000 } });
	for (const to of ["paris", "hell", "limbo"]) await processor.add(trip, { to }, { id: to });
	const drained = processor.drain();
	await clock.advance(0);
	await drained;
	return store;
}

const shown = async (store: Store<never>, terminal: FakeTerminal, id: string, basket = "jobs"): Promise<string> => {
	terminal.printed = [];
	expect(await show(store, request("show", { ids: [id], basket }), terminal)).toBe(0);
	return terminal.printed.join("\n");
};

describe("show()", () => {
	test("shows what was sent to a job, and not what its processor notes for itself", async () => {
		const [terminal, pipe] = [new FakeTerminal({ isTable: true }), new FakeTerminal()];
		const store = await withJobs(pipe);
		for (const message of [{ type: "yield" }, { type: "signal", name: "approval", value: true }, { type: "cancel" }]) {
			await store.post("jobs", "paris", JSON.stringify(message));
		}
		const text = await shown(store, terminal, "paris");
		expect(text.match(/^Message .+$/gm)).toEqual(["Message 2: signal approval true", "Message 3: cancel"]);
		await shown(store, pipe, "paris");
		expect(pipe.json[0].inbox.map(({ data }: { data: { type: string } }) => data.type)).toEqual(["signal", "cancel"]);
	});

	test("of what is not there fails with 3", async () => {
		const terminal = new FakeTerminal();
		const shown = show(storeOf(terminal), request("show", { ids: ["a\x1b"] }), terminal);
		await expect(shown).rejects.toMatchObject({
			code: 3,
			message: `There is no task "a\\u001b" in the basket "default"`,
		});
	});

	test("gives programs everything", async () => {
		const terminal = new FakeTerminal();
		const store = storeOf(terminal);
		await add(store, { id: "a", payload: `{"n":1}`, priority: 7, delay: 5_000 });
		await store.post("default", "a", `"hello"`);
		await shown(store, terminal, "a", "default");
		expect(terminal.json).toEqual([{
			...{ key: expect.any(String), id: "a", kind: "mail", state: "waiting", attempts: 0, crashes: 0, priority: 7 },
			...{ addedAt: 1_000_000_000, dueAt: 1_000_000_000, payload: { n: 1 }, inbox: [{ n: 1, data: "hello" }] },
		}]);
	});

	test("shows the attempts, with their times, workers and errors, and what runs now", async () => {
		const [terminal, pipe] = [new FakeTerminal({ isTable: true }), new FakeTerminal()];
		terminal.columns = 120;
		const { clock } = terminal;
		Object.assign(pipe, { clock });
		const store = storeOf(terminal);
		const runs = [
			async () => {
				await sleep(2_500, { clock });
				throw new Error("away");
			},
			() => new Promise<never>(() => {}),
		];
		const tasks = { mail: () => runs.shift()!() };
		const basket = new Basket({ store, clock, worker: "w1", tasks, backoff: { start: 1_000, jitter: "none" } });
		await basket.add("mail", undefined, { id: "a", meta: { trace: "t7" } });
		void basket.run();
		await clock.advance(0);
		await clock.advance(5_000);
		const began = 1_000_000_000;
		await shown(store, pipe, "a", "default");
		expect(pipe.json[0]).toMatchObject({
			meta: { trace: "t7" },
			run: { worker: "w1", since: expect.any(Number) },
			history: {
				attempts: [{
					...{ attempt: 1, startedAt: began, endedAt: began + 2_500, worker: "w1" },
					error: { name: "Error", message: "away" },
				}],
			},
		});
		expect(pipe.json[0].claim).toBe(undefined);
		const text = await shown(store, terminal, "a", "default");
		expect(text).toMatch(/^ {2}meta trace +t7$/m);
		expect(text).toMatch(/^ {2}runs +on w1 since /m);
		const [head, first, second] = text.slice(text.indexOf("Attempts\n") + 9).split("\n");
		expect(head!.trim().split(/ {2,}/)).toEqual(["#", "BEGAN", "ENDED", "TOOK", "WORKER", "OUTCOME"]);
		expect(first!.trim().split(/ {2,}/).slice(3)).toEqual(["2.5 s", "w1", "failed: away"]);
		expect(second!.trim().split(/ {2,}/)).toEqual([
			...["2", expect.any(String), expect.stringMatching(/ s so far$/), "w1", "running"],
		]);
	});

	test("shows the key of its limit", async () => {
		const terminal = new FakeTerminal({ isTable: true });
		const store = storeOf(terminal);
		await add(store, { id: "a", limitKey: "ada" }, { id: "b", limitKey: "" }, { id: "c" });
		expect(await shown(store, terminal, "a", "default")).toMatch(/^ {2}limit +ada$/m);
		expect(await shown(store, terminal, "b", "default")).toMatch(/^ {2}limit +that of its kind$/m);
		expect(await shown(store, terminal, "c", "default")).not.toMatch(/^ {2}limit/m);
	});

	test("shows the result of a done task, and until when it or a dead one is kept", async () => {
		const [pipe, table] = [new FakeTerminal(), new FakeTerminal({ isTable: true })];
		const store = storeOf(pipe);
		await add(store, { id: "a" }, { id: "b" });
		const claim = [{ kinds: ["mail"], limit: 2 }];
		const { claims: [done, dead] } = await store.turn("default", { settle: [], claim, lease: 1_000 });
		const error = `{"name":"Error","message":"no such user"}`;
		await store.turn("default", {
			settle: [
				{ ref: done!, outcome: { type: "done", retain: 60_000, result: `{"sent":1}` } },
				{ ref: dead!, outcome: { type: "dead", attempts: 1, error, retain: 3_600_000 } },
			],
			claim: [],
			lease: 1_000,
		});
		await shown(store, pipe, "a", "default");
		expect(pipe.json).toMatchObject([{ state: "done", result: { sent: 1 } }]);
		expect(await shown(store, table, "a", "default")).toMatch(/done, kept 60 s \([^]+Result\n {2}\{\n {4}"sent": 1/);
		expect(await shown(store, table, "b", "default")).toMatch(/dead, kept 60 min \(/);
	});

	test("shows people the payload and the failure whole, and harmless", async () => {
		const terminal = new FakeTerminal({ isTable: true });
		const store = storeOf(terminal);
		const long = "x".repeat(10_000);
		await add(store, { id: "a", payload: JSON.stringify({ long, evil: "\x1b[2J\u202e\x9b" }) });
		const { claims: [claim] } = await store.turn("default", {
			settle: [],
			claim: [{ kinds: ["mail"], limit: 1 }],
			lease: 1,
		});
		const failure = {
			name: "RangeError",
			message: "too\nfar\x07",
			stack: "RangeError: too\nfar\x07\n    at f (a.ts:1:2)\n    at g",
		};
		const outcome = { type: "dead", attempts: 2, error: JSON.stringify(failure) } as const;
		await store.turn("default", { settle: [{ ref: claim!, outcome }], claim: [], lease: 1 });
		const text = await shown(store, terminal, "a", "default");
		expect(text).toContain(`    "long": "${long}"`);
		expect(text).toContain(String.raw`    "evil": "\u001b[2J\u202e\u009b"`);
		expect(text).toContain("Last failure\n  RangeError: too far\\u{7}\n    at f (a.ts:1:2)\n    at g\n");
		expect(text.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
	});

	test.each([
		[
			"paris",
			/state +waiting, until a message comes[^]+✓ flight \(done\) → \{"to":"paris"\}\n {2}✓ hotel \(done\) → "room 5"\n {2}▶ approval \(current\)\n/,
		],
		[
			"hell",
			/state +done: reverted[^]+↩ flight \(reverted\)[^]+✗ hotel \(failed\)\n {2}· approval\n {2}reverted because of: no vacancy\n/,
		],
		[
			"limbo",
			/state +waiting, in 60 s[^]+▶ hotel \(current\) {2}attempts that failed: 1\n[^]+last failure: 503 \\u\{1b\}\[2J\n/,
		],
	])("reads the checkpoint of a job: %s", async (id, pattern) => {
		const terminal = new FakeTerminal({ isTable: true });
		const store = await withJobs(terminal);
		const text = await shown(store, terminal, id);
		expect(text).toMatch(pattern);
		expect(text).toMatch(/ job +trip, version 3\n/);
		expect(text).toMatch(/History\n {2}1970-01-12 .+ {2}flight, attempt 1, 0 ms: done\n/);
		expect(text).not.toContain("uid");
	});

	test("gives programs a job in the words of a processor", async () => {
		const terminal = new FakeTerminal();
		const store = await withJobs(terminal);
		await shown(store, terminal, "hell");
		const [{ job, payload }] = terminal.json;
		expect(payload).toBeUndefined();
		expect(job).toMatchObject({
			...{
				version: 3,
				status: "reverted",
				direction: "backward",
				input: { to: "hell" },
				error: { message: "no vacancy" },
			},
			steps: [{ name: "flight", state: "reverted" }, { name: "hotel", state: "failed" }, {
				name: "approval",
				state: "pending",
			}],
			history: [{ step: "flight" }, { step: "hotel" }, { step: "flight", isRevert: true }],
		});
	});
});

test("list() gives programs a job in the words of a processor", async () => {
	const terminal = new FakeTerminal();
	const store = await withJobs(terminal);
	await list(store, request("ls", { basket: "jobs" }), terminal);
	expect(terminal.json.map(({ id, payload, job: { status, step } }) => [id, payload, status, step])).toEqual([
		["paris", undefined, "waiting", "approval"],
		["hell", undefined, "reverted", undefined],
		["limbo", undefined, "waiting", "hotel"],
	]);
	expect(terminal.printed.join()).not.toContain("uid");
});

test("list() shows where jobs are", async () => {
	const terminal = new FakeTerminal({ isTable: true });
	const store = await withJobs(terminal);
	terminal.columns = 120;
	await list(store, request("ls", { basket: "jobs" }), terminal);
	expect(terminal.printed.slice(1)).toEqual([
		expect.stringMatching(/ at approval \(3 of 3\)$/),
		expect.stringMatching(/ reverted: no vacancy$/),
		expect.stringMatching(/ 1 {2}in 60 s .+ at hotel \(2 of 3\), attempt 1 failed: 503 \\u\{1b\}\[2J$/),
	]);
});

describe("a durable function", () => {
	const onboard = durable("onboard", async (flow, { user }: { user: string }) => {
		await flow.step("account", () => user, { revert: () => {} });
		await flow.step("badge", () => Promise.reject(new Error("no badge"))).catch(() => {});
		if (user === "eve") throw new Error("not her");
		await Promise.all([
			flow.waitFor(["approval", 1]),
			flow.step("mail", () => Promise.reject(new Error("503")), { attempts: 3 }),
		]);
	});

	const run = async (terminal: FakeTerminal) => {
		const store = storeOf(terminal);
		const { clock } = terminal;
		const processor = new Processor({ store, clock, jobs: [onboard], backoff: { start: 60_000 } });
		for (const user of ["ada", "eve"]) await processor.add(onboard, { user }, { id: user });
		const drained = processor.drain();
		for (let count = 0; count < 20; count++) await clock.advance(0);
		await drained;
		return store;
	};

	test("show() has its steps in the order of their start", async () => {
		const terminal = new FakeTerminal({ isTable: true });
		const store = await run(terminal);
		const steps = (await shown(store, terminal, "ada")).split("Steps\n")[1]!.split("\n\nHistory")[0];
		expect(steps).toBe([
			`  ✓ account (done) → "ada"`,
			"  ✗ badge (failed)",
			`  ▶ ["approval",1] (current)`,
			"  ▶ mail (current)  attempts that failed: 1",
		].join("\n"));
		expect(await shown(store, terminal, "eve")).toMatch(/ ↩ account \(reverted\)/);
	});

	test("list() shows what it waits for", async () => {
		const terminal = new FakeTerminal({ isTable: true });
		const store = await run(terminal);
		terminal.columns = 140;
		await list(store, request("ls", { basket: "jobs" }), terminal);
		expect(terminal.printed.slice(1)).toEqual([
			expect.stringMatching(/ at \["approval",1\], mail$/),
			expect.stringMatching(/ reverted: not her$/),
		]);
	});
});

describe("a job with branches", () => {
	const trip = job<{ to: string }>("trip")
		.step("pay", { run: () => 5, revert: () => {} })
		.all("book", {
			flight: { run: ({ input }) => input.to, revert: () => {} },
			hotel: { run: () => Promise.reject(new Error("503")), attempts: 3 },
			car: {
				run: ({ input }) => {
					if (input.to === "hell") throw stopNow(new Error("no road"));
					throw new Error("busy");
				},
				attempts: 2,
			},
		})
		.step("mail", { run: () => {} });

	/** The lines of the steps of a job to Paris and of one to hell, and those of the list. */
	const run = async () => {
		const terminal = new FakeTerminal({ isTable: true });
		const store = storeOf(terminal);
		const { clock } = terminal;
		const processor = new Processor({ store, clock, jobs: [trip], backoff: { start: 60_000 } });
		for (const to of ["paris", "hell"]) await processor.add(trip, { to }, { id: to });
		const drained = processor.drain();
		for (let count = 0; count < 20; count++) await clock.advance(0);
		await drained;
		const steps = async (id: string) =>
			(await shown(store, terminal, id)).split("Steps\n")[1]!.split("\n\nHistory")[0]!.split("\n");
		const [paris, hell] = [await steps("paris"), await steps("hell")];
		terminal.columns = 140;
		terminal.printed = [];
		await list(store, request("ls", { basket: "jobs" }), terminal);
		return { paris, hell, listed: terminal.printed.slice(1) };
	};

	test("show() has each branch with its state, and list() those that are left", async () => {
		const { paris, hell, listed } = await run();
		expect(paris).toEqual([
			"  ✓ pay (done) → 5",
			`  ✓ ["book","flight"] (done) → "paris"`,
			`  ▶ ["book","hotel"] (current)  attempts that failed: 1`,
			`  ▶ ["book","car"] (current)  attempts that failed: 1`,
			expect.stringMatching(/^ {2}· mail/),
		]);
		expect(hell.slice(0, 4)).toEqual([
			expect.stringMatching(/ pay \(reverted\)/),
			expect.stringMatching(/ \["book","flight"\] \(reverted\)/),
			expect.stringMatching(/ \["book","hotel"\] \(failed\)/),
			expect.stringMatching(/ \["book","car"\] \(failed\)/),
		]);
		expect(listed).toEqual([
			expect.stringMatching(/ at \["book","hotel"\], \["book","car"\] \(2 of 5\)/),
			expect.stringMatching(/ reverted: no road$/),
		]);
	});
});
