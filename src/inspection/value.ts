/**
 * Values for people: whatever a codec has decoded, as JSON of limited size.
 *
 * @module
 */

import type { InspectedValue } from "./records.ts";

/** The maximum number of characters of a value, about. */
const mostCharacters = 65_536;
/** The maximum number of levels. */
const mostLevels = 50;

/** The value as JSON. Never throws, whatever the value is. */
export function showValue(value: unknown, limit: number = mostCharacters): InspectedValue {
	const writer = new Writer(limit);
	const shown = value === undefined ? {} : { value: writer.show(value, 0) };
	return { ...shown, isCut: writer.isCut };
}

/** The first characters of a value on one line. */
export function previewOf(value: unknown, length = 200): string {
	if (value === undefined) return "";
	// Some more, because what is cut says how long it was.
	const text = JSON.stringify(showValue(value, length * 2).value);
	return text.length > length ? text.slice(0, length - 1).replace(/[\ud800-\udbff]$/, "") + "…" : text;
}

class Writer {
	#left: number;
	/** The objects around the current one. */
	readonly #around = new Set<object>();
	isCut = false;

	constructor(limit: number) {
		this.#left = limit;
	}

	show(value: unknown, level: number): unknown {
		this.#left -= 2;
		if (typeof value === "string") return this.#cut(value);
		if (value === null || typeof value === "boolean" || Number.isFinite(value)) return value;
		if (Object(value) !== value) return this.#cut(typeof value === "bigint" ? `${value}n` : String(value));
		try {
			return this.#showObject(value as object, level);
		} catch {
			return "(cannot be read)"; // its getters throw, for instance
		}
	}

	#showObject(value: object, level: number): unknown {
		if (typeof value === "function") return "(function)";
		const words = describe(value);
		if (words !== undefined) return this.#cut(words);
		if (this.#around.has(value)) return "(a cycle)";
		if (level === mostLevels) return this.#leaveOut();
		this.#around.add(value);
		try {
			return this.#showInside(value, level + 1);
		} finally {
			this.#around.delete(value);
		}
	}

	#showInside(value: object, level: number): unknown {
		if (Array.isArray(value)) return this.#showItems(value, value.length, level);
		if (value instanceof Map) return { [`Map of ${value.size}`]: this.#showItems(value, value.size, level) };
		if (value instanceof Set) return { [`Set of ${value.size}`]: this.#showItems(value, value.size, level) };
		if (typeof (value as Partial<Date>).toJSON === "function") return this.show((value as Date).toJSON(""), level);
		const keys = Object.keys(value);
		const shown: [string, unknown][] = [];
		for (const key of keys) {
			const member = (value as Record<string, unknown>)[key];
			if (member === undefined) continue;
			if (this.#left <= 0) {
				shown.push(["…", this.#leaveOut(`${keys.length - shown.length} more`)]);
				break;
			}
			const name = this.#cut(key);
			shown.push([name, this.show(member, level)]);
		}
		return Object.fromEntries(shown);
	}

	#showItems(items: Iterable<unknown>, size: number, level: number): unknown[] {
		const shown: unknown[] = [];
		for (const item of items) {
			if (this.#left <= 0) {
				shown.push(this.#leaveOut(`${size - shown.length} more`));
				break;
			}
			shown.push(this.show(item, level));
		}
		return shown;
	}

	#cut(text: string): string {
		const left = Math.max(0, this.#left);
		this.#left -= text.length;
		if (text.length <= left) return text;
		this.isCut = true;
		return `${text.slice(0, left).replace(/[\ud800-\udbff]$/, "")}… (${text.length} characters)`;
	}

	#leaveOut(what = ""): string {
		this.isCut = true;
		return `…${what && ` ${what}`}`;
	}
}

/** An object of the platform in words; `undefined` for others. */
function describe(value: object): string | undefined {
	if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
		return `(${value.constructor.name} of ${value.byteLength} bytes)`;
	}
	if (typeof Blob !== "undefined" && value instanceof Blob) {
		const { name } = value as { readonly name?: unknown };
		const title = typeof name === "string" ? `File ${JSON.stringify(name)}` : "Blob";
		return `(${title} of ${value.size} bytes${value.type && `, ${value.type}`})`;
	}
	if (value instanceof Date) return Number.isNaN(value.getTime()) ? "(an invalid Date)" : value.toISOString();
	if (value instanceof Error) return `${value.name}: ${value.message}`;
	if (value instanceof RegExp || value instanceof URL) return String(value);
	return undefined;
}
