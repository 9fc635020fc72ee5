/**
 * A basket that goes on in the service worker, when no tab is open any more.
 *
 * @module
 */

import { abortError } from "../platform/abort-error.ts";
import { listen } from "../platform/awake.ts";
import { check, checkFunction } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import { type OnError, report } from "../platform/observe.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** The part of a basket that {@link backgroundSync} needs. */
export interface SyncableBasket {
	/** Processes what is due, and resolves when nothing is. */
	drain(options?: { signal?: AbortSignal | undefined }): Promise<unknown>;
	/** How many tasks are still to be done. */
	counts(): Promise<{ readonly waiting: number }>;
	/** Calls the listener after each change. */
	subscribe(listener: () => void): () => void;
}

/** A `ServiceWorkerRegistration`, as far as it matters: TypeScript's own knows nothing of Background Sync. */
export interface SyncRegistration {
	/** What it is for; not used. */
	readonly scope: string;
	/** Not there in Firefox and Safari. */
	readonly sync?: { register(tag: string): Promise<unknown> } | undefined;
}

/** What {@link backgroundSync} can be told. */
export interface BackgroundSyncOptions {
	/** Tells this basket's events from others of the same service worker; the same in the pages. @default "upkeep" */
	tag?: string | undefined;
	/** Told why the browser refused a registration: the user may have switched Background Sync off. */
	onError?: OnError | undefined;
	/** The clock to use. @default systemClock */
	clock?: Clock | undefined;
}

/** The event of Background Sync, which TypeScript does not know. */
interface SyncEvent extends Event {
	readonly tag: string;
	readonly lastChance: boolean;
	waitUntil(promise: Promise<unknown>): void;
}

/** How long after a look at the basket it is not looked at again, in milliseconds: counting may cost something. */
const pause = 100;
/** The same if there is nothing to lose, because the browser was just asked for an event. */
const longPause = 1000;

/**
 * Lets the service worker finish what the pages have left: whenever tasks of the basket wait, it registers a one-off
 * Background Sync, and in the service worker it drains the basket when the browser says that the network is there.
 *
 * To be called in both, with a basket over the same store: in the pages with `await navigator.serviceWorker.ready`, and at
 * the top level of the service worker, before anything is awaited, with `registration`. If tasks still wait after a drain,
 * the event fails, and the browser sends it again later, a few times (Chromium: twice, 5 and 15 minutes later) and then no
 * more; it is registered anew by the next change of the basket, and when a page is opened.
 *
 * Where there is no Background Sync it does nothing: the basket then runs as long as a page does.
 *
 * @param basket what to drain
 * @param registration of the service worker
 * @param options which events are meant, and who is told of errors
 * @returns ends it, with the drain that is under way; the browser may still send an event that it was asked for
 * @throws {TypeError} for arguments of the wrong type
 * @throws {RangeError} for a tag that is empty
 *
 * @example
 * ```ts
 * import { backgroundSync } from "upkeep/browser";
 *
 * const basket = {
 * 	drain: () => Promise.resolve(),
 * 	counts: () => Promise.resolve({ waiting: 0 }),
 * 	subscribe: () => () => {},
 * };
 * const registration = await globalThis.navigator?.serviceWorker?.getRegistration();
 * if (registration) backgroundSync(basket, registration);
 * ```
 */
export function backgroundSync(
	basket: SyncableBasket,
	registration: SyncRegistration,
	options: BackgroundSyncOptions = {},
): () => void {
	const { tag = "upkeep", onError } = check("options", options, "object");
	for (const method of ["drain", "counts", "subscribe"] as const) {
		check(`basket.${method}`, check("basket", basket, "object")[method], "function");
	}
	const { sync } = check("registration", registration, "object");
	check("tag", tag, "string", tag !== "", "a string that is not empty");
	checkFunction("onError", onError);
	const clock = checkClock(options.clock);
	if (sync === undefined) return () => {};
	check("registration.sync.register", check("registration.sync", sync, "object").register, "function");
	const background = new BackgroundSync(basket, () => sync.register(tag), onError, clock);
	const stopListening = listen(["sync"], (event) => {
		if ((event as SyncEvent).tag === tag) (event as SyncEvent).waitUntil(background.drain(event as SyncEvent));
	});
	return () => {
		stopListening();
		background.stop();
	};
}

class BackgroundSync {
	readonly #basket: SyncableBasket;
	readonly #register: () => Promise<unknown>;
	readonly #onError: OnError | undefined;
	readonly #clock: Clock;
	readonly #unsubscribe: () => void;
	readonly #controller = new AbortController();
	/** The end of the pause after a look at the basket. */
	readonly #timer = new CallbackTimer(() => this.#look(), true);
	#hasChanged = true;
	#isLooking = false;
	/** How many events are being handled here: what they leave makes them fail, and is no reason to ask for another one. */
	#events = 0;

	constructor(
		basket: SyncableBasket,
		register: () => Promise<unknown>,
		onError: OnError | undefined,
		clock: Clock,
	) {
		this.#basket = basket;
		this.#register = register;
		this.#onError = onError;
		this.#clock = clock;
		this.#unsubscribe = basket.subscribe(() => {
			this.#hasChanged = this.#events === 0;
			if (!this.#isLooking) this.#look();
		});
		this.#look();
	}

	stop(): void {
		this.#unsubscribe();
		this.#controller.abort(abortError("The background sync was stopped"));
		this.#clock.clear(this.#timer);
	}

	/** Rejects if there is a reason to try again. */
	async drain({ lastChance }: SyncEvent): Promise<void> {
		this.#events++;
		try {
			await this.#basket.drain({ signal: this.#controller.signal });
			if (lastChance) return;
			const { waiting } = await this.#basket.counts();
			if (waiting > 0) throw new Error(`There are still ${waiting} tasks waiting`);
		} finally {
			this.#events--;
		}
	}

	/** Asks for an event if tasks wait, and looks again after a pause if there was a change meanwhile. */
	async #look(): Promise<void> {
		this.#isLooking = this.#hasChanged;
		if (!this.#hasChanged) return;
		this.#hasChanged = false;
		let delay = longPause;
		try {
			const { waiting } = await this.#basket.counts();
			if (waiting === 0) delay = pause;
			// An event may have come meanwhile: the service worker may have been started for it.
			else if (this.#isNeeded) await this.#register();
		} catch (error) {
			report(this.#onError, error);
		}
		if (!this.#isOver) this.#clock.set(this.#timer, delay);
	}

	get #isOver(): boolean {
		return this.#controller.signal.aborted;
	}

	get #isNeeded(): boolean {
		return this.#events === 0 && !this.#isOver;
	}
}
