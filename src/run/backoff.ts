/**
 * The delays after failures. All of them are computed here: for attempts of a run, a basket and a pool, for calls of
 * a poll, and for workers of a pool that cannot be created.
 *
 * @module
 */

import type { Steering } from "./task.ts";
import { check, checkFinite, checkWord } from "../platform/check.ts";
import { observe } from "../platform/observe.ts";

/**
 * The random part of a delay. It spreads the retries of clients that failed at the same time:
 *
 * - `"none"`: the unchanged delay;
 * - `"full"`: anything between 0 and the delay;
 * - `"equal"`: anything between half of the delay and the delay;
 * - `"decorrelated"`: anything between `start` and three times the previous delay; `factor` is ignored.
 *
 * The names are those of Marc Brooker's "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
 */
export type Jitter = "none" | "full" | "equal" | "decorrelated";

/** Options for the delays after failures. */
export interface BackoffOptions {
	/** The first delay, in milliseconds. */
	start: number;
	/** The longest delay, in milliseconds. @default Infinity */
	max?: number | undefined;
	/** Each delay is the previous delay times this factor, which is 1 or more. @default 1.5 */
	factor?: number | undefined;
	/** The random part. @default "none" */
	jitter?: Jitter | undefined;
	/** The random source. It returns numbers from 0 to 1; any other value counts as 1. @default Math.random */
	random?: (() => number) | undefined;
}

/** Checked backoff options. */
export type BackoffSettings = { readonly [K in keyof BackoffOptions]-?: NonNullable<BackoffOptions[K]> };

/** Checks a `backoff` option. A number is a fixed delay. */
export function checkBackoff(backoff: number | BackoffOptions): BackoffSettings {
	const options = typeof backoff === "number" ? { start: backoff, factor: 1 } : check("backoff", backoff, "object");
	const { start, max = Infinity, factor = 1.5, jitter = "none", random = Math.random } = options;
	checkFinite("backoff.start", start);
	check("backoff.max", max, "number", typeof max === "number" && max >= start, `${start} or more`);
	checkFinite("backoff.factor", factor, 1);
	check("backoff.random", random, "function");
	checkWord("backoff.jitter", jitter, ["none", "full", "equal", "decorrelated"]);
	return { start, max: Math.min(max, Number.MAX_VALUE), factor, jitter, random };
}

/** An object that waits after failures. */
export interface Delayed {
	/** The last delay of the backoff, before its jitter; `undefined` at the beginning and after a reset. */
	lastDelay: number | undefined;
}

/**
 * The next delay, in milliseconds.
 *
 * @param backoff if absent, there is no delay
 * @param delayed stores the last delay
 * @param hint what the failed task asked for; a delay in it replaces that of the backoff, whose growth it does not
 * change
 */
export function nextDelay(backoff: BackoffSettings | undefined, delayed: Delayed, hint: Steering = {}): number {
	if (hint.reset) delayed.lastDelay = undefined;
	if (hint.delay !== undefined || backoff === undefined) return hint.delay ?? 0;
	const { start, max, factor, jitter } = backoff;
	const last = delayed.lastDelay;
	const delay = delayed.lastDelay = Math.min(
		max,
		// Decorrelated jitter is part of the growth.
		jitter === "decorrelated"
			? between(backoff, start, 3 * (last ?? start))
			: last === undefined
			? start
			: last * factor,
	);
	if (jitter === "full") return between(backoff, 0, delay);
	return jitter === "equal" ? between(backoff, delay / 2, delay) : delay;
}

function between({ random }: BackoffSettings, least: number, most: number): number {
	const part = observe(undefined, random) as number;
	// A delay of Infinity would become NaN.
	return part >= 0 && part <= 1 ? least + part * (Math.min(most, Number.MAX_VALUE) - least) : most;
}
