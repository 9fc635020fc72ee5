/**
 * Elects one tab or worker of an origin.
 *
 * @module
 */

import { listen } from "../platform/awake.ts";
import { check, checkFunction, checkMethods, checkSignal } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import { type OnError, report } from "../platform/observe.ts";
import { type Abortable, link, unlink } from "../platform/signals.ts";
import { scope } from "../platform/scope.ts";
import { Snapshot, type Subscribable } from "../platform/snapshot.ts";
import { Timer } from "../platform/timer-queue.ts";
import { whileSubscribed } from "../platform/while-subscribed.ts";

/** The part of `navigator.locks` that {@link leader} needs. */
export interface Locks {
	/** Calls `callback` when the lock is granted, and releases the lock when the returned promise has settled. */
	request(
		name: string,
		options: { signal?: AbortSignal; steal?: boolean },
		callback: () => Promise<void> | undefined,
	): Promise<unknown>;
}

/** Options for {@link leader}. */
export interface LeaderOptions {
	/**
	 * How long a leader may be silent before another one replaces it, in milliseconds; finite. The leader sends a
	 * heartbeat every third of that time. Timers of a hidden page fire once a second, so with less than 5 seconds the
	 * leader changes too often. @default 10000
	 */
	timeout?: number | undefined;
	/** Ends the candidacy: the gate closes permanently. */
	signal?: AbortSignal | undefined;
	/** The lock manager to use; `null` for none. @default navigator.locks, if present */
	locks?: Locks | null | undefined;
	/**
	 * Called with the error if the browser refuses the lock or the channel, so that there is no election, and with
	 * errors of subscribers.
	 */
	onError?: OnError | undefined;
	/** The clock to use. @default systemClock */
	clock?: Clock | undefined;
}

interface LeaderSettings {
	readonly timeout: number;
	readonly signal: AbortSignal | undefined;
	readonly locks: Locks | null | undefined;
	readonly onError: OnError | undefined;
	readonly clock: Clock;
}

/**
 * A gate that is open in one tab or worker of the origin at a time, among all that use the same `name`. It is meant
 * for the `gate` option of a basket, so that not every tab processes the basket.
 *
 * The first subscriber begins the candidacy. When the last subscriber leaves, the candidacy and the lead end. The
 * leader is the candidate that holds the Web Lock. It sends heartbeats over a BroadcastChannel. A candidate that has
 * received none for `timeout` (up to 5/3 of it) steals the lock, because a frozen tab does not release its lock. The
 * former leader closes its gate as soon as it is notified, or detects that its own clock has jumped over `timeout`. A
 * page that is frozen or enters the back/forward cache gives up the lead before, and becomes a candidate again when
 * it is back.
 *
 * It saves work, but does not guarantee mutual exclusion: between a freeze and its detection there may be two
 * leaders. This is harmless for a basket, because a lost claim can never write.
 *
 * If there are no Web Locks, or they are refused (an insecure context, a sandbox, most servers), the gate is open for
 * every subscriber. Otherwise the gate would never open and the work would stall forever; too many workers only
 * compete for claims.
 *
 * @param name the name of the election
 * @param options the timeout, the lock manager and hooks
 * @throws {TypeError | RangeError} for arguments of the wrong type or out of range
 *
 * @example
 * ```ts
 * import { leader } from "upkeep/browser";
 *
 * const gate = leader("outbox");
 * let stop = () => {};
 * await new Promise<void>((resolve) => {
 * 	stop = gate.subscribe(() => gate.getSnapshot() && resolve());
 * 	if (gate.getSnapshot()) resolve(); // if there are no locks
 * });
 * console.log("This is the one tab that sends.");
 * stop();
 * ```
 */
export function leader(name: string, options: LeaderOptions = {}): Subscribable<boolean> {
	const { timeout = 10_000, signal, onError } = check("options", options, "object");
	check("name", name, "string", name !== "", "a string that is not empty");
	check("timeout", timeout, "number", Number.isFinite(timeout) && timeout > 0, "more than 0, and finite");
	if (signal !== undefined) checkSignal(signal);
	checkFunction("onError", onError);
	const clock = checkClock(options.clock);
	const { locks = scope.navigator?.locks as Locks | undefined } = options;
	if (locks !== undefined && locks !== null) checkMethods("locks", locks, "request");
	const candidate = new Candidate(`upkeep:leader:${name}`, { timeout, signal, locks, onError, clock });
	return {
		subscribe: whileSubscribed(candidate.subscribe, () => candidate.begin()),
		getSnapshot: candidate.getSnapshot,
	};
}

/**
 * State: `out` → (join) → `waiting` for the lock → (granted) → `leading` → (lock stolen, or late) → `waiting` → …;
 * from both (leave) → `out`. A candidate that is refused the lock or the channel leads `alone` until it leaves.
 */
class Candidate extends Timer implements Abortable, Subscribable<boolean> {
	readonly #name: string;
	readonly #settings: LeaderSettings;
	readonly #snapshot: Snapshot<unknown>;
	readonly subscribe: (listener: () => void) => () => void;
	#state: "out" | "waiting" | "leading" | "alone" = "out";
	/** Ends the request for the lock, or releases the lock. */
	#yield: (() => void) | undefined;
	#channel: BroadcastChannel | undefined;
	/** Ends the candidacy. */
	#end: () => void = () => {};
	/** The last time at which this candidate was awake. */
	#awakeAt = 0;
	/**
	 * The number of wake-ups since the last heartbeat of the leader. Counted and not timed, because a frozen candidate
	 * has received nothing either.
	 */
	#silence = 0;

	constructor(name: string, settings: LeaderSettings) {
		super(true);
		this.#name = name;
		this.#settings = settings;
		this.#snapshot = new Snapshot(() => {}, settings.onError);
		this.subscribe = this.#snapshot.subscribe;
	}

	/** Computed, because the gate closes by time while no code runs. */
	readonly getSnapshot = (): boolean => this.#state === "alone" || this.#state === "leading" && !this.#isLate();

	/** @returns a function that ends the candidacy */
	begin(): () => void {
		const { signal } = this.#settings;
		if (signal?.aborted) return () => {};
		const undo = listen(["pageshow", "resume", "pagehide", "freeze"], ({ type }) => {
			if (type === "pageshow" || type === "resume") this.#join();
			else this.#leave();
		});
		link(signal, this);
		this.#end = () => {
			undo();
			unlink(signal, this);
			this.#leave();
		};
		this.#join();
		return this.#end;
	}

	abort(): void {
		this.#end();
	}

	fire(): void {
		const isLate = this.#isLate();
		const leads = this.#state === "leading";
		this.#tick(leads);
		if (!leads) {
			if (++this.#silence > 3) this.#ask(true);
		} else if (isLate) this.#ask(false);
		else this.#beat();
	}

	#join(): void {
		if (this.#state !== "out") return;
		if (!this.#settings.locks) return this.#change("alone");
		try {
			this.#channel = new BroadcastChannel(this.#name);
			(this.#channel as { unref?(): void }).unref?.();
			this.#channel.onmessage = () => this.#silence = 0;
			this.#tick(false);
			this.#ask(false);
		} catch (error) {
			this.#refused(error);
		}
	}

	#leave(): void {
		this.#settings.clock.clear(this);
		this.#channel?.close();
		this.#yield?.();
		this.#channel = this.#yield = undefined;
		this.#change("out");
	}

	/** Releases the lock or ends the request for it, if any, and requests the lock again. */
	#ask(steal: boolean): void {
		this.#yield?.();
		this.#silence = 0;
		this.#yield = request(this.#settings.locks!, this.#name, steal, () => {
			this.#tick(true);
			this.#beat();
			this.#change("leading");
		}, (error) => isAbort(error) ? this.#ask(false) : this.#refused(error));
		// Last, because a subscriber may leave when it is notified.
		this.#change("waiting");
	}

	#refused(error: unknown): void {
		this.#leave();
		this.#change("alone");
		report(this.#settings.onError, error);
	}

	#isLate(): boolean {
		return this.#settings.clock.monotonic() - this.#awakeAt > this.#settings.timeout;
	}

	#beat(): void {
		this.#channel!.postMessage(0);
	}

	/** The ticks of candidates differ from each other and are slower than the heartbeat. */
	#tick(leads: boolean): void {
		const { clock, timeout } = this.#settings;
		this.#awakeAt = clock.monotonic();
		clock.set(this, timeout / 3 * (leads ? 1 : 1 + Math.random() / 4));
	}

	#change(state: "out" | "waiting" | "leading" | "alone"): void {
		const wasOpen = this.#isOpen;
		this.#state = state;
		if (wasOpen !== this.#isOpen) this.#snapshot.changed();
	}

	get #isOpen(): boolean {
		return this.#state === "leading" || this.#state === "alone";
	}
}

/** Whether the lock was stolen. A resumed page may get this error before it learns that the lock had been granted. */
function isAbort(error: unknown): boolean {
	return (error as DOMException | undefined)?.name === "AbortError";
}

/**
 * Requests a lock.
 *
 * @param onLoss called with the error if the lock was not granted or was stolen
 * @returns a function that ends the request or releases the lock, without calling `onLoss`
 */
function request(
	locks: Locks,
	name: string,
	steal: boolean,
	onGranted: () => void,
	onLoss: (error: unknown) => void,
): () => void {
	const controller = new AbortController();
	const { signal } = controller;
	// Async, because the caller's lock manager may throw, and a timer also calls this.
	const ask = async () => {
		// Stealing does not wait, so there is nothing to abort.
		await locks.request(name, steal ? { steal } : { signal }, () => {
			if (signal.aborted) return;
			const released = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
			onGranted(); // may release the lock at once
			return released;
		});
	};
	ask().catch((error) => signal.aborted || onLoss(error));
	return () => controller.abort();
}
