// Tests of postgresStore() that need no server.
import { describe, expect, test } from "vitest";
import { driverOf, queryIn } from "../../../../src/stores/postgres/driver.ts";
import { toStoreError } from "../../../../src/stores/postgres/errors.ts";
import { type PostgresClient, postgresSchema, postgresStore } from "../../../../src/stores/postgres/postgres.ts";
import type { StoreError } from "../../../../src/platform/store-error.ts";

const failing = (error: unknown) => ({ query: () => Promise.reject(error) });
const withCode = (code: string, message = "something") => Object.assign(new Error(message), { code });

describe("postgresStore()", () => {
	test.each([
		[undefined],
		[null],
		["postgres://localhost"],
		[{}],
		[{ query: true }],
	])("refuses %s as a client", (client) => {
		expect(() => postgresStore(client as unknown as PostgresClient)).toThrow(TypeError);
	});

	test("refuses what a function gives that is no client", async () => {
		const store = postgresStore(() => ({ query: true }) as unknown as PostgresClient);
		await expect(store.open()).rejects.toBeInstanceOf(TypeError);
	});

	test.each(["", "1a", "a-b", 'a"', "a'", "a b", "pg_tasks", "x".repeat(64), "ä"])(
		"refuses the schema %s",
		(schema) => {
			expect(() => postgresStore(failing(0), { schema })).toThrow(RangeError);
			expect(() => postgresSchema({ schema })).toThrow(RangeError);
		},
	);

	test("refuses options that are not what they must be", () => {
		expect(() => postgresStore(failing(0), { schema: 1 as unknown as string })).toThrow(TypeError);
		expect(() => postgresStore(failing(0), { timeout: 0 })).toThrow(RangeError);
		expect(() => postgresStore(failing(0), { pollInterval: -1 })).toThrow(RangeError);
	});

	test.each(
		[
			["unavailable", true, withCode("ECONNREFUSED")],
			["unavailable", true, withCode("57P01", "terminating connection due to administrator command")],
			["unavailable", true, withCode("57P03", "the database system is starting up")],
			["unavailable", true, withCode("53300", "too many clients already")],
			["unavailable", true, withCode("25006", "cannot execute INSERT in a read-only transaction")],
			["unavailable", true, withCode("CONNECTION_CLOSED")],
			["unavailable", true, new Error("Connection terminated unexpectedly")],
			["unavailable", true, new AggregateError([withCode("ECONNREFUSED"), withCode("ECONNREFUSED")])],
			["unavailable", true, "a text"],
			["busy", true, withCode("40001")],
			["busy", true, withCode("40P01", "deadlock detected")],
			["busy", true, withCode("57014", "canceling statement due to statement timeout")],
			["full", true, withCode("53100", "could not extend file")],
			["refused", false, withCode("42501", "permission denied for table tasks")],
			["refused", false, withCode("28P01", "password authentication failed")],
			["refused", false, Object.assign(withCode("ERR_POSTGRES_SERVER_ERROR"), { errno: "3D000" })],
			["corrupt", false, withCode("XX001", "invalid page in block 0")],
			["closed", false, withCode("CONNECTION_ENDED")],
			["closed", false, new Error("Cannot use a pool after calling end on the pool")],
		] as const,
	)("open() rejects with %s (transient: %s) for %s", async (code, isTransient, cause) => {
		const error = await postgresStore(failing(cause)).open().then(() => undefined, (error: StoreError) => error);
		expect({ code: error?.code, isTransient: error?.isTransient, cause: error?.cause }).toEqual({
			code,
			isTransient,
			cause,
		});
		expect(error!.message).not.toBe("Postgres: ");
	});

	test("open() does not wait for ever for a server that does not answer", async () => {
		const silent = { query: () => new Promise<never>(() => {}) };
		const opening = postgresStore(silent, { timeout: 20 }).open();
		await expect(opening).rejects.toMatchObject({ code: "unavailable", isTransient: true });
	});

	test("open() takes a connection that does not answer out of a pool of pg", async () => {
		const released: unknown[] = [];
		const client = {
			query: () => new Promise<never>(() => {}),
			release: (isBroken: boolean) => released.push(isBroken),
		};
		const pool = {
			totalCount: 1,
			connect: () => Promise.resolve(client),
			query: () => Promise.reject(),
			on() {},
			off() {},
		};
		await expect(postgresStore(pool, { timeout: 20 }).open()).rejects.toMatchObject({ code: "unavailable" });
		expect(released).toEqual([true]);
	});
});

// A pool gives another connection for one that is lost; a store on a single client ends, because nothing brings it back.
describe.each([
	"Client has encountered a connection error and is not queryable",
	"Client was closed and is not queryable",
])("of pg: %s", (text) => {
	const lost = () => ({ query: () => Promise.reject(new Error(text)), release() {}, on() {}, off() {} });
	const listening = () => ({
		...lost(),
		query: (text: string) => /LISTEN/.test(text) ? Promise.resolve({ rows: [] }) : lost().query(),
	});
	const poolOf = (clients: unknown[]) => ({
		...{ totalCount: 1, query: lost().query, on() {}, off() {} },
		connect: () => clients.length > 0 ? Promise.resolve(clients.shift() as never) : new Promise<never>(() => {}),
	});

	test.each([
		["a connection of a pool", "unavailable", () => driverOf(poolOf([lost()]))],
		["the listening connection, which is lent", "unavailable", async () => {
			const driver = driverOf(poolOf([listening()]));
			await driver.listen!("channel", () => {}, () => {});
			return driver;
		}],
		["the client of a transaction", "unavailable", () => ({ query: queryIn(lost()) })],
		["a single client", "closed", () => driverOf(lost())],
	])("%s: %s", async (_, code, make) => {
		const { query } = await make();
		const asking = query("SELECT 1", [], 1_000).catch((error) => Promise.reject(toStoreError(error)));
		await expect(asking).rejects.toMatchObject({ code, isTransient: code === "unavailable" });
	});
});

describe("postgresSchema()", () => {
	test("is one statement, with the schema in quotes", () => {
		const sql = postgresSchema({ schema: "Tasks" });
		expect(sql).toMatch(/^DO \$upkeep\$\n[^]*\nEND \$upkeep\$;\n$/);
		expect(sql).toContain('CREATE SCHEMA "Tasks"');
	});
});
