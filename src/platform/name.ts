/**
 * The check of names that are stored.
 *
 * @module
 */

import { check, refuse } from "./check.ts";

/** Like `isWellFormed`, which some runtimes lack. */
const halfPair = /\p{Surrogate}/u;

/**
 * Checks a name that every store can accept: 1 to 255 characters without NUL.
 *
 * A lone surrogate, which `text.slice(0, n)` may leave, has no form in UTF-8: a store would keep another name.
 */
export function checkName(what: string, name: string): string {
	const isAllowed = typeof name === "string" && name.length > 0 && name.length < 256 && !name.includes("\0");
	check(what, name, "string", isAllowed, "1 to 255 characters without NUL");
	if (halfPair.test(name)) refuse(what, JSON.stringify(name), "well-formed text, without half a surrogate pair");
	return name;
}

/** Checks those of these names that are given. */
export function checkNames(names: Readonly<Record<string, string | undefined>>): void {
	for (const [what, name] of Object.entries(names)) if (name !== undefined) checkName(what, name);
}

/** Checks a name, or the beginning of one, that a caller may choose: those that begin with `_` are made by a store. */
export function checkChosen(what: string, name: string): string {
	return check(what, checkName(what, name), "string", !name.startsWith("_"), `without "_" at the beginning`);
}
