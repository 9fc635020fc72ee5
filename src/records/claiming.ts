/**
 * Finds what may be claimed, of several kinds in one order, and claims it.
 *
 * @module
 */

import type { Claim, ClaimRequest } from "../basket/store.ts";
import { copy, isData, isSound, toInbox } from "./row.ts";
import type { Session } from "./session.ts";
import { readContents } from "./settling.ts";
import type { Key, Stray, Work } from "./space.ts";
import { idOf, rankOf, type TaskRow, tasks } from "./tables.ts";
import { ask, range } from "./work.ts";

/** One read takes no more than this. */
const longestRead = 1000;

/** What was claimed, and when the next one is due. */
export interface Claimed {
	readonly claims: readonly Claim[];
	/** As in the result of a turn. */
	readonly dueIn: number;
}

/** Claims what is due. */
export function* claim(session: Session, { kinds, limit }: ClaimRequest, lease: number): Work<Claimed> {
	const due = new DueTasks(session, kinds);
	// One more than wanted: whether there is one decides when to ask again.
	const found = yield* due.take(session.reach(limit));
	const rows = session.choose(found, limit);
	const contents = yield* readContents(rows);
	const claims: Claim[] = [];
	rows.forEach((row, index) => {
		const { payload, inbox } = contents[index]!;
		if (isData(payload)) claims.push(begin(session, row, { payload, inbox: toInbox(inbox) }, lease));
		else session.bury(row);
	});
	yield* session.promote();
	// Those behind what could not be read may be due by now.
	if (found.length > rows.length || session.buried > 0) return { claims, dueIn: 0 };
	return { claims, dueIn: Math.min(due.nextAt - session.now, claims.length > 0 ? lease : Infinity) };
}

/** How long until the first task of these kinds is due. */
export function* findNext(session: Session, kinds: readonly string[]): Work<number> {
	const due = new DueTasks(session, kinds);
	return (yield* due.take(1)).length > 0 ? 0 : due.nextAt - session.now;
}

function begin(
	session: Session,
	before: TaskRow,
	{ payload, inbox }: Pick<Claim, "payload" | "inbox">,
	lease: number,
): Claim {
	const { now, settings } = session;
	const crashed = before.state === "running" ? 1 : 0;
	const [attempts, crashes] = [before.attempts + crashed, before.crashes + crashed];
	// It begins with the order of the task, which saves looking for that.
	const token = `${before.order}.${settings.nextMark()}`;
	const { kind, lane, priority, error, addedAt } = before;
	const row = { ...before, state: "running", token, attempts, crashes, isBackingOff: undefined } as const;
	session.put({ ...row, dueAt: now + lease }, before);
	const age = now - addedAt;
	const id = idOf(before);
	return { id, token, lane, kind, payload: copy(payload), attempts, crashes, priority, error, addedAt, age, inbox };
}

/** The tasks of some kinds that are due: highest priority first, then earliest due, then in the order added. */
class DueTasks {
	/** When the next one is due that is not yet; known once there are no more due ones. */
	nextAt = Infinity;
	readonly #session: Session;
	readonly #shelves: Shelf[];

	constructor(session: Session, kinds: readonly string[]) {
		this.#session = session;
		this.#shelves = [...new Set(kinds)].map((kind) => ({ kind, above: undefined, rows: [], isAtEnd: false }));
	}

	/** The next ones, at most so many. What cannot be read is put aside on the way. */
	*take(most: number): Work<TaskRow[]> {
		const taken: TaskRow[] = [];
		while (taken.length < most) {
			yield* this.#fill(Math.min(Math.ceil((most - taken.length) / this.#shelves.length), longestRead));
			const first = this.#first();
			if (first === undefined) break;
			taken.push(first.rows.shift()!);
		}
		return taken;
	}

	#first(): Shelf | undefined {
		let best: Shelf | undefined;
		for (const shelf of this.#shelves) {
			const [row] = shelf.rows;
			if (row !== undefined && (best === undefined || isBefore(row, best.rows[0]!))) best = shelf;
		}
		return best;
	}

	/** Gives each shelf that is empty its next rows, as far as there are any. */
	*#fill(count: number): Work<void> {
		for (let empty; (empty = this.#shelves.filter(({ rows, isAtEnd }) => rows.length === 0 && !isAtEnd)).length > 0;) {
			const found = yield* ask(
				...empty.map(({ kind, above }) => range(tasks, "due", { prefix: [kind], above, limit: count })),
			);
			empty.forEach((shelf, index) => this.#put(shelf, found[index]!, count));
		}
	}

	#put(shelf: Shelf, found: readonly (TaskRow | Stray)[], count: number): void {
		const { now } = this.#session;
		for (const one of found) {
			if (!isSound(one)) this.#session.bury(one);
			else if (one.dueAt! <= now) {
				shelf.rows.push(one);
				shelf.above = tasks.indexes["due"]!.keyOf(one)!;
			} else {
				this.nextAt = Math.min(this.nextAt, one.dueAt!);
				// Behind what is not due yet of one priority comes the next priority.
				shelf.above = [shelf.kind, rankOf(one.priority)];
			}
		}
		shelf.isAtEnd = found.length < count;
	}
}

/** The due tasks of one kind, of which a few are in memory. */
interface Shelf {
	readonly kind: string;
	rows: TaskRow[];
	/** Everything up to this key was seen. */
	above: Key | undefined;
	isAtEnd: boolean;
}

function isBefore(a: TaskRow, b: TaskRow): boolean {
	if (a.priority !== b.priority) return a.priority > b.priority;
	return a.dueAt! < b.dueAt! || (a.dueAt === b.dueAt && a.order < b.order);
}
