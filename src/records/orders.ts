/**
 * Numbers tasks by a stored counter, for spaces with one transaction at a time.
 *
 * @module
 */

import { check } from "../platform/check.ts";
import { type RecordTransaction, Stray, type Work } from "./space.ts";
import { facts, type Order } from "./tables.ts";
import { ask, get } from "./work.ts";

/** Returns increasing orders. */
export type NextOrder = () => Order;

/** The numbering of the tasks of a store. */
export interface Orders {
	/** Begins to number at most this many tasks. The returned function returns orders above all stored ones. */
	begin(tx: RecordTransaction, most: number): Work<NextOrder>;
	/**
	 * The order at the beginning of a text: of a token, or of an id without its `_`. If there is none, an order that
	 * no task has.
	 */
	parse(text: string): Order;
	/** The key of a listed task. */
	toKey(order: Order): string;
	/** Undoes {@link toKey}. An invalid key causes a RangeError. */
	fromKey(key: string): Order;
}

const fact = "order";

/** The length of the keys of listed tasks; it is fixed, so that keys sort as strings. */
const keyLength = 16;

/** Orders by a counter. */
export const counted: Orders = {
	*begin(tx, most) {
		const [[found]] = yield* ask(get(facts, [[fact]]));
		const first = found === undefined || found instanceof Stray || !Number.isSafeInteger(found.value) ? 0 : found.value;
		let last = first;
		return () => {
			// Once for all, and only if there is one: numbers may be left out, but a write costs something.
			if (last === first) tx.put(facts, { name: fact, value: first + most }, found);
			return ++last;
		};
	},
	parse: (text) => Number(/^\d{1,16}(?=\.|$)/.exec(text)),
	toKey: (order) => String(order).padStart(keyLength, "0"),
	fromKey(key) {
		check("after", key, "string", /^\d{16}$/.test(key), "the key of a task in this store");
		return Number(key);
	},
};
