/**
 * Support for validators that follow the Standard Schema specification, version 1 (standardschema.dev): Zod, Valibot,
 * ArkType and others. It declares only the part of the interface that is used here, and imports nothing.
 *
 * @module
 */

import { refuse } from "./check.ts";

/**
 * A validator that follows the Standard Schema specification.
 *
 * @typeParam Output the type of the result
 * @typeParam Input the type of the input, if the validator declares it
 */
export interface StandardSchema<Output = unknown, Input = Output> {
	/** The property that the specification defines. */
	readonly "~standard": {
		/** The version of the specification. */
		readonly version: 1;
		/** The library that made the validator. */
		readonly vendor: string;
		/** Returns the parsed value, or the issues. */
		readonly validate: (value: unknown) =>
			| { readonly value: Output; readonly issues?: undefined }
			| { readonly issues: readonly SchemaIssue[] }
			| Promise<{ readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] }>;
		/** The types of input and output; not used at run time. */
		readonly types?: { readonly input: Input; readonly output: Output } | undefined;
	};
}

/**
 * A validator that accepts everything: it gives data a type that only the compiler knows. Use it for signals, inputs and
 * payloads that come from your own code, and a real validator for data from elsewhere.
 *
 * @typeParam T the type of the data
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { job, memoryStore, Processor, unchecked } from "upkeep";
 *
 * const trip = job("trip")
 * 	.waitFor("approval", { schema: unchecked<boolean>() })
 * 	.step("book", { run: ({ results }) => results.approval ? "booked" : "left alone" });
 * const processor = new Processor({ store: memoryStore(), jobs: [trip] });
 * const { id } = await processor.add(trip);
 * await processor.signal(id, "approval", true);
 * await processor.drain();
 * assert.equal((await processor.wait(id)).value, "booked");
 * ```
 */
export function unchecked<T>(): StandardSchema<T> {
	return { "~standard": { version: 1, vendor: "upkeep", validate: (value) => ({ value: value as T }) } };
}

/** An issue that a validator found. */
export interface SchemaIssue {
	/** The description of the issue. */
	readonly message: string;
	/** The location in the data. */
	readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/**
 * A Standard Schema validator refused the data.
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
	/** All issues. */
	declare readonly issues: readonly SchemaIssue[];

	/**
	 * Created by all code that uses a validator.
	 *
	 * @param issues the issues that the validator found, at least one
	 */
	constructor(issues: readonly SchemaIssue[]) {
		super(issues.map(describe).join("; "));
		this.issues = issues;
	}
}

/** Whether a value is such a validator. Validators of ArkType are functions. */
export function isStandardSchema(value: unknown): value is StandardSchema {
	const { "~standard": standard } = Object(value);
	return typeof standard?.validate === "function";
}

/** Checks a `schema` option. */
export function checkSchema(schema: unknown): void {
	if (schema !== undefined && !isStandardSchema(schema)) refuse("schema", schema, "a Standard Schema validator");
}

/** Validates a value. Returns a promise only if the validator does. */
export function validate<Output>(schema: StandardSchema<Output>, value: unknown): Output | Promise<Output> {
	const result = schema["~standard"].validate(value);
	// The `then` of another library's thenable need not return a promise.
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
