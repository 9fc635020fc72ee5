/**
 * Notices that somebody has changed the database, and tells others.
 *
 * @module
 */

import type { WakeReason } from "../../basket/store.ts";
import { systemClock } from "../../platform/clock.ts";
import { observe, type OnError, report } from "../../platform/observe.ts";
import { CallbackTimer } from "../../platform/timer-queue.ts";
import type { Listen } from "./client.ts";
import { toStoreError } from "./errors.ts";

interface Watcher {
	readonly wake: (reason?: WakeReason) => void;
	readonly onError: OnError;
}

/** Listening, from its beginning to its end. */
interface Session {
	/** Whether something was heard since the last look at it. */
	isHeard: boolean;
	stop?: (() => unknown) | undefined;
}

/** After how many intervals in which nothing was heard an echo is asked for, and how many to wait for that. */
const patience = { quiet: 60, echo: 10 };
/** The longest pause between two attempts to listen, in milliseconds. */
const longestPause = 30_000;
/** How often a basket is told of, at most, in milliseconds: commits that tell something are made one after the other. */
const pace = 20;

/** How many characters of its name a basket is told of by: notifications are short. */
const mostTold = 1000;

/**
 * Listens for all watchers, on one connection. That it works is known from what is heard: if that is nothing for a while, it
 * sends a message to everybody, itself included. As long as it is not known to work, it wakes the watchers from time to time, and tries
 * again.
 *
 * A message is a colon and a basket, or an exclamation mark and a basket of whose claims there is news; an empty one is only to
 * be heard.
 */
export class Watch {
	readonly #listen: Listen | undefined;
	readonly #tell: (message: string) => Promise<unknown>;
	readonly #channel: string;
	readonly #interval: number;
	readonly #patience: typeof patience;
	readonly #watchers = new Map<string, Set<Watcher>>();
	/** It must not keep a process alive. */
	readonly #timer = new CallbackTimer(() => this.#look(), true);
	/** Baskets that were told of a moment ago, and whether they have to be again. */
	readonly #told = new Map<string, boolean>();
	#session: Session | undefined;
	/** How often it has looked since it has asked for an echo; 0: it has not. */
	#looks = 0;
	#failures = 0;
	#retryAt = 0;

	/** @param interval between two looks where nothing can be heard, in milliseconds */
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
		const watcher = { wake, onError };
		const watchers = this.#watchers.get(basket) ?? new Set();
		const isFirst = this.#watchers.size === 0;
		this.#watchers.set(basket, watchers.add(watcher));
		if (isFirst) this.#begin();
		return () => this.#remove(basket, watcher);
	}

	#remove(basket: string, watcher: Watcher): void {
		const watchers = this.#watchers.get(basket);
		if (watchers?.delete(watcher) && watchers.size === 0) this.#watchers.delete(basket);
		if (this.#watchers.size > 0) return;
		systemClock.clear(this.#timer);
		this.#end();
		this.#failures = this.#retryAt = 0;
	}

	/** Listens no more, and lets all who watch find out that the client was ended. */
	close(): void {
		systemClock.clear(this.#timer);
		this.#end();
		this.#wakeAll();
	}

	/** Whether the caller should tell others of the basket; otherwise that is done for it, in a moment. */
	mayTell(basket: string): boolean {
		const isFree = !this.#told.has(basket);
		this.#told.set(basket, !isFree);
		if (isFree) systemClock.set(new CallbackTimer(() => this.#tellAgain(basket)), pace);
		return isFree;
	}

	/** Tells others of the basket, who may find out for themselves if that fails. */
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
		this.#wakeAll("claims");
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

	#wakeAll(reason?: WakeReason): void {
		for (const watchers of [...this.#watchers.values()]) wake(watchers, reason);
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
		this.#wakeAll();
		if (session === undefined) this.#begin();
		else systemClock.set(this.#timer, this.#interval);
	}

	#check(session: Session): void {
		if (!session.isHeard && this.#looks === 0) return this.#ask(session);
		if (!session.isHeard && this.#looks === this.#patience.echo) {
			return this.#fail(session, new Error("The listening connection receives nothing"));
		}
		// What comes in the meantime may not be heard.
		if (!session.isHeard) this.#wakeAll();
		this.#looks = session.isHeard ? 0 : this.#looks + 1;
		systemClock.set(this.#timer, session.isHeard ? this.#interval * this.#patience.quiet : this.#interval);
		session.isHeard = false;
	}

	/** Once, until something is heard again. */
	#fail(session: Session, error: unknown): void {
		if (session !== this.#session) return;
		this.#end();
		systemClock.set(this.#timer, this.#interval);
		this.#retryAt = performance.now() + Math.min(longestPause, this.#interval * 2 ** this.#failures);
		if (this.#failures++ > 0) return;
		const failure = toStoreError(error);
		for (const { onError } of [...this.#watchers.values()].flatMap((watchers) => [...watchers])) {
			report(onError, failure);
		}
	}
}

function wake(watchers: ReadonlySet<Watcher>, reason?: WakeReason): void {
	for (const { wake, onError } of [...watchers]) observe(onError, wake, reason);
}

/** What a connection says that is lost already is of no interest. */
function stop(end: (() => unknown) | undefined): void {
	Promise.resolve().then(end).catch(() => {});
}
