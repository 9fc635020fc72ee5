import { describe, expect, test } from "vitest";
import { every, later, memoryStore, type Recurrence, sleep, stopNow } from "../../mod.ts";
import { cron } from "../../src/cron/cron.ts";
import { Machine, running } from "./support.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
/** The virtual clock of a Machine begins here. */
const start = 1_000_000;

/** A schedule without `every`: the multiples of a period, until an instant. */
function multiples(period: number, until = Infinity): Recurrence {
	return every({
		text: `multiples of ${period} until ${until}`,
		next(after) {
			const instant = (Math.floor(after / period) + 1) * period;
			return instant <= until ? instant : undefined;
		},
	});
}

/** Notes the instants of ticks. */
function noting(): {
	ticks: [due: number | undefined, missed: number][];
	run: (payload: unknown, context: Noted) => void;
} {
	const ticks: [number | undefined, number][] = [];
	return { ticks, run: (_, { due, missed }) => void ticks.push([due, missed]) };
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
	const found: T[] = [];
	for await (const item of items) found.push(item);
	return found;
}

interface Noted {
	readonly due: number | undefined;
	readonly missed: number;
}

describe("every()", () => {
	test("every() has the number as its text, and reads it", () => {
		expect(every(30_000).text).toBe("30000");
		expect(every("30000").next(5)).toBe(30_005);
		expect(every(every(1.5).text).next(1)).toBe(2.5);
	});

	test.each([0, 0.5, -1, NaN, Infinity, 4e11])("every() refuses the period %s", (period) => {
		expect(() => every(period)).toThrow(RangeError);
	});

	test.each([undefined, null, {}, { text: 1, next: () => 1 }, { text: "x" }, true])("every() refuses %s", (given) => {
		expect(() => every(given as never)).toThrow(TypeError);
	});

	test("every() refuses an instant that is not later", () => {
		expect(() => every({ text: "now", next: (after) => after }).next(1)).toThrow(RangeError);
	});
});

describe("a declared schedule", () => {
	test("a declared schedule runs at its instants, with due, and never before its first period", async () => {
		const machine = new Machine();
		const { clock } = machine;
		const { ticks, run } = noting();
		const basket = machine.basket({ ping: { run, every: every(30 * second) } });
		const { stop } = running(basket);
		await clock.advance(30 * second - 1);
		expect(ticks).toEqual([]);
		await clock.advance(1);
		await clock.advance(minute);
		await stop();
		expect(ticks).toEqual([1, 2, 3].map((n) => [start + n * 30 * second, 0]));
	});

	test("a declared schedule that is unchanged keeps its next tick across restarts", async () => {
		const machine = new Machine();
		const { ticks, run } = noting();
		for (let round = 0; round < 3; round++) {
			const { stop } = running(machine.basket({ ping: { run, every: every(minute) } }));
			await machine.clock.advance(25 * second);
			await stop();
		}
		expect(ticks).toEqual([[start + minute, 0]]);
	});

	test("a declared schedule with another text moves the next tick when run begins", async () => {
		const machine = new Machine();
		const { ticks, run } = noting();
		await machine.drain(machine.basket({ ping: { run, every: every(day) } }));
		await machine.clock.advance(hour);
		const { stop } = running(machine.basket({ ping: { run, every: every(minute) } }));
		await machine.clock.advance(minute);
		await stop();
		expect(ticks).toEqual([[start + hour + minute, 0]]);
	});

	test("a declared schedule does not fire if the kind has no schedule any more", async () => {
		const machine = new Machine();
		const { ticks, run } = noting();
		await machine.drain(machine.basket({ ping: { run, every: every(minute) } }));
		const { stop } = running(machine.basket({ ping: { run, reads: [every] }, other: { run, every: every(day) } }));
		await machine.clock.advance(10 * minute);
		await stop();
		expect(ticks).toEqual([]);
		expect(machine.errors).toEqual([]);
		expect(machine.settled).toEqual([]);
	});

	test("a declared schedule without instants is silent", async () => {
		const machine = new Machine();
		const { ticks, run } = noting();
		await machine.drain(machine.basket({ ping: { run, every: cron("0 0 30 2 *", { timeZone: "UTC" }) } }));
		expect(ticks).toEqual([]);
		expect((await machine.memory.counts("default")).waiting).toBe(0);
	});
});

describe("Basket.schedule()", () => {
	test("Basket.schedule() leaves the same schedule as it is, and tells what there was", async () => {
		const machine = new Machine();
		const { ticks, run } = noting();
		const basket = machine.basket({ ping: { run } });
		const id = "schedule:ada";
		expect(await basket.schedule("ada", "ping", { a: 1 }, { every: every(minute) })).toEqual({ id, added: true });
		await machine.clock.advance(30 * second);
		const again = await basket.schedule("ada", "ping", { a: 1 }, { every: every(minute) });
		expect(again).toEqual({ id, added: false, state: "waiting" });
		const { stop } = running(basket);
		await machine.clock.advance(30 * second);
		await stop();
		expect(ticks).toEqual([[start + minute, 0]]);
	});

	test("Basket.schedule() keeps the instant if only the payload changes, and each tick begins with that payload", async () => {
		const machine = new Machine();
		const seen: unknown[] = [];
		const basket = machine.basket({
			ping: {
				attempts: 2,
				backoff: 10,
				run: (payload: { n: number }, { attempt, due }: { attempt: number; due: number | undefined }) => {
					seen.push([{ ...payload }, attempt, due! - start]);
					payload.n += 100;
					if (attempt === 1) throw new Error("again");
				},
			},
		});
		await basket.schedule("ada", "ping", { n: 1 }, { every: every(minute) });
		await machine.clock.advance(30 * second);
		const changed = await basket.schedule("ada", "ping", { n: 2 }, { every: every(minute) });
		expect(changed).toMatchObject({ added: true, state: "waiting" });
		const { stop } = running(basket);
		await machine.clock.advance(2 * minute);
		await stop();
		expect(seen).toEqual([
			[{ n: 2 }, 1, minute],
			[{ n: 102 }, 2, minute],
			[{ n: 2 }, 1, 2 * minute],
			[{ n: 102 }, 2, 2 * minute],
		]);
		const [schedule] = await all(basket.schedules());
		expect(schedule!.payload).toEqual({ n: 2 });
	});

	test("Basket.schedule() replaces a schedule while it runs: neither its instant runs again, nor is the new one late", async () => {
		const machine = new Machine();
		const { ticks, run } = noting();
		const basket = machine.basket({
			ping: {
				run: async (payload: string, context: Noted) => {
					run(payload, context);
					if (ticks.length > 1) return;
					await basket.schedule("ada", "ping", "new", { every: every(minute) });
					await basket.schedule("ada", "ping", "newer", { every: every(minute) });
				},
			},
		});
		await basket.schedule("ada", "ping", "old", { every: every(day) });
		const { stop } = running(basket);
		await machine.clock.advance(day + 3 * minute);
		await stop();
		expect(ticks).toEqual([0, 1, 2, 3].map((n) => [start + day + n * minute, 0]));
	});

	test("Basket.schedule() refuses what is wrong, and stores nothing", async () => {
		const machine = new Machine();
		const basket = machine.basket({ ping: { run: () => {} } });
		const good = { every: every(minute) };
		const never = cron("0 0 30 2 *", { timeZone: "UTC" });
		const bad: [unknown, unknown, unknown, typeof TypeError | typeof RangeError][] = [
			["a", "ping", { every: never }, RangeError],
			["a", "ping", {}, TypeError],
			["a", "ping", { every: { text: "x", next: () => 1 } }, TypeError],
			["a", "ping", { ...good, spread: -1 }, RangeError],
			["a", "ping", { ...good, spread: NaN }, RangeError],
			["a", "ping", { ...good, spread: "1" }, TypeError],
			["a", "ping", { ...good, missed: "twice" }, RangeError],
			["a", "ping", { ...good, missed: 0 }, RangeError],
			["a", "ping", { ...good, missed: true }, TypeError],
			["", "ping", good, RangeError],
			["a".repeat(247), "ping", good, RangeError],
			[1, "ping", good, TypeError],
			["a", "pong", good, TypeError],
			["a", "ping", null, TypeError],
		];
		for (const [name, kind, options, type] of bad) {
			const error = await basket.schedule(name as never, kind as never, undefined as never, options as never).catch((
				e,
			) => e);
			expect(error).toBeInstanceOf(type);
		}
		expect((await basket.counts()).waiting).toBe(0);
		await basket.schedule("a".repeat(246), "ping", undefined as never, good);
	});

	test("Basket.schedule() refuses the id of a task that is no schedule, and a schedule of another kind", async () => {
		const machine = new Machine();
		const basket = machine.basket({ ping: { run: (_: string) => {} }, pong: { run: (_: string) => {} } });
		await basket.add("ping", "x", { id: "schedule:a" });
		await expect(basket.schedule("a", "ping", "x", { every: every(1) })).rejects.toThrow(/no schedule/);
		await basket.schedule("b", "ping", "x", { every: every(1) });
		await expect(basket.schedule("b", "pong", "x", { every: every(1) })).rejects.toThrow(TypeError);
	});

	test("Basket.schedules() lists the schedules, and unschedule() ends them", async () => {
		const machine = new Machine();
		const basket = machine.basket({ ping: { run: (_: string) => {} } });
		await basket.add("ping", "plain", { id: "schedule:not" });
		await basket.schedule("a", "ping", "x", { every: every(minute) });
		await basket.schedule("b", "ping", "y", { every: cron("0 8 * * *", { timeZone: "UTC" }) });
		await basket.hold("schedule:b");
		const rest = { kind: "ping" };
		expect(await all(basket.schedules())).toEqual([
			{ ...rest, id: "schedule:a", name: "a", text: "60000", payload: "x", next: start + minute, state: "waiting" },
			{
				...{ ...rest, id: "schedule:b", name: "b", text: "CRON_TZ=UTC 0 8 * * *", payload: "y" },
				...{ next: 8 * hour, state: "held" },
			},
		]);
		expect(await basket.unschedule("a")).toBe(true);
		expect(await basket.unschedule("a")).toBe(false);
		expect((await all(basket.schedules())).length).toBe(1);
	});

	test("Basket.schedule() keeps payloads that are bytes or begin like an envelope", async () => {
		const machine = new Machine();
		const codec = {
			encode: (data: unknown) => data as string | Uint8Array,
			decode: (data: string | Uint8Array) => typeof data === "string" ? data : [...data],
		};
		const seen: unknown[] = [];
		const basket = machine.basket({ ping: { codec, run: (payload: unknown) => void seen.push(payload) } });
		const texts = ["", "\u0001", "\u0001{", "\u0001\u0001{}", '\u0001{"text":"1"}', "x"];
		for (const text of texts) await basket.add("ping", text);
		for (const [index, text] of texts.entries()) {
			await basket.schedule(`s${index}`, "ping", text, { every: every(minute) });
		}
		await basket.schedule("bytes", "ping", new Uint8Array([0, 1, 123, 255]), { every: every(minute) });
		const listed = (await all(basket.list())).map(({ payload }) => payload);
		expect(listed).toEqual([...texts, ...texts, [0, 1, 123, 255]]);
		const { stop } = running(basket);
		await machine.clock.advance(minute);
		await stop();
		expect(seen).toEqual(listed);
	});
});

describe("missed ticks", () => {
	const schedules: [name: string, every: Recurrence][] = [["an interval", every(10 * minute)], [
		"a calendar",
		multiples(10 * minute, Infinity),
	]];
	// The calendar has an instant at 1,200,000, so both are asked with the same phase.
	async function down(
		schedule: Recurrence,
		missed: "once" | "all" | "skip" | number | undefined,
		duration: number,
	): Promise<{ ticks: [number | undefined, number][]; first: number }> {
		const machine = new Machine();
		const { ticks, run } = noting();
		const make = () => machine.basket({ ping: { run, every: schedule, missed } });
		await machine.clock.advance(200 * second);
		await machine.drain(make());
		const [stored] = await all(make().schedules());
		const first = stored!.next;
		await machine.clock.advance(first - machine.clock.now() + duration);
		const { stop } = running(make());
		await machine.clock.advance(0);
		await machine.clock.advance(10 * minute - duration % (10 * minute));
		await stop();
		return { ticks: ticks.map(([due, missed]) => [(due! - first) / minute, missed]), first };
	}

	test.each(schedules)("missed ticks of %s within a minute are on time", async (_, schedule) => {
		for (const missed of [undefined, "all", "skip", minute] as const) {
			expect((await down(schedule, missed, minute)).ticks).toEqual([[0, 0], [10, 0]]);
		}
	});

	test.each(schedules)("missed ticks of %s are one tick by default", async (_, schedule) => {
		expect((await down(schedule, undefined, 35 * minute)).ticks).toEqual([[30, 4], [40, 0]]);
		expect((await down(schedule, "once", 2 * minute)).ticks).toEqual([[0, 1], [10, 0]]);
	});

	test.each(schedules)("missed ticks of %s run in order with all", async (_, schedule) => {
		expect((await down(schedule, "all", 35 * minute)).ticks).toEqual([[0, 1], [10, 1], [20, 1], [30, 1], [40, 0]]);
	});

	test.each(schedules)("missed ticks of %s do not run with skip", async (_, schedule) => {
		expect((await down(schedule, "skip", 35 * minute)).ticks).toEqual([[40, 0]]);
	});

	test.each(schedules)("missed ticks of %s run for as long as they are worth it", async (_, schedule) => {
		expect((await down(schedule, 20 * minute, 35 * minute)).ticks).toEqual([[20, 1], [30, 1], [40, 0]]);
		expect((await down(schedule, 5 * minute, 35 * minute)).ticks).toEqual([[30, 1], [40, 0]]);
		expect((await down(schedule, 4 * minute, 35 * minute)).ticks).toEqual([[40, 0]]);
	});

	test.each([["an interval", every(second)], ["a calendar", multiples(second)]] as const)(
		"missed ticks of %s over ten years cost no loop over years",
		async (_, schedule) => {
			const machine = new Machine();
			const { ticks, run } = noting();
			const make = () => machine.basket({ ping: { run, every: schedule } });
			await machine.drain(make());
			await machine.clock.advance(3_650 * day + 500);
			await machine.drain(make());
			const seconds = 3_650 * 24 * 3_600;
			expect(ticks).toEqual([[start + 3_650 * day, schedule.text === "1000" ? seconds : 1_000]]);
		},
	);
});

describe("a tick", () => {
	test("a tick that fails is retried with the same due, and out of attempts it does not end its schedule", async () => {
		const machine = new Machine();
		const { ticks, run } = noting();
		const errors: unknown[] = [];
		const basket = machine.basket({
			ping: {
				attempts: 2,
				backoff: 5 * minute,
				every: every(hour),
				run: (payload: unknown, context: Noted & { attempt: number; previousError: unknown }) => {
					run(payload, context);
					errors.push(context.previousError === undefined);
					throw new Error(`attempt ${context.attempt}`);
				},
			},
		});
		const { stop } = running(basket);
		await machine.clock.advance(2 * hour + 10 * minute);
		await stop();
		expect(ticks.map(([due]) => due! - start)).toEqual([hour, hour, 2 * hour, 2 * hour]);
		expect(errors).toEqual([true, false, true, false]);
		expect(machine.settled.map(({ outcome }) => outcome)).toEqual(["retry", "dead", "retry", "dead"]);
		expect(basket.getSnapshot()).toMatchObject({ dead: 2, failed: 2 });
	});

	test("a tick that stops at once, or whose payload fails its schema, does not end its schedule", async () => {
		const machine = new Machine();
		let runs = 0;
		const validate = () => runs++ % 2 ? { issues: [{ message: "no" }] } : { value: undefined };
		const schema = { "~standard": { version: 1 as const, vendor: "test", validate } };
		const stopping = () => {
			throw stopNow(new Error("no"));
		};
		const { stop } = running(machine.basket({
			a: { run: stopping, every: every(minute) },
			b: { run: (_: undefined) => {}, schema: schema as never, every: every(minute) },
		}));
		await machine.clock.advance(2 * minute);
		await stop();
		expect(machine.settled.map(({ kind, outcome }) => kind + " " + outcome).sort()).toEqual([
			"a dead",
			"a dead",
			"b dead",
			"b done",
		]);
	});

	test("a tick whose process dies runs again with the same due, also if it was missed", async () => {
		const machine = new Machine();
		const { ticks, run } = noting();
		const make = () => machine.basket({ ping: { run, every: every(10 * minute) } });
		await machine.drain(make());
		await machine.clock.advance(35 * minute);
		// It dies between its run and the settlement.
		machine.spied.before = (member, [, turn]) => {
			if (member === "turn" && (turn as { settle: unknown[] }).settle.length > 0) return new Promise(() => {});
		};
		const dying = running(make());
		await machine.clock.advance(second);
		expect(ticks).toEqual([[start + 30 * minute, 3]]);
		machine.spied.before = () => new Promise(() => {});
		void dying.stop();
		await machine.clock.advance(15 * minute);
		machine.spied.before = undefined;
		const { stop } = running(make());
		await machine.clock.advance(0);
		await stop();
		// The next one follows late, and stands for what was missed since.
		expect(ticks).toEqual([[start + 30 * minute, 3], [start + 30 * minute, 3], [start + 50 * minute, 2]]);
	});

	test("a tick never runs twice at once, and one that takes long makes the next ones late", async () => {
		const machine = new Machine();
		const { clock } = machine;
		const { ticks, run } = noting();
		let active = 0;
		const work = async (payload: unknown, context: Noted) => {
			run(payload, context);
			expect(active++).toBe(0);
			if (ticks.length === 1) await sleep(90 * second, { clock });
			active--;
		};
		const workers = [1, 2, 3].map(() => running(machine.basket({ ping: { run: work, every: every(10 * second) } })));
		await clock.advance(2 * minute);
		await Promise.all(workers.map(({ stop }) => stop()));
		const seen = ticks.map(([due, missed]) => [(due! - start) / second, missed]);
		expect(seen).toEqual([[10, 0], [100, 9], [110, 0], [120, 0]]);
	});

	test("a tick that is put off keeps its due", async () => {
		const machine = new Machine();
		const { ticks, run } = noting();
		const basket = machine.basket({
			ping: {
				every: every(hour),
				run: (payload: unknown, context: Noted) => {
					run(payload, context);
					if (ticks.length === 1) throw later(30 * second);
				},
			},
		});
		const { stop } = running(basket);
		await machine.clock.advance(hour + minute);
		await stop();
		expect(ticks).toEqual([[start + hour, 0], [start + hour, 0]]);
	});

	test("a tick without a next instant is the last one, and its task is removed", async () => {
		const machine = new Machine();
		const { ticks, run } = noting();
		const basket = machine.basket({ ping: { run: (_: string, context: Noted) => run(_, context), retain: hour } });
		const two = multiples(500 * second, 1_500_000);
		await basket.schedule("two", "ping", "x", { every: multiples(500 * second, 1_500_000) });
		const { stop } = running(basket);
		await machine.clock.advance(day);
		await stop();
		expect(ticks).toEqual([[1_500_000, 0]]);
		expect(await basket.get("schedule:two")).toBe(undefined);
		await expect(basket.schedule("two", "ping", "x", { every: two })).rejects.toThrow(RangeError);
	});

	test("a tick cannot be completed in a transaction", async () => {
		const machine = new Machine();
		const basket = machine.basket({
			ping: {
				every: every(minute),
				attempts: 1,
				run: (_: unknown, { complete }: { complete: (tx: never) => Promise<void> }) => complete({} as never),
			},
		});
		const { stop } = running(basket);
		await machine.clock.advance(minute);
		await stop();
		expect(machine.settled[0]).toMatchObject({ outcome: "dead", error: expect.any(TypeError) });
	});

	test("an ordinary task has no due and no missed", async () => {
		const machine = new Machine();
		const { ticks, run } = noting();
		const basket = machine.basket({ ping: { run: (_: string, context: Noted) => run(_, context) } });
		await basket.add("ping", "x");
		await machine.drain(basket);
		expect(ticks).toEqual([[undefined, 0]]);
	});
});

describe("Basket.retry() of a schedule", () => {
	test("Basket.retry() of a schedule runs it now, and does not use up the next instant", async () => {
		const machine = new Machine();
		const { ticks, run } = noting();
		const basket = machine.basket({ ping: { run, every: every(hour) } });
		const { stop } = running(basket);
		await machine.clock.advance(10 * minute);
		await basket.retry("schedule:ping");
		await machine.clock.advance(10 * minute);
		await basket.retry("schedule:ping");
		await machine.clock.advance(100 * minute);
		await stop();
		expect(ticks.map(([due]) => (due! - start) / minute)).toEqual([10, 20, 60, 120]);
	});

	test("Basket.hold() of a schedule is a pause", async () => {
		const machine = new Machine();
		const { ticks, run } = noting();
		const basket = machine.basket({ ping: { run, every: every(10 * minute) } });
		const { stop } = running(basket);
		await machine.clock.advance(10 * minute);
		await basket.hold("schedule:ping");
		await machine.clock.advance(25 * minute);
		await basket.release("schedule:ping");
		await machine.clock.advance(5 * minute);
		await stop();
		expect(ticks.map(([due, missed]) => [(due! - start) / minute, missed])).toEqual([[10, 0], [30, 2], [40, 0]]);
	});
});

describe("several processes", () => {
	test("twenty baskets on a schedule of one second run each instant once", async () => {
		const machine = new Machine();
		const { ticks, run } = noting();
		const baskets = Array.from({ length: 20 }, () => machine.basket({ ping: { run, every: every(second) } }));
		const workers = baskets.map((basket) => running(basket));
		await machine.clock.advance(minute);
		await Promise.all(workers.map(({ stop }) => stop()));
		expect(ticks).toEqual(Array.from({ length: 60 }, (_, index) => [start + (index + 1) * second, 0]));
		expect(machine.errors).toEqual([]);
	});

	test("a process without the schedule leaves its ticks to others, without attempts, errors or a busy loop", async () => {
		const machine = new Machine();
		const { ticks, run } = noting();
		const nightly = cron("* * * * *", { timeZone: "UTC" });
		await machine.basket({ ping: { run } }).schedule("n", "ping", {}, { every: nightly });
		const other = running(machine.basket({ ping: { run }, own: { run: () => {}, every: every(day) } }));
		await machine.clock.advance(10 * minute);
		expect(ticks).toEqual([]);
		expect(machine.spied.count("turn")).toBeLessThan(400);
		await other.stop();
		expect(await machine.basket({}).get("schedule:n")).toMatchObject({ attempts: 0, error: undefined });
		const reader = running(machine.basket({ ping: { run, reads: [every, cron] } }));
		await machine.clock.advance(minute);
		await reader.stop();
		expect(ticks.length).toBe(2);
		expect(machine.errors).toEqual([]);
	});

	test("a process that was given any schedule goes on with stored intervals", async () => {
		const machine = new Machine();
		const { ticks, run } = noting();
		await machine.basket({ ping: { run } }).schedule("n", "ping", {}, { every: every(minute) });
		const other = running(machine.basket({ ping: { run }, own: { run: () => {}, every: every(day) } }));
		await machine.clock.advance(minute);
		await other.stop();
		expect(ticks).toEqual([[start + minute, 0]]);
	});
});

describe("spread", () => {
	test("spread delays by the name, the same in each process, and due stays the instant", async () => {
		const machine = new Machine();
		const { run } = noting();
		const at = new Map<string, number[]>();
		const note = (name: string, { due }: Noted) => {
			at.set(name, [...at.get(name) ?? [], machine.clock.now() - due!]);
		};
		const make = () => machine.basket({ ping: { run: (name: string, context: Noted) => note(name, context) } });
		const names = Array.from({ length: 40 }, (_, index) => `name${index}`);
		for (const name of names) {
			await make().schedule(name, "ping", name, { every: every(hour), spread: 10 * minute });
		}
		for (let round = 0; round < 2; round++) {
			const basket = machine.basket({
				ping: { run: (name: string, context: Noted) => note(name, context), reads: [every] },
				other: { run, every: every(day) },
			});
			const { stop } = running(basket);
			await machine.clock.advance(hour + (round === 0 ? 15 : 0) * minute);
			await stop();
		}
		const delays = names.map((name) => at.get(name)!);
		for (const [first, second] of delays) {
			expect(first).toBe(second);
			expect(first! >= 0 && first! < 10 * minute).toBe(true);
		}
		expect(new Set(delays.map(([first]) => Math.floor(first! / minute))).size).toBe(10);
	});
});

describe("the store's clock", () => {
	/** Runs an hourly schedule on a store whose clock differs from that of the machine. */
	function world(skew: number) {
		const machine = new Machine();
		const { clock } = machine;
		const { ticks, run } = noting();
		const offset = { skew };
		const now = () => clock.now() + offset.skew;
		const own = {
			...{ now, monotonic: () => clock.monotonic() },
			...{ set: clock.set.bind(clock), clear: clock.clear.bind(clock) },
		};
		const store = memoryStore({ clock: own });
		const { stop } = running(machine.basket({ ping: { run, every: every(hour) } }, { store }));
		return { clock, offset, stop, ticks, instants: () => ticks.map(([due]) => (due! - start) / hour) };
	}

	test.each([-4_900, -1, 1, 4_900, 50_000])(
		"the store's clock may differ by %s ms from that of the machine",
		async (skew) => {
			const { clock, stop, instants } = world(skew);
			await clock.advance(4 * hour + minute);
			await stop();
			expect(instants()).toEqual([1, 2, 3, 4]);
		},
	);

	test("the store's clock that is set back fires nothing twice", async () => {
		const { clock, offset, stop, instants } = world(0);
		await clock.advance(2.5 * hour);
		offset.skew = -2 * hour;
		await clock.advance(5 * hour);
		await stop();
		expect(instants()).toEqual([1, 2, 3, 4, 5]);
	});

	test("the store's clock that is set forward counts as missed", async () => {
		const { clock, offset, stop, ticks } = world(0);
		await clock.advance(1.5 * hour);
		offset.skew = 3 * hour;
		await clock.advance(hour);
		await stop();
		expect(ticks.map(([due, missed]) => [(due! - start) / hour, missed])).toEqual([[1, 0], [4, 3], [5, 0]]);
	});
});
