/**
 * Counts what a process does, for the charts of an inspector. It keeps the last ten minutes, in a few kilobytes.
 *
 * Use `otel` of `upkeep/otel` for a monitoring system that stores the figures of all processes.
 *
 * @module
 */

import type { MeterDurations, MeterSlot } from "./records.ts";
import { observer } from "../observer/observer.ts";
import type { Observer } from "../run/observer.ts";
import { check } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";

/** The length of a slot, in milliseconds. */
const slotTime = 10_000;
/** The number of slots: ten minutes. */
const mostSlots = 60;
/** The ratio of the ends of neighboring ranges of durations. */
const factor = 1.5;
/** The number of ranges: up to 1.5 ^ 55 ms, 57 days. */
const mostRanges = 56;

/** Options for {@link meter}. */
export interface MeterOptions {
	/** The clock to use. @default systemClock */
	clock?: Clock | undefined;
}

/** An observer that counts. */
export interface Meter extends Observer {
	/** The last ten minutes, the oldest first; the last slot is not over. Slots in which nothing happened are there, too. */
	read(): readonly MeterSlot[];
}

/**
 * Makes a meter. It is given as `observe` to a basket and a processor, and as `meter` to `inspect` or `basketHandler`. Steps of
 * jobs count as tasks; a step that has failed counts as `failed`, also if it is tried again.
 *
 * @param options the clock
 * @throws {TypeError} for options of the wrong type
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Basket, memoryStore } from "upkeep";
 * import { meter } from "upkeep/http";
 *
 * const rates = meter();
 * const outbox = new Basket({ store: memoryStore(), tasks: { send: (_to: string) => {} }, observe: rates });
 * await outbox.addMany([{ kind: "send", payload: "ada" }, { kind: "send", payload: "bob" }]);
 * await outbox.drain();
 * assert.equal(rates.read().reduce((sum, { done }) => sum + done, 0), 2);
 * ```
 */
export function meter(options: MeterOptions = {}): Meter {
	const slots = new Slots(checkClock(check("options", options, "object").clock));
	const hooks = observer({
		started: ({ by }, waited) => {
			if (by === "basket") slots.current().waited.add(waited);
		},
		ended: (_, { outcome, took }) => {
			const slot = slots.current();
			if (outcome === "done") slot.done++;
			else if (outcome === "retry") slot.retried++;
			else if (outcome === "dead" || outcome === "failed") slot.failed++;
			slot.took.add(took);
		},
	});
	return { ...hooks, read: () => slots.read() };
}

class Slot {
	readonly at: number;
	done = 0;
	retried = 0;
	failed = 0;
	readonly waited = new Histogram();
	readonly took = new Histogram();

	constructor(at: number) {
		this.at = at;
	}
}

class Slots {
	readonly #clock: Clock;
	#slots: Slot[] = [];

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/** The slot of this moment. */
	current(): Slot {
		const at = this.#now();
		const last = this.#slots.at(-1);
		// The wall clock may have been set back.
		if (last !== undefined && last.at >= at && last.at - at <= slotTime) return last;
		if (last !== undefined && last.at > at) this.#slots = [];
		const slot = new Slot(at);
		this.#slots.push(slot);
		if (this.#slots.length > mostSlots) this.#slots.shift();
		return slot;
	}

	read(): readonly MeterSlot[] {
		this.current();
		const to = this.#slots.at(-1)!.at;
		const known = new Map(this.#slots.map((slot) => [slot.at, slot]));
		const first = Math.max(this.#slots[0]!.at, to - (mostSlots - 1) * slotTime);
		return Array.from({ length: (to - first) / slotTime + 1 }, (_, index) => {
			const { at, done, retried, failed, waited, took } = known.get(first + index * slotTime) ??
				new Slot(first + index * slotTime);
			return { at, done, retried, failed, waited: waited.read(), took: took.read() };
		});
	}

	#now(): number {
		return Math.floor(this.#clock.now() / slotTime) * slotTime;
	}
}

/** Durations in ranges, each 1.5 times as long as the one before. */
class Histogram {
	/** Made when it is first needed. */
	#counts: Uint32Array | undefined;
	#total = 0;

	add(duration: number): void {
		const range = duration <= 1 ? 0 : Math.ceil(Math.log(duration) / Math.log(factor));
		this.#counts ??= new Uint32Array(mostRanges);
		this.#counts[Math.min(range, mostRanges - 1)]!++;
		this.#total++;
	}

	read(): MeterDurations {
		return this.#total === 0 ? {} : { p50: this.#quantile(0.5), p95: this.#quantile(0.95), max: this.#quantile(1) };
	}

	/** The upper end of the range in which this part of the durations ends. */
	#quantile(part: number): number {
		let left = Math.ceil(part * this.#total);
		const range = this.#counts!.findIndex((count) => (left -= count) <= 0);
		return Math.round(factor ** range);
	}
}
