/**
 * Helpers to write and to run a work.
 *
 * @module
 */

import type { Count, Get, Key, Range, Read, Table, Work } from "./space.ts";

/** The answers to reads, in order. */
export type Answers<R extends readonly Read[]> = { readonly [I in keyof R]: NonNullable<R[I]["answer"]> };

/** Makes all these reads together. Without reads, it does not wait. */
export function* ask<const R extends readonly Read[]>(...reads: R): Work<Answers<R>> {
	return (yield reads) as Answers<R>;
}

/** Reads rows by their keys, or by their keys in a unique index. */
export function get<Row extends object>(table: Table<Row>, keys: readonly Key[], index?: string): Get<Row> {
	return { type: "get", table, index, keys };
}

/** Reads rows in the order of their keys, or of their keys in an index. */
export function range<Row extends object>(
	table: Table<Row>,
	index: string | undefined,
	rest: Pick<Range, "prefix" | "above" | "upTo" | "limit" | "reverse">,
): Range<Row> {
	return { type: "range", table, index, ...rest };
}

/** Counts rows. */
export function count(table: Table, index: string | undefined, prefix: Key, upTo?: Key): Count {
	return { type: "count", table, index, prefix, upTo };
}

/**
 * Runs a work with a function that answers its reads. If no answer is a promise, the work is done when this returns.
 * It awaits only these promises.
 *
 * @param work the work to run
 * @param answer returns the answer to a {@link Read}, or a promise of it
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { drive, type Table, type Work } from "upkeep/store";
 *
 * const words: Table<{ word: string }> = { name: "word", keyOf: ({ word }) => [word], isShared: true, indexes: {} };
 * function* count(): Work<number> {
 * 	const [found] = (yield [{ type: "count", table: words, prefix: [] }]) as [number];
 * 	return found;
 * }
 * assert.equal(drive(count(), () => 3), 3);
 * assert.equal(await drive(count(), async () => 4), 4);
 * ```
 */
export function drive<R>(work: Work<R>, answer: (read: Read) => unknown): R | Promise<R> {
	for (let step = work.next([]);;) {
		if (step.done) return step.value;
		const answers = answerAll(step.value, answer);
		if (answers.some((answer) => answer instanceof Promise)) return resume(work, answer, answers);
		step = work.next(answers);
	}
}

async function resume<R>(work: Work<R>, answer: (read: Read) => unknown, first: readonly unknown[]): Promise<R> {
	for (let answers = first;;) {
		const step = work.next(await Promise.all(answers));
		if (step.done) return step.value;
		answers = answerAll(step.value, answer);
	}
}

function answerAll(reads: readonly Read[], answer: (read: Read) => unknown): unknown[] {
	return reads.map((read) => read.type === "get" && read.keys.length === 0 ? [] : answer(read));
}

/** Whether two keys are equal. */
export function isSame(a: Key, b: Key): boolean {
	return a.length === b.length && a.every((part, index) => part === b[index]);
}
