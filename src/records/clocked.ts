/**
 * Numbers the tasks, where several transactions go on at a time: by the clock, so that two who add at the same time do not meet in one row.
 *
 * @module
 */

import { check } from "../platform/check.ts";
import type { Orders } from "./orders.ts";
import { Stray } from "./space.ts";
import { tasks } from "./tables.ts";
import { ask, range } from "./work.ts";

/** How many digits an instant has, to the base 36, and what comes behind it to tell stores apart. */
const digits = 11;
const markLength = 12;

/** By the clock: microseconds, but always above the last, and a mark that is only this store's. */
export function clocked(): Orders {
	const mark = crypto.randomUUID().replaceAll("-", "").slice(0, markLength);
	let last = 0;
	const isOrder = (text: string) => /^[0-9a-z]{11}[0-9a-f]{12}$/.test(text);

	return {
		*begin(tx) {
			// Behind all that are there, whatever the clock of those who added them.
			const newest = range(tasks, undefined, { prefix: [], limit: 1, reverse: true });
			const [[found] = []] = tx.isBlind ? [] : yield* ask(newest);
			const highest = found instanceof Stray ? found.key[0] : found?.order;
			const floor = Number.parseInt(String(highest ?? "").slice(0, digits), 36) || 0;
			return () => {
				// A clock may say anything: numbers up to 2 ** 53 can be counted up.
				last = Math.max(last + 1, floor + 1, Math.min(Math.floor(tx.now * 1000), 2 ** 52));
				return last.toString(36).padStart(digits, "0") + mark;
			};
		},
		parse(text) {
			const order = text.slice(0, digits + markLength);
			return isOrder(order) ? order : "";
		},
		toKey: String,
		fromKey(key) {
			check("after", key, "string", isOrder(key), "the key of a task in this store");
			return key;
		},
	};
}
