/**
 * Payloads on their way into a store: encoded, checked, and inside a transaction without waiting.
 *
 * @module
 */

import type { Kind } from "./options.ts";
import type { Data } from "./store.ts";
import { sizeOf } from "./codec.ts";
import { check } from "../platform/check.ts";

/** Makes data of a payload, and checks that the store can keep it. */
export function encodePayload(
	{ codec }: Pick<Kind, "codec">,
	payload: unknown,
	limit: number | undefined,
): Data | PromiseLike<Data> {
	const data = codec.encode(payload);
	return isThenable(data) ? data.then((data) => checkSize(data, limit)) : checkSize(data, limit);
}

/** Waits for a codec; not inside a transaction, which may be over by then. */
export function synchronous<T>(promise: PromiseLike<T>, tx: unknown): PromiseLike<T> {
	if (tx === undefined) return promise;
	promise.then(undefined, () => {});
	throw new TypeError("With a transaction the codec and the schema must be synchronous");
}

/** Without a transaction a store would complete the task at once, whatever becomes of its effect. */
export function checkTx(tx: unknown): void {
	check("tx", tx, typeof tx === "function" ? "function" : "object", true, "a transaction of the store");
}

export function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
	return typeof (value as PromiseLike<T> | undefined)?.then === "function";
}

function checkSize(data: Data, limit = Infinity): Data {
	const isData = typeof data === "string" || data instanceof Uint8Array;
	if (!isData) throw new TypeError(`The codec must give a string or a Uint8Array: it gave ${typeof data}`);
	// A character takes at most 3 bytes.
	if (data.length * 3 <= limit || sizeOf(data) <= limit) return data;
	throw new RangeError(`The payload must have at most ${limit} bytes in this store: it has ${sizeOf(data)}`);
}
