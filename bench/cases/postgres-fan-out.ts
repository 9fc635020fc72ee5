// See `fan-out-rounds.ts`. Each library has a pool of 10 connections, its default.
import process from "node:process";
import pg from "pg";
import type { Store } from "upkeep";
import { postgresStore } from "upkeep/stores/postgres";
import { parameters, timeRounds } from "../measure.ts";
import { asChildren, asJobs, batch, type FanOut, indexes, items, roundOf, run } from "./fan-out-rounds.ts";
import { withDatabase } from "./postgres-queues.ts";

const cases: Record<string, (url: string) => Promise<FanOut>> = {
	"pg by hand": byHand,
	"jobs, pg": (url) => asJobs(postgresStore(new pg.Pool({ connectionString: url })) as Store<never>),
	"Job.each, pg": (url) => asChildren(postgresStore(new pg.Pool({ connectionString: url })) as Store<never>),
	"DBOS, steps": (url) => dbos(url, false),
	"DBOS, workflows": (url) => dbos(url, true),
};

await withDatabase(async (url) => {
	const fanOut = await cases[parameters().get("case")!]!(url);
	await timeRounds(items, () => roundOf(fanOut));
});
process.exit();

async function byHand(url: string): Promise<FanOut> {
	const pool = new pg.Pool({ connectionString: url, max: 1 });
	await pool.query(`
		CREATE TABLE job (
			id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent bigint, payload text, result text, due timestamptz, items int
		);
		CREATE INDEX ON job (due, id) WHERE result IS NULL;
		CREATE INDEX ON job (parent, id);
	`);
	const add = `WITH added AS (INSERT INTO job (items) VALUES ($1) RETURNING id)
		INSERT INTO job (parent, payload, due) SELECT added.id, payload, now() FROM added, unnest($2::text[]) AS payload
		RETURNING parent`;
	const settle = {
		name: "settle",
		text: `WITH done AS (
			UPDATE job SET result = d.result FROM unnest($1::bigint[], $2::text[]) AS d (id, result) WHERE job.id = d.id
			RETURNING parent
		) UPDATE job SET items = items - (SELECT count(*) FROM done) WHERE id = $3`,
	};
	const claim = {
		name: "claim",
		text: `WITH claimed AS MATERIALIZED (
			SELECT id FROM job WHERE due <= now() AND result IS NULL ORDER BY due, id LIMIT ${batch} FOR UPDATE SKIP LOCKED
		) UPDATE job SET due = now() + interval '30 s' WHERE id = ANY (ARRAY (SELECT id FROM claimed))
		RETURNING id, payload`,
	};
	return async () => {
		const { rows: [first] } = await pool.query<{ parent: string }>(add, [
			items,
			indexes().map(String),
		]);
		for (;;) {
			const { rows } = await pool.query<{ id: string; payload: string }>(claim);
			if (rows.length === 0) break;
			const results = await Promise.all(rows.map(({ payload }) => run(JSON.parse(payload))));
			await pool.query({
				...settle,
				values: [rows.map(({ id }) => id), results.map(String), first!.parent],
			});
		}
		const read = "SELECT result FROM job WHERE parent = $1 ORDER BY id";
		const { rows } = await pool.query<{ result: string }>(read, [
			first!.parent,
		]);
		const results = rows.map(({ result }) => JSON.parse(result) as number);
		await pool.query("UPDATE job SET result = $1 WHERE id = $2", [
			JSON.stringify(results),
			first!.parent,
		]);
		return results;
	};
}

async function dbos(url: string, asWorkflows: boolean): Promise<FanOut> {
	const { DBOS } = await import("@dbos-inc/dbos-sdk");
	DBOS.setConfig({ name: "bench", systemDatabaseUrl: url, logLevel: "error" });
	const child = DBOS.registerWorkflow(run, { name: "item" });
	const workflow = DBOS.registerWorkflow(async () => {
		if (!asWorkflows) {
			return await Promise.all(indexes().map((item) => DBOS.runStep(() => run(item), { name: `item ${item}` })));
		}
		const handles = [];
		for (const item of indexes()) {
			handles.push(await DBOS.startWorkflow(child)(item));
		}
		return await Promise.all(handles.map((handle) => handle.getResult()));
	}, { name: "fan-out" });
	await DBOS.launch();
	return workflow;
}
