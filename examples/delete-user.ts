/**
 * Deletes a user from three flaky services, in four variants: each step tried once (`plain`), each step retried
 * (`retried`), completed steps reverted (`reverted`), and both. Run it with `node examples/delete-user.ts`,
 * `deno run -A examples/delete-user.ts` or `bun examples/delete-user.ts`.
 *
 *     --db jobs.db    # keeps the jobs in this file: kill the program and start it again, and each job resumes
 *                     # (by default in delete-user.db, which is removed at the end)
 *     --flaky 0.4     # the share of calls that fail
 *     --pace 400      # the duration of a call, in milliseconds
 *     --diagram       # prints the variant `both` as a Mermaid diagram
 *
 * What the library does here: each variant is a `job`. A `Processor` runs the jobs on an SQLite database and stores
 * each result before the next step begins. The ids are fixed: adding an existing job changes nothing.
 */

import { rmSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { describeJob, type Job, job, type JobAttempt, type JobOutcome, Processor, sleep } from "../mod.ts"; // elsewhere: from "upkeep"
import { sqliteStore } from "../src/stores/sqlite/sqlite.ts"; // elsewhere: from "upkeep/stores/sqlite"
import { openSqlite } from "./shared/sqlite.ts";

const { values } = parseArgs({
	options: {
		db: { type: "string" },
		flaky: { type: "string", default: "0.4" },
		pace: { type: "string", default: "400" },
		diagram: { type: "boolean", default: false },
	},
});

/** One of the services: it is slow and fails sometimes. */
async function call(what: string, userId: string, signal: AbortSignal, flaky: number): Promise<string> {
	await sleep(Number(values.pace), { signal });
	if (Math.random() < flaky) throw new Error(`${what} ${userId}: 503 Service Unavailable`);
	return `${what} ${userId}`;
}

type Deletion = Job<{ userId: string }, { auth: string; orders: string; mails: string }, string>;

function deletion(name: string, isRetried: boolean, isReverted: boolean): Deletion {
	const options = { attempts: isRetried ? 5 : 1, backoff: { start: 200, factor: 2, jitter: "equal" } } as const;
	const flaky = Number(values.flaky);
	const service = (title: string) => ({
		...options,
		run: ({ input, signal }: { input: { userId: string }; signal: AbortSignal }) =>
			call(`${title}.remove`, input.userId, signal, flaky),
		// Reverts are retried forever, so they succeed eventually.
		revert: !isReverted
			? undefined
			: ({ input, signal }: { input: { userId: string }; signal: AbortSignal }) =>
				call(`${title}.restore`, input.userId, signal, flaky / 2),
	});
	return job<{ userId: string }>(name)
		.step("auth", service("auth"))
		.step("orders", service("orders"))
		.step("mails", service("mails"));
}

const jobs = [
	deletion("plain", false, false),
	deletion("retried", true, false),
	deletion("reverted", false, true),
	deletion("both", true, true),
];

function show(variant: string, text: string): void {
	console.log(`${variant.padEnd(9)} ${text}`);
}

function showAttempt(variant: string, { step, isRevert, attempt, error }: JobAttempt): void {
	const what = `${isRevert ? "restore" : "remove "} ${step.padEnd(6)}`;
	show(
		variant,
		`${error === undefined ? "✓" : "✗"} ${what} attempt ${attempt}${error === undefined ? "" : `: ${error}`}`,
	);
}

function showOutcome(variant: string, { status, error, results }: JobOutcome): void {
	const done = Object.keys(results).join(", ") || "nothing";
	if (status === "completed") show(variant, "is completed: the user is gone everywhere");
	else if (status === "reverted") show(variant, `is reverted: the user is there as before (${error.message})`);
	else show(variant, `has failed, and left behind that this was done: ${done} (${error.message})`);
}

async function main(): Promise<void> {
	if (values.diagram) return console.log(describeJob(jobs[3]!).mermaid);
	const file = values.db ?? "delete-user.db";
	const db = await openSqlite(file);
	// A short lease, so that a restart after a kill need not wait long.
	const processor = new Processor({ store: sqliteStore(db), jobs, lease: 2_000 });
	const controller = new AbortController();
	process.once("SIGINT", () => controller.abort(new Error("interrupted")));

	// A job that was running when the program was killed still exists, with all its results.
	const shown = new Map<string, number>();
	for (const variant of jobs) {
		const before = await processor.get(variant.name);
		if (before !== undefined) show(variant.name, `goes on ${before.direction} at ${before.step}`);
		shown.set(variant.name, before?.history.length ?? 0);
		await processor.add(variant, { userId: "u1" }, { id: variant.name });
	}

	const showNews = (variant: string, history: readonly JobAttempt[]) => {
		for (const attempt of history.slice(shown.get(variant))) showAttempt(variant, attempt);
		shown.set(variant, history.length);
	};
	const running = processor.run({ signal: controller.signal });
	const outcomes = jobs.map(async ({ name }) => {
		const outcome = await processor.wait(name, { signal: controller.signal });
		showNews(name, outcome.history);
		showOutcome(name, outcome);
		shown.delete(name);
		await processor.delete(name); // the next start begins again
	});
	const { signal } = controller;
	const watching = (async () => {
		for (;;) {
			await sleep(50, { signal });
			for await (const { id, history } of processor.list()) if (shown.has(id)) showNews(id, history);
		}
	})();
	try {
		await Promise.all(outcomes);
	} catch (error) {
		if (!signal.aborted) throw error;
		console.log("Interrupted: start it again to resume");
	}
	controller.abort();
	await Promise.all([running, watching.catch(() => {})]);
	db.close();
	if (values.db === undefined && shown.size === 0) rmSync(file);
}

await main();
