/**
 * Support for clients and pools of pg.
 *
 * @module
 */

import type { Listen, PostgresClient, PostgresQueryable, Query } from "./client.ts";
import { systemClock } from "../../platform/clock.ts";
import { StoreError } from "../../platform/store-error.ts";
import { pause, textOf, tooLate, within } from "./limit.ts";

/** A client of pg; some members exist only on clients of a pool. */
export interface PgClient extends PostgresQueryable {
	/** `T` or `E` inside a transaction. */
	getTransactionStatus?(): string | null;
	on?(event: string, listener: (event: never) => void): unknown;
	off(event: string, listener: (event: never) => void): unknown;
	listeners?(event: string): readonly unknown[];
}

interface PooledClient extends PgClient {
	release(isBroken?: boolean): void;
}

interface Pool extends PgClient {
	connect(): Promise<PooledClient>;
	readonly totalCount: number;
	readonly options?: { readonly max?: number };
}

/** The listening connection, which can be lent. */
interface Listening {
	/** Runs a query after the others. */
	readonly query: Query;
	isFree: boolean;
}

/** How long to wait for a free connection before the listening one is used, in milliseconds. */
const patience = 100;
/** The time limit for a connection to listen, in milliseconds. */
const listenTimeout = 10_000;

const noneFree = "No connection of the pool was free";

/** Whether it is a pool of pg. */
export function isPool(client: PostgresClient): client is Pool {
	return "connect" in client && "totalCount" in client;
}

/**
 * Makes a lost connection only reject its queries. Without a listener for `error`, pg ends the process, and the
 * listener of a pool does not cover clients that are checked out.
 */
export function guard(client: PostgresClient): void {
	const { on, listeners } = client as PgClient;
	if (typeof on !== "function") return;
	if (!listeners?.call(client, "error").includes(ignore)) on.call(client, "error", ignore);
	if (!isPool(client) || listeners?.call(client, "acquire").includes(guard)) return;
	on.call(client, "acquire", guard);
}

function ignore(): void {}

/** A pool of pg as the store uses it. */
export class PgPool {
	/** Absent if it would occupy the only connection. */
	readonly listen: Listen | undefined;
	readonly #pool: Pool;
	#listening: Listening | undefined;

	constructor(pool: Pool) {
		this.#pool = pool;
		if (pool.on !== undefined && pool.options?.max !== 1) this.listen = (...given) => this.#listen(...given);
	}

	/**
	 * Turns run on the listening connection, unless it is busy: a pool closes idle connections, and a new one would have to
	 * compile the functions first. The others use it if tasks hold all connections of the pool, because leases must still
	 * be extended.
	 */
	readonly query: Query = async (text, values, timeout) => {
		if (this.#listening?.isFree && text.includes("turn_")) return lend(this.#listening, text, values, timeout);
		const endsAt = systemClock.monotonic() + timeout;
		const client = await this.#take(this.#listening === undefined ? timeout : Math.min(patience, timeout));
		const left = endsAt - systemClock.monotonic();
		if (client !== undefined) return askAndRelease(client, text, values, left);
		if (this.#listening === undefined) throw tooLate(timeout, noneFree);
		return lend(this.#listening, text, values, left);
	};

	/** @returns `undefined` if no connection was free in time; a late one is released at once */
	#take(timeout: number): Promise<PooledClient | undefined> {
		const connecting = this.#pool.connect();
		return within(connecting, timeout, () => {
			connecting.then((client) => client.release(), () => {});
			return undefined;
		});
	}

	async #listen(...given: Parameters<Listen>): Promise<() => unknown> {
		const client = await this.#take(listenTimeout);
		if (client === undefined) throw tooLate(listenTimeout, noneFree);
		try {
			const stop = await listenOn(client, ...given);
			const explain = (error: unknown) => {
				if (!isAnswer(error)) given[2](error);
				return ofPool(error);
			};
			const listening: Listening = this.#listening = { query: queueOf(client, explain), isFree: true };
			return () => {
				if (this.#listening === listening) this.#listening = undefined;
				const release = (isBroken: boolean) => {
					client.release(isBroken);
					stop();
				};
				// A turn that is under way ends first.
				const limit = listening.isFree ? 1_000 : listenTimeout;
				listening.query("UNLISTEN *", [], limit).then(() => release(false), () => release(true));
			};
		} catch (error) {
			client.release(true);
			throw error;
		}
	}
}

/** Runs a query on the listening connection, after those that others run on it. */
function lend(listening: Listening, ...given: Parameters<Query>): Promise<string | undefined> {
	listening.isFree = false;
	return listening.query(...given).finally(() => listening.isFree = true);
}

/** A connection that does not answer or is lost must not return to the pool. */
async function askAndRelease(
	client: PooledClient,
	text: string,
	values: string[],
	timeout: number,
): Promise<string | undefined> {
	let isBroken = true;
	try {
		const { rows } = await within(client.query(text, values), timeout);
		isBroken = false;
		return textOf(rows);
	} catch (error) {
		isBroken = !isAnswer(error);
		throw ofPool(error);
	} finally {
		client.release(isBroken);
	}
}

/** A client that is lost is lost forever, but a pool has others: this is transient. */
function ofPool(error: unknown): unknown {
	return isLost(error) ? new StoreError("unavailable", "Postgres: The connection was lost", { cause: error }) : error;
}

/** A store on a single client cannot go on without it. */
function ofSingle(error: unknown): unknown {
	const advice = "The connection of the client was lost: make another store, or use a pool, which connects again";
	return isLost(error) ? new StoreError("closed", `Postgres: ${advice}`, { cause: error }) : error;
}

function isLost(error: unknown): boolean {
	return /not queryable/.test(Object(error).message);
}

/** Whether the error is an answer of the server, which keeps the connection. */
function isAnswer(error: unknown): boolean {
	const { severity, code } = Object(error);
	return severity !== undefined && !/^(08|57P)/.test(code);
}

/** Runs queries one after the other, and none inside an open transaction of the caller, like a pool of one connection. */
export function queueOf(client: PgClient, explain: (error: unknown) => unknown = ofSingle): Query {
	let last: Promise<unknown> = Promise.resolve();
	return (text, values, timeout) => {
		let isOver = false;
		const ask = async () => {
			while (!isOver && /[TE]/.test(client.getTransactionStatus?.() ?? "")) await pause(5);
			return isOver ? [] : (await client.query(text, values)).rows;
		};
		const answer = within(last.then(ask), timeout).then(textOf, (error) => {
			throw explain(error);
		}).finally(() => isOver = true);
		last = answer.catch(() => {});
		return answer;
	};
}

/** Listens on a connection until it is stopped or cannot continue. */
export async function listenOn(
	client: PgClient,
	...[channel, onMessage, onEnd]: Parameters<Listen>
): Promise<() => unknown> {
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
		await within(client.query(`LISTEN "${channel}"`), listenTimeout);
		return stop;
	} catch (error) {
		stop();
		throw error;
	}
}
