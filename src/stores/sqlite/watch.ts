/**
 * Detects changes to the database.
 *
 * @module
 */

import type { WakeReason } from "../../basket/store.ts";
import { systemClock } from "../../platform/clock.ts";
import type { OnError } from "../../platform/observe.ts";
import { CallbackTimer } from "../../platform/timer-queue.ts";
import { addWatcher, reportTo, wake, wakeAll, type Watchers } from "../sql/sql.ts";
import type { Connection } from "./connection.ts";
import { toStoreError } from "./errors.ts";
import type { Tables } from "./tables.ts";

/**
 * One timer for all watchers, which reads two numbers: SQLite counts the commits of other connections, and the
 * changes of this one, which reveal another store on the same connection.
 */
export class Watch {
	readonly #connection: Connection;
	readonly #tables: Tables;
	readonly #interval: number;
	readonly #watchers: Watchers = new Map();
	/** The timer must not keep a process alive. */
	readonly #timer = new CallbackTimer(() => this.#poll(), true);
	/** The baskets that were changed in a transaction of the caller. */
	readonly #touched = new Set<string>();
	#pause = 0;
	#version: number | undefined;
	#news: number | undefined;
	#changes = 0;
	#commits = 0;
	#isFailing = false;

	/** @param interval the polling interval, in milliseconds */
	constructor(connection: Connection, tables: Tables, interval: number) {
		this.#connection = connection;
		this.#tables = tables;
		this.#interval = interval;
	}

	add(basket: string, wake: (reason?: WakeReason) => void, onError: OnError): () => void {
		if (this.#watchers.size === 0) this.#poll(); // sets the initial counts
		const remove = addWatcher(this.#watchers, basket, wake, onError);
		return () => {
			remove();
			if (this.#watchers.size > 0) return;
			systemClock.clear(this.#timer);
			this.#touched.clear();
		};
	}

	/** Tasks of this basket may have become due. */
	wake(basket: string, reason?: WakeReason): void {
		wake(this.#watchers.get(basket), reason);
	}

	/** Tasks will be due when the open transaction commits; until then it polls often. */
	touch(basket: string): void {
		if (!this.#watchers.has(basket)) return;
		this.#touched.add(basket);
		this.#arm(1);
	}

	/** The open transaction has committed. */
	wakeTouched(): void {
		const touched = [...this.#touched];
		this.#touched.clear();
		for (const basket of touched) this.wake(basket);
	}

	/** Lets all watchers notice that the connection is closed, and stops polling. */
	end(): void {
		systemClock.clear(this.#timer);
		wakeAll(this.#watchers);
	}

	#arm(pause: number): void {
		this.#pause = Math.min(pause, this.#interval);
		systemClock.set(this.#timer, this.#pause);
	}

	#poll(): void {
		try {
			if (this.#connection.isInTransaction) return this.#arm(2 * this.#pause);
			this.#arm(this.#interval);
			this.#look();
			this.wakeTouched();
			this.#isFailing = false;
		} catch (error) {
			this.#fail(error);
		}
	}

	/** The store's own changes were already reported; but there may be others. */
	#look(): void {
		const version = this.#connection.all<{ data_version: number }>("PRAGMA data_version")[0]!.data_version;
		const changes = this.#connection.all<{ count: number }>("SELECT total_changes() AS count")[0]!.count;
		if (version === this.#version && changes === this.#changes) return;
		const { commits } = this.#connection;
		const isNews = version !== this.#version || commits === this.#commits;
		this.#version = version;
		this.#changes = changes;
		this.#commits = commits;
		const reason = this.#findReason();
		if (isNews || reason !== undefined) wakeAll(this.#watchers, reason);
	}

	/** The basket of the change is unknown. */
	#findReason(): WakeReason | undefined {
		const before = this.#news;
		this.#news = this.#connection.all<{ news: number }>(`SELECT news FROM ${this.#tables.schema}`)[0]?.news;
		return before === this.#news ? undefined : "claims";
	}

	/** Reports an error once until polling works again: it would otherwise be reported many times a second. */
	#fail(error: unknown): void {
		this.#arm(this.#interval);
		if (this.#isFailing) return;
		this.#isFailing = true;
		reportTo(this.#watchers, toStoreError(error));
	}
}
