// Processes that can be killed.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type KillBasket, makeBasket } from "./basket.ts";
import { type Database, type DatabaseName, openDatabase } from "./database.ts";
import { PostgresMachine } from "../servers/postgres-machine.ts";

/** The shared objects, as the killing process sees them. */
export interface Shared {
	readonly fleet: Fleet;
	readonly database: Database;
	/** The database server, if the database has one. */
	readonly server: PostgresMachine | undefined;
	/** This basket runs no tasks. */
	readonly basket: KillBasket;
	/** The path of the log. */
	readonly log: string;
}

/** Calls a function with a new database, and removes the database and all processes afterwards. */
export function withShared<T>(
	name: DatabaseName,
	lease: number,
	work: (shared: Shared) => Promise<T>,
): Promise<T> {
	return withFleet(name, lease, "kill-worker.ts", (fleet, database, log, server) => {
		return work({ fleet, database, server, basket: makeBasket(database, log, lease), log });
	});
}

/**
 * @param program the fixture that the processes run, and its first arguments. Further ones are the database, its path,
 * the path of the log, the lease, and a role
 */
export async function withFleet<T>(
	name: DatabaseName,
	lease: number,
	program: string | readonly [string, ...string[]],
	work: (fleet: Fleet, database: Database, log: string, server: PostgresMachine | undefined) => Promise<T>,
): Promise<T> {
	const folder = mkdtempSync(join(tmpdir(), "upkeep-kills-"));
	const log = join(folder, "log");
	const server = name.startsWith("postgres") ? await PostgresMachine.start({ isDurable: true }) : undefined;
	const path = server?.url ?? join(folder, "tasks.db");
	const [file, ...first] = [program].flat();
	const fleet = new Fleet(file!, [...first, name, path, log, `${lease}`]);
	let database: Database | undefined;
	try {
		database = await openDatabase(name, path);
		await database.prepare?.();
		return await work(fleet, database, log, server);
	} finally {
		await fleet.close();
		await database?.close();
		await server?.close();
		rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
	}
}

/** The kill of a process. */
export interface Kill {
	readonly pid: number;
	/** The time just before the kill, in milliseconds since 1970. */
	readonly at: number;
}

/** Processes of this runtime that work on one database. */
export class Fleet {
	readonly kills: Kill[] = [];
	/** Processes that failed to start, or ended by themselves. */
	readonly faults: string[] = [];
	/** The reported errors of the processes. */
	readonly complaints: string[] = [];
	readonly #command: string[];
	/** The processes, each with a promise that resolves when it works or has ended. */
	readonly #children = new Map<ChildProcess, Promise<unknown>>();
	/** What each process was started with. */
	readonly #roles = new Map<number, string>();

	/**
	 * @param program the fixture that the processes run
	 * @param args the arguments of each process
	 */
	constructor(program: string, args: readonly string[]) {
		this.#command = [...flags(), fileURLToPath(new URL(`../fixtures/${program}`, import.meta.url)), ...args];
	}

	/** The pids of the working processes. */
	get pids(): number[] {
		return [...this.#children.keys()].map(({ pid }) => pid!);
	}

	/** The pids of those that were started with this role. */
	pidsOf(role: string): number[] {
		return this.pids.filter((pid) => this.#roles.get(pid) === role);
	}

	/** @param role a last argument for this process */
	start(role?: string): void {
		const child = spawn(process.execPath, role === undefined ? this.#command : [...this.#command, role], {
			stdio: ["pipe", "pipe", "pipe"],
		});
		const ready = new Promise((resolve) => {
			child.stdout.once("data", resolve);
			child.once("exit", resolve).once("error", resolve);
		});
		this.#children.set(child, ready);
		child.stdin.on("error", () => {}); // the process may have ended
		child.stderr.setEncoding("utf8").on("data", (text: string) => this.complaints.push(text));
		child.once("error", (error) => this.faults.push(String(error)));
		child.once("exit", (code) => {
			if (this.#children.delete(child)) this.faults.push(`${child.pid} has ended with ${code}`);
		});
		this.#roles.set(child.pid!, role ?? "");
	}

	/** Resolves when at least one process works. Rejects if a process has ended by itself. */
	async oneReady(): Promise<void> {
		await Promise.race(this.#children.values());
		if (this.faults.length > 0) throw new Error([...this.faults, ...this.complaints].join("\n"));
	}

	/** Kills a process, ready or not, and resolves when it has ended. */
	async kill(pid: number): Promise<Kill> {
		const [child] = [...this.#children.keys()].filter((child) => child.pid === pid);
		this.#children.delete(child!);
		const gone = new Promise((resolve) => child!.once("exit", resolve));
		const kill = { pid, at: Date.now() };
		this.kills.push(kill);
		child!.kill("SIGKILL");
		await gone;
		return kill;
	}

	async close(): Promise<void> {
		await Promise.all(this.pids.map((pid) => this.kill(pid)));
	}
}

function flags(): string[] {
	if ("Deno" in globalThis) return ["run", "--allow-all", "--unstable-kv", "--no-check", "--no-lock", "--quiet"];
	return "Bun" in globalThis ? ["run"] : ["--disable-warning=ExperimentalWarning"];
}
