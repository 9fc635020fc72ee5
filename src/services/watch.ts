/**
 * The numbered changes of a registry, delivered to each watch at its own pace.
 *
 * @module
 */

import type { Entry, ServiceRecord } from "./entry.ts";
import { check, checkLimit, checkSignal } from "../platform/check.ts";
import { type Abortable, link, unlink } from "../platform/signals.ts";

/** A change of a service. */
export interface ServiceChange extends ServiceRecord {
	/**
	 * - `"added"`: the service exists; also reported for services that existed at the beginning;
	 * - `"updated"`: its state has changed;
	 * - `"removed"`: it no longer exists.
	 */
	readonly type: "added" | "updated" | "removed";
	/**
	 * After this change, a consumer knows everything up to this revision; see {@link ServiceWatchOptions.since}. It
	 * never decreases.
	 */
	readonly revision: number;
}

/** Options for {@link Services.watch}. */
export interface ServiceWatchOptions {
	/** Ends the watch. */
	signal?: AbortSignal | undefined;
	/**
	 * Skips all changes up to this revision: that of the last change which a returning consumer has seen. The watch
	 * may then begin with removed services that the consumer did not know. @default 0, all changes
	 */
	since?: number | undefined;
	/**
	 * Ends the watch if more than this many changes are pending, in addition to those that it began with. At most one
	 * change per id is pending. @default Infinity
	 */
	maxWaiting?: number | undefined;
}

/** The number of removed services that are remembered for returning consumers. */
const memory = 1_000;

/** Numbers the changes of a registry, and holds its watches. */
export class Changes {
	/** The number of the last change. */
	revision = 0;
	readonly watches: Set<Watch> = new Set();
	/** The removed services in the order of their removal, with its revision. */
	readonly removed: Map<string, { readonly record: ServiceRecord; readonly revision: number }> = new Map();
	/** Removals up to this revision are forgotten. */
	#forgotten = 0;

	/**
	 * Whether all changes since the revision are known. This is always true for 0, which needs the present services
	 * only.
	 */
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
		this.removed.delete(entry.id); // so that it becomes the last one
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

/** The pending change of one id for one watch. */
interface Pending {
	readonly id: string;
	/** The revision of the first change that was not delivered. */
	readonly first: number;
	/** The service with this id that the consumer knows, if it is to be reported as removed. */
	gone: ServiceRecord | undefined;
	/** Whether the consumer knows the service of {@link entry}. */
	isKnown: boolean;
	/** The present service with this id. */
	entry: Entry | undefined;
}

type Result = IteratorResult<ServiceChange, undefined>;

/**
 * The iterator of one consumer. It holds at most one {@link Pending} per id, in the order of the first changes, so
 * that a service that changes all the time cannot starve the others.
 *
 * It is not an async generator, because a generator cannot handle `return` while a `next` is pending.
 */
export class Watch implements AsyncIterableIterator<ServiceChange, undefined>, AsyncDisposable, Abortable {
	readonly #changes: Changes;
	readonly #entries: () => Entry[];
	readonly #signal: AbortSignal | undefined;
	readonly #since: number;
	readonly #maxWaiting: number;
	/** The maximum number of pending changes. */
	#limit = Infinity;
	readonly #pending = new Map<string, Pending>();
	/** The oldest pending change, and an iterator positioned after it. */
	#head: Pending | undefined;
	#rest: Iterator<Pending, undefined> | undefined;
	/** Calls of `next` that wait for a change. */
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

	async [Symbol.asyncDispose](): Promise<void> {
		this.abort();
	}

	async return(): Promise<Result> {
		this.abort();
		return { value: undefined, done: true };
	}

	abort(): void {
		this.#state = "over";
		this.#changes.watches.delete(this);
		unlink(this.#signal, this);
		this.#pending.clear();
		for (const resolve of this.#waiting.splice(0)) resolve({ value: undefined, done: true });
	}

	/** Records a change, and delivers it if a call of `next` waits. */
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
			else if (pending.gone === undefined) this.#pending.delete(id); // it was added and removed unseen
			pending.entry = undefined;
		}
		if (this.#waiting.length > 0) this.#tell();
		if (this.#pending.size > this.#limit) this.abort();
	}

	#tell(): void {
		const change = this.#take();
		if (change !== undefined) this.#waiting.shift()!({ value: change, done: false });
	}

	/** Done at the first `next`, so that an iterator that is never used leaves nothing behind. */
	#open(): void {
		const since = this.#since;
		if (!this.#changes.knows(since)) throw new RangeError(`"since" must be a revision that is remembered: ${since}`);
		this.#state = "open";
		if (this.#signal?.aborted) return this.abort();
		link(this.#signal, this);
		this.#changes.watches.add(this);
		const happened = this.#happenedSince(since);
		this.#limit = happened.length + this.#maxWaiting;
		for (const pending of happened) {
			const before = this.#pending.get(pending.id);
			if (before === undefined) this.#pending.set(pending.id, pending);
			else Object.assign(before, { isKnown: false, entry: pending.entry }); // another service with the same id
		}
	}

	/** The changes in order. At the beginning, removed services need not be reported. */
	#happenedSince(since: number): Pending[] {
		const removed = since === 0 ? [] : [...this.#changes.removed.values()];
		const gone = removed.map(({ record, revision: first }) => {
			return { id: record.id, first, gone: record, isKnown: true, entry: undefined };
		});
		const present = this.#entries().map((entry) => {
			const { id, addedAt, changedAt } = entry;
			// The consumer has missed the addition of a service added later, however long ago its last change is.
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
			// Two changes; the second one stays pending.
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

	/** A new iterator each time would have to skip all deleted entries before the first one. */
	#first(): Pending | undefined {
		if (this.#pending.size === 0) return this.#head = this.#rest = undefined;
		while (this.#head === undefined || this.#pending.get(this.#head.id) !== this.#head) {
			this.#rest ??= this.#pending.values();
			this.#head = this.#rest.next().value;
			if (this.#head === undefined) this.#rest = undefined; // it ended before the newest entries were added
		}
		return this.#head;
	}
}
