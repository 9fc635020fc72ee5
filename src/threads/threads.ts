/**
 * Functions that run in threads of their own: `Worker` in browsers, Deno and Bun, `worker_threads` in Node (20.16 or
 * later). For work that keeps a processor busy; what only waits needs no thread.
 *
 * The module of the thread ends with `serve({ … })`, and is itself the thread's entry. The other way, an entry of this
 * library that imports any module, was rejected: bundlers drop the exports of a worker's entry and do not follow a URL
 * that is imported later, and a worker made from a blob or a `data:` URL is not allowed under many content security
 * policies, nor does it resolve imports alike everywhere.
 *
 * Deno 2.9 does not interrupt a function when its thread is terminated: the function runs to its end, and keeps a
 * processor busy and the process alive until then, although nobody waits for it any more.
 *
 * A thread that is idle does not keep a process of Node or Bun alive, one with a call does. In Deno a thread does until
 * it is destroyed: stop the pool.
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

/** What {@link threadWorker} can be told. */
export interface ThreadOptions {
	/**
	 * How long after an abort a function may go on, in milliseconds; then its thread is terminated. Elsewhere in this
	 * library such a limit is `Infinity`, as what is abandoned runs on; a thread that is terminated does not, and a function
	 * that keeps its thread busy cannot hear of an abort at all. @default 1000
	 */
	abandonAfter?: number | undefined;
	/**
	 * How long a module may take until it serves, in milliseconds: nothing else tells that one never will. `Infinity` is no
	 * limit. @default 30_000
	 */
	startTimeout?: number | undefined;
	/** Told what an `onProgress` threw. */
	onError?: OnError | undefined;
	/** Whose time it is. @default systemClock */
	clock?: Clock | undefined;
}

/** What `createWorker` is given; by a pool, all of it. */
export interface ThreadHooks {
	/** Ends the start of the thread. */
	signal?: AbortSignal | undefined;
	/** Called once if the thread is lost, but not if it is destroyed: with a {@link ThreadDiedError}. */
	died?: ((reason: unknown) => void) | undefined;
}

/** The part of a pool's options that makes its workers threads. */
export interface ThreadWorker<M> {
	/**
	 * Starts a thread and resolves when it serves.
	 *
	 * @throws {unknown} the reason of `signal`, itself, if that aborted
	 * @throws {ThreadDiedError} if the module cannot be loaded, or the thread ends before it serves
	 * @throws {DOMException} named `TimeoutError` after `startTimeout`, or `NotSupportedError` in a runtime without threads
	 */
	readonly createWorker: (hooks?: ThreadHooks) => Promise<Thread<M>>;
	/** Terminates a thread. */
	readonly destroyWorker: (thread: Thread<M>) => Promise<void>;
}

/**
 * Makes the workers of a pool threads: spread what it returns into the options of a `Pool`. Without a pool it starts
 * single threads.
 *
 * @param source the module of the threads, as an absolute URL; or a function that makes a `Worker`, which is the form that
 * bundlers understand: `() => new Worker(new URL("./images.ts", import.meta.url), { type: "module" })`. There is also
 * the place for what a runtime can be told of a thread.
 * @param options how long to wait for it
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

/** Waits until a thread serves. */
class Start<M> extends Timer implements Abortable {
	readonly #thread: RunningThread<M>;
	readonly #settings: ThreadSettings;
	readonly #timeout: number;
	readonly #callbacks: StartCallbacks<M>;
	#isOver = false;
	#loss: ThreadDiedError | undefined;
	/** Calls `died` in the async context of `createWorker`. No call of the thread settles before. */
	readonly #tell: () => void;

	constructor(worker: PlatformWorker, settings: ThreadSettings, timeout: number, callbacks: StartCallbacks<M>) {
		super();
		this.#settings = settings;
		this.#timeout = timeout;
		this.#callbacks = callbacks;
		this.#tell = inContext(() => observe(settings.onError, callbacks.died, this.#loss));
		this.#thread = new RunningThread(worker, settings, this);
		settings.clock.set(this, timeout);
		if (callbacks.signal?.aborted) this.abort(callbacks.signal.reason); // while the worker was made
		else if (callbacks.signal !== undefined) link(callbacks.signal, this);
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
		if (signal !== undefined) unlink(signal, this);
		this.#settings.clock.clear(this);
	}
}

function checkUrl(source: string | URL): URL {
	// The page's, so that a path works there; elsewhere only the caller knows what it is relative to.
	const base = scope.document?.baseURI;
	if (!(source instanceof URL)) {
		const canParse = typeof source === "string" && URL.canParse(source, base);
		check("source", source, "string", canParse, "an absolute URL or a function");
	}
	return new URL(source, base);
}
