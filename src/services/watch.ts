/**
 * The changes of a registry: numbered, and told to those who watch, each at its own pace.
 *
 * @module
 */

import type { Entry, ServiceRecord } from "./entry.ts";
import { check, checkLimit, checkSignal } from "../platform/check.ts";
import { type Abortable, link, unlink } from "../platform/signals.ts";

/** One change of a service. */
export interface ServiceChange extends ServiceRecord {
	/**
	 * - `"added"`: it is there; also said of those that were there from the beginning;
	 * - `"updated"`: it has another state;
	 * - `"removed"`: it is gone.
	 */
	readonly type: "added" | "updated" | "removed";
	/**
	 * Who has been told this change, and those before it, knows all that had happened up to this revision; for
	 * {@link ServiceWatchOptions.since}. It never goes back.
	 */
	readonly revision: number;
}

/** What a watch can be told. */
export interface ServiceWatchOptions {
	/** Ends it. */
	signal?: AbortSignal | undefined;
	/**
	 * Leaves out what had happened up to this revision: the one of the last change that was seen by somebody who comes
	 * back. It then may begin with services that were removed, known to that somebody or not. @default 0, all
	 */
	since?: number | undefined;
	/**
	 * Ends the watch when more than this many changes wait to be taken, besides those that it began with. There is one at
	 * most for each id. @default Infinity
	 */
	maxWaiting?: number | undefined;
}

/** How many removed services are remembered, for those who come back. */
const memory = 1_000;

/** Numbers the changes of a registry, and knows who watches. */
export class Changes {
	/** The number of the last change. */
	revision = 0;
	readonly watches: Set<Watch> = new Set();
	/** Services that were removed, in the order of their removal, with its revision. */
	readonly removed: Map<string, { readonly record: ServiceRecord; readonly revision: number }> = new Map();
	/** What was removed up to here is forgotten. */
	#forgotten = 0;

	/** Whether all is known that has happened since. That is always so for 0: then only what is present counts. */
	knows(revision: number): boolean {
		return revision === 0 || (revision >= this.#forgotten && revision <= this.revision);
	}

	add(entry: Entry): void {
		this.#tell(entry, "added");
	}

	update(entry: Entry): void {
		this.#tell(entry, "updated");
	}

	remove(entry: Entry): void {
		this.#tell(entry, "removed");
		this.removed.delete(entry.id); // so that it comes last
		this.removed.set(entry.id, { record: entry.record, revision: this.revision });
		if (this.removed.size <= memory) return;
		const [id, { revision }] = this.removed.entries().next().value!;
		this.removed.delete(id);
		this.#forgotten = revision;
	}

	#tell(entry: Entry, type: ServiceChange["type"]): void {
		entry.changedAt = ++this.revision;
		if (type === "added") entry.addedAt = this.revision;
		for (const watch of this.watches) watch.note(entry, type);
	}
}

/** What somebody who watches has still to be told of one id. */
interface Pending {
	readonly id: string;
	/** The revision of the first change that it has not been told. */
	readonly first: number;
	/** The service that it knows by this id, if it is told to forget that. */
	gone: ServiceRecord | undefined;
	/** Whether the service of {@link entry} is one that it knows. */
	isKnown: boolean;
	/** What there is now by this id. */
	entry: Entry | undefined;
}

type Result = IteratorResult<ServiceChange, undefined>;

/**
 * One who watches. There is at most one {@link Pending} for each id, in the order of their first changes, so that nobody
 * waits for ever behind a service that changes all the time.
 *
 * It is written out because an async generator does not take a `return` while its `next` is pending.
 */
export class Watch implements AsyncIterableIterator<ServiceChange, undefined>, Abortable {
	readonly #changes: Changes;
	readonly #entries: () => Entry[];
	readonly #signal: AbortSignal | undefined;
	readonly #since: number;
	readonly #maxWaiting: number;
	/** How many may be pending. */
	#limit = Infinity;
	readonly #pending = new Map<string, Pending>();
	/** The pending one that has waited longest, and an iterator that stands behind it. */
	#head: Pending | undefined;
	#rest: Iterator<Pending, undefined> | undefined;
	/** Calls of `next` that have no change yet. */
	readonly #waiting: ((result: Result) => void)[] = [];
	#state: "new" | "open" | "over" = "new";

	constructor(
		changes: Changes,
		entries: () => Entry[],
		{ signal, since = 0, maxWaiting = Infinity }: ServiceWatchOptions,
	) {
		this.#changes = changes;
		this.#entries = entries;
		this.#signal = signal === undefined ? signal : checkSignal(signal);
		this.#since = check("since", since, "number");
		this.#maxWaiting = checkLimit("maxWaiting", maxWaiting);
	}

	[Symbol.asyncIterator](): this {
		return this;
	}

	async next(): Promise<Result> {
		if (this.#state === "new") this.#open();
		if (this.#state === "over") return { value: undefined, done: true };
		const change = this.#take();
		if (change !== undefined) return { value: change, done: false };
		return await new Promise((resolve) => void this.#waiting.push(resolve));
	}

	async return(): Promise<Result> {
		this.abort();
		return { value: undefined, done: true };
	}

	abort(): void {
		this.#state = "over";
		this.#changes.watches.delete(this);
		if (this.#signal !== undefined) unlink(this.#signal, this);
		this.#pending.clear();
		for (const resolve of this.#waiting.splice(0)) resolve({ value: undefined, done: true });
	}

	/** Notes a change, and tells it if somebody waits for one. */
	note(entry: Entry, type: ServiceChange["type"]): void {
		const { id, changedAt: first } = entry;
		const pending: Pending = this.#pending.get(id) ?? { id, first, gone: undefined, isKnown: true, entry };
		this.#pending.set(id, pending);
		if (type === "added") {
			pending.entry = entry;
			pending.isKnown = false;
		}
		if (type === "removed") {
			if (pending.isKnown) pending.gone = entry.record;
			else if (pending.gone === undefined) this.#pending.delete(id); // it has come and gone unseen
			pending.entry = undefined;
		}
		if (this.#waiting.length > 0) this.#tell();
		if (this.#pending.size > this.#limit) this.abort();
	}

	#tell(): void {
		const change = this.#take();
		if (change !== undefined) this.#waiting.shift()!({ value: change, done: false });
	}

	/** Only now, so that one that is never asked leaves nothing behind. */
	#open(): void {
		const since = this.#since;
		if (!this.#changes.knows(since)) throw new RangeError(`"since" must be a revision that is remembered: ${since}`);
		this.#state = "open";
		if (this.#signal?.aborted) return this.abort();
		if (this.#signal !== undefined) link(this.#signal, this);
		this.#changes.watches.add(this);
		const happened = this.#happenedSince(since);
		this.#limit = happened.length + this.#maxWaiting;
		for (const pending of happened) {
			const before = this.#pending.get(pending.id);
			if (before === undefined) this.#pending.set(pending.id, pending);
			else Object.assign(before, { isKnown: false, entry: pending.entry }); // another one of the same id
		}
	}

	/** In the order in which it has happened. Nobody has to forget what was removed before all began. */
	#happenedSince(since: number): Pending[] {
		const removed = since === 0 ? [] : [...this.#changes.removed.values()];
		const gone = removed.map(({ record, revision: first }) => {
			return { id: record.id, first, gone: record, isKnown: true, entry: undefined };
		});
		const present = this.#entries().map((entry) => {
			const { id, addedAt, changedAt } = entry;
			// One that is not known has missed its addition, however long ago it changed last.
			const isKnown = addedAt <= since;
			return { id, first: isKnown ? changedAt : addedAt, gone: undefined, isKnown, entry };
		});
		return [...gone, ...present].filter(({ first }) => first > since).sort((a, b) => a.first - b.first);
	}

	#take(): ServiceChange | undefined {
		const pending = this.#first();
		if (pending === undefined) return;
		const { id, gone, isKnown, entry } = pending;
		if (gone !== undefined && entry !== undefined) {
			// Two changes, the second of which stays pending.
			pending.gone = undefined;
			return this.#toChange("removed", gone);
		}
		this.#pending.delete(id);
		return this.#toChange(entry === undefined ? "removed" : isKnown ? "updated" : "added", gone ?? entry!.record);
	}

	#toChange(type: ServiceChange["type"], record: ServiceRecord): ServiceChange {
		const next = this.#first();
		return { type, ...record, revision: next === undefined ? this.#changes.revision : next.first - 1 };
	}

	/** A new iterator each time would take the longer the more was deleted before the first one. */
	#first(): Pending | undefined {
		if (this.#pending.size === 0) return this.#head = this.#rest = undefined;
		while (this.#head === undefined || this.#pending.get(this.#head.id) !== this.#head) {
			this.#rest ??= this.#pending.values();
			this.#head = this.#rest.next().value;
			if (this.#head === undefined) this.#rest = undefined; // it came to its end before the newest ones were added
		}
		return this.#head;
	}
}
