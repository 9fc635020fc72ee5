/**
 * Pauses kinds. One row has all pauses of a basket. It looks like a task whose retention has ended, so nothing shows
 * it, and a turn finds it where it looks for these: a read of its own would make each turn a fifth slower in
 * IndexedDB.
 *
 * Turns do not guard this row: one that has begun before a pause may still claim.
 *
 * @module
 */

import { baseOf, type ClaimRequest, type Pauses } from "../basket/store.ts";
import { findPauses } from "./gates.ts";
import type { Session } from "./session.ts";
import type { Work } from "./space.ts";
import { type TaskRow, tasks } from "./tables.ts";

/** Returns what is paused. */
export function* readPauses(session: Session): Work<Pauses> {
	const paused = pausesIn((yield* findPauses(session)).row);
	return { all: paused.includes(true), kinds: paused.filter((kind) => kind !== true).sort() };
}

/** Pauses or resumes a kind, or all kinds. Returns whether this changed anything. */
export function* pause(session: Session, kind: string | undefined, isPaused: boolean): Work<boolean> {
	const { tx } = session;
	const { before, row } = yield* findPauses(session);
	const { gated = [] } = row;
	const all = pausesIn(row);
	const name = kind ?? true;
	if (all.includes(name) === isPaused) return false;
	const paused = isPaused ? [...all, name] : all.filter((one) => one !== name);
	tx.guard?.(tasks, [row.order]);
	if (before !== undefined && paused.length + gated.length === 0) tx.remove(tasks, before);
	else tx.put(tasks, { ...row, paused }, before);
	if (!isPaused) tx.wake();
	return true;
}

/** What can be read of the pauses. */
function pausesIn({ paused = [] }: TaskRow): readonly (string | true)[] {
	return paused.filter((one) => one === true || typeof one === "string");
}

/** The requests without paused kinds. */
export function withoutPaused(
	requests: readonly ClaimRequest[],
	paused: readonly unknown[],
): readonly ClaimRequest[] {
	if (paused.length === 0) return requests;
	const isOpen = (kind: string) => ![true, kind, baseOf(kind)].some((one) => paused.includes(one));
	return requests.map(({ kinds, limit }) => ({ kinds: kinds.filter(isOpen), limit })).filter(({ kinds }) =>
		kinds.length
	);
}
