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
	/**
	 * The error of the last attempt. Each other error that is shown, of an earlier attempt, a step or a revert, is this in a call
	 * of its own.
	 */
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
	/** What may be shown of another error. Never throws. */
	readonly showError: (error: TaskFailure | undefined) => TaskFailure | undefined;
}

const members = ["payload", "result", "results", "meta", "progress", "error", "history"] as const;

/** Calls `redact`. Never throws. */
export function redacted(redact: Redact | undefined, task: RedactableTask, onError: OnError | undefined): Redacted {
	if (redact === undefined) return { ...task, isWithheld: false, showError: (error) => error };
	const shown = attempt(redact, task, onError);
	if (shown === undefined) return { isWithheld: true, showError: () => undefined };
	const showError: Redacted["showError"] = (error) => error && attempt(redact, { ...task, error }, onError)?.error;
	return { ...shown, isWithheld: false, showError };
}

/**
 * The attempts that may be shown. Those errors that `redact` has left as they were given are redacted as errors: a function
 * that only knows `error` hides these, too.
 */
export function showAttempts(
	{ history = [], showError }: Redacted,
	given: readonly InspectedAttempt[],
): readonly InspectedAttempt[] {
	const untouched = new Set(given.map(({ error }) => error));
	return history.map((attempt) => {
		if (attempt.error === undefined || !untouched.has(attempt.error)) return attempt;
		const { name, message } = showError(attempt.error) ?? {};
		return { ...attempt, error: name === undefined ? undefined : { name, message: message! } };
	});
}

/** Calls `redact`; `undefined` if it fails. */
function attempt(
	redact: Redact,
	task: RedactableTask,
	onError: OnError | undefined,
): Omit<RedactableTask, "source" | "id" | "kind"> | undefined {
	try {
		const result: unknown = redact({ ...task, ...task.error && { error: { ...task.error } } });
		if (
			Object(result) !== result || typeof result === "function" ||
			typeof (result as PromiseLike<unknown>).then === "function"
		) {
			throw new TypeError("redact must return an object");
		}
		// Read once, because a getter may throw or change its mind.
		return checkShapes(Object.fromEntries(members.map((name) => [name, (result as RedactableTask)[name]])));
	} catch (error) {
		report(onError, error);
		return undefined;
	}
}

/** What is shown member by member must be an object, if it is there. */
function checkShapes(shown: Omit<RedactableTask, "source" | "id" | "kind">): typeof shown {
	const { results, meta, progress, error, history } = shown;
	const isSound = [results, meta, progress, error, history].every((part) =>
		part === undefined || Object(part) === part
	);
	if (isSound && (history === undefined || Array.isArray(history))) {
		return {
			...shown,
			error: error && textsOf(error),
			progress: progress && { ...progress, value: Number(progress.value) },
		};
	}
	throw new TypeError("redact must return results, meta, progress and error as objects, and history as an array");
}

/** Lists are searched for the texts of an error, and all of them are sent. */
function textsOf({ name, message, code, stack }: TaskFailure): TaskFailure {
	const textOf = (value: unknown) => value === undefined ? undefined : String(value);
	return {
		name: String(name),
		message: String(message),
		code: typeof code === "number" ? code : textOf(code),
		stack: textOf(stack),
	};
}
