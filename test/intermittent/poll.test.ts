import { describe, expect, test } from "vitest";
import {
	type Clock,
	poll,
	type PollOptions,
	resetBackoff,
	retryAfter,
	retryNow,
	sleep,
	stopNow,
	type Timer,
} from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { afterMicrotasks, atEachMicrotask } from "../every-microtask.ts";
import { atEachCall } from "../reentry.ts";

/** Polls for a while and returns the times of the calls. */
async function callsOf(
	action: (call: number, clock: VirtualClock) => unknown,
	options: PollOptions,
	duration: number,
): Promise<number[]> {
	const clock = new VirtualClock();
	const calls: number[] = [];
	const controller = new AbortController();
	const polled = poll(() => {
		calls.push(clock.monotonic());
		return action(calls.length, clock);
	}, { ...options, clock });
	await polled.attach(controller.signal);
	await clock.advance(duration);
	controller.abort();
	await clock.runUntilIdle();
	expect(await polled.wait()).toBe(true);
	expect(clock.pending).toBe(0);
	return calls;
}

const fail = (error: unknown = new Error("failure")): never => {
	throw error;
};

describe("poll()", () => {
	test("calls at once, when the first listener attaches, and then every interval, 1000 ms by default", async () => {
		expect(await callsOf(() => {}, {}, 3500)).toEqual([0, 1000, 2000, 3000]);
		expect(await callsOf(() => {}, { interval: 10 }, 35)).toEqual([0, 10, 20, 30]);
	});

	test("drops the ticks that come while the action still runs, and keeps the rhythm", async () => {
		const slow = (_call: number, clock: VirtualClock) => sleep(25, { clock });
		expect(await callsOf(slow, { interval: 10 }, 100)).toEqual([0, 30, 60, 90]);
		const exact = (_call: number, clock: VirtualClock) => sleep(20, { clock });
		expect(await callsOf(exact, { interval: 10 }, 70)).toEqual([0, 30, 60]);
	});

	test("after an error waits for the backoff, counted from the failure; a success restores the interval", async () => {
		const options = { interval: 10, backoff: { start: 100, factor: 2, max: 250 } };
		const action = (call: number) => call >= 2 && call <= 4 ? fail() : undefined;
		expect(await callsOf(action, options, 500)).toEqual([0, 10, 110, 310]);
		const slow = async (call: number, clock: VirtualClock) => {
			await sleep(5, { clock });
			if (call === 1) fail();
		};
		expect(await callsOf(slow, options, 130)).toEqual([0, 105, 115, 125]);
		const twice = (call: number) => call === 1 || call === 3 ? fail() : undefined;
		expect(await callsOf(twice, options, 225)).toEqual([0, 100, 110, 210, 220]);
	});

	test("without a backoff waits for the interval after an error", async () => {
		expect(await callsOf(() => fail(), { interval: 10 }, 35)).toEqual([0, 10, 20, 30]);
	});

	test("obeys hints", async () => {
		const options = { interval: 10, backoff: { start: 100, factor: 2 } };
		const hints = [undefined, retryAfter(7, "x"), retryNow("x"), undefined, resetBackoff("x")];
		const action = (call: number) => call <= 5 ? fail(hints[call - 1]) : undefined;
		expect(await callsOf(action, options, 400)).toEqual([0, 100, 107, 107, 207, 307, ...range(317, 400, 10)]);
		expect(await callsOf((call) => call === 3 && fail(stopNow("x")), options, 400)).toEqual([0, 10, 20]);
	});

	test("tells onAttempt how it is doing, with the error without its hint", async () => {
		const seen: unknown[] = [];
		await callsOf((call) => call === 2 || call === 3 ? fail(retryAfter(1, `error ${call}`)) : undefined, {
			interval: 10,
			onAttempt: (state, error) => void seen.push([...Object.values(state), error]),
		}, 25);
		expect(seen).toEqual([
			[1, 1, 0, 1, 0, undefined],
			[2, 1, 1, 0, 1, "error 2"],
			[3, 1, 2, 0, 2, "error 3"],
			[4, 2, 2, 1, 0, undefined],
			[5, 3, 2, 2, 0, undefined],
		]);
	});

	test("ends when onAttempt returns true, stays running and silent, and starts anew with the next attach", async () => {
		const clock = new VirtualClock();
		let calls = 0;
		const polled = poll(() => void calls++, {
			interval: 10,
			clock,
			onAttempt: ({ attempts }) => attempts === 2,
		});
		for (const total of [2, 4]) {
			const controller = new AbortController();
			await polled.attach(controller.signal);
			await clock.advance(100);
			expect([calls, polled.state, clock.pending]).toEqual([total, "running", 0]);
			await polled.attach(controller.signal);
			await clock.advance(100);
			expect(calls).toBe(total);
			controller.abort();
			expect(polled.state).toBe("idle");
		}
	});

	test("shares its calls among its listeners", async () => {
		const clock = new VirtualClock();
		let calls = 0;
		const polled = poll(() => void calls++, { interval: 10, clock });
		const [a, b] = [new AbortController(), new AbortController()];
		await Promise.all([polled.attach(a.signal), polled.attach(b.signal)]);
		await clock.advance(15);
		a.abort();
		await clock.advance(10);
		expect(calls).toBe(3);
		b.abort();
		await clock.advance(100);
		expect(calls).toBe(3);
	});

	test("attach() does not wait for the first call, and detaching aborts it and waits until it has settled", async () => {
		const clock = new VirtualClock();
		const seen: unknown[] = [];
		let running = 0;
		const polled = poll(async (signal) => {
			expect(++running).toBe(1);
			await sleep(1000, { signal, clock }).catch(() => sleep(50, { clock }));
			running--;
		}, { clock, onAttempt: (state) => void seen.push(state) });
		const first = new AbortController();
		await polled.attach(first.signal);
		first.abort();
		expect(polled.state).toBe("stopping");
		const second = new AbortController();
		const attached = polled.attach(second.signal);
		await clock.advance(50);
		await attached;
		expect([polled.state, running]).toEqual(["running", 1]);
		second.abort();
		await clock.runUntilIdle();
		expect([polled.state, running, seen.length]).toEqual(["idle", 0, 0]);
	});

	test("can be ended by a listener inside the action and inside onAttempt", async () => {
		for (const where of ["action", "onAttempt"]) {
			const clock = new VirtualClock();
			const controller = new AbortController();
			let calls = 0;
			const polled = poll(() => {
				if (++calls === 2 && where === "action") controller.abort();
			}, {
				interval: 10,
				clock,
				onAttempt: ({ attempts }) => {
					if (attempts === 2 && where === "onAttempt") controller.abort();
				},
			});
			await polled.attach(controller.signal);
			await clock.advance(100);
			expect([calls, polled.state, clock.pending]).toEqual([2, "idle", 0]);
		}
	});

	test("goes on when onAttempt throws, and reports it", async () => {
		const errors: unknown[] = [];
		const onAttempt = () => fail("observer");
		const calls = await callsOf(() => {}, { interval: 10, onAttempt, onError: (error) => void errors.push(error) }, 15);
		expect(calls).toEqual([0, 10]);
		expect(errors).toEqual(["observer", "observer"]);
	});

	test("lingers", async () => {
		const clock = new VirtualClock();
		let calls = 0;
		const polled = poll(() => void calls++, { interval: 10, linger: 25, clock });
		const controller = new AbortController();
		await polled.attach(controller.signal);
		controller.abort();
		await clock.runUntilIdle();
		expect([calls, polled.state]).toEqual([3, "idle"]);
	});

	test("makes up for a timer that comes late, as after a suspend, by one call and not by a burst", async () => {
		class LateClock extends VirtualClock {
			lateness = 0;
			override set(timer: Timer, delay: number): void {
				super.set(timer, delay + this.lateness);
			}
		}
		const clock = new LateClock();
		const calls: number[] = [];
		const controller = new AbortController();
		await poll(() => {
			calls.push(clock.monotonic());
			clock.lateness = calls.length === 2 ? 3_600_000 : 0;
		}, { interval: 10, clock }).attach(controller.signal);
		await clock.advance(3_600_050);
		expect(calls).toEqual([0, 10, 3_600_020, 3_600_030, 3_600_040, 3_600_050]);
		controller.abort();
	});

	test("checks its arguments", () => {
		expect(() => poll("action" as never)).toThrow(TypeError);
		for (const interval of [0, -1, NaN, Infinity]) expect(() => poll(() => {}, { interval })).toThrow(RangeError);
		expect(() => poll(() => {}, { interval: "1s" as never })).toThrow(TypeError);
		expect(() => poll(() => {}, { backoff: -1 })).toThrow(RangeError);
		expect(() => poll(() => {}, { backoff: null as never })).toThrow(TypeError);
		expect(() => poll(() => {}, { onAttempt: true as never })).toThrow(TypeError);
		expect(() => poll(() => {}, { linger: -1 })).toThrow(RangeError);
		expect(() => poll(() => {}, null as never)).toThrow(TypeError);
	});
});

function range(from: number, to: number, step: number): number[] {
	return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => from + index * step);
}

describe("poll() at each microtask", () => {
	for (const outcome of ["returns", "fails"]) {
		test(`a detach around a call that ${outcome} lets no call follow it, nor run beside the next start's`, async () => {
			for (const attachesAgain of [false, true]) {
				await atEachMicrotask(30, async (k) => {
					const clock = new VirtualClock();
					let [running, most, calls, isDetached, late] = [0, 0, 0, false, 0];
					const [first, second] = [new AbortController(), new AbortController()];
					const again: Promise<unknown>[] = [];
					const polled = poll(async () => {
						most = Math.max(most, ++running);
						if (isDetached && !attachesAgain) late++;
						if (++calls === 2) {
							afterMicrotasks(k, () => {
								isDetached = true;
								first.abort();
								if (attachesAgain) again.push(polled.attach(second.signal));
							});
						}
						await undefined;
						running--;
						if (outcome === "fails") fail();
					}, { interval: 10, clock });
					await polled.attach(first.signal);
					await clock.advance(100);
					await Promise.all(again);
					expect([most, late, running]).toEqual([1, 0, 0]);
					expect(polled.state).toBe(attachesAgain ? "running" : "idle");
					if (attachesAgain) expect(calls).toBeGreaterThan(5);
					second.abort();
					await clock.runUntilIdle();
					expect([await polled.wait(), clock.pending]).toEqual([true, 0]);
				});
			}
		});
	}

	test("a detach around the moment of a call stops that call", async () => {
		await atEachMicrotask(10, async (k) => {
			const timers: Timer[] = [];
			const clock: Clock = {
				now: () => 0,
				monotonic: () => 0,
				clear() {},
				set: (t) => void timers.push(t),
			};
			let isDetached = false;
			const late: boolean[] = [];
			const polled = poll(() => void late.push(isDetached), { clock });
			const controller = new AbortController();
			await polled.attach(controller.signal);
			await sleep(0);
			timers.pop()!.fire();
			await new Promise<void>((resolve) =>
				afterMicrotasks(k, () => {
					isDetached = true;
					controller.abort();
					resolve();
				})
			);
			expect([await polled.wait(), late.includes(true)]).toEqual([true, false]);
		});
	});
});

describe("poll() re-entered", () => {
	for (const action of ["attach", "abort all", "abort all and attach"]) {
		test(`${action} from each callback, at each of its calls, breaks no law`, async () => {
			await atEachCall(async (reentry) => {
				const clock = new VirtualClock();
				let [running, most, calls] = [0, 0, 0];
				let controllers: AbortController[] = [];
				const attach = () => {
					const controller = new AbortController();
					controllers.push(controller);
					polled.attach(controller.signal).catch(() => {});
				};
				const abortAll = () => {
					const aborting = controllers;
					controllers = [];
					for (const controller of aborting) controller.abort();
				};
				reentry.act = () => {
					if (action.startsWith("abort all")) abortAll();
					if (action.includes("attach")) attach();
				};
				const polled = poll(async (signal) => {
					most = Math.max(most, ++running);
					signal.addEventListener("abort", reentry.enter);
					reentry.enter();
					await undefined;
					running--;
					if (++calls % 2 === 0) fail();
				}, { interval: 10, clock, onAttempt: reentry.enter, onError: reentry.enter });
				polled.subscribe(reentry.enter);
				attach();
				await clock.advance(35);
				abortAll();
				await clock.advance(5);
				attach();
				await clock.advance(15);
				for (let i = 0; i < 3; i++) {
					abortAll();
					await clock.advance(50);
				}
				await clock.runUntilIdle();
				expect([polled.state, polled.listeners, most, running, clock.pending]).toEqual(["idle", 0, 1, 0, 0]);
			});
		});
	}
});
