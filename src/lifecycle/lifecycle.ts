/**
 * An activity that is started, configured, reconfigured while it runs, and stopped.
 *
 * Use {@link Lifecycle} if a configuration decides what runs in the background. Use `Intermittent` if listeners
 * decide it.
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
 * - `"active"`: started; the last configuration, if any, is applied;
 * - `"error"`: the last configuration could not be applied; the next one is still accepted.
 */
export type LifecycleState = "inactive" | "loading" | "active" | "error";

/** A {@link Lifecycle} at one moment. */
export interface LifecycleSnapshot {
	/** The current state. */
	readonly state: LifecycleState;
	/** In the state `"error"`: the error that applying the configuration failed with. */
	readonly error: unknown;
}

/** The second argument of `applyConfig`. */
export interface ConfigContext {
	/**
	 * Aborts when the lifecycle stops, when a newer configuration arrives, and when applying this one fails. Until
	 * then the configuration is in effect.
	 */
	readonly signal: AbortSignal;
}

/** Applies a configuration. Its work may continue in the background until the signal aborts. */
export type ApplyConfig<C> = (config: C, context: ConfigContext) => unknown;

/** Converts data to a configuration: a function, or any Standard Schema validator. */
export type ReadConfig<C> = ((data: unknown) => C | PromiseLike<C>) | StandardSchema<C, unknown>;

/** Options for {@link Lifecycle.configure}. */
export interface ConfigureOptions {
	/**
	 * Whether the data is a value: a string is then a string and not JSON. If `readConfig` is a function, it always
	 * gets the unchanged data. @default false
	 */
	parsed?: boolean | undefined;
}

/** Options for a {@link Lifecycle}. */
export interface LifecycleOptions<C> {
	/**
	 * Reads the data of {@link Lifecycle.configure}. A validator gets the parsed JSON.
	 * @default strings and bytes (UTF-8) are parsed as JSON; other values are used unchanged
	 */
	readConfig?: ReadConfig<C> | undefined;
	/**
	 * How to retry a configuration that could not be applied. Here the default of `attempts` is `Infinity`: until it
	 * succeeds, is replaced, or the lifecycle stops. Unlike in a run, an `applyConfig` that returns after its
	 * `timeout` has failed, because its signal has aborted. @default one attempt
	 */
	retry?: RunnerOptions | undefined;
	/** Called with an error that a subscriber threw. */
	onError?: OnError | undefined;
	/** The clock to use; `retry.clock` takes precedence. @default systemClock */
	clock?: Clock | undefined;
}

/**
 * An activity with a configuration that can be replaced while it runs.
 *
 * State: `inactive` → (start) → `active` → (configure) → `loading` → `active` or `error` → (configure, or a retry) →
 * `loading` → …; from each state (stop) → `inactive`.
 *
 * Calls of `applyConfig` never overlap: a newer configuration aborts the signal of the previous one and waits until
 * its call has settled. If several configurations wait, only the newest is applied. `applyConfig` may call any of the
 * methods; if it awaits `stop` or `configure`, it waits for itself.
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
	/** Callers that wait until no configuration is being applied. */
	readonly #waiters = new Waiters();
	#state: LifecycleState = "inactive";
	#error: unknown;
	/** A new object for each period between a start and its stop. */
	#period: object | undefined;
	/** Numbers the calls of `configure`: an earlier configuration may be read later than a newer one. */
	#given = 0;
	#accepted = 0;
	/** The waiting configuration. */
	#next: Application<C> | undefined;
	/** The configuration that is being applied, including delays. */
	#current: Application<C> | undefined;
	/** The configuration in effect. */
	#applied: Application<C> | undefined;

	/** See {@link Subscribable.subscribe}. */
	declare readonly subscribe: (listener: () => void) => () => void;
	/** See {@link Subscribable.getSnapshot}. */
	declare readonly getSnapshot: () => LifecycleSnapshot;

	/**
	 * Creates an inactive lifecycle.
	 *
	 * @param applyConfig applies a configuration
	 * @param options how to read configurations, and when to retry
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

	/** The current state. */
	get state(): LifecycleState {
		return this.#state;
	}

	/** In the state `"error"`: the error that applying the configuration failed with. */
	get error(): unknown {
		return this.#error;
	}

	/** Starts the lifecycle, without a configuration. Does nothing if it is started. */
	start(): Promise<LifecycleState> {
		if (this.#period === undefined) {
			this.#period = {};
			this.#change("active");
		}
		return Promise.resolve(this.#state);
	}

	/**
	 * Replaces the configuration.
	 *
	 * @param data the data for `readConfig`
	 * @param options whether the data is a value or JSON
	 * @returns the state when this configuration has been applied, has failed (for the first time), or was superseded
	 * by a newer one or a stop
	 * @throws {DOMException} (as a rejection) named `InvalidStateError` if the lifecycle is not started
	 * @throws {SyntaxError} (as a rejection) if JSON is expected and the data is not JSON
	 * @throws {ValidationError} (as a rejection) if the data does not pass the Standard Schema validator
	 * @throws {unknown} (as a rejection) the error that `readConfig` threw; in all these cases nothing has changed
	 */
	async configure(data: unknown, options: ConfigureOptions = {}): Promise<LifecycleState> {
		const { parsed = false } = check("options", options, "object");
		check("parsed", parsed, "boolean");
		const period = this.#period;
		if (period === undefined) {
			throw new DOMException("The lifecycle is not started: call start() first", "InvalidStateError");
		}
		const number = ++this.#given;
		const read = this.#read(data, parsed);
		// Awaits only promises, so that otherwise the state is `loading` when the call returns.
		const config = isPromiseLike(read) ? await read : read;
		if (period !== this.#period) return "inactive";
		if (number < this.#accepted) return this.#state;
		this.#accepted = number;
		return await this.#replace(config);
	}

	/**
	 * Stops the lifecycle: aborts the signals of the configuration that is being applied and of the one in effect.
	 *
	 * @returns `"inactive"`, when the running `applyConfig` has settled; the state is inactive at once
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
	 * Resolves with the state when it is not `from`. It waits for a change; {@link stop} waits for the end.
	 *
	 * @throws {unknown} (as a rejection) the signal's reason, if it aborts first
	 * @throws {RangeError} (as a rejection) if `from` is not a state
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
				unlink(signal, waiting);
				resolve(this.#state);
			});
			link(signal, waiting);
		});
	}

	#replace(config: C): Promise<LifecycleState> {
		return new Promise((settle) => {
			const superseded = this.#takeAll();
			this.#next = new Application(config, settle, this.#applyConfig, this.#settings);
			const next = this.#next;
			end(superseded, this.#state, "A newer configuration has arrived");
			if (this.#current === undefined) this.#advance();
			// Unless an abort listener has superseded it.
			else if (next === this.#next) next.advance = inContext(() => this.#next === next && this.#advance());
		});
	}

	/** Removes all configurations, to be ended. The one that is being applied stays in place until it has settled. */
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

	/** Shows the outcome of an application, unless it was superseded. */
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

/** One configuration: waiting, being applied, then in effect until it ends. */
class Application<C> {
	/** Resolves the call of `configure`. */
	declare readonly settle: (state: LifecycleState) => void;
	/** If the configuration must wait: begins to apply it, in the async context of the caller of `configure`. */
	advance: (() => void) | undefined;
	/** Whether it was superseded or stopped. */
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

	/** Ends the configuration permanently. */
	end(reason: unknown): void {
		this.isOver = true;
		this.#execution.abort(reason);
		this.#controller?.abort(reason);
	}

	/** The configuration has its own signal, which outlives a successful attempt. */
	async #attempt(applyConfig: ApplyConfig<C>, config: C, { signal }: TaskContext): Promise<void> {
		signal.throwIfAborted();
		const controller = this.#controller = new AbortController();
		link(signal, controller);
		try {
			await applyConfig(config, { signal: controller.signal });
			// The attempt is late: its signal has ended what it began, so the configuration is not in effect.
			if (!this.isOver) signal.throwIfAborted();
		} catch (error) {
			controller.abort(unwrap(error));
			throw error;
		}
	}
}

/** Resolves the callers first, because an abort runs user code. */
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
