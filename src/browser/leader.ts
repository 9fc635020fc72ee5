/**
 * One tab or worker of an origin at a time.
 *
 * @module
 */

import { listen } from "../platform/awake.ts";
import { check, checkFunction, checkSignal } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import { type OnError, report } from "../platform/observe.ts";
import { type Abortable, link, unlink } from "../platform/signals.ts";
import { scope } from "../platform/scope.ts";
import { Snapshot, type Subscribable } from "../platform/snapshot.ts";
import { Timer } from "../platform/timer-queue.ts";
import { whileSubscribed } from "./while-subscribed.ts";

/** The part of `navigator.locks` that {@link leader} needs. */
export interface Locks {
	/** Calls `callback` when the lock is granted, and gives it back when what that returned has settled. */
	request(
		name: string,
		options: { signal?: AbortSignal; steal?: boolean },
		callback: () => Promise<void> | undefined,
	): Promise<unknown>;
}

/** What {@link leader} can be told. */
export interface LeaderOptions {
	/**
	 * How long a leader may be silent before another one takes its place, in milliseconds; finite. It beats every third of
	 * that. The timers of a hidden page come once a second, so that less than 5 seconds make the lead wander. @default 10000
	 */
	timeout?: number | undefined;
	/** Ends the candidacy: the gate closes for good. */
	signal?: AbortSignal | undefined;
	/** The locks to compete for; `null` is to have none. @default navigator.locks, if there are any */
	locks?: Locks | null | undefined;
	/** Told why there is no competition: the browser refused the lock or the channel. And what a subscriber threw. */
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
 * A gate that is open in one tab or worker of the origin at a time, among all that ask for the same `name`: for the `gate`
 * option of a basket, so that not every tab works at it.
 *
 * The first subscriber begins the candidacy, and the last one that leaves gives it up, with the lead if it has that. Until
 * then the leader is whoever has the Web Lock. The leader sends a beat over a BroadcastChannel; a candidate that has heard
 * none for `timeout` (to 5/3 of that) takes the lock away, because the lock of a tab that is frozen is not given back. The
 * one that lost it closes its gate as soon as it knows: when it is told, or when it finds that its own clock has jumped
 * over `timeout`. A page that is frozen or goes to the back/forward cache gives up before, and takes part again when it is
 * back.
 *
 * It saves work, and is no mutual exclusion: between a freeze and the discovery of it there may be two leaders. For a
 * basket that does no harm, since a claim that was lost can never write.
 *
 * Where there are no Web Locks, or they are refused (an insecure context, a sandbox, most servers), the gate is open for
 * everybody that is subscribed: a gate that nobody can open would stall the work for ever, while too many workers only
 * compete for claims.
 *
 * @param name what to lead
 * @param options when to take over, and when to end
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
 * 	if (gate.getSnapshot()) resolve(); // where there are no locks
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
	if (locks !== undefined && locks !== null) {
		check("locks.request", check("locks", locks, "object").request, "function");
	}
	const candidate = new Candidate(`upkeep:leader:${name}`, { timeout, signal, locks, onError, clock });
	return {
		subscribe: whileSubscribed(candidate.subscribe, () => candidate.begin()),
		getSnapshot: candidate.getSnapshot,
	};
}

/**
 * State: `out` → (join) → `waiting` for the lock → (granted) → `leading` → (taken away, or late) → `waiting` → …; from both
 * (leave) → `out`. One that is refused the lock or the channel leads `alone` until it leaves.
 */
class Candidate extends Timer implements Abortable, Subscribable<boolean> {
	readonly #name: string;
	readonly #settings: LeaderSettings;
	readonly #snapshot: Snapshot<unknown>;
	readonly subscribe: (listener: () => void) => () => void;
	#state: "out" | "waiting" | "leading" | "alone" = "out";
	/** Ends the request for the lock, or gives that back. */
	#yield: (() => void) | undefined;
	#channel: BroadcastChannel | undefined;
	/** Ends the candidacy. */
	#end: () => void = () => {};
	/** When this was awake last. */
	#awakeAt = 0;
	/** How often it has woken since it heard the leader. Counted and not timed: whoever was frozen has heard nothing, too. */
	#silence = 0;

	constructor(name: string, settings: LeaderSettings) {
		super(true);
		this.#name = name;
		this.#settings = settings;
		this.#snapshot = new Snapshot(() => {}, settings.onError);
		this.subscribe = this.#snapshot.subscribe;
	}

	/** Not kept, since it closes by itself while nothing runs. */
	readonly getSnapshot = (): boolean => this.#state === "alone" || this.#state === "leading" && !this.#isLate();

	/** @returns what ends it */
	begin(): () => void {
		const { signal } = this.#settings;
		if (signal?.aborted) return () => {};
		const undo = listen(["pageshow", "resume"], () => this.#join());
		const undoMore = listen(["pagehide", "freeze"], () => this.#leave());
		if (signal) link(signal, this);
		this.#end = () => {
			undo();
			undoMore();
			if (signal) unlink(signal, this);
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

	/** Gives up the lock and the request for it, if there are any, and asks anew. */
	#ask(steal: boolean): void {
		this.#yield?.();
		this.#silence = 0;
		this.#yield = request(this.#settings.locks!, this.#name, steal, () => {
			this.#tick(true);
			this.#beat();
			this.#change("leading");
		}, (error) => isAbort(error) ? this.#ask(false) : this.#refused(error));
		// Last, because a subscriber may leave when it hears that.
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

	/** Candidates are out of step with each other, and slower than the beat. */
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

/** Whether somebody has taken the lock away. A thawed page may hear of that before it hears that it had been granted. */
function isAbort(error: unknown): boolean {
	return (error as DOMException | undefined)?.name === "AbortError";
}

/**
 * Asks for a lock.
 *
 * @param onLoss told why the lock was not granted, or that it was taken away
 * @returns what ends the request, or gives back the lock, without a further word
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
	// Asynchronous, because locks of the caller's may throw, and a timer asks, too.
	const ask = async () => {
		// Whoever steals does not wait, so that there is nothing to abort.
		await locks.request(name, steal ? { steal } : { signal }, () => {
			if (signal.aborted) return;
			const released = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
			onGranted(); // which may give it back already
			return released;
		});
	};
	ask().catch((error) => signal.aborted || onLoss(error));
	return () => controller.abort();
}
