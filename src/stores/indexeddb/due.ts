/**
 * Finds what may be claimed: of several kinds, in one order.
 *
 * @module
 */

import type { Data } from "../../basket/store.ts";
import { keysOf, last, numberIn, type Session } from "./session.ts";
import type { TaskRecord } from "./record.ts";
import { result } from "./request.ts";

/** One read takes no more than this. */
const longestRead = 1000;

/** The tasks of some kinds that are due: highest priority first, then earliest due, then in the order added. */
export class DueTasks {
	/** When the next one is due that is not yet; known once there are no more due ones. */
	nextAt: number = Infinity;
	readonly #session: Session;
	#shelves: Shelf[];

	constructor(session: Session, kinds: readonly string[]) {
		this.#session = session;
		this.#shelves = [...new Set(kinds)].map((kind) => new Shelf(session, kind));
	}

	/** The next one; `wanted` is how many more may be asked for, this one included. */
	async next(wanted: number): Promise<DueTask | undefined> {
		const count = Math.min(Math.ceil(wanted / this.#shelves.length), longestRead);
		const empty = this.#shelves.filter(({ tasks }) => tasks.length === 0);
		if (empty.length > 0) await this.#fill(empty, count);
		const [first] = this.#shelves;
		if (first === undefined) return undefined;
		return this.#shelves.reduce(
			(best, shelf) => before(shelf.tasks[0]!.record, best.tasks[0]!.record) ? shelf : best,
			first,
		).tasks
			.shift();
	}

	async #fill(shelves: readonly Shelf[], count: number): Promise<void> {
		await Promise.all(shelves.map((shelf) => shelf.fill(this.#session, count)));
		for (const { nextAt } of shelves) this.nextAt = Math.min(this.nextAt, nextAt);
		this.#shelves = this.#shelves.filter(({ tasks }) => tasks.length > 0);
	}
}

/** One of them, with its payload if that can be read. */
export interface DueTask {
	readonly record: TaskRecord;
	readonly payload: Data | undefined;
}

/** The due tasks of one kind, of which a few are in memory. */
class Shelf {
	tasks: DueTask[] = [];
	nextAt: number = Infinity;
	readonly #kind: string;
	/** Everything up to this key was seen. */
	#seen: IDBValidKey[];

	constructor({ basket }: Session, kind: string) {
		this.#kind = kind;
		this.#seen = [basket, kind];
	}

	/**
	 * Reads the next ones, if there are any. The key of the next one is looked at first: to read the records of what is not
	 * due yet would cost a backlog of large ones dearly.
	 */
	async fill(session: Session, count: number): Promise<void> {
		const { basket, now } = session;
		const index = session.index("due");
		const end = keysOf(basket, this.#kind).upper as IDBValidKey[];
		while (this.tasks.length === 0) {
			const cursor = await result(index.openKeyCursor(IDBKeyRange.bound(this.#seen, end, true)));
			if (cursor === null) return;
			const [, , rank, dueAt] = cursor.key as [string, string, number, number];
			if (typeof rank !== "number" || typeof dueAt !== "number") {
				// Somebody else has written it: it is taken at once, so that it is kept aside.
				const seq = numberIn(cursor.primaryKey);
				this.tasks = [{ record: { ...await session.read(seq), basket, seq } as TaskRecord, payload: undefined }];
				this.#seen = cursor.key as IDBValidKey[];
			} else if (dueAt <= now) {
				const keys = IDBKeyRange.bound(this.#seen, [basket, this.#kind, rank, now, last], true);
				const records = await session.readAll(index, keys, count);
				const payloads = await session.payloadsOf(records);
				this.tasks = records.map((record, index) => ({ record, payload: payloads[index] }));
				const { seq, dueAt: at = this.nextAt = now } = records.at(-1)!; // one that cannot be read has no instant
				this.#seen = [basket, this.#kind, rank, at, seq];
			} else {
				this.nextAt = Math.min(this.nextAt, dueAt);
				this.#seen = [basket, this.#kind, rank, last as unknown as IDBValidKey];
			}
		}
	}
}

function before(one: TaskRecord, other: TaskRecord): boolean {
	return (one.rank! - other.rank! || one.dueAt! - other.dueAt! || one.seq - other.seq) < 0;
}
