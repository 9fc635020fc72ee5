// The jobs of the kill tests, which are the same in all processes, and the log of their steps.
import { appendFileSync } from "node:fs";
import process from "node:process";
import {
	type AnyJob,
	durable,
	type FlowStepContext,
	job,
	type JobStatus,
	Processor,
	type RevertContext,
	sleep,
	type StepContext,
	stopNow,
} from "../../mod.ts";
import type { Database } from "./database.ts";
import { makeTree } from "./job-trees.ts";

/** The input of a job. */
export interface JobWork {
	/** The duration of a step in milliseconds. */
	readonly duration: number;
	/** The probability that an attempt fails, from 0 to 1. */
	readonly failure: number;
	/** Whether it is a chain, a durable function, or a job with children. */
	readonly form: "chain" | "flow" | "tree";
	/** The expected status: `reverted` because of the last step, `failed` because of the revert of the first step. */
	readonly end: JobStatus;
}

/** A line of the log: an attempt of a step or of its revert begins, or has done its work. */
export interface JobLine {
	readonly event: "begin" | "end";
	readonly id: string;
	readonly step: string;
	readonly isRevert: boolean;
	/** The token of the attempt, which is also its result. It begins with the pid. */
	readonly token: string;
	/** Milliseconds since 1970. */
	readonly at: number;
	/** Whether the machine has just delayed the process for so long that it may have lost its claims without noticing. */
	readonly isLate: boolean;
}

export interface KillProcessor {
	readonly processor: Processor<AnyJob, unknown>;
	/** The definitions of the jobs that are added, by their form. */
	readonly definitions: Readonly<Record<JobWork["form"], AnyJob>>;
}

/** The name of the basket. */
export const basket = "kill-jobs";

/**
 * Creates a processor with two jobs of six steps, a chain and a durable function, and a third one with children. `a`, `c` and `d` write lines to the log, `c`
 * cannot be reverted, `nap` sleeps, and `go` waits for a signal. In the chain, `b` and its revert write an effect and commit it
 * together with their result, so that each effect must exist once. In the durable function, `b` runs beside `a`.
 *
 * @param log the path of a file. Lines are written atomically, and survive their process
 */
export function makeProcessor(database: Database, log: string, lease: number): KillProcessor {
	const isLate = watchLateness(lease);
	let count = 0;
	const attempt = async (
		{ id, step, signal }: Pick<FlowStepContext, "id" | "step" | "signal">,
		input: JobWork,
		isRevert: boolean,
		commit?: (tx: never, token: string) => Promise<unknown>,
	): Promise<string> => {
		const token = `${process.pid}-${++count}`;
		const write = (event: JobLine["event"]) => {
			const line: JobLine = { event, id, step, isRevert, token, at: Date.now(), isLate: isLate() };
			appendFileSync(log, `${JSON.stringify(line)}\n`);
		};
		write("begin");
		await sleep(input.duration, { signal });
		if (!isRevert && step === "d" && input.end !== "completed") throw stopNow(new Error("as it was told"));
		if (isRevert && step === "a" && input.end === "failed") throw stopNow(new Error("as it was told"));
		if (Math.random() < input.failure) throw new Error("as it happens");
		if (step === "b" && commit !== undefined) {
			const effect = { id: `${id}/${isRevert ? "-" : ""}b`, lane: "", place: count };
			await database.apply(effect, (tx) => commit(tx as never, token));
		}
		write("end");
		return token;
	};
	const tries = { attempts: Infinity, backoff: { start: 20, max: 200 } };
	const options = (hasRevert: boolean) => ({
		...tries,
		run: (context: StepContext<JobWork>) => attempt(context, context.input, false, context.commit),
		...(hasRevert
			? { revert: (context: RevertContext<JobWork>) => attempt(context, context.input, true, context.commit) }
			: {}),
	});
	const chain = job<JobWork>("kills").step("a", options(true)).step("b", options(true)).sleep("nap", 20)
		.waitFor("go").step("c", options(false)).step("d", options(true));
	const flow = durable("kill-flows", async (flow, input: JobWork) => {
		const step = (name: string) =>
			flow.step(name, (context) => attempt(context, input, false), {
				...tries,
				revert: name === "c" ? undefined : (_, context) => attempt(context, input, true),
			});
		await Promise.all([step("a"), step("b"), flow.sleep("nap", 20)]);
		const go = flow.waitFor("go");
		await step("c");
		await go;
		await step("d");
	});
	const [tree, below] = makeTree(attempt, tries);
	const processor = new Processor<AnyJob, unknown>({
		store: database.store,
		name: basket,
		jobs: [chain, flow, tree!, below!],
		concurrency: 4,
		lease,
		crashes: Infinity,
		onError: (error) => console.error(error),
	});
	return { processor, definitions: { chain, flow, tree: tree! } };
}

/** Returns a function that reports whether the machine has delayed this process recently. */
function watchLateness(lease: number): () => boolean {
	let beatAt = performance.now();
	let lateAt = -Infinity;
	const beat = () => {
		const now = performance.now();
		if (now - beatAt > lease / 3) lateAt = now;
		beatAt = now;
		return now - lateAt < lease;
	};
	setInterval(beat, lease / 20).unref();
	return beat;
}
