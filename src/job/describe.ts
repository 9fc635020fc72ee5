/**
 * Describes a job for people.
 *
 * @module
 */

import type { AnyJob, JobStep } from "./definition.ts";
import { branchOf } from "./branch-name.ts";
import { groupAt } from "./groups.ts";
import { mayRevert } from "./transitions.ts";
import { refuse } from "../platform/check.ts";

/** A step in a {@link JobDescription}. */
export interface StepDescription {
	/** The name. */
	readonly name: string;
	/** The type of the step. */
	readonly type: "step" | "sleep" | "waitFor" | "each" | "job";
	/** Whether the step can be reverted. Of another job that is a durable function, this is not known, and `true`. */
	readonly hasRevert: boolean;
	/** The maximum number of attempts, of each item of a list; `Infinity` for no limit. */
	readonly attempts: number;
	/** The maximum number of attempts of its revert. */
	readonly revertAttempts: number;
	/**
	 * The duration of a sleep, the timeout of a wait, or the timeout of an attempt of a step or an item, in milliseconds;
	 * `Infinity` for another job.
	 */
	readonly duration: number;
	/** The maximum number of items that run at once, for `"each"` only. */
	readonly atOnce?: number | undefined;
	/** The number of items that may fail, for `"each"` only. */
	readonly tolerate?: number | undefined;
	/** The name of the other job, for `"job"` only. `describeJob` of its definition describes it. */
	readonly job?: string | undefined;
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
	const { revert, attempts = 1, revertAttempts = Infinity, timeout = Infinity, job } = options;
	const hasRevert = revert !== undefined || job !== undefined && mayRevert(job);
	const isCall = type === "step" || type === "each";
	const described = { name, type, hasRevert, attempts, revertAttempts, duration: isCall ? timeout : duration };
	if (type === "job") return { ...described, duration: Infinity, job: job!.name };
	if (type !== "each") return described;
	const { atOnce = Infinity, tolerate = 0 } = options;
	return { ...described, atOnce, tolerate };
}

/** How a step is drawn: with its shape around the label. */
const shapes: Readonly<Record<JobStep["type"], readonly [before: string, after: string]>> = {
	step: ["[", "]"],
	sleep: ["([", "])"],
	waitFor: ["([", "])"],
	each: ["[[", "]]"],
	job: ["[[", "]]"],
};

function labelOf({ name, type, options: { job } }: JobStep): string {
	const label = branchOf(name)?.join(": ") ?? name;
	if (type === "each") return `${label}: each item`;
	return type === "job" ? `${label}: the job ${job!.name}` : label;
}

function quoted(label: string): string {
	return JSON.stringify(label).slice(1, -1).replaceAll('\\"', "#quot;");
}

/**
 * Steps lead downwards, and branches stand side by side. A failed step leads to the nearest revert before it, a failed branch
 * to the last revert of its group, failed items to the revert of the others, and each revert to the previous one. Another
 * job that has failed is reverted already.
 */
function draw(steps: readonly JobStep[]): string {
	const lines = ["flowchart TD"];
	const described = steps.map(describeStep);
	const isRevertible = described.some(({ hasRevert }) => hasRevert);
	const plan = steps.map(({ name }) => name);
	const placesAt = (at: number) => branchOf(plan[at]!) === undefined ? [at] : groupAt(plan, at);
	let back = isRevertible ? "reverted" : "failed";
	for (let at = 0; at < steps.length; at = placesAt(at).at(-1)! + 1) {
		const places = placesAt(at);
		const after = places.at(-1)! + 1;
		const next = after < steps.length ? placesAt(after).map((place) => `s${place}`).join(" & ") : "completed";
		const last = places.findLast((place) => described[place]!.hasRevert);
		const isOfMany = places.length > 1 || steps[at]!.type === "each";
		const failed = isOfMany && last !== undefined ? `r${last}` : back;
		for (const place of places) {
			const [before, after] = shapes[steps[place]!.type];
			const label = quoted(labelOf(steps[place]!));
			lines.push(`s${place}${before}"${label}"${after}`);
			lines.push(`s${place} --> ${next}`);
			lines.push(`s${place} -. fails .-> ${failed}`);
			if (!described[place]!.hasRevert) continue;
			lines.push(`r${place}["revert ${label}"] --> ${back}`);
			back = `r${place}`;
		}
	}
	return lines.join("\n\t") + "\n";
}
