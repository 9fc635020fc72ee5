/**
 * Where the tasks of one basket in memory are found by claims.
 *
 * @module
 */

import type { Claim, ClaimRequest, KindLimit, Outcome, Pauses } from "./store.ts";
import { type Gate, KindQueue } from "./memory-gates.ts";
import { earlier } from "./memory-line.ts";
import { baseOf } from "./variants.ts";
import type { Task } from "./memory-task.ts";
import type { Heap } from "../platform/heap.ts";

/**
 * The tasks that can be claimed now or later. They are in a heap for their kind and priority, or behind the gate of
 * their kind and key, so a claim never looks at another kind, at a blocked task, or at more than the first task of a
 * heap. A running task stays in its heap until its lease ends, so a crashed task simply becomes due.
 */
export class TaskQueue {
	readonly #time: { readonly now: number };
	readonly #queues = new Map<string, KindQueue<Task>>();
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
		for (const queue of this.#queues.values()) size += queue.size;
		return size;
	}

	/** The heap of a task that is behind no gate. */
	heapOf(kind: string, priority: number): Heap<Task> {
		return this.#queueOf(kind).free.heapOf(priority);
	}

	/** Puts a task where claims find it, or moves it. */
	put(task: Task): void {
		const { kind, limitKey, priority, state, gate: before } = task;
		if (limitKey === undefined && before === undefined) return task.heap.put(task);
		const queue = this.#queueOf(kind);
		const gate = limitKey === undefined ? undefined : queue.gateOf(limitKey);
		const line = gate === undefined ? queue.free : state === "running" ? gate.claimed : gate.waiting;
		const heap = line.heapOf(priority);
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
		const open = this.#open(kinds);
		for (const queue of open) queue.limitTo(limits?.find(({ kind }) => kind === queue.kind), now);
		while (claims.length < most) {
			let first: Task | undefined;
			for (const queue of open) {
				first = earlier(first, queue.first(now));
				queue.pass();
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
		const first = this.#open(kinds).reduce((least, queue) => Math.min(least, queue.dueAt(now)), Infinity);
		return Math.max(0, first - now);
	}

	/** A claim of this task has begun. It is put afterwards. */
	start(task: Task): void {
		this.running?.add(task);
		if (task.limitKey === undefined) return;
		this.#queueOf(task.kind).start(task, task.limitKey, this.#time.now);
	}

	/** A claim of this task has ended, with this outcome if it was settled. */
	end(task: Task, outcome?: Outcome): void {
		const { kind, limitKey } = task;
		this.running?.delete(task);
		if (limitKey === undefined) return;
		const gate = this.#queueOf(kind).gateOf(limitKey);
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
		for (const queue of this.#queues.values()) queue.sweep(this.#time.now);
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
		if (gate !== undefined) this.#queueOf(kind).update(gate, this.#time.now);
	}

	#queueOf(kind: string): KindQueue<Task> {
		let queue = this.#queues.get(kind);
		if (queue === undefined) this.#queues.set(kind, queue = new KindQueue(kind));
		return queue;
	}

	/** The tasks of the kinds that are not paused. */
	#open(kinds: readonly string[]): KindQueue<Task>[] {
		if (this.#paused.has(undefined)) return [];
		return [...new Set(kinds)].flatMap((kind) => this.#isPaused(kind) ? [] : this.#queues.get(kind) ?? []);
	}
}
