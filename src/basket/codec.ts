/**
 * How payloads and errors become text or bytes, and come back.
 *
 * @module
 */

import type { Data } from "./store.ts";

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

/** JSON. `undefined`, which JSON does not know, becomes an empty text; what JSON would drop silently is refused. */
export const jsonCodec: Codec = {
	encode(payload) {
		const text = JSON.stringify(payload);
		if (text === undefined && payload !== undefined) {
			throw new TypeError(`A payload of type ${typeof payload} cannot be encoded as JSON`);
		}
		return text ?? "";
	},
	decode(data) {
		if (typeof data !== "string") throw new TypeError("The payload is not JSON: it was stored as bytes");
		return data === "" ? undefined : JSON.parse(data);
	},
};

/** What is stored of an error: enough for a person, and for the next attempt. */
export interface TaskFailure {
	/** What kind of error it was. */
	readonly name: string;
	/** What it said, the first 1,000 characters. */
	readonly message: string;
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
		const { name, message, stack } = error instanceof Error || error instanceof DOMException
			? error
			: { name: "Error", message: String(error), stack: undefined };
		const failure: StoredFailure = {
			name: String(name),
			message: String(message).slice(0, 1_000),
			stack: stack?.slice(0, 2_000),
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
		const failure = JSON.parse(text);
		if (typeof failure.message === "string") return failure;
	} catch {
		// A store may say by itself why it gave up a task.
	}
	return { name: "Error", message: text };
}

/** How many bytes it takes in a store. */
export function sizeOf(data: Data): number {
	return typeof data === "string" ? new TextEncoder().encode(data).length : data.length;
}
