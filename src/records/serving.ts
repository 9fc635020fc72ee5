/**
 * Serves the gates of limits in a turn: finds those that may be open, each in its turn, and what they admit, and
 * computes when they may open next.
 *
 * @module
 */

import { opensAt } from "../basket/admission.ts";
import { readied } from "./gates.ts";
import { GateQueue, type Limits, type Queued, textOf } from "./gate-queue.ts";
import { isGate, isSound } from "./row.ts";
import type { Session } from "./session.ts";
import { fill, isBefore, longestRead, type Shelf, toShelf } from "./shelf.ts";
import type { Work } from "./space.ts";
import { type GateRow, gates, notes, type Start, type TaskRow, tasks } from "./tables.ts";
import { ask, count, range } from "./work.ts";

/** The maximum number of gates that are looked at together, and in one turn. */
const [page, mostGates] = [20, 200];

/** If no gate of a long turn has admitted a task, the next turn comes after this time, in milliseconds. */
const breath = 50;

/** A gate that a turn looks at. */
interface Gate extends Queued {
	/** The instant of GCRA, with the starts of this turn. */
	next: number;
	/** The number of running tasks, with those of this turn. */
	running: number;
	readonly waiting: Shelf;
	/** The tasks whose lease has expired. */
	readonly crashed: TaskRow[];
	/** When the first of the other leases ends. */
	readonly leaseEnd: number;
	readonly taken: TaskRow[];
}

/** What gates admit in a turn. */
export interface Gated {
	/** The tasks that can be claimed, in the order of their gates. */
	readonly due: readonly TaskRow[];
	/** The number of rows that will be written besides those of tasks. */
	readonly weight: number;
	/** The time until one of the gates may open. */
	nextIn: number;
	/** Whether other gates may be open that were not looked at. */
	readonly isCut: boolean;
	readonly gates: readonly Gate[];
	readonly turn: number;
	/** What the claim of a task uses up. */
	startOf?(row: TaskRow): Start | undefined;
}

/**
 * Finds at most so many tasks behind open gates.
 *
 * @param room the number of rows that may be written
 * @param isDry whether nothing will be claimed or changed
 */
export function* findGated(
	session: Session,
	kinds: readonly string[],
	limits: Limits,
	most: number,
	room: number,
	isDry: boolean = false,
): Work<Gated> {
	const wanted = [...new Set(kinds)].flatMap((kind) => limits.get(kind) ?? []);
	if (wanted.length === 0) return { due: [], weight: 0, nextIn: Infinity, isCut: false, gates: [], turn: 0 };
	const queue = new GateQueue(session, wanted, isDry);
	const removed = yield* queue.open(Math.ceil(Math.min(room, 100) / 10));
	const budget = Math.min(mostGates, Math.ceil(room / 4));
	const found: Gate[] = [];
	const due: TaskRow[] = [];
	const gateOf = new Map<TaskRow, Gate>();
	let isCut = false;
	while (due.length < most) {
		const some = yield* queue.next(Math.min(page, most - due.length, budget - found.length));
		if (some.length === 0) break;
		for (const gate of yield* look(session, some, most - due.length)) {
			found.push(gate);
			const first = due.length;
			yield* take(session, gate, due, most);
			for (const row of due.slice(first)) gateOf.set(row, gate);
		}
		isCut = found.length >= budget && (yield* queue.hasMore());
		if (found.length >= budget) break;
	}
	const startOf = (row: TaskRow) => {
		const { spacing } = gateOf.get(row)?.limit ?? { spacing: 0 };
		return spacing > 0 ? { at: session.now, spacing } : undefined;
	};
	const { nextIn, turn } = queue;
	return { due, weight: found.length + removed, nextIn, isCut, gates: found, turn, startOf };
}

/** Reads what is behind gates. */
function* look(session: Session, some: readonly Queued[], most: number): Work<Gate[]> {
	const limit = Math.min(most + 1, longestRead);
	const keyOf = ({ row: { kind, limitKey } }: Queued) => [kind, limitKey];
	const prefixOf = (one: Queued) => [...keyOf(one), 0];
	const busy = yield* ask(...some.map((one) => range(tasks, "busy", { prefix: prefixOf(one), limit })));
	// If all of them have crashed, others may come before them, because they have a higher priority.
	const crowded = some.filter((_, index) => {
		const last = busy[index]!.at(-1);
		return busy[index]!.length === limit && isSound(last) && last.dueAt! <= session.now;
	});
	const others = yield* ask(...crowded.map((one) => {
		const prefix = prefixOf(one);
		return range(tasks, "busy", { prefix, upTo: [...prefix, session.now], limit: longestRead });
	}));
	const limited = some.filter(({ limit: { atOnce } }) => atOnce < Infinity);
	const counts = new Map<Queued, number>();
	const counted = yield* ask(...limited.map((one) => count(tasks, "busy", keyOf(one))));
	limited.forEach((one, index) => counts.set(one, counted[index]!));
	const found = some.map((one, index): Gate => {
		const isCrowded = crowded.includes(one);
		const rows = (isCrowded ? others[crowded.indexOf(one)]! : busy[index]!).filter((row): row is TaskRow =>
			isSound(row) || (session.bury(row), false)
		);
		const crashed = rows.filter(({ dueAt }) => dueAt! <= session.now);
		const leaseEnd = isCrowded ? session.now : rows[crashed.length]?.dueAt ?? Infinity;
		crashed.sort((a, b) => isBefore(a, b) ? -1 : 1);
		const waiting = toShelf("gated", keyOf(one));
		return { ...one, next: one.row.next, running: counts.get(one) ?? 0, waiting, crashed, leaseEnd, taken: [] };
	});
	yield* fill(session, found.map(({ waiting }) => waiting), limit);
	return found;
}

/** Takes what a gate admits, in the order of claims. */
function* take(session: Session, gate: Gate, due: TaskRow[], most: number): Work<void> {
	const { limit, waiting, crashed, taken } = gate;
	while (due.length < most && startsAt(gate, gate.next) <= session.now) {
		const hasPlace = gate.running < limit.atOnce;
		if (hasPlace) yield* fill(session, [waiting], Math.min(most - due.length + 1, longestRead));
		const first = hasPlace ? waiting.rows[0] : undefined;
		const [late] = crashed;
		const isLate = late !== undefined && (first === undefined || isBefore(late, first));
		const row = isLate ? crashed.shift() : first && waiting.rows.shift();
		if (row === undefined) return;
		if (!isLate) gate.running++;
		gate.next = nextAfter(gate, gate.next, session.now);
		taken.push(row);
		due.push(row);
	}
}

/** The instant from which a gate admits starts, whatever waits. */
function startsAt({ row: { shutUntil }, limit }: Queued, next: number): number {
	if (textOf(limit) === "") return 0;
	return Math.max(shutUntil, opensAt(limit, next));
}

function nextAfter({ limit: { spacing } }: Queued, next: number, now: number): number {
	return spacing > 0 ? Math.max(now, next) + spacing : next;
}

/** What became of the tasks that gates admit. */
export interface Served {
	/** The tasks whose gates have had their turn, even if other tasks came first. */
	readonly offered: ReadonlySet<TaskRow>;
	/** The tasks that were claimed. */
	readonly begun: ReadonlySet<TaskRow>;
	readonly lease: number;
}

/** Writes the gates of a turn. */
export function closeGates(session: Session, gated: Gated, served: Served): void {
	const { begun } = served;
	const { now, tx } = session;
	for (const gate of gated.gates) {
		const { before, row, notes: found } = gate;
		const after = closed(gate, served, gated.turn, now);
		for (const note of found) tx.remove(notes, note);
		if (after === undefined) {
			if (before !== undefined) tx.remove(gates, before);
			continue;
		}
		if (!after.isIdle) gated.nextIn = Math.min(gated.nextIn, Math.max(0, after.readyAt - now));
		// A note is forgotten only with a write, so that a concurrent turn that did not see it conflicts.
		const isSame = found.length === 0 && gate.taken.every((one) => !begun.has(one)) && isEqual(before, after);
		if (!isSame) tx.put(gates, after, before);
		if (before === undefined) session.marks.made.add(row.kind);
		if (row.by !== "" && after.readyAt <= now) tx.wake();
	}
	if (gated.isCut) gated.nextIn = Math.min(gated.nextIn, begun.size > 0 ? 0 : breath);
}

/** The row of a gate after a turn; `undefined` if it is no longer needed. */
function closed(gate: Gate, { offered, begun, lease }: Served, turn: number, now: number): GateRow | undefined {
	const { row, limit, waiting, taken } = gate;
	const { kind, limitKey, shutUntil } = row;
	const started = taken.filter((one) => begun.has(one));
	const left = [...gate.crashed, ...waiting.rows, ...taken.filter((one) => !begun.has(one))];
	const isLeft = (state: TaskRow["state"]) => left.some((one) => one.state === state);
	const next = started.reduce((next) => nextAfter(gate, next, now), row.next);
	const running = gate.running - taken.filter((one) => one.state === "waiting" && !begun.has(one)).length;
	const leaseEnd = started.length > 0 ? Math.min(gate.leaseEnd, now + lease) : gate.leaseEnd;
	const waitingAt = isLeft("waiting") || !waiting.isAtEnd ? now : waiting.nextAt;
	const crashedAt = isLeft("running") ? now : leaseEnd;
	const freeAt = Math.min(waitingAt, crashedAt);
	const startedAt = started.length > 0 && limit.spacing > 0 ? now : row.startedAt;
	const isServed = taken.some((one) => offered.has(one));
	const rest = { kind, limitKey, turn: isServed ? turn : row.turn, next, startedAt, shutUntil };
	if (freeAt === Infinity) {
		const until = Math.max(next, shutUntil);
		return until > now ? { ...rest, readyAt: until, by: "", isIdle: true } : undefined;
	}
	const readyAt = Math.max(running < limit.atOnce ? freeAt : crashedAt, startsAt(gate, next));
	if (readyAt > freeAt) return { ...rest, readyAt, by: textOf(limit) };
	const isStill = !isServed && row.by === "" && !row.isIdle && row.readyAt <= now && readyAt <= now;
	return isStill ? { ...rest, readyAt: row.readyAt, by: "" } : readied({ ...rest, readyAt, by: "" }, readyAt, now);
}

function isEqual(before: Queued["before"], after: GateRow): boolean {
	return isGate(before) && !before.isIdle === !after.isIdle &&
		(["readyAt", "by", "turn", "next", "startedAt", "shutUntil"] as const).every((name) =>
			before[name] === after[name]
		);
}

/** The time until a gate of these kinds admits a task. Changes nothing. */
export function* findNextGate(session: Session, kinds: readonly string[], limits: Limits): Work<number> {
	const gated = yield* findGated(session, kinds, limits, 1, Infinity, true);
	const { due, gates, turn, isCut, nextIn } = gated;
	if (due.length > 0) return 0;
	const none = { offered: new Set<TaskRow>(), begun: new Set<TaskRow>(), lease: 0 };
	let next = isCut ? Math.min(nextIn, breath) : nextIn;
	for (const gate of gates) {
		const row = closed(gate, none, turn, session.now);
		if (row !== undefined && !row.isIdle) next = Math.min(next, row.readyAt - session.now);
	}
	return Math.max(0, next);
}
