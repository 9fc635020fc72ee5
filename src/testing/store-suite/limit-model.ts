/**
 * What a store may do under limits, and what it must do. It may give back less of a released start than it could, so
 * the time of the next start is only known to be between two instants.
 *
 * @module
 */

import type { KindLimit } from "../../basket/store.ts";

/** Stored instants may be rounded a little. */
const rounding = 0.01;

/** A start that a limit has counted. */
export interface ModelStart {
	readonly at: number;
	readonly spacing: number;
}

/** The starts of one kind and key. */
export class ModelGate {
	/** The starts that were not taken back. */
	#starts: ModelStart[] = [];
	/** The latest `next` that a store may have. */
	#latest = -Infinity;
	#lastAt = -Infinity;
	/** The earliest and the latest instant until which a store may have the key shut. */
	#shutFrom = -Infinity;
	#shutUntil = -Infinity;

	start(at: number, spacing: number): ModelStart | undefined {
		if (spacing === 0) return undefined;
		const start = { at, spacing };
		this.#starts.push(start);
		this.#latest = Math.max(at, this.#latest) + spacing;
		this.#lastAt = at;
		return start;
	}

	takeBack(start: ModelStart | undefined): void {
		if (start === undefined) return;
		this.#starts = this.#starts.filter((other) => other !== start);
		if (start.at === this.#lastAt) this.#latest -= start.spacing;
	}

	shut(until: number): void {
		this.#shutFrom = Math.max(this.#shutFrom, until);
		this.#shutUntil = Math.max(this.#shutUntil, until);
	}

	/**
	 * A store may forget what does not matter now, which shows if its clock is set back later. If its clock was set back,
	 * the starts may go back with it.
	 *
	 * @returns whether it may have forgotten all starts
	 */
	forget(now: number): boolean {
		if (this.#shutFrom <= now) this.#shutFrom = -Infinity;
		const mayForget = this.#lastAt > now || (this.#earliest <= now && this.#shutFrom === -Infinity);
		if (mayForget) this.#starts = [];
		return mayForget;
	}

	/** The first instant at which a task may start, and the one from which it must. */
	opensAt({ spacing, burst }: KindLimit): readonly [number, number] {
		const rest = (burst - 1) * spacing;
		const from = spacing === 0 ? -Infinity : this.#earliest - rest - rounding;
		return [Math.max(this.#shutFrom, from), Math.max(this.#shutUntil, this.#latest - rest + rounding)];
	}

	/** The earliest `next` that a store may have. */
	get #earliest(): number {
		return this.#starts.reduce((next, start) => Math.max(start.at, next) + start.spacing, -Infinity);
	}
}
