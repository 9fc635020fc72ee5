/**
 * The checks at the door.
 *
 * @module
 */

/**
 * Returns a value that is of one of JavaScript's own types and allowed.
 *
 * @param rule what is allowed, in words
 * @throws {TypeError} if it is of another type (`null` is no object)
 * @throws {RangeError} if it is not allowed; both say what was given
 */
export function check<T>(
	name: string,
	value: T,
	type: "function" | "object" | "boolean" | "string" | "number",
	isAllowed = true,
	rule: string = (type === "object" ? "an " : "a ") + type,
): T {
	const isOfType = typeof value === type && value !== null;
	if (isOfType && isAllowed) return value;
	throw new (isOfType ? RangeError : TypeError)(`"${name}" must be ${rule}: current value is ${shown(value)}`);
}

/** A value in an error's message: never long, and no code of the value's own is called. */
export function shown(value: unknown): string {
	return Object(value) === value ? "of type " + typeof value : String(value).slice(0, 99);
}

/** A time to wait: 0 is allowed, and so is `Infinity`. */
export function checkDelay(name: string, value: number): number {
	// To compare what is no number may throw an error of its own.
	return check(name, value, "number", typeof value === "number" && value >= 0, "0 or more");
}

/** A limit of time: 0 would leave none, so it is refused; `Infinity` is no limit. */
export function checkLimit(name: string, value: number): number {
	return check(name, value, "number", typeof value === "number" && value > 0, "more than 0");
}

/** One of some words. */
export function checkWord<T extends string>(name: string, value: T, words: readonly T[]): T {
	return check(name, value, "string", words.includes(value), words.join(" or "));
}

/** A function, if anything. */
export function checkFunction<T>(name: string, value: T | undefined): T | undefined {
	return value === undefined ? value : check(name, value, "function");
}

/** An `AbortSignal`, of this realm or of another. */
export function checkSignal(signal: AbortSignal): AbortSignal {
	check("signal.aborted", check("signal", signal, "object").aborted, "boolean");
	check("signal.addEventListener", signal.addEventListener, "function");
	return signal;
}

/** The `signal` in options, if there is one; both checked. */
export function checkedSignal(options: { signal?: AbortSignal | undefined }): AbortSignal | undefined {
	const { signal } = check("options", options, "object");
	return signal === undefined ? signal : checkSignal(signal);
}
