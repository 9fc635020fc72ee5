// postgresStore() with wrong privileges, settings, schemas and rows.
import { expect, test } from "vitest";
import { Basket } from "../../../mod.ts";
import type { Claim, Store } from "../../../src/basket/store.ts";
import { postgresStore } from "../../../src/stores/postgres/postgres.ts";
import { nameIn, version } from "../../../src/stores/postgres/sql.ts";
import { ask, claimed, fresh, type Main, task } from "./edges.ts";
import { useKeys } from "./limits.ts";
import type { Connections, Driver } from "./suite.ts";

export function testDamage(driver: Driver, main: Main): void {
	testHostile(driver, main);
	testRows(main);
}

/** Runs a function with connections of a role that has its own settings. */
async function as(
	driver: Driver,
	main: Main,
	role: string,
	settings: string[],
	work: (own: Connections) => Promise<void>,
) {
	const { server, connections: { run } } = main();
	await run(`CREATE ROLE ${role} LOGIN SUPERUSER`);
	for (const setting of settings) await run(`ALTER ROLE ${role} SET ${setting}`);
	const own = await driver.open(server.url.replace("postgres@", `${role}@`));
	try {
		await work(own);
	} finally {
		await own.close();
	}
}

/** Calls every member that a worker uses, with tasks of every kind. */
async function useAll(store: Store, { transaction }: Connections): Promise<void> {
	const lanes = ["a", "b"].map((id) => task({ id, lane: "l", priority: 3 }));
	await store.add("basket", [...lanes, task(), task({ delay: 60_000, id: "late" })]);
	expect(await store.add("basket", [task({ id: "a" })])).toMatchObject([{ added: false, state: "waiting" }]);
	const [a, free] = await claimed(store);
	expect(await store.extend("basket", [a!, free!], 30_000)).toEqual(["ok", "ok"]);
	expect(await store.save("basket", [{ ref: a!, payload: "saved", progress: "half" }])).toEqual([true]);
	const log = { after: 0, entries: ["1", "2"] };
	expect(await store.save("basket", [{ ref: a!, log }, { ref: a!, payload: "saved", log }])).toEqual([true, true]);
	const retry = { type: "retry" as const, delay: 60_000, attempts: 1, error: "no", backoff: true };
	await store.turn("basket", { settle: [{ ref: free!, outcome: retry, log }], claim: [], lease: 30_000 });
	expect(await store.log("basket", [{ id: "a", after: 1, limit: 1 }])).toEqual([[{ n: 2, data: "2" }]]);
	expect(await store.hasten("basket", 0)).toBe(1);
	await transaction(async (tx) => {
		await ask(
			tx,
			"CREATE TEMP TABLE tasks (seq int); CREATE TEMP TABLE levels (low int); CREATE TEMP TABLE version (version int)",
		);
		await store.add("basket", [task({ id: "inside" })], tx);
		expect(await store.complete("basket", a!, { type: "done", retain: 60_000 }, tx)).toBe(true);
	});
	expect(await store.change("basket", ["late", "b"], "hold")).toEqual([true, true]);
	expect(await store.change("basket", ["b"], "release")).toEqual([true]);
	expect(await store.post("basket", "late", "hello")).toBe(true);
	expect((await store.get("basket", "late"))?.inbox).toHaveLength(1);
	const rest = await claimed(store);
	expect(rest.map(({ id }) => id).sort()).toEqual([free!.id, "b", "inside"].sort());
	const dead = { type: "dead" as const, attempts: 2, error: "no" };
	await store.turn("basket", { settle: rest.map((ref) => ({ ref, outcome: dead })), claim: [], lease: 30_000 });
	expect(await store.change("basket", ["b"], "retry")).toEqual([true]);
	expect(await store.list("basket", { state: "dead", kind: "work", limit: 9 })).toHaveLength(2);
	expect(await store.counts("basket")).toMatchObject({ dead: 2, waiting: 1, held: 1, done: 1 });
	expect(await store.delete("basket", ["b", "late", "nobody"])).toEqual([true, true, false]);
	await useNewest(store);
	await useKeys(store, { transaction });
}

/** The same for what replaces other tasks, pauses and long lists. */
async function useNewest(store: Store): Promise<void> {
	const replace = { ifPresent: "replace", within: 60_000 } as const;
	const newest = ["x", "y"].map((id) => task({ id, lane: id, payload: "newest", ...replace }));
	await store.add("basket", newest.map(({ id, lane }) => task({ id, lane })));
	const claims = await claimed(store);
	expect(claims).toHaveLength(2);
	expect(await store.add("basket", [...newest, task({ id: "z", delay: 60_000, ...replace })])).toMatchObject([
		{ added: true, state: "running" },
		{ added: true, state: "running" },
		{ added: true },
	]);
	await expect(store.add("basket", [task({ id: "x", ...replace })])).rejects.toBeInstanceOf(TypeError);
	const outcomes = [{ type: "done", result: "kept" }, { type: "later", delay: 0, seen: 0 }] as const;
	await store.turn("basket", { settle: claims.map((ref, n) => ({ ref, outcome: outcomes[n]! })), claim: [], lease: 1 });
	expect(await store.pause("basket", "work", true)).toBe(true);
	expect(await store.pauses("basket")).toEqual({ all: false, kinds: ["work"] });
	expect(await claimed(store)).toEqual([]);
	expect(await store.pause("basket", "work", false)).toBe(true);
	const again = await claimed(store);
	expect(again.map(({ payload }) => payload)).toEqual(["newest", "newest"]);
	for (const query of [{ lane: "x" }, { prefix: "x" }, { lane: "x", prefix: "x", isReverse: true }]) {
		expect(await store.list("basket", { ...query, limit: 9 })).toMatchObject([{ id: "x", state: "running" }]);
	}
	expect(await store.delete("basket", ["x", "y", "z"])).toEqual([true, true, true]);
}

/** Creates objects with the same names as those that the functions use, or might use, for arguments of these types. */
const trap = `DO $$ DECLARE f text; a text; o text; BEGIN
	FOR f IN SELECT DISTINCT m[1] FROM pg_proc p, regexp_matches(prosrc, '([a-z_]+)\\(', 'g') m
		WHERE pronamespace = 'model'::regnamespace AND EXISTS (SELECT FROM pg_proc WHERE proname = m[1] AND pronamespace = 'pg_catalog'::regnamespace)
	LOOP
		FOREACH a IN ARRAY '{"",text,text[],bigint,bigint[],int,int[],json,boolean,"text, text","text, bigint","bigint, bigint","bigint, int","text, text[]","text, int","text, boolean","json[], json","text[], bigint[]"}'::text[] LOOP
			EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS text LANGUAGE plpgsql AS ''BEGIN RAISE EXCEPTION $f$a hostile function has run$f$; END''', f, a);
		END LOOP;
	END LOOP;
	FOREACH o IN ARRAY '{=,<>,<,>,<=,>=,||,*,+,-}'::text[] LOOP
		FOREACH a IN ARRAY '{"text, text","bigint, bigint","bigint, int","int, int","smallint, int","int, smallint","text, bigint","text[], text[]","bigint[], bigint[]","text[], text","json[], json","boolean[], boolean","double precision, int","numeric, int"}'::text[] LOOP
			EXECUTE format('CREATE FUNCTION public.trap(%s) RETURNS boolean LANGUAGE plpgsql AS ''BEGIN RAISE EXCEPTION $f$a hostile operator has run$f$; END''', a);
			EXECUTE format('CREATE OPERATOR public.%s (FUNCTION = public.trap, LEFTARG = %s, RIGHTARG = %s)', o, split_part(a, ', ', 1), split_part(a, ', ', 2));
			EXECUTE format('ALTER FUNCTION public.trap(%s) RENAME TO %I', a, 'trap_' || md5(o || a));
		END LOOP;
	END LOOP;
	CREATE TABLE public.tasks (seq int); CREATE TABLE public.levels (low int); CREATE TABLE public.lanes (lane int); CREATE TABLE public.log (n int);
	CREATE TABLE public.leftovers (n int);
END $$`;

function testHostile(driver: Driver, main: Main): void {
	test("add() and all others run nothing that somebody has put into the path of the worker", async () => {
		const { run, store: model } = await fresh(main, "model");
		await useAll(model, main().connections);
		await run("CREATE DATABASE hostile");
		const hostile = await driver.open(main().server.urlOf("hostile"));
		try {
			await postgresStore(hostile.client, { schema: "model" }).open();
			await hostile.run("CREATE ROLE hostile; GRANT CREATE ON SCHEMA public TO hostile; SET ROLE hostile; RESET ROLE");
			await hostile.run(trap);
		} finally {
			await hostile.close();
		}
		await run("CREATE ROLE careful LOGIN SUPERUSER");
		await run("ALTER ROLE careful SET search_path = public, pg_catalog");
		const careful = await driver.open(main().server.urlOf("hostile").replace("postgres@", "careful@"));
		try {
			await expect(careful.run("SELECT cardinality('{}'::text[])")).rejects.toThrow(/hostile/);
			const store = postgresStore(careful.client, { schema: "prey" });
			await store.open();
			await useAll(store, careful);
		} finally {
			await careful.close();
		}
	});

	test("postgresSchema() gives each function a path of its own, or one that needs none", async () => {
		const { run } = await fresh(main, "paths");
		const text = `SELECT json_agg(proname)::text AS names FROM pg_proc WHERE pronamespace = 'paths'::regnamespace
			AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)`;
		expect(JSON.stringify(await run(text))).toContain('["clock"]'.replaceAll('"', '\\"'));
	});
}

/** Each of these faults must end `run` with the reason before a task runs. */
export function testLasting(driver: Driver, main: Main): void {
	async function expectEnd(store: Store<never>, code: string, words: RegExp): Promise<void> {
		let runs = 0;
		const errors: unknown[] = [];
		const basket = new Basket({
			store,
			name: "basket",
			tasks: { work: () => void runs++ },
			onError: (error) => errors.push(error),
		});
		const error = await basket.run().then(() => undefined, (error) => error);
		expect(error).toMatchObject({ name: "StoreError", code, isTransient: false });
		expect(error.message).toMatch(words);
		expect([runs, errors]).toEqual([0, []]);
	}

	test.each([
		["DROP TABLE", "broken_table", "DROP TABLE broken_table.tasks", "corrupt", /restore/],
		["DROP FUNCTION", "broken_turn", `DROP FUNCTION broken_turn.${nameIn("turn")}`, "corrupt", /restore/],
		[
			"DROP SCHEMA",
			"broken_schema",
			"DROP SCHEMA broken_schema CASCADE",
			"not-open",
			/open the store again|postgresSchema/,
		],
	])("Basket.run() ends when its tables are not there any more: %s", async (_, schema, damage, code, words) => {
		const { store, run } = await fresh(main, schema);
		await store.add("basket", [task({ payload: "0" })]);
		await run(damage);
		store.open = () => Promise.resolve(); // as if the process had opened the store before
		await expectEnd(store as Store<never>, code, words);
	});

	test.each([["DELETE FROM unversioned.version"], ["UPDATE unversioned.version SET version = -1"]])(
		"open() refuses a schema that does not say its version: %s",
		async (damage) => {
			const { client, run } = await fresh(main, "unversioned");
			await run(damage);
			await expectEnd(postgresStore(client, { schema: "unversioned" }) as Store<never>, "corrupt", /version/);
			await run("DELETE FROM unversioned.version; INSERT INTO unversioned.version VALUES (" + version + ")");
		},
	);

	test("Basket.run() ends where nothing can be written, and says why", async () => {
		const { store } = await fresh(main, "read_only");
		await store.add("basket", [task({ payload: "0" })]);
		await as(driver, main, "reader", ["default_transaction_read_only = on"], async ({ client }) => {
			await expectEnd(
				postgresStore(client, { schema: "read_only" }) as Store<never>,
				"refused",
				/default_transaction_read_only/,
			);
		});
	});

	test.each([["repeatable read"], ["serializable"]])(
		"Basket.run() ends where transactions are %s, and says why",
		async (level) => {
			const schema = level.replace(" ", "_") + "_level";
			const { store } = await fresh(main, schema);
			await store.add("basket", [task({ payload: "0" })]);
			await as(driver, main, schema, [`default_transaction_isolation = '${level}'`], async ({ client }) => {
				const strict = postgresStore(client, { schema });
				await strict.open();
				await strict.add("basket", [task({ payload: "0" })]); // at this level, an add without a lane is safe
				await expectEnd(strict as Store<never>, "refused", /READ COMMITTED/);
			});
		},
	);

	test("add() and all others refuse tables that a newer library has changed meanwhile", async () => {
		const { store, run } = await fresh(main, "outdated");
		await store.add("basket", [task()]);
		const [claim] = await claimed(store);
		await run(`DO $$ DECLARE f record; BEGIN
			FOR f IN SELECT oid::regprocedure AS old, replace(proname, '_${version}', '_${version + 1}') AS new FROM pg_proc
				WHERE pronamespace = 'outdated'::regnamespace AND proname LIKE '%\\_${version}' LOOP
				EXECUTE format('ALTER FUNCTION %s RENAME TO %I', f.old, f.new);
			END LOOP;
			UPDATE outdated.version SET version = ${version + 1};
		END $$`);
		const settle = [{ ref: claim!, outcome: { type: "done" as const } }];
		for (
			const call of [
				() => store.add("basket", [task()]),
				() => store.turn("basket", { settle, claim: [], lease: 1 }),
				() => store.save("basket", [{ ref: claim!, payload: "x" }]),
				() => store.list("basket", { limit: 1 }),
				() => store.delete("basket", [claim!.id]),
			]
		) await expect(call()).rejects.toMatchObject({ name: "StoreError", code: "newer-schema", isTransient: false });
	});
}

const bad = { text: ["U&'\\FDD0{'", "U&'\\FDD0' || '5'", "U&'\\FDD1*'", "''", "'x'", "repeat('x', 100000)"] };
const numbers = (top: string) => ["-1", `-${top}`, top, "0", "1"];
/** For each column, possible values that the store never writes. */
const edits: Record<string, string[]> = {
	seq: ["-5", "9223372036854775807", "9007199254740993"],
	due: [...numbers("9223372036854775807"), "9007199254740991", "extract(epoch FROM timestamp '9999-01-01') * 1000"],
	added: numbers("9223372036854775807"),
	priority: numbers("32767"),
	state: ["-1", "2", "3", "4", "5", "6", "7", "8", "32767"],
	attempts: numbers("2147483647"),
	crashes: [...numbers("2147483647"), "1000"],
	claims: [...numbers("2147483647"), "2147483646"],
	posted: numbers("2147483647"),
	seen: numbers("2147483647"),
	backoff: ["true"],
	kind: bad.text,
	payload: bad.text,
	id: ["NULL", "'_' || seq", "'_1'", ...bad.text.slice(0, 3)],
	lane: bad.text,
	error: bad.text,
	progress: bad.text,
	result: bad.text,
	newer: bad.text,
	newer_priority: [...numbers("32767"), "100"],
	newer_added: numbers("9223372036854775807"),
	newer_due: [...numbers("9223372036854775807"), "9007199254740991"],
	gate: bad.text,
	place: bad.text,
	started: numbers("9223372036854775807"),
	log: [...numbers("9223372036854775807"), "seq"],
};

function testRows(main: Main): void {
	test.each(Object.entries(edits))("turn() and all others: a wrong %s harms nobody else", async (column, values) => {
		const { store, run } = await fresh(main, "edited");
		for (const value of values) {
			await store.add("basket", ["victim", "innocent"].map((id) => task({ id })));
			// The server refuses values that violate a constraint.
			await run(`UPDATE edited.tasks SET ${column} = ${value} WHERE id = 'victim'`).catch((error) =>
				expect(String(error)).toMatch(/sound|out of range|unique/)
			);
			const ran: string[] = [];
			for (let round = 0; round < 3; round++) {
				ran.push(...await workOff(store));
				await store.add("basket", [task({ id: "victim", ifPresent: "replace" })]).catch(isRefused);
			}
			if (ran.includes("victim")) await workOff(store);
			expect([column, value, ran.includes("innocent")]).toEqual([column, value, true]);
			const left = await store.list("basket", { limit: 9 });
			// Such a task is held while it runs, and its worker has left it. It waits for its release.
			if (value !== "3") expect(left.every(({ state }) => state !== "running")).toBe(true);
			await store.counts("basket");
			for (const { id } of left) await store.get("basket", id);
			await run("TRUNCATE edited.tasks, edited.messages, edited.lanes, edited.log, edited.leftovers");
		}
	});
}

/** A damaged task may be of another kind. */
function isRefused(error: unknown): void {
	expect(error).toBeInstanceOf(TypeError);
}

/** Claims and settles all due tasks. @returns the ids */
async function workOff(store: Store): Promise<string[]> {
	const claims: readonly Claim[] = await claimed(store, ["work", "x", ""]);
	const settle = claims.map((ref) => ({ ref, outcome: { type: "done" as const } }));
	const { settled } = await store.turn("basket", { settle, claim: [], lease: 30_000 });
	expect(settled.every(Boolean)).toBe(true);
	return claims.map(({ id }) => id);
}
