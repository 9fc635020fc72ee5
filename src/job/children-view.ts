/**
 * What a job shows of its children, and an item of itself. It is read without definitions, too.
 *
 * @module
 */

import type { ItemInput } from "./children.ts";
import type { JobHead } from "./state.ts";

/** The children of the current step of a job. */
export interface JobChildren {
	/** How many it has. */
	readonly count: number;
	/** How many of them are stored; fewer only until all are. */
	readonly added: number;
}

/** What {@link showChildren} returns. */
export interface ChildrenView {
	readonly children: JobChildren | undefined;
	/** The input, without what an item has of its parent. */
	readonly input: unknown;
	/** The item, if the job is one. */
	readonly item: Pick<ItemInput, "item" | "index"> | undefined;
}

/** @param itemOf the name of the step, if the job is an item of one */
export function showChildren({ input, spawned, status }: Partial<JobHead>, itemOf: string | undefined): ChildrenView {
	const { count = 0, added = 0 } = spawned ?? {};
	const children = spawned === undefined || status !== undefined ? undefined : { count, added };
	if (itemOf === undefined) return { input, children, item: undefined };
	const { item, index = 0 } = Object(input) as Partial<ItemInput>;
	return { input: { item, index }, children, item: { item, index } };
}
