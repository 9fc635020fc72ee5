/**
 * The versions of a definition: each is a variant of the kind that has the name of the job, so that a processor claims only
 * jobs of the versions that it has.
 *
 * @module
 */

import { variantMark } from "../basket/store.ts";
import { check, refuse } from "../platform/check.ts";
import { checkName } from "../platform/name.ts";

export { baseOf as nameOf } from "../basket/store.ts";

/** A definition, as far as a store knows it. */
export interface Named {
	readonly name: string;
	readonly version: number | string | undefined;
}

/** The kind of the jobs of a definition. */
export function kindOf({ name, version }: Named): string {
	return version === undefined ? name : `${name}${variantMark}${version}`;
}

/** The definition, for messages. */
export function describe({ name, version }: Named): string {
	return JSON.stringify(name) + (version === undefined ? "" : ` of the version ${JSON.stringify(version)}`);
}

/** @throws {TypeError | RangeError} for a name or a version that no store could keep */
export function checkNamed<N extends Named>(named: N): N {
	const { name, version } = named;
	check("name", checkName("name", name), "string", !name.includes(variantMark), "without U+001F");
	if (version === undefined) return named;
	if (typeof version !== "string") check("version", version, "number");
	else if (version !== "") checkName("version", version);
	const isShort = kindOf(named).length < 256;
	if (!isShort) refuse("version", version, "at most 254 characters together with the name", RangeError);
	return named;
}
