/**
 * Creates complete stores over rows with transactions.
 *
 * @module
 */

export { type MapEntry, type MapRange, type MapTransaction, type OrderedMap, overMap } from "./over-map.ts";
export { PlainStore } from "./plain-store.ts";
export { recordStore } from "./record-store.ts";
export {
	type Count,
	type Entry,
	type Get,
	type Index,
	type Key,
	type Part,
	type Purpose,
	type Range,
	type Read,
	type RecordLimits,
	type RecordSpace,
	type RecordTransaction,
	Stray,
	type Table,
	type TransactOptions,
	type Work,
} from "./space.ts";
export { drive, isSame } from "./work.ts";
