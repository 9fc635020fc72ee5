/**
 * Stores the tasks of baskets in Deno KV.
 *
 * Use {@link denoKvStore} if `Deno.Kv` is the available database. For many tasks on one machine use
 * `upkeep/stores/sqlite`, which is several times faster.
 *
 * @module
 */

import type { Store } from "../../basket/store.ts";
import { check, checkLimit } from "../../platform/check.ts";
import { checkClock, type Clock } from "../../platform/clock.ts";
import { Resource } from "../../platform/resource.ts";
import { overMap, recordStore } from "../../records/records.ts";
import { type DenoKv, type DenoKvEntry, type DenoKvKeyPart, type DenoKvOperation, toStoreError } from "./database.ts";
import { DenoKvMap } from "./map.ts";
import { Schema } from "./schema.ts";

export type { DenoKv, DenoKvEntry, DenoKvKeyPart, DenoKvOperation };

/** Options for {@link denoKvStore}. */
export interface DenoKvStoreOptions {
	/** The prefix of all its keys. @default ["upkeep"] */
	prefix?: readonly DenoKvKeyPart[] | undefined;
	/**
	 * The interval between checks for changes by other processes, in milliseconds: a database in a local file notifies
	 * only its own process. Use `Infinity` for Deno Deploy and KV Connect, which notify all processes. @default 500
	 */
	pollInterval?: number | undefined;
	/** The clock to use; only its wall clock is stored. @default systemClock */
	clock?: Clock | undefined;
}

/** A {@link Store} in Deno KV. */
export interface DenoKvStore<Tx extends DenoKvOperation = DenoKvOperation> extends Store<Tx> {
	/**
	 * Closes the database if the store has opened it with the given function. A basket that still runs ends with a
	 * `StoreError` with the code `closed`. Does nothing if an open database was passed.
	 */
	close(): Promise<void>;
}

/**
 * Creates a {@link Store} over a `Deno.Kv`.
 *
 * An open database belongs to the caller, and the store does not close it. A function that opens one is called when
 * the store is first opened, and again by the next `open()` if it fails. `close()` closes the database that the
 * function has opened. So a basket can be created before anything is awaited: `denoKvStore(() => Deno.openKv())`.
 *
 * With `tx`, an `AtomicOperation`, a call appends its checks and changes; await it before `commit()`. If an id is in
 * use that the task does not replace, a task to delete or to change is not there, a claim is lost, or another process
 * changes the same task or lane meanwhile, the commit resolves with `{ ok: false }`, as it does for the caller's own checks. Extending a claim also changes its task, so you may have
 * to repeat a commit.
 *
 * The limits: 49 tasks and 650,000 bytes of payloads in one `add`; 65,000 bytes for a payload, a message or an entry
 * of a log, and 260,000 for all entries that are appended together; 1,000 bytes for a name (500 for the name of a basket, 1,250 for a kind and a limit
 * key together); 500 unseen messages of a task; 16,000 characters of progress. Data over a limit is refused with a RangeError; in a call with several `save`s, only those over the limit are refused. A
 * settlement with a payload, a result or entries over the limit makes its task dead. The log of a task that is gone is
 * removed in parts, by later turns. Errors are shortened to 8,000 characters.
 *
 * @param kv an open database, of `Deno.openKv` (`--unstable-kv`) or of `@deno/kv`, or a function that opens one
 * @param options the key prefix, the polling interval and the clock
 * @throws {TypeError | RangeError} for arguments of the wrong type or out of range
 *
 * @example
 * ```ts deno
 * import assert from "node:assert/strict";
 * import { denoKvStore } from "upkeep/stores/deno-kv";
 *
 * const kv = await Deno.openKv(":memory:");
 * const store = denoKvStore(kv);
 * await store.open();
 * const tx = kv.atomic().set(["orders", 1], "paid");
 * await store.add("mails", [{ kind: "receipt", payload: "1", delay: 0, priority: 0 }], tx);
 * assert.equal((await tx.commit()).ok, true);
 *
 * const { claims } = await store.turn("mails", { settle: [], claim: [{ kinds: ["receipt"], limit: 10 }], lease: 30_000 });
 * assert.equal(claims[0]?.payload, "1");
 * kv.close();
 * ```
 */
export function denoKvStore<Tx extends DenoKvOperation>(
	kv: DenoKv<Tx> | (() => DenoKv<Tx> | PromiseLike<DenoKv<Tx>>),
	options: DenoKvStoreOptions = {},
): DenoKvStore<Tx> {
	const database = resourceOf(kv);
	const { prefix = ["upkeep"], pollInterval = 500, clock } = check("options", options, "object");
	check("prefix", prefix, "object", Array.isArray(prefix), "an array");
	const terms = { pollInterval: checkLimit("pollInterval", pollInterval), clock: checkClock(clock) };
	const parts = { kv: database, prefix, schema: new Schema(database, prefix) };
	return recordStore(overMap(new DenoKvMap<Tx>(parts, terms))) as DenoKvStore<Tx>;
}

function resourceOf(kv: DenoKv | (() => DenoKv | PromiseLike<DenoKv>)): Resource<DenoKv> {
	if (typeof kv !== "function") {
		checkDatabase("kv", kv);
		return new Resource(kv);
	}
	return new Resource<DenoKv>(undefined, {
		open: kv,
		use(opened) {
			checkDatabase("kv()", opened);
			check("kv().close", opened.close, "function");
		},
		explain: toStoreError,
		end: (opened) => opened.close!(),
	});
}

function checkDatabase(name: string, kv: DenoKv): void {
	check(`${name}.atomic`, check(name, kv, "object").atomic, "function");
}
