// What the peers on SQLite need to be run quietly, and at all.
import type Database from "better-sqlite3";

/** A logger for plainjob. */
export const silent = { error() {}, warn() {}, info() {}, debug() {} };

/**
 * liteque 0.8.0 relies on what better-sqlite3 did before 11.10, and refuses since then: a transaction may return a promise,
 * and is committed before that has settled.
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
