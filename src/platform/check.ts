/**
 * The checks of arguments.
 *
 * @module
 */

/**
 * Returns the value if it has the given JavaScript type and is allowed.
 *
 * @param rule the allowed values, as text
 * @throws {TypeError} if it has another type (`null` is not an object)
 * @throws {RangeError} if it is not allowed; both messages contain the given value
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
	refuse(name, value, rule, isOfType ? RangeError : TypeError);
}

/** Throws an error with the allowed values, as text, and the given value. */
export function refuse(name: string, value: unknown, rule: string, kind: ErrorConstructor = TypeError): never {
	// Short, and without calling code of the value.
	const shown = Object(value) === value ? "of type " + typeof value : String(value).slice(0, 99);
	throw new kind(`"${name}" must be ${rule}: current value is ${shown}`);
}

/** Checks a time to wait: 0 and `Infinity` are allowed. */
export function checkDelay(name: string, value: number): number {
	// Comparing a value that is not a number may throw.
	return check(name, value, "number", typeof value === "number" && value >= 0, "0 or more");
}

/** Checks a time limit: more than 0; `Infinity` means no limit. */
export function checkLimit(name: string, value: number): number {
	return check(name, value, "number", typeof value === "number" && value > 0, "more than 0");
}

/** Checks a number that is `least` or more, and finite. */
export function checkFinite(name: string, value: number, least = 0): number {
	return check(name, value, "number", Number.isFinite(value) && value >= least, `${least} or more, and finite`);
}

/** Checks a whole number from `least`, or Infinity. */
export function checkCount(name: string, value: number, least = 1): number {
	const isCount = (Number.isInteger(value) || value === Infinity) && value >= least;
	return check(name, value, "number", isCount, `a whole number from ${least}, or Infinity`);
}

/** Checks that a value is an object with these methods. */
export function checkMethods<T>(name: string, value: T, ...methods: readonly (keyof T & string)[]): T {
	check(name, value, "object");
	for (const method of methods) check(`${name}.${method}`, value[method], "function");
	return value;
}

/** Checks that the value is one of these words. */
export function checkWord<T extends string>(name: string, value: T, words: readonly T[]): T {
	return check(name, value, "string", words.includes(value), words.join(" or "));
}

/** Checks an optional function. */
export function checkFunction<T>(name: string, value: T | undefined): T | undefined {
	return value === undefined ? value : check(name, value, "function");
}

/** Checks an `AbortSignal`, of this realm or of another. */
export function checkSignal(signal: AbortSignal): AbortSignal {
	check("signal.aborted", checkMethods("signal", signal, "addEventListener").aborted, "boolean");
	return signal;
}

/** Checks the options and their `signal`, and returns the signal. */
export function checkedSignal(options: { signal?: AbortSignal | undefined }): AbortSignal | undefined {
	const { signal } = check("options", options, "object");
	return signal === undefined ? signal : checkSignal(signal);
}
