// Thrown values of any type. The same value must be reported, and an unreadable value must not make a run hang.
import { describe, expect, test } from "vitest";
import {
	Basket,
	Group,
	Intermittent,
	job,
	Lifecycle,
	memoryStore,
	poll,
	Pool,
	Processor,
	reconcile,
	run,
	Runner,
	Services,
} from "../../mod.ts";
import { servicesHandler } from "../../src/http/http.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { watch } from "../support.ts";

const mine = (): never => {
	throw new Error("of a getter");
};
const { proxy, revoke } = Proxy.revocable({}, {});
revoke();

// The AbortController of workerd reads its reason, and throws if the reason is unreadable.
const isReader = globalThis.navigator?.userAgent === "Cloudflare-Workers";

const thrown: Record<string, unknown> = {
	...(isReader ? {} : {
		"a revoked proxy": proxy,
		"a proxy that refuses everything": new Proxy({}, { get: mine, has: mine, getPrototypeOf: mine, ownKeys: mine }),
		"an error whose getters throw": Object.defineProperties(new Error("x"), {
			...{ name: { get: mine }, message: { get: mine }, cause: { get: mine }, upkeepHint: { get: mine } },
		}),
	}),
	"undefined": undefined,
	"null": null,
	"a symbol": Symbol("s"),
	"a function": () => {},
	"an object without a prototype": Object.create(null),
	"a frozen error": Object.freeze(new Error("frozen")),
	"a proxy that has everything, callable": new Proxy(() => {}, { get: (target) => target, has: () => true }),
	"what is no text": { toString: mine, [Symbol.toPrimitive]: mine },
	"what looks like a promise": { then: mine },
	"what has half a hint": { upkeepHint: null },
};

/** In an array, because a promise would read the `then` of the value. */
type Boxed = readonly unknown[];

/** All ways to throw a value. Each returns the reported value. */
const ways: Record<string, (fail: () => never, clock: VirtualClock) => Promise<Boxed>> = {
	"run() without options": (fail) => caught(run(fail)),
	"run()": (fail, clock) => caught(run(fail, { attempts: 2, backoff: 5, clock })),
	"run() with a timeout": (fail, clock) => caught(run(fail, { attempts: 2, timeout: 5, abandonAfter: 0, clock })),
	"run() with hooks": (fail, clock) =>
		caught(run(fail, { attempts: 2, shouldRetry: () => true, onAttemptFailed: fail, clock })),
	"shouldRetry": (fail, clock) => caught(run(() => Promise.reject("x"), { attempts: 2, shouldRetry: fail, clock })),
	"Runner.step()": async (fail, clock) => {
		const step = await new Runner(fail, { attempts: 2, timeout: 5, clock }).step();
		return step.again && !step.ok ? [step.error] : [step, "is no failure"];
	},
	"Group.spawn()": async (fail, clock) => {
		const group = new Group({ attempts: 2, clock, onError: fail });
		group.subscribe(fail);
		const task = group.spawn("a", fail);
		await caught(task.result());
		return [task.error, ...(task.attempt === 2 ? [] : [task.attempt])];
	},
	"the start of an Intermittent": async (fail, clock) => {
		const shared = new Intermittent(fail, { clock });
		const error = caught(shared.attach(new AbortController().signal));
		await shared.wait();
		return await error;
	},
	"the stop of an Intermittent": async (fail, clock) => {
		const errors: unknown[] = [];
		const onError = (error: unknown) => {
			errors.push(error);
			fail();
		};
		const shared = new Intermittent(() => fail, { clock, onError });
		const controller = new AbortController();
		await shared.attach(controller.signal);
		controller.abort();
		await shared.wait();
		return errors;
	},
	"poll()": async (fail, clock) => {
		const errors: unknown[] = [];
		const controller = new AbortController();
		const shared = poll(fail, {
			...{ interval: 5, clock, onError: fail },
			onAttempt(_state, error) {
				if (errors.push(error) === 3) controller.abort();
				fail();
			},
		});
		await shared.attach(controller.signal);
		await shared.wait();
		return errors.slice(2);
	},
	"Lifecycle.configure()": async (fail, clock) => {
		const lifecycle = new Lifecycle(fail, { retry: { attempts: 2 }, clock, onError: fail });
		lifecycle.subscribe(fail);
		await lifecycle.start();
		expect(await lifecycle.configure({})).toBe("error");
		const { error } = lifecycle;
		await lifecycle.stop();
		return [error];
	},
	"Services.create()": async (fail, clock) => {
		const services = new Services({ kinds: { failing: () => new Lifecycle(fail, { clock }) }, onError: fail });
		const [error] = await caught(services.create({ kind: "failing", config: {} })) as [Error];
		expect([error.name, services.list()]).toEqual(["ServiceFailedError", []]);
		return [error.cause];
	},
	"readConfig": async (fail, clock) => {
		const kinds = { strict: () => new Lifecycle(() => {}, { readConfig: fail, clock }) };
		const [error] = await caught(new Services({ kinds }).create({ kind: "strict", config: {} })) as [Error];
		expect(error.name).toBe("InvalidConfigError");
		return [error.cause];
	},
	"servicesHandler()": async (fail) => {
		const errors: unknown[] = [];
		const onError = (error: unknown) => {
			errors.push(error);
			fail();
		};
		const handler = servicesHandler(new Services({ kinds: {} }), { authorize: fail, onError });
		expect((await handler(new Request("http://localhost/services"))).status).toBe(500);
		return errors;
	},
	"a task of reconcile()": async (fail, clock) => {
		let rounds = 0;
		const create = () => rounds++ === 0 ? [{ name: "a", perform: fail }] : [];
		const { failures } = await reconcile({ create }, { onEvent: fail, onError: fail, clock });
		return failures.map(({ error }) => error);
	},
	"the plan of reconcile()": (fail, clock) => caught(reconcile({ create: fail }, { clock })),
	"Pool.run()": (fail, clock) => inPool({ max: 1, clock }, (pool) => caught(pool.run(fail))),
	"Pool.spawn() with restart": (fail, clock) => {
		const errors: unknown[] = [];
		const restart = (error: unknown) => {
			errors.push(error);
			return errors.length < 3;
		};
		return inPool({ max: 1, clock, onError: fail }, (pool) => caught(pool.spawn("a", fail, { restart }).result()));
	},
	"Pool.spawn() with attempts": async (fail, clock) => {
		const errors: unknown[] = [];
		const onAttemptFailed = ({ error }: { error: unknown }) => void errors.push(error);
		const options = { attempts: 3, backoff: 5, onAttemptFailed };
		errors.push(
			...await inPool({ max: 1, clock, onError: fail }, (pool) => caught(pool.spawn("a", fail, options).result())),
		);
		return once(errors, 4);
	},
	"the death of a worker": async (fail, clock) => {
		const errors: unknown[] = [];
		let thrown: unknown;
		try {
			fail();
		} catch (error) {
			thrown = error;
		}
		const options: ConstructorParameters<typeof Pool>[0] = {
			...{ max: 1, clock, attempts: 2, onError: fail },
			createWorker: ({ died }) => (() => died(thrown)) as never,
			onAttemptFailed: ({ error }) => void errors.push(error),
		};
		const never = ({ worker }: { worker: unknown }) => new Promise<never>(worker as () => void);
		errors.push(...await inPool(options, (pool) => caught(pool.run(never))));
		if (thrown !== undefined) return once(errors, 3);
		// If a death has no reason, the library creates an error.
		return errors.every((error) => (error as Error).message === "The worker has died") ? [thrown] : errors;
	},
	"createWorker": (fail, clock) =>
		inPool({ max: 1, clock, createWorker: fail, onError: fail }, (pool) => caught(pool.run(() => {}))),
	"destroyWorker": async (fail, clock) => {
		const errors: unknown[] = [];
		const onError = (error: unknown) => {
			errors.push(error);
			fail();
		};
		const options = { max: 1, clock, createWorker: () => ({}), destroyWorker: fail, onError };
		await inPool(options, (pool) => caught(pool.run(() => {})));
		return errors;
	},
};

/** Returns the original rejection value of a promise. */
async function caught(promise: Promise<unknown>): Promise<Boxed> {
	try {
		return ["a value", await promise];
	} catch (error) {
		return [error];
	}
}

/** Returns the value, which must be reported `count` times. */
function once(errors: unknown[], count: number): unknown[] {
	return errors.length === count && errors.every((error) => Object.is(error, errors[0])) ? [errors[0]] : errors;
}

async function inPool(
	options: ConstructorParameters<typeof Pool>[0],
	use: (pool: Pool<unknown>) => Promise<Boxed>,
): Promise<Boxed> {
	const pool = new Pool<unknown>(options as ConstructorParameters<typeof Pool<unknown>>[0]);
	const value = await use(pool);
	await pool.stop();
	return value;
}

describe("whatever is thrown", () => {
	test.each(Object.keys(ways))("in %s, comes back as it is, and all comes to an end", async (way) => {
		for (const [title, value] of Object.entries(thrown)) {
			const clock = new VirtualClock();
			const fail = (): never => {
				throw value;
			};
			const done = watch(ways[way]!(fail, clock));
			await clock.runUntilIdle();
			const { state, value: boxed = [] } = done;
			expect([title, state, boxed.length, Object.is(boxed[0], value)]).toEqual([title, "resolved", 1, true]);
			expect([title, clock.pending]).toEqual([title, 0]);
		}
	});

	test("as the reason of an abort, is what run() rejects with", async () => {
		for (const [title, value] of Object.entries(thrown)) {
			if (value === undefined) continue; // the platform replaces it with an AbortError
			const controller = new AbortController();
			const task = ({ signal }: { signal: AbortSignal }) =>
				new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
			const done = caught(run(task, { signal: controller.signal, attempts: 2 }));
			controller.abort(value);
			const [reason] = await done;
			expect([title, Object.is(reason, value)]).toEqual([title, true]);
		}
	});

	test("in a task of a basket or a step of a job, uses up its attempts and no more", async () => {
		for (const [title, value] of Object.entries(thrown)) {
			const clock = new VirtualClock({ now: 1_000_000 });
			let calls = 0;
			const fail = (): never => {
				throw value;
			};
			const run = (): never => {
				calls++;
				throw value;
			};
			const options = { clock, onError: fail, onSettled: fail };
			const process = async (engine: { run(options: { signal: AbortSignal }): Promise<void> }) => {
				const controller = new AbortController();
				const ended = watch(engine.run(controller));
				await clock.advance(100);
				controller.abort();
				await clock.runUntilIdle();
				expect([title, ended.state, calls]).toEqual([title, "resolved", 2]);
				calls = 0;
			};
			const tasks = { failing: { run, attempts: 2, backoff: 5 } };
			const basket = new Basket({ store: memoryStore({ clock }), tasks, ...options });
			await basket.add("failing", undefined, { id: "a" });
			await process(basket);
			expect([title, (await basket.get("a"))?.state]).toEqual([title, "dead"]);
			const failing = job("failing").step("only", { run, attempts: 2, backoff: 5 });
			const processor = new Processor({ store: memoryStore({ clock }), jobs: [failing], ...options });
			const { id } = await processor.add(failing, undefined);
			await process(processor);
			expect([title, (await processor.result(id))?.status]).toEqual([title, "failed"]);
		}
	});
});
