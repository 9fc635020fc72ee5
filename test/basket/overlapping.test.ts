import { describe, expect, test } from "vitest";
import { Basket, every, stopNow } from "../../mod.ts";
import { deferred, errorOf } from "../support.ts";
import { Machine, running } from "./support.ts";

const minute = 60_000;
/** The virtual clock of a Machine begins here. */
const start = 1_000_000;
const idOf = (name: string, round: number) => `schedule:${name}@${start + round * minute}`;

interface Noted {
	readonly due: number | undefined;
	readonly missed: number;
	readonly attempt: number;
	readonly id: string;
}

/** Notes which round of a schedule of a minute begins, and when, in minutes. */
function noting(machine: Machine, run: (payload: unknown, context: Noted) => unknown = () => {}) {
	const begun: [round: number, at: number, missed: number][] = [];
	const noted = (payload: unknown, context: Noted) => {
		const [round, at] = [context.due!, machine.clock.now()].map((instant) => (instant - start) / minute);
		begun.push([round!, at!, context.missed]);
		return run(payload, context);
	};
	return { begun, run: noted };
}

describe("schedules with overlap", () => {
	test("each tick begins at its instant, whatever becomes of earlier ones", async () => {
		const machine = new Machine();
		const end = deferred<void>();
		const { begun, run } = noting(machine, async (_, { due, id }) => {
			if (due === start + minute) await end.promise;
			if (id === idOf("ping", 2)) throw new Error("again");
			if (id === idOf("ping", 3)) throw stopNow("never");
		});
		const backoff = 10 * minute;
		const basket = machine.basket({ ping: { run, every: every(minute), overlap: true, backoff } });
		const { stop } = running(basket);
		await machine.clock.advance(5 * minute);
		expect(begun).toEqual([1, 2, 3, 4, 5].map((round) => [round, round, 0]));
		expect(await basket.counts()).toMatchObject({ running: 1, waiting: 2, dead: 1, done: 0 });
		expect(await basket.get(idOf("ping", 3))).toMatchObject({ state: "dead", payload: undefined });
		const listed = [];
		for await (const { name, next } of basket.schedules()) listed.push([name, next]);
		expect(listed).toEqual([["ping", start + 6 * minute]]);
		expect(machine.settled.map(({ id, outcome }) => [id, outcome])).toEqual([
			[idOf("ping", 2), "retry"],
			...[[3, "dead"], [4, "done"], [5, "done"]].map(([round, outcome]) => [idOf("ping", round as number), outcome]),
		]);
		await basket.hold("schedule:ping");
		await machine.clock.advance(7 * minute);
		expect(begun.slice(5)).toEqual([[2, 12, 0]]);
		end.resolve();
		await stop();
	});

	test("a process that dies before it has stored the next instant neither loses nor repeats a tick", async () => {
		const machine = new Machine();
		const { begun, run } = noting(machine);
		let isDead = false;
		machine.spied.after = (member, added) => {
			if (member === "add" && (added as { id: string }[])[0]!.id === idOf("n", 1)) isDead = true;
		};
		machine.spied.before = () => isDead ? new Promise(() => {}) : undefined;
		const dying = machine.basket({ ping: { run } }, { onError: () => {}, grace: 0 });
		await dying.schedule("n", "ping", { a: 1 }, { every: every(minute), overlap: true });
		const other = running(machine.basket({ ping: { run, reads: [every] } }, { store: machine.memory }));
		const first = running(dying);
		await machine.clock.advance(minute / 2);
		await other.stop();
		await machine.clock.advance(minute / 2);
		expect(isDead).toBe(true);
		const next = running(machine.basket({ ping: { run, reads: [every] } }, { store: machine.memory }));
		// The lease of the dead process is not over: the tick is there, and must wait for its schedule.
		await machine.clock.advance(minute / 4);
		expect([begun, (await machine.memory.get("default", idOf("n", 1)))?.attempts]).toEqual([[], 0]);
		await machine.clock.advance(3 * minute);
		await next.stop();
		void first.stop();
		expect(begun.map(([round]) => round)).toEqual([1, 2, 3, 4]);
		expect(begun[0]![1]).toBeLessThan(1.6);
		expect(machine.errors).toEqual([]);
	});

	test("ticks keep payload, result and what was missed, and outlive their schedule", async () => {
		const machine = new Machine();
		const { begun, run } = noting(machine, (payload) => payload);
		const basket = machine.basket({ ping: { run, retain: Infinity } });
		await basket.schedule("ada", "ping", { a: 1 }, { every: every(minute), overlap: true, missed: "all" });
		await machine.clock.advance(4.5 * minute);
		const { stop } = running(basket);
		await machine.clock.advance(0);
		await basket.unschedule("ada");
		await stop();
		expect(begun.map(([round, , missed]) => [round, missed])).toEqual([[1, 1], [2, 1], [3, 1], [4, 0]]);
		expect((await basket.get(idOf("ada", 2)))?.result).toEqual({ a: 1 });
		expect(await basket.counts()).toMatchObject({ done: 4, waiting: 0 });
	});

	test("refuses what is no boolean, and a name that is too long for the ids of ticks", async () => {
		const machine = new Machine();
		const basket = machine.basket({ ping: () => {} });
		const wrong = errorOf(basket.schedule("a", "ping", undefined, { every: every(1), overlap: 1 as never }));
		expect((await wrong as Error).message).toContain(`"overlap"`);
		const long = { every: every(minute), overlap: true };
		expect(await errorOf(basket.schedule("a".repeat(240), "ping", undefined, long)) instanceof RangeError).toBe(true);
		const tasks = { ping: { run: () => {}, overlap: true } };
		expect(() => new Basket({ store: machine.memory, tasks })).toThrow(`"every"`);
		expect((await basket.counts()).waiting).toBe(0);
	});
});
