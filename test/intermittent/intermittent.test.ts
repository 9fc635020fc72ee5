import { describe, expect, test, vi } from "vitest";
import { type Clock, Intermittent, IntermittentMap, type IntermittentStop, sleep, type Timer } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { makeCounted, starts, stops } from "./counted-operation.ts";
import { afterMicrotasks, atEachMicrotask } from "../every-microtask.ts";
import { atEachCall } from "../reentry.ts";
import { deferred, errorOf, isPage, settle, SpiedController, watch } from "../support.ts";

/** An operation that detects concurrent runs, and whose starts and stops a test can block. */
class Operation {
	readonly log: string[] = [];
	readonly signals: AbortSignal[] = [];
	running = 0;
	started = Promise.resolve<unknown>(undefined);
	stopped: unknown;

	readonly start = async (signal: AbortSignal): Promise<{ value: number; stop: () => unknown }> => {
		expect(++this.running).toBe(1);
		this.signals.push(signal);
		this.log.push("start");
		try {
			await this.started;
		} catch (error) {
			this.running--;
			throw error;
		}
		return { value: this.signals.length, stop: this.stop };
	};

	readonly stop = (): unknown => {
		this.log.push(`stop${this.signals.at(-1)!.aborted ? "" : " before its signal"}`);
		const { stopped } = this;
		if (stopped instanceof Promise) return stopped.finally(() => this.running--);
		this.running--;
		return stopped;
	};
}

describe("Intermittent.attach()", () => {
	test("starts the operation for the first listener and resolves with its value for each", async () => {
		const operation = new Operation();
		const shared = new Intermittent(operation.start);
		const [a, b] = [new SpiedController(), new SpiedController()];
		expect(shared.state).toBe("idle");
		const first = shared.attach(a.signal);
		expect(shared.state).toBe("starting");
		const second = shared.attach(b.signal);
		expect(await Promise.all([first, second])).toEqual([1, 1]);
		expect(await shared.attach(b.signal)).toBe(1);
		expect([shared.state, shared.listeners]).toEqual(["running", 3]);
		expect([a.listeners, b.listeners]).toEqual([1, 1]);
		a.abort();
		expect([shared.state, shared.listeners]).toEqual(["running", 2]);
		b.abort();
		expect([shared.state, shared.listeners]).toEqual(["idle", 0]);
		expect(operation.log).toEqual(["start", "stop"]);
		expect([a.listeners, b.listeners]).toEqual([0, 0]);
	});

	test("takes a stop function, { value, stop }, either part of it, or nothing", async () => {
		for (const started of [() => {}, { value: 1, stop: () => {} }, { stop: () => {} }, { value: 1 }, {}, undefined]) {
			const controller = new AbortController();
			const shared = new Intermittent(() => started);
			expect(await shared.attach(controller.signal)).toBe((started as { value?: number } | undefined)?.value);
			controller.abort();
			expect(shared.state).toBe("idle");
		}
	});

	test("refuses a start that gives anything else", async () => {
		for (const started of [1, "on", null, { stop: "it" }]) {
			const shared = new Intermittent(() => started as never);
			await expect(shared.attach(new AbortController().signal)).rejects.toBeInstanceOf(TypeError);
			expect([shared.state, shared.listeners]).toEqual(["idle", 0]);
		}
	});

	test("rejects with the reason of an aborted signal and starts nothing", async () => {
		const operation = new Operation();
		const shared = new Intermittent(operation.start);
		expect(await errorOf(shared.attach(AbortSignal.abort("enough")))).toBe("enough");
		expect(operation.log).toEqual([]);
		await expect(shared.attach({} as never)).rejects.toBeInstanceOf(TypeError);
		await expect(shared.attach(undefined as never)).rejects.toBeInstanceOf(TypeError);
	});

	test("rejects with its signal's reason at once if that aborts during the start", async () => {
		const operation = new Operation();
		operation.started = new Promise(() => {});
		const shared = new Intermittent(operation.start);
		const [a, b] = [new AbortController(), new AbortController()];
		const first = watch(shared.attach(a.signal));
		const second = watch(shared.attach(b.signal));
		a.abort("enough");
		await settle();
		expect(first.error).toBe("enough");
		expect(second.state).toBe("pending");
		expect(operation.signals[0]!.aborted).toBe(false);
		b.abort("enough too");
		expect(operation.signals[0]!.reason).toBe("enough too");
		expect(shared.state).toBe("stopping");
	});

	test("resolves with the value while it runs, even if a subscriber aborts it in that moment", async () => {
		const shared = new Intermittent(() => ({ value: 1 }));
		const [first, second] = [new AbortController(), new AbortController()];
		await shared.attach(first.signal);
		shared.subscribe(() => {
			first.abort();
			second.abort();
		});
		expect([await shared.attach(second.signal), shared.state]).toEqual([1, "idle"]);
	});

	test("of a failing start rejects for the one that caused it; the others try starts of their own", async () => {
		const start = vi.fn(async (_signal: AbortSignal) => {
			await settle();
			if (start.mock.calls.length < 3) throw new Error(`failure ${start.mock.calls.length}`);
			return { value: "started" };
		});
		const shared = new Intermittent(start);
		const controllers = Array.from({ length: 4 }, () => new SpiedController());
		const results = await Promise.allSettled(controllers.map(({ signal }) => shared.attach(signal)));
		expect(results.map((result) => result.status === "rejected" ? result.reason.message : result.value)).toEqual([
			"failure 1",
			"failure 2",
			"started",
			"started",
		]);
		expect(start).toHaveBeenCalledTimes(3);
		expect([shared.state, shared.listeners]).toEqual(["running", 2]);
		expect(controllers.map(({ listeners }) => listeners)).toEqual([0, 0, 1, 1]);
	});

	test("survives many listeners whose starts all throw synchronously", async () => {
		const shared = new Intermittent(() => {
			throw new Error("no");
		});
		const { signal } = new AbortController();
		const results = await Promise.allSettled(Array.from({ length: 20_000 }, () => shared.attach(signal)));
		expect(results.every(({ status }) => status === "rejected")).toBe(true);
		expect([shared.state, shared.listeners]).toEqual(["idle", 0]);
	});

	test("reports the failure of a start whose cause has left while others wait", async () => {
		const errors: unknown[] = [];
		const failure = deferred();
		let calls = 0;
		const shared = new Intermittent(async () => {
			if (calls++ === 0) await failure.promise;
		}, { onError: (error) => void errors.push(error) });
		const [a, b] = [new AbortController(), new AbortController()];
		const first = shared.attach(a.signal);
		const second = shared.attach(b.signal);
		a.abort("enough");
		failure.reject("failure");
		expect(await errorOf(first)).toBe("enough");
		await second;
		expect(errors).toEqual(["failure"]);
		expect(calls).toBe(2);
	});

	test("waits for the stop that is under way, and never runs the operation twice", async () => {
		const operation = new Operation();
		const stopped = deferred();
		operation.stopped = stopped.promise;
		const shared = new Intermittent(operation.start);
		const first = new AbortController();
		await shared.attach(first.signal);
		first.abort();
		expect(shared.state).toBe("stopping");
		const second = new AbortController();
		const attached = watch(shared.attach(second.signal));
		await settle();
		expect([attached.state, operation.log.length]).toEqual(["pending", 2]);
		stopped.resolve();
		await settle();
		expect(attached.value).toBe(2);
		expect(operation.log).toEqual(["start", "stop", "start"]);
	});

	test("after a start that lost its listeners waits until that is stopped", async () => {
		const operation = new Operation();
		const started = deferred<unknown>();
		operation.started = started.promise;
		const shared = new Intermittent(operation.start);
		const first = new AbortController();
		const lost = shared.attach(first.signal).catch(() => {});
		first.abort("enough");
		const second = new AbortController();
		const attached = watch(shared.attach(second.signal));
		await settle();
		expect(operation.log).toEqual(["start"]);
		started.resolve(undefined);
		await settle();
		await lost;
		expect(operation.log).toEqual(["start", "stop", "start"]);
		expect(attached.value).toBe(2);
		second.abort();
		expect(operation.running).toBe(0);
	});

	test("drops the failure of a start that lost its listeners if it is the abort's reason", async () => {
		const errors: unknown[] = [];
		const reaction = { thrown: undefined as unknown };
		const shared = new Intermittent(async (signal) => {
			await sleep(60_000, { signal }).catch((reason) => {
				throw reaction.thrown ?? reason;
			});
		}, { onError: (error) => void errors.push(error) });
		for (const thrown of [undefined, "another"]) {
			reaction.thrown = thrown;
			const controller = new AbortController();
			const attached = shared.attach(controller.signal);
			controller.abort("enough");
			expect(await errorOf(attached)).toBe("enough");
			expect(await shared.wait()).toBe(true);
		}
		expect(errors).toEqual(["another"]);
	});

	test("inside the start joins the waiting; an abort inside the start stops what has started", async () => {
		const inside = new AbortController();
		const stop = vi.fn();
		let joined: Promise<unknown> | undefined;
		const shared: Intermittent = new Intermittent(() => {
			joined ??= shared.attach(inside.signal);
			outside.abort("enough");
			return stop;
		});
		const outside = new AbortController();
		expect(await errorOf(shared.attach(outside.signal))).toBe("enough");
		await joined;
		expect([shared.state, shared.listeners]).toEqual(["running", 1]);
		inside.abort();
		expect(stop).toHaveBeenCalledTimes(1);
	});

	test("inside the stop starts the operation again when it has stopped", async () => {
		const again = new AbortController();
		let attached: Promise<unknown> | undefined;
		let starts = 0;
		const shared: Intermittent = new Intermittent(() => {
			starts++;
			return () => void (attached ??= shared.attach(again.signal));
		});
		const controller = new AbortController();
		await shared.attach(controller.signal);
		controller.abort();
		await attached;
		expect([starts, shared.state, shared.listeners]).toEqual([2, "running", 1]);
		again.abort();
		expect(shared.state).toBe("idle");
	});
});

describe("Intermittent stop", () => {
	test("is called once, inside the abort event, after the operation's signal has aborted", async () => {
		const operation = new Operation();
		const shared = new Intermittent(operation.start);
		const controller = new AbortController();
		await shared.attach(controller.signal);
		controller.abort("enough");
		expect(operation.log).toEqual(["start", "stop"]);
		expect(operation.signals[0]!.reason).toBe("enough");
	});

	test("is called linger ms after the last detach; attaching within that time cancels it", async () => {
		const clock = new VirtualClock();
		const operation = new Operation();
		const shared = new Intermittent(operation.start, { linger: 100, clock });
		for (let i = 0; i < 3; i++) {
			const controller = new AbortController();
			expect(await shared.attach(controller.signal)).toBe(1);
			expect(clock.pending).toBe(0);
			controller.abort("enough");
			expect([shared.state, shared.listeners]).toEqual(["running", 0]);
			await clock.advance(99);
		}
		await clock.advance(1);
		expect(shared.state).toBe("idle");
		expect(operation.log).toEqual(["start", "stop"]);
		expect(operation.signals[0]!.reason).toBe("enough");
		expect(clock.pending).toBe(0);
	});

	test("is called as a method of what the start gave, which may be any object", async () => {
		class Server {
			readonly value = "listening";
			#isOpen = true;
			stop() {
				this.#isOpen = false;
			}
			get isOpen() {
				return this.#isOpen;
			}
		}
		const server = new Server();
		const errors: unknown[] = [];
		const shared = new Intermittent(() => server, { onError: (error) => errors.push(error) });
		const controller = new AbortController();
		expect(await shared.attach(controller.signal)).toBe("listening");
		controller.abort();
		expect([server.isOpen, shared.state, errors]).toEqual([false, "idle", []]);
	});

	test("that fails reaches onError, and the operation can start again", async () => {
		const errors: unknown[] = [];
		const stops = [
			() => {
				throw "thrown";
			},
			() => Promise.reject("rejected"),
			() => ({ then: (_: unknown, reject: (error: unknown) => void) => reject("thenable") }),
		];
		let starts = 0;
		const shared = new Intermittent(() => stops[starts++]!, { onError: (error) => void errors.push(error) });
		for (const _ of stops) {
			const controller = new AbortController();
			await shared.attach(controller.signal);
			controller.abort();
			await shared.wait();
		}
		expect(errors).toEqual(["thrown", "rejected", "thenable"]);
		expect(shared.state).toBe("idle");
	});

	test("that returns a thenable is waited for, and asked for once", async () => {
		let thens = 0;
		const lazy = {
			then(resolve: () => void) {
				thens++;
				queueMicrotask(resolve);
			},
		};
		const shared = new Intermittent(() => () => lazy);
		const controller = new AbortController();
		await shared.attach(controller.signal);
		controller.abort();
		expect(shared.state).toBe("stopping");
		expect([await shared.wait(), thens]).toEqual([true, 1]);
	});

	test("that fails is nobody's unhandled rejection, and an onError that throws changes nothing", async () => {
		const onError = () => {
			throw new Error("observer");
		};
		for (const options of [{}, { onError }]) {
			const shared = new Intermittent(() => () => Promise.reject("failure"), options);
			const controller = new AbortController();
			await shared.attach(controller.signal);
			controller.abort();
			expect(await shared.wait()).toBe(true);
		}
	});
});

describe("Intermittent.stop()", () => {
	test("detaches all listeners without a linger, and resolves when the operation has stopped", async () => {
		const clock = new VirtualClock();
		const operation = new Operation();
		const stopped = deferred();
		operation.stopped = stopped.promise;
		const shared = new Intermittent(operation.start, { linger: 1000, clock });
		const [a, b] = [new SpiedController(), new SpiedController()];
		await Promise.all([shared.attach(a.signal), shared.attach(a.signal), shared.attach(b.signal)]);
		const [stop, again] = [watch(shared.stop({ reason: "enough" })), watch(shared.stop())];
		expect([shared.state, shared.listeners, a.listeners, b.listeners]).toEqual(["stopping", 0, 0, 0]);
		expect([operation.log, operation.signals[0]!.reason]).toEqual([["start", "stop"], "enough"]);
		await settle();
		expect([stop.state, again.state]).toEqual(["pending", "pending"]);
		stopped.resolve();
		await settle();
		expect([stop.state, again.state, shared.state, clock.pending]).toEqual(["resolved", "resolved", "idle", 0]);
		a.abort();
		await shared.stop();
		expect(operation.log).toEqual(["start", "stop"]);
	});

	test("ends a linger", async () => {
		const clock = new VirtualClock();
		const operation = new Operation();
		const shared = new Intermittent(operation.start, { linger: 1000, clock });
		const controller = new AbortController();
		await shared.attach(controller.signal);
		controller.abort();
		expect([shared.state, clock.pending]).toEqual(["running", 1]);
		await shared.stop();
		expect([shared.state, clock.pending, operation.log]).toEqual(["idle", 0, ["start", "stop"]]);
	});

	test("during a start rejects those that wait for it, with an AbortError by default", async () => {
		for (const reason of [undefined, "enough"]) {
			const operation = new Operation();
			const started = deferred<unknown>();
			operation.started = started.promise;
			const shared = new Intermittent(operation.start);
			const controller = new SpiedController();
			const all = [shared.attach(controller.signal), shared.attach(controller.signal)].map(errorOf);
			await settle();
			const stop = watch(shared.stop({ reason }));
			const [first, second] = await Promise.all(all);
			expect([first === second, operation.signals[0]!.reason === first]).toEqual([true, true]);
			if (reason === undefined) expect(first).toMatchObject({ name: "AbortError" });
			else expect(first).toBe(reason);
			expect([stop.state, shared.state, controller.listeners]).toEqual(["pending", "stopping", 0]);
			started.resolve(undefined);
			await settle();
			expect([stop.state, shared.state, operation.log]).toEqual(["resolved", "idle", ["start", "stop"]]);
		}
	});

	test("does not wait for the start of those that attach meanwhile, and leaves them attached", async () => {
		const operation = new Operation();
		const shared = new Intermittent(operation.start);
		const controller = new AbortController();
		await shared.attach(controller.signal);
		const [stopped, started] = [deferred(), deferred<unknown>()];
		operation.stopped = stopped.promise;
		operation.started = started.promise;
		const stop = watch(shared.stop());
		const attached = shared.attach(controller.signal);
		stopped.resolve();
		await settle();
		expect([stop.state, shared.state, shared.listeners]).toEqual(["resolved", "starting", 1]);
		started.resolve(undefined);
		expect(await attached).toBe(2);
		expect(shared.state).toBe("running");
	});

	test("rejects with its signal's reason if that aborts first, and goes on stopping", async () => {
		const operation = new Operation();
		const stopped = deferred();
		operation.stopped = stopped.promise;
		const shared = new Intermittent(operation.start);
		await shared.attach(new AbortController().signal);
		const controller = new SpiedController();
		const stop = shared.stop({ signal: controller.signal });
		controller.abort("too slow");
		expect(await errorOf(stop)).toBe("too slow");
		expect(await errorOf(shared.stop({ signal: controller.signal }))).toBe("too slow");
		stopped.resolve();
		await shared.stop();
		expect([shared.state, controller.listeners]).toEqual(["idle", 0]);
		await shared.stop({ signal: controller.signal });
	});

	test("at each microtask around a start and a stop leaves nothing that runs, and each attach settles", async () => {
		for (const start of Object.values(starts)) {
			for (const stop of Object.values(stops)) {
				await atEachMicrotask(25, async (k) => {
					const { counted, start: startCounted } = makeCounted(start, stop);
					const shared = new Intermittent(startCounted);
					const controller = new SpiedController();
					const attach = () => shared.attach(controller.signal).catch((error) => error);
					const all: Promise<unknown>[] = [attach()];
					await new Promise<void>((resolve) => afterMicrotasks(k, resolve));
					const stopped = shared.stop();
					all.push(attach());
					await stopped;
					all.push(shared.stop());
					await Promise.all(all);
					expect([shared.state, shared.listeners, controller.listeners, counted.most, counted.running]).toEqual(
						["idle", 0, 0, 1, 0],
					);
				});
			}
		}
	});
});

describe("Intermittent", () => {
	test("wait() resolves to true once it is idle, to false if the signal aborts first", async () => {
		const shared = new Intermittent(() => {});
		expect(await shared.wait()).toBe(true);
		const controller = new AbortController();
		await shared.attach(controller.signal);
		expect(await shared.wait({ signal: AbortSignal.abort() })).toBe(false);
		const idle = shared.wait();
		controller.abort();
		expect(await idle).toBe(true);
	});

	test("getSnapshot() is stable between changes and its subscribers see each state", async () => {
		const shared = new Intermittent(async () => settle);
		const { subscribe, getSnapshot } = shared;
		const seen: string[] = [];
		subscribe(() => seen.push(`${getSnapshot().state} ${getSnapshot().listeners}`));
		expect(getSnapshot()).toBe(getSnapshot());
		const controller = new AbortController();
		await shared.attach(controller.signal);
		controller.abort();
		await shared.wait();
		expect(seen.filter((entry, index) => entry !== seen[index - 1])).toEqual([
			"starting 1",
			"running 1",
			"stopping 0",
			"idle 0",
		]);
	});

	test("getSnapshot() shows what is so inside of each callback, and is another one only if something changed", async () => {
		const seen = new Set<object>();
		const places: unknown[] = [];
		const look = (place: string) => {
			seen.add(shared.getSnapshot());
			places.push([place, shared.getSnapshot()]);
			expect(shared.getSnapshot()).toEqual({ state: shared.state, listeners: shared.listeners });
		};
		const errors: unknown[] = [];
		const shared: Intermittent = new Intermittent((signal) => {
			signal.addEventListener("abort", () => look("abort"));
			look("start");
			return () => {
				look("stop");
				throw new Error("no stop");
			};
		}, {
			onError: (error) => {
				errors.push((error as Error).message);
				look("onError");
			},
		});
		shared.subscribe(() => look("subscriber"));
		look("before");
		const controller = new AbortController();
		await shared.attach(controller.signal);
		controller.abort();
		expect(places).toEqual([
			["before", { state: "idle", listeners: 0 }],
			["start", { state: "starting", listeners: 1 }],
			["subscriber", { state: "starting", listeners: 1 }],
			["subscriber", { state: "running", listeners: 1 }],
			["abort", { state: "stopping", listeners: 0 }],
			["stop", { state: "stopping", listeners: 0 }],
			["onError", { state: "stopping", listeners: 0 }],
			["subscriber", { state: "idle", listeners: 0 }],
			["subscriber", { state: "idle", listeners: 0 }],
		]);
		expect([errors, seen.size]).toEqual([["no stop"], 5]);
	});

	test("checks its arguments", () => {
		expect(() => new Intermittent("start" as never)).toThrow(TypeError);
		expect(() => new Intermittent(() => {}, { linger: -1 })).toThrow('"linger" must be 0 or more: current value is -1');
		expect(() => new Intermittent(() => {}, { linger: "1s" as never })).toThrow(TypeError);
		expect(() => new Intermittent(() => {}, { onError: {} as never })).toThrow(TypeError);
		expect(() => new Intermittent(() => {}, { clock: {} as never })).toThrow(TypeError);
		expect(() => new Intermittent(() => {}, null as never)).toThrow(TypeError);
	});
});

describe("IntermittentMap", () => {
	test("runs one operation per key and forgets it when it is idle", async () => {
		const log: string[] = [];
		const map = new IntermittentMap((key: string, signal) => {
			log.push(`start ${key} ${signal.aborted}`);
			return { value: key.toUpperCase(), stop: () => void log.push(`stop ${key}`) };
		});
		const [a, b] = [new AbortController(), new AbortController()];
		expect(await map.attach("x", a.signal)).toBe("X");
		expect(await map.attach("x", b.signal)).toBe("X");
		expect(await map.attach("y", a.signal)).toBe("Y");
		expect(map.size).toBe(2);
		expect(map.get("x")).toEqual({ state: "running", listeners: 2 });
		a.abort();
		expect(map.size).toBe(1);
		expect(map.get("y")).toEqual({ state: "idle", listeners: 0 });
		b.abort();
		expect(map.size).toBe(0);
		expect(log).toEqual(["start x false", "start y false", "stop y", "stop x"]);
	});

	test("lingers per key, and keeps a key that is attached again while it stops", async () => {
		const clock = new VirtualClock();
		const stopped = deferred();
		let running = 0;
		const map = new IntermittentMap<string>(() => {
			expect(++running).toBe(1);
			return () => stopped.promise.then(() => void running--);
		}, { linger: 10, clock });
		const first = new AbortController();
		await map.attach("x", first.signal);
		first.abort();
		await clock.advance(10);
		expect(map.get("x").state).toBe("stopping");
		const second = new AbortController();
		const attached = map.attach("x", second.signal);
		stopped.resolve();
		await attached;
		expect(map.get("x")).toEqual({ state: "running", listeners: 1 });
		second.abort();
		await clock.runUntilIdle();
		expect(map.size).toBe(0);
	});

	test("a subscriber that attaches again when it hears of idle never makes a key's operation run twice", async () => {
		const running = new Map<string, number>();
		const map = new IntermittentMap((key: string) => {
			expect(running.get(key) ?? 0).toBe(0);
			running.set(key, 1);
			return () => void running.set(key, 0);
		});
		const [first, second, third] = [new AbortController(), new AbortController(), new AbortController()];
		await map.attach("a", first.signal);
		let attached: Promise<void> | undefined;
		map.subscribe(() => {
			if (map.get("a").state === "idle") attached ??= map.attach("a", second.signal);
		});
		first.abort();
		await attached;
		await map.attach("a", third.signal);
		expect([map.get("a"), map.size, running.get("a")]).toEqual([{ state: "running", listeners: 2 }, 1, 1]);
		third.abort();
		second.abort();
		expect(running.get("a")).toBe(0);
	});

	test("forgets a key whose start fails, and one whose signal had aborted", async () => {
		const map = new IntermittentMap(() => Promise.reject(new Error("no")));
		await expect(map.attach(1, new AbortController().signal)).rejects.toThrow("no");
		expect(await errorOf(map.attach(2, AbortSignal.abort("enough")))).toBe("enough");
		await expect(map.attach(3, {} as never)).rejects.toBeInstanceOf(TypeError);
		expect(map.size).toBe(0);
	});

	test("stop() stops the operations of all keys, and one that is attached to meanwhile starts again", async () => {
		const log: string[] = [];
		const map = new IntermittentMap((key: string) => {
			log.push(`start ${key}`);
			return () => void log.push(`stop ${key}`);
		});
		const { signal } = new SpiedController();
		await Promise.all([map.attach("a", signal), map.attach("b", signal)]);
		const late: Promise<void>[] = [];
		const unsubscribe = map.subscribe(() => {
			unsubscribe();
			late.push(map.attach("b", signal)); // the operation of b must still stop
		});
		await map.stop();
		await Promise.all(late);
		expect(log).toEqual(["start a", "start b", "stop a", "stop b", "start b"]);
		expect([...map.getSnapshot()]).toEqual([["b", { state: "running", listeners: 1 }]]);
		await map.stop();
		await map.stop();
		expect(map.size).toBe(0);
	});

	test("stop() rejects with its signal's reason if that aborts first, and goes on stopping", async () => {
		const stopped = deferred();
		const map = new IntermittentMap((_key: string) => () => stopped.promise);
		await Promise.all(["a", "b"].map((key) => map.attach(key, new AbortController().signal)));
		const controller = new SpiedController();
		const stop = map.stop({ signal: controller.signal });
		controller.abort("too slow");
		expect(await errorOf(stop)).toBe("too slow");
		stopped.resolve();
		await map.stop();
		expect([map.size, controller.listeners]).toEqual([0, 0]);
	});

	test("getSnapshot() maps the keys that are not idle", async () => {
		const map = new IntermittentMap((_key: object) => {});
		const key = {};
		let changes = 0;
		map.subscribe(() => changes++);
		expect(map.getSnapshot()).toBe(map.getSnapshot());
		const controller = new AbortController();
		await map.attach(key, controller.signal);
		expect(map.getSnapshot()).toEqual(new Map([[key, { state: "running", listeners: 1 }]]));
		controller.abort();
		expect(map.getSnapshot().size).toBe(0);
		expect(changes).toBeGreaterThan(2);
	});

	test("checks its arguments", () => {
		expect(() => new IntermittentMap("start" as never)).toThrow(TypeError);
		expect(() => new IntermittentMap(() => {}, { linger: NaN })).toThrow(RangeError);
		expect(() => new IntermittentMap(() => {}, null as never)).toThrow(TypeError);
	});
});

describe("Intermittent at each microtask", () => {
	for (const [startTitle, start] of Object.entries(starts)) {
		for (const [stopTitle, stop] of Object.entries(stops)) {
			test(`a start that ${startTitle} and a stop that ${stopTitle} never overlap, whenever listeners come and go`, async () => {
				for (const again of isPage ? [0, 3] : [0, 1, 2, 3, 5, 8]) {
					await atEachMicrotask(30, async (k) => {
						const { counted, start: startCounted } = makeCounted(start, stop);
						const shared = new Intermittent(startCounted);
						const controllers = [new SpiedController(), new SpiedController(), new SpiedController()] as const;
						const attach = (index: 0 | 1 | 2) => shared.attach(controllers[index].signal).catch((error) => error);
						const all = [attach(0), attach(1)];
						const both = new Promise<void>((resolve) =>
							afterMicrotasks(k, () => {
								controllers[0].abort("enough");
								afterMicrotasks(again, () => {
									all.push(attach(2));
									controllers[1].abort("enough");
									resolve();
								});
							})
						);
						await both;
						await Promise.all(all);
						const isFailing = startTitle.startsWith("fails");
						expect(counted.most).toBe(1);
						expect([shared.state, shared.listeners, counted.running]).toEqual(
							isFailing ? ["idle", 0, 0] : ["running", 1, 1],
						);
						controllers[2].abort();
						expect(await shared.wait()).toBe(true);
						expect([shared.state, counted.running, ...controllers.map(({ listeners }) => listeners)]).toEqual([
							"idle",
							0,
							0,
							0,
							0,
						]);
					});
				}
			});
		}
	}

	test("a listener that leaves while it waits for a stop, or for another's start, causes no start that goes on", async () => {
		for (const start of Object.values(starts)) {
			await atEachMicrotask(30, async (k) => {
				const { counted, start: startCounted } = makeCounted(start, stops["takes some microtasks"]!);
				const shared = new Intermittent(startCounted);
				const [first, second, third] = [new AbortController(), new AbortController(), new AbortController()];
				await shared.attach(first.signal).catch(() => {});
				first.abort();
				const all = [second, third].map(({ signal }) => shared.attach(signal).catch((error) => error));
				await new Promise<void>((resolve) =>
					afterMicrotasks(k, () => {
						second.abort();
						third.abort();
						resolve();
					})
				);
				await Promise.all(all);
				await settle();
				expect([shared.state, shared.listeners, counted.most, counted.running]).toEqual(["idle", 0, 1, 0]);
			});
		}
	});

	test("an attach around the end of a linger cancels the stop, or waits for it", async () => {
		for (const detaches of [false, true]) {
			await atEachMicrotask(30, async (k) => {
				const timers: Timer[] = [];
				const clock: Clock = {
					now: () => 0,
					monotonic: () => 0,
					set: (timer) => void timers.push(timer),
					clear() {},
				};
				const { counted, start } = makeCounted(starts["is async"]!, stops["takes some microtasks"]!);
				const shared = new Intermittent(start, { linger: 5, clock });
				const [first, second, third] = [new AbortController(), new AbortController(), new AbortController()];
				await shared.attach(first.signal);
				first.abort();
				timers.pop()!.fire();
				const attached: Promise<unknown>[] = [];
				let isLingering = false;
				await new Promise<void>((resolve) =>
					afterMicrotasks(k, () => {
						attached.push(shared.attach(second.signal).catch((error) => error));
						if (detaches) second.abort();
						isLingering = detaches && shared.state === "running";
						resolve();
					})
				);
				await settle();
				await Promise.all(attached);
				// A listener that detached begins a new linger.
				if (isLingering) expect([shared.state, counted.running]).toEqual(["running", 1]);
				await shared.attach(third.signal);
				expect([shared.state, counted.most, counted.running]).toEqual(["running", 1, 1]);
				second.abort();
				third.abort();
				timers.pop()!.fire();
				expect([await shared.wait(), counted.running]).toEqual([true, 0]);
			});
		}
	});
});

describe("Intermittent and IntermittentMap re-entered", () => {
	const makers: Record<
		string,
		(
			start: (signal: AbortSignal) => PromiseLike<IntermittentStop>,
			options: { linger: number; clock: VirtualClock; onError: () => void },
		) => {
			attach: (signal: AbortSignal) => Promise<void>;
			stop: () => Promise<void>;
			subscribe: (listener: () => void) => () => void;
			isIdle: () => boolean;
		}
	> = {
		Intermittent: (start, options) => {
			const shared = new Intermittent(start, options);
			return {
				attach: (signal) => shared.attach(signal),
				stop: () => shared.stop(),
				subscribe: shared.subscribe,
				isIdle: () => shared.state === "idle" && shared.listeners === 0,
			};
		},
		IntermittentMap: (start, options) => {
			const map = new IntermittentMap((_key: string, signal) => start(signal), options);
			return {
				attach: (signal) => map.attach("a", signal),
				stop: () => map.stop(),
				subscribe: map.subscribe,
				isIdle: () => map.size === 0 && map.getSnapshot().size === 0,
			};
		},
	};

	for (const [name, make] of Object.entries(makers)) {
		const actions = ["attach", "abort all", "abort all and attach", "attach and abort it", "stop", "stop and attach"];
		for (const action of actions) {
			test(`${name}: ${action} from each callback, at each of its calls, breaks no law`, async () => {
				for (const start of isPage ? [starts["is async"]!] : Object.values(starts)) {
					for (const stop of isPage ? [stops["takes some microtasks"]!] : Object.values(stops)) {
						for (const linger of [0, 3]) {
							await atEachCall(async (reentry) => {
								const clock = new VirtualClock();
								const { counted, start: startCounted } = makeCounted(start, stop, reentry.enter);
								const shared = make(startCounted, { linger, clock, onError: reentry.enter });
								let controllers: SpiedController[] = [];
								const used: SpiedController[] = [];
								const all: Promise<unknown>[] = [];
								const attach = () => {
									const controller = new SpiedController();
									controllers.push(controller);
									used.push(controller);
									all.push(shared.attach(controller.signal).catch(() => {}));
								};
								const abortAll = () => {
									const aborting = controllers;
									controllers = [];
									for (const controller of aborting) controller.abort("enough");
								};
								reentry.act = () => {
									if (action.startsWith("abort all")) abortAll();
									if (action.startsWith("stop")) all.push(shared.stop());
									if (action.includes("attach")) attach();
									if (action.endsWith("abort it")) controllers.pop()!.abort("enough");
								};
								shared.subscribe(reentry.enter);
								attach();
								attach();
								await clock.advance(1);
								abortAll();
								await clock.advance(1);
								attach();
								await clock.advance(10);
								abortAll();
								await clock.runUntilIdle();
								abortAll();
								await clock.runUntilIdle();
								await Promise.all(all);
								expect([counted.most, counted.running, clock.pending]).toEqual([1, 0, 0]);
								expect([shared.isIdle(), used.filter(({ listeners }) => listeners > 0).length]).toEqual([true, 0]);
							});
						}
					}
				}
			});
		}
	}
});
