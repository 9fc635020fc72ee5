// A basket on Postgres whose tasks leave marks, for the tests of what goes wrong: nothing that was added may be missing, and
// what is committed with its completion must be there once.
import { Basket, type BasketContext, type BasketOptions, sleep, StoreError } from "../../mod.ts";
import { type Connected, type ConnectOptions, connectPostgres, type DriverName } from "./postgres-drivers.ts";
import { query } from "./postgres-machine.ts";

/** How long to wait for what must come, in milliseconds. */
const patience = 12_000;

type Run = (name: string, context: BasketContext<string>) => Promise<void>;
export type WorkBasket = Basket<{ loose: Run; exact: Run }>;

export interface WorkOptions extends ConnectOptions {
	readonly basket?: Partial<BasketOptions<{ loose: Run; exact: Run }>> | undefined;
	/** How long each task takes, in milliseconds. @default 0 */
	readonly duration?: number | undefined;
}

/** One process that works, or only adds. */
export class Work {
	/** The names of the tasks that were run, in this order. */
	readonly ran: string[] = [];
	/** What the basket has complained of. */
	readonly errors: unknown[] = [];
	readonly connected: Connected;
	readonly basket: WorkBasket;
	#running: Promise<void> | undefined;

	/** @param url of the database; with a table `effects`, if there are tasks of the kind `exact` */
	constructor(driver: DriverName, url: string, { basket, duration = 0, ...options }: WorkOptions = {}) {
		this.connected = connectPostgres(driver, url, options);
		const { store, transaction, ask } = this.connected;
		this.basket = new Basket({
			store,
			lease: 1_000,
			backoff: { start: 50, max: 200 },
			onError: (error) => this.errors.push(error),
			...basket,
			tasks: {
				loose: async (name: string) => {
					this.ran.push(name);
					await sleep(duration);
				},
				exact: async (name: string, context: BasketContext<string>) => {
					this.ran.push(name);
					await transaction(async (tx) => {
						await ask(tx, `INSERT INTO effects VALUES ('${name}')`);
						await context.complete(tx as never);
						await sleep(duration);
					});
				},
			},
		}) as WorkBasket;
	}

	/** Begins to work, and resolves when it does. */
	async start(): Promise<this> {
		this.#running = this.basket.run();
		this.#running.catch((error) => this.errors.push(error));
		await until(() => this.basket.getSnapshot().state === "running", "the basket runs", this);
		return this;
	}

	/** Adds tasks whose ids and payloads are the names. Tried again while the store fails. */
	async add(kind: "loose" | "exact", names: readonly string[], lane?: string): Promise<void> {
		const entries = names.map((name) => ({ kind, payload: name, id: name, lane }));
		for (;;) {
			try {
				await this.basket.addMany(entries);
				return;
			} catch (error) {
				if (!(error instanceof StoreError && error.isTransient)) throw error;
				await sleep(20);
			}
		}
	}

	/** Resolves when these were run. */
	async untilRan(names: readonly string[]): Promise<void> {
		await until(() => names.every((name) => this.ran.includes(name)), `${names.at(-1)} and those before are run`, this);
	}

	/** Resolves when nothing is left to be done. */
	async untilDone(): Promise<void> {
		await until(
			async () => {
				const { waiting, running, held, dead } = await this.basket.counts().catch(() => ({ waiting: 1 } as never));
				if (dead > 0) throw new Error(`${dead} tasks are dead: ${this.errors.join(", ")}`);
				return waiting + running + held === 0;
			},
			"everything is done",
			this,
		);
	}

	/** What it has complained of that was a failure of the store. */
	get storeErrors(): StoreError[] {
		return this.errors.filter((error) => error instanceof StoreError);
	}

	async close(): Promise<void> {
		await this.basket.stop();
		await this.#running;
		await this.connected.store.close?.();
		await this.connected.close();
	}
}

/** Resolves when that is so. */
export async function until(isSo: () => unknown, what: string, { errors }: { errors: unknown[] } = { errors: [] }) {
	const end = performance.now() + patience;
	while (!await isSo()) {
		if (performance.now() > end) throw new Error(`It takes too long until ${what}: ${errors.join(", ")}`);
		await sleep(10);
	}
}

export function names(prefix: string, count: number): string[] {
	return Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`);
}

let databases = 0;

/** Makes a database with an empty table `effects`. @returns its URL */
export async function createDatabase(server: string, options = ""): Promise<string> {
	const name = `work${++databases}`;
	await query(server, `CREATE DATABASE ${name} ${options}`);
	const url = new URL(server);
	url.pathname = name;
	await query(url.href, "CREATE TABLE effects (name text)");
	return url.href;
}

/** The same database through another port. */
export function through(url: string, { port }: { port: number }): string {
	const other = new URL(url);
	other.port = `${port}`;
	return other.href;
}

/** The names in the table `effects`, sorted. */
export async function effectsOf(url: string): Promise<string[]> {
	return (await query(url, "SELECT name FROM effects")).map(({ name }) => name as string).sort();
}

/** Ends all connections to a database, the hard way. @returns how many there were */
export async function endConnections(url: string): Promise<number> {
	const rows = await query(
		url,
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
	);
	return rows.length;
}
