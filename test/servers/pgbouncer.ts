// PgBouncer for a Postgres server: many client connections share few server connections, each for one transaction.
import { type ChildProcess, spawn } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { sleep } from "../../mod.ts";

const program = "/usr/sbin/pgbouncer";
/** PgBouncer refuses to run as root. */
const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

/** Whether tests may be skipped: on a desk without PgBouncer. In CI a missing PgBouncer is a failure. */
export const mayLackPgBouncer: boolean = !existsSync(program) && !process.env["CI"];

export interface PgBouncer {
	/** The port that clients connect to, as any user, without a password. */
	readonly port: number;
	close(): Promise<void>;
}

/**
 * Starts PgBouncer in transaction mode.
 *
 * @param server the port of the Postgres server
 * @param size the maximum number of connections to each database of the server
 */
export async function openPgBouncer(server: number, size = 5): Promise<PgBouncer> {
	const folder = mkdtempSync(join(tmpdir(), "upkeep-pgbouncer-"));
	const port = await freePort();
	writeFileSync(join(folder, "pgbouncer.ini"), configuration(server, port, size));
	if (user.uid !== undefined) chownSync(folder, user.uid, user.gid);
	const child = spawn(program, ["pgbouncer.ini"], { ...user, cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
	const kill = () => child.kill("SIGKILL");
	process.once("exit", kill);
	const gone = new Promise((resolve) => child.once("exit", resolve).once("error", resolve));
	const close = async () => {
		process.off("exit", kill);
		kill();
		await gone;
		rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
	};
	try {
		await answer(child, port);
	} catch (error) {
		await close();
		throw error;
	}
	return { port, close };
}

function configuration(server: number, port: number, size: number): string {
	return [
		"[databases]",
		`* = host=127.0.0.1 port=${server} user=postgres`,
		"[pgbouncer]",
		"listen_addr = 127.0.0.1",
		`listen_port = ${port}`,
		"unix_socket_dir =",
		"auth_type = any",
		"pool_mode = transaction",
		`default_pool_size = ${size}`,
		"server_login_retry = 1", // seconds until PgBouncer tries again to connect to a server that was down
		"ignore_startup_parameters = extra_float_digits",
		"",
	].join("\n");
}

/** Resolves when PgBouncer accepts clients. */
async function answer(child: ChildProcess, port: number): Promise<void> {
	let log = "";
	child.stderr!.setEncoding("utf8").on("data", (text: string) => log += text);
	while (!await accepts(port)) {
		if (child.exitCode !== null || child.signalCode !== null) throw new Error(`PgBouncer has ended: ${log}`);
		await sleep(5);
	}
}

function accepts(port: number): Promise<boolean> {
	return new Promise((resolve) => {
		const socket = connect(port, "127.0.0.1", () => {
			socket.destroy();
			resolve(true);
		});
		socket.on("error", () => resolve(false));
	});
}

function freePort(): Promise<number> {
	return new Promise((resolve) => {
		const server = createServer().listen(0, "127.0.0.1", () => {
			const { port } = server.address() as { port: number };
			server.close(() => resolve(port));
		});
	});
}
