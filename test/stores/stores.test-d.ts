// The types of stores for a given client, and for a function that opens it.
import { DatabaseSync } from "node:sqlite";
import Libsql from "libsql";
import { Pool } from "pg";
import postgres from "postgres";
import { describe, expectTypeOf, test } from "vitest";
import type { DenoKv, DenoKvOperation, DenoKvStore } from "../../src/stores/deno-kv/deno-kv.ts";
import { denoKvStore } from "../../src/stores/deno-kv/deno-kv.ts";
import { type PostgresStore, postgresStore } from "../../src/stores/postgres/postgres.ts";
import { type SqliteStore, sqliteStore } from "../../src/stores/sqlite/sqlite.ts";

/** An operation of a user. */
interface Operation extends DenoKvOperation {
	own(): void;
}

const path = "tasks.db";

describe("the stores", () => {
	test("sqliteStore() infers the connection, which is its transaction", () => {
		expectTypeOf(sqliteStore(new DatabaseSync(path))).toEqualTypeOf<SqliteStore<DatabaseSync>>();
		expectTypeOf(sqliteStore(() => new DatabaseSync(path))).toEqualTypeOf<SqliteStore<DatabaseSync>>();
		expectTypeOf(sqliteStore(async () => new DatabaseSync(path))).toEqualTypeOf<SqliteStore<DatabaseSync>>();
		expectTypeOf(sqliteStore(new Libsql(path))).toEqualTypeOf<SqliteStore<Libsql.Database>>();
		expectTypeOf(sqliteStore(() => new Libsql(path))).toEqualTypeOf<SqliteStore<Libsql.Database>>();
		// @ts-expect-error a path is not a connection
		sqliteStore(path);
		// @ts-expect-error the function must return a connection
		sqliteStore(() => path);
	});

	test("denoKvStore() infers the operation", () => {
		const kv = {} as DenoKv<Operation>;
		expectTypeOf(denoKvStore(kv)).toEqualTypeOf<DenoKvStore<Operation>>();
		expectTypeOf(denoKvStore(() => kv)).toEqualTypeOf<DenoKvStore<Operation>>();
		expectTypeOf(denoKvStore(async () => kv)).toEqualTypeOf<DenoKvStore<Operation>>();
		// @ts-expect-error a number is not a database
		denoKvStore(async () => 1);
	});

	test("postgresStore() takes each client, and functions that make one", () => {
		expectTypeOf(postgresStore(() => new Pool())).toEqualTypeOf<PostgresStore>();
		expectTypeOf(postgresStore(async () => new Pool())).toEqualTypeOf<PostgresStore>();
		expectTypeOf(postgresStore(() => postgres(""))).toEqualTypeOf<PostgresStore>();
		expectTypeOf(postgresStore(postgres(""))).toEqualTypeOf<PostgresStore>();
		// @ts-expect-error a number is not a client
		postgresStore(() => 1);
	});
});
