/**
 * Remnants: what takes the place of a task that is gone until its log and its children are removed.
 *
 * @module
 */

import { pauseRow } from "./gates.ts";
import { remnantAt, type TaskRow } from "./tables.ts";

/**
 * What takes the place of a task that is gone until its log and its children are removed. It looks like a task whose retention has ended,
 * as the row of the pauses does: nothing shows it, and turns find it without a read of its own.
 */
export function remnantOf({ order, home, isLogged, isParent }: TaskRow): TaskRow {
	const left = { ...(isLogged && { isLogged }), ...(isParent && { isParent }) };
	return { ...pauseRow(order), dueAt: remnantAt, home, ...left };
}
