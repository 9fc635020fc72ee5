/**
 * The interface of the store to a driver, and its implementation for each driver.
 *
 * @module
 */

import type { Listen, PostgresClient, PostgresSql, Query } from "./client.ts";
import { check } from "../../platform/check.ts";
import { textOf, tooLate, within } from "./limit.ts";
import { guard, isPool, listenOn, type PgClient, PgPool, queueOf } from "./pg.ts";

/** A client as the store uses it. */
export interface Driver {
	readonly query: Query;
	/** Absent if the client cannot listen. */
	readonly listen?: Listen | undefined;
}

/** The method has the same name in pglite, `postgres` and Bun, but different results. */
interface Listening {
	listen?(
		channel: string,
		onMessage: (message: string) => void,
	): Promise<(() => unknown) | { unlisten(): unknown }>;
}

/** The methods that end clients of pg, postgres, Bun and pglite. */
interface Ending {
	end?(options?: { timeout: number }): unknown;
	close?(): unknown;
}

/** How long `postgres` and Bun wait for running queries, in seconds: without a limit, postgres may wait forever. */
const endTimeout = 5;

/** @throws {TypeError} for an unsupported client, with this name */
export function driverOf(client: PostgresClient, name = "client"): Driver {
	checkClient(name, client);
	guard(client);
	if ("unsafe" in client) return { query: querySql(client), listen: listenOf(client) };
	if (isPool(client)) return new PgPool(client);
	return { query: queueOf(client as PgClient), listen: listenOf(client) };
}

/** @throws {TypeError} for a client that cannot be ended, with this name */
export function checkEnd(name: string, client: PostgresClient): void {
	const { end, close } = client as Ending;
	check(`${name}.end`, end ?? close, "function");
}

/** Ends a client. */
export async function endClient(client: PostgresClient): Promise<void> {
	const ending = client as Ending;
	if (ending.end === undefined) await ending.close!();
	else if ("unsafe" in client) await ending.end({ timeout: endTimeout });
	else await ending.end();
}

function checkClient(name: string, client: PostgresClient): void {
	if (typeof client === "string") { // perhaps an address with a password, which an error must not show
		throw new TypeError(`"${name}" must be a client, as \`new Pool({ connectionString })\` of pg is: it is a string`);
	}
	check(name, client, typeof client === "function" ? "function" : "object");
	if (!("unsafe" in client)) check(`${name}.query`, client.query, "function");
}

function querySql(client: PostgresSql): Query {
	return async (text, values, timeout) => {
		const asking = client.unsafe(text, values) as PromiseLike<unknown[]> & { state?: unknown; cancel?(): unknown };
		const rows = await within(asking, timeout, () => {
			// A query that still waits for a connection must not run later, when nobody expects it. Canceling a query
			// that was sent needs another connection, and nobody could catch its failure.
			if (asking.state === null) asking.cancel?.();
			throw tooLate(timeout);
		});
		return textOf(rows);
	};
}

function listenOf(client: PostgresClient): Listen | undefined {
	const { listen } = client as Listening;
	if (listen !== undefined) {
		return async (channel, onMessage) => {
			const listening = await listen.call(client, channel, onMessage);
			return typeof listening === "function" ? listening : () => listening.unlisten();
		};
	}
	if ("unsafe" in client || (client as PgClient).on === undefined) return undefined;
	return (...given) => listenOn(client as PgClient, ...given);
}

/** A setting for the duration of a transaction, so that a statement can check whether it is inside one. */
const mark = "SELECT pg_catalog.set_config('upkeep.tx', '1', true)";

/**
 * Queries inside the caller's transaction. Without a transaction, the query does nothing.
 *
 * @throws {TypeError} if it is obviously not a transaction
 */
export function queryIn(tx: PostgresClient): Query {
	checkClient("tx", tx);
	if (isPool(tx) || "begin" in tx && !("savepoint" in tx)) throw noTransaction();
	guard(tx);
	const query = "unsafe" in tx ? querySql(tx) : queryOne(tx);
	const { getTransactionStatus } = tx as PgClient;
	if (/[TE]/.test(getTransactionStatus?.call(tx) ?? "")) return query;
	return async (text, values, timeout) => {
		const marked = query(mark, [], timeout);
		// Clients with `query` run one statement after the other.
		if (!("unsafe" in tx)) await marked;
		const asked = query(ifMarked(text), values, timeout);
		const [, answer] = await Promise.all([marked, asked]);
		if (answer === null) throw noTransaction();
		return answer;
	};
}

function ifMarked(text: string): string {
	const call = text.replace(/^SELECT /, "");
	return `SELECT CASE WHEN pg_catalog.current_setting('upkeep.tx', true) OPERATOR(pg_catalog.=) '1' THEN ${call} END`;
}

function queryOne(client: PostgresClient & { query: PgClient["query"] }): Query {
	return async (text, values, timeout) => textOf((await within(client.query(text, values), timeout)).rows);
}

function noTransaction(): TypeError {
	return new TypeError(
		'"tx" must be a transaction that is open, and nothing was done: with pg, a client between its BEGIN and COMMIT, not the ' +
			"pool; otherwise what begin() or transaction() gives to its function",
	);
}
