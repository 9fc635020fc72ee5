/**
 * Says what a command waits for, so that it is never silent for more than two seconds.
 *
 * @module
 */

import type { Store } from "../basket/store.ts";
import { type Clock, sleep } from "../platform/clock.ts";
import type { Catalog } from "./terminal.ts";
import { duration } from "./text.ts";

/** Options for {@link Vigil}. */
export interface VigilOptions {
	/** The name of the database, in quotation marks. */
	readonly name: string;
	/** Whether pauses between calls are a part of the command, as of one that looks again and again. */
	readonly isLive: boolean;
	readonly clock: Clock;
	/** Writes a line to the error output. */
	note(text: string): void;
}

/** A call that has no answer. */
interface Call {
	readonly what: string;
	readonly since: number;
}

/** The time without any output after which the first note comes, in milliseconds. Each further one takes twice as long. */
const patience = 1_900;
/** The maximum time between two notes. */
const longest = 60_000;
/** How long the database may take to explain why it does not answer. */
const ponder = 500;

/** Watches the calls of one command. */
export class Vigil {
	readonly #options: VigilOptions;
	readonly #calls = new Set<Call>();
	readonly #ended = new AbortController();
	/** The time of the last output, or of the end of the last call of a live command. */
	#heard: number;
	/** The number of tasks that were read since the last output. */
	#read = 0;
	#gap = patience;
	/** Continues the watch, which has nothing to do while the command is not busy. */
	#onBusy = () => {};
	/** Says why an answer does not come. Absent until there is a connection. */
	explain: (() => Promise<string | undefined>) | undefined;

	constructor(options: VigilOptions) {
		this.#options = options;
		this.#heard = options.clock.monotonic();
		void this.#watch();
	}

	/** Has been told of an output. */
	heard(): void {
		this.#heard = this.#options.clock.monotonic();
		this.#read = 0;
		this.#gap = patience;
		this.#onBusy();
	}

	/** A pause that the command makes itself, such as a question. */
	async pause<T>(work: () => Promise<T>): Promise<T> {
		this.#heard = Infinity;
		try {
			return await work();
		} finally {
			this.heard();
		}
	}

	/** Makes a call. */
	async during<T>(what: string, work: () => Promise<T>): Promise<T> {
		const call = { what, since: this.#options.clock.monotonic() };
		if (this.#options.isLive && this.#calls.size === 0) this.heard();
		this.#calls.add(call);
		this.#onBusy();
		try {
			const result = await work();
			if (Array.isArray(result)) this.#read += result.length;
			return result;
		} finally {
			this.#calls.delete(call);
		}
	}

	/** The same object, whose calls are watched. */
	watched<T extends Store | Catalog>(target: T): T {
		return new Proxy(target, {
			get: (target, name: keyof T & string) => {
				const member: unknown = target[name];
				if (typeof member !== "function") return member;
				return (...args: unknown[]) => {
					const call = () => Reflect.apply(member, target, args);
					return name === "watch" ? call() : this.during(name, call);
				};
			},
		});
	}

	/** Ends the watch. */
	end(): void {
		this.#ended.abort();
		this.#onBusy();
	}

	async #watch(): Promise<void> {
		const { signal } = this.#ended;
		while (!signal.aborted) {
			if (!this.#isBusy) {
				await new Promise<void>((resolve) => this.#onBusy = resolve);
				continue;
			}
			const heard = this.#heard;
			await this.#sleepUntil(heard + this.#gap - ponder);
			if (heard !== this.#heard || !this.#isBusy) continue;
			let reason: string | undefined;
			this.explain?.().then((text) => reason = text, () => {}); // the command itself reports a lost connection
			await this.#sleepUntil(heard + this.#gap);
			if (!signal.aborted && heard === this.#heard && this.#isBusy) this.#tell(reason);
		}
	}

	async #sleepUntil(time: number): Promise<void> {
		const { clock } = this.#options;
		const { signal } = this.#ended;
		await sleep(Math.max(0, time - clock.monotonic()), { signal, clock, unref: true }).catch(() => {});
	}

	get #isBusy(): boolean {
		return this.#heard < Infinity && (!this.#options.isLive || this.#calls.size > 0);
	}

	#tell(reason: string | undefined): void {
		const { name, note, clock } = this.#options;
		const now = clock.monotonic();
		const [call] = this.#calls;
		if (call !== undefined && (this.#read === 0 || now - call.since >= patience / 2)) {
			const why = reason === undefined ? "" : `, which waits for ${reason}`;
			note(`Waiting ${duration(now - call.since)} for ${name} to answer (${call.what})${why}`);
		} else {
			note(`Reading ${name}${this.#read > 0 ? `: ${this.#read.toLocaleString("en-US")} tasks so far` : ""}`);
		}
		this.#heard = now;
		this.#gap = Math.min(2 * this.#gap, longest);
	}
}
