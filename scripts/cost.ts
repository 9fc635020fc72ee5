// `npm run cost`: what a task costs on Postgres, in bytes of its table, of the indexes and of the WAL, and how many tasks a
// lane works off in a second. The figures of docs/scale.md come from here. How the cost develops with use: `churn.ts`.
//
//     npm run cost                     50,000 tasks of each form
//     npm run cost -- --tasks 10000
import { parseArgs } from "node:util";
import pg from "pg";
import { type AddOptions, Basket } from "../mod.ts";
import { postgresStore } from "../src/stores/postgres/postgres.ts";
import { startPostgres } from "../test/servers/postgres.ts";

const { values } = parseArgs({ options: { tasks: { type: "string", default: "50000" } } });
/** The number of tasks in one add. */
const batch = 1_000;
const payload: string = "x".repeat(100);

const server = await startPostgres({ isDurable: true });
const pool = new pg.Pool({ connectionString: server.url });
try {
	console.log("bytes a task        row   indexes   WAL of add   WAL of claim and end   a second");
	await measure("plain", Number(values.tasks), () => ({}));
	await measure("ids", Number(values.tasks), (n) => ({ id: `an id of ${n}` }));
	await measure("lanes_1000", Number(values.tasks), (n) => ({ lane: `lane ${n % 1_000}` }));
	await measure("lane_1", Number(values.tasks) / 25, () => ({ lane: "lane" }));
} finally {
	await pool.end();
	await server.stop();
}

/** @param name that of a schema of its own, so that no space is used again */
async function measure(name: string, count: number, optionsOf: (n: number) => AddOptions): Promise<void> {
	const basket = new Basket({ store: postgresStore(pool, { schema: name }), tasks: { work: (_: string) => {} } });
	await basket.open();
	await pool.query("CHECKPOINT");
	const before = await sizes(name);
	for (let from = 0; from < count; from += batch) {
		const numbers = Array.from({ length: Math.min(batch, count - from) }, (_, index) => from + index);
		await basket.addMany(numbers.map((n) => ({ ...optionsOf(n), kind: "work", payload }) as const));
	}
	const added = await sizes(name);
	const since = performance.now();
	await basket.drain();
	const rate = count / (performance.now() - since) * 1_000;
	const done = await sizes(name);
	const cells = [
		added.rows - before.rows,
		added.indexes - before.indexes,
		added.wal - before.wal,
		done.wal - added.wal,
	];
	const shown = [...cells.map((bytes) => bytes / count), rate].map((cell) => Math.round(cell).toString().padStart(10));
	console.log(name.padEnd(14) + shown.join(""));
}

async function sizes(schema: string): Promise<{ rows: number; indexes: number; wal: number }> {
	const { rows: [found] } = await pool.query(
		`SELECT sum(pg_table_size(c.oid))::float8 AS rows, sum(pg_indexes_size(c.oid))::float8 AS indexes,
			(pg_current_wal_lsn() - '0/0')::float8 AS wal
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r'`,
		[schema],
	);
	return found;
}
