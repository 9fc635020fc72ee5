import { describe, expect, test } from "vitest";
import { type Clock, sleep, systemClock } from "../../mod.ts";
import { Timer } from "../../src/platform/timer-queue.ts";
import { makeClock } from "../../src/platform/clock.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { FakeScope, replace } from "../browser/browser-fakes.ts";
import { errorOf, SpiedController, watch } from "../support.ts";

class Alarm extends Timer {
	fired = 0;
	readonly #onFire: (() => void) | undefined;

	constructor(onFire?: () => void) {
		super();
		this.#onFire = onFire;
	}

	fire(): void {
		this.fired++;
		this.#onFire?.();
	}
}

// These tests use the timers of the platform. Each waits for a few real milliseconds.
describe("systemClock", () => {
	test("tells the time of the machine", () => {
		expect(Math.abs(systemClock.now() - Date.now())).toBeLessThan(1000);
		const before = systemClock.monotonic();
		expect(systemClock.monotonic()).toBeGreaterThanOrEqual(before);
	});

	test("set() counts a delay from the reading that it is given, and fires at once if that is long ago", async () => {
		const clock = makeClock();
		const since = clock.monotonic() - 10_000;
		await new Promise<void>((resolve) => {
			const alarm = new Alarm(resolve);
			clock.set(alarm, 9_000, since);
			expect([alarm.at, alarm.fired]).toEqual([since + 9_000, 0]);
		});
	});

	test("fires in the order of the times, and of the calls, and never early", async () => {
		const order: string[] = [];
		// Uses a sum, because the difference of two times may be smaller due to rounding.
		const notBefore = performance.now() + 20;
		// All count from one reading, because the machine may pause between two calls.
		const since = systemClock.monotonic();
		await new Promise<void>((resolve) => {
			systemClock.set(new Alarm(resolve), 30, since);
			systemClock.set(
				new Alarm(() => {
					expect(performance.now()).toBeGreaterThanOrEqual(notBefore);
					order.push("20");
				}),
				20,
				since,
			);
			systemClock.set(new Alarm(() => order.push("10")), 10, since);
			const [first, second] = [new Alarm(() => order.push("first")), new Alarm(() => order.push("second"))];
			systemClock.set(first, 0, since);
			systemClock.set(second, 0, since);
		});
		expect(order).toEqual(["first", "second", "10", "20"]);
	});

	test("never fires inside set(), nor in the macrotask of the timer that has set it", async () => {
		const order: string[] = [];
		await new Promise<void>((resolve) => {
			const again = new Alarm(() => {
				order.push("again");
				resolve();
			});
			const first = new Alarm(() => {
				systemClock.set(again, 0);
				order.push("first");
				queueMicrotask(() => order.push("microtask"));
			});
			systemClock.set(first, 0);
			systemClock.set(new Alarm(() => order.push("second")), 0);
			order.push("set");
		});
		expect(order.filter((entry) => entry !== "microtask")).toEqual(["set", "first", "second", "again"]);
		expect(order.indexOf("microtask")).toBeLessThan(order.indexOf("again"));
	});

	test("moves a timer that is set again, and forgets one that is cleared", async () => {
		const [moved, cleared] = [new Alarm(), new Alarm()];
		systemClock.set(moved, 0);
		systemClock.set(moved, 60_000);
		systemClock.set(cleared, 5);
		systemClock.clear(cleared);
		systemClock.clear(cleared);
		await sleep(15);
		expect([moved.fired, cleared.fired]).toEqual([0, 0]);
		systemClock.set(moved, 1);
		await sleep(10);
		systemClock.clear(moved);
		expect(moved.fired).toBe(1);
	});

	test("writes into a timer when it is due, and whether it is set", async () => {
		const [fires, cleared, far] = [new Alarm(), new Alarm(), new Alarm()];
		const before = systemClock.monotonic();
		systemClock.set(fires, 5);
		systemClock.set(cleared, 60_000);
		systemClock.set(far, 2 ** 40);
		const after = systemClock.monotonic();
		for (const [timer, delay] of [[fires, 5], [cleared, 60_000], [far, 2 ** 40]] as const) {
			expect(timer.at).toBeGreaterThanOrEqual(before + delay);
			expect(timer.at).toBeLessThanOrEqual(after + delay);
			expect(timer.position).toBeGreaterThanOrEqual(0);
		}
		systemClock.clear(cleared);
		systemClock.clear(far);
		await sleep(10);
		expect([fires.fired, fires.position, cleared.position, far.position]).toEqual([1, -1, -1, -1]);
	});

	test("does not take a delay beyond 2^31 - 1 ms for none", async () => {
		const alarms = [2 ** 31 - 1, 2 ** 31, 2 ** 40, Infinity].map((delay) => {
			const alarm = new Alarm();
			systemClock.set(alarm, delay);
			return alarm;
		});
		await sleep(10);
		for (const alarm of alarms) {
			systemClock.clear(alarm);
			expect(alarm.fired).toBe(0);
		}
		await sleep(1);
	});
});

// In workerd each wait has its own platform timer, and pages never sleep.
const isWorkerd = navigator.userAgent === "Cloudflare-Workers";

describe.skipIf(isWorkerd)("systemClock in a browser", () => {
	/** Creates a new clock like systemClock, in which another test file may have left timers. */
	function startInBrowser(): { scope: FakeScope; clock: Clock } {
		return { scope: new FakeScope(), clock: makeClock() };
	}

	test.each(["visibilitychange", "resume", "pageshow", "online"])("catches up on %s", async (type) => {
		const { scope, clock } = startInBrowser();
		const { setTimeout } = globalThis;
		let isHeldBack = true;
		replace(globalThis, "setTimeout", (...args: [() => void, number]) => isHeldBack ? 0 : setTimeout(...args));
		const order: string[] = [];
		const [first, second, later] = [1, 6, 200].map((delay) =>
			sleep(delay, { clock }).then(() => order.push(`${delay}`))
		);
		await new Promise((resolve) => setTimeout(resolve, 20));
		expect(order).toEqual([]);
		isHeldBack = false;
		scope.dispatch(type);
		order.push("dispatched");
		await Promise.all([first, second]);
		// On a busy machine the other timers may be due, too.
		expect(order.slice(0, 3)).toEqual(["dispatched", "1", "6"]);
		await later; // the platform timer is set again for this one
	});

	test("catches up on a sleep of the machine that only the wall clock has seen, and not on a correction of that", async () => {
		const { scope, clock } = startInBrowser();
		const now = Date.now.bind(Date);
		let ahead = 0;
		replace(Date, "now", () => now() + ahead);
		const controller = new AbortController();
		const [hour, day] = [3_600_000, 86_400_000].map((delay) =>
			watch(sleep(delay, { clock, signal: controller.signal }))
		);
		const before = clock.monotonic();
		ahead = 59_000;
		scope.dispatch("online");
		await sleep(1, { clock });
		expect(clock.monotonic() - before).toBeLessThan(10_000);
		ahead += 3_600_000;
		scope.dispatch("online");
		await sleep(1, { clock });
		expect([hour!.state, day!.state]).toEqual(["resolved", "pending"]);
		expect(clock.monotonic() - before).toBeGreaterThanOrEqual(3_600_000);
		ahead = 0;
		scope.dispatch("online");
		expect(clock.monotonic() - before).toBeGreaterThanOrEqual(3_600_000);
		controller.abort("enough");
		await sleep(1, { clock });
	});

	test("listens once, however much waits, and no longer than the platform's timer is set", async () => {
		const { scope, clock } = startInBrowser();
		const alarms = Array.from({ length: 1000 }, () => new Alarm());
		for (const alarm of alarms) clock.set(alarm, 60_000);
		clock.set(alarms[0]!, 1);
		expect(scope.listened).toEqual(["online", "pageshow", "resume", "visibilitychange"]);
		for (const alarm of alarms.slice(1)) clock.clear(alarm);
		await sleep(5, { clock });
		expect(alarms[0]!.fired).toBe(1);
		expect(scope.listened).toEqual([]);
	});
});

// Skipped in workerd; see above.
describe.skipIf(isWorkerd)("systemClock, whose platform", () => {
	test("has lost its timer, goes on with the next one that is set", async () => {
		const clock = makeClock();
		const { setTimeout } = globalThis;
		let isLost = true;
		replace(globalThis, "setTimeout", (...args: [() => void, number]) => isLost ? 0 : setTimeout(...args));
		const first = watch(sleep(1, { clock }));
		await new Promise((resolve) => setTimeout(resolve, 20));
		isLost = false;
		const now = performance.now.bind(performance);
		replace(performance, "now", () => now() + 1_100);
		await sleep(1, { clock });
		expect(first.state).toBe("resolved");
	});
});

describe("sleep()", () => {
	test("resolves after the delay, and leaves no listener", async () => {
		const clock = new VirtualClock();
		const controller = new SpiedController();
		const slept = watch(sleep(50, { clock, signal: controller.signal }));
		expect(controller.listeners).toBe(1);
		await clock.advance(49);
		expect(slept.state).toBe("pending");
		await clock.advance(1);
		expect(slept.state).toBe("resolved");
		expect(controller.listeners).toBe(0);
	});

	test("rejects with the signal's reason and leaves no timer", async () => {
		const clock = new VirtualClock();
		const controller = new AbortController();
		const slept = sleep(Infinity, { clock, signal: controller.signal });
		expect(clock.pending).toBe(1);
		controller.abort("enough");
		expect(await errorOf(slept)).toBe("enough");
		expect(clock.pending).toBe(0);
		expect(await errorOf(sleep(50, { clock, signal: controller.signal }))).toBe("enough");
		expect(clock.pending).toBe(0);
	});

	test("accepts the clock of a third party", async () => {
		const timers = new Map<Timer, number>();
		const clock: Clock = {
			now: () => 0,
			monotonic: () => 0,
			set: (timer, delay) => void timers.set(timer, delay),
			clear: (timer) => void timers.delete(timer),
		};
		const slept = sleep(123, { clock });
		for (const [timer, delay] of timers) {
			expect(delay).toBe(123);
			timer.fire();
		}
		await slept;
	});

	test("checks its arguments", async () => {
		for (const delay of [-1, NaN]) expect(await errorOf(sleep(delay))).toBeInstanceOf(RangeError);
		for (const options of [{ signal: 5 }, { clock: 5 }, { clock: {} }, { unref: 5 }, null]) {
			expect(await errorOf(sleep(1, options as never))).toBeInstanceOf(TypeError);
		}
		expect(await errorOf(sleep("1s" as never))).toBeInstanceOf(TypeError);
	});
});
