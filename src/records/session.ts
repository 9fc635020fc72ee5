/**
 * What the members of a store share within one transaction: finding tasks, changing them, and giving lanes their next head.
 *
 * @module
 */

import type { Added, Data, Outcome, Ref } from "../basket/store.ts";
import { copy, isExpired, isHead, isSound, toTask, unreadable } from "./row.ts";
import type { Orders } from "./orders.ts";
import { type Read, type RecordTransaction, Stray, type Work } from "./space.ts";
import { idOf, isFree, messages, type Order, payloads, stateOf, type TaskRow, tasks } from "./tables.ts";
import { type Answers, ask, get, range } from "./work.ts";

/** What becomes of a task whose payload cannot be read. */
const ended = {
	state: "dead",
	error: unreadable,
	token: undefined,
	dueAt: undefined,
	isBackingOff: undefined,
} as const;

/** How many backoffs are ended in one transaction. */
const mostHastened = 1000;

/** What is the same for all transactions of a store. */
export interface Settings {
	readonly orders: Orders;
	readonly inline: number;
	/** From 0 to 1. */
	readonly random: () => number;
	/** A text that is used for one claim only. */
	readonly nextMark: () => string;
}

/** Writes down who is in a lane, where several transactions go on at a time: two who join it, or leave it, must not miss each other. */
export interface LaneKeeper {
	/** To be done before anybody looks who is in these lanes. */
	watch(lanes: readonly string[]): Work<void>;
	/** Somebody joins a lane. */
	join(lane: string, order: Order): void;
	/** The last one has left it. */
	leave(lane: string): void;
}

/** A task as it was found, and as what it is taken. */
export interface Found {
	readonly before: TaskRow | Stray;
	readonly row: TaskRow;
}

/**
 * One transaction where only one goes on at a time, of any size, and where the database keeps the indexes and sets no limits. Whatever
 * else a space may be is added by those who extend this.
 */
export class Session {
	readonly tx: RecordTransaction;
	readonly settings: Settings;
	/** Only where several transactions go on at a time. */
	declare readonly lanes?: LaneKeeper;
	/** Whether those that do not simply wait have no index of their own. */
	declare readonly isSparse?: boolean;
	/** How many backoffs may be ended. */
	readonly most: number = mostHastened;
	/** The lanes that may have lost their head. */
	readonly #freed = new Set<string>();
	/** Whether lanes may have lost their head that nobody can name. */
	#isDamaged = false;
	/** How much could not be read, and was put aside. */
	buried = 0;

	constructor(tx: RecordTransaction, settings: Settings) {
		this.tx = tx;
		this.settings = settings;
	}

	get now(): number {
		return this.tx.now;
	}

	/** Does a work with what it needs at its end. */
	*whole<R>(work: (session: this) => Work<R>): Work<R> {
		const result = yield* work(this);
		if (this.#isDamaged) yield* this.mend();
		yield* this.promote();
		return result;
	}

	/** Tasks by their ids, unless their time is over. */
	*find(ids: readonly string[]): Work<Map<string, Found>> {
		const found = yield* this.findStored(ids);
		for (const [id, { row }] of found) if (isExpired(row, this.now)) found.delete(id);
		return found;
	}

	/** Tasks by their ids, also those whose time is over. */
	*findStored(ids: readonly string[]): Work<Map<string, Found>> {
		const made = ids.filter((id) => id.startsWith("_"));
		const [byId, byHome] = yield* ask(
			get(tasks, ids.map((id) => [id]), "id"),
			get(tasks, made.map((id) => [this.settings.orders.parse(id.slice(1))])),
		);
		const found = new Map<string, Found>();
		made.forEach((id, index) => this.#keep(found, id, byHome[index]));
		ids.forEach((id, index) => this.#keep(found, id, byId[index]));
		return found;
	}

	/** The tasks of claims, as far as these are not lost; and more, in the same round of reads. */
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

	/** Says of a task that its id is in use. */
	refuse(id: string, row: TaskRow): Added {
		return { id, added: false, state: stateOf(row) };
	}

	/** An outcome that can be stored. */
	fit(_row: TaskRow, outcome: Outcome): Outcome {
		return outcome;
	}

	/** How many due tasks to look at in order to claim some. */
	reach(limit: number): number {
		return limit + 1;
	}

	/** Which of the due tasks to claim. */
	choose(due: readonly TaskRow[], limit: number): readonly TaskRow[] {
		return due.slice(0, limit);
	}

	/** Throws if a task has too many messages. */
	checkInbox(_id: string, _unseen: number): void {}

	/** Whether what was found has another key than the one that led to it. */
	isElsewhere(_found: TaskRow | Stray): boolean {
		return false;
	}

	/** Writes what has become of a task. Watchers are told if it can be claimed now, and could not be before. */
	put(row: TaskRow, before?: TaskRow | Stray): void {
		this.tx.put(tasks, row, before);
		const wasHeld = !(before instanceof Stray) && before?.isHeld;
		if (isFree(row) && (row.state === "waiting" || wasHeld)) this.tx.wake();
	}

	/** Removes a task, and all that belongs to it. */
	remove({ before, row }: Found): void {
		if (isHead(row)) this.free(row.lane);
		this.erase(before);
		this.forget(row, row.posted);
		if (row.payload === undefined) this.tx.remove(payloads, { home: row.home, data: "" });
	}

	/** Removes the row of a task, and all keys under which it may be found. */
	erase(before: TaskRow | Stray): void {
		this.tx.remove(tasks, before);
		if (!isSound(before)) this.#isDamaged = true;
	}

	/** Keeps aside what cannot be read. It had, as far as anybody knows, the first place in its lane. */
	bury(before: TaskRow | Stray, lane?: string): void {
		const row = isSound(before) ? { ...before, ...ended, payload: "" } : toTask(before);
		this.lose(row.lane ?? lane);
		this.tx.put(tasks, row, before);
		if (!isSound(before)) this.#isDamaged = true;
	}

	/** Something that could not be read is out of the way. */
	lose(lane: string | undefined): void {
		this.buried++;
		this.free(lane);
	}

	/** Removes the messages of a task up to a number. */
	forget({ home, seen, posted }: TaskRow, until: number): void {
		const last = Math.min(until, posted);
		for (let n = seen + 1; n <= last; n++) this.tx.remove(messages, { home, n, data: "" });
	}

	/** What a new payload changes in the row of a task, which has another one already if there is a `before`. */
	withPayload(home: Order, data: Data | undefined, before?: TaskRow): { readonly payload?: Data | undefined } {
		if (data === undefined) return {};
		if (data.length > this.settings.inline) {
			this.tx.put(payloads, { home, data: copy(data) });
			return { payload: undefined };
		}
		if (before !== undefined && before.payload === undefined) this.tx.remove(payloads, { home, data: "" });
		return { payload: copy(data) };
	}

	/** The head of a lane is gone. */
	free(lane: string | undefined): void {
		if (lane !== undefined) this.#freed.add(lane);
	}

	/** Gives each lane that has lost its head the next one. */
	*promote(): Work<void> {
		for (let freed; (freed = [...this.#freed]).length > 0;) {
			this.#freed.clear();
			const heads = yield* this.findHeads(freed);
			freed.forEach((lane, index) => this.#raise(lane, heads[index]));
		}
	}

	/** Who comes first in each of these lanes. */
	*findHeads(lanes: readonly string[]): Work<(TaskRow | Stray | undefined)[]> {
		yield* this.lanes?.watch(lanes) ?? [];
		const found = yield* ask(...lanes.map((lane) => range(tasks, "lane", { prefix: [lane], limit: 1 })));
		return found.map(([first]) => first);
	}

	/** Nobody knows where a task stood that could not be read, so all lanes are looked at: this is rare, and there is no other way. */
	*mend(): Work<void> {
		const [found] = yield* ask(range(tasks, "lane", { prefix: [], limit: Infinity }));
		for (const one of found) if (isSound(one)) this.free(one.lane);
	}

	#raise(lane: string, first: TaskRow | Stray | undefined): void {
		if (first === undefined) this.lanes?.leave(lane);
		else if (!isSound(first)) this.bury(first, lane);
		else if (first.isBlocked) this.put({ ...first, isBlocked: undefined }, first);
	}

	/** Keeps what was looked for by an id, if it is that. A task that cannot be read is still the one that was asked for. */
	#keep(found: Map<string, Found>, id: string, before: TaskRow | Stray | undefined): void {
		if (before === undefined || this.isElsewhere(before)) return;
		const row = isSound(before) ? before : { ...toTask(before), id };
		if (idOf(row) === id) found.set(id, { before, row });
	}
}
