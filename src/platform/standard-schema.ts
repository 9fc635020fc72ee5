/**
 * Validators of any library that follows the Standard Schema specification, version 1 (standardschema.dev): Zod,
 * Valibot, ArkType and others. Only the part of the interface that is used here; nothing is imported.
 *
 * @module
 */

/**
 * A validator that follows the Standard Schema specification.
 *
 * @typeParam Output what it gives
 * @typeParam Input what it takes, as far as its types say so
 */
export interface StandardSchema<Output = unknown, Input = Output> {
	/** The specification's one property. */
	readonly "~standard": {
		/** The version of the specification. */
		readonly version: 1;
		/** The library that made the validator. */
		readonly vendor: string;
		/** Gives the value that was read, or what is wrong with it. */
		readonly validate: (value: unknown) =>
			| { readonly value: Output; readonly issues?: undefined }
			| { readonly issues: readonly SchemaIssue[] }
			| Promise<{ readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] }>;
		/** Only for types: what it takes and gives. */
		readonly types?: { readonly input: Input; readonly output: Output } | undefined;
	};
}

/** One thing that is wrong. */
export interface SchemaIssue {
	/** What. */
	readonly message: string;
	/** Where. */
	readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/**
 * Data did not pass a Standard Schema validator.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Lifecycle, ValidationError } from "upkeep";
 * import { number, object } from "valibot";
 *
 * const lifecycle = new Lifecycle(({ port }) => console.log(port), { readConfig: object({ port: number() }) });
 * await lifecycle.start();
 * await assert.rejects(
 * 	lifecycle.configure(`{ "port": "80" }`),
 * 	(error) => error instanceof ValidationError && error.issues.length === 1,
 * );
 * ```
 */
export class ValidationError extends Error {
	/** The name of this error. */
	override readonly name = "ValidationError";
	/** All that is wrong. */
	readonly issues: readonly SchemaIssue[];

	/**
	 * Made where a validator is used.
	 *
	 * @param issues what the validator found, at least one
	 */
	constructor(issues: readonly SchemaIssue[]) {
		super(issues.map(describe).join("; "));
		this.issues = issues;
	}
}

/** Whether something is such a validator; those of ArkType are functions. */
export function isStandardSchema(value: unknown): value is StandardSchema {
	const { "~standard": standard } = Object(value);
	return typeof standard?.validate === "function";
}

/** Validates; in a promise only if the validator does. */
export function validate<Output>(schema: StandardSchema<Output>, value: unknown): Output | Promise<Output> {
	const result = schema["~standard"].validate(value);
	// A thenable of another library need not give a promise.
	return "then" in result ? Promise.resolve(result).then(accept) : accept(result);
}

function accept<Output>(result: Awaited<ReturnType<StandardSchema<Output>["~standard"]["validate"]>>): Output {
	if (result.issues !== undefined) throw new ValidationError(result.issues);
	return result.value;
}

function describe({ message, path = [] }: SchemaIssue): string {
	const keys = path.map((part) => String(typeof part === "object" ? part.key : part));
	return keys.length === 0 ? message : `${keys.join(".")}: ${message}`;
}
