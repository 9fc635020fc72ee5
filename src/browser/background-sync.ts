/**
 * Continues a basket in the service worker when no tab is open.
 *
 * @module
 */

import { abortError } from "../platform/abort-error.ts";
import { listen } from "../platform/awake.ts";
import { check, checkFunction } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import { type OnError, report } from "../platform/observe.ts";
import { link, unlink } from "../platform/signals.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** The part of a basket that {@link backgroundSync} needs. */
export interface SyncableBasket {
	/** Processes the due tasks. Resolves when no task is due. */
	drain(options?: { signal?: AbortSignal | undefined }): Promise<unknown>;
	/** The number of tasks that are still to be done. */
	counts(): Promise<{ readonly waiting: number }>;
	/** Calls the listener after each change. */
	subscribe(listener: () => void): () => void;
	/** What it does now. Absent if it is never paused. */
	getSnapshot?(): { readonly state: string; readonly running: number };
}

/** The required part of a `ServiceWorkerRegistration`. TypeScript's own type lacks Background Sync. */
export interface SyncRegistration {
	/** The scope of the service worker; not used. */
	readonly scope: string;
	/** Absent in Firefox and Safari. */
	readonly sync?: { register(tag: string): Promise<unknown> } | undefined;
}

/** Options for {@link backgroundSync}. */
export interface BackgroundSyncOptions {
	/**
	 * Distinguishes the events of this basket from others of the same service worker. Use the same tag in the pages.
	 * @default "upkeep"
	 */
	tag?: string | undefined;
	/** Called with the error of a refused registration: the user may have disabled Background Sync. */
	onError?: OnError | undefined;
	/** The clock to use. @default systemClock */
	clock?: Clock | undefined;
}

/** The event of Background Sync, which TypeScript does not declare. */
interface SyncEvent extends Event {
	readonly tag: string;
	readonly lastChance: boolean;
	waitUntil(promise: Promise<unknown>): void;
}

/** Ends a drain that would wait for a pause or a gate. */
const paused = /* @__PURE__ */ Symbol("paused");
/** The minimum time between two checks of the basket, in milliseconds, because counting has a cost. */
const pause = 100;
/** The minimum time after an event was requested. */
const longPause = 1000;

/**
 * Lets the service worker finish the work of closed pages. Whenever tasks of the basket wait, it registers a one-off
 * Background Sync. In the service worker, it drains the basket when the browser reports that the network is
 * available.
 *
 * Call it in both, with a basket over the same store: in the pages with `await navigator.serviceWorker.ready`, and at
 * the top level of the service worker, before anything is awaited, with `registration`. If tasks still wait after a
 * drain, the event fails, and the browser repeats it a few times (Chromium: twice, after 5 and 15 minutes). After
 * that, the next change of the basket or an opened page registers it again.
 *
 * An event never waits for a pause or a closed gate: it ends when nothing runs anymore, because the browser ends a
 * service worker that waits, and others do the work meanwhile.
 *
 * Without Background Sync it does nothing: the basket then runs only while a page is open.
 *
 * @param basket the basket to drain
 * @param registration the registration of the service worker
 * @param options the tag of the events, and hooks
 * @returns a function that ends it and the running drain; the browser may still send an event that was already
 * requested
 * @throws {TypeError} for arguments of the wrong type
 * @throws {RangeError} for an empty tag
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
	/** Ends the pause after a check of the basket. */
	readonly #timer = new CallbackTimer(() => this.#look(), true);
	#hasChanged = true;
	#isLooking = false;
	/** The number of events that are being handled. Tasks that remain make them fail, and need no further event. */
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

	/** Drains the basket. Rejects if the browser should send the event again. */
	async drain({ lastChance }: SyncEvent): Promise<void> {
		this.#events++;
		const basket = this.#basket;
		const { signal } = this.#controller;
		const own = new AbortController();
		const end = { abort: (reason: unknown) => own.abort(reason) };
		const unsubscribe = basket.subscribe(() => {
			const { state, running } = basket.getSnapshot?.() ?? {};
			if (state === "paused" && running === 0) own.abort(paused);
		});
		if (signal.aborted) own.abort(signal.reason);
		else link(signal, end);
		try {
			await basket.drain({ signal: own.signal });
			if (lastChance) return;
			const { waiting } = await this.#basket.counts();
			if (waiting > 0) throw new Error(`There are still ${waiting} tasks waiting`);
		} catch (error) {
			if (error !== paused) throw error;
		} finally {
			unsubscribe();
			unlink(signal, end);
			this.#events--;
		}
	}

	/** Requests an event if tasks wait, and checks again after a pause if there was a change meanwhile. */
	async #look(): Promise<void> {
		this.#isLooking = this.#hasChanged;
		if (!this.#hasChanged) return;
		this.#hasChanged = false;
		let delay = longPause;
		try {
			const { waiting } = await this.#basket.counts();
			if (waiting === 0) delay = pause;
			// An event may have arrived meanwhile: the service worker may have been started for it.
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
