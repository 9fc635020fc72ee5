/**
 * Finds values that JSON would silently change or drop.
 *
 * @module
 */

/** Every JavaScript engine can write this many levels. A cycle has more. */
const mostLevels = 1_000;
const isUndefined = " is undefined";

/**
 * Finds the first part of a value that JSON would lose, and names it with its path: `.photo is a Blob`.
 *
 * This is a separate walk, because a replacer makes `JSON.stringify` several times slower. The path is built only if
 * something was found.
 *
 * @param isGiven whether the value comes from a `toJSON`, so that its own `toJSON` is not called
 */
export function findLoss(value: unknown, level = 0, isGiven = false): string | undefined {
	const type = typeof value;
	if (value === null || type === "string" || type === "boolean" || Number.isFinite(value)) return undefined;
	if (type === "number" || type === "undefined") return ` is ${value}`;
	if (!isGiven && typeof (value as Partial<Date>).toJSON === "function") {
		const given: unknown = (value as Date).toJSON("");
		return given === null && value instanceof Date ? " is an invalid Date" : findLoss(given, level, true);
	}
	if (type !== "object") return ` is a ${type}`;
	if (level === mostLevels) return ` is more than ${mostLevels} levels deep: is there a cycle?`;
	return findInside(value as object, level + 1);
}

function findInside(value: object, level: number): string | undefined {
	const isArray = Array.isArray(value);
	// By index, so that holes are found, too.
	const keys = isArray ? value : Object.keys(value);
	if (!isArray && isEmptied(value, keys)) {
		const name = String(value.constructor?.name || "object without properties of its own");
		return ` is ${/^[aeiou]/i.test(name) ? "an" : "a"} ${name}`;
	}
	for (let index = 0; index < keys.length; index++) {
		const key = isArray ? index : keys[index];
		const loss = findLoss((value as Record<string, unknown>)[key], level);
		// A property that is `undefined` is omitted.
		if (loss !== undefined && (isArray || loss !== isUndefined)) return segment(key) + loss;
	}
	const symbol = Object.getOwnPropertySymbols(value).find((key) =>
		Object.prototype.propertyIsEnumerable.call(value, key)
	);
	return symbol && ` has the key ${String(symbol)}`;
}

/** Whether the content of such an object is not in its properties: it has none, or its class is one of the platform. */
function isEmptied(value: object, keys: readonly string[]): boolean {
	const prototype = Object.getPrototypeOf(value);
	// Also true for plain objects of other realms.
	if (prototype === null || Object.getPrototypeOf(prototype) === null) return false;
	const type = (globalThis as Record<string, unknown>)[Object.prototype.toString.call(value).slice(8, -1)];
	return keys.length === 0 || (typeof type === "function" && type !== Object && value instanceof type);
}

/** The part of a path that names a member. */
export function segment(key: string | number): string {
	return /^[\p{L}_$][\p{L}\d_$]*$/u.test(key as string) ? `.${key}` : `[${JSON.stringify(key)}]`;
}
