/**
 * Claimed tasks that must not begin beside what runs here now: one that has crashed again and again runs alone in its process,
 * and one whose last run here has lost its claim waits until that has ended.
 *
 * Nobody waits for them without end, and they do not wait for one process alone:
 *
 * - `empty` → (one is parked) → `quiet`: for a second nothing is claimed, so that quick tasks come to an end;
 * - `quiet` → (something still runs) → `offered`: they are given back, and nothing is claimed for a moment, in which other
 *   processes may take them;
 * - `offered` → `busy`: for nine seconds tasks are claimed again. Those that come back are kept, or they would come back
 *   with each claim;
 * - `busy` → `quiet`, or `empty` if there are none.
 *
 * In each state one begins as soon as it can; with the last one `quiet` becomes `empty`.
 *
 * @module
 */

import type { ClaimedTask } from "./claimed-task.ts";
import type { Clock } from "../platform/clock.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** How long each state takes, in milliseconds. */
const durations = { quiet: 1_000, offered: 100, busy: 9_000 };
/** How many are kept at most: with more nothing is claimed. */
const most = 100;

export class Parking<Tx> {
	readonly #clock: Clock;
	readonly #onChange: () => void;
	readonly #timer: CallbackTimer = new CallbackTimer(() => this.#next());
	#state: "empty" | "quiet" | "offered" | "busy" = "empty";
	#tasks: ClaimedTask<Tx>[] = [];
	readonly #offer: (tasks: ClaimedTask<Tx>[]) => void;

	/**
	 * @param offer gives tasks back
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

	/** Whether other tasks may be claimed now. */
	get mayClaim(): boolean {
		return this.#state === "empty" || (this.#state === "busy" && this.#tasks.length < most);
	}

	/** Whether tasks were given back that nobody else may want. */
	get isOffering(): boolean {
		return this.#state === "offered";
	}

	add(task: ClaimedTask<Tx>): void {
		this.#tasks.push(task);
		if (this.#state === "empty") this.#become("quiet");
	}

	/** The first one of which that is true, which is parked no longer. */
	take(mayBegin: (task: ClaimedTask<Tx>) => boolean): ClaimedTask<Tx> | undefined {
		const task = this.#tasks.find(mayBegin);
		if (task !== undefined) this.delete(task);
		return task;
	}

	delete(task: ClaimedTask<Tx>): void {
		this.#tasks = this.#tasks.filter((other) => other !== task);
		if (this.#tasks.length === 0 && this.#state === "quiet") this.rest();
	}

	/** All of them, which are parked no longer. */
	clear(): ClaimedTask<Tx>[] {
		if (this.#state === "quiet") this.rest();
		return this.#tasks.splice(0);
	}

	/** Nothing is waited for any more. */
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
