// A store over LMDB, which is not part of the package: an example for databases that are ordered maps with
// transactions.
//
//     npm install lmdb
//     import { lmdbStore } from "./lmdb.ts";
//     const outbox = new Basket({ store: lmdbStore("data/tasks"), tasks: { … } });
import { deserialize, serialize } from "node:v8";
import { open, type RootDatabase } from "lmdb";
import {
	type MapEntry,
	type MapTransaction,
	type OrderedMap,
	overMap,
	recordStore,
	type Store,
	StoreError,
	type StoreErrorCode,
	type TransactOptions,
	type WakeReason,
} from "../../src/store.ts"; // elsewhere: from "upkeep/store"
import type { Clock } from "../../mod.ts"; // elsewhere: from "upkeep"

/** Options for {@link lmdbStore}. */
export interface LmdbStoreOptions {
	/** The interval between checks for changes by other processes, in milliseconds. @default 500 */
	pollInterval?: number;
	/** The clock to use. @default the system clock */
	clock?: Clock;
}

/** LMDB keys have at most 1,978 bytes, and contain the names of a task, its lane and its basket. */
const maxName = 500;

/** The version of the stored layout. Version 2 has limits; the rest is as in version 1. */
const version = 2;

/** The names of a task. */
type Names = { [name in "id" | "lane" | "limitKey"]?: string | undefined } & { kind: string };

/** A store in a folder, which several processes can share. */
export function lmdbStore(path: string, options: LmdbStoreOptions = {}): Store {
	return recordStore(overMap(new LmdbMap(path, options)));
}

/** LMDB as an ordered map. */
export class LmdbMap implements OrderedMap {
	readonly capabilities = { durable: true, shared: true, tx: false, clock: "machine" } as const;
	readonly clock: Clock | undefined;
	readonly limits = {
		checkBasket: (basket: string) => checkName("basket", basket),
		checkLimitKey: (_: string, limitKey: string) => checkName("limitKey", limitKey),
		checkTasks: (_: string, tasks: readonly Names[]) => {
			for (const { id = "", kind, lane = "", limitKey = "" } of tasks) {
				Object.entries({ id, kind, lane, limitKey }).forEach(([what, name]) => checkName(what, name));
			}
		},
	};
	readonly #path: string;
	readonly #pollInterval: number;
	readonly #watchers = new Set<{ basket: string; look: () => void }>();
	#db: Lmdb | undefined;

	constructor(path: string, { pollInterval = 500, clock }: LmdbStoreOptions = {}) {
		this.#path = path;
		this.#pollInterval = pollInterval;
		this.clock = clock;
	}

	async open(): Promise<void> {
		await this.#guarded(() => {
			const db = this.#db ??= open<Uint8Array, string[]>({ path: this.#path, encoding: "binary" });
			db.transactionSync(() => {
				const found = Number(read(db, ["schema"]) ?? version);
				if (found > version) {
					throw new StoreError("newer-schema", `The layout ${found} is not known here: update the library`);
				}
				db.putSync(["schema"], serialize(version));
			});
		});
	}

	/** One transaction runs at a time, over all processes. It is done and on the disk when this returns. */
	async transaction<R>(
		work: (map: MapTransaction, attempt: number) => R | Promise<R>,
		{ basket, purpose }: TransactOptions<never> & { readonly basket: string },
	): Promise<R> {
		const db = this.#db;
		if (db === undefined) throw new StoreError("not-open", "Await open() before you use the store");
		const map = new LmdbTransaction(db);
		// An error rolls the transaction back. Reads do not need the write lock.
		const result = await this.#guarded(() =>
			purpose === "read" ? work(map, 0) as R : db.transactionSync(() => work(map, 0) as R)
		);
		if (map.isAwake) { for (const watcher of this.#watchers) if (watcher.basket === basket) watcher.look(); }
		return result;
	}

	/** Other processes detect it by polling. */
	wake(basket: string, reason: WakeReason | undefined, map: MapTransaction): void {
		const lmdb = map as LmdbTransaction;
		lmdb.isAwake = true;
		for (const bell of reason === undefined ? ["due"] : ["due", reason]) lmdb.ring(basket, bell);
	}

	watch(basket: string, wake: (reason?: WakeReason) => void, onError: (error: unknown) => void): () => void {
		const heard = () => ["due", "claims"].map((bell) => this.#db && read(this.#db, ["bell", basket, bell]));
		let last = heard();
		const look = () => {
			try {
				const now = heard();
				const [isDue, isClaims] = now.map((count, index) => count !== last[index]);
				last = now;
				if (isDue || isClaims) queueMicrotask(() => wake(isClaims ? "claims" : undefined));
			} catch (error) {
				onError(error);
			}
		};
		const watcher = { basket, look };
		this.#watchers.add(watcher);
		const timer = setInterval(look, this.#pollInterval);
		timer.unref();
		return () => {
			clearInterval(timer);
			this.#watchers.delete(watcher);
		};
	}

	async close(): Promise<void> {
		await this.#db?.close();
		this.#db = undefined;
	}

	/** Converts errors to errors of a store. */
	async #guarded<T>(action: () => T): Promise<T> {
		try {
			return action();
		} catch (error) {
			const { message = "" } = error as Error;
			const [, code] = codes.find(([pattern]) => pattern.test(message)) ?? [];
			throw code === undefined ? error : new StoreError(code, `LMDB: ${message}`, { cause: error });
		}
	}
}

const codes: readonly (readonly [RegExp, StoreErrorCode])[] = [
	[/MDB_MAP_FULL|no space/i, "full"],
	[/MDB_CORRUPTED|MDB_INVALID|MDB_VERSION_MISMATCH/, "corrupt"],
	[/permission|EACCES|read-?only/i, "refused"],
	[/MDB_READERS_FULL|busy/i, "busy"],
	[/closed/i, "closed"],
];

type Lmdb = RootDatabase<Uint8Array, string[]>;

/** The driver's own encoding does not support lone surrogates. */
function read(db: Lmdb, key: string[]): unknown {
	const bytes = db.get(key);
	return bytes && deserialize(bytes);
}

class LmdbTransaction implements MapTransaction {
	readonly #db: Lmdb;
	isAwake = false;

	constructor(db: Lmdb) {
		this.#db = db;
	}

	get(keys: readonly string[]): unknown[] {
		return keys.map((key) => read(this.#db, ["row", key]));
	}

	list({ start, end, limit, reverse = false }: Parameters<MapTransaction["list"]>[0]): MapEntry[] {
		const [from, to] = [["row", start], ["row", end]];
		// In reverse, the range begins with its upper end, inclusive; no key equals it.
		const bounds = reverse ? { start: to, end: from } : { start: from, end: to };
		const range = this.#db.getRange({ ...bounds, reverse, ...(limit !== undefined && limit < Infinity && { limit }) });
		return Array.from(range, ({ key, value }) => [key[1]!, deserialize(value)] as const);
	}

	set(key: string, value: unknown): void {
		this.#db.putSync(["row", key], serialize(value));
	}

	delete(key: string): void {
		this.#db.removeSync(["row", key]);
	}

	ring(basket: string, bell: string): void {
		this.#db.putSync(["bell", basket, bell], serialize(Number(read(this.#db, ["bell", basket, bell]) ?? 0) + 1));
	}
}

function checkName(what: string, name: string): void {
	if (Buffer.byteLength(name) > maxName) {
		throw new RangeError(`"${what}" must have ${maxName} bytes or less: it has ${Buffer.byteLength(name)}`);
	}
}
