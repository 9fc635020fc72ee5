/**
 * The common work of the members of a store within one transaction: finding and changing tasks, and promoting lanes.
 *
 * @module
 */

import type { Added, Data, LogPart, Ref, Settlement } from "../basket/store.ts";
import { Marks, writeMarks } from "./gates.ts";
import { disperse, Tallies } from "./families.ts";

import { copy, ended, isExpired, isHead, isSound, lasting, toTask } from "./row.ts";
import type { Orders } from "./orders.ts";
import { remnantOf } from "./remnants.ts";
import { type Read, type RecordTransaction, Stray, type Work } from "./space.ts";
import {
	idOf,
	isFree,
	isRemnant,
	logs,
	messages,
	type NoteRow,
	type Order,
	stateOf,
	tableOf,
	type TaskRow,
	tasks,
} from "./tables.ts";
import { type Answers, ask, get, range } from "./work.ts";

/** The maximum number of backoffs that one transaction ends. */
export const mostHastened = 1000;

/** The settings of all transactions of a store. */
export interface Settings {
	readonly orders: Orders;
	readonly inline: number;
	/** Returns numbers from 0 to 1. */
	readonly random: () => number;
	/** Returns a text that is used for one claim only. */
	readonly nextMark: () => string;
}

/**
 * Records which lanes are occupied, in spaces with concurrent transactions: transactions that join or leave a lane
 * must conflict.
 */
export interface LaneKeeper {
	/** Call it before these lanes are read. */
	watch(lanes: readonly string[]): Work<void>;
	/** A task joins a lane. */
	join(lane: string, order: Order): void;
	/** The last task has left the lane. */
	leave(lane: string): void;
}

/** How a claim ends. */
export type Ending = Omit<Settlement, "ref">;

/** A task: the row as found, and its interpretation. */
export interface Found {
	readonly before: TaskRow | Stray;
	readonly row: TaskRow;
}

/**
 * A transaction in a space that runs one transaction at a time, of any size, that maintains its indexes and has no
 * limits. Subclasses support other spaces.
 */
export class Session {
	readonly tx: RecordTransaction;
	readonly settings: Settings;
	/** Present only with concurrent transactions. */
	declare readonly lanes?: LaneKeeper;
	/** Whether the space omits optional indexes. */
	declare readonly isSparse?: boolean;
	/** The maximum number of backoffs to end. */
	readonly most: number = mostHastened;
	/** The lanes that may have lost their head. */
	readonly #freed = new Set<string>();
	/** Whether unknown lanes may have lost their heads. */
	#isDamaged = false;
	/** The number of unreadable rows that were buried. */
	buried = 0;
	/** The paused kinds, and `true` for all kinds, once a turn has read them. */
	paused: readonly unknown[] = [];
	/** Whether the limit of the basket counts the claims of this transaction. */
	isCounted?: true | undefined;
	/** The kinds that have ever had a gate, once they were read. */
	gated: readonly unknown[] = [];
	/** The remnants that were found, as long as there may be children or entries of them. */
	remnants: readonly TaskRow[] = [];
	/** What has become of families. */
	readonly tallies: Tallies = new Tallies();
	/** The gates behind which this transaction has changed tasks. */
	readonly marks: Marks = new Marks();

	constructor(tx: RecordTransaction, settings: Settings) {
		this.tx = tx;
		this.settings = settings;
	}

	get now(): number {
		return this.tx.now;
	}

	/** Runs a work and the steps that must follow it. */
	*whole<R>(work: (session: this) => Work<R>): Work<R> {
		const result = yield* work(this);
		if (this.#isDamaged) yield* this.mend();
		yield* this.promote();
		yield* this.tallies.settle(this);
		if (this.remnants.some(({ isParent }) => isParent)) {
			this.remnants = yield* disperse(this, this.remnants, Math.ceil(Math.min(this.most, this.room / 3)));
			yield* this.promote();
			yield* this.tallies.settle(this);
		}
		yield* this.writeMarks();
		return result;
	}

	/** Lets turns know of the marked gates. */
	writeMarks(): Work<void> {
		return writeMarks(this, this.marks.list());
	}

	/** Finds tasks by id, except expired ones. */
	*find(ids: readonly string[]): Work<Map<string, Found>> {
		const found = yield* this.findStored(ids);
		for (const [id, { row }] of found) if (isExpired(row, this.now)) found.delete(id);
		return found;
	}

	/** Finds tasks by id, including expired ones. */
	*findStored(ids: readonly string[]): Work<Map<string, Found>> {
		const made = ids.filter((id) => id.startsWith("_"));
		const [byId, byHome] = yield* ask(
			get(tasks, ids.map((id) => [id]), "id"),
			get(tasks, made.map((id) => [this.settings.orders.parse(id.slice(1))])),
		);
		const found = new Map<string, Found>();
		made.forEach((id, index) => this.#match(found, id, byHome[index]));
		ids.forEach((id, index) => this.#match(found, id, byId[index]));
		return found;
	}

	/** The tasks of those claims that are not lost, and other reads in the same round. */
	*findClaims<R extends readonly Read[]>(
		refs: readonly Ref[],
		...more: R
	): Work<[(TaskRow | undefined)[], ...Answers<R>]> {
		const [found, ...rest] = yield* ask(
			get(tasks, refs.map(({ token }) => [this.settings.orders.parse(token)])),
			...more,
		);
		const rows = refs.map(({ id, token }, index) => {
			const row = found[index];
			return isSound(row) && row.state === "running" && row.token === token && idOf(row) === id ? row : undefined;
		});
		return [rows, ...rest as unknown as Answers<R>];
	}

	/** The answer for a task whose id is in use. */
	refuse(id: string, row: TaskRow): Added {
		return { id, added: false, state: stateOf(row) };
	}

	/** Adapts the end of a claim so that it can be stored. */
	fit(_row: TaskRow, ending: Ending): Ending {
		return ending;
	}

	/** Finds the notes about gates, where the space is optimistic. */
	*findNotes(_kinds: readonly string[]): Work<readonly NoteRow[]> {
		return yield* ask();
	}

	/** The number of changes that fit into this transaction. */
	readonly room: number = Infinity;

	/** The number of due tasks to read for a claim. */
	reach(limit: number): number {
		return limit + 1;
	}

	/** Selects the tasks to claim. They may write `room` rows. */
	choose(due: readonly TaskRow[], limit: number, _room: number): readonly TaskRow[] {
		return due.slice(0, limit);
	}

	/** Throws if a task has too many messages for another one. */
	checkInbox(_id: string, _row: Pick<TaskRow, "posted" | "seen">): void {}

	/** Whether the found row has another key than the one that led to it. */
	isElsewhere(_found: TaskRow | Stray): boolean {
		return false;
	}

	/** Writes a task. Watchers are notified if it can now be claimed and could not be before. */
	put(row: TaskRow, before?: TaskRow | Stray): void {
		this.tx.put(tasks, row, before);
		this.#mark(before, row);
		const wasHeld = !(before instanceof Stray) && before?.isHeld;
		if (isFree(row) && (row.state === "waiting" || wasHeld)) this.tx.wake();
	}

	/** Removes a task with its messages, its log and its payload. */
	remove({ before, row }: Found): void {
		if (isRemnant(row)) {
			this.remnants = [...this.remnants, row];
			return;
		}
		if (isHead(row)) this.free(row.lane);
		this.erase(before);
		this.forget(row, row.posted);
		this.#empty(row);
		const isLogged = row.isLogged && !this.clearLog(row);
		if (isLogged || row.isParent) this.#leave(remnantOf({ ...row, isLogged }));
	}

	/** Removes all of a task but its log and its family. Returns what a new row keeps of it, with a payload. */
	keepLog({ before, row }: Found, payload: Data): Pick<TaskRow, "home" | "payload"> & Partial<TaskRow> {
		const { home } = row;
		this.erase(before);
		this.forget(row, row.posted);
		this.#empty(row);
		return { home, ...lasting({ ...row, isSwapped: undefined }), ...this.withPayload(home, payload) };
	}

	/** Removes the log of a task that is gone, if this can be done at once. */
	clearLog({ home }: TaskRow): boolean {
		this.tx.clear!(logs, [home]);
		return true;
	}

	#leave(remnant: TaskRow): void {
		this.tx.put(tasks, remnant);
		// With concurrent transactions, one may add something until this one has committed.
		if (this.lanes === undefined) this.remnants = [...this.remnants, remnant];
	}

	/** Removes the row of a task and all its index keys. */
	erase(before: TaskRow | Stray): void {
		this.tx.remove(tasks, before);
		this.#mark(before, undefined);
		if (!isSound(before)) this.#isDamaged = true;
	}

	/** Makes an unreadable task dead. It counts as the head of its lane. */
	bury(before: TaskRow | Stray, lane?: string): void {
		const found = isSound(before) ? { ...before, ...ended, payload: "" } : toTask(before);
		const { state } = before instanceof Stray ? Object(before.value) as Partial<TaskRow> : before;
		this.tallies.end({ ...found, state: state ?? "waiting" }, true);
		if (isSound(before)) this.#empty(before);
		this.lose(found.lane ?? lane);
		this.tx.put(tasks, found, before);
		this.#mark(before, found);
		if (!isSound(before)) this.#isDamaged = true;
	}

	/** An unreadable row was removed or buried. */
	lose(lane: string | undefined): void {
		this.buried++;
		this.free(lane);
	}

	/** Adds a message to a task. Returns its number. */
	post({ home, posted }: Pick<TaskRow, "home" | "posted">, data: Data): number {
		const n = posted + 1;
		this.tx.put(messages, { home, n, data: copy(data) });
		return n;
	}

	/** Appends entries to the log of a task. Returns its row, which has changed only if these are the first entries. */
	append(row: TaskRow, { after, entries }: LogPart): TaskRow {
		const { home } = row;
		entries.forEach((data, index) => this.tx.put(logs, { home, n: after + index + 1, data: copy(data) }));
		return row.isLogged ? row : { ...row, isLogged: true };
	}

	/** Removes the messages of a task up to a number. */
	forget({ home, seen, posted }: TaskRow, until: number): void {
		const last = Math.min(until, posted);
		for (let n = seen + 1; n <= last; n++) this.tx.remove(messages, { home, n, data: "" });
	}

	/** The change of a task's row by a new payload. With `before`, the task already has a payload. */
	withPayload(home: Order, data: Data | undefined, before?: TaskRow): Pick<TaskRow, "payload"> {
		if (data === undefined) return {};
		const payload = this.#keep(data, before ?? { home });
		if (before !== undefined && payload !== undefined) this.#discard(before);
		return { payload };
	}

	/** The change of a task's row by its result, or by a payload that has to wait. */
	withSpare(data: Data | undefined, before: TaskRow): Pick<TaskRow, "spare"> {
		if (data === undefined) return {};
		const spare = this.#keep(data, before, true) ?? true;
		if (before.spare === true && spare !== true) this.#discard(before, true);
		return { spare };
	}

	/**
	 * The row of a task whose claim has ended: the payload that has waited behind it takes effect.
	 *
	 * @param keepsTime whether the task is due when it would be without that payload
	 */
	take(row: TaskRow, keepsTime?: boolean): TaskRow {
		const { next, spare, isSwapped, dueAt } = row;
		if (next === undefined) return row;
		this.#discard(row);
		const isLong = spare === true;
		return {
			...row,
			...next,
			limitKey: next.limitKey,
			meta: next.meta,
			dueAt: dueAt === undefined || keepsTime ? dueAt : Math.max(dueAt, next.dueAt),
			payload: isLong ? undefined : spare,
			spare: undefined,
			next: undefined,
			isSwapped: isLong && !isSwapped || undefined,
		};
	}

	#mark(before: TaskRow | Stray | undefined, row: TaskRow | undefined): void {
		this.marks.note(before instanceof Stray ? undefined : before, row, this.now);
	}

	/** Stores data apart that is too long for a row. Returns the data otherwise. */
	#keep(data: Data, row: Pick<TaskRow, "home" | "isSwapped">, isSpare?: boolean): Data | undefined {
		const kept = copy(data);
		if (data.length <= this.settings.inline) return kept;
		this.tx.put(tableOf(row, isSpare), { home: row.home, data: kept });
		return undefined;
	}

	/** Removes the payload, or the spare data, from where it is if it is too long for a row. */
	#discard(row: TaskRow, isSpare?: boolean): void {
		if (isSpare || row.payload === undefined) this.tx.remove(tableOf(row, isSpare), { home: row.home, data: "" });
	}

	/** Removes all data that is apart from the row. */
	#empty(row: TaskRow): void {
		this.#discard(row);
		if (row.spare === true) this.#discard(row, true);
	}

	/** The head of a lane is gone. */
	free(lane: string | undefined): void {
		if (lane !== undefined) this.#freed.add(lane);
	}

	/** Promotes the next task of each lane that has lost its head. */
	*promote(): Work<void> {
		for (let freed; (freed = [...this.#freed]).length > 0;) {
			this.#freed.clear();
			const heads = yield* this.findHeads(freed);
			freed.forEach((lane, index) => this.#raise(lane, heads[index]));
		}
	}

	/** The first task of each of these lanes. */
	*findHeads(lanes: readonly string[]): Work<(TaskRow | Stray | undefined)[]> {
		yield* this.lanes?.watch(lanes) ?? [];
		const found = yield* ask(...lanes.map((lane) => range(tasks, "lane", { prefix: [lane], limit: 1 })));
		return found.map(([first]) => first);
	}

	/** Checks all lanes, because the lane of an unreadable task is unknown. This is rare. */
	*mend(): Work<void> {
		const [found] = yield* ask(range(tasks, "lane", { prefix: [], limit: Infinity }));
		for (const one of found) if (isSound(one)) this.free(one.lane);
	}

	#raise(lane: string, first: TaskRow | Stray | undefined): void {
		if (first === undefined) this.lanes?.leave(lane);
		else if (!isSound(first)) this.bury(first, lane);
		else if (first.isBlocked) this.put({ ...first, isBlocked: undefined }, first);
	}

	/** Returns the row if it belongs to the id. An unreadable task also counts as the requested one. */
	#match(found: Map<string, Found>, id: string, before: TaskRow | Stray | undefined): void {
		if (before === undefined || this.isElsewhere(before)) return;
		const row = isSound(before) ? before : { ...toTask(before), id };
		if (idOf(row) === id) found.set(id, { before, row });
	}
}
