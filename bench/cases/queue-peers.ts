// Workarounds for the peers on SQLite.
import type Database from "better-sqlite3";

/** A silent logger for plainjob. */
export const silent = { error() {}, warn() {}, info() {}, debug() {} };

/**
 * Lets a transaction return a promise, and commits it before the promise settles. liteque 0.8.0 relies on this
 * behavior of better-sqlite3 before version 11.10; newer versions refuse it.
 */
export function allowPromises({ prototype }: typeof Database): void {
	const { transaction } = prototype;
	prototype.transaction = function (work: (...args: unknown[]) => unknown) {
		let result: unknown;
		const { deferred } = transaction.call(this, (...args: unknown[]) => {
			result = work(...args);
		});
		return {
			deferred: (...args: unknown[]) => {
				deferred(...args);
				return result;
			},
		};
	};
}
