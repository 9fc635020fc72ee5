/**
 * Why the body of a durable function has failed: which of its steps must be tried again if it goes on where it failed.
 *
 * @module
 */

import type { FlowPass } from "./flow-pass.ts";
import type { FlowRecord } from "./state.ts";

/**
 * The numbers of the entries of the log with the failures that the error is or is caused by, and of failures that the body
 * has not seen. A failure that it has caught stays as it is, except the last entry of all: the body may have thrown
 * another error because of it, without a `cause`.
 *
 * @param isThrown whether the body itself has thrown the error
 */
export function causesOf(
	records: readonly FlowRecord[],
	{ calls, open }: Pick<FlowPass, "calls" | "open">,
	error: unknown,
	isThrown: boolean,
): number[] {
	const errors = new Set<unknown>();
	addParts(errors, error);
	const found = records.flatMap(({ name, error }, index) => {
		const call = error === undefined ? undefined : calls.get(name!);
		const isCause = call !== undefined && (open[call.place] === call || (call.thrown && errors.has(call.thrown.error)));
		return isCause ? [index + 1] : [];
	});
	const isLast = isThrown && records.at(-1)?.error !== undefined;
	return found.length === 0 && isLast ? [records.length] : found;
}

/** Adds an error, its causes, and the parts of an `AggregateError`. */
function addParts(found: Set<unknown>, error: unknown): void {
	if (Object(error) !== error || found.has(error)) return;
	found.add(error);
	try {
		const { cause, errors } = error as AggregateError;
		for (const part of [cause, ...Array.isArray(errors) ? errors : []]) addParts(found, part);
	} catch {
		// A getter of the error has thrown.
	}
}
