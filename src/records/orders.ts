/**
 * Numbers the tasks: where there is one transaction at a time, by a counter that is stored; elsewhere by the clock, so that two who add
 * at the same time do not meet in one row.
 *
 * @module
 */

import { check } from "../platform/check.ts";
import { type RecordTransaction, Stray, type Work } from "./space.ts";
import { facts, type Order, tasks } from "./tables.ts";
import { ask, get, range } from "./work.ts";

/** Gives one order after the other, each above all before. */
export type NextOrder = () => Order;

/** How the tasks of a store are numbered. */
export interface Orders {
	/** Begins to number: what the first function gives is above all that are stored. The second one is called once it is not used any more. */
	begin(tx: RecordTransaction): Work<readonly [NextOrder, () => void]>;
	/** The order that a text begins with: a token, an id without its `_`, the key of a listed task. */
	parse(text: string): Order | undefined;
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
	*begin(tx) {
		const [[found]] = yield* ask(get(facts, [[fact]]));
		const first = found === undefined || found instanceof Stray || !Number.isSafeInteger(found.value) ? 0 : found.value;
		let last = first;
		const end = () => {
			if (last > first) tx.put(facts, { name: fact, value: last }, found);
		};
		return [() => ++last, end];
	},
	parse(text) {
		const [, digits] = /^(\d{1,16})(?:\.|$)/.exec(text) ?? [];
		return digits === undefined ? undefined : Number(digits);
	},
	toKey: (order) => String(order).padStart(keyLength, "0"),
	fromKey(key) {
		check("after", key, "string", /^\d{16}$/.test(key), "the key of a task in this store");
		return Number(key);
	},
};

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
			const next = () => {
				// A clock may say anything: numbers up to 2 ** 53 can be counted up.
				last = Math.max(last + 1, floor + 1, Math.min(Math.floor(tx.now * 1000), 2 ** 52));
				return last.toString(36).padStart(digits, "0") + mark;
			};
			return [next, () => {}];
		},
		parse(text) {
			const order = text.slice(0, digits + markLength);
			return isOrder(order) ? order : undefined;
		},
		toKey: String,
		fromKey(key) {
			check("after", key, "string", isOrder(key), "the key of a task in this store");
			return key;
		},
	};
}
