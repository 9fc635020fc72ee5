// The clock of a simulated process or of a part of it. It can be frozen, and it ends with its process.
import type { Clock, Timer } from "../../mod.ts";

export class ProcessClock implements Clock {
	readonly #clock: Clock;
	readonly #timers = new Set<Timer>();
	/** The timers that a freeze has removed from the clock, with their due times. */
	#frozen: Map<Timer, number> | undefined;
	#isStopped = false;

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	now(): number {
		return this.#clock.now();
	}

	monotonic(): number {
		return this.#clock.monotonic();
	}

	set(timer: Timer, delay: number): void {
		if (this.#isStopped) return;
		this.#timers.add(timer);
		if (this.#frozen === undefined) this.#clock.set(timer, delay);
		else this.#frozen.set(timer, this.monotonic() + delay);
	}

	clear(timer: Timer): void {
		this.#timers.delete(timer);
		this.#frozen?.delete(timer);
		this.#clock.clear(timer);
	}

	/** The number of set timers. */
	get pending(): number {
		let count = this.#frozen?.size ?? 0;
		for (const timer of this.#timers) {
			if (timer.position >= 0) count++;
			else if (!this.#frozen?.has(timer)) this.#timers.delete(timer);
		}
		return count;
	}

	/** Stops all timers until {@link thaw}. */
	freeze(): void {
		if (this.#isStopped) return;
		const set = [...this.#timers].filter(({ position }) => position >= 0).sort((a, b) =>
			a.at - b.at || a.order - b.order
		);
		this.#frozen = new Map(set.map((timer) => [timer, timer.at]));
		for (const timer of set) this.#clock.clear(timer);
	}

	/** Fires the timers that were due meanwhile, in order. */
	thaw(): void {
		const frozen = this.#frozen ?? new Map<Timer, number>();
		this.#frozen = undefined;
		if (this.#isStopped) return;
		const byTime = [...frozen].sort(([, a], [, b]) => a - b);
		for (const [timer, at] of byTime) this.#clock.set(timer, Math.max(0, at - this.monotonic()));
	}

	stop(): void {
		this.#isStopped = true;
		for (const timer of this.#timers) this.#clock.clear(timer);
		this.#timers.clear();
		this.#frozen?.clear();
	}
}
