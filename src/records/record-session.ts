/**
 * A transaction in spaces with concurrent transactions, with index keys that may not match their rows, or with
 * limits.
 *
 * @module
 */

import type { Added, Data, Outcome } from "../basket/store.ts";
import { StoreError } from "../platform/store-error.ts";
import { writeMarks } from "./gates.ts";
import { problemOf, sizeOf } from "./limits.ts";
import { sweep } from "./logs.ts";
import { isNote, isSound, toTask } from "./row.ts";
import { type Ending, type LaneKeeper, mostHastened, Session, type Settings } from "./session.ts";
import { type Key, type RecordLimits, type RecordSpace, type RecordTransaction, Stray, type Work } from "./space.ts";
import { type LaneRow, lanes, type NoteRow, notes, type Order, type TaskRow, tasks } from "./tables.ts";
import { ask, get, isSame, range } from "./work.ts";

/** The weight of a task in a lane within a commit: it changes the next task, too. */
export const laneWeight = 3;

/** The number of notes about gates that are read together. */
const mostNotes = 100;

/** The number of entries of logs that are removed instead of one other change. Each is one key. */
const entriesPerChange = 4;

/** The number of keys per read. */
const page = 1000;

export class RecordSession extends Session {
	declare readonly lanes?: LaneRows;
	override readonly room: number;
	override readonly isSparse: boolean;
	override readonly most: number;
	readonly #limits: RecordLimits;

	constructor(
		tx: RecordTransaction,
		settings: Settings,
		space: Pick<RecordSpace, "isOptimistic" | "isSparse" | "perCommit" | "limits">,
	) {
		super(tx, settings);
		const { isOptimistic, isSparse = false, perCommit = mostHastened, limits = {} } = space;
		if (isOptimistic) this.lanes = new LaneRows(tx);
		this.isSparse = isSparse;
		this.most = Math.ceil(Math.min(perCommit, mostHastened) / 2 ** tx.attempt);
		this.#limits = limits;
		this.room = (space.perCommit ?? Infinity) / 2 ** tx.attempt;
	}

	override *whole<R>(work: (session: this) => Work<R>): Work<R> {
		const result = yield* super.whole(work);
		const logged = this.remnants.filter(({ isParent }) => !isParent);
		if (logged.length === 0) return result;
		const left = yield* sweep(this, logged, this.most * entriesPerChange);
		this.remnants = [...this.remnants.filter(({ isParent }) => isParent), ...left];
		return result;
	}

	/** It may not fit into this commit, and needs reads. */
	override clearLog(row: TaskRow): boolean {
		return this.tx.clear !== undefined && super.clearLog(row);
	}

	/** In an optimistic space, it appends a note for each gate, unless a start is taken back or the key is shut. */
	override writeMarks(): Work<void> {
		const all = this.marks.list();
		if (this.lanes === undefined || all.length === 0) return super.writeMarks();
		const mark = crypto.randomUUID();
		const direct = all.filter(({ kind, limitKey, isFreed, starts, shutUntil }) => {
			if (starts.length > 0 || shutUntil > 0) return true;
			this.tx.put(notes, { kind, limitKey, at: this.now, mark });
			if (isFreed) this.tx.wake();
			this.marks.made.add(kind);
			return false;
		});
		return writeMarks(this, direct);
	}

	override *findNotes(kinds: readonly string[]): Work<readonly NoteRow[]> {
		if (this.lanes === undefined) return [];
		const limit = Math.ceil(mostNotes / kinds.length);
		const found = yield* ask(...kinds.map((kind) => range(notes, undefined, { prefix: [kind], limit })));
		return found.flat().filter((one): one is NoteRow => isNote(one) || (this.tx.remove(notes, one), false));
	}

	/** If the transaction is only a list of changes, an id in use cannot be reported: the commit must fail. */
	override refuse(id: string, row: TaskRow): Added {
		if (!this.tx.isBlind || this.tx.hasPut!(tasks, row)) return super.refuse(id, row);
		this.tx.fail!();
		return { id, added: true };
	}

	/**
	 * Makes a task dead whose payload, result, entries or limit key cannot be stored, so that it does not block other
	 * settlements. Errors are shortened.
	 */
	override fit(row: TaskRow, { outcome, log, ...offspring }: Ending): Ending {
		const error = log && problemOf(log, this.#limits);
		if (error === undefined) return { outcome: this.#fit(row, outcome), log, ...offspring };
		return { outcome: { type: "dead", attempts: row.attempts, error } };
	}

	#fit({ attempts, kind }: TaskRow, outcome: Outcome): Outcome {
		const { payload: largest = Infinity, sizeOf: measure = sizeOf, error: longest = Infinity } = this.#limits;
		const { payload, result }: { readonly payload?: Data | undefined; readonly result?: Data | undefined } = outcome;
		for (const [name, data] of largest === Infinity ? [] : Object.entries({ payload, result })) {
			const size = data === undefined ? 0 : measure(data);
			const error = `A ${name} of ${size} bytes cannot be stored: ${largest} is the most`;
			if (size > largest) return { type: "dead", attempts, error };
		}
		if (outcome.type === "release" && outcome.limitKey !== undefined) {
			try {
				this.#limits.checkLimitKey?.(kind, outcome.limitKey);
			} catch (error) {
				return { type: "dead", attempts, error: (error as Error).message };
			}
		}
		if (!("error" in outcome) || outcome.error.length <= longest) return outcome;
		return { ...outcome, error: outcome.error.slice(0, longest) + "…" };
	}

	/** After a conflict with other claims, a claim takes fewer tasks and begins at a random place after the first one. */
	override reach(limit: number): number {
		return this.tx.attempt === 0 ? super.reach(limit) : this.#fewer(limit) * 4;
	}

	override choose(due: readonly TaskRow[], limit: number, room: number): readonly TaskRow[] {
		if (this.tx.attempt === 0) return this.#fitting(super.choose(due, limit, room), room);
		const wanted = this.#fewer(limit);
		const start = Math.floor(this.settings.random() * (Math.max(due.length - wanted, 0) + 1));
		return this.#fitting(due.slice(start, start + wanted), room);
	}

	/** A task with a log counts twice, because its log is checked, too. */
	#fitting(rows: readonly TaskRow[], room: number): readonly TaskRow[] {
		let weight = 0;
		const end = rows.findIndex(({ isLogged }) => (weight += isLogged ? 2 : 1) > room);
		return end < 0 ? rows : rows.slice(0, Math.max(end, 1));
	}

	#fewer(limit: number): number {
		return Math.ceil(limit / 2 ** this.tx.attempt);
	}

	override checkInbox(id: string, { posted, seen }: Pick<TaskRow, "posted" | "seen">): void {
		const { messages: most = Infinity } = this.#limits;
		if (posted - seen >= most) throw new StoreError("full", `Task "${id}" has ${most} messages that it has not seen`);
	}

	override isElsewhere(found: TaskRow | Stray): boolean {
		return found instanceof Stray && !found.isDamaged && isSound(found.value) &&
			isSame(tasks.keyOf(found.value), found.key);
	}

	/** An index key without a task still contains its lane. */
	override bury(before: TaskRow | Stray, lane?: string): void {
		if (!(before instanceof Stray)) return super.bury(before, lane);
		const hint = before.entry?.hint;
		const where = lane ?? (typeof hint === "string" ? hint : undefined);
		if (before.value !== undefined && !this.isElsewhere(before)) return super.bury(before, where);
		this.lose(toTask(before).lane ?? where);
		this.tx.drop?.(tasks, before);
	}

	/** Looks at all rows of an index. */
	*#walk(index: string, look: (found: TaskRow | Stray) => void): Work<void> {
		for (let above: Key | undefined, count = page; count === page;) {
			const [found]: readonly (readonly (TaskRow | Stray)[])[] = yield* ask(
				range(tasks, index, { prefix: [], above, limit: page }),
			);
			found!.forEach(look);
			const last = found!.at(-1);
			above = last instanceof Stray ? last.entry!.key : last && tasks.indexes[index]!.keyOf(last);
			count = found!.length;
		}
	}

	/** Also removes index keys without rows. */
	override *mend(): Work<void> {
		for (const [index, { isOptional }] of Object.entries(tasks.indexes)) {
			if (isOptional && this.isSparse) continue;
			yield* this.#walk(index, (one) => {
				if (one instanceof Stray && (one.value === undefined || this.isElsewhere(one))) this.tx.drop?.(tasks, one);
				if (index === "lane" && isSound(one)) this.free(one.lane);
			});
		}
		yield* this.lanes?.walk((lane) => this.free(lane)) ?? [];
	}
}

/** A transaction that joins a lane or empties it writes the row of the lane. */
class LaneRows implements LaneKeeper {
	readonly #tx: RecordTransaction;
	readonly #stored = new Map<string, LaneRow | Stray | undefined>();

	constructor(tx: RecordTransaction) {
		this.#tx = tx;
	}

	*watch(names: readonly string[]): Work<void> {
		const [rows] = yield* ask(get(lanes, names.map((lane) => [lane])));
		names.forEach((lane, index) => this.#stored.set(lane, rows[index]));
	}

	join(lane: string, order: Order): void {
		const row = { lane, last: order };
		this.#tx.put(lanes, row, this.#stored.get(lane));
		this.#stored.set(lane, row);
	}

	leave(lane: string): void {
		this.#tx.remove(lanes, { lane, last: 0 });
	}

	/** Visits all lanes that have a row. */
	*walk(look: (lane: string) => void): Work<void> {
		for (let above: Key | undefined, count = page; count === page;) {
			const [found]: readonly (readonly (LaneRow | Stray)[])[] = yield* ask(
				range(lanes, undefined, { prefix: [], above, limit: page }),
			);
			for (const one of found!) if (!(one instanceof Stray)) look(one.lane);
			const last = found!.at(-1);
			above = last instanceof Stray ? last.key : last && lanes.keyOf(last);
			count = found!.length;
		}
	}
}
