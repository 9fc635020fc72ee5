// What became of an engine's run: the verdict over its report and its exit code, and the table that ends `npm test`.
import type { Outcome } from "./child.ts";
import type { Counts } from "./reports.ts";

export interface Result extends Counts {
	name: string;
	/** Why all or some of its tests did not run, or what went wrong besides failing tests. */
	reason: string;
	/** Whether the engine ran at all. */
	ran: boolean;
}

/** The result of an engine that was not started. */
export function notRun(name: string, reason: string, failed: number = 0): Result {
	return { name, passed: 0, failed, skipped: 0, reason, ran: false };
}

/**
 * The result of an engine that was started. A run that went wrong counts as a failed test of its own, whatever its report
 * says, so that the totals never look better than the exit code. `counts` is undefined if it left no report; a run that is
 * `narrowed` to some files or titles may well have no test; `left` is how many files wait for `--long`.
 */
export function judge(
	name: string,
	counts: Counts | undefined,
	{ code, fault }: Outcome,
	narrowed: boolean,
	left: number = 0,
): Result {
	const { passed, failed, skipped } = counts ?? { passed: 0, failed: 0, skipped: 0 };
	const skips = skipped === 0 ? [] : [narrowed ? "skipped, or not asked for" : "skipped by the tests"];
	const reason = [...skips, ...(left > 0 ? [`${left} files only with --long`] : [])].join("; ");
	const result: Result = { name, passed, failed, skipped, reason, ran: true };
	const failure = (reason: string): Result => ({ ...result, failed: failed + 1, reason });
	if (fault !== undefined) return failure(fault);
	if (code !== 0 && failed === 0) return failure(`exit code ${code}, though no test failed`);
	if (passed + failed + skipped === 0 && !narrowed) return failure("it reported no test");
	return result;
}

export function total(results: readonly Result[]): Counts {
	const sum = (key: keyof Counts): number => results.reduce((count, result) => count + result[key], 0);
	return { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") };
}

export function formatCounts({ passed, failed, skipped }: Counts): string {
	return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

export function formatTable(results: readonly Result[]): string {
	const rows = results.map(({ name, passed, failed, skipped, reason, ran }) =>
		ran ? [name, passed, failed, skipped, reason] : [name, "–", failed || "–", "all", reason]
	);
	return [["engine", "passed", "failed", "not run", "reason"], ...rows].map(formatRow).join("\n");
}

function formatRow([name, passed, failed, skipped, reason]: (string | number)[]): string {
	const numbers = [passed, failed, skipped].map((cell) => String(cell).padStart(9));
	return `${String(name).padEnd(10)}${numbers.join("")}  ${reason}`.trimEnd();
}
