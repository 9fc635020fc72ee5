// What runs inside a measured process, the same in each engine: it picks the case that it was told to, and reports a
// number or a few.

/** Performs its operation so many times, one after the other unless the case says otherwise. */
export type Work = (count: number) => unknown;

/** A case that is timed. It is set up in its own process, once. */
export interface TimedCase {
	/** How many operations belong together; all counts are multiples of it. 1 by default. */
	batch?: number;
	setUp: () => Work | Promise<Work>;
}

/** How long each part of the measurement takes, in milliseconds. */
interface Plan {
	warmUp: number;
	round: number;
	rounds: number;
}

const plans: Record<string, Plan> = {
	full: { warmUp: 300, round: 40, rounds: 12 },
	quick: { warmUp: 100, round: 20, rounds: 5 },
};

/** What the process was told: `case` and `plan`, after the program's name or in the address of the page. */
export function parameters(): URLSearchParams {
	return new URLSearchParams(globalThis.location?.search || globalThis.process?.argv[2]);
}

/** Times the case that was asked for and reports nanoseconds per operation. */
export async function time(cases: Record<string, TimedCase>): Promise<void> {
	const { batch = 1, setUp } = cases[parameters().get("case")!]!;
	await report(await fastest(await setUp(), batch, plans[parameters().get("plan")!]!));
}

/** The best round: what the machine does besides only ever adds. */
async function fastest(work: Work, batch: number, { warmUp, round, rounds }: Plan): Promise<number> {
	let count: number = batch;
	for (const start = performance.now(); performance.now() - start < warmUp;) {
		if (await elapsed(work, count) < round) count *= 2;
	}
	let best = Infinity;
	for (let i = 0; i < rounds; i++) best = Math.min(best, await elapsed(work, count));
	return best * 1e6 / count;
}

/** Something that is done as a whole, each time from scratch. */
export interface Round {
	work: () => Promise<void>;
	/** Throws if the work was not done; is not timed. */
	verify: () => void | Promise<void>;
}

/**
 * Performs rounds of `count` operations for a while, and reports the best in nanoseconds per operation: of time and, where
 * that can be known, of the CPU time of the whole process, on which what the machine does besides has less influence.
 */
export async function timeRounds(count: number, setUp: () => Round | Promise<Round>): Promise<void> {
	const { warmUp, round, rounds } = plans[parameters().get("plan")!]!;
	const best: number[] = [];
	const start = performance.now();
	do {
		const { work, verify } = await setUp();
		const costs: number[] = await costsOf(work, count);
		await verify();
		costs.forEach((cost: number, i: number) => best[i] = Math.min(best[i] ?? Infinity, cost));
	} while (performance.now() - start < warmUp + 5 * round * rounds);
	await report(...best);
}

async function costsOf(work: () => Promise<void>, count: number): Promise<number[]> {
	const { process } = globalThis;
	const before = process?.cpuUsage();
	const time: number = await elapsed(work, count) * 1e6 / count;
	if (process === undefined) return [time];
	const { user, system } = process.cpuUsage(before);
	return [time, (user + system) * 1e3 / count];
}

async function elapsed(work: Work, count: number): Promise<number> {
	const start: number = performance.now();
	await work(count);
	return performance.now() - start;
}

/** Hands the result to the process that started this one. */
export async function report(...results: number[]): Promise<void> {
	if ("document" in globalThis) await fetch("/result", { method: "POST", body: results.join(" ") });
	else console.log(results.join(" "));
}

/** Keeps a result from being optimised away, and the measurement from being one of something else. */
export function expect(actual: unknown, expected: unknown): void {
	if (actual !== expected) throw new Error(`The case did ${actual} instead of ${expected}`);
}
