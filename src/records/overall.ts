/**
 * The limit of a basket: see `BasketLimit`.
 *
 * One row among the gates, of no kind and key, has the starts. Each turn that claims under such a limit writes it, so
 * that of concurrent turns, which have counted the same running tasks, only one can commit.
 *
 * @module
 */

import type { BasketLimit } from "../basket/store.ts";
import { admitsIn, admitted, type BasketStarts, moved, noStarts, started } from "../basket/admission.ts";
import { crashed, isGate, isSound } from "./row.ts";
import type { Session } from "./session.ts";
import { giveBackBehind } from "./settling.ts";
import type { Stray, Work } from "./space.ts";
import { type GateRow, gates, tasks } from "./tables.ts";
import { ask, count, get, range } from "./work.ts";

/** The gate of a basket in a transaction. */
export interface BasketGate {
	readonly before: GateRow | Stray | undefined;
	readonly limit: BasketLimit;
	readonly starts: BasketStarts;
	/** Whether the clock was set back. */
	readonly isMoved: boolean;
	/** Whether a turn has found no place. */
	readonly isWanted: boolean;
	readonly running: number;
	/** When the first lease ends. */
	readonly leaseEnd: number;
	/** The number of tasks that may start. */
	readonly left: number;
}

/** Puts at most so many tasks back whose lease has expired. Returns how many it has found. */
export function* putBack(session: Session, { atOnce }: BasketLimit, most: number): Work<number> {
	if (atOnce === Infinity) return 0;
	const [late] = yield* ask(range(tasks, "taken", { prefix: [0], upTo: [0, session.now], limit: most }));
	for (const before of late) {
		if (!isSound(before)) session.bury(before);
		else session.put(crashed(session.take(before)), before);
	}
	yield* giveBackBehind(session, late.filter(isSound), true);
	return late.length;
}

export function* openBasket(session: Session, limit: BasketLimit): Work<BasketGate> {
	const { now } = session;
	const [[before]] = yield* ask(get(gates, [["", ""]]));
	// After the row: what others claim from now on makes this commit fail.
	const [running, first] = limit.atOnce < Infinity
		? yield* ask(count(tasks, "taken", []), range(tasks, "taken", { prefix: [0], limit: 1 }))
		: [0, []];
	const found = isGate(before) ? before : noStarts;
	const starts = moved(found, now);
	const [head] = first;
	const leaseEnd = head === undefined ? Infinity : isSound(head) ? head.dueAt! : now;
	const left = admitted(limit, starts, running, now);
	const isWanted = isGate(before) && before.by !== "";
	return { before, limit, starts, isMoved: starts !== found, isWanted, running, leaseEnd, left };
}

/**
 * Counts the starts of a transaction.
 *
 * @param dueIn the time until a task is due
 * @param lease that of the started tasks
 * @returns the time until a task may start
 */
export function closeBasket(session: Session, gate: BasketGate, count: number, dueIn: number, lease: number): number {
	const { now, tx } = session;
	const { before, limit } = gate;
	const { next, startedAt } = started(limit, gate.starts, count, now);
	const running = gate.running + count;
	const isFull = running >= limit.atOnce;
	const isWanted = isFull && (gate.isWanted || dueIn < Infinity);
	if (gate.isWanted && !isFull) tx.wake();
	if (count > 0 || isWanted !== gate.isWanted || gate.isMoved) {
		const row = { kind: "", limitKey: "", readyAt: now, turn: 0, shutUntil: 0, next, startedAt };
		tx.put(gates, { ...row, by: isWanted ? "wanted" : "" }, before);
	}
	return soonest(gate, count, dueIn, now, lease);
}

/** The time until a task may start, if others are due after this time. */
export function soonest(gate: BasketGate, count: number, dueIn: number, now: number, lease: number): number {
	const { limit } = gate;
	const leaseEnd = Math.min(gate.leaseEnd, count > 0 ? now + lease : Infinity);
	const starts = started(limit, gate.starts, count, now);
	return Math.max(dueIn, admitsIn(limit, starts, gate.running + count, leaseEnd, now));
}
