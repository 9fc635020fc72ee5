/**
 * Numbers the tasks, where there is one transaction at a time: by a counter that is stored.
 *
 * @module
 */

import { check } from "../platform/check.ts";
import { type RecordTransaction, Stray, type Work } from "./space.ts";
import { facts, type Order } from "./tables.ts";
import { ask, get } from "./work.ts";

/** Gives one order after the other, each above all before. */
export type NextOrder = () => Order;

/** How the tasks of a store are numbered. */
export interface Orders {
	/** Begins to number at most so many: what the function gives is above all that are stored. */
	begin(tx: RecordTransaction, most: number): Work<NextOrder>;
	/** The order that a text begins with: a token, an id without its `_`. If it begins with none, an order that no task has. */
	parse(text: string): Order;
	/** The key of a listed task. */
	toKey(order: Order): string;
	/** Undoes {@link toKey}; a text that is none is a RangeError. */
	fromKey(key: string): Order;
}

const fact = "order";

/** How long the key of a listed task is, so that keys sort as texts. */
const keyLength = 16;

/** By a counter. */
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
