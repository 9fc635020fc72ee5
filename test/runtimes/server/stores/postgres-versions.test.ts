// postgresStore() with tables of an older version, and on a standby server.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import pg from "pg";
import { Basket, type Store } from "../../../../mod.ts";
import type { Ref } from "../../../../src/store.ts";
import { type PostgresClient, postgresStore } from "../../../../src/stores/postgres/postgres.ts";
import { version } from "../../../../src/stores/postgres/sql.ts";
import { PostgresMachine } from "../../../servers/postgres-machine.ts";
import { deferred } from "../../../support.ts";

const basket = "basket";
const [first, second, third] = [1, 2, 3].map((version) =>
	readFileSync(new URL(`../../../fixtures/postgres-schema-${version}.sql`, import.meta.url), "utf8")
);

let machine: PostgresMachine;
let pool: pg.Pool;

beforeAll(async () => {
	machine = await PostgresMachine.start();
	pool = new pg.Pool({ connectionString: machine.url, connectionTimeoutMillis: 5_000 });
}, 30_000);

afterAll(async () => {
	await pool.end();
	await machine.close();
}, 30_000);

/** Calls a function like a program of the older version. */
async function then<T>(name: string, ...values: unknown[]): Promise<T> {
	const places = [basket, ...values].map((_, index) => `$${index + 1}`);
	const given = values.map((value) => typeof value === "string" ? value : JSON.stringify(value));
	const { rows } = await pool.query(`SELECT first.${name}(${places}) AS answer`, [basket, ...given]);
	return JSON.parse(rows[0].answer);
}

/** Adds tasks like a program of the older version: `[id, lane, delay, payload]`. */
async function addThen(...tasks: [id: string, lane: string | null, delay: number, payload: string][]): Promise<void> {
	const column = (index: number) => `{${tasks.map((task) => task[index] === null ? "NULL" : `"${task[index]}"`)}}`;
	const same = (value: string) => `{${tasks.map(() => value)}}`;
	await then("add", same("work"), column(0), column(1), same("0"), column(2), column(3), "1");
}

/** Claims a task like a program of the older version. */
async function claimThen(): Promise<{ s: number; n: number; i: string }> {
	type Columns = [seqs: number[], ids: string[]];
	const [, , [columns]] = await then<[unknown, unknown, Columns[]]>("turn", "{}", [], [[1, ["work"]]], "600000", "");
	return { s: columns![0][0]!, n: 1, i: columns![1][0]! };
}

async function open(schema = "first"): Promise<Store<PostgresClient>> {
	const store = postgresStore(pool, { schema });
	await store.open();
	return store;
}

/** Adds a task in each state, and returns the claim of the running task. */
async function fill(): Promise<{ s: number; n: number; i: string }> {
	await addThen(["dead", null, 0, "1"]);
	const dead = await claimThen();
	await then("turn", "{}", [{ ...dead, t: 6, a: 3, c: 0, e: "the end" }], [], "0", "");
	await addThen(["done", null, 0, "2"]);
	const done = await claimThen();
	await then("turn", "{}", [{ ...done, t: 7, d: 600_000 }], [], "0", "");
	await addThen(["head", "lane", 0, "3"], ["behind", "lane", 0, "4"], ["later", null, 500_000, "5"]);
	const head = await claimThen();
	await addThen(["held", null, 0, "6"], ["due", null, 0, "7"]);
	await then("change", [{ i: "held" }], "hold");
	await then("post", { i: "later" }, "hello");
	await then("post", { i: "held" }, "hello");
	return head;
}

const stored = [
	{ id: "dead", state: "dead", payload: "1", attempts: 3, error: "the end" },
	{ id: "done", state: "done", payload: "2" },
	{ id: "head", state: "running", payload: "3", lane: "lane" },
	{ id: "behind", state: "waiting", payload: "4", lane: "lane" },
	{ id: "later", state: "waiting", payload: "5" },
	{ id: "held", state: "held", payload: "6" },
	{ id: "due", state: "waiting", payload: "7" },
];

describe("postgresStore() with tables of version 1", () => {
	let head: { s: number; n: number; i: string };

	beforeAll(async () => {
		await pool.query(first!);
		head = await fill();
	});

	test("open() brings them up to date, by whoever of several comes first, and nothing is lost", async () => {
		const stores = await Promise.all(Array.from({ length: 5 }, () => open()));
		const found = await stores[0]!.list(basket, { limit: 100 });
		expect(found.toSorted((a, b) => stored.findIndex(isOf(a)) - stored.findIndex(isOf(b)))).toMatchObject(stored);
		for (const id of ["later", "held"]) {
			expect((await stores[0]!.get(basket, id))!.inbox).toEqual([{ n: 1, data: "hello" }]);
		}
		expect((await pool.query("SELECT version FROM first.version")).rows).toEqual([{ version }]);
	});

	test("a program of then cannot write any more, and is told that something is missing", async () => {
		const store = await open();
		const before = await store.list(basket, { limit: 100 });
		const calls = [
			() => addThen(["new", null, 0, "8"]),
			() => then("turn", "{}", [{ ...head, t: -1 }], [[1, ["work"]]], "600000", ""),
			() => then("extend", [head], "600000"),
			() => then("save", [{ ...head, v: "new" }]),
			() => then("remove", [{ i: "due" }], "1"),
			() => then("change", [{ i: "held" }], "release"),
			() => then("hasten", "0"),
			() => then("post", { i: "due" }, "hello"),
		];
		for (const call of calls) await expect(call()).rejects.toMatchObject({ code: "42883" });
		expect(await store.list(basket, { limit: 100 })).toEqual(before);
	});

	test("what was claimed and not settled runs again when its lease is over, and all that can be done is done", async () => {
		const store = await open();
		expect(await store.change(basket, ["held"], "release")).toEqual([true]);
		expect(await store.change(basket, ["dead"], "retry")).toEqual([true]);
		const claims = await claim(store);
		expect(claims.map(({ id }) => id).toSorted()).toEqual(["dead", "due", "held", "later"]);
		await settle(store, claims);
		await pool.query("UPDATE first.tasks SET due = 0 WHERE id = 'head'");
		await pool.query("UPDATE first.levels SET ends = 0, checked = 0");
		const again = await claim(store);
		expect(again).toMatchObject([{ id: "head", attempts: 1, crashes: 1 }]);
		await expectLog(store, again[0]!);
		await settle(store, again);
		const behind = await claim(store);
		expect(behind.map(({ id }) => id)).toEqual(["behind"]);
		await settle(store, behind);
		expect(await store.counts(basket)).toEqual({ waiting: 0, running: 0, held: 0, dead: 0, done: 1 });
	});
});

describe("postgresStore() with tables of version 2", () => {
	/** Calls a function like a program of version 2. */
	const then = (name: string, ...values: string[]) => {
		const places = [basket, ...values].map((_, index) => `$${index + 1}`);
		return pool.query(`SELECT second.${name}_2(${places})`, [basket, ...values]);
	};
	const addThen = (ids: string, lanes: string) =>
		then("add", "{work,work}", ids, lanes, "{0,0}", "{0,0}", "{1,2}", "1");
	const claimThen = () => then("turn", "{}", "[]", '[[9, ["work"]]]', "600000", "");

	test("open() brings them up to date, and keeps dead and done tasks, claims and lanes", async () => {
		await pool.query(second!);
		await addThen("{dead,done}", "{NULL,NULL}");
		await claimThen();
		const numbers = Object.fromEntries((await pool.query("SELECT id, seq FROM second.tasks")).rows.map(Object.values));
		const dead = { s: numbers.dead, n: 1, i: "dead", t: 6, a: 3, e: "the end" };
		const done = { s: numbers.done, n: 1, i: "done", t: 7, d: 600_000 };
		await then("turn", "{}", JSON.stringify([dead, done]), "[]", "0", "");
		await addThen("{head,behind}", "{lane,lane}");
		await claimThen();
		const store = await open("second");
		await expect(claimThen()).rejects.toMatchObject({ code: "42883" });
		expect(await store.list(basket, { limit: 9 })).toMatchObject([
			{ id: "dead", state: "dead", attempts: 3, error: "the end", dueAt: undefined },
			{ id: "done", state: "done" },
			{ id: "head", state: "running", lane: "lane" },
			{ id: "behind", state: "waiting", lane: "lane" },
		]);
		const { rows } = await pool.query("SELECT seq FROM second.tasks WHERE id = 'head'");
		const head = { id: "head", token: `${rows[0].seq}.1` };
		await expectLog(store, head);
		const replaced = { id: "head", kind: "work", lane: "lane", payload: "new", delay: 0, priority: 0 };
		const added = await store.add(basket, [{ ...replaced, ifPresent: "replace" }]);
		expect(added).toEqual([{ id: "head", added: true, state: "running" }]);
		await settle(store, [head]);
		expect(await claim(store)).toMatchObject([{ id: "head", payload: "new", attempts: 0 }]);
		expect((await pool.query("SELECT version FROM second.version")).rows).toEqual([{ version }]);
	});
});

describe("postgresStore() with tables of version 3", () => {
	/** Calls a function like a program of version 3. */
	const then = (name: string, ...values: string[]) => {
		const places = [basket, ...values].map((_, index) => `$${index + 1}`);
		return pool.query(`SELECT third.${name}_3(${places})`, [basket, ...values]);
	};
	const addThen = (ids: string, lanes: string) =>
		then("add", "{work,work}", ids, lanes, "{0,0}", "{0,0}", "{1,2}", "1");

	test("open() brings them up to date, and limits what was running and waiting as soon as it has a key", async () => {
		await pool.query(third!);
		await addThen("{a,b}", "{NULL,lane}");
		await then("turn", "{}", "[]", '[[9, ["work"]]]', "600000", "");
		await addThen("{c,d}", "{NULL,lane}");
		const store = await open("third");
		await expect(addThen("{x,y}", "{NULL,NULL}")).rejects.toMatchObject({ code: "42883" });
		expect(await store.list(basket, { limit: 9 })).toMatchObject(
			["a", "b", "c", "d"].map((id, index) => ({ id, state: index < 2 ? "running" : "waiting", limitKey: undefined })),
		);
		const limits = [{ kind: "work", atOnce: 1, spacing: 0, burst: 1 }];
		const turn = (settle: readonly Ref[], limitKey: string) =>
			store.turn(basket, {
				settle: settle.map((ref) => ({ ref, outcome: { type: "release", limitKey } })),
				claim: [{ kinds: ["work"], limit: 9 }],
				lease: 600_000,
				limits,
			});
		const [c] = (await turn([], "")).claims;
		expect(c).toMatchObject({ id: "c", limitKey: undefined });
		const numbers = Object.fromEntries((await pool.query("SELECT id, seq FROM third.tasks")).rows.map(Object.values));
		const claims = ["a", "b", "c"].map((id) => ({ id, token: `${numbers[id]}.1` }));
		const [a] = (await turn(claims, "key")).claims;
		expect(a).toMatchObject({ id: "a", limitKey: "key" });
		await expectLog(store, a!);
		await settle(store, [a!]);
		expect((await turn([], "")).claims).toMatchObject([{ id: "b", limitKey: "key", lane: "lane" }]);
		expect((await pool.query("SELECT version FROM third.version")).rows).toEqual([{ version }]);
	});
});

function isOf(task: { readonly id: string }): (other: { readonly id: string }) => boolean {
	return ({ id }) => id === task.id;
}

async function claim(store: Store<PostgresClient>) {
	return (await store.turn(basket, { settle: [], claim: [{ kinds: ["work"], limit: 100 }], lease: 600_000 })).claims;
}

/** Expects that a claim that may be of the older version can append to the log of its task. */
async function expectLog(store: Store<PostgresClient>, { id, token }: Ref): Promise<void> {
	expect(await store.log(basket, [{ id, token, after: 0, limit: 9 }])).toEqual([[]]);
	expect(await store.save(basket, [{ ref: { id, token }, log: { after: 0, entries: ["1"] } }])).toEqual([true]);
	expect(await store.log(basket, [{ id, token, after: 0, limit: 9 }])).toEqual([[{ n: 1, data: "1" }]]);
}

async function settle(store: Store<PostgresClient>, claims: readonly Ref[]): Promise<void> {
	const ended = claims.map((ref) => ({ ref, outcome: { type: "done" as const } }));
	const { settled } = await store.turn(basket, { settle: ended, claim: [], lease: 600_000 });
	expect(settled).toEqual(claims.map(() => true));
}

describe("postgresStore() on a standby", () => {
	test("run() waits until that takes over, and says why", async () => {
		const primary = await PostgresMachine.start();
		const writing = new pg.Pool({ connectionString: primary.url, connectionTimeoutMillis: 5_000 });
		writing.on("error", () => {});
		const outbox = new Basket({ store: postgresStore(writing), tasks: { work: (_: number) => {} } });
		await outbox.add("work", 1);
		await writing.end();
		const standby = await primary.startStandby();
		await primary.close(); // the last other connection
		const reading = new pg.Pool({ connectionString: standby.url, connectionTimeoutMillis: 5_000 });
		const [told, done] = [deferred(), deferred()];
		const errors: unknown[] = []; // a standby does not support LISTEN
		const waiting = new Basket({
			store: postgresStore(reading),
			tasks: { work: (_: number) => done.resolve() },
			onError(error) {
				errors.push(error);
				if (/read-only/.test(String(error))) told.resolve();
			},
		});
		const run = waiting.run();
		run.catch(done.reject);
		try {
			await told.promise;
			for (const error of errors) {
				expect(error).toMatchObject({ name: "StoreError", code: "unavailable", isTransient: true });
			}
			await standby.promote();
			await done.promise;
		} finally {
			await waiting.stop();
			await reading.end();
			await standby.close();
		}
		await run;
	}, 60_000);
});
