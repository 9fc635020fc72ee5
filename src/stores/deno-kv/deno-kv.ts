/**
 * Keeps the tasks of baskets in Deno KV.
 *
 * Use {@link denoKvStore} where `Deno.Kv` is the database at hand; use `upkeep/stores/sqlite` for many tasks on one machine,
 * which is several times faster.
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

/** What a {@link denoKvStore} can be told. */
export interface DenoKvStoreOptions {
	/** What all its keys begin with. @default ["upkeep"] */
	prefix?: readonly DenoKvKeyPart[] | undefined;
	/**
	 * How often it looks, in milliseconds, whether another process has made something due: a database in a local file tells
	 * only its own process. `Infinity` for Deno Deploy and KV Connect, which tell everybody. @default 500
	 */
	pollInterval?: number | undefined;
	/** Whose time it is; only the wall clock is stored. @default systemClock */
	clock?: Clock | undefined;
}

/** A {@link Store} in Deno KV. */
export interface DenoKvStore<Tx extends DenoKvOperation = DenoKvOperation> extends Store<Tx> {
	/**
	 * Closes the database that the store has opened by the function that it was given; a basket that still runs ends with a
	 * `StoreError` with the code `closed`. Does nothing if the store was given an open database.
	 */
	close(): Promise<void>;
}

/**
 * Makes a {@link Store} of a `Deno.Kv`.
 *
 * An open database stays the caller's, and is not closed. A function that opens one is called when the store is opened for the
 * first time, and again by the next `open()` if it fails; what it opens the store closes in `close()`. So a basket can be
 * made before anything is awaited: `denoKvStore(() => Deno.openKv())`.
 *
 * With `tx`, an `AtomicOperation`, a call appends its checks and changes; await it before `commit()`. If an id is in use, a
 * claim is lost, or somebody else changes the same task or lane meanwhile, the commit comes to `{ ok: false }`, as it does for
 * the caller's own checks. Extending a claim changes its task, too, so that a commit may have to be tried again.
 *
 * What limits it: 49 tasks and 650,000 bytes of payloads in one `add`, payloads and messages of 65,000 bytes, names of 1,000
 * bytes (of a basket: 500), 500 messages that a task has not seen, progress of 16,000 characters. What is over a limit is refused with a
 * RangeError; of several `save`s in one call only those are. A settlement with a payload over the limit makes its task dead.
 * Errors are cut at 8,000 characters.
 *
 * @param kv an open database, of `Deno.openKv` (`--unstable-kv`) or of `@deno/kv`, or a function that opens one
 * @param options where in the database, and whose time
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
