// The definitions of the simulated jobs.
import type { FlowStepContext, JobStepOptions } from "../../../mod.ts";
import type { JobShape, PartShape, StepShape } from "./shapes.ts";
import { type AnyJob, durable, job } from "../../../mod.ts";

/** A call of a function. */
export interface Called {
	readonly shape: JobShape;
	/** The name of the step in the plan, or in the durable function. */
	readonly step: string;
	readonly isRevert: boolean;
	/** The result that is reverted. */
	readonly result?: unknown;
}

export type Perform = (called: Called, context: Pick<FlowStepContext, "id" | "signal" | "attempt">) => Promise<string>;

/** All definitions of a process, the deepest first. */
export function define(shapes: readonly JobShape[], perform: Perform): Map<JobShape, AnyJob> {
	const made = new Map<JobShape, AnyJob>();
	for (const shape of shapes) made.set(shape, shape.isFlow ? flow(shape, perform) : chain(shape, perform, made));
	return made;
}

function flow(shape: JobShape, perform: Perform): AnyJob {
	return durable(shape.name, async (flow) => {
		for (const part of shape.parts as readonly StepShape[]) {
			const { name: step, hasRevert } = part;
			await flow.step(step, (context) => perform({ shape, step, isRevert: false }, context), {
				...tries(part),
				revert: hasRevert ? (result, context) => perform({ shape, step, isRevert: true, result }, context) : undefined,
			});
		}
	}) as unknown as AnyJob;
}

function tries(
	{ attempts, revertAttempts }: StepShape,
): Pick<JobStepOptions<unknown, unknown, string, unknown>, "attempts"> {
	return { attempts, revertAttempts, backoff: 500 } as never;
}

function chain(shape: JobShape, perform: Perform, made: ReadonlyMap<JobShape, AnyJob>): AnyJob {
	const functions = (part: Omit<StepShape, "type">, step: string) => ({
		...tries(part as StepShape),
		// deno-lint-ignore no-explicit-any -- the context of a step or of an item
		run: (context: any) => perform({ shape, step, isRevert: false }, context),
		revert: part.hasRevert
			// deno-lint-ignore no-explicit-any -- the same
			? (context: any) => perform({ shape, step, isRevert: true, result: context.result }, context)
			: undefined,
	});
	// deno-lint-ignore no-explicit-any -- the type of a job depends on its steps
	const add = (job: any, part: PartShape): any => {
		switch (part.type) {
			case "step":
				return job.step(part.name, functions(part, part.name));
			case "sleep":
				return job.sleep(part.name, part.duration);
			case "job":
				return job.job(part.name, made.get(part.job)!, () => undefined);
			case "all": {
				const branches = part.branches.map((branch) => {
					return [branch.name, functions(branch, JSON.stringify([part.name, branch.name]))];
				});
				return job.all(part.name, Object.fromEntries(branches));
			}
			case "each": {
				const { name, items, atOnce, tolerate, hasInto } = part;
				const into = (sum: string | undefined, result: string, index: number) => `${sum ?? ""}${index}:${result};`;
				return job.each(name, {
					...functions(part, name),
					items: () => Array.from({ length: items }, (_, item) => item),
					...{ atOnce, tolerate, into: hasInto ? into : undefined },
				});
			}
		}
	};
	return shape.parts.reduce(add, job(shape.name, { version: shape.version }) as unknown) as AnyJob;
}
