/**
 * A shared background operation. It runs while at least one listener is attached.
 *
 * Use {@link Intermittent} for one operation (a socket, a subscription, a watcher), `IntermittentMap` for one per
 * key, and `poll` for a function that is called repeatedly.
 *
 * @module
 */

import { abortError } from "../platform/abort-error.ts";
import { inContext, inContextAlways } from "../platform/async-context.ts";
import { check, checkDelay, checkedSignal, checkFunction, checkSignal } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import { type OnError, report } from "../platform/observe.ts";
import { type Abortable, link, unlink } from "../platform/signals.ts";
import { Snapshot, type Subscribable } from "../platform/snapshot.ts";
import { CallbackTimer, type Timer } from "../platform/timer-queue.ts";
import { type StopOptions, Waiters, type WaitOptions } from "../platform/waiters.ts";

/** Ends an operation. If it returns a promise, the next start waits for it. */
export type IntermittentStop = () => unknown;

/** A running operation: how to stop it, and the value for its listeners. Both are optional. */
export interface IntermittentOperation<V> {
	/** The value that `attach` resolves with. */
	readonly value?: V;
	/** Ends the operation. */
	readonly stop?: IntermittentStop | undefined;
}

/**
 * Starts the operation.
 *
 * Its signal aborts when no listener waits for the start anymore, and just before `stop` is called.
 */
export type IntermittentStart<V> = (
	signal: AbortSignal,
) => IntermittentStarted<V> | PromiseLike<IntermittentStarted<V>>;

/** The value that a start returns or resolves with. */
export type IntermittentStarted<V> = IntermittentStop | IntermittentOperation<V> | void;

/** Options for an {@link Intermittent}. */
export interface IntermittentOptions {
	/**
	 * How long the operation continues without listeners, in milliseconds. During that time it keeps a server process
	 * alive, and {@link Intermittent.wait} waits. @default 0
	 */
	linger?: number | undefined;
	/** Called with an error of `stop`, of a subscriber, or of a start for which no listener waits anymore. */
	onError?: OnError | undefined;
	/** The clock to use. @default systemClock */
	clock?: Clock | undefined;
}

/**
 * - `"idle"`: the operation does not run;
 * - `"starting"`: the start is running, and a listener waits for it;
 * - `"running"`: the operation runs, with listeners or during the linger time;
 * - `"stopping"`: the stop is running, or a start for which no listener waits anymore.
 */
export type IntermittentState = "idle" | "starting" | "running" | "stopping";

/** An {@link Intermittent} at one moment. */
export interface IntermittentSnapshot {
	/** The state of the operation. */
	readonly state: IntermittentState;
	/** The number of attached listeners, including those that wait for the start. */
	readonly listeners: number;
}

/**
 * An operation that starts with the first listener and stops after the last one.
 *
 * State: `idle` → (attach) → `starting` → `running` → (the last detach, and `linger`; or a stop) → `stopping` → `idle`.
 * If all listeners leave during a start, the state is `stopping` at once. A listener that attaches during `stopping`
 * waits for the next start: the operation never runs twice at the same time. A start that awaits an attach to its own
 * operation waits for itself.
 *
 * `start` is called in the async context (`AsyncLocalStorage`) of the attach that causes it. So is `stop` after a
 * linger time. Without a linger time, `stop` is called inside the abort.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Intermittent } from "upkeep";
 *
 * const log: string[] = [];
 * const ticker = new Intermittent(() => {
 * 	log.push("start");
 * 	return { value: "ticking", stop: () => log.push("stop") };
 * });
 *
 * const [first, second] = [new AbortController(), new AbortController()];
 * assert.equal(await ticker.attach(first.signal), "ticking");
 * assert.equal(await ticker.attach(second.signal), "ticking");
 * first.abort();
 * assert.equal(ticker.state, "running");
 * second.abort();
 * assert.equal(ticker.state, "idle");
 * assert.deepEqual(log, ["start", "stop"]);
 * ```
 */
export class Intermittent<V = void> implements Subscribable<IntermittentSnapshot>, AsyncDisposable {
	readonly #start: IntermittentStart<V>;
	readonly #linger: number;
	readonly #clock: Clock;
	readonly #onError: OnError | undefined;
	readonly #lingering: Timer;
	/** Whether the linger time is over. The stop follows a microtask later; until then a listener may attach. */
	#isOverdue = false;
	/** Ends the linger time in the async context of the start. */
	#endLinger: (() => void) | undefined;
	/** All listeners. */
	readonly #attached = new Set<Attachment<V>>();
	/** The listeners that wait for a start. */
	readonly #waiting = new Set<Attachment<V>>();
	readonly #idle = new Waiters();
	/** The callers of {@link stop}. They do not wait for `idle`, because a listener may attach meanwhile. */
	readonly #resting = new Waiters();
	readonly #snapshot: Snapshot<IntermittentSnapshot>;
	#state: IntermittentState = "idle";
	#controller: AbortController | undefined;
	/** The reason with which the last listener left. */
	#reason: unknown;
	#operation: IntermittentOperation<V> | undefined;
	/** One promise for all listeners that attach while the operation runs. */
	#value: Promise<V> | undefined;
	/** The last snapshot. */
	#seen: IntermittentSnapshot | undefined;

	/** See {@link Subscribable.subscribe}. */
	declare readonly subscribe: (listener: () => void) => () => void;
	/** See {@link Subscribable.getSnapshot}. */
	declare readonly getSnapshot: () => IntermittentSnapshot;

	/**
	 * Creates an idle operation.
	 *
	 * @param start starts the operation
	 * @param options the linger time and hooks
	 * @throws {TypeError | RangeError} for arguments of the wrong type or out of range
	 */
	constructor(start: IntermittentStart<V>, options: IntermittentOptions = {}) {
		const { linger = 0, onError, clock } = check("options", options, "object");
		this.#start = check("start", start, "function");
		this.#linger = checkDelay("linger", linger);
		this.#clock = checkClock(clock);
		checkFunction("onError", onError);
		this.#onError = onError;
		this.#lingering = new CallbackTimer(() => {
			this.#isOverdue = true;
			this.#endLinger!();
		});
		// Compared on each read, because callbacks may read the snapshot before subscribers are notified.
		this.getSnapshot = () => {
			const { state, listeners } = this;
			if (this.#seen?.state !== state || this.#seen.listeners !== listeners) this.#seen = { state, listeners };
			return this.#seen;
		};
		this.#snapshot = new Snapshot(this.getSnapshot, onError);
		this.subscribe = this.#snapshot.subscribe;
	}

	/** The state of the operation. */
	get state(): IntermittentState {
		return this.#state;
	}

	/** The number of attached listeners, including those that wait for the start. */
	get listeners(): number {
		return this.#attached.size;
	}

	/**
	 * Attaches a listener until `signal` aborts, and starts the operation if it does not run.
	 *
	 * @param signal detaches the listener; a signal attached twice counts as two listeners
	 * @returns the value of the operation, when it runs
	 * @throws {unknown} (as a rejection) the error of the start, if this call caused it; other waiting listeners try a
	 * start of their own
	 * @throws {unknown} (as a rejection) the signal's reason, if it aborts before the operation runs
	 * @throws {TypeError} (as a rejection) if `signal` is not an AbortSignal
	 */
	attach(signal: AbortSignal): Promise<V> {
		try {
			checkSignal(signal);
		} catch (error) {
			return Promise.reject(error);
		}
		if (signal.aborted) return Promise.reject(signal.reason);
		const attachment: Attachment<V> = { signal, abort: (reason) => this.#detach(attachment, reason) };
		link(signal, attachment);
		this.#attached.add(attachment);
		if (this.#state === "running") {
			if (this.#attached.size === 1) {
				this.#clock.clear(this.#lingering);
				this.#isOverdue = false;
			}
			const value = this.#value!;
			this.#snapshot.changed(); // a subscriber may stop the operation
			return value;
		}
		return new Promise((resolve, reject) => {
			Object.assign(attachment, { resolve, reject });
			this.#waiting.add(attachment);
			if (this.#state === "idle") return this.#begin(attachment);
			attachment.begin = inContext(() => this.#waiting.has(attachment) ? this.#begin(attachment) : this.#rest());
			this.#snapshot.changed();
		});
	}

	/** Resolves with `true` when the operation is idle, or with `false` if the signal aborts first. */
	async wait(options: WaitOptions = {}): Promise<boolean> {
		const signal = checkedSignal(options);
		return this.#state === "idle" || await this.#idle.wait(signal);
	}

	/**
	 * Detaches all listeners and stops the operation at once, without a linger time. An attach that waits for the
	 * start rejects with the reason. A listener that attaches later, even while this call waits, starts the operation
	 * again. An operation that awaits this call waits for itself.
	 *
	 * @param options why, and how long to wait
	 * @returns a promise that resolves when the operation has stopped
	 * @throws {unknown} (as a rejection) the signal's reason, if it aborts first; the operation continues to stop
	 * @throws {TypeError} (as a rejection) for options of the wrong type
	 */
	async stop(options: StopOptions = {}): Promise<void> {
		const signal = checkedSignal(options);
		const { reason = abortError("The operation was stopped") } = options;
		if (this.#state === "idle") return;
		// All at once, because a subscriber may attach again as soon as it is notified.
		for (const attachment of this.#attached) {
			unlink(attachment.signal, attachment);
			attachment.reject?.(reason); // too late if it has the value already
		}
		this.#attached.clear();
		this.#waiting.clear();
		const rested = this.#resting.wait(signal);
		this.#leave(reason, 0);
		this.#snapshot.changed();
		if (!await rested) throw signal!.reason;
	}

	/** The same as {@link stop}. */
	[Symbol.asyncDispose](): Promise<void> {
		return this.stop();
	}

	#detach(attachment: Attachment<V>, reason: unknown): void {
		this.#attached.delete(attachment);
		if (this.#waiting.delete(attachment)) attachment.reject!(reason);
		if (this.#attached.size === 0) this.#leave(reason, this.#linger);
		this.#snapshot.changed();
	}

	/** The last listener has left. */
	#leave(reason: unknown, linger: number): void {
		this.#reason = reason;
		if (this.#state === "starting") {
			this.#state = "stopping";
			this.#controller!.abort(reason);
		} else if (this.#state === "running") {
			if (linger > 0) this.#clock.set(this.#lingering, linger);
			else this.#stop();
		}
	}

	/** The state is set before user code is called, because that may attach or abort. */
	#begin(cause: Attachment<V>): void {
		const controller = this.#controller = new AbortController();
		this.#state = "starting";
		new Promise<IntermittentStarted<V>>((resolve) => resolve(this.#start(controller.signal))).then(toOperation).then(
			(operation) => this.#started(operation, controller.signal),
			(error) => this.#failed(error, cause, controller.signal),
		);
		this.#snapshot.changed();
	}

	#started(operation: IntermittentOperation<V>, { aborted }: AbortSignal): void {
		this.#operation = operation;
		if (aborted) return this.#stop();
		this.#state = "running";
		this.#value = Promise.resolve(operation.value as V);
		if (this.#linger > 0) this.#endLinger = inContextAlways(() => this.#isOverdue && this.#stop());
		for (const attachment of this.#waiting) attachment.resolve!(this.#value);
		this.#waiting.clear();
		this.#snapshot.changed();
	}

	#failed(error: unknown, cause: Attachment<V>, { aborted, reason }: AbortSignal): void {
		if (this.#waiting.delete(cause)) {
			this.#attached.delete(cause);
			unlink(cause.signal, cause);
			cause.reject!(error);
		} else if (!aborted || error !== reason) report(this.#onError, error);
		this.#rest();
	}

	#stop(): void {
		const { stop } = this.#operation!;
		this.#operation = this.#value = this.#endLinger = undefined;
		this.#clock.clear(this.#lingering);
		this.#isOverdue = false;
		this.#state = "stopping";
		this.#controller!.abort(this.#reason);
		let stopped: unknown;
		try {
			stopped = stop?.();
		} catch (error) {
			report(this.#onError, error);
		}
		if (typeof stopped !== "object" || stopped === null) return this.#rest();
		Promise.resolve(stopped).catch((error) => report(this.#onError, error)).then(() => this.#rest());
		this.#snapshot.changed();
	}

	/** The operation has ended: listeners that attached meanwhile cause the next start. */
	#rest(): void {
		this.#resting.release();
		const [next] = this.#waiting;
		// Each waiting listener has a `begin`, except the one that caused the start.
		if (next !== undefined) return next.begin!();
		this.#state = "idle";
		this.#controller = this.#reason = undefined;
		this.#snapshot.changed();
		this.#idle.release();
	}
}

/** One listener. */
interface Attachment<V> extends Abortable {
	readonly signal: AbortSignal;
	/** Starts the operation in the async context of this listener. If this listener has left, the next one does it. */
	begin?: () => void;
	/** These settle the promise of its `attach`, unless the operation already ran. */
	resolve?: (value: Promise<V>) => void;
	reject?: (reason: unknown) => void;
}

/** Normalizes the result of a start. */
function toOperation<V>(started: IntermittentStarted<V>): IntermittentOperation<V> {
	if (started === undefined) return {};
	if (typeof started === "function") return { stop: started };
	if (typeof started === "object" && started !== null) {
		const { value, stop } = started;
		// Called as a method, because this may be any object with a `stop` method.
		if (stop === undefined || typeof stop === "function") return { value: value as V, stop: stop?.bind(started) };
	}
	throw new TypeError("An operation's start must return a stop function, { value, stop }, or nothing");
}
