// Lists and counts of sqliteStore() must only read the rows that they return.
import { expect, test } from "vitest";
import type { ListQuery, NewTask, Settlement, TaskState } from "../../../src/basket/store.ts";
import { type SqliteStore, sqliteStore } from "../../../src/stores/sqlite/sqlite.ts";
import { errorOf } from "../../support.ts";
import { seed } from "../../seed.ts";
import { Random } from "../../simulation/random.ts";
import { spyOnStatements } from "./spy.ts";
import { type Database, inFile, type Open } from "./suite.ts";

const states: readonly TaskState[] = ["waiting", "running", "held", "dead", "done"];
const kinds = ["a", "b"];
type Query = Omit<ListQuery, "limit">;
const byState: readonly Query[] = [{}, ...kinds.map((kind) => ({ kind })), { lane: "l" }, { prefix: "b" }];
const pairs: readonly Query[] = [{ lane: "l", kind: "b" }, { lane: "l", prefix: "a" }, { prefix: "b", kind: "a" }];
const queries: readonly Query[] = byState
	.flatMap((query) => [query, ...states.map((state) => ({ ...query, state }))])
	.concat(pairs)
	.flatMap((query) => [query, { ...query, isReverse: true }]);

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
			const sqls = [...asked].filter((sql) => /upkeep_(tasks|blocks)/.test(sql));
			asked = new Set();
			return sqls;
		},
	};
}

function tasksOf(kind: string, count: number): NewTask[] {
	return Array.from({ length: count }, () => ({ kind, payload: "", delay: 0, priority: 0 }));
}

/** The values of a statement, which some drivers want by name. */
function valuesOf(values: readonly unknown[]): readonly unknown[] {
	return typeof values[0] === "object" ? Object.values(values[0]!) : values;
}

/** Ends all tasks of these kinds. */
async function drain(store: SqliteStore<Database>, kinds: readonly string[]): Promise<void> {
	let settle: Settlement[] = [];
	do {
		const { claims } = await store.turn("b", { settle, claim: [{ kinds, limit: 100 }], lease: 60_000 });
		settle = claims.map((ref) => ({ ref, outcome: { type: "done" } }));
	} while (settle.length > 0);
}

/** Tasks of a lane that have ended. */
const ends = [
	{ id: "b dead", outcome: { type: "dead", attempts: 1, error: "x" } },
	{ id: "b done", outcome: { type: "done", retain: 60_000 } },
	{ id: "b kept", outcome: { type: "done", retain: Infinity, result: "result" } },
	{ id: "a over", outcome: { type: "dead", attempts: 1, error: "x", retain: 1e-9 } },
] as const;

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
	for (const [kind, { id, outcome }] of ends.entries()) {
		await store.add(basket, [task(kinds[kind % 2]!, { id, lane: "l", priority: 1 })]);
		const { claims: [ref] } = await store.turn(basket, { settle: [], claim: [{ kinds, limit: 1 }], lease: 60_000 });
		await store.turn(basket, { settle: [{ ref: ref!, outcome }], claim: [], lease: 60_000 });
	}
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
			const { state, kind, lane, prefix = "", isReverse } = query;
			const wanted = all.filter((task) =>
				[task.state, undefined].includes(state) && [task.kind, undefined].includes(kind) &&
				[task.lane, undefined].includes(lane) && task.id.startsWith(prefix)
			);
			expect(listed).toEqual(isReverse ? wanted.reverse() : wanted);
			if (prefix === "" && (lane === undefined || state !== "running")) expect(listed.length).toBeGreaterThan(0);
			const searched = plan.filter((detail) => !/^LIST|^SCAN json_each|TEMP B-TREE/.test(detail));
			expect(searched.length).toBeGreaterThan(0);
			// A search with one of these conditions only reads the rows behind a key, the rows of one block, the rows of
			// one basket and one kind, those of one lane, those with one prefix, or all running tasks.
			const narrow =
				/^SEARCH (task|upkeep_tasks|home|upkeep_blocks) USING (COVERING INDEX|INDEX|INTEGER PRIMARY KEY|PRIMARY KEY) ?(upkeep_tasks_(lane|ended) \(basket=\? AND lane=\?.*|upkeep_tasks_id \(basket=\? AND id>\? AND id<\?\)|upkeep_tasks_aside \(basket=\? AND state=\?( AND kind.*)?\)|upkeep_tasks_claimable \(basket=\? AND state=\?.*|\(rowid.*|\(basket=\? AND kind.*)$/;
			expect(searched.filter((detail) => !narrow.test(detail))).toEqual([]);
			// To sort rows, SQLite must read all of them.
			const isSorted = plan.some((detail) => /TEMP B-TREE/.test(detail));
			const isInOrder = lane !== undefined || (prefix === "" && state !== "running");
			expect(isSorted).toBe(!isInOrder);
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
		// For blocked tasks of a lane, and for those whose retention has ended.
		expect(searched.filter((detail) => !/COVERING/.test(detail)).length).toBe(2);
		const all = await store.list("b", { limit: 100 });
		expect(counts).toEqual(Object.fromEntries(states.map((state) => [
			state,
			all.filter((task) => task.state === state).length,
		])));
		db.close();
	});

	test.each(Array.from({ length: 6 }, (_, index) => seed + index))(
		"sqliteStore().list() shows all tasks that the table has, whatever two connections add, end and roll back: seed %d",
		async (seed) => {
			const random = new Random(seed);
			const pick = (count: number) => random.below(count);
			const { connect, close } = inFile(make);
			const db = connect();
			const stores = [sqliteStore(db), sqliteStore(connect())];
			for (const store of stores) await store.open();
			const steps: ((store: SqliteStore<Database>) => Promise<unknown>)[] = [
				(store) => store.add("b", tasksOf(`${pick(3)}`, 1)),
				(store) => store.add("b", tasksOf(`${pick(3)}`, 1 + pick(300))),
				(store) => store.add("other", tasksOf("0", 1 + pick(300))),
				async (store) => {
					const task = (kind: string) => ({ ...tasksOf(kind, 1)[0]!, id: `${pick(40)}` });
					await store.add("b", Array.from({ length: 1 + pick(9) }, () => task(`${pick(3)}`)));
				},
				(store) => {
					const isRolledBack = pick(2) === 0;
					const added = store.transaction(async (tx) => {
						await store.add("b", tasksOf("0", 1 + pick(200)), tx);
						if (isRolledBack) throw new Error("rolled back");
					});
					return isRolledBack ? errorOf(added) : added;
				},
				(store) =>
					errorOf(store.add("b", [...tasksOf("2", 1 + pick(200)), { ...tasksOf("1", 1)[0]!, payload: {} as never }])),
				async (store) => {
					const claim = [{ kinds: ["0", "1", "2"].slice(0, 1 + pick(3)), limit: pick(2_000) }];
					const { claims } = await store.turn("b", { settle: [], claim, lease: 60_000 });
					const outcomes = [
						{ type: "done" },
						{ type: "done", retain: 60_000 },
						{ type: "dead", attempts: 1, error: "x" },
						{ type: "retry", attempts: 1, error: "x", delay: 0 },
					] as const;
					const isMixed = pick(2) === 0;
					const settle = claims.map((ref) => ({ ref, outcome: outcomes[isMixed && pick(20) === 0 ? pick(4) : 0]! }));
					await store.turn("b", { settle, claim: [], lease: 60_000 });
				},
				async (store) => {
					const ids = (await store.list("b", { limit: 1_000 })).map(({ id }) => id).filter(() => pick(10) === 0);
					await store.change("b", ids, (["hold", "release", "retry"] as const)[pick(3)]!);
				},
				async (store) => {
					const ids = (await store.list("b", { limit: 1_000 })).map(({ id }) => id);
					await store.delete("b", ids.filter(() => pick(3) > 0));
				},
			];
			const all = "SELECT 1 FROM upkeep_tasks WHERE basket = 'b' ORDER BY seq";
			for (let step = 0; step < 50; step++) {
				await steps[pick(steps.length)]!(stores[pick(2)]!);
				const listed = await stores[pick(2)]!.list("b", { limit: 1_000_000 });
				expect(listed.length).toBe(db.prepare(all).all().length);
				const keys = listed.map(({ key }) => key);
				expect(keys).toEqual([...new Set(keys)].toSorted());
			}
			close();
		},
	);

	test("sqliteStore().list() shows a task in a block that another connection has emptied", async () => {
		const { connect, close } = inFile(make);
		const stores = [sqliteStore(connect()), sqliteStore(connect())] as const;
		for (const store of stores) await store.open();
		await stores[1].add("b", tasksOf("b", 4_000));
		await stores[0].add("b", tasksOf("a", 1));
		for (const kind of kinds) await drain(stores[1], [kind]);
		expect(await stores[1].list("b", { limit: 10 })).toEqual([]);
		const [added] = await stores[0].add("b", tasksOf("a", 1)); // its number was reserved before
		expect((await stores[1].list("b", { limit: 10 })).map(({ id }) => id)).toEqual([added!.id]);
		close();
	});

	test("sqliteStore().list() shows a task that was held, or dead, while all others ended", async () => {
		const { db, store } = await spied(make(":memory:"));
		const ids = (await store.add("b", tasksOf("a", 3))).map(({ id }) => id);
		const { claims } = await store.turn("b", { settle: [], claim: [{ kinds, limit: 2 }], lease: 60_000 });
		const settle = [{ ref: claims[0]!, outcome: { type: "dead", attempts: 1, error: "x" } } as const];
		await store.turn("b", { settle, claim: [], lease: 60_000 });
		await store.change("b", ids, "hold");
		await store.add("b", tasksOf("b", 4_000));
		await drain(store, ["b"]);
		expect(db.prepare("SELECT * FROM upkeep_blocks WHERE kind = 'a'").all()).toEqual([]);
		await store.change("b", ids, "release");
		expect((await store.list("b", { limit: 10 })).map(({ id, state }) => [id, state])).toEqual([
			[ids[0], "dead"],
			[ids[1], "running"],
			[ids[2], "waiting"],
		]);
		await store.change("b", ids, "retry");
		expect((await store.list("b", { limit: 10 })).map(({ id, state }) => [id, state])).toEqual([
			[ids[1], "running"],
			[ids[2], "waiting"],
			[ids[0], "waiting"],
		]);
		db.close();
	});

	test.each([[false], [true]])(
		"sqliteStore().list() looks no further than its page among tasks that are held (reverse: %s)",
		async (isReverse) => {
			const ranges: (readonly number[])[] = [];
			const onRun = (sql: string, _way: unknown, values: readonly unknown[]) => {
				if (/upkeep_blocks AS home/.test(sql)) ranges.push(valuesOf(values).slice(1, 3) as number[]);
			};
			const db = make(":memory:");
			const store = sqliteStore(spyOnStatements(db, onRun));
			await store.open();
			const added = await store.add("b", tasksOf("a", 2_000));
			const ids = added.map(({ id }) => id).filter((_, index) => index % 100 > 0);
			expect(await store.change("b", ids, "hold")).not.toContain(false);
			const page = await store.list("b", { kind: "a", limit: 200, isReverse });
			const wanted = isReverse ? added.slice(-200).reverse() : added.slice(0, 200);
			expect(page.map(({ id }) => id)).toEqual(wanted.map(({ id }) => id));
			expect(new Set(page.map(({ state }) => state))).toEqual(new Set(["waiting", "held"]));
			// The last of the first 200 held tasks: two or three tasks before it wait.
			const last = Number(added.at(isReverse ? -202 : 202)!.id.slice(1));
			expect(ranges.map((range) => range[isReverse ? 0 : 1])).toEqual([last]);
			db.close();
		},
	);

	test("sqliteStore().list() does not look for tasks where many were", async () => {
		const { db, store } = await spied(make(":memory:"));
		for (let round = 0; round < 40; round++) {
			await store.add("b", [...tasksOf("a", 250), ...tasksOf("b", 250)]);
			await store.add("other", tasksOf("a", 100));
		}
		await store.add("b", tasksOf("rare", 1));
		await drain(store, kinds);
		const [{ count }] = db.prepare("SELECT count(*) AS count FROM upkeep_blocks WHERE basket = 'b'").all() as [
			{ count: number },
		];
		expect(count).toBeLessThan(20); // of 320
		expect((await store.list("b", { limit: 10 })).map(({ kind }) => kind)).toEqual(["rare"]);
		expect((await store.list("other", { limit: 10_000 })).length).toBe(4_000);
		db.close();
	});

	test.each([
		["a\ud7ff", ["a\ud7ff", "a\ud7ffb"]],
		["a\u{10ffff}", ["a\u{10ffff}", "a\u{10ffff}\u{10ffff}"]],
		["\u{10ffff}", ["\u{10ffff}", "\u{10ffff}z"]],
		["", [
			"a",
			"a\ud7ff",
			"a\ud7ffb",
			"a\ue000",
			"a\u{10ffff}",
			"a\u{10ffff}\u{10ffff}",
			"b",
			"\u{10ffff}",
			"\u{10ffff}z",
		]],
		["_", []],
		["a\ud83d", []],
		["a\0", []],
	])("sqliteStore().list() lists the ids that callers gave and that begin with %j", async (prefix, wanted) => {
		const db = make(":memory:");
		const store = sqliteStore(db);
		await store.open();
		await store.add("b", tasksOf("a", 1));
		const { claims } = await store.turn("b", { settle: [], claim: [{ kinds, limit: 1 }], lease: 60_000 });
		const settle = claims.map((ref) => ({ ref, outcome: { type: "dead", attempts: 1, error: "x" } as const }));
		await store.turn("b", { settle, claim: [], lease: 60_000 });
		const ids = ["a", "a\ud7ff", "a\ud7ffb", "a\ue000", "a\u{10ffff}", "a\u{10ffff}\u{10ffff}", "b", "\u{10ffff}"];
		await store.add("b", [...ids, "\u{10ffff}z"].map((id) => ({ ...tasksOf("a", 1)[0]!, id })));
		await store.change("b", [claims[0]!.id], "retry"); // its id is stored from now on
		expect((await store.list("b", { prefix, limit: 99 })).map(({ id }) => id)).toEqual(wanted);
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
