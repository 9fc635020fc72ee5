// `npm run churn`: puts as many tasks as a day has through a Postgres as fast as possible, and reports the cost of claims and the
// size of the tables: updated and deleted rows are dead weight until the server has cleaned up.
//
// The first part runs with the server's autovacuum, the last quarter without. The result is the cost of a task at the end,
// compared with its cost at the beginning.
//
//     npm run churn                                   1,000,000 tasks, some 5,000 of them waiting at any time
//     npm run churn -- --tasks 100000 --backlog 1000
//     npm run churn -- --durable --naptime 60         a server as it is by default: it waits for its disk
import process from "node:process";
import { parseArgs } from "node:util";
import pg from "pg";
import { Basket, sleep, type Store } from "../mod.ts";
import { postgresStore } from "../src/stores/postgres/postgres.ts";
import { startPostgres } from "../test/servers/postgres.ts";

const { values } = parseArgs({
	options: {
		tasks: { type: "string", default: "1000000" },
		backlog: { type: "string", default: "5000" },
		parts: { type: "string", default: "10" },
		naptime: { type: "string", default: "10" },
		durable: { type: "boolean", default: false },
	},
});
const backlog = Number(values.backlog);
const header = [
	"tasks",
	"per second",
	"turns",
	"p50 ms",
	"p95 ms",
	"table MB",
	"indexes MB",
	"live",
	"dead",
	"vacuums",
];
/** The number of tasks in one add. */
const batch = 500;

await churn("on", Number(values.tasks));
await churn("off", Number(values.tasks) / 4);
process.exit();

async function churn(autovacuum: "on" | "off", total: number): Promise<void> {
	const settings = { autovacuum, autovacuum_naptime: values.naptime, shared_buffers: "256MB" };
	const server = await startPostgres({ isDurable: values.durable, settings });
	const pool = new pg.Pool({ connectionString: server.url });
	try {
		const { rows: [version] } = await pool.query("SHOW server_version");
		console.log(`Postgres ${version.server_version}, autovacuum ${autovacuum}, ${total} tasks, ${backlog} waiting`);
		await workOff(pool, total);
	} finally {
		await pool.end();
		await server.stop();
	}
}

async function workOff(pool: pg.Pool, total: number): Promise<void> {
	const claims: number[] = [];
	const rates: number[] = [];
	const basket = makeBasket(timed(postgresStore(pool), claims));
	await basket.open();
	console.log(header.map((text) => text.padStart(11)).join(""));
	const running = basket.run();
	const part = total / Number(values.parts);
	let [added, since] = [0, performance.now()];
	for (let next = part; next <= total; next += part) {
		while (added < next) {
			while (added - basket.getSnapshot().succeeded > backlog - batch) await sleep(5);
			await basket.addMany(Array.from({ length: Math.min(batch, next - added) }, (_, index) => newTask(added + index)));
			added = Math.min(next, added + batch);
		}
		rates.push(part / (performance.now() - since) * 1000);
		await tell(pool, added, rates.at(-1)!, claims.splice(0));
		since = performance.now();
	}
	while (basket.getSnapshot().succeeded < total) await sleep(20);
	await basket.stop();
	await running;
	await tell(pool, total, NaN, claims);
	console.log(`counts: ${JSON.stringify(await basket.counts())}`);
	console.log(`a task of the last part costs ${(rates[0]! / rates.at(-1)!).toFixed(2)} × one of the first\n`);
}

/** A realistic mixture: some tasks have an id, a lane or a delay, and some fail once. */
function newTask(index: number) {
	return {
		kind: "work" as const,
		payload: { index, to: "somebody@example.com", text: "x".repeat(100) },
		...(index % 10 === 0 ? { id: `task ${index}` } : {}),
		...(index % 10 === 1 ? { lane: `lane ${index % 1_000}` } : {}),
		...(index % 10 === 2 ? { delay: 1_000 } : {}),
	};
}

function makeBasket(store: Store<never>) {
	const work = ({ index }: { index: number }, { attempt }: { attempt: number }) => {
		if (index % 20 === 3 && attempt === 1) throw new Error("not this time");
	};
	return new Basket({
		store,
		concurrency: 100,
		backoff: { start: 500 },
		onError: console.error,
		tasks: { work: async (payload: { index: number }, context) => work(payload, context) },
	});
}

/** Records the duration of each turn that claims a task. */
function timed(store: Store, times: number[]): Store<never> {
	const turn = store.turn.bind(store);
	store.turn = async (basket, asked) => {
		const start = performance.now();
		const result = await turn(basket, asked);
		if (result.claims.length > 0) times.push(performance.now() - start);
		return result;
	};
	return store as unknown as Store<never>;
}

async function tell(pool: pg.Pool, added: number, rate: number, times: number[]): Promise<void> {
	const sorted = times.toSorted((a, b) => a - b);
	const at = (part: number) => sorted[Math.floor((sorted.length - 1) * part)]?.toFixed(1) ?? "";
	const { rows: [table] } = await pool.query(`SELECT
		pg_relation_size(relid) AS size, pg_indexes_size(relid) AS indexes, n_live_tup AS live, n_dead_tup AS dead,
		autovacuum_count AS vacuums
		FROM pg_stat_user_tables WHERE relname = 'tasks'`);
	const megabytes = (bytes: string) => (Number(bytes) / 2 ** 20).toFixed(1);
	const cells = [
		added,
		rate.toFixed(0),
		times.length,
		at(0.5),
		at(0.95),
		megabytes(table.size),
		megabytes(table.indexes),
	];
	console.log([...cells, table.live, table.dead, table.vacuums].map((cell) => String(cell).padStart(11)).join(""));
}
