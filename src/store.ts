/**
 * The interface for authors of stores.
 *
 * There are three ways to write a store. For an ordered map with transactions (LMDB, a Durable Object, FoundationDB,
 * a file), implement {@link OrderedMap} and pass it to {@link overMap}. For a database with indexes of its own,
 * implement {@link RecordSpace}. Pass either to {@link recordStore}, which makes a complete {@link Store} with lanes,
 * leases and fencing. For a database that answers queries about sets, as SQLite and Postgres do, implement
 * {@link Store} itself.
 *
 * The suites `testRecordSpace` and `testStore` of `upkeep/testing` test the result.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Basket } from "upkeep";
 * import { type MapEntry, overMap, recordStore } from "upkeep/store";
 *
 * // One transaction at a time, and never two at once: nothing has to be undone, since a work throws before it writes.
 * const entries = new Map<string, unknown>();
 * const store = recordStore(overMap({
 * 	capabilities: { durable: false, shared: false, tx: false, clock: "machine" },
 * 	async open() {},
 * 	async transaction(work) {
 * 		return await work({
 * 			get: (keys) => keys.map((key) => entries.get(key)),
 * 			list({ start, end, limit, reverse }) {
 * 				const found = [...entries].filter(([key]) => key >= start && key < end).sort(([a], [b]) => a < b ? -1 : 1);
 * 				return (reverse ? found.reverse() : found).slice(0, limit) as MapEntry[];
 * 			},
 * 			set: (key, value) => void entries.set(key, value),
 * 			delete: (key) => void entries.delete(key),
 * 		}, 0);
 * 	},
 * }));
 *
 * const sent: string[] = [];
 * const outbox = new Basket({ store, tasks: { send: { run: (to: string) => void sent.push(to) } } });
 * await outbox.add("send", "ada@example.org");
 * await outbox.drain();
 * assert.deepEqual(sent, ["ada@example.org"]);
 * ```
 *
 * @module
 */

export type {
	Added,
	BasketLimit,
	Change,
	Child,
	Claim,
	ClaimOrigin,
	ClaimRequest,
	ClonedData,
	Counts,
	Data,
	Done,
	Join,
	KindLimit,
	LaneRun,
	ListQuery,
	LogEntry,
	LogPart,
	LogRead,
	Message,
	NewTask,
	Offspring,
	Outcome,
	Pauses,
	Ref,
	Restart,
	Save,
	Settlement,
	Store,
	StoreCapabilities,
	StoredTask,
	TaskState,
	Turn,
	TurnResult,
	WakeReason,
} from "./basket/store.ts";
export { StoreError, type StoreErrorCode } from "./platform/store-error.ts";
export {
	type Count,
	drive,
	type Entry,
	type Get,
	type Index,
	type Key,
	type MapEntry,
	type MapRange,
	type MapTransaction,
	type OrderedMap,
	overMap,
	type Part,
	type Purpose,
	type Range,
	type Read,
	type RecordLimits,
	type RecordSpace,
	recordStore,
	type RecordTransaction,
	Stray,
	type Table,
	type TransactOptions,
	type Work,
} from "./records/records.ts";
