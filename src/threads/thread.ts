/**
 * A thread, as its callers see it.
 *
 * @module
 */

import type { Answer, Request } from "./protocol.ts";
import { pack, unpack } from "./error-border.ts";
import { inContextAlways } from "../platform/async-context.ts";
import { check, checkDelay, checkFunction, checkSignal } from "../platform/check.ts";
import type { Clock } from "../platform/clock.ts";
import { observe, type OnError } from "../platform/observe.ts";
import { type Abortable, link, unlink } from "../platform/signals.ts";
import { Timer } from "../platform/timer-queue.ts";
import { observeWorker, type PlatformWorker, setRef, watchLock } from "../platform/worker.ts";

/** The names of the functions among the exports `M` of a module. */
export type FunctionName<M> = {
	[N in keyof M]: M[N] extends (...args: never[]) => unknown ? N : never;
}[keyof M];

/** The parameters of a function, without its `this`. */
export type FunctionArguments<F> = F extends (...args: infer A) => unknown ? A : never;

/** The result of a function: if it returns a promise, its value. */
export type FunctionResult<F> = F extends (...args: never[]) => infer R ? Awaited<R> : never;

/** Options for {@link Thread.call}. */
export interface CallOptions {
	/** Aborts the call: the function's own signal aborts with a copy of the reason. */
	signal?: AbortSignal | undefined;
	/** The parts of the arguments that are moved into the thread instead of being copied. */
	transfer?: readonly Transferable[] | undefined;
	/**
	 * Called with the progress of the function, in order and before the call settles. The `report` of a pool's task
	 * can be passed here.
	 */
	onProgress?: ((progress: number, description?: string) => void) | undefined;
	/**
	 * How long the function may continue after an abort, in milliseconds. Then its thread is terminated, with all
	 * calls in it. `Infinity` waits for the function. @default that of the thread
	 */
	abandonAfter?: number | undefined;
}

/**
 * A thread whose module exports `M`. Made by `createWorker`.
 *
 * State: alive → lost (it failed, exited, or was abandoned) or terminated. At the end of the thread, all its calls
 * reject.
 */
export interface Thread<M> extends AsyncDisposable {
	/**
	 * Calls a function in the thread. Calls may overlap: async functions then run interleaved, other functions one
	 * after the other.
	 *
	 * The call settles when the function has settled, also after an abort, so that nothing overlaps. If the function
	 * fails after an abort, the call rejects with the abort's reason; if it returns, the call succeeds.
	 *
	 * @param name the name of the function
	 * @param args the arguments, which are copied by structured clone, except the parts in `transfer`
	 * @param options how to abort the call, and what to move instead of copying
	 * @returns the value that the function returns
	 * @throws {unknown} the error that the function threw, with its name, message, stack, cause and fields; only
	 * built-in classes are restored
	 * @throws {unknown} the reason of `signal` itself, if it aborted and the function failed or had to be abandoned
	 * @throws {ThreadDiedError} if the thread has ended, or ends before the function has settled
	 * @throws {TypeError} if no function has this name, and for arguments of the wrong type
	 * @throws {RangeError} for arguments out of range
	 * @throws {DOMException} named `DataCloneError` for arguments or a result that cannot be copied; all are
	 * rejections
	 */
	call<N extends FunctionName<M>>(
		name: N,
		args: Readonly<FunctionArguments<M[N]>>,
		options?: CallOptions,
	): Promise<FunctionResult<M[N]>>;
	/**
	 * Ends the thread. Resolves when the thread has ended or is certain to end: most runtimes do not report the end.
	 * Idempotent.
	 */
	terminate(): Promise<void>;
	/** The same as {@link terminate}. */
	[Symbol.asyncDispose](): Promise<void>;
}

/**
 * A thread has ended: it failed, exited, was terminated, or posted an unexpected message.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { ThreadDiedError, threadWorker } from "upkeep/threads";
 *
 * const { createWorker } = threadWorker("data:text/javascript,throw new Error('no')");
 * await assert.rejects(createWorker(), (error) => error instanceof ThreadDiedError);
 * ```
 */
export class ThreadDiedError extends Error {
	/** The name of this error. */
	override readonly name = "ThreadDiedError";

	/**
	 * Created when a thread is lost.
	 *
	 * @param what what has happened, as the end of "The thread …"
	 * @param options the `cause`: the uncaught error in the thread, if there was one
	 */
	constructor(what: string, options?: ErrorOptions) {
		super(`The thread ${what}`, options);
	}
}

/** Settings for all calls of a thread. */
export interface ThreadSettings {
	readonly abandonAfter: number;
	readonly clock: Clock;
	readonly onError: OnError | undefined;
}

/** The owner of a thread. */
export interface ThreadOwner {
	onReady(): void;
	/** Called once, unless the thread was terminated on purpose. */
	onLost(error: ThreadDiedError): void;
}

export class RunningThread<M> implements Thread<M> {
	readonly settings: ThreadSettings;
	readonly #worker: PlatformWorker;
	readonly #owner: ThreadOwner;
	readonly #calls = new Map<number, Call>();
	#functions: readonly unknown[] = [];
	#lastId = 0;
	#death: ThreadDiedError | undefined;
	#end: Promise<void> | undefined;

	constructor(worker: PlatformWorker, settings: ThreadSettings, owner: ThreadOwner) {
		this.#worker = worker;
		this.settings = settings;
		this.#owner = owner;
		observeWorker(worker, {
			onMessage: (message) => this.#accept(message),
			onLoss: (what, ...cause) => this.lose(new ThreadDiedError(what, cause.length > 0 ? { cause: cause[0] } : {})),
		});
	}

	async call<N extends FunctionName<M>>(
		name: N,
		args: Readonly<FunctionArguments<M[N]>>,
		options: CallOptions = {},
	): Promise<FunctionResult<M[N]>> {
		const { signal, transfer = [], onProgress, abandonAfter } = check("options", options, "object");
		check("args", args, "object", Array.isArray(args), "an array");
		check("transfer", transfer, "object", Array.isArray(transfer), "an array");
		checkFunction("onProgress", onProgress);
		if (abandonAfter !== undefined) checkDelay("abandonAfter", abandonAfter);
		if (signal !== undefined) checkSignal(signal).throwIfAborted();
		if (this.#death !== undefined) throw this.#death;
		if (!this.#functions.includes(name)) throw new TypeError(this.#describe(name));
		return await new Promise((resolve, reject) => {
			const call = new Call(this, ++this.#lastId, resolve as (value: unknown) => void, reject, options);
			// Added first: posting copies the arguments, and a getter in them may end the thread.
			this.#add(call);
			try {
				this.post(["call", call.id, name as string, args as readonly unknown[]], transfer);
			} catch (error) {
				call.reject(error);
			}
		});
	}

	terminate(): Promise<void> {
		return this.#finish(new ThreadDiedError("was terminated"));
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.terminate();
	}

	post(request: Request, transfer: readonly Transferable[] = []): void {
		this.#worker.postMessage(request, transfer as Transferable[]);
	}

	/** Removes a settled call. */
	remove(id: number): void {
		if (this.#calls.delete(id) && this.#calls.size === 0) setRef(this.#worker, false);
	}

	/** The owner is notified before any call settles, so that it gives no more work to a lost thread. */
	lose(error: ThreadDiedError): void {
		if (this.#death !== undefined) return;
		this.#death = error;
		this.#owner.onLost(error);
		this.#finish(error);
	}

	#finish(error: ThreadDiedError): Promise<void> {
		this.#death ??= error;
		this.#end ??= end(this.#worker);
		for (const call of [...this.#calls.values()]) call.reject(this.#death);
		return this.#end;
	}

	#add(call: Call): void {
		if (this.#calls.size === 0) setRef(this.#worker, true);
		this.#calls.set(call.id, call);
	}

	#accept(message: unknown): void {
		if (this.#death !== undefined) return;
		try {
			if (this.#understand(message as Answer)) return;
		} catch {
			// The message looks like one of ours, but is not.
		}
		this.lose(new ThreadDiedError("posted an unexpected message", { cause: message }));
	}

	#understand([kind, id, what, more]: Answer): boolean {
		if (kind === "ready") return this.#open(id, what);
		if (kind === "lost") this.lose(new ThreadDiedError("failed", { cause: unpack(id) }));
		const call = this.#calls.get(id as number);
		if (kind === "value") call!.resolve(what);
		else if (kind === "error") call!.fail(unpack(what));
		else if (kind === "progress") call!.progress(what, more);
		else return kind === "lost";
		return true;
	}

	#open(functions: readonly string[], lock: string | undefined): boolean {
		this.#functions = [...functions];
		if (lock !== undefined) watchLock(lock, () => this.lose(new ThreadDiedError("closed itself")));
		setRef(this.#worker, false);
		this.#owner.onReady();
		return true;
	}

	#describe(name: unknown): string {
		return `The thread serves no function ${JSON.stringify(name)}, only ${this.#functions.join(", ")}`;
	}
}

/** A call that has not settled. */
class Call extends Timer implements Abortable {
	readonly id: number;
	readonly #thread: RunningThread<unknown>;
	readonly #resolve: (value: unknown) => void;
	readonly #reject: (error: unknown) => void;
	readonly #options: CallOptions;
	/** Reports that have not been delivered. */
	readonly #reports: (readonly [progress: number, description: string | undefined])[] = [];
	/**
	 * Delivers the reports in the async context of the caller. Calls settle later, because that takes more microtasks.
	 */
	readonly #tell: (() => void) | undefined;

	constructor(
		thread: RunningThread<unknown>,
		id: number,
		resolve: (value: unknown) => void,
		reject: (error: unknown) => void,
		options: CallOptions,
	) {
		super();
		this.#thread = thread;
		this.id = id;
		this.#resolve = resolve;
		this.#reject = reject;
		this.#options = options;
		const { onProgress } = options;
		this.#tell = onProgress && inContextAlways(() => {
			for (const report of this.#reports.splice(0)) observe(thread.settings.onError, onProgress, ...report);
		});
		link(options.signal, this);
	}

	resolve(value: unknown): void {
		this.#settle();
		this.#resolve(value);
	}

	reject(error: unknown): void {
		this.#settle();
		this.#reject(error);
	}

	/** The function has failed. After an abort, the abort is the cause. */
	fail(error: unknown): void {
		const { signal } = this.#options;
		this.reject(signal?.aborted ? signal.reason : error);
	}

	progress(progress: number, description: string | undefined): void {
		if (this.#tell === undefined) return;
		this.#reports.push([progress, description]);
		this.#tell();
	}

	abort(reason: unknown): void {
		const { abandonAfter = this.#thread.settings.abandonAfter } = this.#options;
		this.#thread.post(["abort", this.id, pack(reason)]);
		if (abandonAfter === 0) this.fire();
		else this.#thread.settings.clock.set(this, abandonAfter);
	}

	/** The function has not reacted to the abort. */
	async fire(): Promise<void> {
		const { reason } = this.#options.signal!;
		this.#settle();
		this.#thread.lose(new ThreadDiedError("was terminated because it ignored an abort", { cause: reason }));
		await this.#thread.terminate();
		this.#reject(reason);
	}

	#settle(): void {
		const { signal } = this.#options;
		if (signal !== undefined) {
			unlink(signal, this);
			this.#thread.settings.clock.clear(this);
		}
		this.#thread.remove(this.id);
	}
}

/** Errors are ignored: nothing can be done about a thread that cannot be ended. */
async function end(worker: PlatformWorker): Promise<void> {
	try {
		await worker.terminate();
	} catch {
		// It has already ended.
	}
}
