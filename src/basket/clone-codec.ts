/**
 * A codec for values that JSON cannot express, in stores that can keep them: IndexedDB and memory.
 *
 * @module
 */

import type { Codec } from "./codec.ts";
import type { Data } from "./store.ts";
import { type ClonedData, isCloned } from "./cloned.ts";
import { segment } from "./json-loss.ts";

/** A cycle is found by its objects, so this only bounds the stack. */
const mostLevels = 1_000;
/** They can be copied, but not stored. */
const unstorable = ["SharedArrayBuffer", "WebAssembly.Module"];

/**
 * A codec that stores values by the structured clone of the browser: `Blob`, `File`, `Map`, `Set`, `Date`, bigints,
 * typed arrays, cycles. Files are not read into memory. It works with `indexedDBStore` and `memoryStore`; a basket with
 * another store refuses it, because its capabilities do not contain `clones`.
 *
 * The value is copied when the task is added. An object of a class of yours becomes a plain object, and keys that are
 * symbols are omitted. What cannot be cloned is refused with its location (`payload.done is a function`). Payloads
 * that were stored by `jsonCodec` are not readable, as it is another codec. The payload of a schedule must be
 * `undefined`. If a browser stores no files in a private window, `add` rejects with a `StoreError`.
 *
 * @example A photo that is sent when the page is online again.
 * ```ts
 * import assert from "node:assert/strict";
 * import { Basket, cloneCodec, memoryStore } from "upkeep";
 *
 * const sizes: number[] = [];
 * const basket = new Basket({
 * 	store: memoryStore(), // in a page: indexedDBStore("photos")
 * 	codec: cloneCodec,
 * 	tasks: {
 * 		upload: ({ photo, tags }: { photo: Blob; tags: Set<string> }) => sizes.push(photo.size + tags.size),
 * 	},
 * });
 * await basket.add("upload", { photo: new Blob(["abc"]), tags: new Set(["cat"]) });
 * await basket.drain();
 * assert.deepEqual(sizes, [4]);
 * ```
 */
export const cloneCodec: Codec = {
	clones: true,
	encode(payload) {
		// So that kinds with a schedule, whose payload is text, can have this codec.
		if (payload === undefined) return "";
		const length = weigh(payload, "payload", 0, new Set());
		const data: ClonedData = { cloned: clone(payload, "payload"), length, mark: `${Math.random()}` };
		return data as unknown as Data;
	},
	decode(data) {
		if (data === "") return undefined;
		if (!isCloned(data)) throw new TypeError("The payload was not stored by cloneCodec");
		// A store in memory returns the stored object itself.
		return structuredClone((data as unknown as ClonedData).cloned);
	},
};

/** About how many bytes a value takes. Refuses what cannot be cloned. */
function weigh(value: unknown, path: string, level: number, seen: Set<unknown>): number {
	if (typeof value === "string") return value.length;
	if (typeof value === "function" || typeof value === "symbol") return refuse(path, `a ${typeof value}`);
	if (typeof value !== "object" || value === null || seen.has(value)) return 8;
	seen.add(value);
	if (level === mostLevels) refuse(path, `more than ${mostLevels} levels deep`);
	const type = Object.prototype.toString.call(value).slice(8, -1);
	if (unstorable.includes(type)) refuse(path, `a ${type}`);
	const inner = (part: unknown, at: string) => weigh(part, path + at, level + 1, seen);
	if (ArrayBuffer.isView(value)) return inner(value.buffer, ".buffer");
	const { byteLength, size, name } = value as Partial<ArrayBuffer & File>;
	if (type === "ArrayBuffer") return byteLength!;
	if (type === "Blob" || type === "File") {
		const copy = clone(value, path) as Partial<File>;
		// Node 20 makes a Blob of a File.
		return copy.size === size && copy.name === name ? size! : refuse(path, `a ${type} that this runtime cannot clone`);
	}
	let sum = 8;
	let index = 0;
	if (value instanceof Map) {
		for (const [key, part] of value) {
			sum += inner(key, `.keys()[${index}]`) + inner(part, `.values()[${index++}]`);
		}
	} else if (value instanceof Set) {
		for (const part of value) sum += inner(part, `.values()[${index++}]`);
	} else {
		const keys = Object.keys(value);
		// Nothing in it would say where it is if the whole cannot be cloned.
		if (keys.length === 0 && !Array.isArray(value)) clone(value, path);
		for (const key of keys) {
			const at = segment(Array.isArray(value) ? Number(key) : key);
			sum += key.length + inner((value as Record<string, unknown>)[key], at);
		}
	}
	return sum;
}

function clone<T>(value: T, path: string): T {
	try {
		return structuredClone(value);
	} catch (cause) {
		return refuse(path, `a ${Object(value).constructor?.name ?? "value"} that cannot be cloned`, cause);
	}
}

function refuse(path: string, what: string, cause?: unknown): never {
	const where = path.length > 300 ? `${path.slice(0, 100)} … ${path.slice(-100)}` : path;
	throw new TypeError(`The payload cannot be stored by structured clone: ${where} is ${what}`, { cause });
}
