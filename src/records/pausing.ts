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
import { pauseRow } from "./gates.ts";
import { isSound } from "./row.ts";
import type { Session } from "./session.ts";
import type { Stray, Work } from "./space.ts";
import { type Order, type TaskRow, tasks } from "./tables.ts";
import { ask, get } from "./work.ts";

/** Returns what is paused. */
export function* readPauses(session: Session): Work<Pauses> {
	const { paused } = yield* find(session);
	return { all: paused.includes(true), kinds: paused.filter((kind) => kind !== true).sort() };
}

/** Pauses or resumes a kind, or all kinds. Returns whether this changed anything. */
export function* pause(session: Session, kind: string | undefined, isPaused: boolean): Work<boolean> {
	const { tx } = session;
	const { order, before, paused: all, gated } = yield* find(session);
	const name = kind ?? true;
	if (all.includes(name) === isPaused) return false;
	const paused = isPaused ? [...all, name] : all.filter((one) => one !== name);
	tx.guard?.(tasks, [order]);
	if (before !== undefined && paused.length + gated.length === 0) tx.remove(tasks, before);
	else tx.put(tasks, { ...pauseRow(order), paused, gated }, before);
	if (!isPaused) tx.wake();
	return true;
}

/** The row of the pauses, and what can be read of it. */
interface Found {
	readonly order: Order;
	readonly before: TaskRow | Stray | undefined;
	readonly paused: readonly (string | true)[];
	readonly gated: readonly unknown[];
}

function* find({ settings }: Session): Work<Found> {
	const order = settings.orders.parse("");
	const [[before]] = yield* ask(get(tasks, [[order]]));
	const { paused = [], gated = [] } = isSound(before) ? before : {};
	return { order, before, gated, paused: paused.filter((one) => one === true || typeof one === "string") };
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
