/**
 * The tasks of one kind in memory, some of them behind the gates of its limit: see **Limits** in `store.ts`.
 *
 * @module
 */

import type { KindLimit } from "./store.ts";
import { earlier, Line, type Queued } from "./memory-line.ts";
import { Heap, type Placed } from "../platform/heap.ts";

/** A start that its limit has counted. */
interface Start {
	readonly at: number;
	readonly spacing: number;
}

/** The tasks of one key, and when the next of them may start. */
export class Gate<T extends Queued> implements Placed {
	at = 0;
	position = -1;
	readonly order: number;
	readonly key: string;
	/** The heap that it belongs to when it is in a heap. */
	heap: Heap<Gate<T>>;
	/** Tasks that need a place. */
	readonly waiting: Line<T> = new Line();
	/** Running tasks by the ends of their leases. The claim that takes one up needs no other place. */
	readonly claimed: Line<T> = new Line();
	/** All running tasks of this key, also held ones, with their starts. */
	readonly running: Map<T, Start | undefined> = new Map();
	#next = -Infinity;
	#lastAt = -Infinity;
	#shutUntil = -Infinity;

	constructor(key: string, order: number, heap: Heap<Gate<T>>) {
		this.key = key;
		this.order = order;
		this.heap = heap;
	}

	/** The instant from which the gate is as good as a new one; `Infinity` while it has tasks. */
	get goneAt(): number {
		const isUsed = this.running.size > 0 || !this.waiting.isEmpty || !this.claimed.isEmpty;
		return isUsed ? Infinity : Math.max(this.#next, this.#shutUntil);
	}

	/** The instant at which a task may start, as far as that is known. */
	readyAt(limit: KindLimit | undefined): number {
		const waitingAt = this.#hasPlace(limit) ? this.waiting.dueAt : Infinity;
		return Math.max(Math.min(waitingAt, this.claimed.dueAt), this.#opensAt(limit));
	}

	/** The task that may start now. */
	first(limit: KindLimit | undefined, now: number): T | undefined {
		if (this.#opensAt(limit) > now) return undefined;
		return earlier(this.claimed.first(now), this.#hasPlace(limit) ? this.waiting.first(now) : undefined);
	}

	start(task: T, limit: KindLimit | undefined, now: number): void {
		const spacing = limit?.spacing ?? 0;
		this.running.set(task, spacing > 0 ? { at: now, spacing } : undefined);
		if (spacing === 0) return;
		this.#next = Math.max(now, this.#next) + spacing;
		this.#lastAt = now;
	}

	/** A task runs no longer. `isTakenBack` means that its start counts no more. */
	end(task: T, isTakenBack: boolean): void {
		const start = this.running.get(task);
		this.running.delete(task);
		// A later start was allowed in spite of this one: without it, too much could start.
		if (isTakenBack && start?.at === this.#lastAt) this.#next -= start.spacing;
	}

	shut(until: number): void {
		this.#shutUntil = Math.max(this.#shutUntil, until);
	}

	#hasPlace(limit: KindLimit | undefined): boolean {
		return this.running.size < (limit?.atOnce ?? Infinity);
	}

	#opensAt(limit: KindLimit | undefined): number {
		if (limit === undefined) return -Infinity;
		const { spacing, burst } = limit;
		return spacing > 0 ? Math.max(this.#shutUntil, this.#next - (burst - 1) * spacing) : this.#shutUntil;
	}
}

/**
 * The tasks of a kind: those without a key, and those behind gates. Each gate is in the heap for its state:
 *
 * - *open*: a task may start. These gates are served in turn;
 * - *closed*: a task may start at an instant that is known;
 * - *idle*: the gate has no tasks, and is removed when its last starts no longer matter;
 * - none: nothing starts before something ends or is added.
 */
export class KindQueue<T extends Queued> {
	readonly kind: string;
	/** The tasks that are behind no gate. */
	readonly free: Line<T> = new Line();
	#limit: KindLimit | undefined;
	readonly #gates = new Map<string, Gate<T>>();
	/** By the number of their turn. */
	readonly #open = new Heap<Gate<T>>();
	readonly #closed = new Heap<Gate<T>>();
	readonly #idle = new Heap<Gate<T>>();
	#orders = 0;
	#turns = 0;

	constructor(kind: string) {
		this.kind = kind;
	}

	/** The number of gates. */
	get size(): number {
		return this.#gates.size;
	}

	/** Returns the gate of a key. A new one is to be updated after it is used. */
	gateOf(key: string): Gate<T> {
		let gate = this.#gates.get(key);
		if (gate === undefined) this.#gates.set(key, gate = new Gate(key, ++this.#orders, this.#idle));
		return gate;
	}

	/** Heeds this limit from now on. Only another one than before costs time. */
	limitTo(limit: KindLimit | undefined, now: number): void {
		const { atOnce, spacing, burst } = this.#limit ?? {};
		this.#limit = limit;
		if (limit?.atOnce === atOnce && limit?.spacing === spacing && limit?.burst === burst) return;
		for (const gate of this.#gates.values()) this.update(gate, now);
	}

	/** The task that may start now: the first one that is behind no gate, or that of the gate whose turn it is. */
	first(now: number): T | undefined {
		const free = this.free.first(now);
		this.#updateDue(this.#closed, now);
		for (let gate: Gate<T> | undefined; (gate = this.#open.head) !== undefined;) {
			const task = gate.first(this.#limit, now);
			if (task !== undefined) return earlier(free, task);
			this.update(gate, now); // the clock was set back
		}
		return free;
	}

	/** The next gate has its turn: also if its task was not the one that was claimed. */
	pass(): void {
		const gate = this.#open.head;
		if (gate !== undefined) this.#move(gate, this.#open, ++this.#turns);
	}

	start(task: T, key: string, now: number): void {
		this.gateOf(key).start(task, this.#limit, now);
	}

	/** The instant at which a task may start. */
	dueAt(now: number): number {
		return this.first(now) === undefined ? Math.min(this.free.dueAt, this.#closed.head?.at ?? Infinity) : now;
	}

	/** Removes idle gates. */
	sweep(now: number): void {
		this.#updateDue(this.#idle, now);
	}

	/** Puts a gate where it belongs after a change. */
	update(gate: Gate<T>, now: number): void {
		const { goneAt } = gate;
		if (goneAt < Infinity) return this.#retire(gate, goneAt, now);
		const readyAt = gate.readyAt(this.#limit);
		if (readyAt === Infinity) gate.heap.remove(gate);
		else if (readyAt > now) this.#move(gate, this.#closed, readyAt);
		else if (gate.heap !== this.#open || gate.position < 0) this.#move(gate, this.#open, ++this.#turns);
	}

	/** Updates the gates of a heap whose instant has come. */
	#updateDue(heap: Heap<Gate<T>>, now: number): void {
		for (let gate: Gate<T> | undefined; (gate = heap.head) !== undefined && gate.at <= now;) this.update(gate, now);
	}

	#retire(gate: Gate<T>, goneAt: number, now: number): void {
		if (goneAt > now) return this.#move(gate, this.#idle, goneAt);
		gate.heap.remove(gate);
		this.#gates.delete(gate.key);
	}

	#move(gate: Gate<T>, heap: Heap<Gate<T>>, at: number): void {
		if (gate.heap !== heap) gate.heap.remove(gate);
		gate.heap = heap;
		gate.at = at;
		heap.put(gate);
	}
}
