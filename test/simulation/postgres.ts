// The store on Postgres in virtual time. The server is real, but the simulation sets its time. The clock waits until
// no call is pending.
import pg from "pg";
import type { Store, WakeReason } from "../../mod.ts";
import { postgresStore } from "../../src/stores/postgres/postgres.ts";
import type { VirtualClock } from "../../src/testing/testing.ts";
import { type PostgresServer, startPostgres } from "../servers/postgres.ts";
import type { PatientClock } from "./patient-clock.ts";
import type { SimulatedStore } from "./simulate.ts";
import type { StoreTransaction, StoreTransactions } from "./transactions.ts";

const schema = "simulated";

/** A server that simulations use one after the other. */
export class SimulationServer {
	readonly #server: PostgresServer;
	readonly #pool: pg.Pool;

	private constructor(server: PostgresServer, pool: pg.Pool) {
		this.#server = server;
		this.#pool = pool;
	}

	static async start(): Promise<SimulationServer> {
		const server = await startPostgres();
		const pool = new pg.Pool({ connectionString: server.url, max: 2 });
		await postgresStore(pool, { schema }).open();
		await pool.query(`CREATE TABLE ${schema}.marks (number int);
			CREATE TABLE ${schema}.time (at bigint); INSERT INTO ${schema}.time VALUES (0);
			CREATE OR REPLACE FUNCTION ${schema}.clock() RETURNS bigint LANGUAGE sql AS 'SELECT at FROM ${schema}.time'`);
		return new SimulationServer(server, pool);
	}

	readonly open = async (clock: VirtualClock): Promise<SimulatedStore> => {
		await this.#pool.query(
			`TRUNCATE ${schema}.tasks, ${schema}.messages, ${schema}.lanes, ${schema}.levels, ${schema}.gates, ${schema}.notes,
				${schema}.log, ${schema}.leftovers, ${schema}.marks;
			ALTER SEQUENCE ${schema}.seq RESTART`,
		);
		const store = postgresStore(this.#pool, { schema }) as unknown as Store<never>;
		const timed = new TimedStore(store, clock as PatientClock, this.#pool);
		return { store: timed.store, transactions: timed, close() {} };
	};

	async close(): Promise<void> {
		await this.#pool.end();
		await this.#server.stop();
	}
}

/** A store that sets the time of the server before each call, and wakes the watchers afterwards. */
class TimedStore implements StoreTransactions {
	/** Calls that wait for a transaction would stop the clock, so that the transaction would never end. */
	readonly isExclusive = true;
	readonly isStrict = false;
	readonly store: Store<never>;
	readonly #clock: PatientClock;
	readonly #pool: pg.Pool;
	readonly #wakes = new Set<(reason?: WakeReason) => void>();
	/** The time that the server received last. */
	#told = NaN;

	constructor(inner: Store<never>, clock: PatientClock, pool: pg.Pool) {
		this.#clock = clock;
		this.#pool = pool;
		const members = "open add turn complete extend save log get list counts delete change pause pauses hasten post"
			.split(
				" ",
			);
		const all = inner as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
		const call = (member: string) => (...args: unknown[]) => this.#call(() => all[member]!(...args), member, args);
		this.store = {
			capabilities: inner.capabilities,
			...Object.fromEntries(members.map((member) => [member, call(member)])),
			watch: (_: string, wake: (reason?: WakeReason) => void) => {
				this.#wakes.add(wake);
				return () => void this.#wakes.delete(wake);
			},
		} as unknown as Store<never>;
	}

	#call<T>(call: () => Promise<T>, member: string, args: readonly unknown[]): Promise<T> {
		return this.#clock.during(async () => {
			const now = Math.floor(this.#clock.now());
			if (now !== this.#told) await this.#pool.query(`UPDATE ${schema}.time SET at = $1`, [this.#told = now]);
			const result = await call();
			const { settle = [] } = Object(args[1]) as { settle?: readonly unknown[] };
			const isChange = member === "turn"
				? settle.length > 0
				: ["add", "delete", "change", "pause", "post"].includes(member);
			// The store does not know whether the task was running.
			const reason = member === "delete" || member === "post" ? "claims" : undefined;
			if (isChange) { for (const wake of this.#wakes) wake(reason); }
			return result;
		});
	}

	async begin(): Promise<StoreTransaction> {
		const client = await this.#clock.during(async () => {
			const client = await this.#pool.connect();
			await client.query("BEGIN");
			return client;
		});
		const query = (sql: string) => this.#clock.during(() => client.query(sql));
		const end = (sql: string) => query(sql).finally(() => client.release());
		return {
			tx: client,
			mark: async (number) => void await query(`INSERT INTO ${schema}.marks VALUES (${number})`),
			commit: async () => {
				await end("COMMIT");
				for (const wake of this.#wakes) wake();
				return true;
			},
			rollBack: async () => void await end("ROLLBACK"),
		};
	}

	async marks(): Promise<number[]> {
		const { rows } = await this.#clock.during(() => this.#pool.query(`SELECT number FROM ${schema}.marks`));
		return rows.map(({ number }) => number as number);
	}
}
