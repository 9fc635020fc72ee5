// Jobs of five no-op steps in Postgres: some loops start a job each, wait for its result, and start the next one. Each
// library has a pool of 10 connections, its default. The hand-written version inserts a job with its claim, and writes
// each result in a commit of its own, if the claim still holds. A workflow of DBOS is called directly, because its queues
// poll once a second; it belongs to its process from the start, without a lease.
import process from "node:process";
import pg from "pg";
import { Processor } from "upkeep";
import { postgresStore } from "upkeep/stores/postgres";
import { expect, parameters, timeRounds } from "../measure.ts";
import { asFunction, chain, splitLabel, step } from "./job-rounds.ts";
import { withDatabase } from "./postgres-queues.ts";

/** Starts a job, and resolves with the result of its last step. */
type Start = () => Promise<unknown>;

const steps = 5;
const openers: Record<string, (url: string, concurrency: number) => Promise<Start>> = {
	"pg by hand": byHand,
	"Processor": (url, concurrency) => processor(url, concurrency, false),
	"Processor, durable": (url, concurrency) => processor(url, concurrency, true),
	DBOS: dbos,
};

const { library, concurrency } = splitLabel(parameters().get("case")!);
const count = parameters().get("plan") === "quick" ? 100 : 500;
await withDatabase(async (url) => {
	const start = await openers[library]!(url, concurrency);
	await timeRounds(count, () => {
		let started = 0;
		let ended = 0;
		const loop = async (): Promise<void> => {
			while (started++ < count) {
				expect(typeof await start(), "number");
				ended++;
			}
		};
		return {
			work: async () => void await Promise.all(Array.from({ length: concurrency }, loop)),
			verify: () => expect(ended, count),
		};
	});
});
process.exit();

async function byHand(url: string): Promise<Start> {
	const pool = new pg.Pool({ connectionString: url });
	await pool.query(`
		CREATE TABLE job (
			id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, done int NOT NULL DEFAULT 0, results text NOT NULL DEFAULT '{}',
			due timestamptz NOT NULL, token int NOT NULL DEFAULT 1
		);
		CREATE INDEX ON job (due, id) WHERE done < ${steps};
	`);
	const insert = { name: "insert", text: "INSERT INTO job (due) VALUES (now() + interval '30 s') RETURNING id, token" };
	const save = { name: "save", text: "UPDATE job SET done = $1, results = $2 WHERE id = $3 AND token = $4" };
	return async () => {
		const { rows: [job] } = await pool.query<{ id: string; token: number }>(insert);
		const results: Record<string, number> = {};
		for (let number = 1; number <= steps; number++) {
			results[`step ${number}`] = await step();
			await pool.query({ ...save, values: [number, JSON.stringify(results), job!.id, job!.token] });
		}
		return results[`step ${steps}`];
	};
}

async function processor(url: string, concurrency: number, isDurable: boolean): Promise<Start> {
	const definition = isDurable ? asFunction({ steps }) : chain({ steps });
	const store = postgresStore(new pg.Pool({ connectionString: url }));
	const processor = new Processor({ store, jobs: [definition], concurrency });
	await processor.open();
	void processor.run();
	return async () => {
		const { id } = await processor.add(definition, undefined);
		return (await processor.wait(id)).value;
	};
}

async function dbos(url: string): Promise<Start> {
	const { DBOS } = await import("@dbos-inc/dbos-sdk");
	DBOS.setConfig({ name: "bench", systemDatabaseUrl: url, logLevel: "error" });
	const workflow = DBOS.registerWorkflow(async () => {
		let last = 0;
		for (let number = 1; number <= steps; number++) last = await DBOS.runStep(step, { name: `step ${number}` });
		return last;
	}, { name: "job" });
	await DBOS.launch();
	return workflow;
}
