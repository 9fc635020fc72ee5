/**
 * A task of a group: its public interface and its class.
 *
 * @module
 */

import type { RunnerSettings } from "../run/options.ts";
import type { Task } from "../run/task.ts";
import { Execution, type LoopOwner } from "../run/execution.ts";
import { abortError } from "../platform/abort-error.ts";
import { checkedSignal } from "../platform/check.ts";
import type { OnError } from "../platform/observe.ts";
import { type Abortable, link, unlink } from "../platform/signals.ts";
import { Snapshot, type Subscribable } from "../platform/snapshot.ts";
import { Waiters, type WaitOptions } from "../platform/waiters.ts";

/**
 * - `"pending"`: the first attempt has not begun;
 * - `"running"`: an attempt is running;
 * - `"delay"`: it waits for the next attempt;
 * - `"stopped"`: it has succeeded, failed finally, or was canceled.
 */
export type GroupTaskState = "pending" | "running" | "delay" | "stopped";

/** A {@link GroupTask} at one moment. */
export interface GroupTaskSnapshot<T = unknown> {
	/** Its name in the group. */
	readonly name: string;
	/** The state of the task. */
	readonly state: GroupTaskState;
	/** The number of the current or last attempt; 0 before the first. */
	readonly attempt: number;
	/** The error of the last attempt; `undefined` before a failure and after a success. */
	readonly error: unknown;
	/** The value that the task returned; `undefined` before. */
	readonly value: T | undefined;
	/** The end of the current delay, in milliseconds since 1970 (wall clock). `undefined` in any other state. */
	readonly nextAttemptAt: number | undefined;
}

/**
 * A task in a `Group`, created by `group.spawn`.
 *
 * State: `pending` → `running` → `delay` → `running` → … → `stopped`. {@link cancel} leads to `stopped` from each
 * state; from `running` when the task has settled.
 */
export interface GroupTask<T = unknown> extends GroupTaskSnapshot<T>, Subscribable<GroupTaskSnapshot<T>> {
	/**
	 * Ends the task: its signal aborts with `reason` (an `AbortError` by default), and a delay ends at once. Does
	 * nothing if the task has stopped.
	 */
	cancel(reason?: unknown): void;
	/** Resolves with `true` when the task has stopped, or with `false` if the signal aborts first. */
	wait(options?: WaitOptions): Promise<boolean>;
	/**
	 * When the task has stopped, resolves with its value or rejects with its error. The rejection need not be handled.
	 */
	result(): Promise<T>;
}

/** The interface of a task to its group. */
export interface TaskOwner {
	readonly onError: OnError | undefined;
	/** The snapshot of the task has changed. */
	onChange(): void;
	/** The task has stopped; called once. */
	onStopped(task: SpawnedTask<unknown>): void;
}

/** The outcome of a stopped task. */
interface Outcome<T> {
	readonly attempt: number;
	/** The same name as in an execution. */
	readonly previousError: unknown;
	readonly value: T | undefined;
	readonly hasFailed: boolean;
}

/** Created when somebody observes a task. */
interface Seen<T> {
	now?: GroupTaskSnapshot<T> | undefined;
	snapshot?: Snapshot<GroupTaskSnapshot<T>>;
	waiters?: Waiters;
}

const resolved = /* @__PURE__ */ Promise.resolve();

/** The class behind {@link GroupTask}. Its objects are small, because there may be 100,000 of them. */
export class SpawnedTask<T> implements GroupTask<T>, LoopOwner<T>, Abortable {
	declare readonly name: string;
	readonly #owner: TaskOwner;
	#execution: Execution<T> | undefined;
	#signal: AbortSignal | undefined;
	#state: GroupTaskState = "pending";
	/** Set when the task has stopped. */
	#outcome: Outcome<T> | undefined;
	/** Needed by observers only. */
	#seen: Seen<T> | undefined;

	constructor(name: string, owner: TaskOwner, task: Task<T>, settings: RunnerSettings) {
		this.name = name;
		this.#owner = owner;
		this.#execution = new Execution(task, settings);
	}

	get state(): GroupTaskState {
		return this.#state;
	}

	get attempt(): number {
		return (this.#outcome ?? this.#execution!).attempt;
	}

	get error(): unknown {
		return (this.#outcome ?? this.#execution!).previousError;
	}

	get value(): T | undefined {
		return this.#outcome?.value;
	}

	get nextAttemptAt(): number | undefined {
		return this.now.nextAttemptAt;
	}

	get subscribe(): (listener: () => void) => () => void {
		return this.#subscribable().subscribe;
	}

	get getSnapshot(): () => GroupTaskSnapshot<T> {
		return this.#subscribable().getSnapshot;
	}

	/** The same object until something changes. Cheaper than `getSnapshot`, which can be passed to others. */
	get now(): GroupTaskSnapshot<T> {
		const { name, state, attempt, error, value } = this;
		return (this.#seen ??= {}).now ??= { name, state, attempt, error, value, nextAttemptAt: this.#nextAttemptAt() };
	}

	/** Begins in a new microtask when the predecessor has stopped. Called once. */
	start(signal: AbortSignal | undefined, predecessor: SpawnedTask<unknown> | undefined): void {
		if (this.#state !== "pending") return;
		if (signal?.aborted) return this.cancel(signal.reason);
		this.#signal = signal;
		link(signal, this);
		(predecessor?.wait() ?? resolved).then(() => {
			if (this.#state === "pending") this.#execution!.loop(this);
		});
	}

	cancel(reason: unknown = abortError(`The task ${JSON.stringify(this.name)} was cancelled`)): void {
		if (this.#state === "pending") this.onFailure(reason);
		else this.#execution?.abort(reason);
	}

	abort(reason: unknown): void {
		this.cancel(reason);
	}

	async wait(options: WaitOptions = {}): Promise<boolean> {
		const signal = checkedSignal(options);
		return this.#state === "stopped" || await ((this.#seen ??= {}).waiters ??= new Waiters()).wait(signal);
	}

	result(): Promise<T> {
		const result = this.wait().then(() => {
			const { hasFailed, previousError, value } = this.#outcome!;
			if (hasFailed) throw previousError;
			return value as T;
		});
		result.catch(() => {});
		return result;
	}

	onAttempt(): void {
		this.#change("running");
	}

	onDelay(): void {
		this.#change("delay");
	}

	onSuccess(value: T): void {
		this.#stop(false, undefined, value);
	}

	onFailure(error: unknown): void {
		this.#stop(true, error);
	}

	#stop(hasFailed: boolean, previousError: unknown, value?: T): void {
		unlink(this.#signal, this);
		this.#outcome = { attempt: this.attempt, previousError, value, hasFailed };
		this.#execution = this.#signal = undefined;
		this.#change("stopped");
		this.#owner.onStopped(this);
		this.#seen?.waiters?.release();
	}

	#change(state: GroupTaskState): void {
		this.#state = state;
		if (this.#seen !== undefined) this.#seen.now = undefined;
		// The first subscriber may read the other snapshot.
		this.#seen?.snapshot?.stale();
		this.#owner.onChange();
		this.#seen?.snapshot?.changed();
	}

	/** Computed from the timer instead of being stored twice. */
	#nextAttemptAt(): number | undefined {
		if (this.#state !== "delay") return undefined;
		const { at, settings: { clock } } = this.#execution!;
		return Math.round(clock.now() + at - clock.monotonic());
	}

	#subscribable(): Snapshot<GroupTaskSnapshot<T>> {
		return (this.#seen ??= {}).snapshot ??= new Snapshot(() => this.now, this.#owner.onError);
	}
}
