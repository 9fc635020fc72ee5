// In Node 22.13 to 22.18, at least, node:sqlite accepts a parameter such as ?1 only by its name. The suite runs on a
// newer Node.
import { expect, test } from "vitest";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { Basket } from "upkeep";
import { sqliteStore } from "upkeep/stores/sqlite";

function openOldSqlite(): DatabaseSync {
	const db = new DatabaseSync(":memory:");
	const prepare = db.prepare.bind(db);
	db.prepare = (sql: string): StatementSync => {
		const statement = prepare(sql);
		for (const name of ["all", "run"] as const) {
			const call = statement[name].bind(statement) as (...values: unknown[]) => never;
			statement[name] = (...values: unknown[]) => {
				if (/\?\d/.test(sql) && typeof values[0] !== "object") throw new RangeError("column index out of range");
				return call(...values);
			};
		}
		return statement;
	};
	return db;
}

test("sqliteStore() works with a connection to which the number of a parameter is a name", async () => {
	const done: string[] = [];
	const tasks = {
		note: (text: string) => {
			if (text === "bad") throw new Error("bad");
			done.push(text);
		},
	};
	const basket = new Basket({ store: sqliteStore(openOldSqlite()), tasks, attempts: 1, retain: 60_000 });
	await basket.addMany(["a", "b", "bad"].map((payload) => ({ kind: "note" as const, payload, lane: "one" })));
	expect(await basket.counts()).toMatchObject({ waiting: 3 });
	await basket.drain();
	expect(done).toEqual(["a", "b"]);
	expect(await basket.counts()).toMatchObject({ done: 2, dead: 1 });
	const states: string[] = [];
	for await (const { state } of basket.list()) states.push(state);
	expect(states.sort()).toEqual(["dead", "done", "done"]);
});
