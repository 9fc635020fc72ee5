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
} from "../basket/store.ts";
import { check, checkLimit } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import { StoreError } from "../platform/store-error.ts";
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
import { Places } from "./deno-kv/places.ts";
import { isRecord, readRecord, show, stateOf, taskKey, type TaskRecord, unpack } from "./deno-kv/record.ts";
import { Space } from "./deno-kv/space.ts";
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

/** Written by this version of the library. */
const version = 1;

/** A value takes 64 KiB, with what Deno KV puts around it. */
const maxPayload = 65_000;

/** A commit takes 100 checks: one for an id, one for a lane. */
const maxAdd = 50;

/** The bytes of a commit, and what the record of a task takes of them besides its payload. */
const [maxCommit, perTask] = [800_000, 1_000];

/** Bytes of a name, so that it fits into a key of 2 KiB with others. */
const maxName = 1_000;

/** In units of text, so that it fits into the record. */
const maxProgress = 16_000;

/**
 * Makes a {@link Store} of a `Deno.Kv`. That stays the caller's, and is not closed.
 *
 * With `tx`, an `AtomicOperation`, a call appends its checks and changes; await it before `commit()`. If an id is in use, a
 * claim is lost, or somebody else changes the same task or lane meanwhile, the commit comes to `{ ok: false }`, as it does for
 * the caller's own checks. Extending a claim changes its task, too, so that a commit may have to be tried again.
 *
 * What limits it: 50 tasks and about 800 kB in one `add`, payloads and messages of 65,000 bytes, ids, kinds and lanes of 1,000
 * bytes each, 500 messages that a task has not seen, progress of 16,000 characters. Errors are cut at 8,000.
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
	};
	readonly #kv: DenoKv;
	readonly #prefix: readonly DenoKvKeyPart[];
	readonly #poll: number;
	readonly #clock: Clock;
	readonly #places: Places;
	/** What was read and written in the transactions of callers, as long as they have them. */
	readonly #drafts = new WeakMap<Tx, Map<string, Draft>>();

	constructor(kv: DenoKv, prefix: readonly DenoKvKeyPart[], poll: number, clock: Clock) {
		this.#kv = kv;
		this.#prefix = prefix;
		this.#poll = poll;
		this.#clock = clock;
		this.#places = new Places(() => clock.now());
	}

	async open(): Promise<void> {
		const space = new Space(this.#kv, this.#prefix);
		await inOneCommit(space, async (draft) => {
			const found = await draft.readFirmly(["schema"]);
			if (found === undefined) draft.set(["schema"], version);
			else if (!(Number(found) <= version)) {
				throw new StoreError("newer-schema", `The schema is ${String(found)}, but this library knows only ${version}`);
			}
		});
	}

	async add(basket: string, tasks: readonly NewTask[], tx?: Tx): Promise<readonly Added[]> {
		checkTasks(tasks);
		const terms = { places: this.#places, now: this.#clock.now(), isBlind: tx !== undefined };
		if (tx !== undefined) return await this.#inTransaction(basket, tx, (draft) => addTasks(draft, tasks, terms));
		return await inOneCommit(this.#space(basket), (draft) => addTasks(draft, tasks, terms));
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
		for (const { payload, progress = "" } of saves) {
			checkData("payload", payload);
			check("progress", progress, "string", progress.length <= maxProgress, `of ${maxProgress} characters or less`);
		}
		if (tx === undefined) return await inCommits(this.#space(basket), saves, readRefs, saveClaim);
		return await this.#inTransaction(basket, tx, async (draft) => {
			const saved: boolean[] = [];
			for (const save of saves) saved.push(orFail(draft, await saveClaim(draft, save)));
			return saved;
		});
	}

	async get(basket: string, id: string): Promise<(StoredTask & { readonly inbox: readonly Message[] }) | undefined> {
		const draft = new Draft(this.#space(basket));
		const record = await findTask(draft, id);
		return record && { ...await reveal(draft.space, record), inbox: await readInbox(draft.space, record) };
	}

	async list(basket: string, { state, kind, after, limit }: ListQuery): Promise<readonly StoredTask[]> {
		const space = this.#space(basket);
		const isFiltered = state !== undefined || kind !== undefined;
		// Of the same length as all, and behind this one.
		const range = { from: after === undefined ? undefined : taskKey(after + "~"), batch: isFiltered ? 200 : limit };
		const found: TaskRecord[] = [];
		for await (const { tail, value } of space.list(["task"], range)) {
			const record = readRecord(String(tail[1]), value);
			if ((state ?? stateOf(record)) === stateOf(record) && (kind ?? record.kind) === record.kind) found.push(record);
			if (found.length === limit) break;
		}
		return await Promise.all(found.map((record) => reveal(space, record)));
	}

	async counts(basket: string): Promise<Counts> {
		const counts = { waiting: 0, running: 0, held: 0, dead: 0, done: 0 };
		for await (const { tail, value } of this.#space(basket).list(["task"], { batch: 500 })) {
			counts[stateOf(readRecord(String(tail[1]), value))]++;
		}
		return counts;
	}

	async delete(basket: string, ids: readonly string[]): Promise<readonly boolean[]> {
		// From the end: of a lane that is named in order, one head is deleted, and not each task as it becomes the head.
		const backwards = [...ids].reverse();
		return (await inCommits(this.#space(basket), backwards, readTasks, deleteTask)).reverse();
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

	watch(basket: string, wake: () => void, onError: (error: unknown) => void): () => void {
		return watchBell(this.#space(basket), { clock: this.#clock, poll: this.#poll }, wake, onError);
	}

	#space(basket: string): Space {
		return new Space(this.#kv, [...this.#prefix, "basket", basket]);
	}

	/** All calls with the same transaction share a draft: nowhere else can be read what it has not committed yet. */
	#inTransaction<R>(basket: string, tx: Tx, work: (draft: Draft) => Promise<R>): Promise<R> {
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

function checkTasks(tasks: readonly NewTask[]): void {
	check("tasks.length", tasks.length, "number", tasks.length <= maxAdd, `${maxAdd} or less`);
	let size = 0;
	for (const { id = "", kind, lane = "", payload } of tasks) {
		for (const [name, text] of Object.entries({ id, kind, lane })) {
			check(`the length of "${name}" in bytes`, sizeOf(text), "number", sizeOf(text) <= maxName, `${maxName} or less`);
		}
		size += checkData("payload", payload) + perTask;
	}
	check("the size of the tasks in bytes", size, "number", size <= maxCommit, `${maxCommit} or less`);
}

/** Returns the size, in bytes. */
function checkData(name: string, data: Data | undefined): number {
	const size = data === undefined ? 0 : sizeOf(data);
	return check(`the size of "${name}" in bytes`, size, "number", size <= maxPayload, `${maxPayload} or less`);
}

function sizeOf(data: Data): number {
	if (typeof data !== "string") return data.length;
	// Most need not be encoded to know that they are small.
	return data.length * 3 <= maxName ? data.length : new TextEncoder().encode(data).length;
}
