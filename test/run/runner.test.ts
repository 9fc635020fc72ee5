import { describe, expect, test, vi } from "vitest";
import {
	type Clock,
	resetBackoff,
	retryAfter,
	retryNow,
	run,
	Runner,
	type RunnerOptions,
	sleep,
	stopNow,
	type TaskContext,
} from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { deferred, errorOf, settle, SpiedController, untilAborted, watch } from "../support.ts";

/** A task that always fails. */
const fail = ({ attempt }: { attempt: number }): never => {
	throw new Error(`failure ${attempt}`);
};

/** Creates a task that fails the given number of times. */
const failing = (times: number) => ({ attempt }: { attempt: number }): number => {
	if (attempt <= times) throw new Error(`failure ${attempt}`);
	return attempt;
};

async function delaysOf(
	options: RunnerOptions,
	task: (context: { attempt: number }) => unknown = fail,
): Promise<number[]> {
	const clock = new VirtualClock();
	const delays: number[] = [];
	const onAttemptFailed: RunnerOptions["onAttemptFailed"] = ({ again, delay }) => void (again && delays.push(delay));
	const done = run(task, { ...options, clock, onAttemptFailed }).catch(() => {});
	await clock.runUntilIdle();
	await done;
	return delays;
}

describe("run()", () => {
	test("resolves with what the task returns or resolves to", async () => {
		expect(await run(() => 1)).toBe(1);
		expect(await run(async () => "two")).toBe("two");
		expect(await run(() => ({ then: (resolve: (value: number) => void) => resolve(3) }) as PromiseLike<number>)).toBe(
			3,
		);
		expect(await run(() => undefined)).toBe(undefined);
	});

	test("makes one attempt by default and rejects with the task's error itself", async () => {
		const task = vi.fn(fail);
		await expect(run(task)).rejects.toThrow("failure 1");
		expect(task).toHaveBeenCalledTimes(1);
		const error = Object.freeze({ code: 1 });
		expect(await errorOf(run(() => Promise.reject(error)))).toBe(error);
	});

	const throwables = [undefined, null, 0, "", false, Object.freeze({}), Symbol("s"), () => {}];

	test.each(throwables.map((thrown, index) => [index, thrown] as const))(
		"takes anything for a failure, thrown or rejected (#%s)",
		async (_index, thrown) => {
			let calls = 0;
			const rejecting = () => {
				calls++;
				return Promise.reject(thrown);
			};
			const throwing = () => {
				calls++;
				throw thrown;
			};
			for (const task of [rejecting, throwing]) expect(await errorOf(run(task, { attempts: 2 }))).toBe(thrown);
			expect(calls).toBe(4);
		},
	);

	test("takes the first word of a thenable that settles twice", async () => {
		const twice = {
			then(resolve: (value: number) => void, reject: (error: unknown) => void) {
				resolve(1);
				reject(new Error("too late"));
				resolve(2);
				throw new Error("later still");
			},
		};
		expect(await run(() => twice as PromiseLike<number>)).toBe(1);
	});

	test("tells each attempt its number and the error before it", async () => {
		const seen: unknown[] = [];
		await run(({ attempt, previousError }) => {
			seen.push([attempt, (previousError as Error | undefined)?.message]);
			if (attempt < 3) throw new Error(`failure ${attempt}`);
		}, { attempts: 3 });
		expect(seen).toEqual([[1, undefined], [2, "failure 1"], [3, "failure 2"]]);
	});

	test("goes on for ever with attempts: Infinity, and yet leaves room for timers", async () => {
		const controller = new AbortController();
		setTimeout(() => controller.abort("enough"), 5);
		expect(await errorOf(run(fail, { attempts: Infinity, signal: controller.signal }))).toBe("enough");
	});

	test("retries in a new macrotask when there is no backoff", async () => {
		const order: string[] = [];
		const done = run(({ attempt }) => {
			order.push(`attempt ${attempt}`);
			if (attempt < 2) throw new Error("again");
		}, { attempts: 2 });
		for (let i = 0; i < 50; i++) await Promise.resolve();
		order.push("microtasks");
		await done;
		expect(order).toEqual(["attempt 1", "microtasks", "attempt 2"]);
	});

	test("never runs two attempts at once", async () => {
		const clock = new VirtualClock();
		let running = 0;
		const done = run(async ({ attempt }) => {
			expect(++running).toBe(1);
			await sleep(100, { clock });
			running--;
			if (attempt < 4) throw new Error("again");
		}, { attempts: 4, timeout: 10, backoff: 5, clock });
		await clock.runUntilIdle();
		await done;
	});
});

describe("run() backoff", () => {
	test("a number is a fixed delay", async () => {
		expect(await delaysOf({ attempts: 4, backoff: 70 })).toEqual([70, 70, 70]);
	});

	test("grows by 1.5 from start, capped at max", async () => {
		expect(await delaysOf({ attempts: 5, backoff: { start: 200 } })).toEqual([200, 300, 450, 675]);
		expect(await delaysOf({ attempts: 5, backoff: { start: 200, max: 400 } })).toEqual([200, 300, 400, 400]);
		expect(await delaysOf({ attempts: 4, backoff: { start: 0 } })).toEqual([0, 0, 0]);
	});

	test("draws the jitter as documented", async () => {
		const backoff = { start: 100, factor: 2, max: 1000 };
		const low = () => 0;
		const high = () => 1;
		const attempts = 4;
		expect(await delaysOf({ attempts, backoff: { ...backoff, jitter: "full", random: low } })).toEqual([0, 0, 0]);
		expect(await delaysOf({ attempts, backoff: { ...backoff, jitter: "full", random: high } })).toEqual([
			100,
			200,
			400,
		]);
		expect(await delaysOf({ attempts, backoff: { ...backoff, jitter: "equal", random: low } })).toEqual([50, 100, 200]);
		expect(await delaysOf({ attempts, backoff: { ...backoff, jitter: "equal", random: high } })).toEqual([
			100,
			200,
			400,
		]);
		const decorrelated = { ...backoff, jitter: "decorrelated" } as const;
		expect(await delaysOf({ attempts, backoff: { ...decorrelated, random: low } })).toEqual([100, 100, 100]);
		expect(await delaysOf({ attempts, backoff: { ...decorrelated, random: high } })).toEqual([300, 900, 1000]);
	});

	test("survives a source of randomness that throws or makes no sense", async () => {
		const broken = () => {
			throw new Error("no entropy");
		};
		const options = (random: () => number) => ({
			attempts: 3,
			backoff: { start: 8, factor: 1, jitter: "full", random } as const,
		});
		expect(await delaysOf(options(broken))).toEqual([8, 8]);
		expect(await delaysOf(options(() => NaN))).toEqual([8, 8]);
	});

	test("waits delays beyond 2^31 - 1 ms", async () => {
		const clock = new VirtualClock();
		const done = watch(run(failing(1), { attempts: 2, backoff: 2 ** 33, clock }));
		await clock.advance(2 ** 33 - 1);
		expect(done.state).toBe("pending");
		await clock.advance(1);
		expect(done.value).toBe(2);
	});

	test("grows beyond all numbers without a delay that is none", async () => {
		const delays = await delaysOf({ attempts: 40, backoff: { start: 1, factor: 1e30, max: 50 } });
		expect(delays.slice(0, 3)).toEqual([1, 50, 50]);
		expect(delays.length).toBe(39);
		for (const jitter of ["none", "full", "equal", "decorrelated"] as const) {
			for (const part of [0, 0.5, 1]) {
				const backoff = { start: 1, factor: 1e200, max: Infinity, jitter, random: () => part };
				const runner = new Runner(() => Promise.reject("failure"), { attempts: Infinity, backoff });
				for (let i = 0; i < 700; i++) expect((await runner.step()).delay).toBeGreaterThanOrEqual(0);
			}
		}
	});
});

describe("hints", () => {
	test("stopNow() ends the run with the original error", async () => {
		const task = vi.fn(() => {
			throw stopNow(new Error("404"));
		});
		await expect(run(task, { attempts: 9 })).rejects.toThrow("404");
		expect(task).toHaveBeenCalledTimes(1);
		expect(await errorOf(run(() => Promise.reject(stopNow()), { attempts: 9 }))).toBe(undefined);
	});

	test("retryNow() retries without delay and begins the backoff anew", async () => {
		const task = ({ attempt }: { attempt: number }) => {
			throw attempt === 3 ? retryNow(new Error("now")) : new Error("normal");
		};
		expect(await delaysOf({ attempts: 6, backoff: { start: 10, factor: 2 } }, task)).toEqual([10, 20, 0, 10, 20]);
	});

	test("resetBackoff() begins the backoff anew", async () => {
		const task = ({ attempt }: { attempt: number }) => {
			throw attempt === 3 ? resetBackoff(new Error("progress")) : new Error("normal");
		};
		expect(await delaysOf({ attempts: 6, backoff: { start: 10, factor: 2 } }, task)).toEqual([10, 20, 10, 20, 40]);
	});

	test("retryAfter() sets one delay, even above max, and leaves the backoff where it was", async () => {
		const task = ({ attempt }: { attempt: number }) => {
			throw attempt === 2 ? retryAfter(5000, new Error("429")) : new Error("normal");
		};
		const backoff = { start: 10, factor: 2, max: 100 };
		expect(await delaysOf({ attempts: 5, backoff }, task)).toEqual([10, 5000, 20, 40]);
		expect(await delaysOf({ attempts: 3 }, task)).toEqual([0, 5000]);
	});

	test("never reach the caller, not even as the previous error or when attempts run out", async () => {
		const error = new Error("original");
		const seen: unknown[] = [];
		const done = run(({ previousError }) => {
			seen.push(previousError);
			throw retryNow(error);
		}, { attempts: 2, onAttemptFailed: (failed) => void seen.push(failed.error) });
		expect(await errorOf(done)).toBe(error);
		expect(seen).toEqual([undefined, error, error, error]);
	});

	test("inside one another count as the outer one, with the innermost error", async () => {
		const error = new Error("innermost");
		const task = vi.fn(() => {
			throw stopNow(retryAfter(50, error));
		});
		expect(await errorOf(run(task, { attempts: 5 }))).toBe(error);
		expect(task).toHaveBeenCalledTimes(1);
	});

	test("of a copy of the library are understood", async () => {
		const task = vi.fn(() => {
			throw Object.assign(new Error("hint", { cause: "original" }), { upkeepHint: { stop: true } });
		});
		expect(await errorOf(run(task, { attempts: 5 }))).toBe("original");
		expect(task).toHaveBeenCalledTimes(1);
	});

	test("retryAfter() refuses a delay that is none", () => {
		expect(() => retryAfter(-1)).toThrow(RangeError);
		expect(() => retryAfter(NaN)).toThrow(RangeError);
		expect(() => retryAfter(Infinity)).toThrow('"delay" must be 0 or more, and finite: current value is Infinity');
		expect(() => retryAfter("soon" as never)).toThrow(TypeError);
	});
});

describe("run() timeout", () => {
	test("aborts the attempt's signal with a TimeoutError and fails with it", async () => {
		const clock = new VirtualClock();
		let reason: unknown;
		const done = watch(run(({ signal }) => {
			signal.addEventListener("abort", () => reason = signal.reason);
			return untilAborted(signal);
		}, { timeout: 50, clock }));
		await clock.advance(49);
		expect(done.state).toBe("pending");
		await clock.advance(1);
		expect(done.error).toBe(reason);
		expect(reason).toMatchObject({ name: "TimeoutError", message: "The timeout of 50 ms has passed" });
		expect(reason).toBeInstanceOf(DOMException);
		expect((reason as Error).cause).toBe(undefined);
	});

	test("counts from the beginning of the attempt, whenever the task reads its signal", async () => {
		for (const isAsync of [false, true]) {
			let now = 7;
			const due: number[] = [];
			const clock: Clock = {
				now: () => now,
				monotonic: () => now,
				set: (_timer, delay, since = now) => void due.push(since + delay),
				clear() {},
			};
			const controller = new AbortController();
			const task = async (context: TaskContext) => {
				now += 30;
				if (isAsync) await undefined;
				await untilAborted(context.signal);
			};
			const result = errorOf(run(task, { timeout: 50, signal: controller.signal, clock }));
			await settle();
			controller.abort("enough");
			expect(await result).toBe("enough");
			expect(due).toEqual([57]);
		}
	});

	test("bounds each attempt, and its cause is the error before", async () => {
		const clock = new VirtualClock();
		const done = watch(run(({ attempt, signal }) => attempt === 1 ? fail({ attempt }) : untilAborted(signal), {
			attempts: 2,
			timeout: 50,
			clock,
		}));
		await clock.runUntilIdle();
		expect(done.error).toMatchObject({ name: "TimeoutError", cause: { message: "failure 1" } });
	});

	test("outweighs what the task throws because of it, which becomes the cause", async () => {
		const clock = new VirtualClock();
		const done = watch(run(async ({ signal }) => {
			await untilAborted(signal).catch((cause) => {
				throw new Error("request failed", { cause });
			});
		}, { timeout: 50, clock }));
		await clock.runUntilIdle();
		const error = done.error as Error;
		expect(error).toMatchObject({ name: "TimeoutError", cause: { message: "request failed" } });
		// The chain of causes ends.
		expect(((error.cause as Error).cause as Error).cause).toBe(undefined);
	});

	test("is the same for a task that never read its signal", async () => {
		const clock = new VirtualClock();
		const done = watch(run(async () => {
			await sleep(60, { clock });
			throw new Error("slow failure");
		}, { timeout: 50, clock }));
		await clock.runUntilIdle();
		expect(done.error).toMatchObject({ name: "TimeoutError", cause: { message: "slow failure" } });
	});

	test("shows in a signal that is read after it", async () => {
		const clock = new VirtualClock();
		const done = run(async (context) => {
			await sleep(60, { clock });
			return context.signal.aborted && (context.signal.reason as Error).name;
		}, { timeout: 50, clock });
		await clock.runUntilIdle();
		expect(await done).toBe("TimeoutError");
	});

	test("does not undo a success, however late", async () => {
		const clock = new VirtualClock();
		const done = run(async ({ signal }) => {
			expect(signal.aborted).toBe(false);
			await sleep(60, { clock });
			expect(signal.aborted).toBe(true);
			return "sent";
		}, { attempts: 3, timeout: 50, clock });
		await clock.runUntilIdle();
		expect(await done).toBe("sent");
	});

	test("lets a hint steer what follows", async () => {
		const clock = new VirtualClock();
		const task = vi.fn(async ({ signal }: { signal: AbortSignal }) => {
			await untilAborted(signal).catch(() => {
				throw stopNow(new Error("gave up"));
			});
		});
		const done = watch(run(task, { attempts: 3, timeout: 50, clock }));
		await clock.runUntilIdle();
		expect(done.error).toMatchObject({ name: "TimeoutError", cause: { message: "gave up" } });
		expect(task).toHaveBeenCalledTimes(1);
	});

	test("works on the platform's own timers", async () => {
		const notBefore = performance.now() + 20;
		await expect(run(({ signal }) => untilAborted(signal), { timeout: 20 })).rejects.toMatchObject({
			name: "TimeoutError",
		});
		expect(performance.now()).toBeGreaterThanOrEqual(notBefore);
	});
});

describe("run() deadline", () => {
	test("bounds all attempts and delays", async () => {
		const clock = new VirtualClock();
		const starts: number[] = [];
		const done = watch(run(async ({ attempt, signal }) => {
			starts.push(clock.monotonic());
			if (attempt < 3) throw new Error(`failure ${attempt}`);
			await untilAborted(signal);
		}, { attempts: 9, backoff: 30, deadline: 100, clock }));
		await clock.runUntilIdle();
		expect(starts).toEqual([0, 30, 60]);
		expect(done.error).toMatchObject({ name: "TimeoutError", message: "The deadline of 100 ms has passed" });
		expect((done.error as Error).cause).toMatchObject({ message: "failure 2" });
		expect(clock.monotonic()).toBe(100);
	});

	test("fails at once instead of beginning a delay that would cross it", async () => {
		const clock = new VirtualClock();
		const done = watch(run(fail, { attempts: 9, backoff: 60, deadline: 100, clock }));
		await clock.runUntilIdle();
		expect(done.error).toMatchObject({ name: "TimeoutError", cause: { message: "failure 2" } });
		expect(clock.monotonic()).toBe(60);
	});

	test("counts the time that shouldRetry takes", async () => {
		const clock = new VirtualClock();
		const shouldRetry = () => sleep(100, { clock }).then(() => true);
		const done = watch(run(fail, { attempts: 9, deadline: 100, shouldRetry, clock }));
		await clock.runUntilIdle();
		expect(done.error).toMatchObject({ name: "TimeoutError", cause: { message: "failure 1" } });
	});

	test("is not a timeout that can be tried again", async () => {
		const clock = new VirtualClock();
		const task = vi.fn(({ signal }: { signal: AbortSignal }) => untilAborted(signal));
		const done = watch(run(task, { attempts: 9, deadline: 40, timeout: 40, clock }));
		await clock.runUntilIdle();
		expect(task).toHaveBeenCalledTimes(1);
		expect(done.error).toMatchObject({ message: "The deadline of 40 ms has passed" });
	});
});

describe("run() abandonAfter", () => {
	const deaf = () => new Promise<never>(() => {});

	test("gives up on a deaf task that long after the timeout, and may retry beside it", async () => {
		const clock = new VirtualClock();
		const starts: number[] = [];
		const done = watch(run(({ attempt }) => {
			starts.push(clock.monotonic());
			return attempt === 1 ? deaf() : "second";
		}, { attempts: 2, timeout: 50, abandonAfter: 20, clock }));
		await clock.advance(69);
		expect(starts).toEqual([0]);
		await clock.advance(1);
		await clock.runUntilIdle();
		expect(starts).toEqual([0, 70]);
		expect(done.value).toBe("second");
	});

	test("gives up on a deaf task that long after the abort, with the abort's reason", async () => {
		const clock = new VirtualClock();
		const controller = new AbortController();
		const done = watch(run(deaf, { signal: controller.signal, abandonAfter: 20, clock }));
		await clock.advance(1000);
		controller.abort("enough");
		await clock.advance(19);
		expect(done.state).toBe("pending");
		await clock.advance(1);
		expect(done).toMatchObject({ state: "rejected", error: "enough" });
	});

	test("0 gives up at once", async () => {
		const controller = new AbortController();
		const done = watch(run(deaf, { signal: controller.signal, abandonAfter: 0, clock: new VirtualClock() }));
		controller.abort("enough");
		await settle();
		expect(done).toMatchObject({ state: "rejected", error: "enough" });
	});

	test("gives up on a deaf task that was aborted by its own doing, but not on one that has returned", async () => {
		for (const abandonAfter of [0, 20]) {
			const clock = new VirtualClock();
			const results = [deaf(), Promise.resolve("sent"), "sent"].map((result) => {
				const controller = new AbortController();
				const task = () => {
					controller.abort("enough");
					return result;
				};
				return watch(run(task, { signal: controller.signal, abandonAfter, clock }));
			});
			await clock.advance(abandonAfter);
			expect(results.map(({ value, error }) => value ?? error)).toEqual(["enough", "sent", "sent"]);
		}
	});

	test("counts from the first of timeout and abort", async () => {
		const clock = new VirtualClock();
		const controller = new AbortController();
		const done = watch(run(deaf, { signal: controller.signal, timeout: 50, abandonAfter: 20, clock }));
		await clock.advance(60);
		controller.abort("enough");
		await clock.advance(10);
		expect(done).toMatchObject({ state: "rejected", error: "enough" });
	});

	test("drops the late result of what was abandoned, be it a value or an error", async () => {
		for (const outcome of ["resolve", "reject"] as const) {
			const clock = new VirtualClock();
			const late = deferred();
			const done = watch(run(() => late.promise, { timeout: 50, abandonAfter: 0, clock }));
			await clock.runUntilIdle();
			expect(done.error).toMatchObject({ name: "TimeoutError" });
			late[outcome](undefined);
			await settle();
		}
	});

	test("still takes the success of a task that comes before it is over", async () => {
		const clock = new VirtualClock();
		const done = watch(run(() => sleep(60, { clock }).then(() => "late"), { timeout: 50, abandonAfter: 20, clock }));
		await clock.runUntilIdle();
		expect(done.value).toBe("late");
	});
});

describe("run() signal", () => {
	test("rejects with the reason and calls nothing if it has aborted already", async () => {
		const task = vi.fn(() => 1);
		for (const reason of ["enough", undefined, null, 0]) {
			const { signal } = AbortSignal.abort(reason) && { signal: AbortSignal.abort(reason) };
			expect(await errorOf(run(task, { signal }))).toBe(signal.reason);
		}
		expect(task).not.toHaveBeenCalled();
	});

	test("ends a delay at once with its reason itself", async () => {
		const clock = new VirtualClock();
		const controller = new SpiedController();
		const done = watch(run(fail, { attempts: 3, backoff: 1000, signal: controller.signal, clock }));
		await clock.advance(10);
		expect(clock.pending).toBe(1);
		const reason = { not: "an error" };
		controller.abort(reason);
		expect(clock.pending).toBe(0);
		await settle();
		expect(done.error).toBe(reason);
		expect(controller.listeners).toBe(0);
	});

	test("aborts the attempt's signal with the same reason and waits for the task", async () => {
		const controller = new AbortController();
		const finish = deferred();
		let reason: unknown;
		const done = watch(run(async ({ signal }) => {
			signal.addEventListener("abort", () => reason = signal.reason);
			await finish.promise;
			throw new Error("cleaned up");
		}, { attempts: 3, signal: controller.signal }));
		controller.abort("enough");
		expect(reason).toBe("enough");
		await settle();
		expect(done.state).toBe("pending");
		finish.resolve();
		await settle();
		expect(done).toMatchObject({ state: "rejected", error: "enough" });
	});

	test("does not undo a success", async () => {
		const controller = new AbortController();
		const done = run(({ signal }) => {
			controller.abort("enough");
			expect(signal.aborted).toBe(true);
			return "sent";
		}, { signal: controller.signal });
		expect(await done).toBe("sent");
	});

	test("is the same for a task that never read its signal", async () => {
		const controller = new AbortController();
		const done = run(() => {
			controller.abort("enough");
			throw new Error("because of it");
		}, { attempts: 3, signal: controller.signal });
		expect(await errorOf(done)).toBe("enough");
	});

	test("outweighs a timeout that came first", async () => {
		const clock = new VirtualClock();
		const controller = new AbortController();
		const done = watch(run(() => sleep(100, { clock }).then(fail as never), {
			attempts: 3,
			timeout: 50,
			signal: controller.signal,
			clock,
		}));
		await clock.advance(60);
		controller.abort("enough");
		await clock.runUntilIdle();
		expect(done.error).toBe("enough");
	});

	test("can abort inside any of the run's callbacks", async () => {
		for (const name of ["shouldRetry", "onAttemptFailed"] as const) {
			const controller = new AbortController();
			const task = vi.fn(fail);
			const callback = () => {
				controller.abort("enough");
				return true;
			};
			expect(await errorOf(run(task, { attempts: 3, [name]: callback, signal: controller.signal }))).toBe("enough");
			expect(task).toHaveBeenCalledTimes(1);
		}
	});

	test("leaves no listener, no timer and no lasting signal behind, whatever happens", async () => {
		const clock = new VirtualClock();
		const controller = new SpiedController();
		const signals: AbortSignal[] = [];
		const reading =
			(outcome: (attempt: number) => unknown) => ({ attempt, signal }: { attempt: number; signal: AbortSignal }) => {
				signals.push(signal);
				return outcome(attempt);
			};
		const options = { attempts: 3, backoff: 10, timeout: 100, deadline: 1000, signal: controller.signal, clock };
		const all = [
			run(reading(() => 1), options),
			run(reading((attempt) => failing(2)({ attempt })), options),
			run(reading((attempt) => fail({ attempt })), options),
			run(reading(() => sleep(200, { clock })), options),
			run(reading(() => new Promise(() => {})), { ...options, abandonAfter: 5 }),
			run(() => 1, options),
		];
		const settled = Promise.allSettled(all);
		await clock.runUntilIdle();
		await settled;
		expect(clock.pending).toBe(0);
		expect(controller.listeners).toBe(0);
		controller.abort("much later");
		expect(signals.filter(({ reason }) => reason === "much later")).toEqual([]);
	});

	test("costs one listener, however many attempts are on it", async () => {
		const controller = new SpiedController();
		const finish = deferred();
		const all = Array.from({ length: 100 }, () =>
			run(({ signal }) => {
				signal.throwIfAborted();
				return finish.promise;
			}, { signal: controller.signal }));
		expect(controller.listeners).toBe(1);
		finish.resolve();
		await Promise.all(all);
		expect(controller.listeners).toBe(0);
	});

	test("is made only when the task reads it, and is the same at each read", async () => {
		const controller = new SpiedController();
		await run(() => 1, { signal: controller.signal, timeout: 1000 });
		expect(controller.added).toBe(0);
		await run((context) => expect(context.signal).toBe(context.signal), { signal: controller.signal });
		expect(controller.added).toBe(1);
	});

	test("read after the attempt is over never aborts any more", async () => {
		const controller = new SpiedController();
		let context!: { signal: AbortSignal };
		await run((given) => void (context = given), { signal: controller.signal });
		expect(context.signal.aborted).toBe(false);
		controller.abort();
		expect(context.signal.aborted).toBe(false);
		expect(controller.added).toBe(0);
	});
});

describe("run() shouldRetry and onAttemptFailed", () => {
	test("shouldRetry ends the run, also asynchronously", async () => {
		for (const shouldRetry of [() => false, async () => false]) {
			const task = vi.fn(fail);
			await expect(run(task, { attempts: 5, shouldRetry })).rejects.toThrow("failure 1");
			expect(task).toHaveBeenCalledTimes(1);
		}
	});

	test("shouldRetry is given the error without its hint, and the attempt's context", async () => {
		const seen: unknown[] = [];
		await run(({ attempt }) => {
			if (attempt < 3) throw retryNow(`error ${attempt}`);
		}, {
			attempts: 5,
			shouldRetry: (error, { attempt, signal }) => seen.push(error, attempt, signal.aborted) > 0,
		});
		expect(seen).toEqual(["error 1", 1, false, "error 2", 2, false]);
	});

	test("shouldRetry is asked only while there is something to decide", async () => {
		const shouldRetry = vi.fn(() => true);
		await errorOf(run(fail, { shouldRetry }));
		await errorOf(run(() => Promise.reject(stopNow()), { attempts: 5, shouldRetry }));
		const controller = new AbortController();
		await errorOf(run(() => {
			controller.abort();
			throw 1;
		}, { attempts: 5, shouldRetry, signal: controller.signal }));
		expect(shouldRetry).not.toHaveBeenCalled();
	});

	test("what shouldRetry throws rejects the run, thrown or rejected", async () => {
		const failed = vi.fn();
		const thrower = () => {
			throw new Error("no idea");
		};
		for (const shouldRetry of [thrower, async () => thrower()]) {
			await expect(run(fail, { attempts: 5, shouldRetry, onAttemptFailed: failed })).rejects.toThrow("no idea");
		}
		expect(failed.mock.calls.map(([{ error, again }]) => [error.message, again])).toEqual([
			["failure 1", false],
			["failure 1", false],
		]);
	});

	test("an abort while shouldRetry decides outweighs its answer", async () => {
		for (const answer of [() => true, () => Promise.reject(new Error("no idea"))]) {
			const controller = new AbortController();
			const done = run(fail, {
				attempts: 5,
				signal: controller.signal,
				shouldRetry: async (_error, { signal }) => {
					signal.addEventListener("abort", () => {});
					await settle();
					controller.abort("enough");
					expect(signal.aborted).toBe(true);
					return await answer();
				},
			});
			expect(await errorOf(done)).toBe("enough");
		}
	});

	test("onAttemptFailed is told about each failed attempt after the decision", async () => {
		const events: unknown[] = [];
		const clock = new VirtualClock();
		const done = run(failing(2), {
			attempts: 5,
			backoff: 10,
			clock,
			shouldRetry: () => events.push("asked") > 0,
			onAttemptFailed: ({ error, ...event }) => void events.push({ ...event, error: (error as Error).message }),
		});
		await clock.runUntilIdle();
		await done;
		expect(events).toEqual([
			"asked",
			{ attempt: 1, again: true, delay: 10, error: "failure 1" },
			"asked",
			{ attempt: 2, again: true, delay: 10, error: "failure 2" },
		]);
	});

	test("an observer that throws or rejects changes nothing", async () => {
		const thrower = () => {
			throw new Error("observer");
		};
		expect(await run(failing(1), { attempts: 2, onAttemptFailed: thrower })).toBe(2);
		expect(await run(failing(1), { attempts: 2, onAttemptFailed: (async () => thrower()) as () => void })).toBe(2);
	});
});

describe("run() checks its arguments", () => {
	const wrong: [RunnerOptions & Record<string, unknown>, string, unknown][] = [
		[{ attempts: 0 }, "RangeError", "attempts"],
		[{ attempts: -1 }, "RangeError", "attempts"],
		[{ attempts: 1.5 }, "RangeError", "attempts"],
		[{ attempts: NaN }, "RangeError", "attempts"],
		[{ attempts: "3" as never }, "TypeError", "attempts"],
		[{ attempts: null as never }, "TypeError", "attempts"],
		[{ attempts: 3n as never }, "TypeError", "attempts"],
		[{ backoff: -1 }, "RangeError", "backoff.start"],
		[{ backoff: Infinity }, "RangeError", "backoff.start"],
		[{ backoff: NaN }, "RangeError", "backoff.start"],
		[{ backoff: "fast" as never }, "TypeError", "backoff"],
		[{ backoff: null as never }, "TypeError", "backoff"],
		[{ backoff: {} as never }, "TypeError", "backoff.start"],
		[{ backoff: { start: 10, max: 5 } }, "RangeError", "backoff.max"],
		[{ backoff: { start: 10, max: NaN } }, "RangeError", "backoff.max"],
		[{ backoff: { start: 10, factor: 0.5 } }, "RangeError", "backoff.factor"],
		[{ backoff: { start: 10, factor: Infinity } }, "RangeError", "backoff.factor"],
		[{ backoff: { start: 10, jitter: "some" as never } }, "RangeError", "backoff.jitter"],
		[{ backoff: { start: 10, jitter: 5 as never } }, "TypeError", "backoff.jitter"],
		[{ backoff: { start: 10, random: 0.5 as never } }, "TypeError", "backoff.random"],
		[{ timeout: 0 }, "RangeError", "timeout"],
		[{ timeout: -5 }, "RangeError", "timeout"],
		[{ timeout: "1s" as never }, "TypeError", "timeout"],
		[{ deadline: 0 }, "RangeError", "deadline"],
		[{ deadline: NaN }, "RangeError", "deadline"],
		[{ abandonAfter: -1 }, "RangeError", "abandonAfter"],
		[{ abandonAfter: true as never }, "TypeError", "abandonAfter"],
		[{ shouldRetry: true as never }, "TypeError", "shouldRetry"],
		[{ onAttemptFailed: {} as never }, "TypeError", "onAttemptFailed"],
		[{ unref: 1 as never }, "TypeError", "unref"],
		[{ clock: {} as never }, "TypeError", "clock.set"],
		[{ clock: 5 as never }, "TypeError", "clock"],
	];

	test.each(wrong.map((row, index) => [index, row] as const))("refuses bad option #%s", async (_index, row) => {
		const [options, name, what] = row;
		const error = await errorOf(run(() => 1, options)) as Error;
		expect(error.constructor.name).toBe(name);
		expect(error.message).toMatch(`"${what}" must be `);
		expect(error.message).toMatch("current value is");
		expect(() => new Runner(() => 1, options)).toThrow(error.message);
	});

	test("refuses a signal, a task and options that are none", async () => {
		expect(await errorOf(run(() => 1, { signal: {} as never }))).toBeInstanceOf(TypeError);
		expect(await errorOf(run(() => 1, { signal: null as never }))).toBeInstanceOf(TypeError);
		expect(await errorOf(run("task" as never))).toBeInstanceOf(TypeError);
		expect(await errorOf(run(() => 1, null as never))).toBeInstanceOf(TypeError);
		expect(await errorOf(run(() => 1, 5 as never))).toBeInstanceOf(TypeError);
		expect(() => new Runner(undefined as never)).toThrow(TypeError);
		expect(() => new Runner(() => 1, null as never)).toThrow(TypeError);
	});

	test("takes an option that is undefined for one that is not given", async () => {
		const options: RunnerOptions = {
			attempts: undefined,
			backoff: undefined,
			timeout: undefined,
			deadline: undefined,
			abandonAfter: undefined,
			shouldRetry: undefined,
			onAttemptFailed: undefined,
			unref: undefined,
			clock: undefined,
		};
		expect(await run(() => 1, { ...options, signal: undefined })).toBe(1);
	});
});

describe("Runner", () => {
	test("step() makes one attempt and tells what follows", async () => {
		const runner = new Runner(failing(2), { attempts: 3, backoff: { start: 10, factor: 2 } });
		expect(await runner.step()).toMatchObject({ ok: false, again: true, delay: 10, error: { message: "failure 1" } });
		expect(await runner.step()).toMatchObject({ ok: false, again: true, delay: 20, error: { message: "failure 2" } });
		expect(await runner.step()).toEqual({ ok: true, value: 3, again: false, delay: 0 });
	});

	test("step() tells the last failure by again: false", async () => {
		const error = new Error("final");
		const runner = new Runner(() => Promise.reject(error), { attempts: 1, backoff: 10 });
		expect(await runner.step()).toEqual({ ok: false, error, again: false, delay: 0 });
	});

	test("step() with an aborted signal calls nothing", async () => {
		const task = vi.fn();
		const runner = new Runner(task, { attempts: 3 });
		const step = await runner.step({ signal: AbortSignal.abort("enough") });
		expect(step).toEqual({ ok: false, error: "enough", again: false, delay: 0 });
		expect(task).not.toHaveBeenCalled();
		await expect(runner.step()).rejects.toMatchObject({ name: "InvalidStateError" });
	});

	test("step() rejects with an InvalidStateError while a step is under way and after the last", async () => {
		const finish = deferred();
		const runner = new Runner(() => finish.promise);
		const first = runner.step();
		await expect(runner.step()).rejects.toMatchObject({ name: "InvalidStateError" });
		finish.resolve();
		expect((await first).ok).toBe(true);
		const error = await errorOf(runner.step());
		expect(error).toMatchObject({ name: "InvalidStateError" });
		expect(error).toBeInstanceOf(DOMException);
	});

	test("step() ends its attempt by the step's own signal and leaves no listener on it", async () => {
		const first = new SpiedController();
		const runner = new Runner(({ signal }) => untilAborted(signal), { attempts: 3, timeout: 10 });
		expect(await runner.step({ signal: first.signal })).toMatchObject({ again: true, error: { name: "TimeoutError" } });
		expect(first.listeners).toBe(0);
		first.abort("too late to matter");
		const second = new SpiedController();
		const step = runner.step({ signal: second.signal });
		second.abort("enough");
		expect(await step).toEqual({ ok: false, error: "enough", again: false, delay: 0 });
		expect(second.listeners).toBe(0);
	});

	test("step() without a signal knows nothing of the signal of the step before", async () => {
		const first = new AbortController();
		const runner = new Runner(failing(1), { attempts: 3 });
		expect(await runner.step({ signal: first.signal })).toMatchObject({ again: true });
		first.abort();
		expect(await runner.step()).toEqual({ ok: true, value: 2, again: false, delay: 0 });
	});

	test("step() after the deadline calls nothing", async () => {
		const clock = new VirtualClock();
		const task = vi.fn(fail);
		const runner = new Runner(task, { attempts: 3, backoff: 10, deadline: 100, clock });
		await clock.advance(500);
		expect(await runner.step()).toMatchObject({ again: true, delay: 10 });
		await clock.advance(100);
		const step = await runner.step();
		expect(step).toMatchObject({
			ok: false,
			again: false,
			error: { name: "TimeoutError", cause: { message: "failure 1" } },
		});
		expect(task).toHaveBeenCalledTimes(1);
	});

	test("step() rejects with what shouldRetry throws and is finished", async () => {
		const runner = new Runner(fail, { attempts: 3, shouldRetry: () => Promise.reject(new Error("no idea")) });
		await expect(runner.step()).rejects.toThrow("no idea");
		expect(runner.getSnapshot().state).toBe("finished");
	});

	test("step() checks its options", async () => {
		const runner = new Runner(() => 1);
		await expect(runner.step({ signal: 5 as never })).rejects.toBeInstanceOf(TypeError);
		await expect(runner.step(null as never)).rejects.toBeInstanceOf(TypeError);
		expect((await runner.step()).ok).toBe(true);
	});

	test("getSnapshot() follows the states, and subscribers are told", async () => {
		const runner = new Runner(failing(1), { attempts: 2 });
		const states: unknown[] = [];
		const unsubscribe = runner.subscribe(() => states.push(runner.getSnapshot()));
		const before = runner.getSnapshot();
		expect(runner.getSnapshot()).toBe(before);
		await runner.step();
		await runner.step();
		unsubscribe();
		expect(before).toEqual({ state: "idle", attempt: 0, error: undefined });
		expect(states).toMatchObject([
			{ state: "running" },
			{ state: "idle", attempt: 1, error: { message: "failure 1" } },
			{ state: "running" },
			{ state: "finished", attempt: 2, error: undefined },
		]);
	});
});
