/**
 * The error if the tables are newer than the library.
 *
 * @module
 */

import { StoreError } from "../../platform/store-error.ts";

/**
 * @param found the version of the tables
 * @param known the latest version that this library supports
 */
export function tooNew(found: number, known: number): StoreError {
	const message = `The tables have version ${found}, but this library supports versions up to ${known}: update it`;
	return new StoreError("newer-schema", message);
}
