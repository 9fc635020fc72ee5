/**
 * The interface between a basket and its storage: memory, IndexedDB, SQLite, Deno KV, Postgres.
 *
 * The store is the source of truth; a process is only a cache of it. Everything that must hold between processes (who
 * may run a task, in which order, one at a time per lane) is decided here, in one atomic step each. To write a store,
 * read this file and make `testStore` of `upkeep/testing` pass.
 *
 * The states of a task in a store:
 *
 * ```text
 *             add ──► blocked ──(the head of its lane is gone)──► waiting
 *             add ─────────────────────────────────────────────► waiting
 *   waiting ─(turn: claim)─► running ─(done)──► removed, or kept as done until its time is over
 *   running ─(retry, later, release)─► waiting          running ─(dead)─► dead ─(change: retry)─► waiting, at the end
 *   done, dead ─(change: restart)─► waiting, at the end, with another payload
 *   running ─(its lease ends, turn: claim)─► running, under a new token, `crashes` and `attempts` one higher
 *   waiting, blocked ⇄ (change: hold, release) ⇄ held   running ─(change: hold, then retry, later or release)─► held
 * ```
 *
 * `blocked` is internal to the store: to callers it is a form of `waiting`.
 *
 * - **Lanes.** Of the tasks of one lane that are not dead or done, the first added is the *head*. Only the head may
 *   be `waiting`, `running` or `held`; the others are `blocked`. When the head leaves (done, dead, deleted), the next
 *   task becomes the head in the same commit. Blocked tasks must not slow down a claim: 100,000 of them in one lane
 *   are normal. A claim of the head may take those behind it along: see {@link LaneRun}.
 * - **Time.** Callers pass durations in milliseconds. The store has the clock, and stores instants of this clock.
 * - **Fencing.** Each claim has a unique token that is never reused. Every write of a worker about a task contains
 *   the token. If it is not the task's current token, or the task is not running, nothing is written.
 * - **Failures.** A member that rejects has changed nothing, except that a commit whose answer was lost may have
 *   taken effect. All members can safely be called again with the same arguments, except `add` without an id. Stores
 *   reject with a `StoreError`, whose code says whether a retry can help.
 * - **Time limits.** A basket gives up a call that is not answered within a third of its lease, and makes another
 *   one. The outcome of the first call is unknown until its answer arrives. A time limit of the store itself should
 *   be shorter, and include the wait for a connection. Any other error than a `StoreError` counts as a programming
 *   error: after five of them `run` and `drain` reject.
 * - **Kept tasks.** A done or dead task whose retention has ended is absent for every member, also while it is stored.
 * - **Limits.** A task with a `limitKey` that waits is behind the *gate* of its kind and key, and not where claims look
 *   for other tasks: 100,000 of them behind one gate cost a claim of other tasks or keys nothing. A turn looks at the
 *   gates that may be open, each in its turn. Of a kind with a limit ({@link KindLimit}) it claims a task only if fewer
 *   than `atOnce` tasks of that kind and key are running, and if the last starts are long enough ago (GCRA: with `next`
 *   = the stored instant of the gate, a start needs now ≥ `next` - (`burst` - 1) × `spacing`, and sets `next` =
 *   max(now, `next`) + `spacing`). Running tasks are counted when they are needed, and never by a stored counter; one
 *   whose lease has expired counts, and the claim that takes it up needs no second place, but is a start. A `release`
 *   without a delay takes its start back: `next` becomes earlier by the `spacing` of that start. If the gate has had a
 *   start at a later instant, that one was allowed in spite of it, and `next` stays. `isKeyShut` is a second instant of
 *   the gate, before which no start is allowed; a shorter one changes nothing. A turn without a limit for a kind heeds
 *   neither. If a running task is replaced by one with another key and crashes, the turn that would take it up puts it
 *   behind the gate of the new key instead, with `attempts` and `crashes` one higher: it may have a place of the old
 *   key that others need. Within a key, tasks are claimed in the usual order. What may not be claimed now does not
 *   count as due: `dueIn` is the time until a gate may open. When a place becomes free, watchers are woken if others
 *   wait for it. The gate of a key without tasks is removed when its last starts no longer matter. See also {@link BasketLimit}.
 * - **Variants.** A kind whose name begins with that of another kind and U+001F is a variant of that one. Claims and
 *   limits treat it as a kind of its own. A list or a pause of a kind concerns its variants, too.
 * - **Children.** A claim adds tasks that belong to its own, and lets the store count how they end: see {@link Child} and
 *   {@link Join}. No end is lost or counted twice, also if two last children end in concurrent commits. What counts for a
 *   join is counted before a turn claims, so that the turn that settles the last child may claim its parent. If a child ends
 *   in a transaction of the caller, a store may count it in a later turn.
 * - **History.** A store keeps two texts with a task, which it does not read: the `meta` of its payload, and the `history`
 *   that a settlement brings, until another one brings a newer one. Both stay when the task is retried or restarted, and
 *   the history also when its payload is replaced. With each claim it keeps which worker has it, and since when.
 * - **Damage.** An unreadable record neither fails a batch nor is claimed again: its task becomes dead, with an error.
 *
 * @module
 */

import type { ClaimOrigin, Data, Done, LogEntry, LogRead, Message, Ref, Save, Turn, TurnResult } from "./claim.ts";
import type { Change, Counts, ListQuery, Pauses, TaskState, WakeReason } from "./asking.ts";

export {
	type Change,
	type Counts,
	type ListQuery,
	type Pauses,
	type Restart,
	type TaskState,
	taskStates,
	type WakeReason,
} from "./asking.ts";
export { baseOf, isOfKind, variantMark } from "./variants.ts";
export { mostAppended, mostHistory, mostInbox, mostMeta } from "./claim.ts";
export type { Child, Join, Offspring } from "./children.ts";
export { type ClonedData, fingerprint, isCloned } from "./cloned.ts";

export type {
	BasketLimit,
	Claim,
	ClaimOrigin,
	ClaimRequest,
	Data,
	Done,
	KindLimit,
	LaneRun,
	LogEntry,
	LogPart,
	LogRead,
	Message,
	Outcome,
	Ref,
	Save,
	Settlement,
	Turn,
	TurnResult,
} from "./claim.ts";

/** The capabilities of a store. */
export interface StoreCapabilities {
	/** Whether tasks survive the process. */
	readonly durable: boolean;
	/** Whether several processes or tabs can use the store at the same time. */
	readonly shared: boolean;
	/** Whether `add`, `save`, `complete`, `delete` and `change` accept a transaction of the caller. */
	readonly tx: boolean;
	/** The clock of the store: that of the machine, on which several machines would have to agree, or that of a server. */
	readonly clock: "machine" | "server";
	/**
	 * The number of turns that a worker may have under way at the same time. More than one pays where a database works on
	 * several calls at once. A worker uses the others only under load, and not for tasks whose order that could change.
	 * @default 1
	 */
	readonly turns?: number | undefined;
	/**
	 * Whether it also keeps {@link ClonedData} where it keeps {@link Data}, and copies it by structured clone, as
	 * `cloneCodec` needs. @default false
	 */
	readonly clones?: boolean | undefined;
	/** The maximum size of a payload, in bytes of UTF-8 or of the array. Absent if there is no limit. */
	readonly maxPayload?: number | undefined;
	/**
	 * The maximum number of tasks in one `add`. Absent if there is no limit. The store splits larger batches of other
	 * members itself.
	 */
	readonly maxAdd?: number | undefined;
	/** The maximum total size of the payloads in one `add`, in bytes. Absent if there is no limit. */
	readonly maxAddBytes?: number | undefined;
}

/** A task to store. The caller has checked it. */
export interface NewTask {
	/**
	 * The id, unique in its basket while the task is stored. If it is absent, the store creates one that begins with
	 * `_`; ids of callers never do.
	 */
	readonly id?: string | undefined;
	/** The kind of the task, which selects its function. */
	readonly kind: string;
	/** The payload. */
	readonly payload: Data;
	/** The delay before the task is due, in milliseconds: 0 or more, finite. */
	readonly delay: number;
	/** The priority; higher ones are claimed first: a whole number from -100 to 100. */
	readonly priority: number;
	/** The lane, if any. */
	readonly lane?: string | undefined;
	/** What happens if a task with this id is stored. Absent: it stays unchanged. Otherwise see {@link Store.add}. */
	readonly ifPresent?: "replace" | "collect" | undefined;
	/** With `"collect"`: the first message, or the next one, of the task. */
	readonly item?: Data | undefined;
	/** With `"collect"`: the number of messages with which it is due at once. */
	readonly most?: number | undefined;
	/** The key of its limit, of 0 to 255 characters. Absent if its kind had no limit when it was added. */
	readonly limitKey?: string | undefined;
	/**
	 * With `ifPresent`: the maximum time from the first add to the due time, in milliseconds: at least `delay`, and
	 * finite. Absent if there is no maximum.
	 */
	readonly within?: number | undefined;
	/** Text that travels with the payload, at most 2,048 characters: what replaces the payload replaces it. */
	readonly meta?: string | undefined;
}

/** The result of adding a {@link NewTask}. */
export interface Added {
	/** The id, given or created. */
	readonly id: string;
	/** Whether the payload was stored: in a new task, or in place of another payload. */
	readonly added: boolean;
	/**
	 * The state of the task with this id before the call. Absent if there was none, or if the transaction is only a
	 * list of changes and cannot report it.
	 */
	readonly state?: TaskState | undefined;
}

/** A task in the store. */
export interface StoredTask {
	/** The position among all tasks of the basket, for {@link ListQuery.after}. */
	readonly key: string;
	/** The id. */
	readonly id: string;
	/** The kind of the task, which selects its function. */
	readonly kind: string;
	/** The payload. */
	readonly payload: Data;
	/** The state. */
	readonly state: TaskState;
	/** The number of failed or crashed attempts. */
	readonly attempts: number;
	/** The number of consecutive claims that ended without a settlement. */
	readonly crashes: number;
	/** The error of the last settlement with `retry` or `dead`. */
	readonly error?: string | undefined;
	/** The result of a done task. */
	readonly result?: Data | undefined;
	/** The last saved progress. */
	readonly progress?: string | undefined;
	/**
	 * In milliseconds since 1970 on the store's clock: the due time; for a running task, the end of its lease; for a
	 * done or dead task, its removal. Absent if only a message makes it due, and if it is never removed.
	 */
	readonly dueAt?: number | undefined;
	/** The time at which it was added, in milliseconds since 1970. */
	readonly addedAt: number;
	/** The priority. */
	readonly priority: number;
	/** The lane, if any. */
	readonly lane?: string | undefined;
	/** See {@link NewTask.limitKey}. */
	readonly limitKey?: string | undefined;
	/** The id of the task that has added it as its child, such as the job of a list item. */
	readonly parent?: string | undefined;
	/** See {@link NewTask.meta}. */
	readonly meta?: string | undefined;
	/** What the last settlement that had one has stored as `history`. */
	readonly history?: string | undefined;
	/** Of a running task: its claim. Of another one: its last claim, if that ended without a settlement. */
	readonly claim?: ClaimOrigin | undefined;
}

/**
 * Stores the tasks of any number of baskets, which are identified by name.
 *
 * Every member is atomic, and may be called at any time by any number of callers. `n` is the number of tasks in the
 * call and `N` the number stored.
 *
 * @typeParam Tx the caller's own transaction
 */
export interface Store<Tx = unknown> {
	/** The capabilities of the store. Always the same object. */
	readonly capabilities: StoreCapabilities;

	/**
	 * Creates the schema, or migrates an older one. Each basket calls it first; repeated calls have no effect. Rejects
	 * with `newer-schema` if a later version wrote the database, and changes nothing in it.
	 */
	open(): Promise<void>;

	/**
	 * Stores tasks, all or none, and resolves when they are durable. Their order is that of the array, after all
	 * existing tasks. If two tasks in one call have the same id, the first is added. O(n log N).
	 *
	 * A task with `ifPresent: "replace"` replaces the task with its id:
	 *
	 * - *waiting, blocked, held*: gets the new payload and priority, no attempts, crashes, error or progress, and keeps
	 *   its place in its lane and its hold. It is due after `delay`, but not later than `within` after `addedAt`. If it
	 *   had attempts or crashes, `addedAt` becomes now, as a new wait begins;
	 * - *running*: stays as it is. The payload waits behind it, and replaces one that already waits there. When the
	 *   claim ends as done or dead, the task is waiting instead, with that payload, no attempts, and its place in its
	 *   lane. When the claim ends in any other way, or its lease does and another claim begins, the next attempt gets
	 *   that payload, whatever payload the outcome has. `addedAt` becomes the time at which the first such payload was
	 *   added. The task is due at the later of the usual time and `delay`, at most `within`, after that;
	 * - *dead, done*: is removed, and the new task is added behind all others.
	 *
	 * A task with `ifPresent: "collect"` adds its `item` as a message to the task with its id:
	 *
	 * - *absent, done*: is added with its payload and this first message. With `most` of 1 it is due at once;
	 * - *waiting, blocked, held, without attempts and crashes*: is due after `delay`, but not later than `within` after
	 *   `addedAt`, and at once with `most` messages or more. Payload and priority become the new ones;
	 * - *waiting, blocked, held, with attempts or crashes*: stays due when it is;
	 * - *running*: as with `"replace"`, but a claim that ends in another way than done or dead leaves the due time as it is
	 *   without a replacement: no item waits longer because of a later one. See also `most` of {@link Done};
	 * - *dead*: begins anew behind all others, as if retried, with the new payload and with all of its messages, and is due
	 *   after `delay`, and at once with `most` messages or more.
	 *
	 * The payload is the same for all items of an id: what the basket needs to know of them. Both reject with a TypeError if
	 * kind or lane differ, or if only one of the two tasks was added with `"collect"` (then its payload begins with
	 * U+0002), and store nothing then.
	 *
	 * With `tx`, the tasks are added inside that transaction. All requests to the database are made before this
	 * returns, so that a transaction that commits automatically is still open. The tasks exist when it commits, and
	 * otherwise not at all; the lanes of the tasks are locked until then. Watchers are not woken before the commit. If
	 * a transaction is only a list of changes (Deno KV), an id in use makes its commit fail, and `added` is `true`.
	 */
	add(basket: string, tasks: readonly NewTask[], tx?: Tx): Promise<readonly Added[]>;

	/**
	 * Settles claims, promotes the next tasks of their lanes, and claims due tasks: `waiting` tasks that are due, and
	 * `running` tasks whose lease has expired. The highest priority is claimed first, then the earliest due time, then
	 * the order of adding. A task that was still running has crashed: the claim increases `attempts` and `crashes` by
	 * one. Tasks whose retention has ended are removed, at least as many as are settled.
	 *
	 * Concurrent turns never claim the same task. The cost depends neither on the number of waiting tasks nor on tasks
	 * of other kinds: O((n + kinds) log N).
	 *
	 * A store that cannot do everything in one commit makes several: the settlements first, each of them atomic.
	 */
	turn(basket: string, turn: Turn): Promise<TurnResult>;

	/**
	 * Settles a claim as done inside the caller's transaction, and promotes the next task of its lane there.
	 *
	 * @returns `false` if the claim was lost; then nothing was done. If a transaction is only a list of changes, a
	 * lost claim makes its commit fail instead.
	 */
	complete(basket: string, ref: Ref, done: Done, tx: Tx): Promise<boolean>;

	/**
	 * Extends leases: they end `lease` milliseconds from now. Returns `"lost"` if the claim is no longer current (it
	 * ended, another worker has claimed the task, the task was deleted), and `"posted"` if the lease was extended and
	 * the inbox is not empty. An expired lease is extended if nobody has claimed the task. O(n log N).
	 */
	extend(basket: string, refs: readonly Ref[], lease: number): Promise<readonly ("ok" | "lost" | "posted")[]>;

	/** Saves data of claims and adds their children, each one unless it is lost. Leases are not changed. O(n log N). */
	save(basket: string, saves: readonly Save[], tx?: Tx): Promise<readonly boolean[]>;

	/**
	 * Reads the logs of tasks: for each one, its entries in order. `undefined` if the task does not exist or its retention has
	 * ended, or if the claim is lost. O(n log N + entries).
	 */
	log(basket: string, reads: readonly LogRead[]): Promise<readonly (readonly LogEntry[] | undefined)[]>;

	/** Gets one task with its inbox. O(log N). */
	get(basket: string, id: string): Promise<(StoredTask & { readonly inbox: readonly Message[] }) | undefined>;

	/**
	 * Lists tasks in the order of their keys, which is the order of adding. The cost does not grow with `after`. With a
	 * `lane` that has ended tasks, or with a `prefix`, it may read all tasks of the lane or with the prefix. With a `parent`,
	 * it reads only children of this task; without one it leaves children out.
	 */
	list(basket: string, query: ListQuery): Promise<readonly StoredTask[]>;

	/** Counts the tasks in each state, with children. May take O(N). */
	counts(basket: string): Promise<Counts>;

	/**
	 * Removes tasks in any state. Returns which of them existed. A running task loses its claim. O(n log N).
	 *
	 * With `tx`, the tasks are removed if that transaction commits. If a transaction is only a list of changes, a task
	 * that does not exist makes its commit fail.
	 */
	delete(basket: string, ids: readonly string[], tx?: Tx): Promise<readonly boolean[]>;

	/**
	 * Applies a change to tasks. Returns which of them were changed. O(n log N).
	 *
	 * With `tx`, the tasks are changed if that transaction commits. If a transaction is only a list of changes, a task
	 * that cannot be changed makes its commit fail.
	 */
	change(basket: string, ids: readonly string[], change: Change, tx?: Tx): Promise<readonly boolean[]>;

	/**
	 * Pauses or resumes a kind with its variants, or all kinds (`undefined`): no turn claims a task of a paused kind, and `dueIn` ignores
	 * it. Running tasks continue. The pause lasts until it is undone, for all processes. A resume wakes watchers.
	 *
	 * @returns whether this changed anything
	 */
	pause(basket: string, kind: string | undefined, isPaused: boolean): Promise<boolean>;

	/** Returns what is paused. */
	pauses(basket: string): Promise<Pauses>;

	/**
	 * Ends backoffs early: each waiting task whose last settlement had a `backoff`, and which is due later than
	 * `within` milliseconds from now, becomes due at a random time before that. Other tasks, including blocked ones,
	 * are not changed.
	 *
	 * @returns the number of changed tasks. O(that number), or O(N) if such tasks cannot be found directly.
	 */
	hasten(basket: string, within: number): Promise<number>;

	/**
	 * Adds a message to the inbox of a task. A waiting task becomes due at once: its due time is that at which it was added, so
	 * that it goes before those that were added later, such as its children.
	 *
	 * @returns `false`, and does nothing, if the task is dead, done or missing
	 */
	post(basket: string, id: string, data: Data): Promise<boolean>;

	/**
	 * Calls `wake` when tasks of the basket may have become due because of other code, in this process or another, or
	 * because of a transaction of the caller. It is only a hint: it may come too often, and occasionally not at all. A
	 * watcher costs at most one timer. The member is absent if the store cannot detect changes.
	 *
	 * `wake("claims")` means that a running task may have been deleted, or a message posted to it. Holders of claims
	 * then call `extend`; without this hint, they find out at the next renewal of their leases. A store that cannot
	 * detect this documents it. Use this hint for nothing else: each one costs all workers a call.
	 *
	 * @param onError called with errors of the watch, which continues
	 * @returns a function that ends the watch
	 */
	watch?(basket: string, wake: (reason?: WakeReason) => void, onError: (error: unknown) => void): () => void;

	/** Closes what the store itself has opened. No member is called afterwards. Absent if the store opens nothing. */
	close?(): Promise<void>;
}
