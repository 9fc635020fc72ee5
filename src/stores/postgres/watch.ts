/**
 * Detects changes to the database, and notifies others.
 *
 * @module
 */

import type { WakeReason } from "../../basket/store.ts";
import { systemClock } from "../../platform/clock.ts";
import type { OnError } from "../../platform/observe.ts";
import { CallbackTimer } from "../../platform/timer-queue.ts";
import { addWatcher, reportTo, wake, wakeAll, type Watchers } from "../sql/sql.ts";
import type { Listen } from "./client.ts";
import { toStoreError } from "./errors.ts";

/** One period of listening. */
interface Session {
	/** Whether a notification has arrived since the last check. */
	isHeard: boolean;
	stop?: (() => unknown) | undefined;
}

/** The number of silent intervals after which an echo is requested, and the number of intervals to wait for it. */
const patience = { quiet: 60, echo: 10 };
/** The maximum pause between two attempts to listen, in milliseconds. */
const longestPause = 30_000;
/** The minimum time between notifications for a basket, in milliseconds: Postgres serializes commits with notifications. */
const pace = 20;

/** The maximum length of a basket's name in a notification, because notifications are short. */
const mostTold = 1000;

/**
 * Listens for all watchers on one connection. Received notifications prove that it works. After a silent period, it
 * sends a message to everybody, including itself. While it is not known to work, it wakes the watchers at intervals
 * and tries again.
 *
 * A message is a colon and a basket, or an exclamation mark and a basket with news about claims. An empty message is
 * only a test.
 */
export class Watch {
	readonly #listen: Listen | undefined;
	readonly #tell: (message: string) => Promise<unknown>;
	readonly #channel: string;
	readonly #interval: number;
	readonly #patience: typeof patience;
	readonly #watchers: Watchers = new Map();
	/** The timer must not keep a process alive. */
	readonly #timer = new CallbackTimer(() => this.#look(), true);
	/** Recently notified baskets, and whether they must be notified again. */
	readonly #told = new Map<string, boolean>();
	#session: Session | undefined;
	/** The number of checks since an echo was requested; 0 if none was. */
	#looks = 0;
	#failures = 0;
	#retryAt = 0;

	/** @param interval the polling interval if nothing can be received, in milliseconds */
	constructor(
		listen: Listen | undefined,
		tell: (message: string) => Promise<unknown>,
		channel: string,
		interval: number,
		given: typeof patience = patience,
	) {
		this.#listen = listen;
		this.#tell = tell;
		this.#channel = channel;
		this.#interval = interval;
		this.#patience = given;
	}

	add(basket: string, wake: (reason?: WakeReason) => void, onError: OnError): () => void {
		const isFirst = this.#watchers.size === 0;
		const remove = addWatcher(this.#watchers, basket, wake, onError);
		if (isFirst) this.#begin();
		return () => {
			remove();
			if (this.#watchers.size > 0) return;
			systemClock.clear(this.#timer);
			this.#end();
			this.#failures = this.#retryAt = 0;
		};
	}

	/** Stops listening, and lets all watchers notice that the client has ended. */
	close(): void {
		systemClock.clear(this.#timer);
		this.#end();
		wakeAll(this.#watchers);
	}

	/** Whether the caller should notify others about the basket; otherwise this is done a moment later. */
	mayTell(basket: string): boolean {
		const isFree = !this.#told.has(basket);
		this.#told.set(basket, !isFree);
		if (isFree) systemClock.set(new CallbackTimer(() => this.#tellAgain(basket)), pace);
		return isFree;
	}

	/** Notifies others about the basket. If it fails, they find out by polling. */
	tell(basket: string): void {
		if (this.mayTell(basket)) this.#tell(`:${basket}`).catch(() => {});
	}

	#tellAgain(basket: string): void {
		const isWanted = this.#told.get(basket);
		this.#told.delete(basket);
		if (isWanted) this.tell(basket);
	}

	#begin(): void {
		systemClock.set(this.#timer, this.#interval);
		if (this.#listen === undefined || performance.now() < this.#retryAt) return;
		const session: Session = this.#session = { isHeard: true };
		this.#listen(this.#channel, (message) => this.#hear(session, message), (error) => this.#fail(session, error)).then(
			(stop) => this.#begun(session, stop),
			(error) => this.#fail(session, error),
		);
	}

	#begun(session: Session, end: () => unknown): void {
		session.stop = end;
		if (session !== this.#session) return stop(end);
		wakeAll(this.#watchers, "claims");
		this.#ask(session);
	}

	#end(): void {
		stop(this.#session?.stop);
		this.#session = undefined;
		this.#looks = 0;
	}

	#hear(session: Session, message: string): void {
		if (session !== this.#session) return;
		session.isHeard = true;
		this.#failures = 0;
		for (const [basket, watchers] of [...this.#watchers]) {
			const told = message.slice(1);
			const isCut = message.length > mostTold && basket.startsWith(told);
			if (basket === told || isCut) wake(watchers, message[0] === "!" ? "claims" : undefined);
		}
	}

	#ask(session: Session): void {
		session.isHeard = false;
		this.#looks = 1;
		systemClock.set(this.#timer, this.#interval);
		this.#tell("").catch(() => {});
	}

	#look(): void {
		const session = this.#session;
		if (session?.stop !== undefined) return this.#check(session);
		wakeAll(this.#watchers);
		if (session === undefined) this.#begin();
		else systemClock.set(this.#timer, this.#interval);
	}

	#check(session: Session): void {
		if (!session.isHeard && this.#looks === 0) return this.#ask(session);
		if (!session.isHeard && this.#looks === this.#patience.echo) {
			return this.#fail(session, new Error("The listening connection receives nothing"));
		}
		// A notification in the meantime may be missed.
		if (!session.isHeard) wakeAll(this.#watchers);
		this.#looks = session.isHeard ? 0 : this.#looks + 1;
		systemClock.set(this.#timer, session.isHeard ? this.#interval * this.#patience.quiet : this.#interval);
		session.isHeard = false;
	}

	/** Reports an error once until a notification arrives again. */
	#fail(session: Session, error: unknown): void {
		if (session !== this.#session) return;
		this.#end();
		systemClock.set(this.#timer, this.#interval);
		this.#retryAt = performance.now() + Math.min(longestPause, this.#interval * 2 ** this.#failures);
		if (this.#failures++ > 0) return;
		reportTo(this.#watchers, toStoreError(error));
	}
}

/** Ends a connection, and ignores its errors, because it may already be lost. */
function stop(end: (() => unknown) | undefined): void {
	Promise.resolve().then(end).catch(() => {});
}
