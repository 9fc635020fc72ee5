/**
 * The code that runs schedules, as a basket sees it. Each {@link Recurrence} brings it along.
 *
 * @module
 */

import type { Envelope } from "./envelope.ts";
import type { Recurrence } from "./schedule.ts";

type Data = string | Uint8Array;

/** A checked rule of a schedule. */
export interface Rule {
	readonly every: Recurrence;
	readonly missed: Envelope["missed"];
	readonly spread: number;
	readonly overlap: boolean;
}

/** A task to store. */
export interface ScheduleTask {
	readonly id?: string | undefined;
	readonly kind: string;
	readonly payload: Data;
	readonly delay: number;
	readonly ifPresent?: "replace" | "collect" | undefined;
}

/** What adding a task has done. */
export interface AddedTask<State> {
	readonly id: string;
	readonly added: boolean;
	readonly state?: State | undefined;
}

/** A schedule to store. */
export interface ScheduleEntry<T extends ScheduleTask> {
	readonly schedules: Schedules;
	readonly id: string;
	/** The task with its encoded payload. */
	readonly task: T;
	readonly rule: Rule;
	readonly isDeclared: boolean;
	/** Whether it is stored in a transaction: then it is stored synchronously, and nothing can be read before. */
	readonly isInTransaction: boolean;
}

/** The interface of a schedule to its basket. */
export interface SchedulingHost<T extends ScheduleTask, State> {
	/** The wall clock of this machine. */
	now(): number;
	get(id: string): Promise<{ readonly kind: string; readonly payload: Data; readonly state: State } | undefined>;
	add(task: T): Promise<AddedTask<State>>;
	/** Makes the task due at once, when its claim has ended. */
	post(id: string): Promise<unknown>;
}

/** A claim of a schedule, as its tick sees it. */
export interface TickHost {
	readonly claim: {
		readonly id: string;
		readonly kind: string;
		readonly priority: number;
		readonly limitKey?: string | undefined;
		readonly attempts: number;
		readonly inbox: readonly { readonly n: number }[];
	};
	/** The present on the store's clock, or a little before it. */
	now(): number;
	/** Stores a payload. Returns whether the function may be called then. */
	decide(payload: string): Promise<boolean>;
	/** Adds a task, unless there is one with its id. Returns `false` if the store has failed. */
	add(task: AloneTask): Promise<boolean>;
	/** Gets a task. Returns `undefined` if the store has failed. */
	get(
		id: string,
	): Promise<{ readonly task: { readonly payload: Data; readonly state: string } | undefined } | undefined>;
}

/** A tick as a task of its own. */
export interface AloneTask {
	readonly id: string;
	readonly kind: string;
	readonly payload: string;
	readonly priority: number;
	readonly limitKey?: string | undefined;
	readonly delay: number;
}

/** The part of a kind that recurs. */
export interface Recurs {
	/** Its own schedule, if any. */
	readonly rule: Rule | undefined;
	readonly reads: readonly ((text: string) => Recurrence)[];
}

/** The schedules that were given to a basket. */
export interface Schedules {
	readonly known: Map<string, Recurrence>;
	ticks: Ticks | undefined;
}

/** The end of a claim of a schedule. */
export type TickOutcome =
	| { readonly type: "release"; readonly delay: number }
	| { readonly type: "done" }
	| { readonly type: "later"; readonly delay: number; readonly payload: string; readonly seen: number };

/** One tick of a schedule. */
export interface Tick {
	/** See `BasketContext.due` and `BasketContext.missed`. */
	readonly due: number;
	readonly missed: number;
	/** Whether it is a task of its own, which ends like any other. */
	readonly isAlone: boolean;
	/** The payload for the function. */
	readonly payload: Data;
	/** The envelope with the payload as the function has left it. */
	seal(payload: Data): string;
	/** How the claim ends if the tick is done or dead; `undefined` if the schedule ends with it. */
	end(): TickOutcome | undefined;
}

/** The code that runs schedules. */
export interface Ticks {
	/** Checks a rule. */
	check(
		every: Recurrence,
		missed: Envelope["missed"] | undefined,
		spread: number | undefined,
		overlap: boolean | undefined,
	): Rule;
	/** Reads the text of an interval; `undefined` for any other text. */
	read(text: string): Recurrence | undefined;
	/** Stores a schedule, unless it is stored already. */
	schedule<T extends ScheduleTask, State>(
		host: SchedulingHost<T, State>,
		entry: ScheduleEntry<T>,
	): Promise<AddedTask<State>>;
	/** Decides what a claim of this schedule stands for: a tick, or an end without one. */
	begin(envelope: Envelope, host: TickHost): Promise<Tick | TickOutcome>;
}
