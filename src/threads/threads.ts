/**
 * Functions that run in threads of their own: `Worker` in browsers, Deno and Bun, `worker_threads` in Node (20.16 or
 * later). Use them for work that keeps a processor busy. Work that mostly waits needs no thread.
 *
 * The module of the thread ends with `serve({ … })`, and is itself the entry of the thread. The alternative, an entry
 * of this library that imports any module, was rejected: bundlers drop the exports of a worker's entry and do not
 * follow a URL that is imported later. A worker from a blob or a `data:` URL is forbidden by many content security
 * policies, and does not resolve imports in the same way everywhere.
 *
 * Deno 2.9 does not interrupt a function when its thread is terminated. The function runs to its end, and keeps a
 * processor busy and the process alive until then, although nothing waits for it.
 *
 * In Node and Bun, an idle thread does not keep the process alive; a thread with a call does. In Deno, a thread keeps
 * the process alive until it is destroyed: stop the pool.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { serve, threadWorker } from "upkeep/threads";
 *
 * export function sum(...numbers: number[]) {
 * 	return numbers.reduce((a, b) => a + b, 0);
 * }
 *
 * // This module is both: the thread, and the program that uses it.
 * if (!serve({ sum })) {
 * 	const { createWorker, destroyWorker } = threadWorker<{ sum: typeof sum }>(import.meta.url);
 * 	const thread = await createWorker();
 * 	assert.equal(await thread.call("sum", [1, 2, 3]), 6);
 * 	await destroyWorker(thread);
 * }
 * ```
 *
 * @module
 */

import { RunningThread, type Thread, type ThreadDiedError, type ThreadSettings } from "./thread.ts";
import { inContext } from "../platform/async-context.ts";
import { check, checkDelay, checkFunction, checkLimit, checkSignal } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import { observe, type OnError } from "../platform/observe.ts";
import { scope } from "../platform/scope.ts";
import { type Abortable, link, unlink } from "../platform/signals.ts";
import { Timer } from "../platform/timer-queue.ts";
import { openWorker, type PlatformWorker } from "../platform/worker.ts";

export type { PlatformWorker } from "../platform/worker.ts";
export { serve, type ThreadContext } from "./serve.ts";
export {
	type CallOptions,
	type FunctionArguments,
	type FunctionName,
	type FunctionResult,
	type Thread,
	ThreadDiedError,
} from "./thread.ts";

/** Options for {@link threadWorker}. */
export interface ThreadOptions {
	/**
	 * How long a function may continue after an abort, in milliseconds. Then its thread is terminated. Elsewhere in
	 * this library the default of `abandonAfter` is `Infinity`, because abandoned work continues. A terminated thread
	 * does not continue, and a function that keeps its thread busy cannot see an abort at all. @default 1000
	 */
	abandonAfter?: number | undefined;
	/**
	 * The time limit for a module to call `serve`, in milliseconds; there is no other way to detect a module that
	 * never does. `Infinity` means no limit. @default 30_000
	 */
	startTimeout?: number | undefined;
	/** Called with an error that `onProgress` threw. */
	onError?: OnError | undefined;
	/** The clock to use. @default systemClock */
	clock?: Clock | undefined;
}

/** The argument of `createWorker`. A pool passes all members. */
export interface ThreadHooks {
	/** Aborts the start of the thread. */
	signal?: AbortSignal | undefined;
	/** Called once if the thread is lost, but not if it is destroyed: with a {@link ThreadDiedError}. */
	died?: ((reason: unknown) => void) | undefined;
}

/** The options of a pool whose workers are threads. */
export interface ThreadWorker<M> {
	/**
	 * Starts a thread and resolves when it serves.
	 *
	 * @throws {unknown} the reason of `signal` itself, if it aborted
	 * @throws {ThreadDiedError} if the module cannot be loaded, or the thread ends before it serves
	 * @throws {DOMException} named `TimeoutError` after `startTimeout`, or `NotSupportedError` in a runtime without
	 * threads
	 */
	readonly createWorker: (hooks?: ThreadHooks) => Promise<Thread<M>>;
	/** Terminates a thread. */
	readonly destroyWorker: (thread: Thread<M>) => Promise<void>;
}

/**
 * Returns pool options that make the workers threads: spread them into the options of a `Pool`. Without a pool, it
 * starts single threads.
 *
 * @param source the module of the threads, as an absolute URL, or a function that creates a `Worker`. Bundlers
 * understand the function: `() => new Worker(new URL("./images.ts", import.meta.url), { type: "module" })`. The
 * function can also pass options of the runtime.
 * @param options time limits and hooks
 * @throws {TypeError | RangeError} for arguments of the wrong type or out of range
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { serve, type ThreadContext, threadWorker } from "upkeep/threads";
 *
 * const functions = {
 * 	wait(this: ThreadContext) {
 * 		return new Promise((_, reject) => this.signal.addEventListener("abort", () => reject(this.signal.reason)));
 * 	},
 * 	work() {
 * 		for (const end = Date.now() + 2_000; Date.now() < end;);
 * 	},
 * };
 *
 * if (!serve(functions)) {
 * 	const { createWorker } = threadWorker<typeof functions>(import.meta.url, { abandonAfter: 100 });
 * 	const died: unknown[] = [];
 * 	const thread = await createWorker({ died: (reason) => died.push(reason) });
 * 	const call = async (name: "wait" | "work") => {
 * 		const controller = new AbortController();
 * 		setTimeout(() => controller.abort("enough"), 50);
 * 		await assert.rejects(thread.call(name, [], controller), (reason) => reason === "enough");
 * 	};
 * 	await call("wait");
 * 	assert.equal(died.length, 0); // it has heard the signal
 * 	await call("work");
 * 	assert.equal(died.length, 1); // it could not, so its thread had to go
 * }
 * ```
 */
export function threadWorker<M = Record<string, (...args: unknown[]) => unknown>>(
	source: string | URL | (() => PlatformWorker),
	options: ThreadOptions = {},
): ThreadWorker<M> {
	const { abandonAfter = 1_000, startTimeout = 30_000, onError, clock } = check("options", options, "object");
	const start = typeof source === "function" ? source : checkUrl(source);
	checkLimit("startTimeout", startTimeout);
	const settings: ThreadSettings = {
		abandonAfter: checkDelay("abandonAfter", abandonAfter),
		clock: checkClock(clock),
		onError: checkFunction("onError", onError),
	};
	return {
		createWorker: async ({ signal, died }: ThreadHooks = {}) => {
			checkFunction("died", died);
			if (signal !== undefined) checkSignal(signal).throwIfAborted();
			return await new Promise((resolve, reject) => {
				new Start<M>(openWorker(start), settings, startTimeout, { resolve, reject, signal, died });
			});
		},
		destroyWorker: async (thread) => {
			check("thread.terminate", check("thread", thread, "object").terminate, "function");
			await thread.terminate();
		},
	};
}

interface StartCallbacks<M> extends ThreadHooks {
	resolve(thread: Thread<M>): void;
	reject(error: unknown): void;
}

/** Waits until a thread calls `serve`. */
class Start<M> extends Timer implements Abortable {
	readonly #thread: RunningThread<M>;
	readonly #settings: ThreadSettings;
	readonly #timeout: number;
	readonly #callbacks: StartCallbacks<M>;
	#isOver = false;
	#loss: ThreadDiedError | undefined;
	/** Calls `died` in the async context of `createWorker`, before any call of the thread settles. */
	readonly #tell: () => void;

	constructor(worker: PlatformWorker, settings: ThreadSettings, timeout: number, callbacks: StartCallbacks<M>) {
		super();
		this.#settings = settings;
		this.#timeout = timeout;
		this.#callbacks = callbacks;
		this.#tell = inContext(() => observe(settings.onError, callbacks.died, this.#loss));
		this.#thread = new RunningThread(worker, settings, this);
		settings.clock.set(this, timeout);
		if (callbacks.signal?.aborted) this.abort(callbacks.signal.reason); // aborted while the worker was created
		else link(callbacks.signal, this);
	}

	onReady(): void {
		this.#finish();
		this.#callbacks.resolve(this.#thread);
	}

	onLost(error: ThreadDiedError): void {
		if (this.#isOver) {
			this.#loss = error;
			return this.#tell();
		}
		this.#finish();
		this.#callbacks.reject(error);
	}

	abort(reason: unknown): void {
		this.#finish();
		this.#thread.terminate().then(() => this.#callbacks.reject(reason));
	}

	fire(): void {
		this.abort(new DOMException(`The thread has not called serve within ${this.#timeout} ms`, "TimeoutError"));
	}

	#finish(): void {
		const { signal } = this.#callbacks;
		this.#isOver = true;
		unlink(signal, this);
		this.#settings.clock.clear(this);
	}
}

function checkUrl(source: string | URL): URL {
	// In a page, paths are relative to the page. Elsewhere only the caller knows what they are relative to.
	const base = scope.document?.baseURI;
	if (!(source instanceof URL)) {
		const canParse = typeof source === "string" && URL.canParse(source, base);
		check("source", source, "string", canParse, "an absolute URL or a function");
	}
	return new URL(source, base);
}
