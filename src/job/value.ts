/**
 * The values of jobs and their steps, and how they are stored.
 *
 * @module
 */

import { branchOf } from "./branch-name.ts";
import type { FlowRecord, JobCheckpoint } from "./state.ts";
import { check } from "../platform/check.ts";

/** The value of a completed job: that of its body, or the result of its last step. */
export function valueOf(
	{ plan, results, value, pending }: Pick<JobCheckpoint, "plan" | "results"> & Partial<JobCheckpoint>,
): unknown {
	if (pending !== undefined) return value;
	const name = plan.at(-1) ?? "";
	return results[branchOf(name)?.[0] ?? name];
}

/** What is stored of a result, see {@link FlowRecord.gaps}. */
export function storable(value: unknown): Pick<FlowRecord, "value" | "gaps"> {
	if (!Array.isArray(value) || !value.includes(undefined)) return { value };
	const gaps = [...value.keys()].filter((index) => value[index] === undefined);
	return { value: Array.from(value, (item) => item ?? null), gaps };
}

/** Undoes {@link storable}. */
export function widen(value: unknown, gaps: readonly number[]): unknown {
	const isList = Array.isArray(value) && Array.isArray(gaps) && gaps.every((index) => index in value);
	check("gaps", gaps, "object", isList, "indexes of the value");
	for (const index of gaps) (value as unknown[])[index] = undefined;
	return value;
}

/** The value of which {@link storable} has been stored. */
export function restored({ value, gaps }: Pick<FlowRecord, "value" | "gaps">): unknown {
	return gaps === undefined ? value : widen(value, gaps);
}
