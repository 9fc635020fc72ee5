// Random jobs for simulated processors, with the rules of each step.
import type { JobStepOptions, RevertContext, StepContext } from "../../../mod.ts";
import type { Random } from "../random.ts";
import { type Job, job } from "../../../mod.ts";

export interface StepRules {
	readonly name: string;
	readonly type: "step" | "sleep" | "waitFor";
	readonly hasRevert: boolean;
	readonly attempts: number;
	readonly revertAttempts: number;
	readonly timeout: number | undefined;
	readonly abandonAfter: number | undefined;
	readonly backoff: number | { readonly start: number; readonly factor: number; readonly max: number };
	/** The duration of a sleep, or the maximum duration of a wait. */
	readonly duration: number;
}

export interface JobRules {
	readonly name: string;
	readonly steps: readonly StepRules[];
	/** Whether any step can be reverted. */
	readonly hasRevert: boolean;
}

/** Creates three random jobs. */
export function makeRules(random: Random): JobRules[] {
	return ["red", "green", "blue"].map((name) => {
		const steps = Array.from({ length: 1 + random.below(6) }, (_, index) => makeStep(random, `s${index}`));
		return { name, steps, hasRevert: steps.some(({ hasRevert }) => hasRevert) };
	});
}

function makeStep(random: Random, name: string): StepRules {
	const type = random.weighted({ "step": 6, "sleep": 1, "waitFor": 1 });
	const isStep = type === "step";
	const timeout = isStep && random.chance(0.3) ? 3_000 : undefined;
	return {
		name,
		type,
		hasRevert: isStep && random.chance(0.6),
		attempts: random.pick([1, 1, 2, 3, Infinity]),
		revertAttempts: random.pick([1, 2, 3, Infinity, Infinity]),
		timeout,
		abandonAfter: random.pick([undefined, undefined, undefined, 0, 1_000]),
		backoff: random.pick([500, { start: 1_000, factor: 2, max: 8_000 }]),
		duration: type === "sleep"
			? random.pick([0, 1, 5_000, 60_000])
			: random.pick([1, 10_000, 60_000, Infinity, Infinity, Infinity]),
	};
}

/** Performs a step or a revert. */
export type Perform = (rules: JobRules, step: StepRules, isRevert: boolean, context: StepContext) => unknown;

export function makeJob(rules: JobRules, perform: Perform): Job {
	// deno-lint-ignore no-explicit-any -- the type of a job depends on its steps
	let result: any = job(rules.name, { version: 1 });
	for (const step of rules.steps) {
		const { name, type, duration, hasRevert, attempts, revertAttempts, timeout, abandonAfter, backoff } = step;
		if (type === "sleep") result = result.sleep(name, duration);
		else if (type === "waitFor") result = result.waitFor(name, { timeout: duration });
		else {
			result = result.step(
				name,
				{
					run: (context: StepContext) => perform(rules, step, false, context),
					revert: hasRevert ? (context: RevertContext) => perform(rules, step, true, context) : undefined,
					...{ attempts, revertAttempts, timeout, abandonAfter, backoff },
				} satisfies JobStepOptions<unknown, unknown, string, unknown>,
			);
		}
	}
	return result;
}

/** Returns the steps before `end` that can be reverted, the last one first. */
export function revertable({ steps }: JobRules, end: number): string[] {
	return steps.slice(0, end).filter(({ hasRevert }) => hasRevert).map(({ name }) => name).reverse();
}
