/**
 * One transaction, and what the members of the store do in it.
 *
 * @module
 */

import type { Data, WakeReason } from "../../basket/store.ts";
import { metaName, tasksName } from "./schema.ts";
import { idOf, isData, isExpired, isReadable, own, sound, type TaskRecord, toDead, toIndexed } from "./record.ts";
import { result, tolerant } from "./request.ts";

/** Comes after all numbers and texts in a key, and is below nothing. */
export const last: readonly never[] = [];

/** Payloads above are stored apart. In units of text or bytes. */
const longestInline = 1_000;

/** How far apart the numbers of two tasks may be that are read in one go. */
const longestGap = 4;

/** The keys that begin with these parts. */
export function keysOf(...parts: (string | number)[]): IDBKeyRange {
	return IDBKeyRange.bound(parts, [...parts, last]);
}

/** The number of the task that has this primary key. */
export function numberIn(key: IDBValidKey): number {
	return (key as [string, number])[1];
}

/** Reads and writes records inside one transaction. Writes are not waited for: the transaction fails with them. */
export class Session {
	readonly tasks: IDBObjectStore;
	readonly meta: IDBObjectStore;
	/** Whose tasks. */
	readonly basket: string;
	/** The instant of the whole transaction. */
	readonly now: number;
	/** Whether others may have something to do once this is committed. */
	wakes = false;
	/** Whether whoever holds claims has to look at them then. */
	reason: WakeReason | undefined;
	/** The last write. */
	write: IDBRequest | undefined;
	/** Lanes whose head may be gone. */
	readonly #freed: Set<string> = new Set();

	constructor(transaction: IDBTransaction, basket: string, now: number) {
		this.tasks = transaction.objectStore(tasksName);
		this.meta = transaction.objectStore(metaName);
		this.basket = basket;
		this.now = now;
	}

	index(name: string): IDBIndex {
		return this.tasks.index(name);
	}

	/** The record with a number, if it is there and can be read. */
	async read(seq: number): Promise<TaskRecord | undefined> {
		return Number.isFinite(seq) ? await tolerant(this.tasks.get([this.basket, seq])) : undefined;
	}

	/** The record with an id, unless its time is over. One that cannot be read is dead. */
	async find(id: string): Promise<TaskRecord | undefined> {
		const made = /^_\d+$/.test(id) ? this.#sound(await this.read(Number(id.slice(1)))) : undefined;
		const isMade = made !== undefined && idOf(made) === id;
		const record = isMade ? made : this.#sound(await tolerant(this.index("ids").get([this.basket, id])));
		return record && !isExpired(record, this.now) ? record : undefined;
	}

	/** The records with these ids, each of them once. */
	async findAll(ids: readonly string[]): Promise<Map<string, TaskRecord | undefined>> {
		const names = [...new Set(ids)];
		const records = await Promise.all(names.map((id) => this.find(id)));
		return new Map(names.map((id, index) => [id, records[index]]));
	}

	/**
	 * The records with these numbers, and perhaps others that are among them. Tasks that are claimed together mostly stand
	 * together, and one large read is several times as fast.
	 */
	async readNear(numbers: readonly number[]): Promise<TaskRecord[]> {
		const runs = toRuns(numbers, longestGap);
		return (await Promise.all(runs.map((run) => this.readAll(this.tasks, this.#range(...run))))).flat();
	}

	/** Up to `limit` records in the order of their keys. One that cannot be read is dead. */
	async readAll(source: IDBObjectStore | IDBIndex, keys: IDBKeyRange, limit?: number): Promise<TaskRecord[]> {
		const records = await tolerant(source.getAll(keys, limit)) as TaskRecord[] | undefined;
		return records?.every(Boolean) ? records : await this.#readEach(source, keys, limit);
	}

	put(record: TaskRecord): void {
		this.write = this.tasks.put(toIndexed(record));
	}

	/** Removes records and their payloads. To delete one costs more than to write one; to delete many does, too. */
	remove(records: readonly TaskRecord[]): void {
		for (const run of toRuns(records.map(({ seq }) => seq), 1)) this.write = this.tasks.delete(this.#range(...run));
		for (const { data } of records) if (isNumber(data)) this.write = this.meta.delete(this.#dataKey(data));
	}

	/** Keeps it aside as one that cannot be read. */
	bury(record: TaskRecord): void {
		this.put(toDead(record, this.now));
		for (const lane of [record.lane, record.queue]) this.free(lane);
	}

	/** Gives a record its payload: within it, or apart if it is long, so that a claim need not write it again. */
	setPayload(record: TaskRecord, payload: Data): void {
		if (payload.length > longestInline) {
			record.data ??= record.seq;
			delete record.payload;
			this.write = this.meta.put(own(payload), this.#dataKey(record.data));
		} else {
			if (record.data !== undefined) this.write = this.meta.delete(this.#dataKey(record.data));
			delete record.data;
			record.payload = own(payload);
		}
	}

	/** The payloads of records; `undefined` for one that is gone, or that the browser cannot give back. */
	async payloadsOf(records: readonly TaskRecord[]): Promise<readonly (Data | undefined)[]> {
		if (records.every(({ data }) => data === undefined)) return records.map(({ payload }) => payload);
		const payloads = await Promise.all(records.map(({ payload, data }) => {
			return !isNumber(data) ? payload : tolerant(this.meta.get(this.#dataKey(data))) as Promise<Data | undefined>;
		}));
		return payloads.map((payload) => isData(payload) ? payload : undefined);
	}

	/** Somebody may have left this lane. */
	free(lane: string | undefined): void {
		if (typeof lane === "string") this.#freed.add(lane);
	}

	/** Something was done to a task that is running: whoever runs it is told of it. */
	tellWorkers(): void {
		this.wakes = true;
		this.reason = "claims";
	}

	/** Lets the next ones move up in the lanes that were left. */
	async promote(): Promise<void> {
		const lanes = [...this.#freed];
		this.#freed.clear();
		if (lanes.length > 0) await Promise.all(lanes.map((lane) => this.#promote(lane)));
	}

	/** The next number of the basket, and the way to store what the last one given out was. */
	async counter(): Promise<{ next(): number; save(): void }> {
		const key = ["seq", this.basket];
		let seq: number = await result(this.meta.get(key)) ?? 0;
		return { next: () => ++seq, save: () => void (this.write = this.meta.put(seq, key)) };
	}

	/** A record, or what can be saved of one that cannot be read: that may have been the head of a lane. */
	#sound(record: TaskRecord | undefined): TaskRecord | undefined {
		const result = sound(record, this.now);
		if (result !== record) { for (const lane of [record!.lane, record!.queue]) this.free(lane); }
		return result;
	}

	#dataKey(data: number): IDBValidKey {
		return ["data", this.basket, data];
	}

	#range(first: number, last: number): IDBKeyRange {
		return IDBKeyRange.bound([this.basket, first], [this.basket, last]);
	}

	async #promote(lane: string): Promise<void> {
		const keys = keysOf(this.basket, lane);
		let [head] = await this.readAll(this.index("lanes"), keys, 1);
		for (; head && !isStanding(head); [head] = await this.readAll(this.index("lanes"), keys, 1)) {
			this.put(toDead(head, this.now));
		}
		if (!head?.blocked) return;
		delete head.blocked;
		this.put(head);
		this.wakes = true;
	}

	/** The browser has lost what some of the records hold (large values are files of their own), but has their keys. */
	async #readEach(source: IDBObjectStore | IDBIndex, keys: IDBKeyRange, limit?: number): Promise<TaskRecord[]> {
		const numbers = (await result(source.getAllKeys(keys, limit))).map(numberIn);
		return await Promise.all(numbers.map(async (seq) => await this.read(seq) ?? await this.#salvage(seq)));
	}

	/** What the indexes still know of a record that cannot be read. */
	async #salvage(seq: number): Promise<TaskRecord> {
		const [due, id, lane] = await Promise.all(["due", "ids", "lanes"].map((name) => this.#keyIn(name, seq)));
		const known = { kind: due?.[1], priority: due && 0 - (due[2] as number), id: id?.[1], lane: lane?.[1] };
		return toDead({ basket: this.basket, seq, ...known } as TaskRecord, this.now);
	}

	/** Walks through the whole index: this is rare, and there is no other way. */
	async #keyIn(name: string, seq: number): Promise<IDBValidKey[] | undefined> {
		const request = this.index(name).openKeyCursor(keysOf(this.basket));
		for (let cursor = await result(request); cursor !== null; cursor = await result(request)) {
			if (numberIn(cursor.primaryKey) === seq) return cursor.key as IDBValidKey[];
			cursor.continue();
		}
		return undefined;
	}
}

/** Not if it cannot be read, or could not be read when it was listed. */
function isStanding(record: TaskRecord): boolean {
	return record.state !== "dead" && isReadable(record);
}

/** Not of a record that somebody has edited. */
function isNumber(value: unknown): value is number {
	return Number.isSafeInteger(value);
}

/** From the first to the last of numbers that are no further apart than `gap`. */
function toRuns(numbers: readonly number[], gap: number): [first: number, last: number][] {
	const runs: [first: number, last: number][] = [];
	for (const number of numbers.filter(Number.isFinite).sort((a, b) => a - b)) {
		const run = runs.at(-1);
		if (run !== undefined && number <= run[1] + gap) run[1] = number;
		else runs.push([number, number]);
	}
	return runs;
}
