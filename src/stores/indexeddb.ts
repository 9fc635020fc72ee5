/**
 * A store for baskets in the IndexedDB of a browser: pages, tabs, workers and service workers of one origin share it.
 *
 * Give it a name, and it keeps a database of its own; give it your own database, and tasks are added and completed in the
 * same transaction as your data. Where nothing needs to outlive the page use `memoryStore`.
 *
 * @module
 */

import type {
	Added,
	Change,
	ClaimRequest,
	Counts,
	Data,
	Done,
	ListQuery,
	Message,
	NewTask,
	Ref,
	Save,
	Settlement,
	Store,
	StoreCapabilities,
	StoredTask,
	Turn,
	TurnResult,
	WakeReason,
} from "../basket/store.ts";
import { check, checkFunction, checkWord } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import type { OnError } from "../platform/observe.ts";
import { StoreError } from "../platform/store-error.ts";
import { type Connection, GivenConnection, NamedConnection } from "./indexeddb/connection.ts";
import { withFallback } from "./indexeddb/fallback.ts";
import { isLost, toStoreError } from "./indexeddb/request.ts";
import { indexedDBStoreNames } from "./indexeddb/schema.ts";
import { Owners } from "./indexeddb/owners.ts";
import { Reserve } from "./indexeddb/reserve.ts";
import { Session } from "./indexeddb/session.ts";
import { add, change, counts, get, hasten, list, post, remove } from "./indexeddb/tasks.ts";
import { checkTransaction, join, transact } from "./indexeddb/transact.ts";
import { complete, expire, extend, findOwners, save, turn } from "./indexeddb/turn.ts";
import { Wakes } from "./indexeddb/wakes.ts";

/** How often to look for claims of others while there is something else to do, in milliseconds. */
const lookInterval = 1_000;

export { indexedDBStoreNames, upgradeIndexedDB } from "./indexeddb/schema.ts";

/** What {@link indexedDBStore} can be told. */
export interface IndexedDBStoreOptions {
	/**
	 * When a commit counts as made: `"strict"` once it is on the disk, `"relaxed"` once the operating system has it, so that
	 * it outlives a crash of the tab and of the browser, but perhaps not a power failure. @default "strict"
	 */
	durability?: "strict" | "relaxed" | undefined;
	/**
	 * Takes over if the browser has no storage for this page: in some private modes, in a sandboxed frame, with a full disk
	 * or without IndexedDB. Decided by the first `open()`; the tasks that were stored before stay where they are. Whatever
	 * is in it is gone with the page if it is a `memoryStore()`. Only with a name. @default none: `open()` rejects with a
	 * `StoreError` whose code is `"unavailable"` or `"full"`
	 */
	fallback?: Store<never> | undefined;
	/** Told why the fallback has taken over. */
	onFallback?: OnError | undefined;
	/** Whose time it is. @default systemClock */
	clock?: Clock | undefined;
}

/**
 * A store in IndexedDB.
 *
 * **With a name** it makes, opens and owns a database of that name. It lets go of the connection when another tab upgrades
 * or deletes the database, when the browser takes it away, and while the page is kept for its back button; the next use
 * opens it again, and makes an empty one if it was deleted.
 *
 * **With a database of yours** (see {@link upgradeIndexedDB}) give `add`, `save` and `complete` a transaction over
 * {@link indexedDBStoreNames} and your own object stores: both become true together. The transaction stays yours. A
 * promise of the store inside it resolves while the transaction is active, so that you may go on with it after an
 * `await`. Await nothing else in it: IndexedDB commits when nothing is asked of it. Once you close the connection, the
 * store rejects with a `StoreError` whose code is `"closed"`.
 *
 * Others are woken through a `BroadcastChannel`, and take over the tasks of a tab that was closed or has crashed as soon as
 * its Web Lock tells them, before its leases are over; also those of a page that is kept for its back button. A frozen tab
 * keeps its lock, and pages without a secure origin have none: there the leases decide.
 *
 * Once the disk or the quota is full, adding rejects with a `StoreError` whose code is `"full"`, and what is stored is worked
 * off in smaller steps. For that a store that has added a megabyte keeps 4 MB in reserve, which it gives up then. With a
 * transaction of yours the commit itself may fail for want of space: then `tx.error` is the browser's own error.
 *
 * `capabilities` are those of the store that is in use: with a `fallback`, `durable` is to be read after `open()`.
 *
 * A browser may delete what a page has stored when space is short, and Safari does after seven days without a visit: ask
 * for `navigator.storage.persist()`.
 *
 * @param database the name of a database, or an open connection to yours
 * @param options see {@link IndexedDBStoreOptions}
 * @throws {TypeError | RangeError} if an argument is not what it must be
 *
 * @example
 * ```ts browser
 * import assert from "node:assert/strict";
 * import { indexedDBStore } from "upkeep/stores/indexeddb";
 *
 * const store = indexedDBStore("outbox");
 * await store.open();
 * const task = { kind: "sendMail", payload: '{"to":"you"}', delay: 0, priority: 0 };
 * await store.add("mails", [task]); // it is on the disk now
 *
 * const request = { settle: [], claim: [{ kinds: ["sendMail"], limit: 10 }], lease: 30_000 };
 * const { claims: [claim] } = await store.turn("mails", request);
 * assert.equal(claim!.payload, '{"to":"you"}');
 * await store.turn("mails", { settle: [{ ref: claim!, outcome: { type: "done" } }], claim: [], lease: 30_000 });
 * assert.equal((await store.counts("mails")).running, 0);
 * ```
 */
export function indexedDBStore(
	database: string | IDBDatabase,
	options: IndexedDBStoreOptions = {},
): Store<IDBTransaction> {
	const { durability = "strict", fallback, onFallback } = check("options", options, "object");
	checkWord("durability", durability, ["strict", "relaxed"]);
	checkFunction("onFallback", onFallback);
	const clock = checkClock(options.clock);
	const store = new IndexedDBStore(toConnection(database, clock), durability, clock);
	if (fallback === undefined) return store;
	check("fallback.open", check("fallback", fallback, "object").open, "function");
	check("database", database as string, "string", true, "a name where there is a fallback");
	return withFallback(store, fallback as Store<unknown>, onFallback);
}

function toConnection(database: string | IDBDatabase, clock: Clock): Connection {
	if (typeof database === "string") return new NamedConnection(database, clock);
	check("database.transaction", check("database", database, "object").transaction, "function");
	return new GivenConnection(database);
}

class IndexedDBStore implements Store<IDBTransaction> {
	readonly capabilities: StoreCapabilities = { durable: true, shared: true, tx: true, clock: "machine" };
	readonly #connection: Connection;
	readonly #durability: IDBTransactionDurability;
	readonly #clock: Clock;
	readonly #wakes: Wakes;
	readonly #owners: Owners;
	readonly #reserve = new Reserve();
	/** How many tokens: with a mark that is nobody else's it makes each of them unique. */
	#made = 0;
	/** When somebody else's claims were looked for last. */
	#lookedAt = -Infinity;
	#isOpen = false;

	constructor(connection: Connection, durability: IDBTransactionDurability, clock: Clock) {
		this.#connection = connection;
		this.#durability = durability;
		this.#clock = clock;
		this.#wakes = new Wakes(connection.name);
		this.#owners = new Owners(connection.name);
	}

	async open(): Promise<void> {
		try {
			await this.#connection.database();
			this.#isOpen = true;
		} catch (error) {
			throw this.#errorOf(error);
		}
	}

	async add(basket: string, tasks: readonly NewTask[], tx?: IDBTransaction): Promise<readonly Added[]> {
		const added = await this.#run(basket, (session) => add(session, tasks), { tx, isGrowing: true });
		const size = tasks.reduce((sum, { payload }) => sum + payload.length, 0);
		// Nobody waits for it, and it may fail: it is only for worse times.
		if (this.#reserve.grown(size)) {
			this.#run(basket, (session) => this.#reserve.keep(session), { isGrowing: true }).catch(() => {});
		}
		return added;
	}

	async turn(basket: string, request: Turn): Promise<TurnResult> {
		try {
			return await this.#turn(basket, request);
		} catch (error) {
			if (!isFull(error)) throw error;
		}
		const { settle, claim, lease } = request;
		const settled: boolean[] = [];
		// What only removes something comes first: that is possible with a full disk, too.
		const isRemoval = ({ outcome }: Settlement) => outcome.type === "done" && !(outcome.keep! > 0);
		for (const isFirst of [true, false]) {
			for (const [index, settlement] of settle.entries()) {
				if (isRemoval(settlement) !== isFirst) continue;
				const one = await this.#turn(basket, { settle: [settlement], claim: [], lease });
				settled[index] = one.settled[0]!;
			}
		}
		return { ...await this.#claimFewer(basket, claim, lease), settled };
	}

	/** Halves what is wanted until it fits. */
	async #claimFewer(basket: string, requests: readonly ClaimRequest[], lease: number): Promise<TurnResult> {
		for (let most = requests.reduce((most, { limit }) => Math.max(most, limit), 1);; most = Math.ceil(most / 2)) {
			try {
				const claim = requests.map(({ kinds, limit }) => ({ kinds, limit: Math.min(limit, most) }));
				return await this.#turn(basket, { settle: [], claim, lease });
			} catch (error) {
				if (!isFull(error) || most === 1) throw error;
			}
		}
	}

	async #turn(basket: string, request: Turn): Promise<TurnResult> {
		if (request.claim.length === 0) return await this.#run(basket, (session) => turn(session, request, String));
		const mark = await this.#owners.mark();
		const makeToken = (seq: number) => `${seq}.${mark}.${++this.#made}`;
		const { others, ...result } = await this.#run(basket, async (session) => {
			const result = await turn(session, request, makeToken);
			return { ...result, others: await this.#othersOf(session, result) };
		});
		if (this.#wakes.has(basket)) this.#owners.await(basket, others, (owner) => this.#bereave(basket, owner));
		return result;
	}

	async complete(basket: string, ref: Ref, done: Done, tx: IDBTransaction): Promise<boolean> {
		return await this.#within(tx, basket, (session) => complete(session, ref, done));
	}

	async extend(basket: string, refs: readonly Ref[], lease: number): Promise<readonly ("ok" | "lost" | "posted")[]> {
		// A lease need not outlive a power failure, since nobody who holds one does.
		return await this.#run(basket, (session) => extend(session, refs, lease), { durability: "relaxed" });
	}

	async save(basket: string, saves: readonly Save[], tx?: IDBTransaction): Promise<readonly boolean[]> {
		return await this.#run(basket, (session) => save(session, saves), { tx });
	}

	async get(basket: string, id: string): Promise<(StoredTask & { readonly inbox: readonly Message[] }) | undefined> {
		return await this.#run(basket, (session) => get(session, id), { mode: "readonly" });
	}

	async list(basket: string, query: ListQuery): Promise<readonly StoredTask[]> {
		return await this.#run(basket, (session) => list(session, query), { mode: "readonly" });
	}

	async counts(basket: string): Promise<Counts> {
		return await this.#run(basket, counts, { mode: "readonly" });
	}

	async delete(basket: string, ids: readonly string[]): Promise<readonly boolean[]> {
		return await this.#run(basket, (session) => remove(session, ids));
	}

	async change(basket: string, ids: readonly string[], what: Change): Promise<readonly boolean[]> {
		return await this.#run(basket, (session) => change(session, ids, what));
	}

	async hasten(basket: string, within: number): Promise<number> {
		return await this.#run(basket, (session) => hasten(session, within), { durability: "relaxed" });
	}

	async post(basket: string, id: string, data: Data): Promise<boolean> {
		return await this.#run(basket, (session) => post(session, id, data));
	}

	watch(basket: string, wake: (reason?: WakeReason) => void, onError: (error: unknown) => void): () => void {
		const stop = this.#wakes.watch(basket, wake, onError);
		return () => {
			stop();
			if (!this.#wakes.has(basket)) this.#owners.forget(basket);
		};
	}

	async close(): Promise<void> {
		this.#wakes.end();
		this.#owners.leave();
		this.#connection.close();
	}

	/** Who holds claims; looked for when there is nothing else to do, and now and then. */
	async #othersOf(session: Session, { claims, dueIn }: TurnResult): Promise<readonly string[]> {
		const isIdle = claims.length === 0 || session.now - this.#lookedAt >= lookInterval;
		if (!isIdle || dueIn === 0 || dueIn === Infinity || !this.#wakes.has(session.basket)) return [];
		this.#lookedAt = session.now;
		return await findOwners(session);
	}

	/** The claims of one who has gone are free. */
	async #bereave(basket: string, owner: string): Promise<void> {
		try {
			await this.#run(basket, (session) => expire(session, owner), { durability: "relaxed" });
		} catch {
			// They will be, when their leases are over.
		}
	}

	async #run<T>(basket: string, body: (session: Session) => Promise<T>, options: RunOptions = {}): Promise<T> {
		if (options.tx !== undefined) return await this.#within(options.tx, basket, body);
		for (let tries = 3;; tries--) {
			let database: IDBDatabase | undefined;
			let isCommitting = false;
			try {
				database = await this.#connection.database();
				const { mode = "readwrite", durability = this.#durability } = options;
				const transaction = database.transaction(indexedDBStoreNames, mode, { durability });
				const session = new Session(transaction, basket, this.#clock.now());
				const value = await transact(transaction, session, body, () => isCommitting = true);
				if (session.wakes) this.#wakes.send(basket, session.reason);
				return value;
			} catch (error) {
				if (isFull(error) && !options.isGrowing && await this.#freeReserve(database!)) continue;
				// What may have been committed must not be done twice.
				const isUndone = database !== undefined && !isCommitting && isLost(error);
				if (!isUndone || !this.#connection.forget(database!) || tries === 1) throw this.#errorOf(error);
			}
		}
	}

	/** Whether there is some more space now. */
	async #freeReserve(database: IDBDatabase): Promise<boolean> {
		try {
			const transaction = database.transaction(indexedDBStoreNames, "readwrite");
			const session = new Session(transaction, "", this.#clock.now());
			return await transact(transaction, session, (session) => this.#reserve.free(session), () => {});
		} catch {
			return false;
		}
	}

	/** Inside a transaction of the caller. The first requests are made before this returns. */
	async #within<T>(tx: IDBTransaction, basket: string, body: (session: Session) => Promise<T>): Promise<T> {
		checkTransaction(tx, this.#connection.name);
		if (!this.#isOpen) throw new StoreError("not-open", "Await open() before you use the store in a transaction");
		try {
			return await join(tx, basket, this.#clock.now(), body, () => this.#wakes.send(basket));
		} catch (error) {
			throw this.#errorOf(error);
		}
	}

	#errorOf(error: unknown): unknown {
		const { name } = this.#connection;
		if (this.#connection instanceof GivenConnection && (error as Partial<Error>)?.name === "InvalidStateError") {
			const message = `The connection to the database "${name}" was closed: open another one, and make a store of it`;
			return new StoreError("closed", message, { cause: error });
		}
		return toStoreError(error, `The database "${name}"`);
	}
}

interface RunOptions {
	tx?: IDBTransaction | undefined;
	mode?: "readonly" | "readwrite";
	durability?: IDBTransactionDurability;
	/** It adds something: the reserve is not for that. */
	isGrowing?: boolean;
}

function isFull(error: unknown): boolean {
	return (error as Partial<Error> | undefined)?.name === "QuotaExceededError" ||
		error instanceof StoreError && error.code === "full";
}
