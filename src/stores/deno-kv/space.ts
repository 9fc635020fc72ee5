/**
 * The keys of one basket, and how they are read.
 *
 * @module
 */

import { ask, type DenoKv, type DenoKvEntry, type DenoKvKeyPart } from "./database.ts";
import { fromPart, toPart } from "./names.ts";
import type { Schema } from "./schema.ts";

/** What stands in a key behind the prefix and the name of the basket. */
export type Tail = readonly (string | number)[];

/** One of the stored values. */
export interface Entry {
	readonly tail: Tail;
	readonly value: unknown;
	readonly versionstamp: string | null;
}

/** Which part of a range. */
export interface Range {
	/** The first key. */
	readonly from?: Tail | undefined;
	/** The first key that is not part of it any more. */
	readonly to?: Tail | undefined;
	readonly limit?: number | undefined;
	readonly reverse?: boolean | undefined;
	/** How many are fetched at a time. */
	readonly batch?: number | undefined;
}

/** How many keys Deno KV reads at one moment. */
const mostKeys = 10;

export class Space {
	readonly kv: DenoKv;
	readonly schema: Schema;
	readonly #base: readonly DenoKvKeyPart[];

	constructor(kv: DenoKv, schema: Schema, prefix: readonly DenoKvKeyPart[], basket: string) {
		this.kv = kv;
		this.schema = schema;
		this.#base = [...prefix, "basket", toPart(basket)];
	}

	/** About how many bytes all keys begin with. */
	get baseSize(): number {
		return this.#base.reduce<number>((size, part) => size + 2 + (Object(part).length as number ?? 9), 0);
	}

	key(tail: Tail): DenoKvKeyPart[] {
		return [...this.#base, ...tail.map(toPart)];
	}

	/** Reads ten keys at a time, each ten as they are at one moment. */
	async read(tails: readonly Tail[]): Promise<Entry[]> {
		const groups = Array.from({ length: Math.ceil(tails.length / mostKeys) }, (_, index) => {
			return tails.slice(index * mostKeys, (index + 1) * mostKeys).map((tail) => this.key(tail));
		});
		const read = await Promise.all(groups.map((keys) => ask(() => this.kv.getMany(keys))));
		return read.flat().map((entry) => this.#entry(entry));
	}

	/** Reads a range of the keys that begin with `prefix`, in their order. */
	async *list(prefix: Tail, { from, to, limit, reverse = false, batch = 100 }: Range = {}): AsyncGenerator<Entry> {
		const bounds = { ...(from && { start: this.key(from) }), ...(to && { end: this.key(to) }) };
		const selector = from && to ? bounds : { prefix: this.key(prefix), ...bounds };
		const batchSize = Math.min(batch, limit ?? batch, 500);
		const options = { reverse, batchSize, ...(limit !== undefined && { limit }) };
		const found = this.kv.list(selector as never, options)[Symbol.asyncIterator]();
		for (let next = await ask(() => found.next()); !next.done; next = await ask(() => found.next())) {
			yield this.#entry(next.value);
		}
	}

	/** The whole of such a range. */
	async all(prefix: Tail, range: Range = {}): Promise<Entry[]> {
		const entries: Entry[] = [];
		for await (const entry of this.list(prefix, range)) entries.push(entry);
		return entries;
	}

	#entry({ key, value, versionstamp }: DenoKvEntry): Entry {
		return {
			tail: key.slice(this.#base.length).map(fromPart) as Tail,
			value: versionstamp === null ? undefined : value,
			versionstamp,
		};
	}
}
