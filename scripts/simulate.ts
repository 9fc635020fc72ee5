// `npm run simulate`: runs the simulation of test/simulation/ for any number of seeds.
//
//     npm run simulate -- --seeds 100000               the seeds 1 to 100000 on memoryStore()
//     npm run simulate -- --from 5000 --seeds 100      the seeds 5000 to 5099
//     npm run simulate -- --store sqlite               on sqliteStore()
//     npm run simulate -- --store records              on a store of rows, over a map
//     npm run simulate -- --store lmdb                 on the store of examples/stores/lmdb.ts
//     npm run simulate -- --jobs                       of jobs, in place of tasks of a basket
//     npm run simulate -- --trees                      of jobs that have children
//     npm run simulate -- --store postgres             on postgresStore(), with a server of its own
//     deno run -A --unstable-kv scripts/simulate.ts --store deno-kv     on denoKvStore(), which is in Deno only
//     npm run simulate -- --seed 123 --trace           one seed, and everything that happens in it
//     npm run simulate -- --keep-going                 beyond the first seed that fails
import process from "node:process";
import { parseArgs } from "node:util";
import {
	replay,
	simulate,
	type Simulated,
	type SimulationOptions,
	type SimulationReport,
} from "../test/simulation/simulate.ts";
import { openMemory } from "../test/simulation/memory.ts";
import { openRecords } from "../test/simulation/records.ts";
import { openSqlite } from "../test/simulation/sqlite.ts";
import { PatientClock } from "../test/simulation/patient-clock.ts";
import { SimulationServer } from "../test/simulation/postgres.ts";

type Store = Pick<SimulationOptions, "open" | "makeClock"> & { close?(): Promise<void> };

const stores: Record<string, () => Store | Promise<Store>> = {
	memory: () => ({ open: openMemory }),
	sqlite: () => ({ open: openSqlite }),
	records: () => ({ open: openRecords }),
	lmdb: async () => ({ open: (await import("../test/simulation/lmdb.ts")).openLmdb }), // only Node has the driver
	async "deno-kv"() {
		if (!("Deno" in globalThis)) leave("Deno KV is in Deno only: deno run -A --unstable-kv scripts/simulate.ts …");
		const { openDenoKv } = await import("../test/simulation/deno-kv.ts");
		return { open: openDenoKv, makeClock: (options) => new PatientClock(options) };
	},
	async postgres() {
		const server = await SimulationServer.start();
		return { open: server.open, makeClock: (options) => new PatientClock(options), close: () => server.close() };
	},
};

const { values } = parseArgs({
	options: {
		seeds: { type: "string", default: "2000" },
		from: { type: "string", default: "1" },
		seed: { type: "string" },
		store: { type: "string", default: "memory" },
		jobs: { type: "boolean", default: false },
		trees: { type: "boolean", default: false },
		trace: { type: "boolean", default: false },
		"keep-going": { type: "boolean", default: false },
	},
});

const start = stores[values.store];
if (start === undefined) leave(`There is no store "${values.store}", only ${Object.keys(stores).join(" and ")}`);
const what: Simulated = values.trees ? "trees" : values.jobs ? "jobs" : "tasks";
const onTrace = values.trace ? console.log : undefined;
const from: number = count("from", values.seed ?? values.from);
const end: number = values.seed === undefined ? from + count("seeds", values.seeds) : from + 1;
const store: Store = await start();
const since: number = performance.now();
const totals = { operations: 0, runs: 0, added: 0, failed: 0 };
let shownAt: number = since;
for (let seed = from; seed < end; seed++) {
	const report: SimulationReport = await simulate({ seed, ...store, what, onTrace });
	totals.operations += report.operations;
	totals.runs += report.runs;
	totals.added += report.added;
	if (report.failure !== undefined) {
		totals.failed++;
		console.error(`Seed ${seed}: ${report.failure}\n    ${replay(seed, values.store, what)}`);
		process.exitCode = 1;
		if (!values["keep-going"]) break;
	}
	if (performance.now() - shownAt > 5_000) show(seed);
}
show(end - 1);
await store.close?.();

function show(seed: number): void {
	shownAt = performance.now();
	const seconds: string = ((shownAt - since) / 1000).toFixed(1);
	const { operations, runs, added, failed } = totals;
	console.log(
		`${values.store}: seed ${seed}, ${failed} failed, ${added} ${what}, ${runs} runs, ${operations} store operations, ${seconds} s`,
	);
}

function count(name: string, text: string): number {
	const value = Number(text);
	if (!Number.isInteger(value) || value < 0) leave(`--${name} must be a whole number, not "${text}"`);
	return value;
}

function leave(text: string): never {
	console.error(text);
	process.exit(2);
}
