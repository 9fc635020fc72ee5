/**
 * The last attempts of a task: what operators see of its past. They are kept as one short text beside the task, so that a
 * turn costs the same whatever they are.
 *
 * @module
 */

import { cut, decodeFailure, type TaskFailure } from "./codec.ts";
import type { Ending } from "./ending.ts";
import type { Watched } from "./observing.ts";
import type { Kind } from "./options.ts";
import type { Clock } from "../platform/clock.ts";
import { type Claim, type ClaimOrigin, mostHistory, type Outcome } from "./store.ts";

/** An attempt of a task that has ended. */
export interface TaskAttempt {
	/** The number of the attempt, from 1. A task that begins anew counts from 1 again. */
	readonly attempt: number;
	/** The start, in milliseconds since 1970 on the store's clock: of an attempt that never ended, the time of its claim. */
	readonly startedAt: number;
	/** The end. `undefined` if the attempt has never ended: its process died, or has lost the claim. */
	readonly endedAt: number | undefined;
	/** The worker that has made it: see `worker` of {@link BasketOptions}. */
	readonly worker: string | undefined;
	/** Its error, if it has failed: the name, and up to 200 characters of the message. */
	readonly error: Pick<TaskFailure, "name" | "message"> | undefined;
}

/** The past of a task. */
export interface TaskHistory {
	/** When a task with this id was first added, if it has begun anew since. */
	readonly firstAddedAt: number | undefined;
	/**
	 * The last attempts that have ended: at most 10, the oldest first. Of several in a row that never ended, it has the last
	 * one; `crashes` of the task counts them.
	 */
	readonly attempts: readonly TaskAttempt[];
}

/** An attempt as it is stored. */
type StoredAttempt = readonly [
	attempt: number,
	startedAt: number,
	duration: number | null,
	worker: string | null,
	name?: string,
	message?: string,
];

/** The maximum number of attempts in a history. */
const mostAttempts = 10;

/** The part of a claimed task that its history needs. */
interface Chronicled {
	readonly claim: Claim;
	readonly attempt: number;
	/** The store's clock at the claim, minus the monotonic clock when its answer arrived. */
	readonly ahead: number;
	readonly watched?: Pick<Watched, "begunAt"> | undefined;
}

/** Who makes the attempts. */
interface Worker {
	readonly worker: string;
	readonly clock: Pick<Clock, "monotonic">;
}

/** Adds what has become of an attempt to its ending, if that is kept. */
export function withHistory(
	task: Chronicled,
	ending: Ending,
	{ worker, clock, kinds }: Worker & { readonly kinds: ReadonlyMap<string, Pick<Kind, "isObserved" | "isJob">> },
	begunAt: number,
): Ending {
	const { outcome } = ending;
	const { isObserved, isJob } = kinds.get(task.claim.kind)!;
	const mustKeep = !isJob && isKept(outcome);
	if ((!isObserved && !mustKeep) || task.attempt === 0) return ending;
	const took = clock.monotonic() - (task.watched?.begunAt ?? begunAt);
	if (!mustKeep) return { ...ending, took };
	const history = nextHistory(task.claim, attemptOf(task, begunAt, took, worker, outcome));
	return { ...ending, took, outcome: { ...outcome, history } };
}

/** An outcome, with the claim before this one if that ended without a settlement: its store keeps that no longer. */
export function withLapse(claim: Claim, outcome: Outcome): Outcome {
	if (claim.lapsed === undefined || outcome.history !== undefined) return outcome;
	if (outcome.type === "done" && !outcome.retain) return outcome;
	return { ...outcome, history: nextHistory(claim) };
}

function isKept(outcome: Outcome): boolean {
	return outcome.type === "retry" || outcome.type === "dead" || outcome.type === "done" && (outcome.retain ?? 0) > 0;
}

/** @param took the duration of the attempt, in milliseconds */
function attemptOf(
	{ attempt, ahead }: Chronicled,
	begunAt: number,
	took: number,
	worker: string,
	outcome?: Outcome,
): StoredAttempt {
	const begun = [attempt, Math.round(ahead + begunAt), Math.max(0, Math.round(took)), worker] as const;
	if (outcome === undefined || !("error" in outcome)) return begun;
	const { name, message } = decodeFailure(outcome.error)!;
	return [...begun, cut(name, 50), cut(message, 200)];
}

/** The history of a task whose claim ends now. */
function nextHistory({ history, lapsed, attempts, addedAt }: Claim, attempt?: StoredAttempt): string {
	const { since, stored } = read(history);
	const more = [lapsed && lapse(lapsed, attempts), attempt].filter((one) => one !== undefined);
	const all = [...stored, ...more].slice(-mostAttempts);
	while (true) {
		const text = JSON.stringify([Math.min(since, addedAt), ...all]);
		if (text.length <= mostHistory) return text;
		all.shift();
	}
}

function lapse({ worker, at }: ClaimOrigin, attempt: number): StoredAttempt {
	return [attempt, at, null, worker ?? null];
}

/** Whatever cannot be read is left out: it is for people only. */
function read(history: string | undefined): { readonly since: number; readonly stored: readonly StoredAttempt[] } {
	try {
		const [since, ...stored] = JSON.parse(history ?? "[]");
		return { since: Number.isFinite(since) ? since : Infinity, stored: stored.filter(isAttempt) };
	} catch {
		return { since: Infinity, stored: [] };
	}
}

/** Whether each part has its type: what shows attempts relies on it. */
function isAttempt(stored: unknown): stored is StoredAttempt {
	if (!Array.isArray(stored)) return false;
	const [attempt, startedAt, duration, ...texts] = stored;
	const areNumbers = [attempt, startedAt, duration ?? 0, startedAt + duration].every(Number.isFinite);
	return areNumbers && texts.every((text) => typeof (text ?? "") === "string");
}

/** The past of a task, as it is shown. */
export function showHistory(
	{ history, claim, state, attempts, addedAt }: {
		readonly history?: string | undefined;
		readonly claim?: ClaimOrigin | undefined;
		readonly state: string;
		readonly attempts: number;
		readonly addedAt: number;
	},
): TaskHistory {
	const { since, stored } = read(history);
	const lapsed = claim === undefined || state === "running" ? [] : [lapse(claim, attempts)];
	const shown = [...stored, ...lapsed].map(([attempt, startedAt, duration, worker, name, message]): TaskAttempt => ({
		attempt,
		startedAt,
		endedAt: duration === null ? undefined : startedAt + duration,
		worker: worker ?? undefined,
		error: typeof name === "string" ? { name, message: message ?? "" } : undefined,
	}));
	return { firstAddedAt: since < addedAt ? since : undefined, attempts: shown };
}
