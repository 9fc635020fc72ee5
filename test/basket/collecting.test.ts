// Tasks whose payloads are items that were added one by one.
import { describe, expect, test } from "vitest";
import { Basket, every, job, later, memoryStore, Processor, type TaskContext } from "../../mod.ts";
import { deferred, errorOf } from "../support.ts";
import { Machine, running } from "./support.ts";

const collect = { id: "events", ifPresent: "collect" } as const;

/** A basket whose function records its arguments, with the time in seconds. */
function recording(machine: Machine, end: (events: string[], context: TaskContext) => unknown = () => {}) {
	const runs: [at: number, events: string][] = [];
	const basket = machine.basket({
		track: (events: string[], context: TaskContext) => {
			runs.push([(machine.clock.now() - 1_000_000) / 1_000, events.join()]);
			return end(events, context);
		},
	}, { backoff: { start: 10_000, jitter: "none" }, attempts: 3 });
	return { basket, runs };
}

describe("Basket.add() with ifPresent: collect", () => {
	test("sends an hour of events as one request", async () => {
		const machine = new Machine();
		const { basket, runs } = recording(machine);
		const { stop } = running(basket);
		for (let event = 0; event < 360; event++) {
			await basket.add("track", `${event}`, { ...collect, delay: 60_000, within: 3_600_000, most: 1_000 });
			await machine.clock.advance(10_000);
		}
		await machine.clock.advance(120_000);
		expect(runs).toEqual([[3_600, Array.from({ length: 360 }, (_, event) => event).join()]]);
		expect(await basket.counts()).toMatchObject({ waiting: 0, running: 0 });
		await stop();
	});

	test("runs as soon as there are enough items, with at most so many, and the rest follow", async () => {
		const machine = new Machine();
		const { basket, runs } = recording(machine);
		const { stop } = running(basket);
		const options = { ...collect, delay: 60_000, most: 3 };
		expect(await basket.add("track", "1", options)).toEqual({ id: "events", added: true });
		expect(await basket.add("track", "2", options)).toEqual({ id: "events", added: true, state: "waiting" });
		await machine.clock.advance(1_000);
		expect(runs).toEqual([]);
		await basket.add("track", "3", options);
		await machine.clock.advance(1_000);
		expect(runs).toEqual([[1, "1,2,3"]]);
		await basket.addMany(
			["4", "5", "6", "7", "8", "9", "10"].map((payload) => ({ kind: "track", payload, ...options })),
		);
		await machine.clock.advance(1_000);
		// No item of the last run came later than the others, so it does not wait.
		expect(runs.slice(1)).toEqual([[2, "4,5,6"], [2, "7,8,9"], [2, "10"]]);
		await stop();
	});

	test("keeps what is added during a run for the next one, which waits for its own delay", async () => {
		const machine = new Machine();
		const { promise, resolve } = deferred<void>();
		const { basket, runs } = recording(machine, () => promise);
		const { stop } = running(basket);
		const options = { ...collect, delay: 5_000, most: 3 };
		await basket.add("track", "1", options);
		await machine.clock.advance(5_000);
		expect(await basket.add("track", "2", options)).toEqual({ id: "events", added: true, state: "running" });
		await machine.clock.advance(2_000);
		await basket.add("track", "3", options);
		resolve();
		await machine.clock.advance(4_000);
		expect(runs).toEqual([[5, "1"]]);
		await machine.clock.advance(1_000);
		expect(runs).toEqual([[5, "1"], [12, "2,3"]]);
		await stop();
	});

	test("runs again at once if enough items were added during a run", async () => {
		const machine = new Machine();
		const { promise, resolve } = deferred<void>();
		const { basket, runs } = recording(machine, () => promise);
		const { stop } = running(basket);
		const options = { ...collect, delay: 60_000, most: 2 };
		await basket.addMany(["1", "2"].map((payload) => ({ kind: "track", payload, ...options })));
		await machine.clock.advance(1_000);
		for (const event of ["3", "4", "5"]) await basket.add("track", event, options);
		resolve();
		await machine.clock.advance(60_000);
		expect(runs).toEqual([[0, "1,2"], [1, "3,4"], [1, "5"]]);
		await stop();
	});

	test("retries a failed run when its backoff ends, with its items as they were and later ones", async () => {
		const machine = new Machine();
		const { basket, runs } = recording(machine, (events, { attempt }) => {
			events[0] += "?";
			if (attempt === 1) throw new Error("offline");
		});
		const { stop } = running(basket);
		await basket.add("track", "1", collect);
		await machine.clock.advance(5_000);
		for (const event of ["2", "3"]) await basket.add("track", event, { ...collect, delay: 60_000, most: 3 });
		await machine.clock.advance(5_000);
		expect(runs).toEqual([[0, "1"], [10, "1,2,3"]]);
		expect(machine.settled.map(({ outcome, attempt }) => [outcome, attempt])).toEqual([["retry", 1], ["done", 2]]);
		await stop();
	});

	test("gives a run that was put off, or whose process has died, its items and later ones", async () => {
		const machine = new Machine();
		const { basket, runs } = recording(machine, () => {
			if (runs.length === 1) throw later(3_000);
		});
		await basket.add("track", "1", collect);
		expect(await machine.crash("track", 2_000)).toBe("events");
		await basket.add("track", "2", { ...collect, delay: 60_000 });
		const { stop } = running(basket);
		await machine.clock.advance(2_000);
		expect(runs).toEqual([[2, "1,2"]]);
		await machine.clock.advance(3_000);
		expect(runs.slice(1)).toEqual([[5, "1,2"]]);
		await stop();
	});

	test("begins anew with the old items when an item is added to a dead task", async () => {
		const machine = new Machine();
		const { basket, runs } = recording(machine, () => {
			if (runs.length <= 3) throw new Error("offline");
		});
		const { stop } = running(basket);
		await basket.add("track", "1", collect);
		await machine.clock.advance(60_000);
		expect(await basket.add("track", "2", collect)).toEqual({ id: "events", added: true, state: "dead" });
		await machine.clock.advance(1_000);
		expect(runs.map(([, events]) => events)).toEqual(["1", "1", "1", "1,2"]);
		expect(machine.settled.at(-1)).toMatchObject({ outcome: "done", attempt: 1 });
		await stop();
	});

	test("stores each item with the codec, whatever its text begins with", async () => {
		const machine = new Machine();
		const runs: unknown[] = [];
		const codec = { encode: async (item: unknown) => `${item}`, decode: async (data: unknown) => `${data}!` };
		const basket = machine.basket({ track: { run: (events: unknown[]) => void runs.push(events), codec } });
		for (const item of ["\u0002{}", "\u0001{}", "x"]) await basket.add("track", item, collect);
		await machine.drain(basket);
		for (const [index, text] of ["\u0002{}", '\u0002{"most":100}', "\u0001\u0002"].entries()) {
			await basket.add("track", text as never, { id: `plain ${index}` });
		}
		await machine.drain(basket);
		const plain = ["\u0002{}!", '\u0002{"most":100}!', "\u0001\u0002!"];
		expect(runs).toEqual([["\u0002{}!", "\u0001{}!", "x!"], ...plain]);
	});

	test("checks each item with the schema of the array, and each run", async () => {
		const machine = new Machine();
		const runs: number[][] = [];
		const validate = (value: unknown) => {
			const isGood = Array.isArray(value) && value.every((each) => typeof each === "number");
			return isGood ? { value: value.map((each: number) => each + 1) } : { issues: [{ message: "no numbers" }] };
		};
		const schema = { "~standard": { version: 1 as const, vendor: "test", validate } };
		const basket = new Basket({
			store: machine.memory,
			clock: machine.clock,
			tasks: { sum: { run: (numbers: number[]) => void runs.push(numbers), schema } },
		});
		const bad = await errorOf(basket.add("sum", "x" as never, collect));
		expect(bad).toMatchObject({ name: "ValidationError" });
		for (const item of [1, 2]) await basket.add("sum", item as never, collect);
		await machine.drain(basket);
		expect(runs).toEqual([[2, 3]]);
	});

	test("shows the items of a task in get(), and none in list()", async () => {
		const machine = new Machine();
		const { basket } = recording(machine);
		for (const event of ["1", "2"]) await basket.add("track", event, { ...collect, delay: 1_000 });
		expect((await basket.get("events"))?.payload).toEqual(["1", "2"]);
		expect(await basket.get("events")).not.toHaveProperty("inbox");
		const listed = [];
		for await (const { id, payload } of basket.list()) listed.push([id, payload]);
		expect(listed).toEqual([["events", undefined]]);
	});

	test("keeps the result of the last run, and wait() waits for it", async () => {
		const machine = new Machine();
		const basket = machine.basket({
			track: { run: (events: string[]) => events.join(), retain: 60_000 },
		});
		const options = { ...collect, most: 2 };
		await basket.addMany(["1", "2", "3"].map((payload) => ({ kind: "track", payload, ...options })));
		const result = basket.wait("events");
		await machine.drain(basket);
		expect(await result).toEqual({ state: "done", result: "3", error: undefined });
		expect(machine.settled.map(({ outcome }) => outcome)).toEqual(["done", "done"]);
		await basket.add("track", "4", collect);
		expect((await basket.get("events"))?.payload).toEqual(["4"]);
	});

	test("completes the items of a run in a transaction, and no others", async () => {
		const machine = new Machine();
		const ends: unknown[] = [];
		machine.spied.before = (member, args) => void (member === "complete" && ends.push(args[2]));
		const basket = machine.basket({
			track: (_: string[], context) => context.complete({} as never).catch(() => {}),
		});
		for (const event of ["1", "2", "3"]) await basket.add("track", event, { ...collect, most: 2 });
		await machine.drain(basket);
		const end = { type: "done", retain: 0 };
		expect(ends).toEqual([{ ...end, seen: 2, most: 1 }, { ...end, seen: 3, most: 2 }]);
	});

	test("refuses to save the items of a run", async () => {
		const machine = new Machine();
		const errors: unknown[] = [];
		const basket = machine.basket({
			track: async (events: string[], context) => {
				errors.push(await errorOf(context.save(events)));
			},
		});
		await basket.add("track", "1", collect);
		await machine.drain(basket);
		expect(`${errors}`).toMatch(/^TypeError: Collected items cannot be saved/);
	});

	test("makes a task dead whose items are gone", async () => {
		const machine = new Machine();
		const { basket, runs } = recording(machine);
		const task = { id: "events", kind: "track", payload: '\u0002{"most":100}', delay: 0, priority: 0 };
		await machine.memory.add("default", [task, { ...task, id: "damaged", payload: "\u0002" }]);
		await machine.drain(basket);
		expect(runs).toEqual([]);
		expect(machine.settled.map(({ outcome }) => outcome)).toEqual(["dead", "dead"]);
		expect((await basket.get("events"))?.error?.message).toMatch(/items are damaged/);
	});

	test("refuses options that make no sense, and a task of another form", async () => {
		const basket = new Basket({
			store: memoryStore(),
			tasks: { track: (_: number[]) => {}, tick: { run: (_: undefined) => {}, every: every(1_000) } },
		});
		const add = async (kind: string, options: object) =>
			`${await errorOf(basket.add(kind as never, 1 as never, options as never))}`;
		for (
			const [options, text] of [
				[{ ifPresent: "collect" }, /^TypeError.*"id"/],
				[{ ...collect, most: 0 }, /^RangeError.*"most"/],
				[{ ...collect, most: 1_001 }, /^RangeError.*"most"/],
				[{ ...collect, most: 1.5 }, /^RangeError.*"most"/],
				[{ ...collect, most: "1" }, /^TypeError.*"most"/],
				[{ most: 5 }, /^TypeError.*"most"/],
				[{ id: "a", ifPresent: "replace", most: 5 }, /^TypeError.*"most"/],
				[{ ...collect, delay: 5, within: 4 }, /^RangeError.*"within"/],
			] as const
		) expect(await add("track", options)).toMatch(text);
		expect(await add("tick", collect)).toMatch(/^TypeError.*"ifPresent"/);
		await basket.add("track", [1], { id: "plain", delay: 1_000 });
		await basket.add("track", 1, collect);
		expect(await add("track", { ...collect, id: "plain" })).toMatch(/^TypeError.*"plain"/);
		expect(await add("track", { id: "events", ifPresent: "replace" })).toMatch(/^TypeError.*"events"/);
		expect((await basket.get("events"))?.payload).toEqual([1]);
		expect(await basket.add("track", [2], { id: "events" })).toMatchObject({ added: false });
	});

	test("is refused for jobs", async () => {
		const trip = job<{ to: string }>("trip").step("book", { run: () => {} });
		const processor = new Processor({ store: memoryStore(), jobs: [trip] });
		for (const [name, value] of Object.entries({ ifPresent: "collect", most: 5 })) {
			const adding = processor.add(trip, { to: "Ada" }, { id: "a", [name]: value } as never);
			expect(`${await errorOf(adding)}`).toMatch(new RegExp(`"${name}"`));
		}
	});

	test("adds items of many callers in few calls of the store, and wakes a worker for the last of them", async () => {
		const machine = new Machine();
		const { basket, runs } = recording(machine);
		const { stop } = running(basket);
		await machine.clock.advance(0);
		const before = machine.spied.count("add");
		const events = Array.from({ length: 100 }, (_, event) => `${event}`);
		await Promise.all(events.map((event) => basket.add("track", event, { ...collect, delay: 60_000 })));
		expect(machine.spied.count("add") - before).toBeLessThan(5);
		await machine.clock.advance(0);
		expect(runs).toEqual([[0, events.join()]]);
		await stop();
	});
});
