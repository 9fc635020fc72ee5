/**
 * What JSON would change or drop without a word.
 *
 * @module
 */

/** Every engine can write this many levels. A cycle has more. */
const mostLevels = 1_000;
const isUndefined = " is undefined";

/**
 * Finds the first part of a value that JSON would lose, and names it with its path: `.photo is a Blob`.
 *
 * A walk before the writing, because a replacer makes `JSON.stringify` several times slower. The path is built only when
 * something was found.
 *
 * @param isGiven whether it comes from a `toJSON`, so that its own is not called
 */
export function findLoss(value: unknown, level = 0, isGiven = false): string | undefined {
	switch (typeof value) {
		case "string":
		case "boolean":
			return undefined;
		case "number":
			return Number.isFinite(value) ? undefined : ` is ${value}`;
		case "undefined":
			return isUndefined;
	}
	if (value === null) return undefined;
	if (!isGiven && typeof (value as Partial<Date>).toJSON === "function") {
		const given: unknown = (value as Date).toJSON("");
		return given === null && value instanceof Date ? " is an invalid Date" : findLoss(given, level, true);
	}
	if (typeof value !== "object") return ` is a ${typeof value}`;
	if (level === mostLevels) return ` is more than ${mostLevels} levels deep: is there a cycle?`;
	return Array.isArray(value) ? findInArray(value, level + 1) : findInObject(value, level + 1);
}

function findInArray(values: readonly unknown[], level: number): string | undefined {
	// By index, so that a hole is found, too.
	for (let index = 0; index < values.length; index++) {
		const loss = findLoss(values[index], level);
		if (loss !== undefined) return `[${index}]${loss}`;
	}
}

function findInObject(value: object, level: number): string | undefined {
	const keys = Object.keys(value);
	const prototype = Object.getPrototypeOf(value);
	// Objects of other realms are plain, too.
	const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null;
	if (!isPlain && (keys.length === 0 || isBuiltIn(value))) return nameOf(value);
	for (const key of keys) {
		const loss = findLoss((value as Record<string, unknown>)[key], level);
		// A property that is `undefined` is left out.
		if (loss !== undefined && loss !== isUndefined) return segment(key) + loss;
	}
	const symbol = Object.getOwnPropertySymbols(value).find((key) =>
		Object.prototype.propertyIsEnumerable.call(value, key)
	);
	return symbol && ` has the key ${String(symbol)}`;
}

/** Whether it is of a class of the platform: what such an object is about is in none of its properties. */
function isBuiltIn(value: object): boolean {
	const type = (globalThis as Record<string, unknown>)[Object.prototype.toString.call(value).slice(8, -1)];
	return typeof type === "function" && type !== Object && value instanceof type;
}

function nameOf(value: object): string {
	const name = String(value.constructor?.name || "object without properties of its own");
	return ` is ${/^[aeiou]/i.test(name) ? "an" : "a"} ${name}`;
}

function segment(key: string): string {
	return /^[\p{L}_$][\p{L}\d_$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}
