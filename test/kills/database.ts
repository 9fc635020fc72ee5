// The shared databases of the kill tests: a store, and a list of effects. Only the transaction of a task prevents a
// duplicate effect.
import { denoKvStore } from "../../src/stores/deno-kv/deno-kv.ts";
import type { DenoKv, DenoKvKeyPart, DenoKvOperation } from "../../src/stores/deno-kv/database.ts";
import { type SqliteConnection, sqliteStore } from "../../src/stores/sqlite/sqlite.ts";
import { sleep, type Store } from "../../mod.ts";

/** The names of the tested databases. */
export const databaseNames = ["sqlite", "bun:sqlite", "libsql", "deno-kv", "postgres", "postgres.js"] as const;
export type DatabaseName = (typeof databaseNames)[number];

/** The effect of a task. */
export interface Effect {
	/** The id of the task. */
	readonly id: string;
	/** The lane of the task; empty if it has none. */
	readonly lane: string;
	/** The position of the task in its lane. */
	readonly place: number;
}

// deno-lint-ignore no-explicit-any -- each database has transactions of its own
export interface Database<Tx = any> {
	readonly store: Store<Tx>;
	/** Writes effects in one transaction with the changes of `rest`. Rejects if the transaction does not commit. */
	apply(effects: Effect | readonly Effect[], rest: (tx: Tx) => Promise<unknown>): Promise<void>;
	/** All effects, in the order of their commits. */
	effects(): Promise<Effect[]>;
	/** Creates the table of effects. Called once, before other processes open the database. */
	prepare?(): Promise<unknown>;
	close(): unknown;
}

/**
 * Opens a database, which other processes may share.
 *
 * @param path the path of a file, or the URL of a server, which may be down
 */
export async function openDatabase(name: DatabaseName, path: string): Promise<Database> {
	if (name === "deno-kv") return await openDenoKv(path);
	if (name === "sqlite" || name === "bun:sqlite" || name === "libsql") return await openSqlite(name, path);
	const { openPostgres } = await import("./postgres.ts");
	return openPostgres(name === "postgres" ? "pg" : "postgres", path);
}

interface Sqlite extends SqliteConnection {
	exec(sql: string): unknown;
	close(): void;
}

async function openSqlite(name: "sqlite" | "bun:sqlite" | "libsql", path: string): Promise<Database<Sqlite>> {
	const module: string = name === "sqlite" ? "node:sqlite" : name; // no runtime has all of these modules
	const { DatabaseSync, Database, default: Libsql } = await import(module);
	const db: Sqlite = new (DatabaseSync ?? Database ?? Libsql)(path);
	db.exec("PRAGMA busy_timeout = 10000");
	db.exec("PRAGMA journal_mode = WAL");
	db.exec("PRAGMA synchronous = NORMAL"); // sufficient, because the machine itself does not crash
	db.exec(
		"CREATE TABLE IF NOT EXISTS effects (n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT, lane TEXT, place INTEGER)",
	);
	const store = sqliteStore(db);
	const insertion = db.prepare("INSERT INTO effects (id, lane, place) VALUES (?, ?, ?)");
	return {
		store,
		apply: (effects, rest) =>
			store.transaction(async (tx) => {
				for (const { id, lane, place } of listOf(effects)) insertion.run(id, lane, place);
				await slowly(effects, () => rest(tx));
			}),
		effects: () => Promise.resolve(db.prepare("SELECT id, lane, place FROM effects ORDER BY n").all() as Effect[]),
		close: () => db.close(),
	};
}

/** The methods that are used in addition to those of the store. */
interface Kv extends DenoKv<DenoKvOperation> {
	close(): void;
}

async function openDenoKv(path: string): Promise<Database<DenoKvOperation>> {
	const { Deno } = globalThis as unknown as { Deno: { openKv(path: string): Promise<Kv> } };
	const kv = await Deno.openKv(path);
	const store = denoKvStore(kv, { pollInterval: 50 });
	return {
		store,
		async apply(effects, rest) {
			// Each attempt has its own keys, so that duplicate effects are visible.
			const attempt = crypto.randomUUID();
			for (let tries = 0; tries < 10; tries++) {
				const tx = kv.atomic();
				for (const effect of listOf(effects)) {
					const key: DenoKvKeyPart[] = ["effects", effect.id, effect.place, attempt];
					tx.set(key, effect);
				}
				await rest(tx);
				if ((await tx.commit()).ok) return;
				await sleep(10 * Math.random());
			}
			throw new Error("Somebody else was in the way each time");
		},
		async effects() {
			const entries = [];
			for await (const entry of kv.list({ prefix: ["effects"] }, {})) entries.push(entry);
			entries.sort((a, b) => a.versionstamp! < b.versionstamp! ? -1 : 1);
			return entries.map(({ value }) => value as Effect);
		},
		close: () => kv.close(),
	};
}

export function listOf<T>(values: T | readonly T[]): readonly T[] {
	return Array.isArray(values) ? values : [values as T];
}

/** Makes a change of a transaction, in half of the cases with a pause before or after it. */
export async function slowly(effects: Effect | readonly Effect[], change: () => Promise<unknown>): Promise<void> {
	const place = listOf(effects)[0]?.place ?? 0;
	if (place % 4 === 0) await sleep(2 * Math.random());
	await change();
	if (place % 4 === 1) await sleep(2 * Math.random());
}
