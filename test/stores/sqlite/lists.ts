// Lists and counts of sqliteStore() must only read the rows that they return.
import { expect, test } from "vitest";
import type { ListQuery, NewTask, TaskState } from "../../../src/basket/store.ts";
import { type SqliteStore, sqliteStore } from "../../../src/stores/sqlite/sqlite.ts";
import { errorOf } from "../../support.ts";
import { spyOnStatements } from "./spy.ts";
import type { Database, Open } from "./suite.ts";

const states: readonly TaskState[] = ["waiting", "running", "held", "dead", "done"];
const kinds = ["a", "b"];
const queries: readonly Omit<ListQuery, "limit">[] = [{}, ...kinds.map((kind) => ({ kind }))]
	.flatMap((query) => [query, ...states.map((state) => ({ ...query, state }))]);

interface Spied {
	readonly db: Database;
	readonly store: SqliteStore<Database>;
	/** Returns the statements since the last call. */
	asked(): string[];
}

async function spied(db: Database): Promise<Spied> {
	let asked = new Set<string>();
	const spy = spyOnStatements(db, (sql, way) => way === "all" && asked.add(sql));
	const store = sqliteStore(spy);
	await store.open();
	return {
		db,
		store,
		asked() {
			const sqls = [...asked].filter((sql) => /FROM upkeep_tasks/.test(sql));
			asked = new Set();
			return sqls;
		},
	};
}

/** Adds tasks of two kinds in all states, mixed with other tasks. */
async function fill(store: SqliteStore<Database>, basket: string): Promise<void> {
	const task = (kind: string, fields: Partial<NewTask> = {}) => ({
		kind,
		payload: "",
		delay: 0,
		priority: 0,
		...fields,
	});
	await store.add(basket, kinds.flatMap((kind) => [task(kind), task(kind), task(kind), task(kind), task(kind)]));
	const claimed = { settle: [], claim: kinds.map((kind) => ({ kinds: [kind], limit: 4 })), lease: 60_000 };
	const { claims } = await store.turn(basket, claimed);
	const outcomes = [
		{ type: "done", retain: 60_000 },
		{ type: "dead", attempts: 1, error: "x" },
		{ type: "retry", attempts: 1, error: "x", delay: 60_000 },
		undefined,
	] as const;
	const settle = claims.flatMap((ref, index) => {
		const outcome = outcomes[index % 4];
		return outcome === undefined ? [] : [{ ref, outcome }];
	});
	await store.turn(basket, { settle, claim: [], lease: 60_000 });
	await store.change(basket, [claims[3]!.id], "hold");
	const lane = kinds.flatMap((kind) => [1, 2].map((n) => task(kind, { id: `${kind}${n}`, lane: "l" })));
	await store.add(basket, [...lane, ...kinds.map((kind) => task(kind, { id: `held ${kind}` }))]);
	await store.change(basket, ["b2", ...kinds.map((kind) => `held ${kind}`)], "hold");
}

/** @param make opens a new database */
export function testLists(make: Open): void {
	test.each(queries.map((query, index) => [index, JSON.stringify(query), query] as const))(
		"sqliteStore().list() reads what it shows from indexes, in their order: query %d, %s",
		async (_number, _text, query) => {
			const { db, store, asked } = await spied(make(":memory:"));
			for (const basket of ["b", "other", "third"]) await fill(store, basket);
			asked();
			const listed = await store.list("b", { ...query, limit: 100 });
			const plan = asked().flatMap((sql) =>
				db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all().map((row) => (row as { detail: string }).detail)
			);
			const all = await store.list("b", { limit: 100 });
			const wanted = all.filter(({ state, kind }) => (query.state ?? state) === state && (query.kind ?? kind) === kind);
			expect(listed).toEqual(wanted);
			expect(listed.length).toBeGreaterThan(0);
			const searched = plan.filter((detail) => / upkeep_tasks /.test(detail));
			expect(searched.length).toBeGreaterThan(0);
			// A search with one of these index conditions only reads the rows behind a key, the rows of one basket and
			// one kind, or all running tasks.
			const narrow =
				/^SEARCH upkeep_tasks USING (INDEX|COVERING INDEX) upkeep_tasks_(home \(home[=>]|aside \(basket=\? AND state=\? AND kind|claimable \(basket=\? AND state=\?)/;
			expect(searched.filter((detail) => !narrow.test(detail))).toEqual([]);
			// To sort rows, SQLite must read all of them.
			const isSorted = plan.some((detail) => /TEMP B-TREE/.test(detail));
			expect(isSorted).toBe(query.state === "running");
			db.close();
		},
	);

	test("sqliteStore().counts() reads one basket, from indexes", async () => {
		const { db, store, asked } = await spied(make(":memory:"));
		for (const basket of ["b", "other"]) await fill(store, basket);
		asked();
		const counts = await store.counts("b");
		const [sql, ...more] = asked();
		expect(more).toEqual([]);
		const plan = db.prepare(`EXPLAIN QUERY PLAN ${sql!}`).all().map((row) => (row as { detail: string }).detail);
		const searched = plan.filter((detail) => / upkeep_tasks /.test(detail));
		expect(searched.every((detail) => /^SEARCH .* \(basket=\?/.test(detail))).toBe(true);
		expect(searched.filter((detail) => !/COVERING/.test(detail)).length).toBe(1); // for blocked tasks of a lane
		const all = await store.list("b", { limit: 100 });
		expect(counts).toEqual(Object.fromEntries(states.map((state) => [
			state,
			all.filter((task) => task.state === state).length,
		])));
		db.close();
	});

	test("sqliteStore().list() shows what two kinds have whose numbers are the same, each once", async () => {
		const db = make(":memory:");
		const store = sqliteStore(db);
		await store.open();
		for (const basket of ["b", "other"]) await fill(store, basket);
		const before = await Promise.all(queries.map((query) => store.list("b", { ...query, limit: 100 })));
		const counts = await store.counts("b");
		// As if all names had the same hash.
		const [{ home }] = db.prepare("SELECT max(home) AS home FROM upkeep_tasks WHERE basket = 'b' AND kind = 'a'")
			.all() as [
				{ home: number },
			];
		db.prepare("UPDATE upkeep_tasks SET home = ? WHERE kind = 'a' AND home IS NOT NULL").run(home);
		const after = await Promise.all(queries.map((query) => store.list("b", { ...query, limit: 100 })));
		expect(after).toEqual(before);
		expect(await store.counts("b")).toEqual(counts);
		db.close();
	});

	test.each(["", "garbage", "-1", "1e3", "12", "00000000000000001", "0x0000000000000a"])(
		"sqliteStore().list() refuses to go on behind %j, which is no key",
		async (after) => {
			const db = make(":memory:");
			const store = sqliteStore(db);
			await store.open();
			const error = await errorOf(store.list("b", { after, limit: 1 }));
			expect(error).toBeInstanceOf(RangeError);
			expect(String(error)).toMatch(/"after"/);
			db.close();
		},
	);
}
