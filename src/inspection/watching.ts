/**
 * Watches the sources of an inspection, once for all listeners.
 *
 * ```text
 *   stopped ──(first listener)──► reading ──(answer)──► resting ──(a change and the pace, or the pulse)──► reading
 *      ◄──────────────────(last listener leaves)────────────────┘
 * ```
 *
 * @module
 */

import type { Counts } from "../basket/store.ts";
import type { Meter } from "./meter.ts";
import type { BacklogSample, InspectionChange, InspectionSource } from "./records.ts";
import type { Source } from "./source.ts";
import type { Clock } from "../platform/clock.ts";
import { observe, type OnError } from "../platform/observe.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** The least time between two reads, in milliseconds. */
const pace = 500;
/** The longest time between two reads. */
const pulse = 5_000;
/** Reads take at most one part in so many of the time, because counts may take long where many tasks are. */
const share = 20;
/** How long samples are kept. */
const memory = 600_000;

interface Listener {
	readonly listener: (change: InspectionChange) => void;
	readonly onError: OnError | undefined;
	/** Whether it was told of what there is. */
	isTold: boolean;
}

export class Watching {
	readonly #sources: readonly Source[];
	readonly #meter: Meter | undefined;
	readonly #clock: Clock;
	readonly #onError: OnError | undefined;
	readonly #listeners = new Set<Listener>();
	readonly #samples = new Map<InspectionSource, BacklogSample[]>();
	readonly #timer = new CallbackTimer(() => void this.#read(), true);
	#unsubscribe: readonly (() => void)[] = [];
	/** Differs for each time that somebody begins to watch; `undefined` while stopped. */
	#round: object | undefined;
	#isReading = false;
	/** Whether something may have changed since the last read began. */
	#isStale = false;
	/** When the last read ended, and how long it took. */
	#readAt = -Infinity;
	#took = 0;

	constructor(sources: readonly Source[], meter: Meter | undefined, clock: Clock, onError: OnError | undefined) {
		this.#sources = sources;
		this.#meter = meter;
		this.#clock = clock;
		this.#onError = onError;
	}

	/** See `Inspection.watch`. */
	watch(listener: (change: InspectionChange) => void, onError: OnError | undefined): () => void {
		const entry = { listener, onError, isTold: false };
		this.#listeners.add(entry);
		if (this.#listeners.size === 1) this.#begin();
		else this.#look();
		return () => {
			if (this.#listeners.delete(entry) && this.#listeners.size === 0) this.#end();
		};
	}

	/** The counts of a source in the last ten minutes. */
	samples(source: InspectionSource): readonly BacklogSample[] {
		const now = this.#clock.now();
		// Those from the future are of a clock that was set back.
		return (this.#samples.get(source) ?? []).filter(({ at }) => at >= now - memory && at <= now);
	}

	#begin(): void {
		this.#round = {};
		this.#readAt = -Infinity;
		this.#unsubscribe = this.#sources.map((source) => source.subscribe(() => this.#look()));
		this.#look();
	}

	#end(): void {
		this.#round = undefined;
		// A read without an answer must not keep the next watch waiting.
		this.#isReading = false;
		this.#clock.clear(this.#timer);
		for (const unsubscribe of this.#unsubscribe) unsubscribe();
	}

	/** Something may have changed: reads as soon as the pace allows. */
	#look(): void {
		this.#isStale = true;
		if (!this.#isReading) this.#rest();
	}

	#rest(): void {
		const least = this.#isStale ? pace : pulse;
		const since = this.#clock.monotonic() - this.#readAt;
		this.#clock.set(this.#timer, Math.max(0, Math.max(least, this.#took * share) - since));
	}

	async #read(): Promise<void> {
		const round = this.#round;
		const begunAt = this.#clock.monotonic();
		const isStale = this.#isStale;
		this.#isStale = false;
		this.#isReading = true;
		let counts: readonly Counts[] | undefined;
		let failure: unknown;
		try {
			counts = await Promise.all(this.#sources.map((source) => source.counts()));
		} catch (error) {
			failure = error;
		}
		if (round !== this.#round) return;
		this.#isReading = false;
		this.#readAt = this.#clock.monotonic();
		this.#took = this.#readAt - begunAt;
		if (counts === undefined) this.#fail(failure, isStale);
		else this.#tell(counts, isStale);
		// A listener may have ended the watch.
		if (this.#round !== undefined && !this.#isReading) this.#rest();
	}

	/** What has changed is told when it can be read. */
	#fail(error: unknown, isStale: boolean): void {
		this.#isStale ||= isStale;
		this.#took = Math.max(this.#took, pulse / share);
		for (const { onError } of [...this.#listeners]) observe(this.#onError, onError, error);
	}

	#tell(counts: readonly Counts[], isStale: boolean): void {
		const at = this.#clock.now();
		const isOther = this.#sources.map(({ source }, index) => this.#sample(source, at, counts[index]!)).some((is) => is);
		// Tasks that wait or run may change without a change of the counts.
		const mayMove = counts.some(({ waiting, running }) => waiting + running > 0);
		const hasChanged = isStale || isOther || mayMove;
		const sources = this.#sources.map((source, index) => {
			return { source: source.source, counts: counts[index]!, activity: source.activity() };
		});
		const rates = this.#meter?.read();
		for (const entry of [...this.#listeners]) {
			if (!this.#listeners.has(entry)) continue;
			const change = {
				at,
				hasChanged: hasChanged || !entry.isTold,
				sources,
				...(rates === undefined ? {} : { rates }),
			};
			entry.isTold = true;
			observe(this.#onError, entry.listener, change);
		}
	}

	/** Keeps one sample for each pulse, and the last one. Returns whether the counts differ from those before. */
	#sample(source: InspectionSource, at: number, counts: Counts): boolean {
		const samples = this.samples(source).slice();
		const last = samples.at(-1);
		// The last one is replaced until it is old enough to stay.
		if (samples.length > 1 && at - samples.at(-2)!.at < pulse) samples.pop();
		samples.push({ at, counts });
		this.#samples.set(source, samples);
		return last === undefined || JSON.stringify(last.counts) !== JSON.stringify(counts);
	}
}
