/**
 * The client of a store, passed or created by a function.
 *
 * @module
 */

import { Resource } from "../../platform/resource.ts";
import type { Listen, PostgresClient, Query } from "./client.ts";
import { checkEnd, driverOf, endClient } from "./driver.ts";
import { toStoreError } from "./errors.ts";
import type { Watch } from "./watch.ts";

/** The source of a {@link postgresStore}: a client, or a function that creates one. */
export type PostgresSource = PostgresClient | (() => PostgresClient | PromiseLike<PostgresClient>);

/** The abilities of a client. */
interface Abilities {
	readonly query: Query;
	readonly watch: Watch;
}

export class Connection {
	readonly #client: Resource<PostgresClient>;
	readonly #watchBy: (listen: Listen | undefined) => Watch;
	/** Absent until the client exists. */
	#abilities: Abilities | undefined;

	/**
	 * @param watchBy creates the watch
	 * @throws {TypeError} for an unsupported client
	 */
	constructor(client: PostgresSource, watchBy: (listen: Listen | undefined) => Watch) {
		this.#watchBy = watchBy;
		this.#client = isOpener(client) ? this.#madeBy(client) : this.#given(client);
	}

	/** The watch. Throws a `StoreError` if there is no client yet or anymore. */
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
			// A pool does not end while the listening connection is checked out.
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

/** `sql` of postgres and Bun are also functions. */
function isOpener(client: PostgresSource): client is () => PostgresClient | PromiseLike<PostgresClient> {
	return typeof client === "function" && !("unsafe" in client);
}
