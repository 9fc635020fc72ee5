/**
 * A store for baskets in the IndexedDB of a browser: pages, tabs, workers and service workers of one origin share it.
 *
 * Give it a name, and it keeps a database of its own; give it your own database, and tasks are added and completed in the
 * same transaction as your data. Where nothing needs to outlive the page use `memoryStore`.
 *
 * @module
 */

import type { Store } from "../../basket/store.ts";
import { check, checkWord } from "../../platform/check.ts";
import { checkClock, type Clock } from "../../platform/clock.ts";
import { PlainStore } from "../../records/records.ts";
import { type Connection, givenConnection, NamedConnection } from "./connection.ts";
import { IndexedDBSpace } from "./space.ts";

export { type FallbackOptions, withFallback } from "./fallback.ts";
export { indexedDBStoreNames, upgradeIndexedDB } from "./schema.ts";

/** Options for {@link indexedDBStore}. */
export interface IndexedDBStoreOptions {
	/**
	 * When a commit counts as made: `"strict"` once it is on the disk, `"relaxed"` once the operating system has it, so that
	 * it outlives a crash of the tab and of the browser, but perhaps not a power failure. @default "strict"
	 */
	durability?: "strict" | "relaxed" | undefined;
	/** The clock to use. @default systemClock */
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
 * Where the browser has no storage for the page, `open()` rejects with a `StoreError` whose code is `"unavailable"` or `"full"`:
 * {@link withFallback} puts another store in its place then.
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
	const { durability = "strict" } = check("options", options, "object");
	checkWord("durability", durability, ["strict", "relaxed"]);
	const clock = checkClock(options.clock);
	return new PlainStore(new IndexedDBSpace(toConnection(database, clock), durability, clock));
}

function toConnection(database: string | IDBDatabase, clock: Clock): Connection {
	if (typeof database === "string") return new NamedConnection(database, clock);
	check("database.transaction", check("database", database, "object").transaction, "function");
	return givenConnection(database);
}
