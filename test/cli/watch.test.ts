import { describe, expect, test } from "vitest";
import { Basket, job, Processor, type Store, StoreError } from "../../mod.ts";
import { watch } from "../../src/cli/watch.ts";
import { widthOf } from "../../src/cli/text.ts";
import { add, catalogOf, fail, FakeTerminal, request, storeOf } from "./support.ts";

/** Advances the time and completes all pending work of the store. */
async function pass({ clock }: FakeTerminal, time: number): Promise<void> {
	const step = Math.max(100, time / 100);
	do {
		await clock.advance(Math.min(step, time));
		await new Promise((resolve) => setTimeout(resolve, 0)); // the memory store only needs microtasks
	} while ((time -= step) > 0);
}

/** Watches during an action, and then stops. */
async function during(
	terminal: FakeTerminal,
	store: Store<never>,
	work: () => unknown,
	values: Parameters<typeof request>[1] = {},
): Promise<void> {
	const watching = watch(store, request("watch", values), terminal, catalogOf(terminal, store));
	await pass(terminal, 0);
	await work();
	terminal.close();
	await pass(terminal, 0);
	expect(await watching).toBe(0);
}

describe("watch()", () => {
	test("gives programs a line at first, and one for each change", async () => {
		const terminal = new FakeTerminal();
		const store = storeOf(terminal);
		await add(store, { id: "a" }, { id: "b", kind: "sms" });
		await during(terminal, store, async () => {
			await pass(terminal, 600_000);
			await fail(store, "mail", "retry", "away\x1b");
			await pass(terminal, 1_000);
			await fail(store, "sms", "dead");
			await pass(terminal, 1_000);
		});
		expect(terminal.json).toMatchObject([
			{ at: 1_000_000_000, counts: { waiting: 2, dead: 0 }, failures: [] },
			{
				counts: { waiting: 2, dead: 0 },
				failures: [{ id: "a", kind: "mail", state: "waiting", attempts: 1, error: "away\\u{1b}" }],
			},
			{ counts: { waiting: 1, dead: 1 }, failures: [{ id: "b", state: "dead", error: "no such user" }] },
		]);
		expect(terminal.json[1].failures[0].at).toBe(terminal.json[1].at);
	});

	test("shows what is paused in the store, and tells programs when that changes", async () => {
		const [terminal, people] = [new FakeTerminal(), new FakeTerminal({ isTable: true })];
		const store = storeOf(terminal);
		await add(store, { id: "a" });
		await during(terminal, store, async () => {
			await store.pause("default", "mail", true);
			await pass(terminal, 3_000);
		});
		const pauses = terminal.json.map(({ pauses }) => pauses);
		expect(pauses).toEqual([{ all: false, kinds: [] }, { all: false, kinds: ["mail"] }]);
		await store.pause("default", undefined, true);
		people.columns = 30;
		await during(people, store, () => {});
		expect(people.drawn.slice(-5)).toContain("All kinds are paused");
		expect(people.drawn).toContain(`Paused: "mail"`);
		for (const line of people.drawn) expect(widthOf(line)).toBeLessThanOrEqual(30);
	});

	test("tells a failure once, and again when the next attempt fails", async () => {
		const terminal = new FakeTerminal();
		const store = storeOf(terminal);
		await add(store, { id: "a" });
		await during(terminal, store, async () => {
			for (let attempt = 1; attempt < 4; attempt++) {
				await fail(store, "mail", "retry");
				await pass(terminal, 90_000);
			}
		});
		const failures = terminal.json.flatMap(({ failures }) => failures);
		expect(failures.map(({ attempts }) => attempts)).toEqual([1, 2, 3]);
	});

	test("marks what had failed before it began, and sees what dies behind a thousand dead ones", async () => {
		const terminal = new FakeTerminal();
		const store = storeOf(terminal);
		await add(store, ...Array.from({ length: 1_000 }, (_, index) => ({ id: `d${index}` })), {
			id: "later",
			kind: "sms",
		});
		await fail(store, "mail", "dead");
		await during(terminal, store, async () => {
			await fail(store, "sms", "dead", "last");
			await pass(terminal, 2_000);
		});
		const [first, second] = terminal.json;
		expect(first.failures.length).toBeGreaterThan(0);
		expect(first.failures.every(({ at }: { at?: number }) => at === undefined)).toBe(true);
		expect(second.failures).toMatchObject([{ id: "later", error: "last", at: second.at }]);
	});

	test("sees failures behind thousands of tasks that wait, and dates only those of its own time", async () => {
		const terminal = new FakeTerminal();
		const store = storeOf(terminal);
		const later = { kind: "later", delay: 1e9 };
		await add(store, ...Array.from({ length: 2_500 }, () => later), { id: "old", kind: "sms" });
		await add(store, ...Array.from({ length: 2_500 }, () => later), { id: "new" });
		await fail(store, "sms", "retry", "long ago");
		const told = () => terminal.json.flatMap(({ failures }) => failures);
		await during(terminal, store, async () => {
			for (let looks = 0; looks < 5; looks++) await pass(terminal, 1_000);
			expect(told()).toEqual([
				{ id: "old", kind: "sms", state: "waiting", attempts: 1, error: "long ago" },
			]);
			await fail(store, "mail", "retry", "just now");
			for (let looks = 0; looks < 20; looks++) await pass(terminal, 1_000);
		});
		expect(told().slice(1)).toMatchObject([{ id: "new", error: "just now", at: expect.any(Number) }]);
	});

	test("dates failures as their workers do, also those before it began, and puts the latest first", async () => {
		const terminal = new FakeTerminal({ isTable: true });
		const pipe = Object.assign(new FakeTerminal(), { clock: terminal.clock });
		const { clock } = terminal;
		const store = storeOf(terminal);
		const tasks = { mail: (text: string) => Promise.reject(new Error(text)) };
		const basket = new Basket({ store, clock, tasks, attempts: 2, backoff: { start: 300_000, jitter: "none" } });
		const failing = job("trip").step("flight", { run: () => Promise.reject(new Error("no seat")), attempts: 1 });
		const processor = new Processor({ store, clock, name: "default", jobs: [failing], retain: 1e9 });
		const drain = async () => {
			for (const each of [basket, processor]) {
				const drained = each.drain();
				await clock.advance(0);
				await drained;
			}
		};
		await basket.add("mail", "first", { id: "a" });
		await drain();
		await clock.advance(300_000);
		await processor.add(failing, undefined, { id: "j" });
		await drain();
		await clock.advance(86_400_000);
		await during(pipe, store, async () => {
			await basket.add("mail", "second", { id: "b" });
			await drain();
			await clock.advance(50);
			await pass(pipe, 1_000);
		});
		const failures = pipe.json.flatMap(({ failures }) => failures);
		expect(failures.map(({ id, at }) => [id, at])).toEqual([
			["a", 1_000_300_000],
			["j", 1_000_300_000],
			["b", 1_086_700_000],
		]);
		await during(terminal, store, () => {});
		const rows = terminal.drawn.slice(terminal.drawn.findIndex((line) => line.startsWith("FAILED")) + 1);
		expect(rows.map((line) => line.slice(0, 19).trim().split(/ {2,}/)[0])).toEqual([
			expect.stringMatching(/^\d\d:\d\d:\d\d$/),
			expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d$/),
			expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d$/),
		]);
	});

	test("tells what runs since when and on which worker, what is due since when, and which kinds fail", async () => {
		const [terminal, pipe] = [new FakeTerminal({ isTable: true }), new FakeTerminal()];
		Object.assign(pipe, { clock: terminal.clock });
		const store = storeOf(terminal);
		await add(store, { id: "d", kind: "sms" }, { id: "old" }, { id: "new" }, { id: "w", kind: "fax" });
		await fail(store, "sms", "dead");
		for (const worker of ["w1", "w2"]) {
			await store.turn("default", { settle: [], claim: [{ kinds: ["mail"], limit: 1 }], lease: 600_000, worker });
			await terminal.clock.advance(20_000);
		}
		for (const each of [pipe, terminal]) await during(each, store, () => {});
		expect(pipe.json).toMatchObject([{
			oldestDueAt: 1_000_000_000,
			running: [{ id: "old", kind: "mail", worker: "w1", at: 1_000_000_000 }, { id: "new", at: 1_000_020_000 }],
			failing: [{ kind: "sms", dead: 1, failed: 0 }],
		}]);
		expect(terminal.drawn).toContain("oldest due task: 40 s ago");
		expect(terminal.drawn).toContain("most failures: sms 1 dead");
		expect(terminal.drawn.map((line) => line.split(/ {2,}/))).toEqual(expect.arrayContaining([
			["RUNNING", "KIND", "SINCE", "WORKER"],
			["old", "mail", "40 s", "w1"],
			["new", "mail", "20 s", "w2"],
		]));
	});

	test("says how numbers have changed per minute, and how many attempts it has seen at least", async () => {
		const [terminal, pipe] = [new FakeTerminal({ isTable: true }), new FakeTerminal()];
		const store = storeOf(pipe);
		Object.assign(terminal, { clock: pipe.clock, columns: 140 });
		await add(store, ...Array.from({ length: 50 }, () => ({ kind: "sms" })));
		const watching = watch(store, request("watch"), terminal, catalogOf(pipe, store));
		await during(pipe, store, async () => {
			for (let second = 0; second < 30; second++) {
				await store.turn("default", { settle: [], claim: [{ kinds: ["sms"], limit: 1 }], lease: 600_000 });
				await add(store, { kind: "fax" }, { kind: "fax" });
				if (second === 10) {
					await add(store, { kind: "mail" });
					await fail(store, "mail", "dead");
				}
				await pass(pipe, 1_000);
			}
		});
		terminal.close();
		await watching;
		const { perMinute, failing } = pipe.json.at(-1);
		expect(pipe.json[0].perMinute).toBe(undefined);
		expect(perMinute.over).toBeGreaterThan(20_000);
		// Two are added and one is begun in each second.
		for (const [number, expected] of [[perMinute.changes.waiting, 60], [perMinute.begun, 60]]) {
			expect(Math.abs(number - expected)).toBeLessThan(5);
		}
		expect([perMinute.changes.held, perMinute.changes.dead > 1, perMinute.failed > 1]).toEqual([0, true, true]);
		expect(failing).toEqual([{ kind: "mail", dead: 1, failed: 1 }]);
		expect(terminal.drawn.join("\n")).toMatch(
			/^per minute \(last \d+ s\): waiting \+\d.*, running \+\d.*, dead \+\d.*, at least [\d.]+ attempts began, [\d.]+ failed$/m,
		);
	});

	test("says which baskets there are while this one has no tasks", async () => {
		const [terminal, pipe] = [new FakeTerminal({ isTable: true }), new FakeTerminal()];
		Object.assign(pipe, { clock: terminal.clock });
		const store = storeOf(terminal);
		await store.add("jobs", [{ kind: "trip", payload: "", delay: 0, priority: 0 }]);
		const text = `The basket "default" has no tasks; in "a.db", there are "jobs"; --basket NAME selects one`;
		terminal.columns = 120;
		for (const each of [terminal, pipe]) {
			await during(each, store, async () => {
				await pass(each, 3_000);
				if (each.isTable) expect(each.drawn).toContain(text);
			}, { db: "a.db" });
		}
		expect([terminal.notes, pipe.notes]).toEqual([[], [text]]);
		const later = Object.assign(new FakeTerminal({ isTable: true }), { clock: terminal.clock });
		await during(later, store, async () => {
			expect(later.drawn.join("\n")).toContain("has no tasks");
			await add(store, {});
			await pass(later, 3_000);
			expect(later.drawn.join("\n")).not.toContain("has no tasks");
		}, { db: "a.db" });
	});

	test("shows on its screen that the database does not answer", async () => {
		const terminal = new FakeTerminal({ isTable: true });
		const catalog = { ...catalogOf(terminal, storeOf(terminal)), survey: () => new Promise<never>(() => {}) };
		let last: (columns: number, rows: number) => readonly string[] = () => [];
		terminal.draw = (render) => last = render;
		void watch(storeOf(terminal), request("watch", { db: "postgres://me:secret@host/db" }), terminal, catalog);
		await terminal.clock.advance(1_000);
		expect(last(80, 24).join()).not.toContain("Waiting");
		await terminal.clock.advance(1_000);
		expect(last(80, 24)).toContain(`Waiting 2 s for "host/db" to answer`);
	});

	test("looks at most once per interval, however often something changes", async () => {
		const terminal = new FakeTerminal();
		const store = storeOf(terminal);
		let looks = 0;
		const counting = new Proxy(store, {
			get: (target, name: keyof Store<never>) => {
				if (name === "pauses") looks++;
				return target[name];
			},
		});
		await during(terminal, counting, async () => {
			for (let index = 0; index < 100; index++) {
				await add(store, {});
				await pass(terminal, 100);
			}
		}, { interval: 2_000 });
		expect(looks).toBeGreaterThan(3);
		expect(looks).toBeLessThanOrEqual(6);
	});

	test("outlives a store that cannot be reached for a while, and no other failure", async () => {
		const terminal = new FakeTerminal();
		const store = storeOf(terminal);
		await add(store, {});
		let error: Error | undefined;
		const failing = new Proxy(store, {
			get: (target, name: keyof Store<never>) =>
				name !== "pauses"
					? target[name]
					: async () => error === undefined ? await target.pauses("default") : Promise.reject(error),
		});
		await during(terminal, failing, async () => {
			error = new StoreError("unavailable", "the server is restarted");
			await pass(terminal, 300_000);
			error = undefined;
			await pass(terminal, 120_000);
		});
		expect(terminal.notes).toEqual(["the server is restarted"]);
		expect(terminal.json).toHaveLength(2);
		error = new StoreError("closed", "gone");
		const watching = watch(failing, request("watch"), new FakeTerminal(), catalogOf(terminal, store));
		await expect(watching).rejects.toBe(error);
	});

	test("draws pictures that fit, whatever the size", async () => {
		const terminal = new FakeTerminal({ isTable: true });
		const store = storeOf(terminal);
		await add(store, ...Array.from({ length: 40 }, (_, index) => ({ id: `世界\x1b${index}`.repeat(5) })));
		await fail(store, "mail", "dead", "x".repeat(500));
		for (const [columns, rows] of [[100, 20], [40, 10], [12, 5], [3, 2], [200, 100]] as const) {
			const { clock } = terminal;
			const small = new FakeTerminal({ isTable: true });
			Object.assign(small, { columns, rows, clock });
			await during(small, store, () => {});
			expect(small.drawn.length).toBeLessThanOrEqual(rows);
			for (const line of small.drawn) expect(widthOf(line)).toBeLessThanOrEqual(columns);
			expect(small.drawn.join("\n")).not.toContain("\x1b");
			if (columns >= 40) expect(small.drawn.join("\n")).toMatch(/dead 40[^]+before .+ x+…/);
			expect(small.printed).toEqual([]);
		}
	});
});
