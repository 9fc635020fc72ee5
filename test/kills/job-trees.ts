// A job with children for the kill tests: a list, and another job that has a list. All lines of the log have the id of the
// job at the top.
import { type AnyJob, type FlowStepContext, job, type JobOutcome, type RunnerOptions, type Store } from "../../mod.ts";
import type { JobLine, JobWork } from "./jobs.ts";
import { stopNow } from "../../mod.ts";

/** Makes an attempt of a step or of its revert, and logs it. */
export type Attempt = (
	context: Pick<FlowStepContext, "id" | "step" | "signal">,
	work: JobWork,
	isRevert: boolean,
) => Promise<string>;

interface Branch extends JobWork {
	/** The id of the job at the top. */
	readonly top: string;
	readonly n: number;
}

/** The steps in the order in which they run. Those of a list run in any order. */
const order: readonly (readonly string[])[] = [["a"], ["l0", "l1", "l2", "l3"], ["x"], ["i0", "i1", "i2"], ["d"]];
/** This one fails, which is tolerated. */
const failing = "l3";

/** Creates the definitions: the job at the top, and the one below it. */
export function makeTree(
	attempt: Attempt,
	tries: Pick<RunnerOptions, "backoff"> & { attempts: number },
): readonly AnyJob[] {
	const list = (name: string, count: number) => ({
		...tries,
		atOnce: 2,
		items: ({ id, input }: { id: string; input: JobWork }) => {
			return Array.from({ length: count }, (_, n): Branch => ({ top: id, ...input, n }));
		},
		run: ({ item, signal }: { item: Branch; signal: AbortSignal }) => {
			const step = `${name}${item.n}`;
			if (step === failing) throw stopNow(new Error("which is tolerated"));
			return attempt({ id: item.top, step, signal }, item, false);
		},
		revert: ({ item, signal }: { item: Branch; signal: AbortSignal }) => {
			return attempt({ id: item.top, step: `${name}${item.n}`, signal }, item, true);
		},
	});
	const below = job<JobWork & { readonly top: string }>("kill-branches")
		.step("x", {
			...tries,
			run: ({ input, step, signal }) => attempt({ id: input.top, step, signal }, input, false),
			revert: ({ input, step, signal }) => attempt({ id: input.top, step, signal }, input, true),
		})
		.each("items", {
			...list("i", 3),
			into: (sum: string | undefined, token: string) => sum === undefined ? token : `${sum},${token}`,
		});
	const step = (hasRevert: boolean) => ({
		...tries,
		run: (context: FlowStepContext & { input: JobWork }) => attempt(context, context.input, false),
		revert: hasRevert
			? (context: FlowStepContext & { input: JobWork }) => attempt(context, context.input, true)
			: undefined,
	});
	const top = job<JobWork>("kill-trees").step("a", step(true)).each("list", { ...list("l", 4), tolerate: 1 })
		.job("below", below, ({ id, input }) => ({ ...input, top: id })).step("d", step(false));
	return [top as unknown as AnyJob, below as unknown as AnyJob];
}

/** Returns what is wrong with a tree that was to end in this way. */
export function treeProblems({ end }: JobWork, outcome: JobOutcome | undefined, lines: readonly JobLine[]): string[] {
	if (outcome === undefined) return ["it has not ended"];
	const { status, results, unreverted, error } = outcome;
	if (status !== end) return [`it is ${status}: ${JSON.stringify(error)}`];
	const { a, list, below, d } = results as Partial<Record<"a" | "below" | "d", string>> & { list?: readonly string[] };
	const tokens: Record<string, string | undefined> = { a, d };
	for (const [n, token] of list?.entries() ?? []) tokens[`l${n}`] = token;
	for (const [n, token] of below?.split(",").entries() ?? []) tokens[`i${n}`] = token;
	const problems: string[] = [];
	if (list?.length !== 4 || below?.split(",").length !== 3) {
		problems.push("the results of its children are not all there");
	}
	const wanted = order.flat().filter((step) => step !== failing && (step !== "d" || end === "completed"));
	for (const step of wanted) {
		const ended = lines.filter((line) => line.event === "end" && line.step === step && !line.isRevert);
		const last = ended.at(-1);
		if (last === undefined) problems.push(`${step} was skipped`);
		else if (step !== "x" && !last.isLate && last.token !== tokens[step]) {
			problems.push(`${step} has run after its result was stored`);
		}
		const isUndone = lines.some((line) => line.event === "end" && line.step === step && line.isRevert);
		const mustBe = end !== "completed" && !(step === "a" && end === "failed");
		if (isUndone !== mustBe) problems.push(`${step} was ${isUndone ? "" : "not "}reverted`);
	}
	if (unreverted.join() !== (end === "failed" ? "a" : "")) problems.push(`${unreverted} are left`);
	return [...problems, ...orderProblems(lines)];
}

function orderProblems(lines: readonly JobLine[]): string[] {
	const back = order.slice(0, -1).map((group) => group.map((step) => `-${step}`)).reverse();
	const places = [...order, ...back];
	const begun = lines.filter(({ event, isLate }) => event === "begin" && !isLate);
	const names = begun.map(({ step, isRevert }) => `${isRevert ? "-" : ""}${step}`);
	const at = names.map((name) => places.findIndex((group) => group.includes(name)));
	if (at.every((place, index) => place >= (at[index - 1] ?? 0))) return [];
	return [`it ran ${names.join(", ")}`];
}

/** Returns those below a job that have not ended. */
export async function livingBelow(store: Store<never>, basket: string, parent: string): Promise<string[]> {
	const living: string[] = [];
	for (const { id, state } of await store.list(basket, { parent, limit: 100 })) {
		if (state !== "done" && state !== "dead") living.push(id);
		living.push(...await livingBelow(store, basket, id));
	}
	return living;
}
