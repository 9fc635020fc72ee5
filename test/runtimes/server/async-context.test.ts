// The library calls callbacks in the async context of their caller, even if other callers wait for the same timer,
// signal or worker. Each class has a row.
import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test } from "vitest";
import {
	Basket,
	batch,
	type BatchContext,
	type BatchTask,
	type Clock,
	durable,
	Group,
	Intermittent,
	Lifecycle,
	memoryStore,
	poll,
	Pool,
	Processor,
	reconcile,
	run,
	Runner,
	sleep,
	type Store,
	StoreError,
	systemClock,
} from "../../../mod.ts";
import { inContext, inContextAlways } from "../../../src/platform/async-context.ts";
import { CallbackTimer } from "../../../src/platform/timer-queue.ts";
import { VirtualClock } from "../../../src/testing/testing.ts";
import { threadWorker } from "../../../src/threads/threads.ts";
import { untilAborted } from "../../support.ts";

/** The operation of one of several callers. It settles when its callbacks have been called. */
type Ask = (see: () => void) => unknown;

/**
 * Creates the shared objects, and returns the operation of each caller. The operation passes `see`, or a function
 * that calls it, as each of the callbacks. All times come from the clock.
 */
type Share = (clock: Clock) => Ask;

/** Creates a task that calls `see` and fails. */
const failing = (see: () => void) => (): never => {
	see();
	throw new Error("failure");
};

/** Creates a task that calls `see` when its signal aborts, and then fails. */
const patient = (see: () => void) => ({ signal }: { signal: AbortSignal }): Promise<never> => {
	signal.addEventListener("abort", see);
	return untilAborted(signal);
};

/** Calls a function outside the async context of any caller. */
const outside: <T>(callback: () => T) => T = AsyncLocalStorage.snapshot();

const rows: Record<string, Share> = {
	"inContext()": (clock) => (see) =>
		new Promise<void>((resolve) => {
			clock.set(
				new CallbackTimer(inContext(() => {
					see();
					resolve();
				})),
				5,
			);
		}),
	"inContextAlways()": (clock) => (see) =>
		new Promise<void>((resolve) => {
			let calls = 0;
			const timer = new CallbackTimer(inContextAlways(() => {
				see();
				if (++calls === 3) resolve();
				else clock.set(timer, 5);
			}));
			clock.set(timer, 5);
		}),
	"run()": (clock) => (see) => run(failing(see), { attempts: 3, backoff: 5, clock }).catch(see),
	"run() without a backoff": (clock) => (see) => run(failing(see), { attempts: 3, clock }).catch(see),
	"run(), its hooks": (clock) => (see) => {
		const shouldRetry = () => {
			see();
			return true;
		};
		return run(failing(see), { attempts: 3, backoff: 5, shouldRetry, onAttemptFailed: see, clock }).catch(see);
	},
	"run(), an abort listener at a timeout": (clock) => (see) =>
		run(patient(see), { attempts: 2, backoff: 5, timeout: 5, onAttemptFailed: see, clock }).catch(see),
	"run(), an abort listener at the deadline": (clock) => (see) =>
		run(patient(see), { attempts: 9, deadline: 5, onAttemptFailed: see, clock }).catch(see),
	"run(), an attempt after one that was abandoned": (clock) => (see) => {
		const deaf = ({ signal }: { signal: AbortSignal }) => {
			see();
			signal.addEventListener("abort", see);
			return new Promise(() => {});
		};
		return run(deaf, { attempts: 2, timeout: 5, abandonAfter: 5, onAttemptFailed: see, clock }).catch(see);
	},
	"run(), when the one signal of all aborts": (clock) => {
		const controller = new AbortController();
		clock.set(new CallbackTimer(() => controller.abort("enough")), 5);
		const { signal } = controller;
		return (see) => run((context) => untilAborted(context.signal), { signal, onAttemptFailed: see, clock }).catch(see);
	},
	"Runner.step()": (clock) => async (see) => {
		const runner = new Runner(patient(see), { attempts: 2, backoff: 5, timeout: 5, onAttemptFailed: see, clock });
		runner.subscribe(see);
		while ((await runner.step()).again) await sleep(5, { clock }).then(see);
	},
	"Basket.run(), its tasks and hooks": (clock) => {
		const store = memoryStore({ clock });
		const task = (see: () => void) => async (_: undefined, { attempt }: { attempt: number }) => {
			see();
			await sleep(5, { clock });
			see();
			if (attempt < 3) throw new Error("failure");
		};
		return (see) => serve(store, clock, task(see), see);
	},
	"Basket.run(), an abort listener at the end of a lease": (clock) => {
		const store = memoryStore({ clock });
		let calls = 0;
		const extend = async (...args: Parameters<typeof store.extend>) => {
			if (++calls < 15) throw new StoreError("unavailable", "gone");
			return await store.extend(...args);
		};
		const task = (see: () => void) => async (_: undefined, { signal }: { signal: AbortSignal }) => {
			signal.addEventListener("abort", see);
			await sleep(400, { clock });
			signal.throwIfAborted();
		};
		return (see) => serve({ ...store, extend }, clock, task(see), see);
	},
	"Basket.run(), the function of a batch that waits": (clock) => {
		const store = memoryStore({ clock });
		const send = (see: () => void) => async (tasks: readonly BatchTask<undefined>[], { fail }: BatchContext) => {
			see();
			await sleep(5, { clock });
			see();
			if (tasks[0]!.attempt === 1) throw new Error("failure");
			if (tasks[0]!.attempt === 2) fail(tasks[0]!.id);
		};
		return (see) => serve(store, clock, batch({ most: 2, wait: 3 }, send(see)) as never, see);
	},
	"Processor.run(), the steps of durable functions": (clock) => (see) => {
		const twice = ({ attempt }: { attempt: number }) => {
			see();
			if (attempt === 1) throw new Error("failure");
		};
		const definition = durable("it", async (flow) => {
			see();
			const late = flow.waitFor("word").then(async () => {
				see();
				await flow.step("late", see, { revert: see });
			});
			// A backoff that ends, and a signal that comes, while a step runs.
			const tried = flow.step("tried", twice, { attempts: 2, backoff: 5 });
			await Promise.all([late, tried, flow.step("long", () => sleep(20, { clock }).then(see))]);
			throw new Error("failure");
		});
		const controller = new AbortController();
		const store = memoryStore({ clock });
		const processor = new Processor({ store, clock, jobs: [definition] });
		const done = processor.run({ signal: controller.signal });
		const ended = outside(async () => {
			const { id } = await processor.add(definition);
			await sleep(10, { clock });
			await processor.signal(id, "word");
			await processor.wait(id);
			controller.abort();
		});
		return Promise.all([done, ended]).then(see);
	},
	"sleep()": (clock) => (see) => sleep(5, { clock }).then(see),
	"Group.spawn()": (clock) => {
		const group = new Group({ attempts: 3, backoff: 5, clock });
		let tag = 0;
		return (see) => group.spawn(`${++tag}`, failing(see), { onAttemptFailed: see }).result().catch(see);
	},
	"Group.spawn(), an abort listener at a timeout": (clock) => {
		const group = new Group({ attempts: 2, timeout: 5, clock });
		let tag = 0;
		return (see) => group.spawn(`${++tag}`, patient(see)).wait().then(see);
	},
	"Group.spawn(), a replacement": (clock) => {
		const group = new Group({ clock });
		// Even an abort does not end a task early, so that a wrong context of the next task would be that of this task.
		const task = (see: () => void) => () => {
			see();
			return sleep(5, { clock }).then(see);
		};
		group.spawn("a", task(() => {}));
		return async (see) => {
			await sleep(1, { clock });
			await group.spawn("a", task(see), { ifPresent: "replace" }).wait();
			see();
		};
	},
	"Pool.run(), on a worker that somebody else has freed": (clock) => {
		const pool = new Pool({ max: 1, clock });
		return (see) =>
			pool.run(async () => {
				see();
				await sleep(5, { clock });
				see();
			}).then(see);
	},
	"Pool.run(), on a worker each": (clock) => {
		const pool = new Pool({ max: 3, clock });
		return (see) => pool.run(see).then(see);
	},
	"Pool.spawn(), its restarts": (clock) => {
		const pool = new Pool({ max: 1, clock });
		let name = 0;
		return (see) => {
			const restart = (_error: unknown, { attempt }: { attempt: number }) => {
				see();
				return attempt < 3;
			};
			return pool.spawn(`${++name}`, failing(see), { restart }).result().catch(see);
		};
	},
	"Pool.run(), its attempts, on a worker that is shared": (clock) => {
		const pool = new Pool({ max: 1, clock });
		return (see) =>
			pool.run(failing(see), {
				...{ attempts: 3, backoff: 5, deadline: 1000 },
				shouldRetry: () => (see(), true),
				onAttemptFailed: see,
			}).catch(see);
	},
	"Pool.run(), its timeout": (clock) => {
		const pool = new Pool({ max: 3, clock, timeout: 5, attempts: 2, abandonAfter: 5 });
		return (see) =>
			pool.run(({ signal, attempt }) => {
				signal.addEventListener("abort", see);
				return attempt === 1 ? untilAborted(signal) : new Promise(() => {});
			}, { onAttemptFailed: see, shouldRetry: () => (see(), true) }).catch(see);
	},
	"Pool.spawn(), attempts on workers that die or cannot be made": (clock) => {
		let [name, made] = [0, 0];
		const createWorker = ({ died }: { died: (reason: unknown) => void }) => {
			if (++made === 2) throw new Error("not made");
			return () => clock.set(new CallbackTimer(() => died("lost")), 5);
		};
		const pool = new Pool({ max: 1, createWorker, clock, attempts: 2, backoff: 5 });
		return (see) =>
			pool.spawn(`${++name}`, ({ attempt, worker }) => {
				see();
				if (attempt === 2) return;
				worker();
				return new Promise(() => {});
			}, { onAttemptFailed: see, shouldRetry: () => (see(), true) }).result().then(see);
	},
	"Pool.spawn(), on workers that die or cannot be made": (clock) => {
		let [name, made] = [0, 0];
		const createWorker = ({ died }: { died: (reason: unknown) => void }) => {
			if (++made === 2) throw new Error("not made");
			return () => clock.set(new CallbackTimer(() => died("lost")), 5);
		};
		const pool = new Pool({ max: 1, createWorker, clock });
		return (see) => {
			const restart = (_error: unknown, { attempt }: { attempt: number }) => {
				see();
				return attempt < 2;
			};
			return pool.spawn(`${++name}`, ({ attempt, worker }) => {
				see();
				if (attempt === 2) return;
				worker();
				return new Promise(() => {});
			}, { restart }).result().then(see);
		};
	},
	"new Pool(), the making of workers for others": (clock) => (see) => {
		const pool = new Pool({ max: 1, idleTimeout: 5, createWorker: see, destroyWorker: see, clock });
		const others = outside(() => [pool.run(() => {}), pool.run(() => {})]);
		return Promise.all(others).then(() => sleep(20, { clock }));
	},
	"Intermittent.attach(), starts that wait for each other": (clock) => {
		const waiting: (() => void)[] = [];
		const shared = new Intermittent(async () => {
			waiting.shift()!();
			await sleep(5, { clock });
			throw new Error("failure");
		});
		return (see) => {
			waiting.push(see);
			return shared.attach(new AbortController().signal).catch(see);
		};
	},
	"Intermittent.attach(), a start that waits for a stop": (clock) => async (see) => {
		let isMine = false;
		const shared = new Intermittent(() => {
			if (isMine) see();
			return () => sleep(5, { clock });
		});
		const [first, second] = [new AbortController(), new AbortController()];
		await outside(() => shared.attach(first.signal));
		outside(() => first.abort());
		isMine = true;
		await shared.attach(second.signal);
		second.abort();
		await shared.wait();
	},
	"Intermittent.attach(), the stop after a linger": (clock) => async (see) => {
		const shared = new Intermittent(() => see, { linger: 5, clock });
		const controller = new AbortController();
		await shared.attach(controller.signal);
		outside(() => controller.abort());
		await shared.wait();
	},
	"poll()": (clock) => async (see) => {
		const controller = new AbortController();
		const onAttempt = ({ attempts }: { attempts: number }) => {
			see();
			if (attempts === 4) controller.abort();
		};
		const action = () => {
			see();
			throw new Error("failure");
		};
		const polled = poll(action, { interval: 5, onAttempt, clock });
		await polled.attach(controller.signal);
		await polled.wait();
	},
	"Lifecycle.configure(), its retries": (clock) => async (see) => {
		let failures = 0;
		const lifecycle = new Lifecycle(() => {
			see();
			if (++failures < 3) throw new Error("failure");
		}, { retry: { backoff: 5, onAttemptFailed: see }, clock });
		await lifecycle.start();
		await lifecycle.configure({});
		while (lifecycle.state !== "active") await lifecycle.waitForStateChange(lifecycle.state);
	},
	"Lifecycle.configure(), of a configuration that waits": (clock) => async (see) => {
		const lifecycle = new Lifecycle(async (isTold: boolean) => {
			if (isTold) see();
			await sleep(5, { clock });
			if (isTold) see();
		}, { clock });
		await lifecycle.start();
		outside(() => lifecycle.configure(false));
		await lifecycle.configure(true);
	},
	"reconcile()": (clock) => (see) => {
		let rounds = 0;
		const work = { name: "work", pre: see, perform: see, post: see };
		const create = () => {
			see();
			return ++rounds < 4 ? [work] : [];
		};
		return reconcile({ create }, { interval: 5, onEvent: see, clock }).then(see);
	},
	"reconcile(), an abort listener at its timeout": (clock) => (see) =>
		reconcile({ create: () => [{ name: "work", perform: patient(see) }] }, { deadline: 5, clock }).catch(see),
	"threadWorker(), a call's onProgress and the thread's died": (clock) => {
		/** Creates a thread that answers from the shared timer, and then dies. */
		const start = () => {
			const listeners: Record<string, (event: object) => void> = {};
			const post = (...data: unknown[]) => listeners["message"]!({ data });
			queueMicrotask(() => post("ready", ["work"], undefined));
			return {
				addEventListener: (type: string, listener: (event: object) => void) => listeners[type] = listener,
				postMessage: ([, id]: [string, number]) => {
					const answer = () => {
						post("progress", id, 0.5, "half");
						post("progress", id, 1, undefined);
						post("value", id, "done");
						clock.set(new CallbackTimer(() => listeners["error"]!({ preventDefault() {}, error: "dead" })), 5);
					};
					clock.set(new CallbackTimer(answer), 5);
				},
				terminate() {},
			};
		};
		const { createWorker } = threadWorker<{ work: () => string }>(start, { clock });
		return async (see) => {
			let [died, progress] = [() => {}, 0];
			const death = new Promise<void>((resolve) => died = resolve);
			const onProgress = (part: number) => {
				see();
				progress = part;
			};
			const onDied = () => {
				see();
				died();
			};
			const thread = await createWorker({ died: onDied });
			await thread.call("work", [], { onProgress });
			expect(progress).toBe(1);
			await death;
		};
	},
};

/** Runs the basket of one of several callers. It has its own name in the shared store, and other baskets add its tasks. */
function serve(
	store: Store<never>,
	clock: Clock,
	task: (_: undefined, context: { signal: AbortSignal; attempt: number }) => unknown,
	see: () => void,
): Promise<void> {
	const controller = new AbortController();
	const onSettled = ({ outcome }: { outcome: string }) => {
		see();
		if (outcome === "done") controller.abort();
	};
	const options = { name: String(Math.random()), lease: 300, backoff: 5, onSettled, onError: see };
	const basket = new Basket({ store, clock, tasks: { task }, ...options });
	const done = basket.run({ signal: controller.signal });
	outside(() => sleep(5, { clock }).then(() => basket.add("task")));
	return done.then(see);
}

const tenants = ["alice", "bob", "carol"];

describe.each([["the system's clock", false], ["a virtual clock", true]] as const)("With %s", (_name, isVirtual) => {
	test.each(Object.entries(rows))("%s calls back in the async context of its caller", async (_title, share) => {
		const storage = new AsyncLocalStorage<string>();
		const clock = isVirtual ? new VirtualClock() : systemClock;
		const ask = share(clock);
		const seen = tenants.map((): unknown[] => []);
		const asked = tenants.map((tenant, index) =>
			storage.run(tenant, async () => await ask(() => seen[index]!.push(storage.getStore())))
		);
		if (clock instanceof VirtualClock) await clock.runUntilIdle();
		await Promise.all(asked);
		seen.forEach((stores, index) => {
			expect(stores.length).toBeGreaterThan(0);
			expect(new Set(stores)).toEqual(new Set([tenants[index]]));
		});
	});
});
