/**
 * Shows the attempts of a task: when they began and ended, who made them, and what went wrong.
 *
 * @module
 */

import type { TaskAttempt } from "../basket/history.ts";
import type { StoredTask } from "../basket/store.ts";
import { type JobHead, showHistory as showSteps } from "../job/state.ts";
import { toTable } from "./table.ts";
import { describeFailure, historyOf, runOf } from "./task.ts";
import type { Terminal } from "./terminal.ts";
import { clean, duration, instant } from "./text.ts";

/** An attempt of a task or of the step of a job; the current one has no end. */
export interface Attempt extends Omit<TaskAttempt, "attempt"> {
	/** The number of the attempt; absent for the current one. */
	readonly attempt?: number | undefined;
	/** The step of a job. */
	readonly step?: string | undefined;
	/** Whether it runs now. */
	readonly isRunning?: boolean | undefined;
}

/** The current attempt, or the one that has begun last. */
export function lastAttempt(task: StoredTask, job?: JobHead): Attempt | undefined {
	const run = runOf(task);
	if (run !== undefined) {
		return { startedAt: run.since, endedAt: undefined, worker: run.worker, error: undefined, isRunning: true };
	}
	const steps = (job === undefined ? [] : showSteps(job)).map((
		{ step, attempt, startedAt, duration, error },
	): Attempt => ({
		...{ step, attempt, startedAt, worker: undefined, endedAt: startedAt + duration },
		error: error === undefined ? undefined : { name: "Error", message: error },
	}));
	const all: readonly Attempt[] = [...historyOf(task)?.attempts ?? [], ...steps];
	return all.reduce<Attempt | undefined>(
		(last, each) => last && last.startedAt > each.startedAt ? last : each,
		undefined,
	);
}

/** The time of the last failure of a task, if it is known. */
export function failedAt(task: StoredTask, job?: JobHead): number | undefined {
	const steps = (job === undefined ? [] : showSteps(job)).filter(({ error }) => error !== undefined);
	const failed = historyOf(task)?.attempts.filter(({ error }) => error !== undefined) ?? [];
	const times = [
		...failed.map(({ startedAt, endedAt = startedAt }) => endedAt),
		...steps.map(({ startedAt, duration }) => startedAt + duration),
	];
	return times.reduce<number | undefined>((last, time) => Math.max(last ?? time, time), undefined);
}

/** How long an attempt took, or takes so far. */
export function lengthOf({ startedAt, endedAt, isRunning }: Attempt, now: number): string {
	if (isRunning) return `${duration(Math.max(0, now - startedAt))} so far`;
	return endedAt === undefined ? "?" : duration(endedAt - startedAt);
}

/** What came of an attempt, in a few words. */
export function outcomeText({ endedAt, isRunning, error }: Attempt): string {
	if (error !== undefined) return `failed: ${describeFailure(error)}`;
	if (isRunning) return "running";
	return endedAt === undefined ? "never ended: its process died, or has lost its claim" : "done";
}

/** The attempts of a task as lines, the oldest first; of a job, the claims in which its steps were run. */
export function attemptLines(
	task: StoredTask,
	isJob: boolean,
	now: number,
	{ columns: width, paint }: Pick<Terminal, "columns" | "paint">,
): string[] {
	const run = runOf(task);
	const current = run === undefined ? [] : [lastAttempt(task)!];
	const attempts: readonly Attempt[] = [...historyOf(task)?.attempts ?? [], ...current];
	if (attempts.length === 0) return [];
	const columns = [
		{ title: "#", isRight: true },
		...["BEGAN", "ENDED", "TOOK", "WORKER", "OUTCOME"].map((title) => ({ title })),
	];
	const rows = attempts.map((attempt) => {
		const { startedAt, endedAt, worker } = attempt;
		const end = endedAt === undefined ? "" : instant(endedAt);
		const number = String(attempt.attempt ?? task.attempts + 1);
		return [number, instant(startedAt), end, lengthOf(attempt, now), clean(worker ?? ""), outcomeText(attempt)];
	});
	const squeeze = [[4, 12], [5, 30], [2, 0], [4, 0], [5, 12]] as const;
	const table = toTable(columns, rows, squeeze, width - 2, paint).map((line) => `  ${line}`);
	return ["", paint("bold", isJob ? "Last claims" : "Attempts"), ...table];
}
