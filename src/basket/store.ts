/**
 * The hook between a basket and whatever keeps its tasks: memory, IndexedDB, SQLite, Deno KV, Postgres.
 *
 * A store is the truth, a process is a cache of it: everything that must hold between processes (who may run a task, in
 * which order, exactly once in the lane) is decided here, in one atomic step each. To write one, read this file and make
 * `testStore` of `upkeep/testing` pass.
 *
 * What a task goes through in a store:
 *
 * ```text
 *             add ──► blocked ──(the head of its lane is gone)──► waiting
 *             add ─────────────────────────────────────────────► waiting
 *   waiting ─(turn: claim)─► running ─(done)──► removed, or kept as done until its time is over
 *   running ─(retry, later, release)─► waiting          running ─(dead)─► dead ─(change: retry)─► waiting, at the end
 *   running ─(its lease ends, turn: claim)─► running, under a new token, `crashes` and `attempts` one higher
 *   waiting, blocked ⇄ (change: hold, release) ⇄ held   running ─(change: hold, then retry, later or release)─► held
 * ```
 *
 * `blocked` is the store's own: outside it is a form of `waiting`.
 *
 * - **Lanes.** Of the tasks of one lane that are not dead or done, the one that was added first is the *head*; only the
 *   head may be `waiting`, `running` or `held`, the others are `blocked`. When the head goes (done, dead, deleted), the next
 *   one takes its place in the same commit. Blocked tasks must cost a claim nothing: 100,000 of them in one lane are normal.
 * - **Time.** Callers pass durations in milliseconds. The store has the clock, and stores instants of it.
 * - **Fencing.** Each claim has a token that was never used before and never will be. Whatever a worker writes about a
 *   task names the token; if that is not the task's current one, or the task is not running, nothing is written.
 * - **Failures.** A member that rejects has changed nothing, except that a commit whose answer was lost may have been
 *   made: all members may safely be called again with the same arguments, `add` without an id excepted. Stores reject with
 *   a `StoreError`, whose code says whether waiting may help.
 * - **Time limits.** A basket gives up a call that has not been answered within a third of its lease, and makes another one; what
 *   the first one came to is unknown until its answer comes. A time limit of the store's own should be shorter, and include
 *   the wait for a connection. An error that is no `StoreError` is taken for a mistake in a program: after five of them `run`
 *   and `drain` reject.
 * - **Kept tasks.** A done task whose time is over is absent for every member from that moment, whether or not a turn has
 *   removed it yet: its id can be added again.
 * - **Damage.** A record that cannot be read must neither fail a batch nor be claimed for ever: it is made dead, with an
 *   error that says so.
 *
 * @module
 */

/** A payload as the codec made it. A store gives back exactly what it was given: text as text, bytes as bytes. */
export type Data = string | Uint8Array;

/**
 * - `"waiting"`: for its time, for a worker, for its turn in its lane;
 * - `"running"`: claimed by a worker;
 * - `"held"`: kept from the workers until it is released;
 * - `"dead"`: out of attempts, or not readable; kept aside until it is retried or deleted;
 * - `"done"`: succeeded, kept for a while.
 */
export type TaskState = "waiting" | "running" | "held" | "dead" | "done";

/** Each {@link TaskState}. */
export const taskStates: readonly TaskState[] = ["waiting", "running", "held", "dead", "done"];

/** What a store can do, as data. */
export interface StoreCapabilities {
	/** Whether tasks outlive the process. */
	readonly durable: boolean;
	/** Whether several processes or tabs can have it open at once. */
	readonly shared: boolean;
	/** Whether `add`, `save` and `complete` take a transaction of the caller. */
	readonly tx: boolean;
	/** Whose clock it is: of the machine, so that several machines would have to agree, or of a server. */
	readonly clock: "machine" | "server";
	/** The largest payload, in bytes of UTF-8 or of the array itself; absent: no limit of its own. */
	readonly maxPayload?: number | undefined;
	/** The most tasks that one `add` takes; absent: no limit of its own. Larger batches elsewhere are split by the store. */
	readonly maxAdd?: number | undefined;
	/** The most bytes that the payloads of one `add` may have together; absent: no limit of its own. */
	readonly maxAddBytes?: number | undefined;
}

/** A task to be stored. The caller has checked it. */
export interface NewTask {
	/** Unique in its basket as long as the task is stored. Absent: the store makes one, which begins with `_`; callers' never do. */
	readonly id?: string | undefined;
	/** Which function is to run it. */
	readonly kind: string;
	/** What it is to be given. */
	readonly payload: Data;
	/** How long it must not run, in milliseconds: 0 or more, finite. */
	readonly delay: number;
	/** Claimed before all that have a lower one: a whole number from -100 to 100. */
	readonly priority: number;
	/** The lane that it stands in. */
	readonly lane?: string | undefined;
}

/** What became of a {@link NewTask}. */
export interface Added {
	/** Its id, given or made. */
	readonly id: string;
	/** `false` if there was a task with this id already, in whatever state; that is left as it is. */
	readonly added: boolean;
	/**
	 * What the task with this id was doing when this one came. Absent if there was none, or where a transaction that is only a
	 * list of changes cannot tell.
	 */
	readonly state?: TaskState | undefined;
}

/** Names a claim. A store may give more than this, and gets back the object that it gave. */
export interface Ref {
	/** The task. */
	readonly id: string;
	/** Proves that the claim is the task's current one. */
	readonly token: string;
	/** The task's lane, if it stands in one. */
	readonly lane?: string | undefined;
}

/** A task that was claimed. */
export interface Claim extends Ref {
	/** Which function is to run it. */
	readonly kind: string;
	/** What it is to be given. */
	readonly payload: Data;
	/** How many attempts have failed or crashed before this claim. */
	readonly attempts: number;
	/** How many claims in a row have ended without being settled, right before this one. */
	readonly crashes: number;
	/** Its priority. */
	readonly priority: number;
	/** What the last settlement with `retry` or `dead` left. */
	readonly error?: string | undefined;
	/** When it was added: milliseconds since 1970, on the store's clock. */
	readonly addedAt: number;
	/** How long ago that was, in milliseconds, on the store's clock. */
	readonly age: number;
	/** What was posted to it, and not taken away since, oldest first. */
	readonly inbox: readonly Message[];
}

/** What was posted to a task. */
export interface Message {
	/** The how-manieth message to this task it is: 1, 2, 3 … Never used again for this task. */
	readonly n: number;
	/** As it was posted. */
	readonly data: Data;
}

/** It has succeeded. */
export interface Done {
	/** Discriminates an {@link Outcome}. */
	readonly type: "done";
	/** How long the task is kept as `"done"`, with its id, in milliseconds. Absent or 0: it is removed. */
	readonly retain?: number | undefined;
	/** The payload that is kept. Absent: as it was. */
	readonly payload?: Data | undefined;
}

/**
 * How a claim ends. A payload that is absent stays as it was.
 *
 * - `done`: see {@link Done};
 * - `retry`: a failed attempt, due again after `delay`. `attempts` and `error` are stored, `crashes` becomes 0. With
 *   `backoff` the delay is one, which `hasten` may end; with `hold` the task is held from then on;
 * - `later`: no failure; due again after `delay`, or only when something is posted to it (`null`), or at once if its inbox
 *   has a message with a number above `seen`. Messages up to `seen` are removed. `attempts` and `crashes` become 0.
 *   `backoff` as with `retry`;
 * - `dead`: kept aside. `attempts` and `error` are stored;
 * - `release`: no attempt and no crash; due at once. What the claim itself counted, because the one before it had crashed,
 *   stays.
 */
export type Outcome =
	| Done
	| {
		readonly type: "retry";
		readonly delay: number;
		readonly attempts: number;
		readonly error: string;
		readonly payload?: Data | undefined;
		readonly backoff?: boolean | undefined;
		readonly hold?: boolean | undefined;
	}
	| {
		readonly type: "later";
		readonly delay: number | null;
		readonly seen: number;
		readonly payload?: Data | undefined;
		readonly backoff?: boolean | undefined;
	}
	| {
		readonly type: "dead";
		readonly attempts: number;
		readonly error: string;
		readonly payload?: Data | undefined;
	}
	| { readonly type: "release"; readonly payload?: Data | undefined };

/** The end of one claim. */
export interface Settlement {
	/** The claim. */
	readonly ref: Ref;
	/** How it ends. */
	readonly outcome: Outcome;
}

/** Tasks that a worker wants. */
export interface ClaimRequest {
	/** Only of these kinds, at least one. */
	readonly kinds: readonly string[];
	/** At most this many, 1 or more. */
	readonly limit: number;
}

/** What a worker has to say, and what it wants, in one commit. */
export interface Turn {
	/** Claims that have ended. Never the same claim twice. */
	readonly settle: readonly Settlement[];
	/** Served one after the other, after all settlements. May be empty. */
	readonly claim: readonly ClaimRequest[];
	/** How long the new claims hold unless they are extended, in milliseconds: more than 0, finite. */
	readonly lease: number;
}

/** What a {@link Turn} came to. */
export interface TurnResult {
	/** For each settlement whether it was written; `false` if the claim was lost. */
	readonly settled: readonly boolean[];
	/** In the order in which they should be run. */
	readonly claims: readonly Claim[];
	/**
	 * How long until a task of one of the kinds asked for is due, or the lease of a running one ends, in milliseconds; 0 if one
	 * is due already and was over the limit, `Infinity` if there is none. Of no meaning where nothing was asked for.
	 */
	readonly dueIn: number;
}

/** What is known of a task. */
export interface StoredTask {
	/** Where it stands among all tasks of the basket: for {@link ListQuery.after}. */
	readonly key: string;
	/** Its id. */
	readonly id: string;
	/** Which function is to run it. */
	readonly kind: string;
	/** What that is to be given. */
	readonly payload: Data;
	/** What it is doing. */
	readonly state: TaskState;
	/** How many attempts have failed or crashed. */
	readonly attempts: number;
	/** How many claims in a row have ended without being settled. */
	readonly crashes: number;
	/** What the last settlement with `retry` or `dead` left. */
	readonly error?: string | undefined;
	/** What was saved as its progress last. */
	readonly progress?: string | undefined;
	/**
	 * Milliseconds since 1970 on the store's clock: when it is due, for a running one when its lease ends, for a done one when
	 * it will be removed. Absent if only a message will make it due, and for a dead one.
	 */
	readonly dueAt?: number | undefined;
	/** When it was added: milliseconds since 1970. */
	readonly addedAt: number;
	/** Its priority. */
	readonly priority: number;
	/** Its lane. */
	readonly lane?: string | undefined;
}

/** Which tasks to list. */
export interface ListQuery {
	/** Only those in this state. */
	readonly state?: TaskState | undefined;
	/** Only those of this kind. */
	readonly kind?: string | undefined;
	/**
	 * Only those behind this {@link StoredTask.key}, of a task that need not be there any more. A text that no key of this store
	 * looks like is a RangeError.
	 */
	readonly after?: string | undefined;
	/** At most this many, 1 or more. */
	readonly limit: number;
}

/** How many tasks are in each state. */
export type Counts = { readonly [State in TaskState]: number };

/** What a claim wants to be remembered before it ends. What is absent stays as it was. */
export interface Save {
	/** The claim. */
	readonly ref: Ref;
	/** The new payload. */
	readonly payload?: Data | undefined;
	/** For people who look at the task. */
	readonly progress?: string | undefined;
	/** Messages up to this number are removed. */
	readonly seen?: number | undefined;
}

/**
 * - `"retry"`: a dead task begins anew, as if added now with its id, lane and priority: without attempts or crashes, and
 *   behind all others. A waiting one, blocked or not, is due at once. No other is changed;
 * - `"hold"`: keeps a waiting task from being claimed, and a running one from being claimed again; it stays in its lane, as
 *   the head if it is;
 * - `"release"`: undoes a hold.
 */
export type Change = "retry" | "hold" | "release";

/** What {@link Store.watch} can say beyond that tasks may be due: that a running one may have been deleted or posted to. */
export type WakeReason = "claims";

/**
 * Keeps the tasks of any number of baskets, which are told apart by name.
 *
 * Every member is atomic, and may be called at any time by any number of callers. `n` is the number of tasks in the call
 * and `N` the number stored.
 *
 * @typeParam Tx the caller's own transaction
 */
export interface Store<Tx = unknown> {
	/** What it can do. The same object for ever. */
	readonly capabilities: StoreCapabilities;

	/**
	 * Makes the schema, or migrates an older one; called before anything else, by each basket, and harmless then.
	 * Rejects with `newer-schema` if the database was written by a later version, and changes nothing in it.
	 */
	open(): Promise<void>;

	/**
	 * Stores tasks, all or none, and resolves when they are durable. Their order is the order of the array, behind all
	 * that were there. Of two with the same id in one call the first is added. O(n log N).
	 *
	 * With `tx` it happens inside that transaction: what has to be asked of the database is asked before this returns, so
	 * that a transaction that commits on its own is still open; the tasks are there once it commits, and never were if it
	 * does not, and a lane that was added to is held until then. Nobody is woken before that. Where a transaction is only a
	 * list of changes (Deno KV), an id in use makes its commit fail instead, and `added` is `true`.
	 */
	add(basket: string, tasks: readonly NewTask[], tx?: Tx): Promise<readonly Added[]>;

	/**
	 * Ends claims, lets the next ones of their lanes move up, and claims what is due: `waiting` and due, or `running` with a
	 * lease that is over. Highest priority first, then earliest due, then in the order added. A task that was still running
	 * has crashed: `attempts` and `crashes` go up by one with the claim. Tasks that were kept as done and whose time is over
	 * are removed, at least as many as are settled.
	 *
	 * Two turns at the same time never claim the same task. What one claims depends neither on the number of tasks that wait
	 * nor on those of other kinds: O((n + kinds) log N).
	 *
	 * A store that cannot put everything into one commit makes several: the settlements first, each of them atomic.
	 */
	turn(basket: string, turn: Turn): Promise<TurnResult>;

	/**
	 * Ends a claim as done inside the caller's transaction, and lets the next one of its lane move up there.
	 *
	 * @returns `false` if the claim was lost: then nothing was done. Where a transaction is only a list of changes, a lost
	 * claim makes its commit fail instead.
	 */
	complete(basket: string, ref: Ref, done: Done, tx: Tx): Promise<boolean>;

	/**
	 * Makes leases end `lease` milliseconds from now. `"lost"` if the claim is not the current one any more (it ended, it
	 * was claimed by somebody else, the task was deleted); `"posted"` if it was extended and its inbox is not empty. A lease
	 * that is over, but was claimed by nobody, is extended. O(n log N).
	 */
	extend(basket: string, refs: readonly Ref[], lease: number): Promise<readonly ("ok" | "lost" | "posted")[]>;

	/** Stores what claims want to be remembered, each if it is not lost; their leases stay as they are. O(n log N). */
	save(basket: string, saves: readonly Save[], tx?: Tx): Promise<readonly boolean[]>;

	/** One task and its inbox. O(log N). */
	get(basket: string, id: string): Promise<(StoredTask & { readonly inbox: readonly Message[] }) | undefined>;

	/** Tasks in the order of their keys, which is the order in which they were added. Does not slow down as `after` grows. */
	list(basket: string, query: ListQuery): Promise<readonly StoredTask[]>;

	/** How many there are. May take O(N). */
	counts(basket: string): Promise<Counts>;

	/** Removes tasks in any state; says which were there. A running one loses its claim. O(n log N). */
	delete(basket: string, ids: readonly string[]): Promise<readonly boolean[]>;

	/** Changes what tasks wait for; says to which of them that applied. O(n log N). */
	change(basket: string, ids: readonly string[], change: Change): Promise<readonly boolean[]>;

	/**
	 * Ends backoffs early: each waiting task whose last settlement had a `backoff`, and which is due later than
	 * `within` milliseconds from now, becomes due at a random moment before that. Others, blocked ones too, are left alone.
	 *
	 * @returns how many. O(how many), or O(N) where they cannot be told apart.
	 */
	hasten(basket: string, within: number): Promise<number>;

	/**
	 * Puts a message into the inbox of a task. A waiting one is due at once.
	 *
	 * @returns `false`, and does nothing, for a task that is dead, done or not there
	 */
	post(basket: string, id: string, data: Data): Promise<boolean>;

	/**
	 * Calls `wake` when tasks of the basket may have become due by somebody else's doing, in this process or another, or by a
	 * transaction of the caller. Only a hint: it may come too often, and now and then not at all. Whoever watches costs one
	 * timer at most. Absent where nobody can know.
	 *
	 * `wake("claims")` says more: a task that is running may have been deleted or posted to. Whoever has claims asks about them
	 * then, by `extend`; without that hint, with the next renewal of their leases. A store that cannot know says so in its
	 * documentation. Nothing else brings this hint: each one costs all workers a call.
	 *
	 * @param onError told what goes wrong in the watching, which goes on
	 * @returns ends the watching
	 */
	watch?(basket: string, wake: (reason?: WakeReason) => void, onError: (error: unknown) => void): () => void;

	/** Gives back what the store itself has opened; nothing else is called after it. Absent if that is nothing. */
	close?(): Promise<void>;
}
