/**
 * The assertions of the store suite. They need no library and work under any test runner.
 *
 * @module
 */

/** Longer texts do not help. */
const longest = 600;

/** Fails unless both values are equal: bytes by content, keys in any order, absent equal to `undefined`. */
export function equal(actual: unknown, expected: unknown, what: string): void {
	// Much faster for large values.
	if (actual instanceof Uint8Array && expected instanceof Uint8Array && areSame(actual, expected)) return;
	const [given, wanted] = [show(actual), show(expected)];
	if (given !== wanted) fail(`${what}: expected ${shorten(wanted)}, got ${shorten(given)}`);
}

/** Fails unless `actual` is from `least` to `most`. */
export function between(actual: number | undefined, least: number, most: number, what: string): void {
	if (!(actual! >= least && actual! <= most)) fail(`${what}: expected ${least} to ${most}, got ${actual}`);
}

/** Fails unless a promise rejects; resolves with its error. */
export async function rejects(promise: Promise<unknown>, what: string): Promise<unknown> {
	let value: unknown;
	try {
		value = await promise;
	} catch (error) {
		return error;
	}
	return fail(`${what}: expected a rejection, got ${shorten(show(value))}`);
}

/** Fails. */
export function fail(message: string): never {
	throw new Error(message);
}

/** Converts a value to text. Equal values, and only these, give the same text. */
export function show(value: unknown): string {
	if (value instanceof Uint8Array) return `bytes(${value.join(" ")})`;
	if (Array.isArray(value)) return `[${value.map(show).join(", ")}]`;
	if (typeof value !== "object" || value === null) {
		return typeof value === "string" ? JSON.stringify(value) : `${value}`;
	}
	const entries = Object.entries(value).filter(([, part]) => part !== undefined).sort(([a], [b]) => a < b ? -1 : 1);
	return `{ ${entries.map(([key, part]) => `${key}: ${show(part)}`).join(", ")} }`;
}

function areSame(a: Uint8Array, b: Uint8Array): boolean {
	return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function shorten(text: string): string {
	return text.length > longest ? `${text.slice(0, longest)}… (${text.length} characters)` : text;
}
