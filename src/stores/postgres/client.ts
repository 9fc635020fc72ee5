/**
 * The supported clients, and the interface that the store uses.
 *
 * @module
 */

/** The interface of a `Client` of pg and a `PGlite`, also within a transaction. */
export interface PostgresQueryable {
	/** Runs one statement. */
	query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
}

/** The interface of `sql` of postgres and Bun, and of their transactions. */
export interface PostgresSql {
	/** Runs one statement. */
	unsafe(text: string, values?: unknown[]): PromiseLike<unknown>;
}

/** A client for a store, and a transaction for `tx`. */
export type PostgresClient = PostgresQueryable | PostgresSql;

/**
 * Runs a statement that returns at most one row with one text. All values are texts. The request is made
 * synchronously. The time limit, in milliseconds, includes the wait for a connection.
 */
export type Query = (text: string, values: string[], timeout: number) => Promise<string | undefined>;

/** Listens until it is stopped or reports that it cannot continue. */
export type Listen = (
	channel: string,
	onMessage: (message: string) => void,
	onEnd: (error: unknown) => void,
) => Promise<() => unknown>;
