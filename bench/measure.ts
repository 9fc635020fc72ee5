// The code inside a measured process, the same in each engine. It runs the requested case, and reports one or a few
// numbers.

/** Performs an operation `count` times, one after the other unless the case says otherwise. */
export type Work = (count: number) => unknown;

/** A timed case. It is set up once, in its own process. */
export interface TimedCase {
	/** The number of operations that belong together. All counts are multiples of it. @default 1 */
	batch?: number;
	setUp: () => Work | Promise<Work>;
}

/** The durations of the parts of a measurement, in milliseconds. */
interface Plan {
	warmUp: number;
	round: number;
	rounds: number;
}

const plans: Record<string, Plan> = {
	full: { warmUp: 300, round: 40, rounds: 12 },
	quick: { warmUp: 100, round: 20, rounds: 5 },
};

/** The parameters of the process, `case` and `plan`, from the command line or the address of the page. */
export function parameters(): URLSearchParams {
	return new URLSearchParams(globalThis.location?.search || globalThis.process?.argv[2]);
}

/** Times the requested case and reports nanoseconds per operation. */
export async function time(cases: Record<string, TimedCase>): Promise<void> {
	const { batch = 1, setUp } = cases[parameters().get("case")!]!;
	await report(await fastest(await setUp(), batch, plans[parameters().get("plan")!]!));
}

/** Returns the best round, because other load of the machine can only add time. */
async function fastest(work: Work, batch: number, { warmUp, round, rounds }: Plan): Promise<number> {
	let count: number = batch;
	for (const start = performance.now(); performance.now() - start < warmUp;) {
		if (await elapsed(work, count) < round) count *= 2;
	}
	let best = Infinity;
	for (let i = 0; i < rounds; i++) best = Math.min(best, await elapsed(work, count));
	return best * 1e6 / count;
}

/** Work that is done as a whole, each time from the beginning. */
export interface Round {
	work: () => Promise<void>;
	/** Throws if the work was not done. It is not timed. */
	verify: () => void | Promise<void>;
}

/**
 * Performs rounds of `count` operations for a while, and reports the best round in nanoseconds per operation. If the
 * engine can measure it, also reports the CPU time of the whole process, which depends less on other load of the
 * machine.
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

/** Sends the results to the parent process. */
export async function report(...results: number[]): Promise<void> {
	if ("document" in globalThis) await fetch("/result", { method: "POST", body: results.join(" ") });
	else console.log(results.join(" "));
}

/** Ensures that a result is not optimized away, and that the measured code does the expected work. */
export function expect(actual: unknown, expected: unknown): void {
	if (actual !== expected) throw new Error(`The case did ${actual} instead of ${expected}`);
}
