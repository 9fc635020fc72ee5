/**
 * Named tasks in the background, in memory.
 *
 * Use {@link Group} if tasks have names, if you observe their states, or if they are stopped together. Use `run` for
 * one task that you wait for.
 *
 * @module
 */

import type { Task } from "../run/task.ts";
import { type GroupTask, type GroupTaskSnapshot, SpawnedTask, type TaskOwner } from "./task.ts";
import { checkRunnerOptions, type RunnerOptions, type RunnerSettings, watched } from "../run/options.ts";
import { abortError } from "../platform/abort-error.ts";
import { check, checkedSignal, checkFunction, checkWord } from "../platform/check.ts";
import { NameInUseError } from "../platform/name-in-use-error.ts";
import type { OnError } from "../platform/observe.ts";
import { type Abortable, link, unlink } from "../platform/signals.ts";
import { Snapshot, type Subscribable } from "../platform/snapshot.ts";
import { type StopOptions, Waiters, type WaitOptions } from "../platform/waiters.ts";

/** Options for a {@link Group}, and defaults for its tasks. */
export interface GroupOptions extends RunnerOptions {
	/** Cancels every task of the group. Tasks that are spawned later are canceled at once. */
	signal?: AbortSignal | undefined;
	/**
	 * Whether the group forgets a task when it stops. Otherwise the task stays until {@link Group.delete}. Use it if
	 * names are not reused, because the stopped tasks would accumulate. @default false
	 */
	forget?: boolean | undefined;
	/** Called with an error that a subscriber threw. */
	onError?: OnError | undefined;
}

/** Options for {@link Group.spawn}. Absent options come from the group. */
export interface GroupTaskOptions extends RunnerOptions {
	/** Cancels this task. */
	signal?: AbortSignal | undefined;
	/**
	 * What to do if a live task has the name. `"throw"` throws a {@link NameInUseError}. `"keep"` returns the live
	 * task. `"replace"` cancels it, waits until it has stopped, and then starts the new one. @default "throw"
	 */
	ifPresent?: "throw" | "keep" | "replace" | undefined;
}

/**
 * Named, independent tasks that run in the background. A task that fails does not affect its siblings and causes no
 * unhandled rejection.
 *
 * A task and its hooks are called in the async context (`AsyncLocalStorage`) of the `spawn`. Subscribers are called
 * in that of the call that changes something.
 *
 * A task can spawn other tasks. While the group stops, these are canceled at once. A stopped group can be used
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
	/** The replaced tasks that have not stopped, by name. A new task with the name waits for them. */
	readonly #leaving = new Map<string, SpawnedTask<unknown>>();
	readonly #settings: RunnerSettings;
	readonly #signal: AbortSignal | undefined;
	readonly #forget: boolean;
	readonly #host: TaskOwner & Abortable;
	readonly #waiters = new Waiters();
	readonly #snapshot: Snapshot<readonly GroupTaskSnapshot[]>;
	/** The number of tasks that have not stopped, including replaced tasks, which are no longer in the map. */
	#live = 0;
	/** Set while {@link stop} waits. */
	#stopping: { readonly reason: unknown } | undefined;

	/** See {@link Subscribable.subscribe}. */
	declare readonly subscribe: (listener: () => void) => () => void;
	/** See {@link Subscribable.getSnapshot}: the tasks as {@link GroupTaskSnapshot}s, in the order of {@link tasks}. */
	declare readonly getSnapshot: () => readonly GroupTaskSnapshot[];

	/**
	 * Creates a group without tasks.
	 *
	 * @param options options for the group, and defaults for its tasks
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
	 * @param name the name of the task; the name of a stopped task can be reused
	 * @param task the function to call
	 * @param options the number of attempts, delays and time limits; absent options come from the group
	 * @throws {NameInUseError} if a live task has the name, unless `ifPresent` says otherwise
	 * @throws {TypeError | RangeError} for arguments of the wrong type or out of range
	 */
	spawn<T>(name: string, task: Task<T>, options?: GroupTaskOptions): GroupTask<T> {
		check("name", name, "string");
		check("task", task, "function");
		const signal = options === undefined ? options : checkedSignal(options);
		const ifPresent = options?.ifPresent;
		if (ifPresent !== undefined) checkWord("ifPresent", ifPresent, ["throw", "keep", "replace"]);
		const settings = options === undefined ? this.#settings : checkRunnerOptions(options, this.#settings);
		const present = this.#tasks.get(name);
		if (present !== undefined && present.state !== "stopped") {
			if (ifPresent === "keep") return present as SpawnedTask<T>;
			if (ifPresent !== "replace") {
				throw new NameInUseError("task", name, `use another name, or the option "ifPresent"`);
			}
			// A pending task stops at once. The task that it waits for is still in `#leaving`.
			if (present.state !== "pending") this.#leaving.set(name, present);
		}
		return this.#add(
			new SpawnedTask(name, this.#host, watched(task, settings, { by: "group", id: name }), settings),
			signal,
			present,
		);
	}

	/**
	 * A copy of the current tasks, by name, in the order in which they were spawned. A reused name moves to the end.
	 */
	tasks(): Map<string, GroupTask> {
		return new Map(this.#tasks);
	}

	/** The task with this name, live or stopped. */
	get(name: string): GroupTask | undefined {
		return this.#tasks.get(name);
	}

	/** Forgets a stopped task. Returns `false` if no task has this name, or a live one. */
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

	/** Resolves with `true` when no task is live, or with `false` if the signal aborts first. */
	async wait(options: WaitOptions = {}): Promise<boolean> {
		const signal = checkedSignal(options);
		return this.#live === 0 || await this.#waiters.wait(signal);
	}

	/**
	 * Cancels all tasks and resolves when they have stopped. Tasks that are spawned meanwhile are canceled as well,
	 * with the reason of the first call. A task that awaits this call waits for itself.
	 *
	 * @param options the reason, and a limit for the wait
	 * @throws {unknown} (as a rejection) the signal's reason, if it aborts first; the group continues to stop
	 * @throws {TypeError} (as a rejection) for options of the wrong type
	 */
	async stop(options: StopOptions = {}): Promise<void> {
		const signal = checkedSignal(options);
		const { reason = abortError("The group was stopped") } = options;
		if (this.#live === 0) return;
		this.#stopping ??= { reason };
		this.cancel(reason);
		if (!await this.wait(options)) throw signal!.reason;
	}

	/** The same as {@link stop}. */
	[Symbol.asyncDispose](): Promise<void> {
		return this.stop();
	}

	#add<T>(task: SpawnedTask<T>, signal?: AbortSignal, present?: SpawnedTask<unknown>): GroupTask<T> {
		// Deleted first, so that the new task becomes the last one.
		if (present !== undefined) this.#tasks.delete(task.name);
		this.#tasks.set(task.name, task);
		this.#snapshot.stale();
		if (this.#live++ === 0 && this.#signal?.aborted === false) link(this.#signal, this.#host);
		if (present?.state !== "stopped") present?.cancel(abortError(`The task ${JSON.stringify(task.name)} was replaced`));
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
		unlink(this.#signal, this.#host);
		this.#waiters.release();
	}
}
