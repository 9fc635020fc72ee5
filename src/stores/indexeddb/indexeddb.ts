/**
 * Stores the tasks of baskets in IndexedDB, which pages, tabs, workers and service workers of one origin share.
 *
 * With a name, the store opens its own database. With your own database, tasks can be added and completed in the same
 * transaction as your data. Use `memoryStore` if nothing must outlive the page.
 *
 * @module
 */

import type { Store } from "../../basket/store.ts";
import { check, checkMethods, checkWord } from "../../platform/check.ts";
import { checkClock, type Clock } from "../../platform/clock.ts";
import { PlainStore } from "../../records/records.ts";
import { type Connection, givenConnection, NamedConnection } from "./connection.ts";
import { IndexedDBSpace } from "./space.ts";

export { type FallbackOptions, withFallback } from "./fallback.ts";
export { indexedDBStoreNames, upgradeIndexedDB } from "./schema.ts";

/** Options for {@link indexedDBStore}. */
export interface IndexedDBStoreOptions {
	/**
	 * When a commit counts as durable: `"strict"` when it is on the disk; `"relaxed"` when the operating system has
	 * it, so that it survives a crash of the tab or the browser, but perhaps not a power failure. @default "strict"
	 */
	durability?: "strict" | "relaxed" | undefined;
	/** The clock to use. @default systemClock */
	clock?: Clock | undefined;
}

/**
 * A store in IndexedDB.
 *
 * **With a name**, the store creates, opens and owns a database of that name. It closes the connection when another
 * tab upgrades or deletes the database, and while the page is in the back/forward cache; the browser can also close
 * it. The next use reopens the database, and creates an empty one if it was deleted.
 *
 * **With a database of yours** (see {@link upgradeIndexedDB}) pass `add`, `save`, `complete`, `delete` and `change` a
 * transaction over {@link indexedDBStoreNames} and your own object stores: both are committed together. The transaction belongs to
 * you. Promises of the store inside it resolve while the transaction is active, so you can continue to use it after
 * an `await`. Await nothing else in it, because IndexedDB commits a transaction without pending requests. When you
 * close the connection, calls reject with a `StoreError` whose code is `"closed"`.
 *
 * Other tabs are woken through a `BroadcastChannel`. When a tab was closed or has crashed, or its page entered the
 * back/forward cache, its Web Lock is released, and other tabs take over its tasks at once, before its leases expire.
 * A frozen tab keeps its lock, and pages without a secure context have no locks: their tasks are taken over when the
 * leases expire.
 *
 * If the disk or the quota is full, adding rejects with a `StoreError` whose code is `"full"`, and stored tasks are
 * processed in smaller steps. For this, a store that has added a megabyte keeps 4 MB in reserve, which it then
 * releases. It writes the reserve a second later, or at once when it has added 8 MB. With your own transaction, the commit itself may fail because no space is left: then `tx.error` is the
 * browser's own error.
 *
 * Where the browser has no storage for the page, `open()` rejects with a `StoreError` whose code is `"unavailable"`
 * or `"full"`: {@link withFallback} puts another store in its place then.
 *
 * A browser may delete stored data when space is short, and Safari does after seven days without a visit: call
 * `navigator.storage.persist()`.
 *
 * @param database the name of a database, or an open connection to your own
 * @param options see {@link IndexedDBStoreOptions}
 * @throws {TypeError | RangeError} for arguments of the wrong type or out of range
 *
 * @example
 * ```ts browser
 * import assert from "node:assert/strict";
 * import { indexedDBStore } from "upkeep/stores/indexeddb";
 *
 * const store = indexedDBStore("outbox");
 * await store.open();
 * const task = { kind: "sendMail", payload: '{"to":"you"}', delay: 0, priority: 0 };
 * await store.add("mails", [task]); // now it is on the disk
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
	return givenConnection(checkMethods("database", database, "transaction"));
}
