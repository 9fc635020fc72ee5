/**
 * The children of a job: for each item of a list a job of one step, or another job as a step. They are tasks of the same
 * basket, which any process runs.
 *
 * @module
 */

import type { StepContext } from "./context.ts";
import { JobDefinition, type JobStep } from "./definition.ts";
import type { JobStepOptions } from "./step-options.ts";
import { limit } from "../limit/limit.ts";

/** The input of the child of an item. */
export interface ItemInput {
	readonly item: unknown;
	readonly index: number;
	/** The `uid` of its parent. */
	readonly parent: string;
}

/** The definition of the children of a step that has a list. */
export function itemJob(job: JobDefinition, { name, options }: JobStep): JobDefinition {
	const { items: _, into: __, tolerate: ___, atOnce = Infinity, run, revert, ...attempts } = options;
	const given = (context: StepContext<ItemInput>) => {
		const { item, index } = context.input;
		return Object.assign(context, { item, index }) as never;
	};
	const step: JobStepOptions<ItemInput, unknown, string, unknown, unknown> = {
		...attempts,
		run: (context) => (run as unknown as (context: never) => unknown)(given(context)),
		revert: revert && ((context) => (revert as unknown as (context: never) => unknown)(given(context))),
	};
	const bounds = atOnce < Infinity ? limit({ key: ({ parent }: ItemInput) => parent, atOnce }) : undefined;
	return new JobDefinition(job.name, { version: job.version, limit: bounds as never }, [
		{ name, type: "step", options: step as JobStep["options"], duration: 0 },
	]);
}
