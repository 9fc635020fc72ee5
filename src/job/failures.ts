/**
 * The failures of jobs, as they are stored and shown.
 *
 * @module
 */

import { abortError } from "../platform/abort-error.ts";
import { propertyOf } from "../platform/store-error.ts";
import { cut, decodeFailure, encodeFailure, type TaskFailure } from "../basket/engine.ts";

/** A failure without what people read of it, for a head that is too large. */
export function brief(failure: TaskFailure | undefined): TaskFailure | undefined {
	return failure && { name: failure.name, message: cut(failure.message, 100), code: failure.code };
}

/** Whether a store cannot accept what it was given. */
export function isRefusal(error: unknown): boolean {
	return ["RangeError", "TypeError"].includes(propertyOf(error, "name") as string);
}

/** A stored failure as an error. */
export function asError(failure: TaskFailure): Error {
	return Object.assign(new Error(failure.message), failure);
}

/** The reason of `cancel`. */
export function cancelled(): DOMException {
	return abortError("The job was cancelled");
}

/** The message of an error, of at most 200 characters. */
export function textOf(error: unknown): string {
	return cut(decodeFailure(encodeFailure(error))!.message, 200);
}
