/**
 * Selects tasks by what a store cannot look for: how they have ended, and what they contain.
 *
 * @module
 */

import { decodeFailure } from "../basket/engine.ts";
import type { StoredTask, TaskState } from "../basket/store.ts";
import { headOf } from "./job-reader.ts";
import { decodeData, openPayload } from "./task.ts";
import type { Outcome, Request } from "./terminal.ts";
import { toJson } from "./text.ts";

/** Whether a task is selected. */
export type Matcher = (task: StoredTask) => boolean | Promise<boolean>;

/** The state to look for: what is completed or reverted is done. */
export function stateOf({ state, outcome }: Pick<Request, "state" | "outcome">): TaskState | undefined {
	return state ?? (outcome === "completed" || outcome === "reverted" ? "done" : undefined);
}

/** The test that the store cannot make; `undefined` if there is none. */
export function matcherOf({ outcome, text }: Pick<Request, "outcome" | "text">): Matcher | undefined {
	const tests: Matcher[] = [];
	if (outcome !== undefined) tests.push(async (task) => await outcomeOf(task) === outcome);
	if (text !== undefined) tests.push((task) => textsOf(task).some((each) => each.toLowerCase().includes(text)));
	if (tests.length === 0) return undefined;
	return async (task) => {
		for (const test of tests) if (!await test(task)) return false;
		return true;
	};
}

/** The tasks that match, in their order. */
export async function filter(tasks: readonly StoredTask[], matches: Matcher): Promise<StoredTask[]> {
	const found: StoredTask[] = [];
	for (const task of tasks) if (await matches(task)) found.push(task);
	return found;
}

/** How a task has ended; `undefined` if it has not. A job is done also if it was reverted or has failed. */
export async function outcomeOf({ state, payload }: StoredTask): Promise<Outcome | undefined> {
	if (state === "dead") return "failed";
	if (state !== "done") return undefined;
	return (await headOf(payload))?.status ?? "completed";
}

function textsOf(task: StoredTask): string[] {
	const { id, kind, lane, limitKey, parent, error, result, progress, meta } = task;
	const { name, message } = decodeFailure(error) ?? {};
	const texts = [id, kind, lane, limitKey, parent, name, message, meta, progress];
	const data = [openPayload(task).data, ...result === undefined ? [] : [result]].map((each) => {
		if (typeof each === "string") return each;
		return toJson(decodeData(each).payload);
	});
	return [...texts.filter((each) => each !== undefined), ...data];
}
