/**
 * Describes a job for people.
 *
 * @module
 */

import type { AnyJob, JobStep } from "./definition.ts";
import { branchOf } from "./branch-name.ts";
import { groupAt } from "./groups.ts";
import { refuse } from "../platform/check.ts";

/** A step in a {@link JobDescription}. */
export interface StepDescription {
	/** The name. */
	readonly name: string;
	/** The type of the step. */
	readonly type: "step" | "sleep" | "waitFor" | "each" | "job";
	/** Whether the step can be reverted. */
	readonly hasRevert: boolean;
	/** The maximum number of attempts; `Infinity` for no limit. */
	readonly attempts: number;
	/** The maximum number of attempts of its revert. */
	readonly revertAttempts: number;
	/** The duration of a sleep, the timeout of a wait, or the timeout of an attempt of a step, in milliseconds. */
	readonly duration: number;
}

/** A job as data. */
export interface JobDescription {
	/** The name. */
	readonly name: string;
	/** The version. */
	readonly version: number | string | undefined;
	/** The steps in order. */
	readonly steps: readonly StepDescription[];
	/** A Mermaid diagram of the job: steps from top to bottom, with the reverts beside them. */
	readonly mermaid: string;
}

/**
 * Describes the steps of a job, as data and as a diagram.
 *
 * @param job any job that is a chain of steps
 * @throws {TypeError} for a durable function, whose steps only its runs know
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { describeJob, job } from "upkeep";
 *
 * const trip = job("trip")
 * 	.step("flight", { run: () => 1, revert: () => {} })
 * 	.step("hotel", { run: () => 2, attempts: 3 });
 * const { steps, mermaid } = describeJob(trip);
 * assert.deepEqual(steps.map(({ name, attempts, hasRevert }) => [name, attempts, hasRevert]), [
 * 	["flight", 1, true],
 * 	["hotel", 3, false],
 * ]);
 * assert.match(mermaid, /^flowchart TD\n/);
 * ```
 */
export function describeJob({ name, version, steps, engine }: AnyJob): JobDescription {
	if (engine !== undefined) refuse("job", name, "a chain of steps: only its runs know the steps of a durable function");
	return { name, version, steps: steps.map(describeStep), mermaid: draw(steps) };
}

function describeStep({ name, type, options, duration }: JobStep): StepDescription {
	const { revert, attempts = 1, revertAttempts = Infinity, timeout = Infinity } = options;
	const hasRevert = revert !== undefined;
	return { name, type, hasRevert, attempts, revertAttempts, duration: type === "step" ? timeout : duration };
}

/**
 * Steps lead downwards, and branches stand side by side. A failed step leads to the nearest revert before it, a failed branch
 * to the last revert of its group, and each revert to the previous one.
 */
function draw(steps: readonly JobStep[]): string {
	const lines = ["flowchart TD"];
	const isRevertible = steps.some(({ options }) => options.revert);
	const plan = steps.map(({ name }) => name);
	const placesAt = (at: number) => branchOf(plan[at]!) === undefined ? [at] : groupAt(plan, at);
	let back = isRevertible ? "reverted" : "failed";
	for (let at = 0; at < steps.length; at = placesAt(at).at(-1)! + 1) {
		const places = placesAt(at);
		const after = places.at(-1)! + 1;
		const next = after < steps.length ? placesAt(after).map((place) => `s${place}`).join(" & ") : "completed";
		const last = places.findLast((place) => steps[place]!.options.revert);
		const failed = places.length > 1 && last !== undefined ? `r${last}` : back;
		for (const place of places) {
			const { name, type, options } = steps[place]!;
			const label = JSON.stringify(branchOf(name)?.join(": ") ?? name).slice(1, -1).replaceAll('\\"', "#quot;");
			lines.push(`s${place}${type === "step" ? `["${label}"]` : `(["${label}"])`}`);
			lines.push(`s${place} --> ${next}`);
			lines.push(`s${place} -. fails .-> ${failed}`);
			if (options.revert === undefined) continue;
			lines.push(`r${place}["revert ${label}"] --> ${back}`);
			back = `r${place}`;
		}
	}
	return lines.join("\n\t") + "\n";
}
