// Virtual time for a store whose answers take real time.
import { soon } from "../../src/platform/soon.ts";
import { type Timer, TimerQueue } from "../../src/platform/timer-queue.ts";
import { VirtualClock } from "../../src/testing/testing.ts";

/** A clock that stands still during real asynchronous calls, also between two timers of the same time. */
export class PatientClock extends VirtualClock {
	/** The number of pending calls. */
	calls = 0;
	readonly #timers = new TimerQueue();
	#elapsed = 0;

	/** Performs a call that takes real time. */
	async during<T>(work: () => Promise<T>): Promise<T> {
		this.calls++;
		try {
			return await work();
		} finally {
			this.calls--;
		}
	}

	override get pending(): number {
		return this.#timers.size;
	}

	override now(): number {
		return super.now() + this.#elapsed;
	}

	override setNow(now: number): void {
		super.setNow(now - this.#elapsed);
	}

	override monotonic(): number {
		return this.#elapsed;
	}

	override set(timer: Timer, delay: number): void {
		this.#timers.set(timer, this.#elapsed + delay);
	}

	override clear(timer: Timer): void {
		this.#timers.clear(timer);
	}

	override async advance(duration: number): Promise<void> {
		const end = this.#elapsed + duration;
		await this.#untilIdle();
		while (this.#timers.head !== undefined && this.#timers.head.at <= end) {
			const timer = this.#timers.take(Infinity, Infinity)!;
			this.#elapsed = timer.at;
			timer.fire();
			await this.#untilIdle();
		}
		this.#elapsed = end;
	}

	/** Waits until no call is pending. The consequences of an answer may include the next call. */
	async #untilIdle(): Promise<void> {
		do await macrotask(); while (this.calls > 0);
	}
}

function macrotask(): Promise<void> {
	return new Promise(soon);
}
