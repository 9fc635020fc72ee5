/**
 * What observers of tasks are told, and how tasks are watched. The code for that is in `src/observer`, and comes with the
 * observer itself.
 *
 * @module
 */

import type { TaskContext } from "./task.ts";
import type { Clock } from "../platform/clock.ts";

/** An attempt of a task, as an {@link Observer} sees it. All hooks that are told of an attempt get the same object. */
export interface ObservedAttempt {
	/** What the task belongs to. A step or a revert of a job is a `"step"`. */
	readonly by: "run" | "group" | "pool" | "basket" | "step";
	/** The name of its basket, if it has one. */
	readonly basket?: string | undefined;
	/** The kind of a task of a basket; the name of the job of a step. */
	readonly kind?: string | undefined;
	/** The id of the task or of the job; the name of a task of a group or pool. */
	readonly id?: string | undefined;
	/** The name of a step. */
	readonly step?: string | undefined;
	/** Whether the step is reverted. */
	readonly isRevert?: boolean | undefined;
	/** The number of the attempt, from 1. */
	readonly attempt: number;
	/** The texts that travel with a task of a basket or with a job. */
	readonly meta?: Readonly<Record<string, string>> | undefined;
	/** The lane of the task or of the job, if it has one. */
	readonly lane?: string | undefined;
	/** The worker that makes the attempt, in a basket: see `worker` of `BasketOptions`. */
	readonly worker?: string | undefined;
	/**
	 * The attempts that share one call of their function, if that is made by `batch()`: the same array in each of them, in
	 * order. {@link ObserverHooks.around} is called once for all of them, with the first.
	 */
	readonly batch?: readonly ObservedAttempt[] | undefined;
}

/** The end of an attempt. */
export interface ObservedEnd {
	/**
	 * How it has ended: a task of a basket is done, is retried, is dead, was put off by `later`, or is left to the next run.
	 * Of other tasks it is only known whether the attempt has failed or was put off.
	 */
	readonly outcome: "done" | "failed" | "retry" | "dead" | "later" | "released";
	/** How long the function took, in milliseconds. */
	readonly took: number;
	/** The error, if it has failed: the one inside a hint such as `stopNow`. */
	readonly error: unknown;
}

/** A task or a job that is being added. */
export interface ObservedAdd {
	/** The name of the basket. */
	readonly basket: string;
	/** The kind of the task; the name of the job. */
	readonly kind: string;
	/** Its id, if that was given. */
	readonly id: string | undefined;
	/** Its lane, if it has one. */
	readonly lane?: string | undefined;
	/**
	 * The texts that will travel with it. What an observer puts here, such as a trace context, does, too, as far as it fits:
	 * longer texts than the limit of `meta` allows are left out.
	 */
	readonly meta: Record<string, string>;
	/** What is added with it in one call of `addMany`: the same array in each of them, in order. */
	readonly batch?: readonly ObservedAdd[] | undefined;
}

/** What has become of it. */
export interface ObservedAddEnd {
	/** Its id; `undefined` if it was not stored. */
	readonly id: string | undefined;
	/** Whether it was stored; otherwise a task with this id was there, or it has failed. In a transaction: when that commits. */
	readonly isAdded: boolean;
	/** Why it could not be added. */
	readonly error: unknown;
}

/**
 * Is told what happens to tasks. All members are optional, and called synchronously, in the order of the events. What they
 * throw is reported to `onError`, if there is one, and changes nothing.
 */
export interface ObserverHooks {
	/**
	 * A task or a job is being added to a basket. The returned function, if there is one, is called when it is known what has
	 * become of that.
	 */
	readonly adding?: ((task: ObservedAdd) => ((end: ObservedAddEnd) => void) | void) | undefined;
	/** An attempt begins. `waited` is how long its task has been due, in milliseconds; 0 outside of baskets. */
	readonly started?: ((attempt: ObservedAttempt, waited: number) => void) | undefined;
	/**
	 * Wraps the call of the function, which it must call once, at once: for instance in a context of its own. What it returns
	 * does not matter.
	 */
	readonly around?: ((attempt: ObservedAttempt, call: () => unknown) => void) | undefined;
	/**
	 * An attempt has ended. In a basket, this is stored. A task can also end without a start: its payload is invalid, or its
	 * process has died too often.
	 */
	readonly ended?: ((attempt: ObservedAttempt, end: ObservedEnd) => void) | undefined;
	/** The lease of a running task of a basket was renewed. */
	readonly renewed?: ((attempt: ObservedAttempt) => void) | undefined;
	/**
	 * The claim of a running task of a basket is lost: what its function does is not stored any more, or it is unknown whether
	 * its end is stored. If that turns out to be stored, `ended` follows.
	 */
	readonly lost?: ((attempt: ObservedAttempt) => void) | undefined;
}

/**
 * Made by `observer`. It has the code that calls the hooks, so that what is not observed costs nothing.
 */
export interface Observer {
	/** The hooks. */
	readonly hooks: ObserverHooks;
	/** A task that tells the hooks of its attempts. It is internal. */
	watch<T, C extends TaskContext>(
		task: (context: C) => T | PromiseLike<T>,
		about: Omit<ObservedAttempt, "attempt">,
		clock: Clock,
	): (context: C) => T | PromiseLike<T>;
	/** The code for baskets. It is internal. */
	readonly baskets: object;
}
