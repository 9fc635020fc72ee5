/**
 * The checks at the door. Each returns what it was given, or throws a TypeError (wrong type) or a RangeError (out of
 * range) whose message says what was given and what is allowed.
 *
 * @module
 */

/** A number for which `isAllowed` holds; `rule` says the same in words. */
export function checkNumber(name: string, value: number, rule: string, isAllowed: boolean): number {
	if (typeof value !== "number") throw new TypeError(message(name, rule, value));
	if (!isAllowed) throw new RangeError(message(name, rule, value));
	return value;
}

/** A time to wait: 0 is allowed, and so is `Infinity`. */
export function checkDelay(name: string, value: number): number {
	return checkNumber(name, value, "0 or more", value >= 0);
}

/** A limit of time: 0 would leave none, so it is refused; `Infinity` is no limit. */
export function checkLimit(name: string, value: number): number {
	return checkNumber(name, value, "more than 0", value > 0);
}

/** A value of one of JavaScript's own types. */
export function checkType<T>(name: string, value: T, type: "function" | "object" | "boolean" | "string"): T {
	if (typeof value !== type || value === null) throw new TypeError(message(name, "a " + type, value));
	return value;
}

/** One of some words. */
export function checkWord<T extends string>(name: string, value: T, words: readonly T[]): T {
	if (!words.includes(value)) throw new TypeError(message(name, words.join(" or "), value));
	return value;
}

/** An `AbortSignal`, of this realm or of another. */
export function checkSignal(signal: AbortSignal): AbortSignal {
	checkType("signal.throwIfAborted", checkType("signal", signal, "object").throwIfAborted, "function");
	return signal;
}

/** The text of such an error. */
export function message(name: string, rule: string, value: unknown): string {
	return `"${name}" must be ${rule}: current value is ${
		Object(value) === value ? "an " + typeof value : String(value)
	}`;
}
