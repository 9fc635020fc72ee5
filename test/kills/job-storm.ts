// Processes that run jobs and are killed at random times, with the laws that must hold when all jobs have ended.
import { existsSync, readFileSync } from "node:fs";
import { type JobOutcome, type JobStatus, sleep } from "../../mod.ts";
import { Random } from "../simulation/random.ts";
import type { Effect } from "./database.ts";
import { type Fleet, withFleet } from "./fleet.ts";
import { livingBelow, treeProblems } from "./job-trees.ts";
import { basket, type JobLine, type JobWork, type KillProcessor, makeProcessor } from "./jobs.ts";
import type { StormOptions } from "./storm.ts";

export interface JobStormReport {
	readonly kills: number;
	readonly jobs: number;
	/** The number of attempts. */
	readonly attempts: number;
	/** The number of attempts that another process repeated. */
	readonly interrupted: number;
	/** Violated laws. */
	readonly violations: readonly string[];
	/** Reported errors of the processes: claims that were lost because the machine was too slow for the lease. */
	readonly complaints: readonly string[];
	/** The total duration in milliseconds. */
	readonly duration: number;
}

/** The number of jobs that are added with each kill. */
const perKill = 6;
const steps = ["a", "b", "c", "d"];

/** Resolves when all jobs and all processes have ended. */
export function killJobsAtRandom(options: StormOptions): Promise<JobStormReport> {
	const { database: name, kills, interval = 150, workers = 3, lease = 1_000, seed, limit = 60_000 } = options;
	const since = performance.now();
	return withFleet(name, lease, "kill-job-worker.ts", async (fleet, database, log) => {
		const random = new Random(seed);
		const shared = makeProcessor(database, log, lease);
		const works = new Map<string, JobWork>();
		await add(3 * perKill);
		for (let index = 0; index < workers; index++) fleet.start();
		for (let index = 0; index < kills; index++) {
			await fleet.oneReady();
			await sleep(2 * interval * random.next());
			await fleet.kill(random.pick(fleet.pids));
			fleet.start();
			await add(perKill);
		}
		const outcomes = await outcomesOf(shared, fleet, [...works.keys()], limit);
		const lines = readLines(log);
		const living: string[] = [];
		for (const id of works.keys()) living.push(...await livingBelow(database.store, basket, id));
		return {
			kills: fleet.kills.length,
			jobs: works.size,
			attempts: lines.filter(({ event }) => event === "begin").length,
			interrupted: countInterrupted(lines),
			violations: [
				...violationsOf(works, outcomes, lines, await database.effects()),
				...living.map((id) => `${id} outlives its parent`),
			],
			complaints: fleet.complaints,
			duration: performance.now() - since,
		};

		async function add(count: number): Promise<void> {
			const { processor, definitions } = shared;
			for (let index = 0; index < count; index++) {
				const work: JobWork = {
					duration: 40 * random.next() ** 2,
					failure: random.chance(0.2) ? 0.3 : 0,
					form: random.weighted({ chain: 4, flow: 3, tree: 3 }),
					end: random.weighted({ completed: 5, reverted: 4, failed: 1 }),
				};
				const { id } = await processor.add(definitions[work.form], work, { id: `job-${works.size}` });
				if (work.form !== "tree") await processor.signal(id, "go", id);
				works.set(id, work);
			}
		}
	});
}

/** Waits until all jobs have ended, or until the time limit. */
async function outcomesOf(
	{ processor }: KillProcessor,
	fleet: Fleet,
	ids: readonly string[],
	limit: number,
): Promise<Map<string, JobOutcome | undefined>> {
	const until = performance.now() + limit;
	const outcomes = new Map<string, JobOutcome | undefined>();
	for (const id of ids) {
		let outcome = await processor.result(id);
		while (outcome === undefined && performance.now() < until) {
			await fleet.oneReady();
			await sleep(20);
			outcome = await processor.result(id);
		}
		outcomes.set(id, outcome);
	}
	return outcomes;
}

function readLines(log: string): JobLine[] {
	if (!existsSync(log)) return [];
	return readFileSync(log, "utf8").split("\n").slice(0, -1).map((line) => JSON.parse(line));
}

function countInterrupted(lines: readonly JobLine[]): number {
	const last = new Map<string, JobLine>();
	let count = 0;
	for (const line of lines) {
		const before = last.get(line.id);
		if (before?.event === "begin" && line.event === "begin" && pidOf(before) !== pidOf(line)) count++;
		last.set(line.id, line);
	}
	return count;
}

function pidOf({ token }: JobLine): string {
	return token.split("-")[0]!;
}

function violationsOf(
	works: ReadonlyMap<string, JobWork>,
	outcomes: ReadonlyMap<string, JobOutcome | undefined>,
	lines: readonly JobLine[],
	effects: readonly Effect[],
): string[] {
	const linesOf = new Map([...works.keys()].map((id) => [id, [] as JobLine[]]));
	for (const line of lines) linesOf.get(line.id)?.push(line);
	const count = new Map<string, number>();
	for (const { id } of effects) count.set(id, (count.get(id) ?? 0) + 1);
	return [...works].flatMap(([id, work]) => {
		const { end, form } = work;
		const isFlow = form === "flow";
		const problems = form === "tree" ? treeProblems(work, outcomes.get(id), linesOf.get(id)!) : [
			...endProblems(end, isFlow ? ["a", "b", "c"] : ["a", "c"], outcomes.get(id), linesOf.get(id)!),
			...orderProblems(isFlow, linesOf.get(id)!),
			...(isFlow ? [] : committedProblems(end, count.get(`${id}/b`), count.get(`${id}/-b`))),
		];
		const text = linesOf.get(id)!.map(show).join(", ");
		return problems.map((problem) => `${id}, to be ${end}: ${problem}; ${JSON.stringify(outcomes.get(id))}; ${text}`);
	});
}

function show({ event, step, isRevert, token, at, isLate }: JobLine): string {
	return `${event} ${isRevert ? "-" : ""}${step} ${token}${isLate ? " late" : ""} at ${at % 1_000_000}`;
}

function committedProblems(end: JobStatus, forward: number | undefined, backward: number | undefined): string[] {
	const problems = forward === 1 ? [] : [`the effect of b is there ${forward} times`];
	if (backward === (end === "completed" ? undefined : 1)) return problems;
	return [...problems, `the effect of the revert of b is there ${backward} times`];
}

/**
 * Checks that the job has the expected end, and that each completed step and revert has logged its end.
 *
 * @param logging the steps whose lines say when they were done
 */
function endProblems(
	end: JobStatus,
	logging: readonly string[],
	outcome: JobOutcome | undefined,
	lines: readonly JobLine[],
): string[] {
	if (outcome === undefined) return ["it has not ended"];
	const { status, results, unreverted, error } = outcome;
	if (status !== end) return [`it is ${status}: ${JSON.stringify(error)}`];
	const problems: string[] = [];
	const done = end === "completed" ? steps : steps.slice(0, 3);
	if (steps.filter((step) => step in results).join() !== done.join()) {
		problems.push(`it has done ${Object.keys(results)}`);
	}
	if (unreverted.join() !== (end === "failed" ? "a" : "")) problems.push(`${unreverted} are left`);
	for (const step of logging) {
		const last = lines.findLast((line) => line.event === "end" && line.step === step && !line.isRevert);
		if (last?.isLate === false && last.token !== results[step]) {
			problems.push(`${step} has run after its result was stored`);
		}
		if (!lines.some(({ token }) => token === results[step])) problems.push(`the result of ${step} is from nowhere`);
	}
	if (end === "reverted" && !lines.some((line) => line.event === "end" && line.step === "a" && line.isRevert)) {
		problems.push("the revert of a was skipped");
	}
	return problems;
}

/** Checks the order of the attempts: forward a, b, c, d, then backward b, a. In a durable function, b runs beside a. */
function orderProblems(isFlow: boolean, lines: readonly JobLine[]): string[] {
	const order = isFlow ? ["ab", "c", "d", "-b", "-a"] : [...steps, "-b", "-a"];
	const begun = lines.filter(({ event, isLate }) => event === "begin" && !isLate);
	const names = begun.map(({ step, isRevert }) => `${isRevert ? "-" : ""}${step}`);
	const places = names.map((name) =>
		order.findIndex((place) => place === name || place === "ab" && "ab".includes(name))
	);
	if (places.every((place, index) => place >= (places[index - 1] ?? 0))) return [];
	return [`it ran ${names.join(", ")}`];
}
