// `npm run kills`: kills processes that share one basket, or with `--jobs` the jobs of one processor, at random moments, and
// checks the guarantees when all tasks are done; `--storm` does it with tasks of one form. The test suite does the same with
// fewer kills.
//
//     npm run kills                                               300 on SQLite in Node
//     npm run kills -- --store deno-kv --runtime deno --kills 1000
//     npm run kills -- --jobs --runtime bun --store bun:sqlite
//     npm run kills -- --storm limits --store postgres --kills 100
//     npm run kills -- --kills 0 --lease 30000 --recoveries 5     how long the task of a dead process waits
//     npm run kills -- --seed 7 --lease 2000 --interval 50 --workers 5
//     npm run kills -- --store postgres --crashes 20              the server is killed as well, 20 times
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { killBatches } from "../test/kills/batches.ts";
import { killCollecting } from "../test/kills/collects.ts";
import { type DatabaseName, databaseNames } from "../test/kills/database.ts";
import { type JobStormReport, killJobsAtRandom } from "../test/kills/job-storm.ts";
import { killLimited } from "../test/kills/limits.ts";
import { killRepeatedly } from "../test/kills/recovery.ts";
import { killRecurring } from "../test/kills/recurring.ts";
import { killAtRandom, type StormReport } from "../test/kills/storm.ts";
import type { UnrestOptions } from "../test/kills/unrest.ts";
import { root } from "./project.ts";

const { values } = parseArgs({
	options: {
		jobs: { type: "boolean", default: false },
		storm: { type: "string" },
		kills: { type: "string", default: "300" },
		crashes: { type: "string", default: "0" },
		store: { type: "string", default: "sqlite" },
		runtime: { type: "string", default: "node" },
		seed: { type: "string", default: `${Date.now() % 1_000_000}` },
		lease: { type: "string", default: "1000" },
		interval: { type: "string", default: "150" },
		workers: { type: "string", default: "3" },
		recoveries: { type: "string", default: "20" },
	},
});
const here: string = "Deno" in globalThis ? "deno" : "Bun" in globalThis ? "bun" : "node";
const flags: Record<string, string[]> = {
	node: ["--disable-warning=ExperimentalWarning"],
	deno: ["run", "--allow-all", "--unstable-kv", "--no-check", "--no-lock", "--quiet"],
	bun: ["run"],
};
const database = values.store as DatabaseName;
if (!databaseNames.includes(database)) throw new RangeError(`--store must be one of ${databaseNames.join(", ")}`);
if (!(values.runtime in flags)) throw new RangeError(`--runtime must be one of ${Object.keys(flags).join(", ")}`);

if (values.runtime === here) await kill();
else {
	const args = [...flags[values.runtime]!, import.meta.filename, ...process.argv.slice(2)];
	const program = join(root, "node_modules", ".bin", values.runtime);
	process.exitCode = spawnSync(program, args, { stdio: "inherit" }).status ?? 1;
}

async function kill(): Promise<void> {
	const { kills, crashes, seed, interval, workers, lease } = values;
	console.log(`${here} ${process.versions[here]}, ${database}, lease ${lease} ms, seed ${seed}`);
	const options = { kills: Number(kills), seed: Number(seed), interval: Number(interval), workers: Number(workers) };
	const all = { database, ...options, lease: Number(lease), limit: 600_000 };
	if (values.storm !== undefined) {
		return tellStorm(await stormOf(values.storm)(database, { ...options, limit: 600_000 }));
	}
	if (values.jobs) return tellJobs(await killJobsAtRandom(all));
	const report = await killAtRandom({ ...all, crashes: Number(crashes) });
	tell(report);
	const recoveries = await killRepeatedly(database, Number(values.recoveries), Number(lease));
	console.log(`with nothing else to do, ${timesOf(recoveries.map(({ begunAt, goneAt }) => begunAt - goneAt))}`);
	console.log(`after the end of the lease, ${timesOf(recoveries.map((times) => times.begunAt - times.leaseEndedAt))}`);
}

type StormFunction = (database: DatabaseName, options: UnrestOptions & { seed: number }) => Promise<Judged>;
type Judged = Pick<StormReport, "complaints" | "violations">;

/** @param name the name of a storm, whose processes are 8, and 4 with 5 baskets each for a schedule */
function stormOf(name: string): StormFunction {
	const lease = Number(values.lease);
	const storms: Record<string, StormFunction> = {
		limits: (database, { seed, ...rest }) => killLimited(database, rest, seed, lease),
		recurring: (database, { seed, ...rest }) => killRecurring(database, 20, rest, seed, lease),
		collects: (database, { seed, ...rest }) => killCollecting(database, 10_000, rest, seed, lease),
		batches: (database, { seed, ...rest }) => killBatches(database, rest, seed, lease),
	};
	if (Object.hasOwn(storms, name)) return storms[name]!;
	throw new RangeError(`--storm must be one of ${Object.keys(storms).join(", ")}`);
}

function tellStorm({ complaints, violations, ...figures }: Judged): void {
	for (const [name, figure] of Object.entries(figures)) console.log(`${name}: ${Math.round(figure as number)}`);
	tellProblems({ complaints, violations });
}

function tell({ kills, crashes, tasks, runs, recoveries, duration, ...problems }: StormReport): void {
	const times = `${kills} kills, ${crashes} crashes of the server`;
	console.log(`${times}, ${tasks} tasks, ${runs} runs in ${(duration / 1000).toFixed(1)} s`);
	console.log(`runs that were killed, until the next one: ${timesOf(recoveries)}`);
	tellProblems(problems);
}

function tellJobs({ kills, jobs, attempts, interrupted, duration, ...problems }: JobStormReport): void {
	console.log(`${kills} kills, ${jobs} jobs, ${attempts} attempts in ${(duration / 1000).toFixed(1)} s`);
	console.log(`${interrupted} attempts were killed`);
	tellProblems(problems);
}

function tellProblems({ complaints, violations }: Pick<StormReport, "complaints" | "violations">): void {
	if (complaints.length > 0) console.log(`${complaints.length} complaints, such as: ${complaints[0]}`);
	for (const violation of violations.slice(0, 50)) console.log(`✗ ${violation}`);
	console.log(`${violations.length} violations`);
	process.exitCode = violations.length > 0 ? 1 : 0;
}

function timesOf(times: readonly number[]): string {
	const sorted = times.toSorted((a, b) => a - b);
	const at = (part: number) => `${Math.round(sorted[Math.floor((sorted.length - 1) * part)] ?? NaN)} ms`;
	return `n = ${sorted.length}, median ${at(0.5)}, 95 % ${at(0.95)}, longest ${at(1)}`;
}
