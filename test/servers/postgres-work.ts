// A basket on Postgres for the tests of faults. Its tasks leave marks: each added task must have run, and each effect
// that is committed with its completion must exist once.
import { Basket, type BasketContext, type BasketOptions, sleep, StoreError } from "../../mod.ts";
import { type Connected, type ConnectOptions, connectPostgres, type DriverName } from "./postgres-drivers.ts";
import { query } from "./postgres-machine.ts";

/** The time limit of waits, in milliseconds. */
const patience = 12_000;

type Run = (name: string, context: BasketContext<string>) => Promise<void>;
export type WorkBasket = Basket<{ loose: Run; exact: Run }>;

export interface WorkOptions extends ConnectOptions {
	readonly basket?: Partial<BasketOptions<{ loose: Run; exact: Run }>> | undefined;
	/** The duration of each task in milliseconds. @default 0 */
	readonly duration?: number | undefined;
}

/** A process that runs tasks, or only adds them. */
export class Work {
	/** The names of the tasks that ran, in order. */
	readonly ran: string[] = [];
	/** The reported errors of the basket. */
	readonly errors: unknown[] = [];
	readonly connected: Connected;
	readonly basket: WorkBasket;
	#running: Promise<void> | undefined;

	/** @param url the URL of the database, which needs a table `effects` for tasks of the kind `exact` */
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

	/** Starts the worker, and resolves when it works. */
	async start(): Promise<this> {
		this.#running = this.basket.run();
		this.#running.catch((error) => this.errors.push(error));
		await until(() => this.basket.getSnapshot().state === "running", "the basket runs", this);
		return this;
	}

	/** Adds tasks whose ids and payloads are the names. Retries while the store fails. */
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

	/** Resolves when these tasks have run. */
	async untilRan(names: readonly string[]): Promise<void> {
		await until(() => names.every((name) => this.ran.includes(name)), `${names.at(-1)} and those before are run`, this);
	}

	/** Resolves when no task is left. */
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

	/** The reported errors of the store. */
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

/** Resolves when the condition is true. */
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

/** Creates a database with an empty table `effects`. @returns the URL of the database */
export async function createDatabase(server: string, options = ""): Promise<string> {
	const name = `work${++databases}`;
	await query(server, `CREATE DATABASE ${name} ${options}`);
	const url = new URL(server);
	url.pathname = name;
	await query(url.href, "CREATE TABLE effects (name text)");
	return url.href;
}

/** Returns the URL with another port. */
export function through(url: string, { port }: { port: number }): string {
	const other = new URL(url);
	other.port = `${port}`;
	return other.href;
}

/** Returns the names in the table `effects`, sorted. */
export async function effectsOf(url: string): Promise<string[]> {
	return (await query(url, "SELECT name FROM effects")).map(({ name }) => name as string).sort();
}

/** Terminates all connections to a database. @returns the number of connections */
export async function endConnections(url: string): Promise<number> {
	const rows = await query(
		url,
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
	);
	return rows.length;
}
