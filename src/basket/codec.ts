/**
 * Conversion of payloads and errors to text or bytes, and back.
 *
 * @module
 */

import type { Data } from "./store.ts";
import { findLoss } from "./json-loss.ts";
import { mask, unmask } from "../schedule/envelope.ts";

/**
 * Encodes payloads for storage and decodes them. The default is JSON; use another codec for dates, compression or
 * encryption.
 *
 * Both methods may be asynchronous, except for tasks that are added with a `tx`.
 */
export interface Codec {
	/** Converts a payload to text or bytes. If it throws, `add` rejects with the error. */
	encode(payload: unknown): Data | PromiseLike<Data>;
	/** Decodes the result of {@link encode}. If it throws, the task becomes dead, with the error as the reason. */
	decode(data: Data): unknown;
	/** Whether it needs a store whose capabilities contain `clones`: see `cloneCodec`. @default false */
	readonly clones?: boolean | undefined;
}

/**
 * The JSON codec. It refuses values that JSON would silently change or drop, and names their location
 * (`payload.photo is a Blob`): NaN and infinite numbers, functions, symbols and symbol keys, bigints, `undefined` in
 * an array, invalid Dates, objects of platform classes (`Map`, `Blob`, `Error` …), objects of other classes without
 * own properties, and more than 1,000 levels, which excludes cycles. Such a payload needs another codec.
 *
 * Common conversions are accepted: a property that is `undefined` is omitted, -0 becomes 0, a Date or any other
 * object with `toJSON` becomes the result of that method, and an object of another class becomes a plain object. The
 * payload `undefined` is stored as an empty string.
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

/** A codec whose data is never mistaken for a schedule. */
export function masked(codec: Codec): Codec {
	return {
		clones: codec.clones,
		encode(payload) {
			const data = codec.encode(payload);
			return "then" in Object(data) ? (data as PromiseLike<Data>).then(mask) : mask(data as Data);
		},
		decode: (data) => codec.decode(unmask(data)),
	};
}

/** The stored form of an error: enough for people and for the next attempt. */
export interface TaskFailure {
	/** The name of the error, at most 200 characters. */
	readonly name: string;
	/** The message, at most 1,000 characters. For a thrown object without a message, its JSON. */
	readonly message: string;
	/** The `code`, if it had one: a number, or a string of at most 200 characters. */
	readonly code?: string | number | undefined;
	/** The stack, at most 2,000 characters, if an error was thrown. */
	readonly stack?: string | undefined;
}

/** A failure as it is stored, with the last delay of the backoff. */
export interface StoredFailure extends TaskFailure {
	readonly delay?: number | undefined;
}

/** Converts any thrown value to text. Never throws. */
export function encodeFailure(error: unknown, delay?: number): string {
	try {
		// Checked by its members, because an error of another realm or build is not an instance of this class.
		const { name, message, code, stack }: Partial<Record<string, unknown>> = typeof error === "object" && error || {};
		const said = textOf(message, 1_000);
		const failure: StoredFailure = {
			name: (said === undefined ? said : textOf(name, 200)) ?? "Error",
			message: said ?? cut(describe(error), 1_000),
			code: typeof code === "number" ? code : textOf(code, 200),
			stack: textOf(stack, 2_000),
			delay,
		};
		return JSON.stringify(failure);
	} catch {
		return JSON.stringify({ name: "Error", message: "An error that cannot be shown", delay });
	}
}

/** Decodes the result of {@link encodeFailure}. Any other text is used as the message. */
export function decodeFailure(text: string | undefined): StoredFailure | undefined {
	if (text === undefined) return undefined;
	try {
		const { name, message, code, stack, delay } = JSON.parse(text);
		// The text may have been edited.
		const isFailure = [name, message, stack ?? ""].every((part) => typeof part === "string");
		const hasDelay = typeof delay === "number" && delay >= 0;
		if (isFailure && Object(code) !== code) return { name, message, code, stack, delay: hasDelay ? delay : undefined };
	} catch {
		// A store may write its own reason for a dead task.
	}
	return { name: "Error", message: text };
}

/** The failure as an error, for the next attempt. */
export function errorOf({ delay: _, ...failure }: StoredFailure): Error {
	return Object.assign(new Error(failure.message), failure);
}

/** The first characters of a text, without a lone surrogate at the end. */
export function cut(text: string, length: number): string {
	return text.length > length ? text.slice(0, length).replace(/[\ud800-\udbff]$/, "") : text;
}

function textOf(value: unknown, length: number): string | undefined {
	return typeof value === "string" ? cut(value, length) : undefined;
}

/** Describes a thrown value that is not an error. */
function describe(thrown: unknown): string {
	if (typeof thrown !== "object" || thrown === null) return String(thrown);
	const seen = new Set<unknown>();
	const text = JSON.stringify(thrown, (_, value) => {
		if (typeof value === "bigint") return String(value);
		// Each part is written once, so that circular references end.
		return Object(value) === value && seen.size === seen.add(value).size ? undefined : value;
	});
	return text === undefined || text === "{}" ? String(thrown) : text;
}

/** The size in bytes in a store. */
export function sizeOf(data: Data): number {
	return typeof data === "string" ? new TextEncoder().encode(data).length : data.length;
}
