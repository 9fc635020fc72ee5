/**
 * Where the tasks of one basket in memory are found by claims.
 *
 * @module
 */

import type { Claim, ClaimRequest, KindLimit, Outcome, Pauses } from "./store.ts";
import { type Gate, Gates } from "./memory-gates.ts";
import { isBefore } from "./memory-line.ts";
import { baseOf } from "./variants.ts";
import type { Task } from "./memory-task.ts";
import { Heap } from "../platform/heap.ts";

/**
 * The tasks that can be claimed now or later. They are in a heap for their kind and priority, or behind the gate of
 * their kind and key, so a claim never looks at another kind, at a blocked task, or at more than the first task of a
 * heap. A running task stays in its heap until its lease ends, so a crashed task simply becomes due.
 */
export class TaskQueue {
	readonly #time: { readonly now: number };
	readonly #heaps = new Map<string, Map<number, Heap<Task>>>();
	readonly #gates = new Map<string, Gates<Task>>();
	/** The paused kinds; `undefined` pauses all of them. */
	readonly #paused = new Set<string | undefined>();
	/** All running tasks, if the basket has a limit. */
	running: Set<Task> | undefined;
	/** The gates at which claims have ended, with the number of tasks that were running. */
	readonly #left = new Map<Gate<Task>, number>();

	constructor(time: { readonly now: number }) {
		this.#time = time;
	}

	/** The number of pauses and of gates, which outlive tasks. */
	get size(): number {
		let size = this.#paused.size;
		for (const gates of this.#gates.values()) size += gates.size;
		return size;
	}

	/** The heap of a task that is behind no gate. */
	heapOf(kind: string, priority: number): Heap<Task> {
		let heaps = this.#heaps.get(kind);
		if (heaps === undefined) this.#heaps.set(kind, heaps = new Map());
		let heap = heaps.get(priority);
		if (heap === undefined) heaps.set(priority, heap = new Heap());
		return heap;
	}

	/** Puts a task where claims find it, or moves it. */
	put(task: Task): void {
		const { kind, limitKey, priority, state, gate: before } = task;
		if (limitKey === undefined && before === undefined) return task.heap.put(task);
		const gate = limitKey === undefined ? undefined : this.#gatesOf(kind).of(limitKey);
		const line = state === "running" ? gate?.claimed : gate?.waiting;
		const heap = line?.heapOf(priority) ?? this.heapOf(kind, priority);
		if (task.heap !== heap) task.heap.remove(task);
		task.heap = heap;
		task.gate = gate;
		heap.put(task);
		if (before !== gate) this.#update(kind, before);
		this.#update(kind, gate);
	}

	/** Removes a task, so that claims do not find it. */
	remove(task: Task): void {
		const { kind, gate } = task;
		task.heap.remove(task);
		if (gate === undefined) return;
		task.gate = undefined;
		task.heap = this.heapOf(kind, task.priority);
		this.#update(kind, gate);
	}

	/** Calls `begin` with one task after the other. It makes the task running, or puts it behind another gate. */
	claim(
		{ kinds, limit: most }: ClaimRequest,
		limits: readonly KindLimit[] | undefined,
		begin: (task: Task) => Claim | undefined,
	): Claim[] {
		const { now } = this.#time;
		const claims: Claim[] = [];
		const heaps = this.#heapsOf(kinds);
		const gated = [...this.#gatesFor(kinds)].map(([kind, gates]) => {
			gates.limitTo(limits?.find((limit) => limit.kind === kind), now);
			return gates;
		});
		while (claims.length < most) {
			let first: Task | undefined;
			for (const { head } of heaps) {
				if (head !== undefined && head.at <= now && (first === undefined || isBefore(head, first))) first = head;
			}
			for (const gates of gated) {
				const task = gates.first(now);
				if (task !== undefined && (first === undefined || isBefore(task, first))) first = task;
				gates.pass();
			}
			if (first === undefined) break;
			const claim = begin(first);
			if (claim !== undefined) claims.push(claim);
		}
		return claims;
	}

	/** The time until the first task of these kinds can be claimed. */
	dueIn(kinds: readonly string[]): number {
		const { now } = this.#time;
		let first = this.#heapsOf(kinds).reduce((least, { head }) => Math.min(least, head?.at ?? Infinity), Infinity);
		for (const [, gates] of this.#gatesFor(kinds)) first = Math.min(first, gates.dueAt(now));
		return Math.max(0, first - now);
	}

	/** A claim of this task has begun. It is put afterwards. */
	start(task: Task): void {
		this.running?.add(task);
		if (task.limitKey === undefined) return;
		const gates = this.#gatesOf(task.kind);
		gates.start(task, gates.of(task.limitKey), this.#time.now);
	}

	/** A claim of this task has ended, with this outcome if it was settled. */
	end(task: Task, outcome?: Outcome): void {
		const { kind, limitKey } = task;
		this.running?.delete(task);
		if (limitKey === undefined) return;
		const gate = this.#gatesOf(kind).of(limitKey);
		if (!this.#left.has(gate)) this.#left.set(gate, gate.running.size);
		gate.end(task, outcome?.type === "release" && outcome.delay === undefined);
		if (outcome !== undefined && "isKeyShut" in outcome && outcome.isKeyShut) {
			gate.shut(this.#time.now + (outcome.delay ?? 0));
		}
		this.#update(kind, gate);
	}

	/** Whether others may wait for a place that has become free since the last call, and was not taken. */
	takeLeft(): boolean {
		const isLeft = [...this.#left].some(([{ running, waiting }, before]) => running.size < before && !waiting.isEmpty);
		this.#left.clear();
		return isLeft;
	}

	/** Removes the gates whose tasks and starts no longer matter. */
	sweep(): void {
		for (const gates of this.#gates.values()) gates.sweep(this.#time.now);
	}

	pause(kind: string | undefined, isPaused: boolean): boolean {
		return isPaused ? this.#paused.size < this.#paused.add(kind).size : this.#paused.delete(kind);
	}

	pauses(): Pauses {
		const kinds = [...this.#paused].filter((kind) => kind !== undefined).sort();
		return { all: this.#paused.has(undefined), kinds };
	}

	#isPaused(kind: string): boolean {
		return this.#paused.has(kind) || this.#paused.has(baseOf(kind));
	}

	#update(kind: string, gate: Gate<Task> | undefined): void {
		if (gate !== undefined) this.#gatesOf(kind).update(gate, this.#time.now);
	}

	#gatesOf(kind: string): Gates<Task> {
		let gates = this.#gates.get(kind);
		if (gates === undefined) this.#gates.set(kind, gates = new Gates());
		return gates;
	}

	#heapsOf(kinds: readonly string[]): Heap<Task>[] {
		if (this.#paused.has(undefined)) return [];
		return kinds.flatMap((kind) => this.#isPaused(kind) ? [] : [...this.#heaps.get(kind)?.values() ?? []]);
	}

	/** The gates of the kinds that are not paused. */
	*#gatesFor(kinds: readonly string[]): Iterable<[string, Gates<Task>]> {
		if (this.#gates.size === 0 || this.#paused.has(undefined)) return;
		for (const kind of new Set(kinds)) {
			const gates = this.#isPaused(kind) ? undefined : this.#gates.get(kind);
			if (gates !== undefined) yield [kind, gates];
		}
	}
}
