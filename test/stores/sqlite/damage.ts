// Manually edited rows: each column of each table with each value that SQLite accepts. Without --long, each form of a
// task gets a quarter of the values, which differ for each column.
import { expect, test } from "vitest";
import { Basket, type Store, StoreError } from "../../../mod.ts";
import type { Claim, NewTask, TaskState } from "../../../src/basket/store.ts";
import { type SqliteStore, sqliteStore } from "../../../src/stores/sqlite/sqlite.ts";
import { VirtualClock } from "../../../src/testing/testing.ts";
import { isLong, isNode } from "../../support.ts";
import type { Database, Open } from "./suite.ts";

/** `node:sqlite` gets all values; the others show that they read damaged rows in the same way. */
function isThorough(make: Open): boolean {
	const db = make(":memory:");
	const isFull = isLong && isNode && db.isTransaction !== undefined;
	db.close();
	return isFull;
}

const values = [
	...["NULL", "'text'", "''", "X'00ff'", "1.5", "0", "-1", "77", "1e300"],
	...["9007199254740991", "9007199254740992", "9223372036854775807", "-9223372036854775808"],
	...["'{\"broken'", "'[]'", "'{\"message\":5}'", "char(64976) || 'no JSON'"],
];

/** The states of the edited task. */
const forms = [
	"fresh",
	"tried",
	"crashed",
	"replaced",
	"replaced and settled",
	"held",
	"dead",
	"kept dead",
	"done",
	"in a lane",
	"with a key",
] as const;
type Form = typeof forms[number];

/** The tables with rows of the edited task. */
const tables = ["upkeep_tasks", "upkeep_messages", "upkeep_log", "upkeep_replacements"];

const states: readonly TaskState[] = ["waiting", "running", "held", "dead", "done"];
const kinds = ["work"];
const lease = 30_000;

interface Scene {
	readonly db: Database;
	readonly store: SqliteStore<Database>;
	readonly form: Form;
	/** The last claim of the victim. */
	readonly ref: Claim | undefined;
}

function task(id: string, fields: Partial<NewTask> = {}): NewTask {
	return { id, kind: "work", payload: "1", delay: 0, priority: 0, ...fields };
}

/** Creates a task in the given form, with a message, progress and a log, and other tasks. */
async function setUp(open: Open, form: Form): Promise<Scene> {
	const db = open(":memory:");
	const clock = new VirtualClock({ now: 1_700_000_000_000 });
	const store = sqliteStore(db, { clock, pollInterval: 1e9 });
	await store.open();
	const lane = form === "in a lane" ? "l" : undefined;
	await store.add("b", [task("victim", { lane, limitKey: form === "with a key" ? "k" : undefined })]);
	await store.post("b", "victim", "message");
	const isClaimed = !["fresh", "held", "in a lane", "with a key"].includes(form);
	const [ref] = isClaimed ? await claim(store) : [];
	if (ref !== undefined) await store.save("b", [{ ref, progress: "[1]", log: { after: 0, entries: ["1"] } }]);
	const outcomes = {
		tried: { type: "retry", delay: 0, attempts: 1, error: "x", backoff: true },
		dead: { type: "dead", attempts: 1, error: "x" },
		"kept dead": { type: "dead", attempts: 1, error: "x", retain: 1_000_000 },
		done: { type: "done", retain: 1_000_000, result: "1" },
	} as const;
	const outcome = outcomes[form as "tried"];
	if (outcome !== undefined) await store.turn("b", { settle: [{ ref: ref!, outcome }], claim: [], lease });
	if (form.startsWith("replaced")) await store.add("b", [task("victim", { payload: "2", ifPresent: "replace" })]);
	if (form === "held") await store.change("b", ["victim"], "hold");
	await store.add("b", [task("other"), task("follower", { lane: "l" })]);
	await clock.advance(2 * lease);
	return { db, store, form, ref };
}

async function claim(store: SqliteStore<Database>, limit = 2): Promise<readonly Claim[]> {
	return (await store.turn("b", { settle: [], claim: [{ kinds, limit }], lease })).claims;
}

/** Completes all due tasks, and returns their ids in order. */
async function drain(store: SqliteStore<Database>): Promise<string[]> {
	const ids: string[] = [];
	let settle: { ref: Claim; outcome: { type: "done" } }[] = [];
	for (let turn = 0; turn < 30; turn++) {
		const { claims, dueIn } = await store.turn("b", { settle, claim: [{ kinds, limit: 2 }], lease });
		ids.push(...claims.map(({ id }) => id));
		settle = claims.map((ref) => ({ ref, outcome: { type: "done" } }));
		if (claims.length === 0 && dueIn > 0) return ids;
	}
	throw new Error("It never comes to an end");
}

/** Makes all manual changes of the task. Only the store itself may refuse a change. */
async function handle({ store, ref }: Scene): Promise<void> {
	const calls = [
		() => store.get("b", "victim"),
		() => store.change("b", ["victim"], "hold"),
		() => store.change("b", ["victim"], "release"),
		() => store.post("b", "victim", "another"),
		() => store.hasten("b", 1_000),
		...(ref === undefined ? [] : [
			() => store.extend("b", [ref], lease),
			() => store.save("b", [{ ref, progress: "2" }]),
			() => store.save("b", [{ ref, log: { after: 1, entries: ["2"] } }]),
		]),
		() => store.log("b", [{ id: "victim", after: 0, limit: 9 }]),
		() => store.change("b", ["victim"], "retry"),
		() => drain(store),
		() => store.delete("b", ["victim"]),
	];
	for (const call of calls) await call();
}

async function look(store: SqliteStore<Database>): Promise<void> {
	const basket = new Basket({ store: store as Store<Database>, name: "b", tasks: { work: () => {} } });
	for (const state of [undefined, ...states]) {
		const listed = await store.list("b", { state, limit: 10 });
		const shown = [];
		for await (const task of basket.list({ state })) shown.push(task);
		expect(shown.map(({ id }) => id)).toEqual(listed.map(({ id }) => id));
	}
	const { waiting, running, held, dead, done } = await store.counts("b");
	expect([waiting, running, held, dead, done].every((count) => count >= 0)).toBe(true);
}

/** Edits a row. Returns `false` if SQLite refuses the change. */
function edit(db: Database, table: string, column: string, value: string): boolean {
	const where = table === "upkeep_tasks" ? "WHERE id = 'victim'" : "";
	try {
		db.exec(`UPDATE ${table} SET ${column} = ${value} ${where}`);
		return true;
	} catch {
		return false;
	}
}

/** @param make opens a database */
export function testDamage(make: Open): void {
	test.each(forms.map((form) => [form]))(
		"sqliteStore() goes on with all other tasks, whatever is written into a column of a task: %s",
		async (form) => {
			let edits = 0;
			const isFull = isThorough(make);
			const columns = await columnsOf(make, tables);
			for (const [index, [table, column]] of columns.entries()) {
				const from = index + forms.indexOf(form);
				for (const value of values.filter((_, at) => isFull || (at + from) % 4 === 0)) {
					const scene = await setUp(make, form);
					const { db } = scene;
					if (edit(db, table, column, value)) {
						edits++;
						await survives(scene).catch((cause) => {
							throw new Error(`${table}.${column} = ${value}, ${form}: ${cause.message}`, { cause });
						});
					}
					expect(db.isTransaction ?? db.inTransaction).toBe(false);
					db.close();
				}
			}
			expect(edits).toBeGreaterThan(isFull ? 100 : 25);
		},
		120_000,
	);

	test.each([["counts", "crashes = -5"], ["payload", "payload = 5"]])(
		"sqliteStore() keeps the newest payload of a task whose row is damaged: %s",
		async (_, set) => {
			const { db, store } = await setUp(make, "replaced");
			db.exec(`UPDATE upkeep_tasks SET ${set} WHERE id = 'victim'`);
			const victim = (await claim(store, 9)).find(({ id }) => id === "victim") ?? await store.get("b", "victim");
			expect(victim).toMatchObject({ payload: "2" });
			expect(db.prepare("SELECT * FROM upkeep_replacements").all()).toEqual([]);
			db.close();
		},
	);

	test("sqliteStore() lets the newest payload run if the claim before it was removed by hand", async () => {
		const { db, store } = await setUp(make, "replaced");
		db.exec("UPDATE upkeep_tasks SET state = 0 WHERE id = 'victim'");
		const claims = await claim(store, 9);
		expect(claims.find(({ id }) => id === "victim")).toMatchObject({ payload: "1" });
		const settle = claims.map((ref) => ({ ref, outcome: { type: "done" } as const }));
		await store.turn("b", { settle, claim: [], lease });
		expect(await store.get("b", "victim")).toMatchObject({ state: "waiting", payload: "2" });
		db.exec("INSERT INTO upkeep_replacements SELECT seq, 'old', 0, 0, 0, NULL FROM upkeep_tasks WHERE id = 'victim'");
		await store.add("b", [task("victim", { payload: "3", ifPresent: "replace" })]);
		expect(await drain(store)).toEqual(["victim"]);
		expect((await store.list("b", { limit: 9 })).map(({ id }) => id)).toEqual([]);
		db.close();
	});

	test("sqliteStore() refuses with a StoreError, whatever is written into its own row", async () => {
		for (const [table, column] of await columnsOf(make, ["upkeep_schema"])) {
			for (const value of values) {
				const { db, store } = await setUp(make, "fresh");
				const isEdited = edit(db, table, column, value);
				const error = await store.add("b", [task("new")]).then(() => undefined, (error) => error);
				if (isEdited && column === "version") expect(error).toBeInstanceOf(StoreError);
				if (error === undefined) expect(await drain(store)).toEqual(["victim", "other", "follower", "new"]);
				else expect(error).toMatchObject({ name: "StoreError", isTransient: false });
				db.close();
			}
		}
	});
}

async function columnsOf(make: Open, tables: readonly string[]): Promise<[table: string, column: string][]> {
	const db = make(":memory:");
	const store = sqliteStore(db);
	await store.open();
	await store.add("b", [task("keyed", { limitKey: "k" })]); // tables without keys have fewer columns
	const columns = tables.flatMap((table) =>
		db.prepare(`PRAGMA table_info(${table})`).all().map((row) =>
			[table, (row as { name: string }).name] satisfies [string, string]
		)
	);
	db.close();
	expect(columns.length).toBeGreaterThan(1);
	return columns;
}

async function survives(scene: Scene): Promise<void> {
	const { store, form, ref } = scene;
	await look(store);
	if (form === "replaced and settled") {
		await store.turn("b", { settle: [{ ref: ref!, outcome: { type: "done" } }], claim: [], lease });
	}
	const ids = await drain(store);
	expect(ids.filter((id) => id === "other")).toEqual(["other"]);
	await look(store);
	const victim = await store.get("b", "victim");
	// The follower gets its turn. If the edit has removed the head from its lane, this needs a manual change.
	if (!ids.includes("follower") && victim?.lane !== "l") {
		await store.change("b", ["follower"], "retry");
		ids.push(...await drain(store));
	}
	expect(ids.includes("follower")).toBe(victim === undefined || victim.lane !== "l" || victim.state === "dead");
	if (victim?.state === "dead" && !form.endsWith("dead")) expect(victim.error).toBeTypeOf("string");
	await handle(scene);
	await look(store);
	expect((await store.add("b", [task("last")]))[0]).toMatchObject({ added: true });
	expect(await drain(store)).toContain("last");
}
