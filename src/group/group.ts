/**
 * Named tasks in the background, in memory.
 *
 * Use {@link Group} when tasks have names, when somebody wants to see how they are doing, or when they end together. Use
 * `run` for one task that you wait for.
 *
 * @module
 */

import type { Task } from "../run/task.ts";
import { type GroupTask, type GroupTaskSnapshot, SpawnedTask, type TaskOwner } from "./task.ts";
import { checkRunnerOptions, type RunnerOptions, type RunnerSettings } from "../run/options.ts";
import { abortError } from "../platform/abort-error.ts";
import { check, checkedSignal, checkFunction, checkWord } from "../platform/check.ts";
import { NameInUseError } from "../platform/name-in-use-error.ts";
import type { OnError } from "../platform/observe.ts";
import { type Abortable, link, unlink } from "../platform/signals.ts";
import { Snapshot, type Subscribable } from "../platform/snapshot.ts";
import { type StopOptions, Waiters, type WaitOptions } from "../platform/waiters.ts";

/** What a {@link Group} can be told: what concerns it, and defaults for its tasks. */
export interface GroupOptions extends RunnerOptions {
	/** Cancels every task of the group, and at once each one that is spawned later. */
	signal?: AbortSignal | undefined;
	/**
	 * Whether a task leaves the group when it has stopped, instead of staying until {@link Group.delete}. For names that
	 * do not come back, which would pile up. @default false
	 */
	forget?: boolean | undefined;
	/** Told what a subscriber threw. */
	onError?: OnError | undefined;
}

/** What {@link Group.spawn} can be told; for what is not given, the options of the group hold. */
export interface SpawnOptions extends RunnerOptions {
	/** Cancels this task. */
	signal?: AbortSignal | undefined;
	/**
	 * What to do if a live task has the name: `"throw"` a {@link NameInUseError}; `"keep"` that task and return it; or
	 * `"replace"` it, which cancels it, waits until it has stopped, and then starts the new one. @default "throw"
	 */
	ifPresent?: "throw" | "keep" | "replace" | undefined;
}

/**
 * Named tasks that run in the background, each on its own: a task that fails neither touches its siblings nor becomes an
 * unhandled rejection.
 *
 * A task and its hooks are called in the async context (`AsyncLocalStorage`) of the `spawn`. Subscribers are called in that of
 * whoever changes something.
 *
 * A task can spawn others, also while the group stops: these are cancelled at once. A group that has stopped can be used
 * again.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Group } from "upkeep";
 *
 * const group = new Group({ attempts: 3, backoff: 10 });
 * const task = group.spawn("greeting", async ({ attempt }) => {
 * 	if (attempt === 1) throw new Error("cleared my throat");
 * 	return "hello";
 * });
 * assert.equal(task.state, "pending");
 * assert.equal(await task.result(), "hello");
 * assert.equal(task.attempt, 2);
 *
 * group.spawn("for ever", ({ signal }) => new Promise((_, reject) => signal.onabort = () => reject(signal.reason)));
 * await group.stop();
 * assert.deepEqual([...group.tasks().values()].map(({ name, state }) => `${name}: ${state}`), [
 * 	"greeting: stopped",
 * 	"for ever: stopped",
 * ]);
 * ```
 */
export class Group implements Subscribable<readonly GroupTaskSnapshot[]>, AsyncDisposable {
	readonly #tasks = new Map<string, SpawnedTask<unknown>>();
	/** The tasks that were replaced and have not stopped, by name; nobody with that name begins before. */
	readonly #leaving = new Map<string, SpawnedTask<unknown>>();
	readonly #settings: RunnerSettings;
	readonly #signal: AbortSignal | undefined;
	readonly #forget: boolean;
	readonly #host: TaskOwner & Abortable;
	readonly #waiters = new Waiters();
	readonly #snapshot: Snapshot<readonly GroupTaskSnapshot[]>;
	/** How many tasks have not stopped; those that were replaced are not in the map any more. */
	#live = 0;
	/** While {@link stop} waits: why. */
	#stopping: { readonly reason: unknown } | undefined;

	/** See {@link Subscribable.subscribe}. */
	readonly subscribe: (listener: () => void) => () => void;
	/** See {@link Subscribable.getSnapshot}: the tasks as {@link GroupTaskSnapshot}s, in the order of {@link tasks}. */
	readonly getSnapshot: () => readonly GroupTaskSnapshot[];

	/**
	 * Makes a group without tasks.
	 *
	 * @param options defaults for the tasks, and what concerns them all
	 * @throws {TypeError | RangeError} for options of the wrong type or out of range
	 */
	constructor(options: GroupOptions = {}) {
		this.#signal = checkedSignal(options);
		const { forget = false, onError } = options;
		this.#settings = checkRunnerOptions(options);
		this.#forget = check("forget", forget, "boolean");
		checkFunction("onError", onError);
		this.#snapshot = new Snapshot(() => [...this.#tasks.values()].map((task) => task.now), onError);
		({ subscribe: this.subscribe, getSnapshot: this.getSnapshot } = this.#snapshot);
		this.#host = {
			onError,
			onChange: () => this.#snapshot.changed(),
			onStopped: (task) => this.#onStopped(task),
			abort: (reason) => this.cancel(reason),
		};
	}

	/**
	 * Starts a task in the background, in a new microtask.
	 *
	 * @param name its name; that of a stopped task can be used again
	 * @param task what to do
	 * @param options how often and how long; what is not given is as in the group's options
	 * @throws {NameInUseError} if a live task has the name, unless `ifPresent` says otherwise
	 * @throws {TypeError | RangeError} for arguments of the wrong type or out of range
	 */
	spawn<T>(name: string, task: Task<T>, options?: SpawnOptions): GroupTask<T> {
		check("name", name, "string");
		check("task", task, "function");
		const signal = options === undefined ? options : checkedSignal(options);
		const { ifPresent = "throw" }: SpawnOptions = options ?? {};
		checkWord("ifPresent", ifPresent, ["throw", "keep", "replace"]);
		const settings = checkRunnerOptions(options, this.#settings);
		const present = this.#tasks.get(name);
		if (present === undefined || present.state === "stopped") {
			return this.#add(new SpawnedTask(name, this.#host, task, settings), signal);
		}
		if (ifPresent === "throw") throw new NameInUseError("task", name, `use another name, or the option "ifPresent"`);
		if (ifPresent === "keep") return present as SpawnedTask<T>;
		// One that has not begun stops at once; whom it waits for is still leaving.
		if (present.state !== "pending") this.#leaving.set(name, present);
		return this.#add(new SpawnedTask(name, this.#host, task, settings), signal, present);
	}

	/** The tasks now, by name, in the order in which they were spawned: a name that is used again moves to the end. A copy. */
	tasks(): Map<string, GroupTask> {
		return new Map(this.#tasks);
	}

	/** The task with this name, stopped or not. */
	get(name: string): GroupTask | undefined {
		return this.#tasks.get(name);
	}

	/** Forgets a stopped task. `false` if there is none with this name, or a live one. */
	delete(name: string): boolean {
		if (this.#tasks.get(name)?.state !== "stopped") return false;
		this.#tasks.delete(name);
		this.#snapshot.changed();
		return true;
	}

	/** Cancels all tasks that are live now, with `reason` (an `AbortError` by default). */
	cancel(reason: unknown = abortError("The group was cancelled")): void {
		for (const task of [...this.#tasks.values()]) task.cancel(reason);
	}

	/** Resolves to `true` once no task is live, or to `false` if the signal aborts first. */
	async wait(options: WaitOptions = {}): Promise<boolean> {
		const signal = checkedSignal(options);
		return this.#live === 0 || await this.#waiters.wait(signal);
	}

	/**
	 * Cancels all tasks and resolves when they have stopped. Tasks that are spawned meanwhile are cancelled as well, with
	 * the reason of the first call. A task that awaits it waits for itself.
	 *
	 * @param options why, and how long to wait
	 * @throws {unknown} (as a rejection) the signal's reason, if that aborts first; the group goes on stopping
	 * @throws {TypeError} (as a rejection) for options of the wrong type
	 */
	async stop(options: StopOptions = {}): Promise<void> {
		const signal = checkedSignal(options);
		const { reason = abortError("The group was stopped") } = options;
		if (this.#live === 0) return;
		this.#stopping ??= { reason };
		this.cancel(reason);
		if (!await this.wait({ signal })) throw signal!.reason;
	}

	/** The same as {@link stop}. */
	[Symbol.asyncDispose](): Promise<void> {
		return this.stop();
	}

	#add<T>(task: SpawnedTask<T>, signal?: AbortSignal, present?: SpawnedTask<unknown>): GroupTask<T> {
		// Deleted first, so that the new one is the last in the order.
		this.#tasks.delete(task.name);
		this.#tasks.set(task.name, task);
		this.#snapshot.stale();
		if (this.#live++ === 0 && this.#signal?.aborted === false) link(this.#signal, this.#host);
		present?.cancel(abortError(`The task ${JSON.stringify(task.name)} was replaced`));
		task.start(signal, this.#leaving.get(task.name));
		if (this.#stopping) task.cancel(this.#stopping.reason);
		else if (this.#signal?.aborted) task.cancel(this.#signal.reason);
		this.#snapshot.changed();
		return task;
	}

	#onStopped(task: SpawnedTask<unknown>): void {
		if (this.#leaving.get(task.name) === task) this.#leaving.delete(task.name);
		if (this.#forget && this.#tasks.get(task.name) === task) this.delete(task.name);
		if (--this.#live > 0) return;
		this.#stopping = undefined;
		if (this.#signal !== undefined) unlink(this.#signal, this.#host);
		this.#waiters.release();
	}
}
