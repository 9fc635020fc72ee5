/**
 * What the members of a store share within one transaction: finding tasks, changing them, and giving lanes their next head.
 *
 * @module
 */

import type { Data, Ref } from "../basket/store.ts";
import { copy, isElsewhere, isExpired, isHead, isSound, toTask, unreadable } from "./row.ts";
import type { NextOrder, Orders } from "./orders.ts";
import { type Key, type RecordLimits, type RecordTransaction, Stray, type Work } from "./space.ts";
import { idOf, type LaneRow, lanes, messages, type Order, payloads, type TaskRow, tasks } from "./tables.ts";
import { ask, get, range } from "./work.ts";

/** What becomes of a task whose payload cannot be read. */
const ended = {
	state: "dead",
	error: unreadable,
	token: undefined,
	dueAt: undefined,
	isBackingOff: undefined,
} as const;

/** How many keys are looked at in one read. */
const page = 1000;

/** What is the same for all transactions of a store. */
export interface Settings {
	readonly orders: Orders;
	readonly isOptimistic: boolean;
	readonly inline: number;
	readonly limits: RecordLimits;
	/** Whether those that do not simply wait are in an index of their own. */
	readonly hasAside: boolean;
	/** From 0 to 1. */
	readonly random: () => number;
	/** A text that is used for one claim only. */
	readonly nextMark: () => string;
}

/** A task as it was found, and as what it is taken. */
export interface Found {
	readonly before: TaskRow | Stray;
	readonly row: TaskRow;
}

export class Session {
	readonly tx: RecordTransaction;
	readonly settings: Settings;
	/** The lanes that may have lost their head. */
	readonly #freed = new Set<string>();
	readonly #ends: (() => void)[] = [];
	/** Whether there may be keys of indexes that lead nowhere, and lanes without a head. */
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
		if (this.#isDamaged) yield* this.#mend();
		yield* this.promote();
		for (const end of this.#ends) end();
		return result;
	}

	/** Orders for new tasks. */
	*numbers(): Work<NextOrder> {
		const [next, end] = yield* this.settings.orders.begin(this.tx);
		this.#ends.push(end);
		return next;
	}

	/** Tasks by their ids, unless their time is over. */
	*find(ids: readonly string[]): Work<(Found | undefined)[]> {
		const found = yield* this.findStored(ids);
		return found.map((one) => one === undefined || isExpired(one.row, this.now) ? undefined : one);
	}

	/** Tasks by their ids, also those whose time is over. */
	*findStored(ids: readonly string[]): Work<(Found | undefined)[]> {
		const orders = ids.map((id) => id.startsWith("_") ? this.settings.orders.parse(id.slice(1)) : undefined);
		const homes = orders.filter((order) => order !== undefined);
		if (ids.length === 0) return [];
		const [byId, byHome] = yield* ask(
			get(tasks, ids.map((id) => [id]), "id"),
			get(tasks, homes.map((order) => [order])),
		);
		let next = 0;
		return ids.map((id, index) => {
			const home = orders[index] === undefined ? undefined : byHome[next++];
			return foundAs(id, byId[index]) ?? foundAs(id, home);
		});
	}

	/** The tasks of claims, as far as these are not lost. */
	*findClaims(refs: readonly Ref[]): Work<(TaskRow | undefined)[]> {
		const { orders } = this.settings;
		const known = refs.map(({ token }) => orders.parse(token));
		const [found] = yield* ask(get(tasks, known.filter((order) => order !== undefined).map((order) => [order])));
		let next = 0;
		return refs.map(({ id, token }, index) => {
			const row = known[index] === undefined ? undefined : found[next++];
			return isSound(row) && row.state === "running" && row.token === token && idOf(row) === id ? row : undefined;
		});
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
		this.buried++;
		const row = isSound(before) ? { ...before, ...ended, payload: "" } : toTask(before);
		this.free(row.lane ?? lane);
		if (before instanceof Stray && (before.value === undefined || isElsewhere(before))) this.tx.drop(tasks, before);
		else {
			this.tx.put(tasks, row, before);
			if (!isSound(before)) this.#isDamaged = true;
		}
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
			// The rows of the lanes before the lists: whoever joins a lane after that changes its row.
			const { isOptimistic } = this.settings;
			if (isOptimistic) yield* ask(get(lanes, freed.map((lane) => [lane])));
			const firsts = yield* ask(...freed.map((lane) => range(tasks, "lane", { prefix: [lane], limit: 1 })));
			freed.forEach((lane, index) => this.#raise(lane, firsts[index]![0]));
		}
	}

	/**
	 * Removes the keys of indexes that lead nowhere any more, and gives lanes a head that have lost it. Nobody knows where a task stood that
	 * could not be read, so all keys are looked at: this is rare, and there is no other way.
	 */
	*#mend(): Work<void> {
		for (const [index, { keyOf, isOptional }] of Object.entries(tasks.indexes)) {
			if (isOptional && !this.settings.hasAside) continue;
			for (let above: Key | undefined, isMore = true; isMore;) {
				const [found]: readonly (readonly (TaskRow | Stray)[])[] = yield* ask(
					range(tasks, index, { prefix: [], above, limit: page }),
				);
				for (const one of found!) {
					if (isElsewhere(one) || (one instanceof Stray && one.value === undefined)) this.tx.drop(tasks, one as Stray);
					if (index === "lane" && isSound(one)) this.free(one.lane);
				}
				const last = found!.at(-1);
				above = last instanceof Stray ? last.entry!.key : last && keyOf(last);
				isMore = found!.length === page;
			}
		}
		if (!this.settings.isOptimistic) return;
		for (let above: Key | undefined, isMore = true; isMore;) {
			const [found]: readonly (readonly (LaneRow | Stray)[])[] = yield* ask(
				range(lanes, undefined, { prefix: [], above, limit: page }),
			);
			for (const one of found!) if (!(one instanceof Stray)) this.free(one.lane);
			const last = found!.at(-1);
			above = last instanceof Stray ? last.key : last && lanes.keyOf(last);
			isMore = found!.length === page;
		}
	}

	#raise(lane: string, first: TaskRow | Stray | undefined): void {
		if (first === undefined) {
			if (this.settings.isOptimistic) this.tx.remove(lanes, { lane, last: 0 });
		} else if (!isSound(first)) this.bury(first, lane);
		else if (first.isBlocked) this.put({ ...first, isBlocked: undefined }, first);
	}
}

/** What was looked for by an id, if it is that. A task that cannot be read is still the one that was asked for. */
function foundAs(id: string, before: TaskRow | Stray | undefined): Found | undefined {
	if (before === undefined) return undefined;
	if (isSound(before)) return idOf(before) === id ? { before, row: before } : undefined;
	if (isElsewhere(before)) return undefined;
	return { before, row: { ...toTask(before), id } };
}

function isFree({ isHeld, isBlocked, state, dueAt }: TaskRow): boolean {
	return !isHeld && !isBlocked && state !== "dead" && state !== "done" && dueAt !== undefined;
}
