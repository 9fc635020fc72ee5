/**
 * What a store can be made of, and what it asks of that.
 *
 * @module
 */

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

/**
 * Runs a statement that gives at most one row with one text; so are all its values. Asks before it returns. Waiting for a
 * connection is part of the limit, which is in milliseconds.
 */
export type Query = (text: string, values: string[], timeout: number) => Promise<string | undefined>;

/** Listens, until it is told to stop or tells that it cannot any more. */
export type Listen = (
	channel: string,
	onMessage: (message: string) => void,
	onEnd: (error: unknown) => void,
) => Promise<() => unknown>;
