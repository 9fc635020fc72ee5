/**
 * The kinds of jobs. Each version of a definition is a variant of the kind that has the name of the job, so that a processor
 * claims only jobs of the versions that it has. The items of a step are variants, too.
 *
 * @module
 */

import { baseOf, variantMark } from "../basket/store.ts";
import { check, refuse } from "../platform/check.ts";
import { checkName } from "../platform/name.ts";

export { baseOf as nameOf };

/** A definition, as far as a store knows it. */
export interface Named {
	readonly name: string;
	readonly version: number | string | undefined;
}

/** The kind of the jobs of a definition. */
export function kindOf({ name, version }: Named): string {
	return version === undefined ? name : `${name}${variantMark}${version}`;
}

/** What stands before the name of the step in the kind of its items: two marks of variants, which neither names nor versions contain. */
const itemMark = "\u001f\u001f";

/** The kind of the items of a step. */
export function itemKind(job: Named, step: string): string {
	return kindOf(job) + itemMark + step;
}

/** What the kind of a job says. */
export interface KindParts {
	/** The name of the definition. */
	readonly name: string;
	/** The version as text, if it has one. */
	readonly version: string | undefined;
	/** The name of the step, if it is the kind of its items. */
	readonly itemOf: string | undefined;
}

/** Takes a kind apart. */
export function partsOf(kind: string): KindParts {
	const end = kind.lastIndexOf(itemMark);
	const own = end < 0 ? kind : kind.slice(0, end);
	const name = baseOf(own);
	const version = name === own ? undefined : own.slice(name.length + 1);
	return { name, version, itemOf: end < 0 ? undefined : kind.slice(end + itemMark.length) };
}

/** The definition, for messages. */
export function describe({ name, version }: Named): string {
	return JSON.stringify(name) + (version === undefined ? "" : ` of the version ${JSON.stringify(version)}`);
}

/** @throws {TypeError | RangeError} for a name or a version that no store could keep */
export function checkNamed<N extends Named>(named: N): N {
	const { name, version } = named;
	const rule = "without U+001F";
	check("name", checkName("name", name), "string", !name.includes(variantMark), rule);
	if (version === undefined) return named;
	if (typeof version !== "string") check("version", version, "number");
	else if (version !== "") {
		check("version", checkName("version", version), "string", !version.includes(variantMark), rule);
	}
	const isShort = kindOf(named).length < 256;
	if (!isShort) refuse("version", version, "at most 254 characters together with the name", RangeError);
	return named;
}

/** @throws {RangeError} for the name of a step whose items would have a kind that no store could keep */
export function checkItemKind(job: Named, step: string): void {
	check("name", step, "string", !step.includes(variantMark), "without U+001F");
	const isShort = itemKind(job, step).length < 256;
	check("name", step, "string", isShort, "at most 253 characters together with the name and the version of the job");
}
