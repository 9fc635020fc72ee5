/**
 * The messages between a worker and a store about a claim: its start, the data that is saved under it, and its end.
 *
 * @module
 */

import type { Offspring } from "./children.ts";
import type { Data } from "./data.ts";

export type { Data };

/** Identifies a claim. A store may return more members than these, and gets the same object back. */
export interface Ref {
	/** The id of the task. */
	readonly id: string;
	/** The token, which proves that the claim is the task's current one. */
	readonly token: string;
	/** The lane of the task, if any. */
	readonly lane?: string | undefined;
}

/** A claimed task. */
export interface Claim extends Ref {
	/** The kind of the task, which selects its function. */
	readonly kind: string;
	/** The payload. */
	readonly payload: Data;
	/** The number of failed or crashed attempts before this claim. */
	readonly attempts: number;
	/** The number of consecutive claims that ended without a settlement, right before this one. */
	readonly crashes: number;
	/** The priority. */
	readonly priority: number;
	/** See `limitKey` of `NewTask`. */
	readonly limitKey?: string | undefined;
	/** The error of the last settlement with `retry` or `dead`. */
	readonly error?: string | undefined;
	/** The time at which it was added, in milliseconds since 1970 on the store's clock. */
	readonly addedAt: number;
	/** The time since it was added, in milliseconds on the store's clock. */
	readonly age: number;
	/** The time since it was due, or since the lease of the claim before ended, in milliseconds: 0 or more. */
	readonly late: number;
	/** The messages that were posted to it and not removed since, oldest first: at most the first 1,000. */
	readonly inbox: readonly Message[];
	/** The number of the last entry of its log. Absent or 0: it has none. */
	readonly logged?: number | undefined;
	/** See `meta` of `NewTask`. */
	readonly meta?: string | undefined;
	/** What the last settlement that had one has stored as `history`. */
	readonly history?: string | undefined;
	/** The claim before this one, if it ended without a settlement. */
	readonly lapsed?: ClaimOrigin | undefined;
}

/** Who has a claim, and since when. */
export interface ClaimOrigin {
	/** See {@link Turn.worker}. Absent if the turn had none. */
	readonly worker?: string | undefined;
	/** The time of the claim, in milliseconds since 1970 on the store's clock. */
	readonly at: number;
}

/** The maximum number of characters of `meta`, and of `history`. */
export const mostMeta = 2_048;
export const mostHistory = 2_048;

/** The maximum number of messages in a {@link Claim}. */
export const mostInbox = 1_000;

/** A message to a task. */
export interface Message {
	/** The sequence number of the message: 1, 2, 3 … Never reused for this task. */
	readonly n: number;
	/** The posted data. */
	readonly data: Data;
}

/** The outcome of a successful task. */
export interface Done {
	/** Discriminates an {@link Outcome}. */
	readonly type: "done";
	/**
	 * How long the task is kept as `"done"`, with its id, in milliseconds; `Infinity` until it is deleted. If absent or
	 * 0, the task is removed.
	 */
	readonly retain?: number | undefined;
	/** The new payload. If absent, the payload stays unchanged. */
	readonly payload?: Data | undefined;
	/** The result, which is kept with the task. */
	readonly result?: Data | undefined;
	/** Whether it counts as a bad end for the join of its parent. @default false */
	readonly isBad?: boolean | undefined;
	/** See {@link Outcome}. */
	readonly history?: string | undefined;
	/**
	 * Messages up to this number are removed. If others are left, the task has not ended: it is waiting again, due at
	 * once or when its replacement is, without attempts, crashes, error and progress, and in its place in its lane. The result
	 * is not kept then. If absent, messages do not matter.
	 */
	readonly seen?: number | undefined;
	/** With `seen`: if at least this number of messages is left, the task is due at once, whenever its replacement is. */
	readonly most?: number | undefined;
}

/**
 * The end of a claim. An absent payload stays unchanged, and so does an absent `history`: text of at most
 * 2,048 characters.
 *
 * - `done`: see {@link Done};
 * - `retry`: a failed attempt; the task is due again after `delay`. `attempts` and `error` are stored, `crashes`
 *   becomes 0. With `backoff`, the delay is a backoff, which `hasten` may shorten; with `hold`, the task is held from
 *   then on;
 * - `later`: no failure; the task is due again after `delay`, or only when a message is posted (`null`), or at once
 *   (see `Store.post`) if its inbox has a message with a number above `seen`. Messages up to `seen` are removed. `attempts` and
 *   `crashes` become 0. `backoff` is as with `retry`;
 * - `dead`: the task becomes dead. `attempts` and `error` are stored;
 * - `release`: neither an attempt nor a crash; the task is due at once, and a crash of the previous claim, which this
 *   claim has counted, stays counted. With a `delay` the task has run, and is due again after that: `crashes` becomes
 *   0, and attempts and error stay. Without one, a claim that a limit has counted as a start counts no more. With a
 *   `limitKey`, the task gets that key.
 *
 * With `isKeyShut`, no task of the same kind and `limitKey` is claimed before `delay` has passed.
 */
export type Outcome =
	| Done
	| {
		readonly type: "retry";
		readonly delay: number;
		readonly attempts: number;
		readonly error: string;
		readonly payload?: Data | undefined;
		readonly history?: string | undefined;
		readonly backoff?: boolean | undefined;
		readonly hold?: boolean | undefined;
		readonly isKeyShut?: boolean | undefined;
	}
	| {
		readonly type: "later";
		readonly delay: number | null;
		readonly seen: number;
		readonly payload?: Data | undefined;
		readonly history?: string | undefined;
		readonly backoff?: boolean | undefined;
		readonly isKeyShut?: boolean | undefined;
	}
	| {
		readonly type: "dead";
		readonly attempts: number;
		readonly error: string;
		readonly payload?: Data | undefined;
		readonly history?: string | undefined;
		/** How long the task is kept as `"dead"`, in milliseconds: more than 0. Absent: until it is retried or deleted. */
		readonly retain?: number | undefined;
	}
	| {
		readonly type: "release";
		readonly payload?: Data | undefined;
		readonly history?: string | undefined;
		/** The time until the task is due, in milliseconds; absent if the task was not run. */
		readonly delay?: number | undefined;
		readonly limitKey?: string | undefined;
		readonly isKeyShut?: boolean | undefined;
	};

/** The settlement of one claim. */
export interface Settlement extends Offspring {
	/** Identifies the claim. */
	readonly ref: Ref;
	/** The outcome. */
	readonly outcome: Outcome;
	/** What is appended to the log of the task, in the same commit. */
	readonly log?: LogPart | undefined;
}

/**
 * Entries for the log of a task, as a claim appends them with a {@link Save} or its {@link Settlement}. The log stays with
 * the task, whatever becomes of the claim, until the task is removed. A restarted dead task keeps it.
 *
 * The cost does not depend on the number of entries that the log has. An entry that has one of these numbers is replaced, so
 * that a call whose answer was lost can be repeated. The caller leaves no gaps.
 */
export interface LogPart {
	/** The number of entries that the log has before these. */
	readonly after: number;
	/** The entries: 1 to 100, together as large as one payload may be. */
	readonly entries: readonly Data[];
}

/** The maximum number of entries in a {@link LogPart}. */
export const mostAppended = 100;

/** Selects entries of the log of a task. */
export interface LogRead {
	/** The id of the task. */
	readonly id: string;
	/** Only if this is the token of its current claim. Default: whether it is claimed or not. */
	readonly token?: string | undefined;
	/** Only entries with higher numbers. */
	readonly after: number;
	/** The maximum number of entries, 1 or more. */
	readonly limit: number;
}

/** An entry of the log of a task. */
export interface LogEntry {
	/** Its number: 1, 2, 3 … */
	readonly n: number;
	/** The appended data. */
	readonly data: Data;
}

/** A request for tasks. */
export interface ClaimRequest {
	/** The kinds of tasks, at least one. */
	readonly kinds: readonly string[];
	/** The maximum number of tasks, 1 or more. Followers (see {@link LaneRun}) do not count. */
	readonly limit: number;
}

/** The settlements and requests of a worker, in one commit. */
export interface Turn {
	/** The ended claims. Each claim occurs only once. */
	readonly settle: readonly Settlement[];
	/** The requests, which are served in order, after all settlements. May be empty. */
	readonly claim: readonly ClaimRequest[];
	/** The lease of the new claims, in milliseconds: more than 0, finite. */
	readonly lease: number;
	/** The limits of the requested kinds. A kind without one has no limit, whatever keys its tasks have. */
	readonly limits?: readonly KindLimit[] | undefined;
	/** The limit of the whole basket. A turn without it heeds none. A turn that only settles has it, too. */
	readonly overall?: BasketLimit | undefined;
	/** The kinds whose tasks are claimed in runs. */
	readonly runs?: readonly LaneRun[] | undefined;
	/** The name of the worker, of 1 to 100 characters, for people. It is kept with each claim. */
	readonly worker?: string | undefined;
}

/**
 * Lets a claim of the head of a lane also take *followers*: the tasks right behind it, in order, if they are of the same
 * kind and due, have no `limitKey` and are not held. If a task has `attempts`, it is claimed alone: otherwise one that
 * always fails or crashes would use up the attempts of others. A store may claim fewer followers.
 *
 * Followers stand right behind a running head without a gap, and each is `running` under a claim of its own, with all that
 * this means. When the head leaves, the first follower is the head, and its claim continues. Before that, no claim takes
 * up a follower whose lease has expired. If a claim ends and its task stays in the lane, the followers behind it are given
 * back in the same commit, as if released, but after all settlements of that commit. If a turn takes up a crashed head, or
 * puts it back (see {@link BasketLimit}), the followers behind it have crashed, too: they are given back with `attempts` and
 * `crashes` one higher.
 */
export interface LaneRun {
	/** The kind. */
	readonly kind: string;
	/** The maximum number of tasks, with the head. */
	readonly most: number;
}

/**
 * The limit of a whole basket. A turn with it claims no more tasks of any kinds than it admits, besides the limits of
 * their kinds: fewer than `atOnce` tasks are running when one is claimed, and GCRA admits the start, with one `next` for
 * the basket; if the clock is set back, `next` goes back with it.
 *
 * - Each claim by such a turn is a start, also that of a follower, and also if it is released. Claims by other turns need
 *   not be counted.
 * - With `atOnce`, the turn first puts back the tasks whose lease has expired, of any kind and as far as it can, but no
 *   followers: they wait with `attempts` and `crashes` one higher. The others count as running.
 * - If it admits no other task, `dueIn` is at least the time until it may: until the next start, or until the first
 *   lease ends. When a later turn leaves a place free, watchers are woken.
 */
export interface BasketLimit {
	/** The maximum number of running tasks, from 1; `Infinity` if there is none. */
	readonly atOnce: number;
	/** The time between two starts, in milliseconds, not rounded; 0 if there is none. */
	readonly spacing: number;
	/** The number of starts that may come at once after a rest, from 1. */
	readonly burst: number;
}

/**
 * The limit of a kind, for each `limitKey` of `NewTask` by itself. A task that has no key is not limited: the basket
 * gives it its key with a `release`.
 */
export interface KindLimit extends BasketLimit {
	/** The kind. */
	readonly kind: string;
}

/** The result of a {@link Turn}. */
export interface TurnResult {
	/** For each settlement, whether it was written; `false` if the claim was lost. */
	readonly settled: readonly boolean[];
	/** The claimed tasks, in the order in which they should run. Followers come right behind the head of their lane. */
	readonly claims: readonly Claim[];
	/**
	 * The time until a task of the requested kinds is due, or the lease of a running one ends, in milliseconds. 0 if a
	 * task is already due but exceeded the limit; `Infinity` if there is none. Behind gates it may be too early, but not
	 * too late. It has no meaning without a request.
	 */
	readonly dueIn: number;
}

/** Data to save before a claim ends. Absent members stay unchanged. */
export interface Save extends Offspring {
	/** Identifies the claim. */
	readonly ref: Ref;
	/** The new payload. */
	readonly payload?: Data | undefined;
	/** The progress, for people. */
	readonly progress?: string | undefined;
	/** Messages up to this number are removed. */
	readonly seen?: number | undefined;
	/** What is appended to the log of the task, in the same commit. */
	readonly log?: LogPart | undefined;
}
