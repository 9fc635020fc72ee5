/**
 * Something that is started, configured, configured anew while it runs, and stopped.
 *
 * Use {@link Lifecycle} where a configuration decides what goes on in the background; use `Intermittent` where listeners
 * do.
 *
 * @module
 */

import type { TaskContext } from "../run/task.ts";
import { Execution, type LoopOwner } from "../run/execution.ts";
import { checkRunnerOptions, defaultSettings, type RunnerOptions, type RunnerSettings } from "../run/options.ts";
import { unwrap } from "../run/task.ts";
import { abortError } from "../platform/abort-error.ts";
import { inContext } from "../platform/async-context.ts";
import { check, checkedSignal, checkFunction, checkWord } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import type { OnError } from "../platform/observe.ts";
import { link, unlink } from "../platform/signals.ts";
import { Snapshot, type Subscribable } from "../platform/snapshot.ts";
import { isStandardSchema, type StandardSchema, validate } from "../platform/standard-schema.ts";
import { Waiters, type WaitOptions } from "../platform/waiters.ts";

/**
 * - `"inactive"`: not started, or stopped;
 * - `"loading"`: a configuration is being applied;
 * - `"active"`: started; the last configuration, if there was one, is applied;
 * - `"error"`: the last configuration could not be applied; the next one may.
 */
export type LifecycleState = "inactive" | "loading" | "active" | "error";

/** A {@link Lifecycle} at one moment. */
export interface LifecycleSnapshot {
	/** What it is doing. */
	readonly state: LifecycleState;
	/** In the state `"error"`: what the application of the configuration failed with. */
	readonly error: unknown;
}

/** What the application of a configuration is told. */
export interface ConfigContext {
	/**
	 * Aborts when the lifecycle stops, when a newer configuration arrives, and when this application fails: as long as it
	 * has not aborted, the configuration holds.
	 */
	readonly signal: AbortSignal;
}

/** Puts a configuration into effect. It may do so in the background, as long as the signal has not aborted. */
export type ApplyConfig<C> = (config: C, context: ConfigContext) => unknown;

/** Makes a configuration of the data that it is given: a function, or any Standard Schema validator. */
export type ReadConfig<C> = ((data: unknown) => C | PromiseLike<C>) | StandardSchema<C, unknown>;

/** How a configuration is given. */
export interface ConfigureOptions {
	/**
	 * Whether the data is a value already: a string is then a string, and not JSON. A function as `readConfig` gets the data
	 * as it is in any case. @default false
	 */
	parsed?: boolean | undefined;
}

/** What a {@link Lifecycle} can be told. */
export interface LifecycleOptions<C> {
	/**
	 * Reads the data of {@link Lifecycle.configure}. A validator gets what JSON gives. @default JSON in a string or in
	 * bytes (UTF-8); any other value as it is
	 */
	readConfig?: ReadConfig<C> | undefined;
	/**
	 * How to try an application again that has failed. `attempts` is `Infinity` by default here: until it succeeds, is
	 * replaced, or the lifecycle stops. Unlike a run, an application that returns after its `timeout` has failed: its signal
	 * has aborted. @default one attempt
	 */
	retry?: RunnerOptions | undefined;
	/** Told what a subscriber threw. */
	onError?: OnError | undefined;
	/** Whose time it is; `retry.clock` comes first. @default systemClock */
	clock?: Clock | undefined;
}

/**
 * Something that runs under a configuration, which can be replaced while it runs.
 *
 * State: `inactive` → (start) → `active` → (configure) → `loading` → `active` or `error` → (configure, or a retry) →
 * `loading` → …; from each of them (stop) → `inactive`.
 *
 * Applications never overlap: a newer configuration aborts the signal of the one before and waits until that has
 * settled, and of several that wait only the newest is applied. An `applyConfig` may call any of the methods, but to
 * await `stop` or `configure` there is to wait for itself.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Lifecycle, run } from "upkeep";
 *
 * const lifecycle = new Lifecycle(async (config: { greeting: string }, { signal }) => {
 * 	await run(() => console.log(config.greeting), { signal });
 * });
 * await lifecycle.start();
 * assert.equal(await lifecycle.configure(`{ "greeting": "hello" }`), "active");
 * assert.equal(await lifecycle.configure({ greeting: "good day" }), "active");
 * await assert.rejects(lifecycle.configure("no JSON"), SyntaxError);
 * assert.equal(lifecycle.state, "active");
 * assert.equal(await lifecycle.stop(), "inactive");
 * ```
 */
export class Lifecycle<C = unknown> implements Subscribable<LifecycleSnapshot>, AsyncDisposable {
	readonly #applyConfig: ApplyConfig<C>;
	readonly #read: (data: unknown, isParsed: boolean) => C | PromiseLike<C>;
	readonly #settings: RunnerSettings;
	readonly #snapshot: Snapshot<LifecycleSnapshot>;
	/** Those that wait until nothing is being applied. */
	readonly #waiters = new Waiters();
	#state: LifecycleState = "inactive";
	#error: unknown;
	/** A new object for each time between a start and its stop. */
	#period: object | undefined;
	/** Each configuration gets a number when it is given; it may be read later than one that was given after it. */
	#given = 0;
	#accepted = 0;
	/** The configuration that waits. */
	#next: Application<C> | undefined;
	/** The configuration that is being applied, delays included. */
	#current: Application<C> | undefined;
	/** The configuration that holds. */
	#applied: Application<C> | undefined;

	/** See {@link Subscribable.subscribe}. */
	readonly subscribe: (listener: () => void) => () => void;
	/** See {@link Subscribable.getSnapshot}. */
	readonly getSnapshot: () => LifecycleSnapshot;

	/**
	 * Makes a lifecycle that is inactive.
	 *
	 * @param applyConfig puts a configuration into effect
	 * @param options how to read a configuration, and when to try again
	 * @throws {TypeError | RangeError} for arguments of the wrong type or out of range
	 */
	constructor(applyConfig: ApplyConfig<C>, options: LifecycleOptions<C> = {}) {
		const { readConfig, retry, onError, clock } = check("options", options, "object");
		this.#applyConfig = check("applyConfig", applyConfig, "function");
		this.#read = toReader(readConfig);
		const defaults = { ...defaultSettings, clock: checkClock(clock) };
		this.#settings = retry === undefined
			? defaults
			: checkRunnerOptions(check("retry", retry, "object"), { ...defaults, attempts: Infinity });
		checkFunction("onError", onError);
		this.#snapshot = new Snapshot(() => ({ state: this.#state, error: this.#error }), onError);
		({ subscribe: this.subscribe, getSnapshot: this.getSnapshot } = this.#snapshot);
	}

	/** What it is doing. */
	get state(): LifecycleState {
		return this.#state;
	}

	/** In the state `"error"`: what the application of the configuration failed with. */
	get error(): unknown {
		return this.#error;
	}

	/** Makes it active, without a configuration. Harmless if it is started. */
	start(): Promise<LifecycleState> {
		if (this.#period === undefined) {
			this.#period = {};
			this.#change("active");
		}
		return Promise.resolve(this.#state);
	}

	/**
	 * Applies a configuration instead of the one before.
	 *
	 * @param data what `readConfig` reads
	 * @param options whether the data is a value already
	 * @returns the state once this configuration was applied, has failed (for the first time), or was superseded by a
	 * newer one or a stop
	 * @throws {DOMException} (as a rejection) named `InvalidStateError` if it is not started
	 * @throws {SyntaxError} (as a rejection) if the data is not JSON, where that is expected
	 * @throws {ValidationError} (as a rejection) if the data does not pass the Standard Schema validator
	 * @throws {unknown} (as a rejection) what `readConfig` threw; in all these cases nothing has changed
	 */
	async configure(data: unknown, options: ConfigureOptions = {}): Promise<LifecycleState> {
		const { parsed = false } = check("options", options, "object");
		check("parsed", parsed, "boolean");
		const period = this.#period;
		if (period === undefined) throw new DOMException("This lifecycle is not started", "InvalidStateError");
		const number = ++this.#given;
		const read = this.#read(data, parsed);
		// Without an await where none is needed: then it is loading when the call returns.
		const config = isPromiseLike(read) ? await read : read;
		if (period !== this.#period) return "inactive";
		if (number < this.#accepted) return this.#state;
		this.#accepted = number;
		return await this.#replace(config);
	}

	/**
	 * Ends the application that is under way and what the last one has begun, by their signals.
	 *
	 * @returns `"inactive"`, which the state is at once, when the application under way has settled
	 */
	async stop(): Promise<LifecycleState> {
		if (this.#period !== undefined) {
			this.#period = undefined;
			const superseded = this.#takeAll();
			this.#change("inactive");
			end(superseded, "inactive", "The lifecycle was stopped");
		}
		if (this.#current !== undefined) await this.#waiters.wait(undefined);
		return "inactive";
	}

	/** The same as {@link stop}. */
	async [Symbol.asyncDispose](): Promise<void> {
		await this.stop();
	}

	/**
	 * Resolves with the state as soon as that is not `from`.
	 *
	 * @throws {unknown} (as a rejection) the signal's reason, if that aborts first
	 * @throws {RangeError} (as a rejection) if `from` is no state
	 */
	async waitForStateChange(from: LifecycleState, options: WaitOptions = {}): Promise<LifecycleState> {
		const signal = checkedSignal(options);
		checkWord("from", from, ["inactive", "loading", "active", "error"]);
		signal?.throwIfAborted();
		if (this.#state !== from) return this.#state;
		return await new Promise((resolve, reject) => {
			const waiting = {
				abort(reason: unknown) {
					unsubscribe();
					reject(reason);
				},
			};
			const unsubscribe = this.subscribe(() => {
				if (this.#state === from) return;
				unsubscribe();
				if (signal !== undefined) unlink(signal, waiting);
				resolve(this.#state);
			});
			if (signal !== undefined) link(signal, waiting);
		});
	}

	#replace(config: C): Promise<LifecycleState> {
		return new Promise((settle) => {
			const superseded = this.#takeAll();
			this.#next = new Application(config, settle, this.#applyConfig, this.#settings);
			const next = this.#next;
			end(superseded, this.#state, "A newer configuration has arrived");
			if (this.#current === undefined) this.#advance();
			// Not if it was itself superseded, by an abort listener.
			else if (next === this.#next) next.advance = inContext(() => this.#next === next && this.#advance());
		});
	}

	/** All configurations there are, to be ended. The one that is being applied keeps its place until it has settled. */
	#takeAll(): (Application<C> | undefined)[] {
		const all = [this.#next, this.#current, this.#applied];
		this.#next = this.#applied = undefined;
		return all;
	}

	#advance(): void {
		const application = this.#next;
		if (application === undefined || this.#current !== undefined) return;
		this.#next = undefined;
		this.#current = application;
		application.begin({
			onAttempt: () => this.#show(application, "loading"),
			onDelay: (error) => this.#show(application, "error", error),
			onSuccess: () => this.#settled(application, "active"),
			onFailure: (error) => this.#settled(application, "error", error),
		});
	}

	#settled(application: Application<C>, state: LifecycleState, error?: unknown): void {
		this.#current = undefined;
		if (!application.isOver) this.#applied = application;
		this.#show(application, state, error);
		this.#waiters.release();
		this.#next?.advance?.();
	}

	/** What an application has come to, unless that is of no importance any more. */
	#show(application: Application<C>, state: LifecycleState, error?: unknown): void {
		if (application.isOver) return;
		this.#change(state, error);
		if (state !== "loading") application.settle(state);
	}

	#change(state: LifecycleState, error?: unknown): void {
		this.#state = state;
		this.#error = error;
		this.#snapshot.changed();
	}
}

/** One configuration on its way: waiting, being applied, and holding until it is over. */
class Application<C> {
	/** Tells the caller of `configure`. */
	readonly settle: (state: LifecycleState) => void;
	/** Begins with it, in the async context of the caller of `configure`; if it has to wait. */
	advance: (() => void) | undefined;
	/** It was superseded or stopped. */
	isOver = false;
	readonly #execution: Execution<void>;
	#controller: AbortController | undefined;

	constructor(
		config: C,
		settle: (state: LifecycleState) => void,
		applyConfig: ApplyConfig<C>,
		settings: RunnerSettings,
	) {
		this.settle = settle;
		this.#execution = new Execution((context) => this.#attempt(applyConfig, config, context), settings);
	}

	begin(owner: LoopOwner<void>): void {
		this.#execution.loop(owner);
	}

	/** For good. */
	end(reason: unknown): void {
		this.isOver = true;
		this.#execution.abort(reason);
		this.#controller?.abort(reason);
	}

	/** The configuration's signal is not the attempt's: it outlives an attempt that succeeds. */
	async #attempt(applyConfig: ApplyConfig<C>, config: C, { signal }: TaskContext): Promise<void> {
		signal.throwIfAborted();
		const controller = this.#controller = new AbortController();
		link(signal, controller);
		try {
			await applyConfig(config, { signal: controller.signal });
			// Late: what it has begun was ended by its signal, so that it does not hold.
			if (!this.isOver) signal.throwIfAborted();
		} catch (error) {
			controller.abort(unwrap(error));
			throw error;
		}
	}
}

/** Tells the callers first: an abort runs code of the user's. */
function end(applications: (Application<unknown> | undefined)[], state: LifecycleState, text: string): void {
	const reason = abortError(text);
	for (const application of applications) application?.settle(state);
	for (const application of applications) application?.end(reason);
}

function toReader<C>(
	readConfig: ReadConfig<C> | undefined,
): (data: unknown, isParsed: boolean) => C | PromiseLike<C> {
	const toValue = (data: unknown, isParsed: boolean) => isParsed ? data : readJson(data);
	if (readConfig === undefined) return (data, isParsed) => toValue(data, isParsed) as C;
	if (isStandardSchema(readConfig)) {
		return (data, isParsed) => validate(readConfig, toValue(data, isParsed)) as C | Promise<C>;
	}
	check("readConfig", readConfig, "function");
	return (data) => readConfig(data);
}

function readJson(data: unknown): unknown {
	if (typeof data === "string") return JSON.parse(data);
	const areBytes = data instanceof ArrayBuffer || ArrayBuffer.isView(data);
	return areBytes ? JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data)) : data;
}

function isPromiseLike<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
	return typeof (value as PromiseLike<T> | undefined)?.then === "function";
}
