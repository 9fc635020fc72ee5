// The tests of threads for all engines with threads, which the tests of servers and browsers run.
import { afterEach, describe, expect, test } from "vitest";
import {
	type PlatformWorker,
	type Thread,
	ThreadDiedError,
	type ThreadOptions,
	threadWorker,
} from "../../src/threads/threads.ts";
import { Pool } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { deferred, errorOf, settle, SpiedController, watch } from "../support.ts";

type Functions = typeof import("../fixtures/thread.ts");
type Source = string | URL | (() => PlatformWorker);

/** @param source of the fixture @param elsewhere makes the URL of a module that does not serve */
export function testThreads(name: string, source: Source, elsewhere: (code: string) => string | URL): void {
	describe(name, () => {
		calls(source);
		errors(source);
		aborts(source);
		deaths(source);
		starts(source, elsewhere);
		inPool(source);
	});
}

function inPool(source: Source): void {
	test("In a Pool threads are shared, replaced when they are lost or deaf, and destroyed once each", async () => {
		const { createWorker, destroyWorker } = threadWorker<Functions>(source, { abandonAfter: 10 });
		const made: Thread<Functions>[] = [];
		const destroyed: Thread<Functions>[] = [];
		const pool = new Pool<Thread<Functions>>({
			max: 2,
			createWorker: async (context) => {
				const thread = await createWorker(context);
				made.push(thread);
				return thread;
			},
			destroyWorker: async (thread) => {
				destroyed.push(thread);
				await destroyWorker(thread);
			},
		});
		cleanups.push(() => pool.stop());
		const sums = [1, 2, 3, 4, 5].map((n) => pool.run(({ worker, signal }) => worker.call("add", [n, n], { signal })));
		expect(await Promise.all(sums)).toEqual([2, 4, 6, 8, 10]);
		const lost = pool.spawn("lost", ({ worker, attempt }) => {
			return attempt === 1 ? worker.call("throwLater", []) : worker.call("add", [attempt]);
		}, { restart: (error) => error instanceof ThreadDiedError });
		expect(await lost.result()).toBe(3);
		const running = deferred();
		const deaf = pool.spawn("deaf", ({ worker, signal, report }) => {
			const onProgress = (progress: number) => {
				report(progress);
				running.resolve();
			};
			return worker.call("never", [], { signal, onProgress });
		});
		await running.promise;
		expect(pool.tasks().get("deaf")).toMatchObject({ status: "running", progress: 0 });
		deaf.cancel("enough");
		expect(await errorOf(deaf.result())).toBe("enough");
		expect(await pool.run(({ worker }) => worker.call("add", [2, 2]))).toBe(4);
		await pool.stop();
		expect(destroyed.length).toBe(made.length);
		expect(new Set(destroyed)).toEqual(new Set(made));
	});
}

const cleanups: (() => unknown)[] = [];
/** The arguments of `died` of the most recently started thread. */
let died: unknown[] = [];

afterEach(async () => {
	for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function start(source: Source, options?: ThreadOptions): Promise<Thread<Functions>> {
	const { createWorker, destroyWorker } = threadWorker<Functions>(source, options);
	const reasons: unknown[] = died = [];
	const thread = await createWorker({ died: (reason) => reasons.push(reason) });
	cleanups.push(() => destroyWorker(thread));
	return thread;
}

function calls(source: Source): void {
	test("Thread.call() calls a function and resolves with what that returns", async () => {
		const thread = await start(source);
		expect(await thread.call("add", [1, 2])).toBe(3);
		expect(await thread.call("add", [1])).toBe(2);
		expect(await thread.call("sum", [1, 2, 3])).toBe(6);
		expect(await thread.call("later", ["a"])).toBe("a");
		expect(await Promise.all([thread.call("later", ["slow"]), thread.call("sum", [])])).toEqual(["slow", 0]);
	});

	test("Thread.call() rejects for a name that is not served, and for bad arguments", async () => {
		const thread = await start(source);
		const call = thread.call.bind(thread) as (...args: unknown[]) => Promise<unknown>;
		await expect(call("divide", [])).rejects.toThrow(`serves no function "divide", only add, sum`);
		for (const name of ["constant", "toString", 1]) await expect(call(name, [])).rejects.toThrow(TypeError);
		await expect(call("add", 1)).rejects.toThrow(`"args" must be an array: current value is 1`);
		await expect(call("add", {})).rejects.toThrow(RangeError);
		await expect(call("add", [1], { signal: {} })).rejects.toThrow(TypeError);
		await expect(call("add", [1], { transfer: 1 })).rejects.toThrow(TypeError);
		await expect(call("add", [1], { onProgress: 1 })).rejects.toThrow(TypeError);
		await expect(call("add", [1], { abandonAfter: -1 })).rejects.toThrow(RangeError);
		expect(await thread.call("add", [1])).toBe(2);
	});

	test("Thread.call() tells of progress in order, before the result and never after it", async () => {
		const reported: unknown[] = [];
		const errors: unknown[] = [];
		const thread = await start(source, { onError: (error) => errors.push(error) });
		const onProgress = (progress: number, description?: string) => {
			reported.push([progress, description]);
			if (progress === 1) throw "an observer's";
		};
		expect(await thread.call("count", [2], { onProgress }).then((value) => reported.push(value))).toBe(3);
		expect(await thread.call("later", ["a"])).toBe("a");
		expect(reported).toEqual([[0.5, "1 of 2"], [1, "2 of 2"], 2]);
		expect(errors).toEqual(["an observer's"]);
	});

	test("Thread.call() moves what is transferred, both ways", async () => {
		const thread = await start(source);
		const numbers = Float64Array.of(1, 2);
		expect(await thread.call("double", [numbers], { transfer: [numbers.buffer] })).toEqual(Float64Array.of(2, 4));
		expect(numbers.byteLength).toBe(0);
		expect((await thread.call("move", [10])).byteLength).toBe(10);
		expect(await thread.call("leftOver", [])).toBe(0);
	});

	test("Thread.call() rejects with a DataCloneError for what cannot be copied, and the thread goes on", async () => {
		const thread = await start(source);
		const call = thread.call.bind(thread) as (...args: unknown[]) => Promise<unknown>;
		expect(await errorOf(call("add", [() => {}]))).toMatchObject({ name: "DataCloneError" });
		expect(await errorOf(thread.call("unclonable", []))).toMatchObject({ name: "DataCloneError" });
		expect(await errorOf(thread.call("unclonable", []))).toBeInstanceOf(DOMException);
		expect(await thread.call("add", [1])).toBe(2);
		expect(died).toEqual([]);
	});
}

function errors(source: Source): void {
	test("an error keeps its name, message, stack, cause and fields on its way out of a thread", async () => {
		const thread = await start(source);
		const error = await errorOf(thread.call("fail", ["custom"])) as TypeError & { code: number };
		expect(error).toBeInstanceOf(TypeError);
		expect(error).toMatchObject({ name: "CustomError", message: "my own", code: 42 });
		expect(error.stack).toContain("thread");
		expect(error).not.toHaveProperty("handler");
		expect(error.cause).toBeInstanceOf(RangeError);
		expect(error.cause).toMatchObject({ name: "RangeError", message: "deeper", cause: "deepest" });
		expect(Object.keys(error)).not.toContain("stack");
	});

	test("DOMExceptions and AggregateErrors stay what they are on their way out of a thread", async () => {
		const thread = await start(source);
		const dom = await errorOf(thread.call("fail", ["dom"]));
		expect(dom).toBeInstanceOf(DOMException);
		expect(dom).toMatchObject({ name: "NotFoundError", message: "no such thing" });
		const aggregate = await errorOf(thread.call("fail", ["aggregate"])) as AggregateError;
		expect(aggregate).toBeInstanceOf(AggregateError);
		expect(aggregate.message).toBe("many");
		expect(aggregate.errors[0]).toBeInstanceOf(TypeError);
		expect(aggregate.errors[1]).toBe(2);
	});

	test("whatever a function throws is a failure of its call only", async () => {
		const thread = await start(source);
		expect(await errorOf(thread.call("fail", ["a string"]))).toBe("a string");
		expect(await errorOf(thread.call("fail", ["undefined"]))).toBe(undefined);
		expect(await errorOf(thread.call("fail", ["function"]))).toContain("=>");
		expect(await errorOf(thread.call("fail", ["circle"]))).toMatchObject({ message: "round", cause: "Error: round" });
		expect(await errorOf(thread.call("fail", ["hostile"]))).toBeInstanceOf(Error);
		expect(await thread.call("add", [1])).toBe(2);
		expect(died).toEqual([]);
	});
}

function aborts(source: Source): void {
	/** Calls a function, and aborts the call when the function has begun. */
	const abortOnceRunning = async (
		thread: Thread<Functions>,
		name: "untilAborted" | "reasonOf" | "failWhenAborted" | "never" | "busy",
		reason: unknown,
		abandonAfter?: number,
	): Promise<unknown> => {
		const controller = new SpiedController();
		const running = deferred();
		const call = thread.call(name, [], {
			signal: controller.signal,
			onProgress: () => running.resolve(),
			abandonAfter,
		});
		await running.promise;
		controller.abort(reason);
		return await call.finally(() => expect(controller.listeners).toBe(0));
	};

	test("Thread.call() rejects with the reason of an abort, itself, and the thread lives on", async () => {
		const thread = await start(source);
		for (const reason of [new Error("enough"), () => {}, undefined]) {
			const error = await errorOf(abortOnceRunning(thread, "untilAborted", reason));
			if (reason === undefined) expect(error).toMatchObject({ name: "AbortError" });
			else expect(error).toBe(reason);
		}
		expect(await errorOf(abortOnceRunning(thread, "failWhenAborted", "a reason"))).toBe("a reason");
		expect(died).toEqual([]);
		expect(await thread.call("add", [1])).toBe(2);
	});

	test("Thread.call() gives the function's signal a copy of the reason, and lets it succeed all the same", async () => {
		const thread = await start(source);
		expect(await abortOnceRunning(thread, "reasonOf", new RangeError("enough"))).toBe("RangeError: enough");
	});

	test("Thread.call() rejects at once if the signal has aborted, and forgets the signal when it has settled", async () => {
		const thread = await start(source);
		expect(await errorOf(thread.call("add", [1], { signal: AbortSignal.abort("before") }))).toBe("before");
		const controller = new SpiedController();
		await thread.call("add", [1], { signal: controller.signal });
		await errorOf(thread.call("fail", ["a"], { signal: controller.signal }));
		expect([controller.listeners, controller.added]).toEqual([0, 2]);
	});

	for (const name of ["never", "busy"] as const) {
		test(`a thread whose function ignores an abort is terminated after abandonAfter: ${name}`, async () => {
			const clock = new VirtualClock();
			const thread = await start(source, { abandonAfter: 5_000, clock });
			const other = watch(thread.call("never", []));
			const call = watch(abortOnceRunning(thread, name, "enough"));
			while (clock.pending === 0) await settle();
			await clock.advance(4_999);
			expect([call.state, died.length]).toEqual(["pending", 0]);
			await clock.advance(1);
			while (call.state === "pending" || other.state === "pending") await settle();
			expect(call.error).toBe("enough");
			expect(died).toHaveLength(1);
			expect(died[0]).toMatchObject({ name: "ThreadDiedError", cause: "enough" });
			expect(other.error).toBe(died[0]);
			expect(await errorOf(thread.call("add", [1]))).toBe(died[0]);
			expect(clock.pending).toBe(0);
		});
	}

	test("abandonAfter: 0 of a call terminates the thread with the abort", async () => {
		const thread = await start(source, { abandonAfter: Infinity });
		expect(await errorOf(abortOnceRunning(thread, "busy", "enough", 0))).toBe("enough");
		expect(died).toHaveLength(1);
	});
}

function deaths(source: Source): void {
	const dies = async (call: (thread: Thread<Functions>) => Promise<unknown>): Promise<ThreadDiedError> => {
		const thread = await start(source);
		const others = [thread.call("never", []), thread.call("never", [])];
		const error = await errorOf(call(thread));
		expect(error).toBeInstanceOf(ThreadDiedError);
		for (const other of others) expect(await errorOf(other)).toBe(error);
		expect(await errorOf(thread.call("add", [1]))).toBe(error);
		await thread.terminate();
		expect(died).toEqual([error]);
		return error as ThreadDiedError;
	};

	test("a thread that exits rejects its calls and is reported once", async () => {
		expect((await dies((thread) => thread.call("exit", []))).message).toMatch(/exited with code 3|closed itself/);
	});

	test("a thread is lost with an error that nobody caught, and one that nobody handled", async () => {
		const caught = await dies((thread) => thread.call("throwLater", []));
		expect((caught.cause as Error).message).toContain("nobody caught this");
		const handled = await dies((thread) => thread.call("rejectLater", []));
		expect((handled.cause as Error).message).toContain("nobody handled this");
	});

	const garbage = ["hello", null, 1, [], {}, ["value", 99, 1], ["error", 3, null], ["lost"], ["ready", null], ["x", 3]];
	for (const message of garbage) {
		test(`a thread is lost that posts a message of its own: ${JSON.stringify(message)}`, async () => {
			expect((await dies((thread) => thread.call("say", [message]))).cause).toEqual(message);
		});
	}

	// Safari and older Firefox lack this symbol, but terminate() works.
	test.skipIf(Symbol.asyncDispose === undefined)("Symbol.asyncDispose of a thread terminates it, once", async () => {
		const thread = await start(source);
		const call = thread.call("never", []);
		const disposed = [thread[Symbol.asyncDispose](), thread[Symbol.asyncDispose]()];
		expect(await errorOf(call)).toBeInstanceOf(ThreadDiedError);
		await Promise.all(disposed);
		await thread[Symbol.asyncDispose]();
		await expect(thread.call("add", [1])).rejects.toThrow("The thread was terminated");
		expect(died).toEqual([]);
	});

	test("a thread that is destroyed as soon as it is lost, as by a pool, rejects its calls with how it was lost", async () => {
		const { createWorker, destroyWorker } = threadWorker<Functions>(source);
		const order: unknown[] = [];
		const thread = await createWorker({
			died: (reason) => {
				order.push(reason);
				destroyWorker(thread);
			},
		});
		const error = await errorOf(thread.call("say", ["hello"]));
		expect(order).toEqual([error]);
		expect((error as Error).message).toBe("The thread posted an unexpected message");
	});

	test("a thread that is destroyed rejects its calls, and is not reported", async () => {
		const thread = await start(source);
		const call = watch(thread.call("busy", []));
		const { destroyWorker } = threadWorker<Functions>(source);
		await Promise.all([destroyWorker(thread), destroyWorker(thread)]);
		expect(call.error).toBeInstanceOf(ThreadDiedError);
		await expect(thread.call("add", [1])).rejects.toThrow("The thread was terminated");
		await thread.terminate();
		await settle();
		expect(died).toEqual([]);
	});
}

function starts(source: Source, elsewhere: (code: string) => string | URL): void {
	const faults = {
		"throws": `throw new TypeError("at load")`,
		"is no JavaScript": `const = 1`,
	};
	for (const [name, code] of Object.entries(faults)) {
		test(`createWorker() rejects if the module ${name}`, async () => {
			const reported: unknown[] = [];
			const { createWorker } = threadWorker(elsewhere(code));
			const error = await errorOf(createWorker({ died: (reason) => reported.push(reason) }));
			expect(error).toBeInstanceOf(ThreadDiedError);
			if (name === "throws") expect((error as Error & { cause: Error }).cause.message).toContain("at load");
			await settle();
			expect(reported).toEqual([]);
		});
	}

	test("createWorker() rejects if the module exits", async () => {
		const { createWorker } = threadWorker(elsewhere("globalThis.process ? process.exit(1) : close()"), {
			startTimeout: 1_000,
		});
		// Only Node and Bun report a thread that exits before it serves.
		const { name } = await errorOf(createWorker()) as Error;
		expect(["ThreadDiedError", "TimeoutError"]).toContain(name);
	});

	test("createWorker() rejects if there is no such module", async () => {
		const { createWorker } = threadWorker(new URL("./nowhere.js", import.meta.url));
		expect(await errorOf(createWorker())).toBeInstanceOf(ThreadDiedError);
	});

	test("createWorker() rejects with a TimeoutError if the module does not serve", async () => {
		const clock = new VirtualClock();
		const { createWorker } = threadWorker(elsewhere(`setInterval(() => {}, 1000)`), { startTimeout: 3_600_000, clock });
		const started = watch(createWorker());
		await settle();
		await clock.advance(3_600_000);
		while (started.state === "pending") await settle();
		expect(started.error).toMatchObject({ name: "TimeoutError" });
		expect(clock.pending).toBe(0);
	});

	test("createWorker() rejects with the reason of its signal and ends the thread", async () => {
		const { createWorker } = threadWorker<Functions>(source);
		expect(await errorOf(createWorker({ signal: AbortSignal.abort("before") }))).toBe("before");
		const controller = new SpiedController();
		const reported: unknown[] = [];
		const started = createWorker({ signal: controller.signal, died: (reason) => reported.push(reason) });
		controller.abort("meanwhile");
		expect(await errorOf(started)).toBe("meanwhile");
		expect([controller.listeners, reported]).toEqual([0, []]);
		const late = new SpiedController();
		const thread = await createWorker({ signal: late.signal });
		expect(late.listeners).toBe(0);
		await thread.terminate();
	});
}
