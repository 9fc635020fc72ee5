/**
 * Keeps the tasks of baskets in Deno KV.
 *
 * Use {@link denoKvStore} where `Deno.Kv` is the database at hand; use `upkeep/stores/sqlite` for many tasks on one machine,
 * which is several times faster.
 *
 * @module
 */

import type {
	Added,
	Change,
	Claim,
	Counts,
	Data,
	Done,
	ListQuery,
	Message,
	NewTask,
	Ref,
	Save,
	Store,
	StoreCapabilities,
	StoredTask,
	Turn,
	TurnResult,
	WakeReason,
} from "../basket/store.ts";
import { check, checkLimit } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import { claim } from "./deno-kv/claims.ts";
import { inCommits, inOneCommit } from "./deno-kv/commits.ts";
import type { DenoKv, DenoKvEntry, DenoKvKeyPart, DenoKvOperation } from "./deno-kv/database.ts";
import { findNext, readInbox } from "./deno-kv/claims.ts";
import { Draft } from "./deno-kv/draft.ts";
import {
	addTasks,
	changeTask,
	deleteTask,
	expireTask,
	extendClaim,
	findTask,
	hastenTask,
	postTo,
	readClaims,
	readEntries,
	readTasks,
	saveClaim,
	settleClaim,
} from "./deno-kv/members.ts";
import { checkData, checkSave, checkTasks, maxAdd, maxAddBytes } from "./deno-kv/limits.ts";
import { checkName, maxBasketName } from "./deno-kv/names.ts";
import { isPlace, Places } from "./deno-kv/places.ts";
import {
	isExpired,
	isRecord,
	maxPayload,
	readRecord,
	show,
	stateOf,
	taskKey,
	type TaskRecord,
	unpack,
} from "./deno-kv/record.ts";
import { Schema } from "./deno-kv/schema.ts";
import { type Range, Space } from "./deno-kv/space.ts";
import { watchBell } from "./deno-kv/watch.ts";

export type { DenoKv, DenoKvEntry, DenoKvKeyPart, DenoKvOperation };

/** What a {@link denoKvStore} can be told. */
export interface DenoKvStoreOptions {
	/** What all its keys begin with. @default ["upkeep"] */
	prefix?: readonly DenoKvKeyPart[] | undefined;
	/**
	 * How often it looks, in milliseconds, whether another process has made something due: a database in a local file tells
	 * only its own process. `Infinity` for Deno Deploy and KV Connect, which tell everybody. @default 500
	 */
	poll?: number | undefined;
	/** Whose time it is; only the wall clock is stored. @default systemClock */
	clock?: Clock | undefined;
}

/**
 * Makes a {@link Store} of a `Deno.Kv`. That stays the caller's, and is not closed.
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
 * @param kv an open database: of `Deno.openKv` (`--unstable-kv`), or of `@deno/kv`
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
export function denoKvStore<Tx extends DenoKvOperation>(kv: DenoKv<Tx>, options: DenoKvStoreOptions = {}): Store<Tx> {
	check("kv.atomic", check("kv", kv, "object").atomic, "function");
	const { prefix = ["upkeep"], poll = 500, clock } = check("options", options, "object");
	check("prefix", prefix, "object", Array.isArray(prefix), "an array");
	return new DenoKvStore(kv, prefix, checkLimit("poll", poll), checkClock(clock));
}

class DenoKvStore<Tx extends DenoKvOperation> implements Store<Tx> {
	readonly capabilities: StoreCapabilities = {
		durable: true,
		shared: true,
		tx: true,
		clock: "machine",
		maxPayload,
		maxAdd,
		maxAddBytes,
	};
	readonly #kv: DenoKv;
	readonly #prefix: readonly DenoKvKeyPart[];
	readonly #poll: number;
	readonly #clock: Clock;
	readonly #places: Places;
	readonly #schema: Schema;
	/** What was read and written in the transactions of callers, as long as they have them. */
	readonly #drafts = new WeakMap<Tx, Map<string, Draft>>();

	constructor(kv: DenoKv, prefix: readonly DenoKvKeyPart[], poll: number, clock: Clock) {
		this.#kv = kv;
		this.#prefix = prefix;
		this.#poll = poll;
		this.#clock = clock;
		this.#places = new Places(() => clock.now());
		this.#schema = new Schema(kv, prefix);
	}

	async open(): Promise<void> {
		await this.#schema.open();
	}

	async add(basket: string, tasks: readonly NewTask[], tx?: Tx): Promise<readonly Added[]> {
		const space = this.#space(basket);
		checkTasks(tasks, space.baseSize);
		const terms = { places: this.#places, now: this.#clock.now(), isBlind: tx !== undefined };
		if (tx !== undefined) return await this.#inTransaction(basket, tx, (draft) => addTasks(draft, tasks, terms));
		return await inOneCommit(space, (draft) => addTasks(draft, tasks, terms));
	}

	async turn(basket: string, { settle, claim: requests, lease }: Turn): Promise<TurnResult> {
		const space = this.#space(basket);
		const now = this.#clock.now();
		const settled = await inCommits(space, settle, readRefs, (draft, item) => settleClaim(draft, item, now));
		await this.#expire(space, settle.length + 10, now);
		const claims: Claim[] = [];
		const terms = { now, lease, nextToken: () => this.#places.next() };
		for (const request of requests) for (const one of await claim(space, request, terms)) claims.push(one);
		const dueAt = await findNext(space, [...new Set(requests.flatMap(({ kinds }) => kinds))], now);
		return { settled, claims, dueIn: Math.max(0, dueAt - now) };
	}

	async complete(basket: string, ref: Ref, done: Done, tx: Tx): Promise<boolean> {
		const now = this.#clock.now();
		return await this.#inTransaction(basket, tx, async (draft) => {
			return orFail(draft, await settleClaim(draft, { ref, outcome: done }, now));
		});
	}

	async extend(basket: string, refs: readonly Ref[], lease: number): Promise<readonly ("ok" | "lost" | "posted")[]> {
		const dueAt = this.#clock.now() + lease;
		return await inCommits(this.#space(basket), refs, readClaims, (draft, ref) => extendClaim(draft, ref, dueAt));
	}

	async save(basket: string, saves: readonly Save[], tx?: Tx): Promise<readonly boolean[]> {
		const refusals = saves.map(checkSave);
		const refusal = refusals.find((refusal) => refusal !== undefined);
		if (tx === undefined) {
			// Too much of one claim must not lose what others have.
			const fitting = saves.filter((_, index) => refusals[index] === undefined);
			const saved = await inCommits(this.#space(basket), fitting, readRefs, saveClaim);
			if (refusal !== undefined) throw refusal;
			return saved;
		}
		if (refusal !== undefined) throw refusal;
		return await this.#inTransaction(basket, tx, async (draft) => {
			const saved: boolean[] = [];
			for (const save of saves) saved.push(orFail(draft, await saveClaim(draft, save)));
			return saved;
		});
	}

	async get(basket: string, id: string): Promise<(StoredTask & { readonly inbox: readonly Message[] }) | undefined> {
		const draft = new Draft(this.#space(basket));
		const record = await findTask(draft, id, this.#clock.now());
		return record && { ...await reveal(draft.space, record), inbox: await readInbox(draft.space, record) };
	}

	async list(basket: string, { state, kind, after, limit }: ListQuery): Promise<readonly StoredTask[]> {
		if (after !== undefined) check("after", after, "string", isPlace(after), "the key of a task");
		const space = this.#space(basket);
		const now = this.#clock.now();
		const isFiltered = state !== undefined || kind !== undefined;
		// Of the same length as all, and behind this one.
		const range = { from: after === undefined ? undefined : taskKey(after + "~"), batch: isFiltered ? 200 : limit };
		const found: TaskRecord[] = [];
		for await (const record of readAll(space, range, now)) {
			if ((state ?? stateOf(record)) === stateOf(record) && (kind ?? record.kind) === record.kind) found.push(record);
			if (found.length === limit) break;
		}
		return await Promise.all(found.map((record) => reveal(space, record)));
	}

	async counts(basket: string): Promise<Counts> {
		const counts = { waiting: 0, running: 0, held: 0, dead: 0, done: 0 };
		const all = readAll(this.#space(basket), { batch: 500 }, this.#clock.now());
		for await (const record of all) counts[stateOf(record)]++;
		return counts;
	}

	async delete(basket: string, ids: readonly string[]): Promise<readonly boolean[]> {
		// From the end: of a lane that is named in order, one head is deleted, and not each task as it becomes the head.
		const backwards = [...ids].reverse();
		const now = this.#clock.now();
		const work = (draft: Draft, id: string) => deleteTask(draft, id, now);
		return (await inCommits(this.#space(basket), backwards, readTasks, work)).reverse();
	}

	async change(basket: string, ids: readonly string[], change: Change): Promise<readonly boolean[]> {
		const terms = { places: this.#places, now: this.#clock.now() };
		return await inCommits(this.#space(basket), ids, readTasks, (draft, id) => changeTask(draft, id, change, terms));
	}

	async hasten(basket: string, within: number): Promise<number> {
		const space = this.#space(basket);
		const now = this.#clock.now();
		// Behind all places at that very instant.
		const range = { from: ["backoff", now + within, "~"], limit: 100 };
		let count = 0;
		for (let found; (found = await space.all(["backoff"], range)).length > 0;) {
			const hastened = await inCommits(space, found, readEntries, (draft, entry) => {
				return hastenTask(draft, entry, now + within * Math.random());
			});
			count += hastened.filter(Boolean).length;
		}
		return count;
	}

	async post(basket: string, id: string, data: Data): Promise<boolean> {
		checkData("data", data);
		const now = this.#clock.now();
		return await inOneCommit(this.#space(basket), (draft) => postTo(draft, id, data, now));
	}

	watch(basket: string, wake: (reason?: WakeReason) => void, onError: (error: unknown) => void): () => void {
		return watchBell(this.#space(basket), { clock: this.#clock, poll: this.#poll }, wake, onError);
	}

	#space(basket: string): Space {
		checkName("basket", basket, maxBasketName);
		return new Space(this.#kv, this.#schema, this.#prefix, basket);
	}

	/** All calls with the same transaction share a draft: nowhere else can be read what it has not committed yet. */
	#inTransaction<R>(basket: string, tx: Tx, work: (draft: Draft) => Promise<R>): Promise<R> {
		check("tx.check", check("tx", tx, "object").check, "function");
		const drafts = this.#drafts.get(tx) ?? new Map<string, Draft>();
		this.#drafts.set(tx, drafts);
		const draft = drafts.get(basket) ?? new Draft(this.#space(basket), tx);
		drafts.set(basket, draft);
		return draft.inTurn(() => work(draft));
	}

	async #expire(space: Space, limit: number, now: number): Promise<void> {
		const over = await space.all(["done"], { from: ["done"], to: ["done", now, "~"], limit });
		await inCommits(space, over, readEntries, expireTask);
	}
}

/** All tasks that are there, in the order added. What has another key than a place was not written by a store. */
async function* readAll(space: Space, range: Range, now: number): AsyncGenerator<TaskRecord> {
	for await (const { tail, value } of space.list(["task"], range)) {
		const place = String(tail[1]);
		const record = readRecord(place, value);
		if (isPlace(place) && !isExpired(record, now)) yield record;
	}
}

/** Reads ahead for settlements and saves. */
function readRefs(draft: Draft, items: readonly { readonly ref: Ref }[]): Promise<void> {
	return readClaims(draft, items.map(({ ref }) => ref));
}

/** A claim that is known to be lost must not let the rest of the transaction come about. */
function orFail(draft: Draft, isDone: boolean): boolean {
	if (!isDone) draft.fail();
	return isDone;
}

/** The payload that is stored apart is read together with the record once more, so that both are of one moment. */
async function reveal(space: Space, record: TaskRecord): Promise<StoredTask> {
	if (record.payload !== undefined) return show(record, record.payload);
	const [now, data] = await space.read([taskKey(record.place), ["data", record.id]]);
	const same = isRecord(record.place, now!.value) ? now!.value : record;
	const payload = same.payload ?? unpack(data!.value);
	return payload === undefined ? show(readRecord(record.place, { ...record, place: "" }), "") : show(same, payload);
}
