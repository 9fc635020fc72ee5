/**
 * What the store wants of a driver, and how each gives it.
 *
 * @module
 */

import { check } from "../../platform/check.ts";

/** What the client of `pg` (also one of a pool) and pglite have: a connection or a transaction. */
export interface PostgresQueryable {
	/** Runs one statement. */
	query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
}

/** What `sql` of the package `postgres` and of Bun have, and what they give to a transaction. */
export interface PostgresSql {
	/** Runs one statement. */
	unsafe(text: string, values?: unknown[]): PromiseLike<unknown>;
}

/** What a store can be made of, and what can be given as `tx`. */
export type PostgresClient = PostgresQueryable | PostgresSql;

/** Runs a statement that gives one row with one text; all values are text. */
export type Query = (text: string, ...values: string[]) => Promise<string | undefined>;

/** Listens to a channel until it is told to stop; says when it has begun, and when it has ended by itself. */
export type Listen = (
	channel: string,
	onMessage: (payload: string) => void,
	onEnd: (error: unknown) => void,
) => Promise<() => unknown>;

interface PgClient extends PostgresQueryable {
	connect?(): Promise<PgClient>;
	release?(isBroken?: boolean): void;
	on?(event: string, listener: (event: never) => void): unknown;
	off?(event: string, listener: (event: never) => void): unknown;
	listen?(channel: string, listener: (payload: string) => void): Promise<() => Promise<unknown>>;
	readonly totalCount?: number;
	readonly options?: { readonly max?: number };
}

interface ListeningSql extends PostgresSql {
	listen?(channel: string, listener: (payload: string) => void): Promise<{ unlisten?(): Promise<unknown> } | undefined>;
}

/** @throws {TypeError} if it is none of the clients that are known */
export function queryOf(name: string, client: PostgresClient): Query {
	const { query, unsafe } = Object(client) as Partial<PostgresQueryable & PostgresSql>;
	if (typeof unsafe === "function") {
		return async (text, ...values) => textOf(await (client as PostgresSql).unsafe(text, values) as unknown[]);
	}
	check(`${name}.query`, query, "function");
	return async (text, ...values) => textOf((await (client as PostgresQueryable).query(text, values)).rows);
}

function textOf(rows: readonly unknown[]): string | undefined {
	const [row] = rows;
	return row === undefined ? undefined : Object.values(row as Record<string, string>)[0];
}

/** `undefined` if this client cannot. */
export function listenOf(client: PostgresClient): Listen | undefined {
	if ("unsafe" in client) return (client as ListeningSql).listen === undefined ? undefined : listenBySql(client);
	const { listen, on, totalCount, options } = client as PgClient;
	if (listen !== undefined) return (channel, onMessage) => (client as Required<PgClient>).listen(channel, onMessage);
	if (on === undefined) return undefined;
	if (totalCount === undefined) return (...args) => listenOn(client as PgClient, ...args);
	return (options?.max ?? 10) > 1 ? (...args) => listenByPool(client as PgClient, ...args) : undefined;
}

function listenBySql(sql: ListeningSql): Listen {
	return async (channel, onMessage) => {
		const listening = await sql.listen!(channel, onMessage);
		return () => listening?.unlisten?.();
	};
}

async function listenByPool(pool: PgClient, ...args: Parameters<Listen>): Promise<() => unknown> {
	const client = await pool.connect!();
	try {
		const stop = await listenOn(client, ...args);
		return () => {
			stop();
			client.query(`UNLISTEN *`).then(() => client.release!(), () => client.release!(true));
		};
	} catch (error) {
		client.release!(true);
		throw error;
	}
}

async function listenOn(
	client: PgClient,
	channel: string,
	onMessage: (payload: string) => void,
	onEnd: (error: unknown) => void,
): Promise<() => unknown> {
	const onNotification = (event: { channel: string; payload?: string }) =>
		event.channel === channel && onMessage(event.payload ?? "");
	client.on!("notification", onNotification);
	client.on!("error", onEnd);
	client.on!("end", onEnd);
	const stop = () => {
		client.off!("notification", onNotification);
		client.off!("end", onEnd);
	};
	await client.query(`LISTEN "${channel}"`);
	return stop;
}
