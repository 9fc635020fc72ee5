/**
 * Keeps the gates of limits up to date. Whoever changes a task with a limit key marks its gate; at the end of the
 * transaction, the marked gates become ready, so that the next turn looks at them. A turn knows the limits and decides
 * what a gate admits: see `serving.ts`.
 *
 * @module
 */

import { fresh, isGate, isSound } from "./row.ts";
import type { Orders } from "./orders.ts";
import type { RecordTransaction, Stray, Work } from "./space.ts";
import { type GateRow, gates, isBusy, isGated, type Start, type TaskRow, tasks } from "./tables.ts";
import { ask, get } from "./work.ts";

/** What a transaction has changed behind a gate. */
export interface Mark {
	readonly kind: string;
	readonly limitKey: string;
	/** The earliest instant at which a task behind it may be claimed now. */
	at: number;
	/** Whether a task is gone, or not due as early as before: the gate may admit another one, or may not be needed. */
	isFreed: boolean;
	/** The first end of a lease, before or now, of the running tasks that can be taken up at another time now. */
	endedAt: number;
	/** The starts to take back. */
	readonly starts: Start[];
	/** Nothing starts before this instant. */
	shutUntil: number;
}

/** What it needs to know of a transaction. */
export interface Marker {
	readonly tx: RecordTransaction;
	readonly settings: { readonly orders: Orders };
	readonly marks: Marks;
	/** The kinds that are known to have had gates. */
	gated: readonly unknown[];
}

/** The marked gates of one transaction. */
export class Marks {
	/** The kinds of which this transaction has made gates. */
	readonly made: Set<string> = new Set();
	readonly #all = new Map<string, Mark>();

	/** The change of a task, which may have been added or removed. */
	note(before: TaskRow | undefined, after: TaskRow | undefined, now: number): void {
		if (before?.limitKey !== undefined && isFreed(before, after)) {
			const mark = this.of(before.kind, before.limitKey);
			mark.isFreed = true;
			mark.at = now;
		} else if (before !== undefined && after !== undefined && isBusy(before) && isOtherLease(before, after)) {
			const mark = this.of(before.kind, before.limitKey!);
			mark.endedAt = Math.min(mark.endedAt, before.dueAt!, after.dueAt!);
		}
		if (after?.limitKey === undefined || !(isGated(after) || (isBusy(after) && !after.isHeld))) return;
		const mark = this.of(after.kind, after.limitKey);
		mark.at = Math.min(mark.at, after.dueAt!);
	}

	/** The mark of a gate, which is made if there is none. */
	of(kind: string, limitKey: string): Mark {
		const name = nameOf(kind, limitKey);
		let mark = this.#all.get(name);
		if (mark === undefined) {
			this.#all.set(name, mark = newMark(kind, limitKey));
		}
		return mark;
	}

	/** Nothing of the key starts before this instant. */
	shut(kind: string, limitKey: string, until: number): void {
		const mark = this.of(kind, limitKey);
		mark.shutUntil = Math.max(mark.shutUntil, until);
	}

	/** The marks of these kinds, or all of them. */
	list(kinds?: { has(kind: string): boolean }): Mark[] {
		return [...this.#all.values()].filter(({ kind }) => kinds?.has(kind) ?? true);
	}

	/** The kinds of the marked gates. */
	get kinds(): string[] {
		return this.list().map(({ kind }) => kind);
	}

	/** The gate was written. */
	delete({ kind, limitKey }: Pick<Mark, "kind" | "limitKey">): void {
		this.#all.delete(nameOf(kind, limitKey));
	}
}

function newMark(kind: string, limitKey: string): Mark {
	return { kind, limitKey, at: Infinity, isFreed: false, endedAt: Infinity, starts: [], shutUntil: 0 };
}

/** Whether a gate may admit another task, or is ready too early, because of a change. */
function isFreed(before: TaskRow, after: TaskRow | undefined): boolean {
	const isSame = after?.limitKey === before.limitKey;
	if (isSame && isBusy(after!)) return false;
	return isBusy(before) || (isGated(before) && !(isSame && isGated(after!) && after!.dueAt! <= before.dueAt!));
}

/** Whether a running task can be taken up at another time than before. */
function isOtherLease(before: TaskRow, after: TaskRow): boolean {
	return before.dueAt !== after.dueAt || !before.isHeld !== !after.isHeld;
}

/** A unique name of a gate. */
export function nameOf(kind: string, limitKey: string): string {
	return `${kind.length} ${kind}${limitKey}`;
}

/** A gate that nobody has looked at. */
export function newGate(kind: string, limitKey: string): GateRow {
	return { kind, limitKey, readyAt: Infinity, by: "", turn: 0, next: 0, startedAt: 0, shutUntil: 0, isIdle: true };
}

/** A gate that is ready from this instant on. If that is now, it takes its place behind those that are ready already. */
export function readied(row: GateRow, readyAt: number, now: number): GateRow {
	return readyAt > now ? { ...row, readyAt } : { ...row, readyAt: 0, turn: Math.max(row.turn, readyAt) };
}

/** Since when a gate is ready. */
export function readySince({ readyAt, turn }: GateRow): number {
	return readyAt === 0 ? turn : readyAt;
}

/** A gate after these starts were taken back, and after it was shut. */
export function amended(row: GateRow, { starts, shutUntil }: Mark): GateRow {
	let { next } = row;
	// If there was a later start, it was allowed in spite of this one.
	for (const { at, spacing } of starts) if (at >= row.startedAt) next -= spacing;
	return { ...row, next, shutUntil: Math.max(row.shutUntil, shutUntil) };
}

/** Writes the marked gates, at the end of the transaction. */
export function* writeMarks(session: Marker, marks: readonly Mark[]): Work<void> {
	const { made } = session.marks;
	if (marks.length > 0) yield* writeAll(session, marks);
	if (made.size > 0) yield* declareGated(session, [...made]);
}

function* writeAll(session: Marker, marks: readonly Mark[]): Work<void> {
	const { tx } = session;
	const { now } = tx;
	const [found] = yield* ask(get(gates, marks.map(({ kind, limitKey }) => [kind, limitKey])));
	for (const [index, mark] of marks.entries()) {
		const { kind, limitKey, isFreed, endedAt } = mark;
		const before = found[index];
		const row = isGate(before) ? before : newGate(kind, limitKey);
		const after = amended(row, mark);
		const isWaited = row.by !== "";
		const isExtended = endedAt <= row.readyAt && endedAt < Infinity;
		// A gate that is not there may have got lost, with others behind it.
		const at = isExtended || row !== before ? now : Math.max(mark.at, now);
		// If the limit decides, more tasks change nothing.
		const isReady = row.isIdle || isFreed || isExtended || !isWaited;
		const readyAt = !isReady ? row.readyAt : row.isIdle ? at : Math.min(row.readyAt, at);
		const isAmended = after.next !== row.next || after.shutUntil !== row.shutUntil;
		// An instant that is over, as the end of a lease, would lie in the future of a clock that is set back.
		const isSame = !row.isIdle && (!isReady || (readyAt === row.readyAt && (readyAt > now || readyAt === 0)));
		if (isSame && !isAmended) continue;
		const next = isSame ? after : { ...readied(after, readyAt, now), by: "", isIdle: undefined };
		tx.put(gates, next, before);
		if (before === undefined) session.marks.made.add(kind);
		if (isWaited && isFreed) tx.wake();
	}
}

/** Stores in the row of the pauses, which each turn reads, that these kinds have gates. */
function* declareGated(session: Marker, kinds: readonly string[]): Work<void> {
	if (kinds.every((kind) => session.gated.includes(kind))) return;
	const { before, row } = yield* findPauses(session);
	session.gated = row.gated ?? [];
	const missing = new Set(kinds.filter((kind) => !session.gated.includes(kind)));
	if (missing.size === 0) return;
	session.gated = [...session.gated, ...missing];
	session.tx.put(tasks, { ...row, gated: session.gated }, before);
}

/** Reads the row of the pauses: see `pausing.ts`. */
export function* findPauses(
	{ settings }: Pick<Marker, "settings">,
): Work<{ readonly before: TaskRow | Stray | undefined; readonly row: TaskRow }> {
	const order = settings.orders.parse("");
	const [[before]] = yield* ask(get(tasks, [[order]]));
	// A damaged one may have become a dead task.
	const { paused, gated }: Partial<TaskRow> = isSound(before) ? before : {};
	return { before, row: { ...pauseRow(order), paused, gated } };
}

/** A row that is no task. */
export function pauseRow(order: TaskRow["order"]): TaskRow {
	const none = { kind: "", priority: 0, addedAt: 0, state: "done", payload: "" } as const;
	// Before all tasks whose retention has ended.
	return { ...fresh, ...none, order, home: order, dueAt: -1 };
}
