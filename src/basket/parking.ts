/**
 * Claimed tasks that must not begin while other tasks run here. A repeatedly crashing task runs alone in its process.
 * A task whose last run here has lost its claim waits until that run has ended.
 *
 * Other tasks do not wait for them forever, and they do not wait for a single process:
 *
 * - `empty` → (a task is parked) → `quiet`: for a second nothing is claimed, so that short tasks can end;
 * - `quiet` → (tasks still run) → `offered`: the parked tasks are released, and nothing is claimed for a moment, so
 *   that other processes can take them;
 * - `offered` → `busy`: for nine seconds tasks are claimed again. Parked tasks that are claimed again are kept,
 *   because otherwise each claim would return them;
 * - `busy` → `quiet`, or `empty` if there are none.
 *
 * In each state a parked task begins as soon as it can. When the last one has begun, `quiet` becomes `empty`.
 *
 * @module
 */

import type { ClaimedTask } from "./claimed-task.ts";
import type { Clock } from "../platform/clock.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** The duration of each state, in milliseconds. */
const durations = { quiet: 1_000, offered: 100, busy: 9_000 };
/** The maximum number of parked tasks. With more, nothing is claimed. */
const most = 100;

export class Parking<Tx> {
	readonly #clock: Clock;
	readonly #onChange: () => void;
	readonly #timer: CallbackTimer = new CallbackTimer(() => this.#next());
	#state: "empty" | "quiet" | "offered" | "busy" = "empty";
	#tasks: ClaimedTask<Tx>[] = [];
	readonly #offer: (tasks: ClaimedTask<Tx>[]) => void;

	/**
	 * @param offer releases tasks
	 * @param onChange called when something may begin, or may be claimed
	 */
	constructor(clock: Clock, offer: (tasks: ClaimedTask<Tx>[]) => void, onChange: () => void) {
		this.#clock = clock;
		this.#offer = offer;
		this.#onChange = onChange;
	}

	get size(): number {
		return this.#tasks.length;
	}

	/** Whether other tasks may be claimed. */
	get mayClaim(): boolean {
		return this.#state === "empty" || (this.#state === "busy" && this.#tasks.length < most);
	}

	/** Whether parked tasks are being offered to other processes. */
	get isOffering(): boolean {
		return this.#state === "offered";
	}

	add(task: ClaimedTask<Tx>): void {
		this.#tasks.push(task);
		if (this.#state === "empty") this.#become("quiet");
	}

	/** Removes and returns the first task that may begin. */
	take(mayBegin: (task: ClaimedTask<Tx>) => boolean): ClaimedTask<Tx> | undefined {
		const task = this.#tasks.find(mayBegin);
		if (task !== undefined) this.delete(task);
		return task;
	}

	delete(task: ClaimedTask<Tx>): void {
		this.#tasks = this.#tasks.filter((other) => other !== task);
		if (this.#tasks.length === 0 && this.#state === "quiet") this.rest();
	}

	/** Removes and returns all parked tasks. */
	clear(): ClaimedTask<Tx>[] {
		if (this.#state === "quiet") this.rest();
		return this.#tasks.splice(0);
	}

	/** Ends all waits. */
	rest(): void {
		this.#state = "empty";
		this.#clock.clear(this.#timer);
	}

	#next(): void {
		if (this.#state === "quiet") {
			this.#offer(this.#tasks.splice(0));
			this.#become("offered");
		} else if (this.#state === "offered") this.#become("busy");
		else if (this.#tasks.length > 0) this.#become("quiet");
		else this.#state = "empty";
		this.#onChange();
	}

	#become(state: "quiet" | "offered" | "busy"): void {
		this.#state = state;
		this.#clock.set(this.#timer, durations[state]);
	}
}

/** Whether a task must not begin now: it must run alone, or it is `over`, the ids of runs that go on without a claim. */
export function mustWait<Tx>({ id, isSuspect }: ClaimedTask<Tx>, over: ReadonlySet<string>): boolean {
	return isSuspect || over.has(id);
}
