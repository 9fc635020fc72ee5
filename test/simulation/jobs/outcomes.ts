// Compares the outcomes and states from a processor with the stored ones.
import type { JobAttempt, JobOutcome, JobRecord } from "../../../mod.ts";
import type { CountedAttempt, JobBook } from "./books.ts";

/** Returns the error in an outcome, if there is one. */
export function checkOutcome(book: JobBook, { history, ...outcome }: JobOutcome): string | undefined {
	const { state, rules } = book;
	const { status, results, error, revertError, unreverted = [] } = state;
	const value = status === "completed" ? results[rules.steps.at(-1)!.name] : undefined;
	const expected = { status, value, error, revertError, results, unreverted };
	return differ(outcome, expected) ?? checkHistory(book, history);
}

/** Returns the error in a state, if there is one. */
export function checkState(book: JobBook, shown: JobRecord): string | undefined {
	const { state, entry, rules } = book;
	const { at, isBackward, attempts, previous: previousError, results, error, revertError, input, version } = state;
	const step = rules.steps[isBackward ? at - 1 : at]?.name;
	const direction = isBackward ? "backward" : "forward";
	const status = state.status ?? (entry.state === "waiting" && entry.isHeld ? "held" : entry.state);
	const position = { direction, step: state.status === undefined ? step : undefined, attempts, previousError };
	// The ledger checks what the lapses and the run are read from.
	const { history, key: _, problem: __, dueAt: ___, lapses: ____, run: _____, steps, ...rest } = shown;
	const { id, addedAt, lane, priority } = entry;
	const expected = { id, job: rules.name, addedAt, lane, priority, input, version, meta: {} };
	const wrong = differ(steps.map(({ name }) => name), rules.steps.map(({ name }) => name));
	const areDone = state.status !== "completed" || steps.every(({ state }) => state === "done");
	if (wrong !== undefined || !areDone) return `with the steps ${JSON.stringify(steps)}`;
	return differ(rest, { ...expected, status, ...position, results, error, revertError }) ?? checkHistory(book, history);
}

/** Checks that the history contains the last attempts. */
function checkHistory({ history }: JobBook, shown: readonly JobAttempt[]): string | undefined {
	const told = shown.map(({ error, startedAt: _, ...rest }) => ({ ...rest, hasFailed: error !== undefined }));
	const expected = history.slice(-50).map((attempt, index) => ({ ...told[index], ...clean(attempt) }));
	if (shown.some(({ startedAt }) => !Number.isInteger(startedAt))) {
		return `with attempts at ${shown.map(({ startedAt }) => startedAt)}`;
	}
	return differ(told, expected);
}

/** Removes an unknown duration. */
function clean({ duration, ...rest }: CountedAttempt): object {
	return duration === undefined ? rest : { ...rest, duration };
}

function differ(actual: object, expected: object): string | undefined {
	const [text, right] = [toText(actual), toText(expected)];
	return text === right ? undefined : `${text}, should be ${right}`;
}

/** Serializes a value with sorted keys and without undefined properties. */
function toText(value: unknown): string {
	return JSON.stringify(value, (_, part) => {
		const isRecord = typeof part === "object" && part !== null && !Array.isArray(part);
		return isRecord ? Object.fromEntries(Object.entries(part).sort()) : part;
	});
}
