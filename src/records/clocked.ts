/**
 * Numbers tasks by the clock, for spaces with concurrent transactions: so concurrent adds do not conflict in one row.
 *
 * @module
 */

import { check } from "../platform/check.ts";
import type { Orders } from "./orders.ts";
import { Stray } from "./space.ts";
import { tasks } from "./tables.ts";
import { ask, range } from "./work.ts";

/** The number of base-36 digits of an instant, and of the mark after it that identifies the store. */
const digits = 11;
const markLength = 12;

/** Orders by the clock: microseconds, but always increasing, and a mark that is unique to this store. */
export function clocked(): Orders {
	const mark = crypto.randomUUID().replaceAll("-", "").slice(0, markLength);
	let last = 0;
	const isOrder = (text: string) => /^[0-9a-z]{11}[0-9a-f]{12}$/.test(text);

	return {
		*begin(tx) {
			// After all existing orders, whatever clock their stores used.
			const newest = range(tasks, undefined, { prefix: [], limit: 1, reverse: true });
			const [[found] = []] = tx.isBlind ? [] : yield* ask(newest);
			const highest = found instanceof Stray ? found.key[0] : found?.order;
			const floor = Number.parseInt(String(highest ?? "").slice(0, digits), 36) || 0;
			return () => {
				// The clock may be wrong: only numbers up to 2 ** 53 can be incremented.
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
