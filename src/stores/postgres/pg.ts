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

/** The listening connection, and the end of its queue. */
interface Listening {
	readonly client: PooledClient;
	readonly onEnd: (error: unknown) => void;
	last: Promise<unknown>;
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

	/** If tasks hold all connections of the pool, the listening one is lent, because leases must still be extended. */
	readonly query: Query = async (text, values, timeout) => {
		const endsAt = systemClock.monotonic() + timeout;
		const client = await this.#take(this.#listening === undefined ? timeout : Math.min(patience, timeout));
		const left = endsAt - systemClock.monotonic();
		if (client !== undefined) return askAndRelease(client, text, values, left);
		if (this.#listening === undefined) throw tooLate(timeout, noneFree);
		return this.#borrow(this.#listening, text, values, endsAt);
	};

	/** @returns `undefined` if no connection was free in time; a late one is released at once */
	#take(timeout: number): Promise<PooledClient | undefined> {
		const connecting = this.#pool.connect();
		return within(connecting, timeout, () => {
			connecting.then((client) => client.release(), () => {});
			return undefined;
		});
	}

	async #borrow(listening: Listening, text: string, values: string[], endsAt: number): Promise<string | undefined> {
		let isOver = false;
		const ask = async () => isOver ? [] : (await listening.client.query(text, values)).rows;
		const asking = listening.last.then(ask);
		listening.last = asking.catch(() => {});
		try {
			return textOf(await within(asking, endsAt - systemClock.monotonic()));
		} catch (error) {
			if (!isAnswer(error)) listening.onEnd(error);
			throw ofPool(error);
		} finally {
			isOver = true;
		}
	}

	async #listen(...given: Parameters<Listen>): Promise<() => unknown> {
		const client = await this.#take(listenTimeout);
		if (client === undefined) throw tooLate(listenTimeout, noneFree);
		try {
			const stop = await listenOn(client, ...given);
			const listening: Listening = this.#listening = { client, onEnd: given[2], last: Promise.resolve() };
			return () => {
				if (this.#listening === listening) this.#listening = undefined;
				const release = (isBroken: boolean) => {
					client.release(isBroken);
					stop();
				};
				const ended = listening.last.then(() => client.query("UNLISTEN *"));
				within(ended, 1_000).then(() => release(false), () => release(true));
			};
		} catch (error) {
			client.release(true);
			throw error;
		}
	}
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
export function queueOf(client: PgClient): Query {
	let last: Promise<unknown> = Promise.resolve();
	return (text, values, timeout) => {
		let isOver = false;
		const ask = async () => {
			while (!isOver && /[TE]/.test(client.getTransactionStatus?.() ?? "")) await pause(5);
			return isOver ? [] : (await client.query(text, values)).rows;
		};
		const answer = within(last.then(ask), timeout).then(textOf, (error) => {
			throw ofSingle(error);
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
