/**
 * Conversion of thrown values for the way between threads. A structured clone would lose the names of custom errors,
 * their fields and, in some runtimes, causes and stacks. It would also fail completely if one field cannot be cloned.
 *
 * @module
 */

/** A thrown value in a form that can be cloned. */
export type Packed = { readonly value: unknown } | PackedError;

interface PackedError {
	/** The built-in class. */
	readonly type: string;
	readonly name: string;
	readonly message: string;
	readonly stack: string | undefined;
	/** Present if the error has a cause, which may be `undefined`. */
	readonly cause?: Packed;
	/** Present for an AggregateError. */
	readonly errors?: Packed[];
	/** The other own fields that can be cloned. */
	readonly fields: Record<string, unknown>;
}

/** From specific to general. */
const types = [
	"DOMException",
	"AggregateError",
	"TypeError",
	"RangeError",
	"SyntaxError",
	"ReferenceError",
	"EvalError",
	"URIError",
	"Error",
] as const;

const ownKeys: readonly string[] = ["name", "message", "stack", "cause", "errors"];

type ErrorConstructor = new (message: string) => Error;

/** Converts a thrown value so that it can be posted. Never throws. */
export function pack(thrown: unknown): Packed {
	try {
		return packAny(thrown, []);
	} catch {
		return { value: new Error("Something was thrown that cannot be read") }; // its getters throw
	}
}

/** Restores a value that was thrown in the other thread. */
export function unpack(packed: Packed): unknown {
	if ("value" in packed) return packed.value;
	const error = construct(packed);
	for (const [key, value] of Object.entries(packed.fields)) define(error, key, value, true);
	if (packed.name !== error.name) define(error, "name", packed.name);
	if (packed.stack !== undefined) define(error, "stack", packed.stack);
	if (packed.cause !== undefined) define(error, "cause", unpack(packed.cause));
	return error;
}

/** @param above the errors that contain this one as cause or in `errors`, because causes can be circular */
function packAny(thrown: unknown, above: readonly unknown[]): Packed {
	const isNew = !above.includes(thrown);
	if (thrown instanceof Error && isNew) return packError(thrown, [...above, thrown]);
	return { value: isNew && isCloneable(thrown) ? thrown : String(thrown) };
}

function packError(error: Error & { errors?: unknown }, above: readonly unknown[]): PackedError {
	const { name, message, stack, errors } = error;
	const others = Object.entries(error).filter(([key, value]) => !ownKeys.includes(key) && isCloneable(value));
	return {
		type: types.find((type) => error instanceof globalThis[type])!,
		name: String(name),
		message: String(message),
		stack: stack === undefined ? stack : String(stack),
		...("cause" in error ? { cause: packAny(error.cause, above) } : {}),
		...(Array.isArray(errors) ? { errors: errors.map((inner) => packAny(inner, above)) } : {}),
		fields: Object.fromEntries(others),
	};
}

function construct({ type, name, message, errors = [] }: PackedError): Error {
	if (type === "DOMException") return new DOMException(message, name);
	if (type === "AggregateError") return new AggregateError(errors.map(unpack), message);
	return new (globalThis as unknown as Record<string, ErrorConstructor>)[type]!(message);
}

function define(error: Error, key: string, value: unknown, enumerable = false): void {
	Object.defineProperty(error, key, { value, enumerable, configurable: true, writable: true });
}

function isCloneable(value: unknown): boolean {
	try {
		structuredClone(value);
		return true;
	} catch {
		return false;
	}
}
