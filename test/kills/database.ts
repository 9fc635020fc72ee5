// The databases that the processes of the kill tests share: a store, and beside it a list of effects that nothing but the
// transaction of the task protects against being there twice.
import { denoKvStore } from "../../src/stores/deno-kv/deno-kv.ts";
import type { DenoKv, DenoKvKeyPart, DenoKvOperation } from "../../src/stores/deno-kv/database.ts";
import { type SqliteConnection, sqliteStore } from "../../src/stores/sqlite/sqlite.ts";
import { sleep, type Store } from "../../mod.ts";

/** The databases that are tried. */
export const databaseNames = ["sqlite", "bun:sqlite", "libsql", "deno-kv", "postgres", "postgres.js"] as const;
export type DatabaseName = (typeof databaseNames)[number];

/** What a task has done. */
export interface Effect {
	/** The task. */
	readonly id: string;
	/** Its lane; empty if it stands in none. */
	readonly lane: string;
	/** The place at which it was added to that. */
	readonly place: number;
}

// deno-lint-ignore no-explicit-any -- each database has transactions of its own
export interface Database<Tx = any> {
	readonly store: Store<Tx>;
	/** Writes an effect and whatever else belongs to it, both or none. Rejects if that was not committed. */
	apply(effect: Effect, rest: (tx: Tx) => Promise<unknown>): Promise<void>;
	/** All effects, in the order of their commits. */
	effects(): Promise<Effect[]>;
	/** Makes what is beside the store, once, before anybody else opens the database. */
	prepare?(): Promise<unknown>;
	close(): unknown;
}

/**
 * Opens a database, as every process does that shares it.
 *
 * @param path of a file, or the URL of a server, which may be down at the moment
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
	const module: string = name === "sqlite" ? "node:sqlite" : name; // none is known everywhere
	const { DatabaseSync, Database, default: Libsql } = await import(module);
	const db: Sqlite = new (DatabaseSync ?? Database ?? Libsql)(path);
	db.exec("PRAGMA busy_timeout = 10000");
	db.exec("PRAGMA journal_mode = WAL");
	db.exec("PRAGMA synchronous = NORMAL"); // the machine goes on
	db.exec(
		"CREATE TABLE IF NOT EXISTS effects (n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT, lane TEXT, place INTEGER)",
	);
	const store = sqliteStore(db);
	const insertion = db.prepare("INSERT INTO effects (id, lane, place) VALUES (?, ?, ?)");
	return {
		store,
		apply: ({ id, lane, place }, rest) =>
			store.transaction(async (tx) => {
				insertion.run(id, lane, place);
				if (place % 4 === 0) await sleep(2 * Math.random());
				await rest(tx);
				if (place % 4 === 1) await sleep(2 * Math.random());
			}),
		effects: () => Promise.resolve(db.prepare("SELECT id, lane, place FROM effects ORDER BY n").all() as Effect[]),
		close: () => db.close(),
	};
}

/** What is used of it besides what the store uses. */
interface Kv extends DenoKv<DenoKvOperation> {
	close(): void;
}

async function openDenoKv(path: string): Promise<Database<DenoKvOperation>> {
	const { Deno } = globalThis as unknown as { Deno: { openKv(path: string): Promise<Kv> } };
	const kv = await Deno.openKv(path);
	const store = denoKvStore(kv, { pollInterval: 50 });
	return {
		store,
		async apply(effect, rest) {
			// Each try has a key of its own, so that an effect that is there twice can be seen.
			const key: DenoKvKeyPart[] = ["effects", effect.id, crypto.randomUUID()];
			for (let tries = 0; tries < 10; tries++) {
				const tx = kv.atomic();
				tx.set(key, effect);
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
