/**
 * The rows with which a space is tested, and short ways to write and read them.
 *
 * @module
 */

import type {
	Index,
	Key,
	Range,
	Read,
	RecordSpace,
	RecordTransaction,
	Stray,
	Table,
	Work,
} from "../records/records.ts";

export interface Row {
	readonly key: Key;
	readonly value?: unknown;
	readonly mark?: string | number | undefined;
	readonly unique?: string | undefined;
}

const marks: Index<Row> = { keyOf: ({ key, mark }) => mark === undefined ? undefined : [mark, ...key] };
const uniques: Index<Row> = { keyOf: ({ unique }) => unique === undefined ? undefined : [unique], isUnique: true };

/** Keys of any length. */
export const rows: Table<Row> = {
	name: "row",
	keyOf: ({ key }) => key,
	isShared: true,
	indexes: { mark: marks, unique: uniques },
};

export const others: Table<Row> = { name: "other", keyOf: ({ key }) => key, isShared: true, indexes: {} };

/** Everything that a text can be made of. */
export const names: readonly string[] = [
	"",
	"a",
	"b",
	"ab",
	"A",
	"é",
	"語",
	"😀",
	"\0",
	"a\0",
	"!",
	"a!b",
	"%",
	"%21",
	".",
	"~",
	"\x7f",
	" ",
	"\ud800",
	"\ufffd",
	"\uffff",
];

export async function work<R>(
	space: RecordSpace,
	body: (tx: RecordTransaction) => Work<R>,
	basket = "basket",
): Promise<R> {
	return await space.transact(basket, body, { purpose: "change" });
}

export async function put(space: RecordSpace, ...all: readonly Row[]): Promise<void> {
	// deno-lint-ignore require-yield -- a work that only writes asks nothing
	await work(space, function* (tx) {
		for (const row of all) tx.put(rows, row);
	});
}

export async function get(space: RecordSpace, ...wanted: readonly Key[]): Promise<unknown[]> {
	const [found] = await work(space, function* (): Work<readonly unknown[]> {
		return yield [read(wanted)];
	}) as [readonly (Row | undefined)[]];
	return found.map((row) => row?.value);
}

export async function keys(
	space: RecordSpace,
	index: string | undefined,
	bounds: Omit<Range, "type" | "table" | "limit"> & { readonly limit?: number },
): Promise<string[]> {
	const [found] = await work(space, function* (): Work<readonly unknown[]> {
		return yield [range(index, bounds)];
	}) as [readonly Row[]];
	return keysOf(found);
}

export function read(wanted: readonly Key[], index?: string): Read {
	return { type: "get", table: rows, keys: wanted, index };
}

export function range(
	index: string | undefined,
	bounds: Omit<Range, "type" | "table" | "limit"> & { limit?: number },
): Read {
	return { type: "range", table: rows, limit: 1000, ...bounds, index };
}

export function keysOf(found: unknown): string[] {
	return (found as readonly (Row | Stray | undefined)[]).map((row) => row?.key.join() ?? "");
}

/** Texts in the order of their code units, and in that of their code points. */
export function orders(texts: readonly string[]): string[][] {
	return [[...texts].sort(), [...texts].sort((one, other) => comparePoints(pointsOf(one), pointsOf(other)))];
}

function pointsOf(text: string): number[] {
	return Array.from(text, (point) => point.codePointAt(0)!);
}

function comparePoints(one: readonly number[], other: readonly number[]): number {
	const index = one.findIndex((point, index) => point !== other[index]);
	return index === -1 ? one.length - other.length : one[index]! - (other[index] ?? -1);
}
