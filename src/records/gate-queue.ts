/**
 * The queue of the gates that may be open: those that are ready, those whose tasks were changed, and those that wait
 * because of a limit that no longer holds.
 *
 * @module
 */

import type { KindLimit } from "../basket/store.ts";
import { amended, nameOf, newGate, readySince } from "./gates.ts";
import { isGate } from "./row.ts";
import type { Session } from "./session.ts";
import { type Key, Stray, type Work } from "./space.ts";
import { type GateRow, gates, type NoteRow } from "./tables.ts";
import { ask, get, range } from "./work.ts";

/** The limits of the kinds that may have gates. */
export type Limits = Map<string, KindLimit>;

/** The number of gates per read. */
const page = 20;

/** What makes the turn of a gate later. Much smaller, it would be lost beside the milliseconds since 1970. */
const step = 0.001;

type GateName = Pick<GateRow, "kind" | "limitKey">;

/** The limits of a turn. The other kinds that have gates have a burst of 0, and no limit. */
export function limitsOf(given: readonly KindLimit[] | undefined, gated: readonly unknown[]): Limits {
	const limits = new Map((given ?? []).map((limit) => [limit.kind, limit]));
	addGated(limits, gated);
	return limits;
}

/** Adds kinds that have gates. */
export function addGated(limits: Limits, kinds: readonly unknown[]): void {
	for (const kind of kinds) {
		if (typeof kind !== "string" || limits.has(kind)) continue;
		limits.set(kind, { kind, atOnce: Infinity, spacing: 0, burst: 0 });
	}
}

/** The text of a limit, which is empty if the kind has none. */
export function textOf({ atOnce, spacing, burst }: KindLimit): string {
	return burst > 0 ? `${atOnce} ${spacing} ${burst}` : "";
}

/** A gate that may be open. */
export interface Queued {
	/** As found. */
	readonly before: GateRow | Stray | undefined;
	/** With the changes of this transaction. */
	readonly row: GateRow;
	readonly limit: KindLimit;
	readonly notes: readonly NoteRow[];
	/** Its place in the queue. */
	readonly at: number;
}

/** A range of gates, the first of which are in memory. */
interface Source {
	readonly limit: KindLimit;
	/** The range has the gates that are ready by this limit; if undefined, those with other limits. */
	readonly by: string | undefined;
	/** The range ends before this limit. */
	readonly end: string | undefined;
	readonly prefix: Key;
	readonly rows: Queued[];
	above: Key | undefined;
	isAtEnd: boolean;
}

/** The gates that may be open, in turn. */
export class GateQueue {
	/** The time until one of the gates that are not open is ready. */
	nextIn: number = Infinity;
	/** The last turn of all gates that were found. */
	turn: number;
	readonly #session: Session;
	readonly #limits: Limits;
	readonly #sources: readonly Source[];
	/** The gates that must be looked at because of a change, whatever their rows say. */
	readonly #changed: Queued[] = [];
	readonly #known = new Set<string>();
	readonly #isDry: boolean;

	/** @param isDry whether nothing is changed */
	constructor(session: Session, limits: readonly KindLimit[], isDry: boolean) {
		this.#session = session;
		this.#isDry = isDry;
		this.turn = session.now;
		this.#limits = new Map(limits.map((limit) => [limit.kind, limit]));
		this.#sources = limits.flatMap(toSources);
	}

	/** Must be called before {@link next}. Removes at most so many idle gates that are no longer needed, and returns their number. */
	*open(most: number): Work<number> {
		const { now, tx } = this.#session;
		const notes = yield* this.#session.findNotes([...this.#limits.keys()]);
		yield* this.#add(notes);
		// Workers that remove the same ones at the same time would conflict again and again.
		if (this.#isDry || tx.attempt > 0) return 0;
		const [idle] = yield* ask(range(gates, "idle", { prefix: [], upTo: [now], limit: most }));
		for (const one of idle) {
			if (one instanceof Stray && tx.drop !== undefined) tx.drop(gates, one);
			else tx.remove(gates, one);
		}
		return idle.length;
	}

	/** The next gates, at most so many. */
	*next(most: number): Work<Queued[]> {
		const next: Queued[] = [];
		while (next.length < most) {
			yield* this.#fill(page);
			const lists = [this.#changed, ...this.#sources.map(({ rows }) => rows)].filter(({ length }) => length > 0);
			const [first] = lists.sort(([a], [b]) => a!.at - b!.at || a!.row.turn - b!.row.turn);
			if (first === undefined) break;
			const gate = first.shift()!;
			if (!this.#isDry) this.#session.marks.delete(gate.row);
			next.push(gate);
		}
		return next;
	}

	/** Whether there are more gates. */
	*hasMore(): Work<boolean> {
		yield* this.#fill(1);
		return this.#changed.length > 0 || this.#sources.some(({ rows }) => rows.length > 0);
	}

	/** Adds the gates that this transaction or notes have marked. */
	*#add(notes: readonly NoteRow[], strays: readonly GateName[] = []): Work<void> {
		const { marks, now, tx, settings } = this.#session;
		const marked = marks.list(this.#limits);
		const names = new Map(
			[...marked, ...notes, ...strays].map(({ kind, limitKey }) => [nameOf(kind, limitKey), [kind, limitKey]]),
		);
		const all = [...names].filter(([name]) => !this.#known.has(name));
		if (all.length === 0) return;
		const [rows] = yield* ask(get(gates, all.map(([, key]) => key)));
		all.forEach(([name, [kind, limitKey]], index) => {
			this.#known.add(name);
			const before = rows[index];
			const isOwn = (one: { kind: string; limitKey: string }) => one.kind === kind && one.limitKey === limitKey;
			const found = isGate(before) ? before : newGate(kind!, limitKey!);
			const mark = marked.find(isOwn);
			const row = mark === undefined ? found : amended(found, mark);
			const own = notes.filter(isOwn);
			const noted = own.reduce((least, { at }) => Math.min(least, at), now);
			const isReady = row.by === "" && !row.isIdle;
			// Whoever adds often must not come before others again and again.
			const at = Math.min(now, isReady ? readySince(row) : Math.max(noted, row.turn));
			this.#changed.push({ before, row, limit: this.#limits.get(kind!)!, notes: own, at });
			this.#see(row);
		});
		this.#changed.sort((a, b) => a.at - b.at || a.row.turn - b.row.turn);
		if (tx.attempt > 0) this.#skip(this.#changed, settings.random());
	}

	/** Reads until each source has a gate, or has no more. */
	*#fill(limit: number): Work<void> {
		const { tx, settings } = this.#session;
		for (let empty; (empty = this.#sources.filter(({ rows, isAtEnd }) => !rows.length && !isAtEnd)).length > 0;) {
			const found = yield* ask(
				...empty.map(({ prefix, above }) => range(gates, "ready", { prefix, above, limit })),
			);
			const strays: GateName[] = [];
			empty.forEach((source, index) => {
				const rows = found[index]!;
				source.isAtEnd = !rows.every((one) => this.#put(source, one, strays)) || rows.length < limit;
				if (tx.attempt > 0) this.#skip(source.rows, settings.random());
			});
			if (strays.length > 0) yield* this.#add([], strays);
		}
	}

	/** Returns whether gates after this one belong to the source. */
	#put(source: Source, one: GateRow | Stray, strays: GateName[]): boolean {
		const { by, end, limit, rows } = source;
		const { now, tx } = this.#session;
		if (!isGate(one)) {
			const { entry, key } = one as Stray;
			const [[kind], limitKey] = [key, key[1]];
			const name = entry === undefined ? [kind, limitKey] : [entry.key[0], entry.key.at(-1)];
			if (!this.#isDry && one instanceof Stray) tx.drop?.(gates, one);
			source.above = entry?.key;
			strays.push({ kind: String(name[0]), limitKey: String(name[1]) });
			return entry !== undefined;
		}
		this.#see(one);
		source.above = gates.indexes["ready"]!.keyOf(one);
		if (end !== undefined && one.by >= end) return false;
		const name = nameOf(one.kind, one.limitKey);
		if (this.#known.has(name)) return true;
		if (by !== undefined && one.readyAt > now) {
			this.nextIn = Math.min(this.nextIn, one.readyAt - now);
			return false;
		}
		this.#known.add(name);
		rows.push({ before: one, row: one, limit, notes: [], at: Math.min(readySince(one), now) });
		return true;
	}

	/** After a conflict with others that serve the same gates, it begins elsewhere. */
	#skip(rows: Queued[], random: number): void {
		const skipped = Math.floor(random * rows.length);
		if (skipped === 0) return;
		rows.splice(0, skipped);
		this.nextIn = 0;
	}

	#see({ turn }: GateRow): void {
		this.turn = Math.max(this.turn, turn + step);
	}
}

/** The ranges of gates of a kind: ready, ready at an instant without a limit or by the current one, or by another one. */
function toSources(limit: KindLimit): Source[] {
	const { kind } = limit;
	const text = textOf(limit);
	const source = (by: string | undefined, prefix: Key, above?: Key, end?: string): Source => (
		{ limit, by, prefix, above, end, isAtEnd: false, rows: [] }
	);
	const own = [source("", [kind, "", 0]), source("", [kind, ""], [kind, "", 0])];
	const others = source(undefined, [kind], [kind, text]);
	if (text === "") return [...own, others];
	return [...own, source(text, [kind, text]), source(undefined, [kind], [kind, ""], text), others];
}
