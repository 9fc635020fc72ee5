/**
 * How payloads and errors become text or bytes, and come back.
 *
 * @module
 */

import type { Data } from "./store.ts";
import { findLoss } from "./json-loss.ts";

/**
 * Makes payloads storable, and reads them again: JSON by default; another one for dates, compression or encryption.
 *
 * Both may be asynchronous, except for tasks that are added with a `tx`.
 */
export interface Codec {
	/** Makes text or bytes of a payload. What it throws, `add` rejects with. */
	encode(payload: unknown): Data | PromiseLike<Data>;
	/** Reads what {@link encode} made. A task whose payload it cannot read becomes dead, with the error as the reason. */
	decode(data: Data): unknown;
}

/**
 * JSON. It refuses what JSON would change or drop without a word, and names where it is (`payload.photo is a Blob`): NaN and
 * infinite numbers, functions, symbols and symbol keys, bigints, `undefined` in an array, invalid Dates, objects of the
 * platform's classes (`Map`, `Blob`, `Error` …), objects of other classes without properties of their own, and more than
 * 1,000 levels, so that no cycle gets in. Such a payload needs another codec.
 *
 * Not refused is what everybody means: a property that is `undefined` is left out, -0 becomes 0, a Date and whatever else has
 * a `toJSON` becomes what that gives, and an object of another class becomes a plain one. A payload that is `undefined` is
 * stored as an empty text.
 */
export const jsonCodec: Codec = {
	encode(payload) {
		if (payload === undefined) return "";
		const loss = findLoss(payload);
		if (loss === undefined) return JSON.stringify(payload);
		const path = loss.length > 300 ? `${cut(loss, 100)} … ${loss.slice(-100)}` : loss;
		throw new TypeError(`The payload cannot be encoded as JSON: payload${path}`);
	},
	decode(data) {
		if (typeof data !== "string") throw new TypeError("The payload is not JSON: it was stored as bytes");
		return data === "" ? undefined : JSON.parse(data);
	},
};

/** What is stored of an error: enough for a person, and for the next attempt. */
export interface TaskFailure {
	/** What kind of error it was, the first 200 characters. */
	readonly name: string;
	/** What it said, the first 1,000 characters. Of a thrown object without a message, its JSON. */
	readonly message: string;
	/** Its `code`, if it had one: a number, or the first 200 characters. */
	readonly code?: string | number | undefined;
	/** Where it came from, the first 2,000 characters, if it was an error. */
	readonly stack?: string | undefined;
}

/** A failure as it is stored, with what the backoff gave last. */
export interface StoredFailure extends TaskFailure {
	readonly delay?: number | undefined;
}

/** Makes text of anything that was thrown. Never throws. */
export function encodeFailure(error: unknown, delay?: number): string {
	try {
		// By its members, because an error of another realm or build is no instance of ours.
		const isObject = typeof error === "object" && error !== null;
		const { name, message, code, stack }: Partial<Record<string, unknown>> = isObject ? error as object : {};
		const isError = typeof message === "string";
		const failure: StoredFailure = {
			name: isError && typeof name === "string" ? cut(name, 200) : "Error",
			message: cut(isError ? message : describe(error), 1_000),
			code: typeof code === "string" ? cut(code, 200) : typeof code === "number" ? code : undefined,
			stack: typeof stack === "string" ? cut(stack, 2_000) : undefined,
			delay,
		};
		return JSON.stringify(failure);
	} catch {
		return JSON.stringify({ name: "Error", message: "An error that cannot be shown", delay });
	}
}

/** Reads what {@link encodeFailure} made; anything else is taken for a message. */
export function decodeFailure(text: string | undefined): StoredFailure | undefined {
	if (text === undefined) return undefined;
	try {
		const { name, message, code, stack, delay } = JSON.parse(text);
		// Somebody may have edited it.
		const isFailure = [name, message, stack ?? ""].every((part) => typeof part === "string");
		const hasDelay = typeof delay === "number" && delay >= 0;
		if (isFailure && Object(code) !== code) return { name, message, code, stack, delay: hasDelay ? delay : undefined };
	} catch {
		// A store may say by itself why it gave up a task.
	}
	return { name: "Error", message: text };
}

/** The first characters of a text, without half a surrogate pair at the end. */
export function cut(text: string, length: number): string {
	return text.length > length ? text.slice(0, length).replace(/[\ud800-\udbff]$/, "") : text;
}

/** A thrown value that is no error, in words. */
function describe(thrown: unknown): string {
	if (typeof thrown !== "object" || thrown === null) return String(thrown);
	const seen = new Set<unknown>();
	const text = JSON.stringify(thrown, (_, value) => {
		if (typeof value === "bigint") return String(value);
		// Each part once, so that there is an end, whatever refers to what.
		return Object(value) === value && seen.size === seen.add(value).size ? undefined : value;
	});
	return text === undefined || text === "{}" ? String(thrown) : text;
}

/** How many bytes it takes in a store. */
export function sizeOf(data: Data): number {
	return typeof data === "string" ? new TextEncoder().encode(data).length : data.length;
}
