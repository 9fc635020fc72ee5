/**
 * Opens a Postgres database with a driver that the user has installed.
 *
 * @module
 */

import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { type PostgresClient, postgresStore } from "../stores/postgres/postgres.ts";
import { driverOf } from "../stores/postgres/driver.ts";
import { toStoreError } from "../stores/postgres/errors.ts";
import { quote as quoteName, version } from "../stores/postgres/schema.ts";
import { gateOf, survey } from "../stores/postgres/survey.ts";
import { blockersOf } from "./locks.ts";
import { type Catalog, Failure, type OpenStore, quote } from "./terminal.ts";

/** A client that can be closed. */
interface Connection {
	readonly client: PostgresClient;
	close(): Promise<unknown>;
}

/** The time limit for connecting, in seconds. */
const patience = 10;

/**
 * Opens the store.
 *
 * @param onConnect called with what can say why an answer does not come, before the first question
 * @throws {Failure} if there is no driver, or no schema with this version
 */
export async function openPostgres(
	url: string,
	schema: string,
	onConnect: (explain: OpenStore["explain"]) => void,
): Promise<OpenStore> {
	// The messages of the drivers may contain the address with its password.
	if (!URL.canParse(url)) {
		throw new Failure(2, "--db is not a valid address; special characters in a password are written as %XX");
	}
	if (!/^(?!pg_)[a-z_]\w{0,62}$/i.test(schema)) {
		throw new Failure(2, `--tables takes letters, digits and _, not ${quote(schema)}`);
	}
	const name = `upkeep ${process.pid} ${Date.now()}`;
	const connection = await connect(url, name);
	const { client } = connection;
	const close = async () => void await connection.close();
	const explain = () => blockersOf(client, name);
	onConnect(explain);
	try {
		await checkTables(client, schema);
		const store = postgresStore(client, { schema });
		await store.open();
		const { query } = driverOf(client);
		const catalog: Catalog = {
			survey: (basket) => survey(query, schema, basket),
			gate: (...names) => gateOf(query, schema, ...names),
		};
		return { store, catalog, explain, close };
	} catch (error) {
		await close().catch(() => {}); // the first error matters
		throw error;
	}
}

/** Opening the store would create missing tables and migrate old ones, which a command must not do. */
async function checkTables(client: PostgresClient, schema: string): Promise<void> {
	const found = await versionOf(client, schema);
	if (found === 0) throw new Failure(1, `The database has no tables of upkeep in a schema ${quote(schema)}`);
	if (found >= version) return; // the store refuses a newer one
	throw new Failure(
		1,
		`The schema ${quote(schema)} is of an older version of upkeep: a program with this version has to open it first`,
	);
}

async function versionOf(client: PostgresClient, schema: string): Promise<number> {
	try {
		return Number(
			await driverOf(client).query(`SELECT version FROM ${quoteName(schema)}.version`, [], patience * 1_000),
		);
	} catch (error) {
		const failure = toStoreError(error);
		if (failure.code === "not-open") return 0;
		throw failure;
	}
}

/** Two connections at most: the second one finds out why the first one waits. */
async function connect(url: string, application_name: string): Promise<Connection> {
	const max = 2;
	const postgres = await load("postgres", 3);
	if (postgres !== undefined) {
		const connection = { application_name };
		const sql = postgres(url, { max, connect_timeout: patience, connection, onnotice: () => {} });
		return { client: sql, close: () => sql.end({ timeout: patience }) };
	}
	const pg = await load("pg", 8);
	if (pg !== undefined) {
		const connectionTimeoutMillis = patience * 1_000;
		const pool = new pg.Pool({ connectionString: url, max, connectionTimeoutMillis, application_name });
		return { client: pool, close: () => pool.end() };
	}
	const { Bun } = globalThis as {
		Bun?: { SQL: new (options: object) => PostgresClient & { close(): Promise<unknown> } };
	};
	if (Bun?.SQL !== undefined) {
		const sql = new Bun.SQL({ url, max, connection: { application_name }, connectionTimeout: patience });
		return { client: sql, close: () => sql.close() };
	}
	throw new Failure(1, "Postgres needs a driver: install the package postgres or pg in this folder, or beside upkeep");
}

/**
 * Loads a package from the project in the current folder, or from the project that contains this program. Deno resolves
 * the package by itself, because a module cannot look into the project of another.
 */
// deno-lint-ignore no-explicit-any -- the types of the drivers are not installed
export async function load(name: string, major: number): Promise<any> {
	const places = "Deno" in globalThis ? [() => `npm:${name}@${major}`] : [() => fromProject(name), () => name];
	for (const place of places) {
		try {
			return (await import(place())).default;
		} catch {
			// Try the next place.
		}
	}
	return undefined;
}

function fromProject(name: string): string {
	return pathToFileURL(createRequire(join(process.cwd(), "/")).resolve(name)).href;
}
