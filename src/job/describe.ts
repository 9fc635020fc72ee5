/**
 * A job for people to look at.
 *
 * @module
 */

import type { AnyJob, JobStep } from "./job.ts";

/** A step in a {@link JobDescription}. */
export interface StepDescription {
	/** What it is called. */
	readonly name: string;
	/** What it does. */
	readonly type: "step" | "sleep" | "waitFor";
	/** Whether it can be reverted. */
	readonly hasRevert: boolean;
	/** How often it is tried; `Infinity` for ever. */
	readonly attempts: number;
	/** How often its revert is tried. */
	readonly revertAttempts: number;
	/** How long it sleeps or waits at most, in milliseconds; for a step, how long an attempt may take. */
	readonly duration: number;
}

/** A job as data. */
export interface JobDescription {
	/** What it is called. */
	readonly name: string;
	/** Its version. */
	readonly version: number | string | undefined;
	/** Its steps, in their order. */
	readonly steps: readonly StepDescription[];
	/** The same as a diagram, in the language of Mermaid: forward from the top, the reverts beside their steps. */
	readonly mermaid: string;
}

/**
 * Describes the steps of a job, as data and as a diagram.
 *
 * @param job any job
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
export function describeJob({ name, version, steps }: AnyJob): JobDescription {
	return { name, version, steps: steps.map(describeStep), mermaid: draw(steps) };
}

function describeStep({ name, type, options, duration }: JobStep): StepDescription {
	const { revert, attempts = 1, revertAttempts = Infinity, timeout = Infinity } = options;
	const hasRevert = revert !== undefined;
	return { name, type, hasRevert, attempts, revertAttempts, duration: type === "step" ? timeout : duration };
}

/** Forward downwards; a step that fails leads to the nearest revert before it, and each revert to the one before. */
function draw(steps: readonly JobStep[]): string {
	const lines = ["flowchart TD"];
	const isRevertible = steps.some(({ options }) => options.revert);
	let back = isRevertible ? "reverted" : "failed";
	steps.forEach(({ name, type, options }, index) => {
		const label = JSON.stringify(name).slice(1, -1).replaceAll('\\"', "#quot;");
		lines.push(`s${index}${type === "step" ? `["${label}"]` : `(["${label}"])`}`);
		lines.push(`s${index} --> ${index + 1 < steps.length ? `s${index + 1}` : "completed"}`);
		lines.push(`s${index} -. fails .-> ${back}`);
		if (options.revert === undefined) return;
		lines.push(`r${index}["revert ${label}"] --> ${back}`);
		back = `r${index}`;
	});
	return lines.join("\n\t") + "\n";
}
