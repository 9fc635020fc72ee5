/**
 * Encodes and checks payloads for a store; synchronously inside a transaction.
 *
 * @module
 */

import type { Kind } from "./options.ts";
import type { Data } from "./store.ts";
import { isCloned } from "./cloned.ts";
import { sizeOf } from "./codec.ts";
import { check, refuse } from "../platform/check.ts";

/** Encodes a payload, and checks that the store can accept it. */
export function encodePayload(
	{ codec }: Pick<Kind, "codec">,
	payload: unknown,
	limit: number | undefined,
): Data | PromiseLike<Data> {
	return chain(codec.encode(payload), (data) => checkSize(data, limit, codec.clones));
}

/** Lets a codec take its time; not inside a transaction, which may be over by then. */
export function synchronous<T>(value: T | PromiseLike<T>, tx: unknown): T | PromiseLike<T> {
	if (tx === undefined || !isThenable(value)) return value;
	value.then(undefined, () => {});
	throw new TypeError("With a transaction the codec and the schema must be synchronous");
}

/** Checks that there is a transaction: without one, a store would complete the task at once, independent of its effect. */
export function checkTx(tx: unknown): void {
	check("tx", tx, typeof tx === "function" ? "function" : "object", true, "a transaction of the store");
}

export function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
	return typeof (value as PromiseLike<T> | undefined)?.then === "function";
}

/** Continues with a value: synchronously, unless it is a promise. */
export function chain<T, R>(value: T | PromiseLike<T>, next: (value: T) => R | PromiseLike<R>): R | PromiseLike<R> {
	return isThenable(value) ? value.then(next) : next(value);
}

export function checkSize<D extends Data>(data: D, limit: number = Infinity, clones?: boolean): D {
	const isData = typeof data === "string" || data instanceof Uint8Array || (clones && isCloned(data));
	if (!isData) refuse("codec.encode()", data, "a string or a Uint8Array");
	// A UTF-16 code unit takes at most 3 bytes.
	if (data.length * 3 <= limit || sizeOf(data) <= limit) return data;
	throw new RangeError(`The payload must have at most ${limit} bytes in this store: it has ${sizeOf(data)}`);
}
