import type { SimulatedStore } from "./simulate.ts";
import type { Store } from "../../mod.ts";
import type { VirtualClock } from "../../src/testing/testing.ts";
import type { StoreTransaction, StoreTransactions } from "./transactions.ts";
import { DatabaseSync } from "node:sqlite";
import { type SqliteStore, sqliteStore } from "../../src/stores/sqlite/sqlite.ts";
import { type Deferred, deferred } from "../support.ts";

export function openSqlite(clock: VirtualClock): SimulatedStore {
	const db = new DatabaseSync(":memory:");
	db.exec("CREATE TABLE marks (number INTEGER)");
	// No other process adds tasks, and polling takes real time.
	const store = sqliteStore(db, { clock, pollInterval: 1e9 });
	const watchers = new Watchers(store as unknown as Store<never>);
	return {
		store: { ...members(store), watch: watchers.watch } as unknown as Store<never>,
		transactions: new Transactions(db, store, watchers),
		close: () => db.close(),
	};
}

function members(store: SqliteStore): Record<string, unknown> {
	const names = "open add turn complete extend save log get list counts delete change pause pauses hasten post".split(
		" ",
	);
	const all = store as unknown as Record<string, (...args: unknown[]) => unknown>;
	const bound = names.map((name) => [name, (...args: unknown[]) => all[name]!(...args)]);
	return { capabilities: store.capabilities, ...Object.fromEntries(bound) };
}

/** The watchers of a store. With watchers, the store polls for the end of a caller's transaction in real time. */
class Watchers {
	readonly #store: Store<never>;
	readonly #all = new Set<{ undo: () => void; readonly args: Parameters<NonNullable<Store["watch"]>> }>();

	constructor(store: Store<never>) {
		this.#store = store;
	}

	readonly watch = (...args: Parameters<NonNullable<Store["watch"]>>): () => void => {
		const watcher = { args, undo: this.#store.watch!(...args) };
		this.#all.add(watcher);
		return () => {
			watcher.undo();
			this.#all.delete(watcher);
		};
	};

	renew(): void {
		for (const { undo } of this.#all) undo();
		for (const watcher of this.#all) watcher.undo = this.#store.watch!(...watcher.args);
	}
}

/** Transactions on one connection, which block all other calls. */
class Transactions implements StoreTransactions {
	readonly isExclusive = true;
	readonly isStrict = false;
	readonly #db: DatabaseSync;
	readonly #store: SqliteStore;
	readonly #watchers: Watchers;

	constructor(db: DatabaseSync, store: SqliteStore, watchers: Watchers) {
		this.#db = db;
		this.#store = store;
		this.#watchers = watchers;
	}

	async begin(): Promise<StoreTransaction> {
		const ended = deferred();
		const begun = deferred();
		const transaction = this.#store.transaction(() => {
			begun.resolve();
			return ended.promise;
		});
		await begun.promise;
		const end = (by: Deferred["resolve"] | Deferred["reject"]) => this.#end(transaction, by);
		return {
			tx: this.#db,
			mark: (number) => void this.#db.prepare("INSERT INTO marks VALUES (?)").run(number),
			commit: () => end(ended.resolve),
			rollBack: async () => void await end(ended.reject),
		};
	}

	async #end(transaction: Promise<void>, by: (reason: undefined) => void): Promise<boolean> {
		by(undefined);
		const isCommitted = await transaction.then(() => true, () => false);
		this.#watchers.renew();
		return isCommitted;
	}

	async marks(): Promise<number[]> {
		return this.#db.prepare("SELECT number FROM marks").all().map(({ number }) => number as number);
	}
}
