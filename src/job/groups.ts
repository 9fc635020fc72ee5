/**
 * The branches of a job: steps that run at the same time. In the plan they stand one after the other, and their names are
 * lists, such as `["book","flight"]`, so that the plan alone shows what belongs together.
 *
 * @module
 */

import { branchOf } from "./branch-name.ts";
import type { JobHead, JobResults } from "./state.ts";

/** What is known of the place of a job. */
type Place = Pick<JobHead, "plan" | "at" | "isBackward" | "status" | "open" | "pending">;

/** The places of the group that a branch belongs to. */
export function groupAt(plan: readonly string[], at: number): readonly number[] {
	const prefix = `${JSON.stringify(branchOf(plan[at]!)!.slice(0, 1)).slice(0, -1)},`;
	let start = at;
	let end = at + 1;
	while (start > 0 && plan[start - 1]!.startsWith(prefix)) start--;
	while (end < plan.length && plan[end]!.startsWith(prefix)) end++;
	return Array.from({ length: end - start }, (_, index) => start + index);
}

/** The places of the current branches that are not done; none if the current step is no branch. */
export function openBranches({ plan, at, isBackward, status, open, pending }: Place): readonly number[] {
	// The names of a durable function are all its own.
	if (isBackward || status !== undefined || pending !== undefined || branchOf(plan[at]!) === undefined) return [];
	return open ?? groupAt(plan, at);
}

/** The place of a job after the step at `done`. */
export function placeAfter(state: Place, done: number): Pick<JobHead, "at" | "open"> {
	if (branchOf(state.plan[done]!) === undefined) return { at: done + 1, open: undefined };
	const open = openBranches(state).filter((at) => at !== done);
	// The place of a group is that of its first branch.
	return open.length > 0 ? { at: state.at, open } : { at: groupAt(state.plan, done).at(-1)! + 1, open: undefined };
}

/** The place of a job that turns backward: behind everything that may be done. */
export function placeToTurn(state: Place & Pick<JobHead, "spawned">): Pick<JobHead, "at" | "open"> {
	if (state.spawned !== undefined) return { at: state.at + 1, open: undefined };
	const open = openBranches(state);
	return open.length > 0 ? { at: groupAt(state.plan, state.at).at(-1)! + 1, open } : { at: state.at, open: undefined };
}

/** Adds a result, which nobody can change: many results are one object for all steps. */
export function keepResult(results: JobResults, name: string, value: unknown): void {
	Object.defineProperty(results, name, { value, enumerable: true });
}

/** Adds the result of the step at `at`. Those of branches are one object for their group, see {@link sortGroup}. */
export function keepStep(results: JobResults, plan: readonly string[], at: number, value: unknown): void {
	const [group, branch = ""] = branchOf(plan[at]!) ?? [];
	if (group === undefined) return keepResult(results, plan[at]!, value);
	if (!Object.hasOwn(results, group)) keepGroup(results, group, {});
	keepResult(results[group] as JobResults, branch, value);
}

/** Adds the results of several steps. Those of a group are then in the order of the plan. */
export function keepSteps(
	results: JobResults,
	plan: readonly string[],
	values: Iterable<readonly [at: number, value: unknown]>,
): void {
	const groups = new Map<string, number>();
	for (const [at, value] of values) {
		keepStep(results, plan, at, value);
		const [group] = branchOf(plan[at]!) ?? [];
		if (group !== undefined) groups.set(group, at);
	}
	for (const at of groups.values()) sortGroup(results, plan, at);
}

/** Brings the results of the group of a branch into the order of the plan. It reads all of them: once for many results. */
export function sortGroup(results: JobResults, plan: readonly string[], at: number): void {
	const [group] = branchOf(plan[at]!) ?? [];
	if (group === undefined) return;
	const known = results[group] as JobResults;
	const sorted = {};
	for (const place of groupAt(plan, at)) {
		const [, branch] = branchOf(plan[place]!)!;
		if (Object.hasOwn(known, branch)) keepResult(sorted, branch, known[branch]);
	}
	keepGroup(results, group, sorted);
}

function keepGroup(results: JobResults, group: string, value: object): void {
	Object.defineProperty(results, group, { value, enumerable: true, configurable: true });
}

/** The result of a step of a chain; `undefined` if there is none. */
export function resultOf(results: JobResults, name: string): unknown {
	const [group, branch = name] = branchOf(name) ?? [];
	const all = group === undefined ? results : results[group] as JobResults | undefined;
	return all !== undefined && Object.hasOwn(all, branch) ? all[branch] : undefined;
}
