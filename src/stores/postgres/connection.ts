/**
 * The client of a store, given or made by a function, and what the store has of it.
 *
 * @module
 */

import { Resource } from "../../platform/resource.ts";
import type { Listen, PostgresClient, Query } from "./client.ts";
import { checkEnd, driverOf, endClient } from "./driver.ts";
import { toStoreError } from "./errors.ts";
import type { Watch } from "./watch.ts";

/** What {@link postgresStore} takes: a client, or a function that makes one. */
export type PostgresSource = PostgresClient | (() => PostgresClient | PromiseLike<PostgresClient>);

/** What a client can do for a store. */
interface Abilities {
	readonly query: Query;
	readonly watch: Watch;
}

export class Connection {
	readonly #client: Resource<PostgresClient>;
	readonly #watchBy: (listen: Listen | undefined) => Watch;
	/** Absent until there is a client. */
	#abilities: Abilities | undefined;

	/**
	 * @param watchBy makes what watches
	 * @throws {TypeError} if it is none of the clients that are known
	 */
	constructor(client: PostgresSource, watchBy: (listen: Listen | undefined) => Watch) {
		this.#watchBy = watchBy;
		this.#client = isOpener(client) ? this.#madeBy(client) : this.#given(client);
	}

	/** Throws a `StoreError` if there is no client, or none any more. */
	get watch(): Watch {
		return this.#open.watch;
	}

	readonly query: Query = async (...given) => await this.#open.query(...given);

	async open(): Promise<void> {
		await this.#client.open();
	}

	async close(): Promise<void> {
		await this.#client.close();
	}

	get #open(): Abilities {
		void this.#client.value;
		return this.#abilities!;
	}

	#given(client: PostgresClient): Resource<PostgresClient> {
		this.#use("client", client);
		return new Resource(client);
	}

	#madeBy(open: () => PostgresClient | PromiseLike<PostgresClient>): Resource<PostgresClient> {
		return new Resource<PostgresClient>(undefined, {
			open,
			use: (client) => {
				this.#use("client()", client);
				checkEnd("client()", client);
			},
			explain: toStoreError,
			// A pool does not end while the connection that listens is out of it.
			end: async (client) => {
				this.#abilities!.watch.close();
				await endClient(client);
			},
		});
	}

	#use(name: string, client: PostgresClient): void {
		const { query, listen } = driverOf(client, name);
		this.#abilities = { query, watch: this.#watchBy(listen) };
	}
}

/** `sql` of postgres and of Bun are functions, too. */
function isOpener(client: PostgresSource): client is () => PostgresClient | PromiseLike<PostgresClient> {
	return typeof client === "function" && !("unsafe" in client);
}
