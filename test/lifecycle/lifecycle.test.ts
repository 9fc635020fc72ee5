import { type } from "../schemas.ts";
import * as v from "valibot";
import { describe, expect, test, vi } from "vitest";
import {
	type ConfigContext,
	Lifecycle,
	type LifecycleState,
	sleep,
	type StandardSchema,
	stopNow,
	ValidationError,
} from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { afterMicrotasks, atEachMicrotask } from "../every-microtask.ts";
import { atEachCall } from "../reentry.ts";
import { deferred, errorOf, settle, SpiedController, untilAborted, watch } from "../support.ts";

/** A lifecycle whose applications wait until the test releases them. */
class Held {
	readonly applied: { config: unknown; signal: AbortSignal; finish: () => void; fail: (error: unknown) => void }[] = [];
	running = 0;
	readonly lifecycle: Lifecycle;

	constructor(options: ConstructorParameters<typeof Lifecycle>[1] = {}) {
		this.lifecycle = new Lifecycle(async (config: unknown, { signal }: ConfigContext) => {
			expect(++this.running).toBe(1);
			const { promise, resolve, reject } = deferred();
			this.applied.push({ config, signal, finish: () => resolve(), fail: reject });
			await promise.finally(() => this.running--);
		}, options);
	}

	get configs(): unknown[] {
		return this.applied.map(({ config }) => config);
	}
}

describe("Lifecycle", () => {
	test("is inactive until start(), then active; starting and stopping twice is harmless", async () => {
		const lifecycle = new Lifecycle(() => {});
		expect([lifecycle.state, lifecycle.error]).toEqual(["inactive", undefined]);
		expect(await lifecycle.stop()).toBe("inactive");
		const started = lifecycle.start();
		expect(lifecycle.state).toBe("active");
		expect([await started, await lifecycle.start()]).toEqual(["active", "active"]);
		expect([await lifecycle.stop(), await lifecycle.stop()]).toEqual(["inactive", "inactive"]);
		expect(lifecycle.state).toBe("inactive");
	});

	test("is loading while a configuration is applied, then active", async () => {
		const { lifecycle, applied } = new Held();
		await lifecycle.start();
		const configured = lifecycle.configure({ a: 1 });
		expect(lifecycle.state).toBe("loading");
		expect(applied[0]!.config).toEqual({ a: 1 });
		applied[0]!.finish();
		expect(await configured).toBe("active");
		expect(lifecycle.state).toBe("active");
		expect(applied[0]!.signal.aborted).toBe(false);
	});

	test("is in error when an application fails, and accepts the next configuration", async () => {
		const lifecycle = new Lifecycle((config: { bad?: boolean }) => {
			if (config.bad) throw new Error("bad");
		});
		await lifecycle.start();
		expect(await lifecycle.configure({ bad: true })).toBe("error");
		expect([lifecycle.state, lifecycle.error]).toMatchObject(["error", { message: "bad" }]);
		expect(await lifecycle.start()).toBe("error");
		expect(await lifecycle.configure({})).toBe("active");
		expect(lifecycle.error).toBe(undefined);
	});

	test("aborts a configuration's signal when a newer one arrives, applied or not, and waits for its application", async () => {
		const { lifecycle, applied } = new Held();
		await lifecycle.start();
		const first = watch(lifecycle.configure(1));
		const second = watch(lifecycle.configure(2));
		expect(applied[0]!.signal).toMatchObject({ aborted: true, reason: { name: "AbortError" } });
		await settle();
		expect(first).toMatchObject({ state: "resolved", value: "loading" });
		expect(applied.length).toBe(1);
		applied[0]!.finish();
		await settle();
		expect([applied.length, lifecycle.state]).toEqual([2, "loading"]);
		applied[1]!.finish();
		await settle();
		expect(second.value).toBe("active");
		expect(applied[1]!.signal.aborted).toBe(false);
		lifecycle.configure(3);
		expect(applied[1]!.signal.aborted).toBe(true);
	});

	test("applies only the newest of several that wait", async () => {
		const held = new Held();
		const { lifecycle, applied } = held;
		await lifecycle.start();
		const results = [1, 2, 3, 4].map((config) => watch(lifecycle.configure(config)));
		applied[0]!.fail(new Error("of no importance any more"));
		await settle();
		applied[1]!.finish();
		await settle();
		expect(held.configs).toEqual([1, 4]);
		expect(results.map(({ value }) => value)).toEqual(["loading", "loading", "loading", "active"]);
	});

	test("stop() aborts, is inactive at once, resolves waiting configures and settles after the application", async () => {
		const { lifecycle, applied } = new Held();
		await lifecycle.start();
		const configured = [1, 2].map((config) => watch(lifecycle.configure(config)));
		const stopped = watch(lifecycle.stop());
		const again = watch(lifecycle.stop());
		expect(lifecycle.state).toBe("inactive");
		expect(applied[0]!.signal.aborted).toBe(true);
		await settle();
		expect(configured.map(({ value }) => value).slice(1)).toEqual(["inactive"]);
		expect([stopped.state, again.state]).toEqual(["pending", "pending"]);
		applied[0]!.finish();
		await settle();
		expect([stopped.value, again.value, lifecycle.state]).toEqual(["inactive", "inactive", "inactive"]);
		expect(applied.length).toBe(1);
	});

	test("stop() aborts the signal of a configuration that was applied", async () => {
		const { lifecycle, applied } = new Held();
		await lifecycle.start();
		const configured = lifecycle.configure(1);
		applied[0]!.finish();
		await configured;
		await lifecycle.stop();
		expect(applied[0]!.signal).toMatchObject({ aborted: true, reason: { name: "AbortError" } });
	});

	test("start() after stop() begins without configuration, and never overlaps with what is still stopping", async () => {
		const held = new Held();
		const { lifecycle, applied } = held;
		await lifecycle.start();
		lifecycle.configure(1);
		const stopped = watch(lifecycle.stop());
		await lifecycle.start();
		expect(lifecycle.state).toBe("active");
		const configured = watch(lifecycle.configure(2));
		await settle();
		expect([held.configs, lifecycle.state, stopped.state]).toEqual([[1], "active", "pending"]);
		applied[0]!.finish();
		await settle();
		expect([held.configs, lifecycle.state, stopped.state]).toEqual([[1, 2], "loading", "resolved"]);
		applied[1]!.finish();
		await settle();
		expect(configured.value).toBe("active");
	});

	test("configure() before start() rejects with an InvalidStateError and changes nothing", async () => {
		const apply = vi.fn();
		const lifecycle = new Lifecycle(apply);
		expect(await errorOf(lifecycle.configure({}))).toMatchObject({
			name: "InvalidStateError",
			message: "The lifecycle is not started: call start() first",
		});
		await lifecycle.start();
		await lifecycle.stop();
		expect(await errorOf(lifecycle.configure({}))).toBeInstanceOf(DOMException);
		expect(apply).not.toHaveBeenCalled();
	});

	test("the signal of a failed application aborts, so that what it has begun ends", async () => {
		let signal: AbortSignal | undefined;
		const lifecycle = new Lifecycle((_config, context) => {
			signal = context.signal;
			throw stopNow("failure");
		});
		await lifecycle.start();
		expect(await lifecycle.configure(1)).toBe("error");
		expect([signal!.reason, lifecycle.error]).toEqual(["failure", "failure"]);
	});

	test("may call its own methods inside applyConfig", async () => {
		const seen: unknown[] = [];
		const results: Promise<LifecycleState>[] = [];
		const lifecycle: Lifecycle<string> = new Lifecycle(async (config: string, { signal }) => {
			seen.push(config);
			if (config === "configure") results.push(lifecycle.configure(`"inner"`));
			if (config === "stop") results.push(lifecycle.stop());
			if (config === "restart") results.push(lifecycle.stop(), lifecycle.start(), lifecycle.configure(`"inner"`));
			await settle();
			seen.push(signal.aborted);
		});
		for (const config of ["configure", "stop", "restart"]) {
			await lifecycle.start();
			await lifecycle.configure(JSON.stringify(config));
			await Promise.all(results);
			await lifecycle.stop();
		}
		expect(seen).toEqual(["configure", true, "inner", false, "stop", true, "restart", true, "inner", false]);
	});

	test("may be changed by its subscribers", async () => {
		const applied: unknown[] = [];
		const lifecycle = new Lifecycle((config) => void applied.push(config));
		const unsubscribe = lifecycle.subscribe(() => {
			if (lifecycle.state !== "loading") return;
			unsubscribe();
			lifecycle.configure(2);
		});
		await lifecycle.start();
		await lifecycle.configure(1);
		expect(await lifecycle.waitForStateChange("loading")).toBe("active");
		expect(applied.at(-1)).toBe(2);
	});

	test("Symbol.asyncDispose stops it, where the runtime has that symbol", async () => {
		if (Symbol.asyncDispose === undefined) return;
		const lifecycle = new Lifecycle(() => {});
		await lifecycle.start();
		await lifecycle[Symbol.asyncDispose]();
		await lifecycle[Symbol.asyncDispose]();
		expect(lifecycle.state).toBe("inactive");
	});
});

describe("Lifecycle readConfig", () => {
	test("reads JSON in strings and bytes by default, and takes any other value as it is", async () => {
		const configs: unknown[] = [];
		const lifecycle = new Lifecycle((config) => void configs.push(config));
		await lifecycle.start();
		const bytes = new TextEncoder().encode(`{"a":"ä"}`);
		for (const data of [`{"a":1}`, bytes, bytes.buffer, new DataView(bytes.buffer), { a: 2 }, 3, null, undefined]) {
			expect(await lifecycle.configure(data)).toBe("active");
		}
		expect(configs).toEqual([{ a: 1 }, { a: "ä" }, { a: "ä" }, { a: "ä" }, { a: 2 }, 3, null, undefined]);
	});

	test("that fails rejects configure() and changes nothing", async () => {
		const held = new Held();
		const { lifecycle, applied } = held;
		await lifecycle.start();
		const configured = lifecycle.configure(1);
		for (const data of ["no JSON", "", new Uint8Array([0xff, 0xfe])]) {
			expect((await errorOf(lifecycle.configure(data)) as Error).name).toMatch(/SyntaxError|TypeError/);
		}
		expect([applied[0]!.signal.aborted, lifecycle.state]).toEqual([false, "loading"]);
		applied[0]!.finish();
		expect(await configured).toBe("active");
		expect(held.configs).toEqual([1]);
	});

	test("may be a function, also an async one", async () => {
		const configs: unknown[] = [];
		const readConfig = async (data: unknown) => {
			if (data === "bad") throw new Error("unreadable");
			return `read ${data}`;
		};
		const lifecycle = new Lifecycle((config: string) => void configs.push(config), { readConfig });
		await lifecycle.start();
		await lifecycle.configure("it");
		await expect(lifecycle.configure("bad")).rejects.toThrow("unreadable");
		expect([configs, lifecycle.state]).toEqual([["read it"], "active"]);
	});

	test("that takes its time does not let an older configuration win", async () => {
		const reads = new Map([1, 2].map((data) => [data, deferred()]));
		const configs: unknown[] = [];
		const lifecycle = new Lifecycle((config) => void configs.push(config), {
			readConfig: (data: unknown) => reads.get(data as number)!.promise.then(() => data),
		});
		await lifecycle.start();
		const [first, second] = [lifecycle.configure(1), lifecycle.configure(2)];
		reads.get(2)!.resolve();
		expect(await second).toBe("active");
		reads.get(1)!.resolve();
		expect(await first).toBe("active");
		expect(configs).toEqual([2]);
	});

	test("that is overtaken by a stop leaves the configuration unapplied, also after the next start", async () => {
		const read = deferred();
		const apply = vi.fn();
		const lifecycle = new Lifecycle(apply, { readConfig: () => read.promise });
		await lifecycle.start();
		const configured = lifecycle.configure(1);
		await lifecycle.stop();
		await lifecycle.start();
		read.resolve();
		expect(await configured).toBe("inactive");
		expect(apply).not.toHaveBeenCalled();
	});

	test("may be a Standard Schema validator, sync or async, and gets what JSON gives", async () => {
		const configs: unknown[] = [];
		const schemas = [
			v.object({ port: v.pipe(v.number(), v.minValue(1)) }),
			v.objectAsync({ port: v.pipeAsync(v.number(), v.checkAsync(async (port) => port >= 1)) }),
		];
		for (const readConfig of schemas) {
			const lifecycle = new Lifecycle((config: { port: number }) => void configs.push(config.port), { readConfig });
			await lifecycle.start();
			expect(await lifecycle.configure(`{"port": 80, "more": 1}`)).toBe("active");
			expect(await lifecycle.configure({ port: 81 })).toBe("active");
			const error = await errorOf(lifecycle.configure({ port: "80" }));
			expect(error).toBeInstanceOf(ValidationError);
			expect(error).toMatchObject({ name: "ValidationError", issues: [{ message: expect.any(String) }] });
			expect((error as Error).message).toMatch(/^port: /);
			expect(lifecycle.state).toBe("active");
		}
		expect(configs).toEqual([80, 81, 80, 81]);
	});

	test("may be a validator whose thenable gives nothing itself", async () => {
		const validate = (value: unknown) => ({
			then(resolve: (result: unknown) => void) {
				resolve({ value: [value] });
			},
		});
		const schema = { "~standard": { version: 1, vendor: "other", validate } } as unknown as StandardSchema;
		const configs: unknown[] = [];
		const lifecycle = new Lifecycle((config) => void configs.push(config), { readConfig: schema });
		await lifecycle.start();
		await lifecycle.configure(1);
		expect(configs).toEqual([[1]]);
	});

	test("may be a validator that is a function, as ArkType's are", async () => {
		const lifecycle = new Lifecycle(() => {}, { readConfig: type((data) => data === 1 ? [] : ["not 1"]) });
		await lifecycle.start();
		expect(await lifecycle.configure(1)).toBe("active");
		await expect(lifecycle.configure(2)).rejects.toThrow("not 1");
	});
});

describe("Lifecycle retry", () => {
	test("applies a failing configuration again until it succeeds; configure() resolves after the first failure", async () => {
		const clock = new VirtualClock();
		const states: string[] = [];
		let calls = 0;
		const lifecycle = new Lifecycle(() => {
			if (++calls < 4) throw new Error(`failure ${calls}`);
		}, { retry: { backoff: { start: 10, factor: 2 } }, clock });
		lifecycle.subscribe(() => states.push(lifecycle.state));
		await lifecycle.start();
		const configured = lifecycle.configure({});
		await clock.advance(0);
		expect(await configured).toBe("error");
		expect(lifecycle.error).toMatchObject({ message: "failure 1" });
		await clock.runUntilIdle();
		expect([calls, clock.monotonic(), lifecycle.state, lifecycle.error]).toEqual([4, 70, "active", undefined]);
		expect(states).toEqual(["active", "loading", "error", "loading", "error", "loading", "error", "loading", "active"]);
	});

	test("ends at once when the configuration is replaced or the lifecycle stops", async () => {
		const clock = new VirtualClock();
		const configs: unknown[] = [];
		const lifecycle = new Lifecycle((config) => {
			configs.push(config);
			if (config === "bad") throw new Error("bad");
		}, { retry: { backoff: 10, clock } });
		await lifecycle.start();
		await lifecycle.configure(`"bad"`);
		expect(await lifecycle.configure(`"good"`)).toBe("active");
		expect(clock.pending).toBe(0);
		expect(await lifecycle.configure(`"bad"`)).toBe("error");
		await lifecycle.stop();
		expect([clock.pending, lifecycle.state, lifecycle.error]).toEqual([0, "inactive", undefined]);
		expect(configs).toEqual(["bad", "good", "bad"]);
	});

	test("gives each attempt a signal of its own, which its timeout aborts", async () => {
		const clock = new VirtualClock();
		const signals: AbortSignal[] = [];
		const lifecycle = new Lifecycle(async (_config, { signal }) => {
			signals.push(signal);
			if (signals.length < 3) await untilAborted(signal);
		}, { retry: { timeout: 50 }, clock });
		await lifecycle.start();
		lifecycle.configure(1);
		await clock.runUntilIdle();
		expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, false]);
		expect(signals[0]!.reason).toMatchObject({ name: "TimeoutError" });
		expect(lifecycle.state).toBe("active");
	});

	test("counts an application that returns after its timeout as failed, as its signal has aborted", async () => {
		const clock = new VirtualClock();
		const signals: AbortSignal[] = [];
		const lifecycle = new Lifecycle(async (_config, { signal }) => {
			signals.push(signal);
			await sleep(signals.length < 3 ? 80 : 10, { clock });
		}, { retry: { timeout: 50 }, clock });
		const seen: (readonly [string, boolean | undefined])[] = [];
		lifecycle.subscribe(() => seen.push([lifecycle.state, signals.at(-1)?.aborted]));
		await lifecycle.start();
		const configured = lifecycle.configure(1);
		await clock.runUntilIdle();
		expect([await configured, (lifecycle.error as Error | undefined)?.name]).toEqual(["error", undefined]);
		expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, false]);
		expect(seen.filter(([state]) => state === "active" || state === "error")).toEqual([
			["active", undefined],
			["error", true],
			["error", true],
			["active", false],
		]);
		await lifecycle.stop();
	});

	test("with attempts gives up after so many", async () => {
		const clock = new VirtualClock();
		const apply = vi.fn(() => Promise.reject(new Error("bad")));
		const lifecycle = new Lifecycle(apply, { retry: { attempts: 3 }, clock });
		await lifecycle.start();
		lifecycle.configure(1);
		await clock.runUntilIdle();
		expect([apply.mock.calls.length, lifecycle.state]).toEqual([3, "error"]);
	});

	test("abandonAfter lets stop() give up on a deaf application", async () => {
		const clock = new VirtualClock();
		const lifecycle = new Lifecycle(() => new Promise(() => {}), { retry: { abandonAfter: 100 }, clock });
		await lifecycle.start();
		lifecycle.configure(1);
		const stopped = watch(lifecycle.stop());
		await clock.advance(99);
		expect(stopped.state).toBe("pending");
		await clock.advance(1);
		expect(stopped.value).toBe("inactive");
	});
});

describe("Lifecycle.waitForStateChange()", () => {
	test("resolves with the state at once if it is another, else with the next one", async () => {
		const { lifecycle, applied } = new Held();
		expect(await lifecycle.waitForStateChange("active")).toBe("inactive");
		const active = lifecycle.waitForStateChange("inactive");
		await lifecycle.start();
		expect(await active).toBe("active");
		const flash = lifecycle.waitForStateChange("active");
		lifecycle.configure(1);
		applied[0]!.finish();
		expect(await flash).toBe("loading");
	});

	test("sees a state that is over before anybody could have looked", async () => {
		const lifecycle = new Lifecycle(() => {});
		const changed = lifecycle.waitForStateChange("inactive");
		lifecycle.start();
		lifecycle.stop();
		expect(await changed).toBe("active");
	});

	test("rejects with the signal's reason and leaves no listener", async () => {
		const lifecycle = new Lifecycle(() => {});
		const controller = new SpiedController();
		const waiting = lifecycle.waitForStateChange("inactive", { signal: controller.signal });
		controller.abort("enough");
		expect(await errorOf(waiting)).toBe("enough");
		expect(await errorOf(lifecycle.waitForStateChange("inactive", { signal: controller.signal }))).toBe("enough");
		const other = new SpiedController();
		const second = lifecycle.waitForStateChange("inactive", { signal: other.signal });
		await lifecycle.start();
		await second;
		expect([controller.listeners, other.listeners]).toEqual([0, 0]);
	});

	test("checks its arguments", async () => {
		const lifecycle = new Lifecycle(() => {});
		await expect(lifecycle.waitForStateChange("idle" as never)).rejects.toBeInstanceOf(RangeError);
		await expect(lifecycle.waitForStateChange("active", { signal: 5 as never })).rejects.toBeInstanceOf(TypeError);
		expect(() => new Lifecycle("apply" as never)).toThrow(TypeError);
		expect(() => new Lifecycle(() => {}, { readConfig: 5 as never })).toThrow(TypeError);
		expect(() => new Lifecycle(() => {}, { retry: { attempts: 0 } })).toThrow(RangeError);
		expect(() => new Lifecycle(() => {}, { retry: 3 as never })).toThrow(TypeError);
		expect(() => new Lifecycle(() => {}, { onError: 3 as never })).toThrow(TypeError);
		expect(() => new Lifecycle(() => {}, { clock: 3 as never })).toThrow(TypeError);
		expect(() => new Lifecycle(() => {}, null as never)).toThrow(TypeError);
	});
});

describe("Lifecycle.getSnapshot()", () => {
	test("is stable between changes, and subscribers that throw reach onError", async () => {
		const errors: unknown[] = [];
		const lifecycle = new Lifecycle(() => sleep(0), { onError: (error) => void errors.push(error) });
		const { subscribe, getSnapshot } = lifecycle;
		expect(getSnapshot()).toBe(getSnapshot());
		subscribe(() => {
			throw new Error("subscriber");
		});
		await lifecycle.start();
		expect(getSnapshot()).toEqual({ state: "active", error: undefined });
		expect(await lifecycle.configure(1)).toBe("active");
		expect(errors.length).toBe(3);
	});
});

describe("Lifecycle at each microtask", () => {
	const events: Record<string, (lifecycle: Lifecycle) => Promise<unknown>> = {
		"a stop": (lifecycle) => lifecycle.stop(),
		"a newer configuration": (lifecycle) => lifecycle.configure("newer"),
		"two newer configurations": (lifecycle) =>
			Promise.all([lifecycle.configure("between"), lifecycle.configure("newer")]),
		"a stop, a start and a configuration": (lifecycle) => {
			const stopped = lifecycle.stop();
			lifecycle.start();
			return Promise.all([stopped, lifecycle.configure("newer")]);
		},
	};

	for (const [title, act] of Object.entries(events)) {
		for (const outcome of ["succeeds", "fails", "fails and is tried again"]) {
			test(`${title} around the moment in which an application ${outcome} leaves the newest configuration, and no overlap`, async () => {
				await atEachMicrotask(30, async (k) => {
					const clock = new VirtualClock();
					let [running, most] = [0, 0];
					const applied: unknown[] = [];
					const signals: AbortSignal[] = [];
					const acted: Promise<unknown>[] = [];
					const retry = outcome === "fails and is tried again" ? { backoff: 5 } : undefined;
					const lifecycle: Lifecycle = new Lifecycle(async (config: unknown, { signal }: ConfigContext) => {
						most = Math.max(most, ++running);
						applied.push(config);
						signals.push(signal);
						if (applied.length === 1) afterMicrotasks(k, () => acted.push(act(lifecycle)));
						await undefined;
						running--;
						if (outcome !== "succeeds" && config === "first") throw new Error("failure");
					}, { readConfig: (data) => data, retry, clock });
					await lifecycle.start();
					const configured = lifecycle.configure("first");
					await clock.advance(1);
					expect(["active", "error", "inactive", "loading"]).toContain(await configured);
					await clock.advance(100);
					await Promise.all(acted);
					expect([most, running]).toEqual([1, 0]);
					const isStop = title === "a stop";
					expect(lifecycle.state).toBe(isStop ? "inactive" : "active");
					if (!isStop) expect(applied.at(-1)).toBe("newer");
					expect(signals.map(({ aborted }) => aborted)).toEqual(
						signals.map((_, i) => isStop || i < signals.length - 1),
					);
					await lifecycle.stop();
					expect([signals.every(({ aborted }) => aborted), clock.pending]).toEqual([true, 0]);
				});
			});
		}
	}
});

describe("Lifecycle re-entered", () => {
	const actions: Record<string, (lifecycle: Lifecycle) => unknown> = {
		"start()": (lifecycle) => lifecycle.start(),
		"stop()": (lifecycle) => lifecycle.stop(),
		"stop() and start()": (lifecycle) => [lifecycle.stop(), lifecycle.start()],
		"configure()": (lifecycle) => lifecycle.configure("inner"),
		"configure() with unreadable data": (lifecycle) => lifecycle.configure("bad"),
		"waitForStateChange()": (lifecycle) => lifecycle.waitForStateChange(lifecycle.state),
		"getSnapshot()": (lifecycle) => lifecycle.getSnapshot(),
	};

	for (const [title, act] of Object.entries(actions)) {
		test(`${title} from each callback, at each of its calls, breaks no law`, async () => {
			await atEachCall(async (reentry) => {
				const clock = new VirtualClock();
				let [running, most, failures] = [0, 0, 0];
				const signals: AbortSignal[] = [];
				const calls: Promise<unknown>[] = [];
				const call = (value: unknown) => {
					for (const one of [value].flat()) calls.push(Promise.resolve(one).catch((error) => error));
				};
				const lifecycle: Lifecycle = new Lifecycle(async (config: unknown, { signal }: ConfigContext) => {
					most = Math.max(most, ++running);
					signals.push(signal);
					signal.addEventListener("abort", reentry.enter);
					reentry.enter();
					await undefined;
					running--;
					if (config === "failing" && ++failures < 3) throw new Error("failure");
				}, {
					readConfig: (data) => {
						reentry.enter();
						if (data === "bad") throw new SyntaxError("bad");
						return data;
					},
					retry: {
						backoff: 5,
						shouldRetry: () => {
							reentry.enter();
							return true;
						},
						onAttemptFailed: reentry.enter,
					},
					onError: reentry.enter,
					clock,
				});
				reentry.act = () => call(act(lifecycle));
				lifecycle.subscribe(reentry.enter);
				call(lifecycle.start());
				call(lifecycle.configure("first"));
				await clock.advance(1);
				call(lifecycle.configure("failing"));
				call(lifecycle.configure("bad"));
				await clock.advance(50);
				call(lifecycle.configure("second"));
				call(lifecycle.configure("third"));
				await clock.advance(50);
				call(lifecycle.stop());
				await clock.advance(50);
				call(lifecycle.stop());
				await clock.runUntilIdle();
				reentry.act = () => {};
				// Causes one more change of state for pending waits.
				await lifecycle.start();
				await lifecycle.stop();
				await Promise.all(calls);
				expect([lifecycle.state, most <= 1, running, clock.pending]).toEqual(["inactive", true, 0, 0]);
				expect(signals.filter(({ aborted }) => !aborted)).toEqual([]);
			});
		});
	}
});
