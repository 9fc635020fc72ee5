/**
 * Notices that somebody has changed the database.
 *
 * @module
 */

import type { WakeReason } from "../../basket/store.ts";
import { systemClock } from "../../platform/clock.ts";
import { observe, type OnError, report } from "../../platform/observe.ts";
import { CallbackTimer } from "../../platform/timer-queue.ts";
import type { Connection } from "./connection.ts";
import { toStoreError } from "./errors.ts";
import type { Tables } from "./schema.ts";

interface Watcher {
	readonly wake: (reason?: WakeReason) => void;
	readonly onError: OnError;
}

/**
 * One timer for all watchers, which asks for two numbers: SQLite counts what other connections have committed, and what
 * this one has changed, which tells of another store on the same connection.
 */
export class Watch {
	readonly #connection: Connection;
	readonly #tables: Tables;
	readonly #interval: number;
	readonly #watchers = new Map<string, Set<Watcher>>();
	/** It must not keep a process alive. */
	readonly #timer = new CallbackTimer(() => this.#poll(), true);
	/** Baskets that were changed in a transaction of the caller. */
	readonly #touched = new Set<string>();
	#pause = 0;
	#version: number | undefined;
	#news: number | undefined;
	#changes = 0;
	#commits = 0;
	#isFailing = false;

	/** @param interval between two looks, in milliseconds */
	constructor(connection: Connection, tables: Tables, interval: number) {
		this.#connection = connection;
		this.#tables = tables;
		this.#interval = interval;
	}

	add(basket: string, wake: (reason?: WakeReason) => void, onError: OnError): () => void {
		const watcher = { wake, onError };
		const watchers = this.#watchers.get(basket) ?? new Set();
		if (this.#watchers.size === 0) this.#poll(); // from here on it counts
		this.#watchers.set(basket, watchers.add(watcher));
		return () => this.#remove(basket, watcher);
	}

	#remove(basket: string, watcher: Watcher): void {
		const watchers = this.#watchers.get(basket);
		if (watchers?.delete(watcher) && watchers.size === 0) this.#watchers.delete(basket);
		if (this.#watchers.size > 0) return;
		systemClock.clear(this.#timer);
		this.#touched.clear();
	}

	/** Something may have become due in this basket. */
	wake(basket: string, reason?: WakeReason): void {
		for (const { wake, onError } of [...this.#watchers.get(basket) ?? []]) observe(onError, wake, reason);
	}

	/** Something will have become due when the open transaction is committed; until then looks often. */
	touch(basket: string): void {
		if (!this.#watchers.has(basket)) return;
		this.#touched.add(basket);
		this.#arm(1);
	}

	/** The open transaction was committed. */
	wakeTouched(): void {
		const touched = [...this.#touched];
		this.#touched.clear();
		for (const basket of touched) this.wake(basket);
	}

	/** Lets all who watch find out that the connection is closed, and looks no more. */
	end(): void {
		systemClock.clear(this.#timer);
		for (const basket of [...this.#watchers.keys()]) this.wake(basket);
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

	/** What the store itself has changed, it has told already; but it need not be all that has happened since. */
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
		if (isNews || reason !== undefined) { for (const basket of [...this.#watchers.keys()]) this.wake(basket, reason); }
	}

	/** Of which basket it is cannot be told. */
	#findReason(): WakeReason | undefined {
		const before = this.#news;
		this.#news = this.#connection.all<{ news: number }>(`SELECT news FROM ${this.#tables.schema}`)[0]?.news;
		return before === this.#news ? undefined : "claims";
	}

	/** Once, until it works again: it would come many times a second. */
	#fail(error: unknown): void {
		this.#arm(this.#interval);
		if (this.#isFailing) return;
		this.#isFailing = true;
		const failure = toStoreError(error);
		for (const { onError } of [...this.#watchers.values()].flatMap((watchers) => [...watchers])) {
			report(onError, failure);
		}
	}
}
