/**
 * Deno KV as an ordered map with transactions.
 *
 * @module
 */

import type {
	MapEntry,
	MapRange,
	MapTransaction,
	OrderedMap,
	RecordLimits,
	TransactOptions,
} from "../../records/records.ts";
import type { StoreCapabilities, WakeReason } from "../../basket/store.ts";
import { check } from "../../platform/check.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Resource } from "../../platform/resource.ts";
import { textOf } from "../../records/key-text.ts";
import { StoreError } from "../../platform/store-error.ts";
import {
	ask,
	type DenoKv,
	type DenoKvEntry,
	type DenoKvKeyPart,
	type DenoKvOperation,
	mostTries,
	pause,
} from "./database.ts";
import { maxPayload, pack, unpack } from "./data.ts";
import { limitsOf, longestInline, maxAdd, maxAddBytes } from "./limits.ts";
import type { Schema } from "./schema.ts";
import { type BellTerms, watchBell } from "./watch.ts";

/** The number of keys that Deno KV reads in one snapshot. */
const mostKeys = 10;

/** A commit takes 100 checks, one of them for the schema; each changed key is checked. */
const mostItems = 99;

/** The parts of a {@link DenoKvMap}. */
export interface DenoKvParts {
	readonly kv: Resource<DenoKv>;
	readonly prefix: readonly DenoKvKeyPart[];
	readonly schema: Schema;
}

export class DenoKvMap<Tx extends DenoKvOperation> implements OrderedMap<Tx> {
	readonly capabilities: StoreCapabilities = {
		durable: true,
		shared: true,
		tx: true,
		clock: "machine",
		maxPayload,
		maxAdd,
		maxAddBytes,
	};
	readonly isOptimistic = true;
	readonly isSparse = true;
	readonly inline: number = longestInline;
	readonly perCommit: number = mostItems;
	readonly limits: RecordLimits;
	readonly clock: Clock;
	readonly #parts: DenoKvParts;
	readonly #terms: BellTerms;
	/** The drafts of the callers' transactions, while these exist. */
	readonly #drafts = new WeakMap<Tx, Draft>();

	constructor(parts: DenoKvParts, terms: BellTerms) {
		this.#parts = parts;
		this.#terms = terms;
		this.clock = terms.clock;
		this.limits = limitsOf(parts.prefix);
	}

	async open(): Promise<void> {
		await this.#parts.kv.open();
		await this.#parts.schema.open();
	}

	async close(): Promise<void> {
		await this.#parts.kv.close();
	}

	async transaction<R>(
		work: (map: MapTransaction, attempt: number) => R | Promise<R>,
		{ tx, purpose }: TransactOptions<Tx>,
	): Promise<R> {
		if (tx !== undefined) return await this.#within(tx, (draft) => work(draft, 0));
		for (let attempt = 0; attempt < mostTries; attempt++) {
			const draft = new Draft(this.#parts, this.#parts.kv.value.atomic());
			const result = await work(draft, attempt);
			if (purpose === "read" || await this.#isCommitted(draft, attempt)) return result;
			await pause(attempt);
		}
		throw new StoreError("busy", "Other processes keep changing the same tasks");
	}

	wake(basket: string, reason: WakeReason | undefined, map: MapTransaction): void {
		(map as Draft).ring(this.#bellOf(basket, reason));
	}

	watch(basket: string, wake: (reason?: WakeReason) => void, onError: (error: unknown) => void): () => void {
		const bells = [this.#bellOf(basket, "claims"), this.#bellOf(basket, undefined)];
		return watchBell(this.#parts.kv.value, bells, this.#terms, wake, onError);
	}

	/** Each reason has its own bell, so that no reason hides another. */
	#bellOf(basket: string, reason: WakeReason | undefined): DenoKvKeyPart[] {
		return [...this.#parts.prefix, "bell", textOf(reason === undefined ? [basket] : [basket, reason])];
	}

	/** All calls with the same transaction share a draft, because uncommitted changes can be read nowhere else. */
	#within<R>(tx: Tx, work: (draft: Draft) => R | Promise<R>): Promise<R> {
		check("tx.check", check("tx", tx, "object").check, "function");
		const draft = this.#drafts.get(tx) ?? new Draft(this.#parts, tx, true);
		this.#drafts.set(tx, draft);
		return draft.inTurn(() => work(draft));
	}

	/** Commits. Returns `false` if another process was faster, or if the commit is too large and can be made smaller. */
	async #isCommitted(draft: Draft, attempt: number): Promise<boolean> {
		try {
			return await draft.commit();
		} catch (error) {
			// After this many halvings, one change is left.
			if (error instanceof TypeError && 2 ** attempt < mostItems) return false;
			throw error;
		}
	}
}

/** The state of a key in a draft. */
interface Known {
	/** The value after this commit. */
	value: unknown;
	/** The version that was read; absent if the key was only written. */
	readonly versionstamp?: string | null;
	isChecked: boolean;
	isWritten: boolean;
}

/** A pending commit: its reads and writes. Reads see its own writes. */
class Draft implements MapTransaction {
	readonly fail?: () => void;
	readonly hasSet?: (key: string) => boolean;
	readonly #parts: DenoKvParts;
	readonly #operation: DenoKvOperation;
	readonly #known = new Map<string, Known>();
	readonly #rung = new Set<string>();
	#isChange = false;
	#turn: Promise<unknown> | undefined;

	constructor(parts: DenoKvParts, operation: DenoKvOperation, isBlind = false) {
		this.#parts = parts;
		this.#operation = operation;
		const { guard } = parts.schema;
		if (guard !== undefined) operation.check(guard);
		if (!isBlind) return;
		// No key ever has this version.
		this.fail = () => operation.check({ key: [...parts.prefix, "schema"], versionstamp: "f".repeat(20) });
		this.hasSet = (key) => this.#known.get(key)?.isWritten ?? false;
	}

	/** Reads ten keys at a time, each ten in one snapshot. Keys that were already read keep their values. */
	async get(keys: readonly string[]): Promise<unknown[]> {
		const unknown = [...new Set(keys)].filter((key) => !this.#known.has(key));
		const groups = Array.from({ length: Math.ceil(unknown.length / mostKeys) }, (_, index) => {
			return unknown.slice(index * mostKeys, (index + 1) * mostKeys).map((key) => this.#keyOf(key));
		});
		const read = await Promise.all(groups.map((group) => ask(() => this.#parts.kv.value.getMany(group))));
		read.flat().forEach(({ value, versionstamp }, index) => {
			const known = { value: valueOf(value, versionstamp), versionstamp, isChecked: false, isWritten: false };
			this.#known.set(unknown[index]!, known);
		});
		return keys.map((key) => this.#known.get(key)!.value);
	}

	async list({ start, end, limit = Infinity, reverse = false }: MapRange): Promise<MapEntry[]> {
		const own = [...this.#known].filter(([key, { isWritten }]) => isWritten && key >= start && key < end);
		const most = limit + own.length;
		const options = { reverse, batchSize: Math.min(most, 500), ...(most < Infinity && { limit: most }) };
		const selector = { start: this.#keyOf(start), end: this.#keyOf(end) };
		const stored = this.#parts.kv.value.list(selector as never, options)[Symbol.asyncIterator]();
		const found = new Map<string, unknown>();
		for (let next = await ask(() => stored.next()); !next.done; next = await ask(() => stored.next())) {
			found.set(lastOf(next.value), valueOf(next.value.value, next.value.versionstamp));
		}
		for (const [key, { value }] of own) found.set(key, value);
		const entries = [...found].filter(([, value]) => value !== undefined);
		if (own.length > 0) entries.sort(([a], [b]) => (a < b) === reverse ? 1 : -1);
		return entries.slice(0, limit);
	}

	set(key: string, value: unknown): void {
		this.#write(key, value);
		this.#operation.set(this.#keyOf(key), packed(value));
	}

	delete(key: string): void {
		this.#write(key, undefined);
		this.#operation.delete(this.#keyOf(key));
	}

	check(key: string): void {
		const known = this.#known.get(key);
		// A key that was only written here must be absent, or the commit fails.
		if (known?.isChecked) return;
		const { versionstamp = null } = known ?? {};
		this.#known.set(key, { value: undefined, isWritten: false, ...known, isChecked: true });
		this.#operation.check({ key: this.#keyOf(key), versionstamp });
	}

	/** Notifies the watchers of a basket, once. */
	ring(key: DenoKvKeyPart[]): void {
		const name = JSON.stringify(key.slice(this.#parts.prefix.length));
		if (this.#rung.has(name)) return;
		this.#rung.add(name);
		this.#operation.set(key, crypto.randomUUID());
	}

	/**
	 * Runs works one after the other, because each must see the writes of the previous ones. The first one starts
	 * synchronously.
	 */
	inTurn<R>(work: () => R | Promise<R>): Promise<R> {
		const done = this.#turn === undefined ? new Promise<R>((resolve) => resolve(work())) : this.#turn.then(work);
		const turn = this.#turn = done.then(() => {}, () => {}).then(() => {
			if (this.#turn === turn) this.#turn = undefined;
		});
		return done;
	}

	/** Commits. Returns `false` if a checked key has changed. */
	async commit(): Promise<boolean> {
		if (!this.#isChange) return true;
		const { ok } = await ask(() => this.#operation.commit());
		if (!ok) await this.#parts.schema.verify();
		return ok;
	}

	#write(key: string, value: unknown): void {
		this.#isChange = true;
		const { isChecked = false, ...known } = this.#known.get(key) ?? {};
		this.#known.set(key, { ...known, value, isChecked, isWritten: true });
	}

	#keyOf(key: string): DenoKvKeyPart[] {
		return [...this.#parts.prefix, "row", key];
	}
}

function lastOf({ key }: DenoKvEntry): string {
	return String(key.at(-1));
}

/** Packs long text, so that it takes fewer bytes. */
function packed(value: unknown): unknown {
	const { data } = Object(value) as { data?: unknown };
	return typeof data === "string" || data instanceof Uint8Array ? { ...value as object, data: pack(data) } : value;
}

function valueOf(value: unknown, versionstamp: string | null): unknown {
	if (versionstamp === null) return undefined;
	const { data } = Object(value) as { data?: unknown };
	return data === undefined ? value : { ...value as object, data: unpack(data) };
}
