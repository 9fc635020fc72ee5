// A Postgres server that can crash: all of its processes are killed, and it restarts with the same data and port. It
// may have a standby that takes over.
import { spawnSync } from "node:child_process";
import { chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import pg from "pg";
import { sleep } from "../../mod.ts";
import { type PostgresOptions, type PostgresServer, startPostgres } from "./postgres.ts";

/** The user of the servers, if this process runs as root. */
const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

/** A server, which is up or down. */
export class PostgresMachine {
	readonly #folder: string;
	readonly #options: PostgresOptions;
	#server: PostgresServer;

	private constructor(folder: string, options: PostgresOptions, server: PostgresServer) {
		this.#folder = folder;
		this.#options = { ...options, port: server.port };
		this.#server = server;
	}

	static async start(options: PostgresOptions = {}): Promise<PostgresMachine> {
		const folder = mkdtempSync(join(tmpdir(), "upkeep-machine-"));
		if (nobody.uid !== undefined) chownSync(folder, nobody.uid, nobody.gid);
		const all = { ...options, data: options.data ?? join(folder, "data") };
		try {
			return new PostgresMachine(folder, all, await startPostgres(all));
		} catch (error) {
			rmSync(folder, { recursive: true, force: true });
			throw error;
		}
	}

	/** The URL of the superuser, which has no password. */
	get url(): string {
		return this.#server.url;
	}

	get port(): number {
		return this.#server.port;
	}

	/** Kills all processes of the server, like a power failure. The server is down afterwards. */
	async crash(): Promise<void> {
		const { pid } = this.#server;
		const killed = this.#server.kill();
		for (const child of childrenOf(pid)) kill(child);
		await killed;
	}

	/**
	 * Ends the server with a signal. SIGINT rolls back all transactions, SIGQUIT ends without a rollback, SIGKILL only
	 * reaches the first process.
	 */
	async end(signal: "SIGINT" | "SIGQUIT" | "SIGKILL"): Promise<void> {
		const children = childrenOf(this.#server.pid);
		process.kill(this.#server.pid, signal);
		await this.#server.stop();
		for (const child of children) kill(child); // before the next server takes over the memory
	}

	/** Shuts down the server, even if clients are connected. The server is down afterwards. */
	async stop(): Promise<void> {
		await this.#server.stop();
	}

	/** Starts the server again after {@link crash} or {@link stop}. */
	async start(): Promise<void> {
		const until = performance.now() + 20_000;
		for (;;) {
			try {
				this.#server = await startPostgres(this.#options);
				return;
			} catch (error) {
				// Retries until the last process of the old server has released the shared memory.
				if (performance.now() > until) throw error;
				await sleep(50);
			}
		}
	}

	/**
	 * Starts a standby with the same data, which replicates this server. This server restarts. Afterwards each of its
	 * commits waits for the standby.
	 */
	async startStandby(): Promise<PostgresMachine> {
		await this.stop();
		const folder = mkdtempSync(join(tmpdir(), "upkeep-standby-"));
		const data = join(folder, "data");
		mkdirSync(data, { mode: 0o700 });
		if (nobody.uid !== undefined) { for (const path of [folder, data]) chownSync(path, nobody.uid, nobody.gid); }
		const { status, stderr } = spawnSync("cp", ["-R", `${this.#options.data}/.`, data], nobody);
		if (status !== 0) throw new Error(`The data could not be copied: ${stderr}`);
		writeFileSync(join(data, "standby.signal"), "");
		if (nobody.uid !== undefined) chownSync(join(data, "standby.signal"), nobody.uid, nobody.gid);
		const { settings } = this.#options;
		Object.assign(this.#options, {
			settings: { ...settings, synchronous_standby_names: "*", synchronous_commit: "on" },
		});
		await this.start();
		const primary = `host=127.0.0.1 port=${this.port} user=postgres`;
		const options = { ...this.#options, data, port: undefined, settings: { ...settings, primary_conninfo: primary } };
		return new PostgresMachine(folder, options, await startPostgres(options));
	}

	/** Makes a standby take over. */
	async promote(): Promise<void> {
		await query(this.url, "SELECT pg_promote()");
	}

	async close(): Promise<void> {
		await this.#server.stop();
		rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
	}
}

/** Sends a query to a server on a new connection. */
export async function query(url: string, text: string, values?: unknown[]): Promise<Record<string, unknown>[]> {
	const client = new pg.Client(url);
	await client.connect();
	try {
		return (await client.query(text, values)).rows;
	} finally {
		await client.end();
	}
}

/**
 * Returns the child processes; none on systems other than Linux, where the children of a server end by themselves
 * soon after it.
 */
function childrenOf(pid: number): number[] {
	if (process.platform !== "linux") return [];
	return readdirSync("/proc").map(Number).filter((child) => child > 0 && parentOf(child) === pid);
}

function parentOf(pid: number): number {
	try {
		// The name of the program, in parentheses, may contain any characters.
		return Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ")[1]);
	} catch {
		return NaN; // it has ended
	}
}

function kill(pid: number): void {
	try {
		process.kill(pid, "SIGKILL");
	} catch {
		// the process has ended
	}
}
