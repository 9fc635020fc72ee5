/**
 * What may not leave the process: a function of the program removes it from each task.
 *
 * @module
 */

import type { InspectedAttempt, InspectionSource } from "./records.ts";
import type { TaskFailure } from "../basket/engine.ts";
import { type OnError, report } from "../platform/observe.ts";

/** The part of a task or job that {@link Redact} sees: everything that programs and users have put into it. */
export interface RedactableTask {
	/** Where it is. It cannot be changed, like the following two. */
	readonly source: InspectionSource;
	/** The id. */
	readonly id: string;
	/** The kind; the name of the definition of a job. */
	readonly kind: string;
	/** The decoded payload; the input of a job. */
	readonly payload?: unknown;
	/** The result of a done task. */
	readonly result?: unknown;
	/** The results of a job by the names of its steps. */
	readonly results?: Readonly<Record<string, unknown>> | undefined;
	/** The texts that travel with it. */
	readonly meta?: Readonly<Record<string, string>> | undefined;
	/** The last reported progress. */
	readonly progress?: { readonly value: number; readonly description?: string | undefined } | undefined;
	/** The error of the last attempt. If it is changed, the other errors of a job and of its steps are withheld. */
	readonly error?: TaskFailure | undefined;
	/** The attempts that have ended, of the task or of the steps of a job, with their errors. */
	readonly history?: readonly InspectedAttempt[] | undefined;
}

/**
 * Returns what may be shown of a task: what the result lacks is withheld. If it throws, or returns anything but an object,
 * everything is withheld. Ids, kinds and lanes are always shown, because they are what operators work with.
 */
export type Redact = (task: RedactableTask) => Omit<RedactableTask, "source" | "id" | "kind">;

/** What may be shown. */
export interface Redacted extends Omit<RedactableTask, "source" | "id" | "kind"> {
	/** Whether {@link Redact} has failed. */
	readonly isWithheld: boolean;
}

const members = ["payload", "result", "results", "meta", "progress", "error", "history"] as const;

/** Calls `redact`. Never throws. */
export function redacted(redact: Redact | undefined, task: RedactableTask, onError: OnError | undefined): Redacted {
	if (redact === undefined) return { ...task, isWithheld: false };
	try {
		const result: unknown = redact({ ...task });
		if (
			Object(result) !== result || typeof result === "function" ||
			typeof (result as PromiseLike<unknown>).then === "function"
		) {
			throw new TypeError("redact must return an object");
		}
		// Read once, because a getter may throw or change its mind.
		const shown = Object.fromEntries(members.map((name) => [name, (result as RedactableTask)[name]]));
		return { ...checkShapes(shown), isWithheld: false };
	} catch (error) {
		report(onError, error);
		return { isWithheld: true };
	}
}

/** What is shown member by member must be an object, if it is there. */
function checkShapes(shown: Omit<RedactableTask, "source" | "id" | "kind">): typeof shown {
	const { results, meta, progress, error, history } = shown;
	const isSound = [results, meta, progress, error, history].every((part) =>
		part === undefined || Object(part) === part
	);
	if (isSound && (history === undefined || Array.isArray(history))) return shown;
	throw new TypeError("redact must return results, meta, progress and error as objects, and history as an array");
}
