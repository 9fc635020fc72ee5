/**
 * What the store wants of a driver, and how each gives it.
 *
 * @module
 */

import { check } from "../../platform/check.ts";
import { systemClock } from "../../platform/clock.ts";
import { StoreError } from "../../platform/store-error.ts";
import { CallbackTimer } from "../../platform/timer-queue.ts";

/** What a `Client` of pg and a `PGlite` have, and what both have within a transaction. */
export interface PostgresQueryable {
	/** Runs one statement. */
	query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
}

/** What `sql` of postgres and of Bun have, and what they give to a transaction. */
export interface PostgresSql {
	/** Runs one statement. */
	unsafe(text: string, values?: unknown[]): PromiseLike<unknown>;
}

/** What a store can be made of, and what can be given as `tx`. */
export type PostgresClient = PostgresQueryable | PostgresSql;

/** Runs a statement that gives at most one row with one text; so are all its values. Asks before it returns. */
export type Query = (text: string, values: string[]) => Promise<string | undefined>;

/** Listens, until it is told to stop or tells that it cannot any more. */
export type Listen = (
	channel: string,
	onMessage: (message: string) => void,
	onEnd: (error: unknown) => void,
) => Promise<() => unknown>;

/** A client of pg, of which some things are only a pool's. */
interface PgClient extends PostgresQueryable {
	/** `T` or `E` inside a transaction. */
	getTransactionStatus?(): string | null;
	on?(event: string, listener: (event: never) => void): unknown;
	off(event: string, listener: (event: never) => void): unknown;
}

interface PooledClient extends PgClient {
	release(isBroken: boolean): void;
}

interface Pool extends PgClient {
	connect(): Promise<PooledClient>;
	readonly totalCount: number;
	readonly options?: { readonly max?: number };
}

/** Has the same name with pglite, `postgres` and Bun, but gives different things. */
interface Listening {
	listen?(
		channel: string,
		onMessage: (message: string) => void,
	): Promise<(() => unknown) | { unlisten(): unknown }>;
}

/**
 * @param timeout how long to wait for an answer, in milliseconds
 * @throws {TypeError} if it is none of the clients that are known
 */
export function queryOf(name: string, client: PostgresClient, timeout: number): Query {
	check(name, client, typeof client === "function" ? "function" : "object");
	if ("unsafe" in client) {
		return async (text, values) => textOf(await limit(client.unsafe(text, values), timeout) as unknown[]);
	}
	check(`${name}.query`, client.query, "function");
	if (isPool(client)) return (text, values) => queryPool(client, text, values, timeout);
	return async (text, values) => textOf((await limit(client.query(text, values), timeout)).rows);
}

/** One after the other, and none in a transaction that the caller has open: that is as good as a pool of one. */
export function queueOf(client: PostgresClient, query: Query): Query {
	if ("unsafe" in client || isPool(client)) return query;
	const { getTransactionStatus } = client as PgClient;
	let last: Promise<unknown> = Promise.resolve();
	const ask: Query = async (text, values) => {
		while (/[TE]/.test(getTransactionStatus?.call(client) ?? "")) {
			await new Promise<void>((resolve) => systemClock.set(new CallbackTimer(resolve), 5));
		}
		return query(text, values);
	};
	return (text, values) => {
		const answer = last.then(() => ask(text, values));
		last = answer.catch(() => {});
		return answer;
	};
}

/** A connection that does not answer must not go back into the pool. */
async function queryPool(pool: Pool, text: string, values: string[], timeout: number): Promise<string | undefined> {
	const client = await pool.connect();
	let isBroken = false;
	try {
		return textOf((await limit(client.query(text, values), timeout)).rows);
	} catch (error) {
		isBroken = error instanceof StoreError;
		throw error;
	} finally {
		client.release(isBroken);
	}
}

function textOf([row]: readonly unknown[]): string | undefined {
	return row === undefined ? undefined : Object.values(row as Record<string, string>)[0];
}

function limit<T>(answer: PromiseLike<T>, timeout: number): Promise<T> {
	return new Promise((resolve, reject) => {
		const timer = new CallbackTimer(() =>
			reject(new StoreError("unavailable", `Postgres has not answered for ${timeout} ms`))
		);
		if (timeout < Infinity) systemClock.set(timer, timeout);
		answer.then((value) => {
			systemClock.clear(timer);
			resolve(value);
		}, (error) => {
			systemClock.clear(timer);
			reject(error);
		});
	});
}

function isPool(client: PostgresQueryable): client is Pool {
	return "connect" in client && "totalCount" in client;
}

/** `undefined`: this client cannot. */
export function listenOf(client: PostgresClient): Listen | undefined {
	const { listen } = client as Listening;
	if (listen !== undefined) {
		return async (channel, onMessage) => {
			const listening = await listen.call(client, channel, onMessage);
			return typeof listening === "function" ? listening : () => listening.unlisten();
		};
	}
	if ("unsafe" in client || (client as PgClient).on === undefined) return undefined;
	if (!isPool(client)) return (...given) => listenOn(client as PgClient, ...given);
	// The only connection is not to be taken away.
	return client.options?.max === 1 ? undefined : (...given) => listenByPool(client, ...given);
}

async function listenByPool(pool: Pool, ...given: Parameters<Listen>): Promise<() => unknown> {
	const client = await pool.connect();
	try {
		const stop = await listenOn(client, ...given);
		return () => {
			const release = (isBroken: boolean) => {
				client.release(isBroken);
				stop();
			};
			limit(client.query("UNLISTEN *"), 1_000).then(() => release(false), () => release(true));
		};
	} catch (error) {
		client.release(true);
		throw error;
	}
}

async function listenOn(client: PgClient, ...[channel, onMessage, onEnd]: Parameters<Listen>): Promise<() => unknown> {
	const onNotification = (event: { channel: string; payload?: string }) => {
		if (event.channel === channel) onMessage(event.payload ?? "");
	};
	const listeners = {
		notification: onNotification,
		error: onEnd,
		end: () => onEnd(new Error("Connection terminated")),
	};
	for (const [event, listener] of Object.entries(listeners)) client.on!(event, listener);
	const stop = () => {
		for (const [event, listener] of Object.entries(listeners)) client.off(event, listener);
	};
	try {
		await limit(client.query(`LISTEN "${channel}"`), 10_000);
		return stop;
	} catch (error) {
		stop();
		throw error;
	}
}
