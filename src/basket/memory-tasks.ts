/**
 * The tasks of one basket in memory.
 *
 * @module
 */

import type {
	Added,
	Change,
	Claim,
	ClaimRequest,
	Counts,
	Data,
	ListQuery,
	Message,
	NewTask,
	Outcome,
	Ref,
	Save,
	StoredTask,
	TaskState,
} from "./store.ts";
import { Heap, type Placed } from "../platform/heap.ts";

/** One stored task. Its order never changes: one that begins anew becomes another. */
class Task implements Placed {
	/** When it is due, its lease ends, or it is removed; `Infinity` if only a message makes it due. */
	at: number;
	position = -1;
	readonly order: number;
	readonly id: string;
	readonly kind: string;
	readonly priority: number;
	readonly lane: string | undefined;
	readonly addedAt: number;
	payload: Data;
	state: Exclude<TaskState, "held"> = "waiting";
	isHeld = false;
	/** It waits because it has failed, and nothing but that. */
	isBackingOff = false;
	/** Of its claim, while it is running. */
	token: string | undefined;
	attempts = 0;
	crashes = 0;
	error: string | undefined;
	progress: string | undefined;
	inbox: Message[] = [];
	/** How many messages there were. */
	posted = 0;
	/** The heap that it is in when it is in one. */
	heap: Heap<Task>;
	/** The one before it in its lane: as long as there is one, it is blocked. */
	previous: Task | undefined;
	/** The one behind it in its lane. */
	next: Task | undefined;

	constructor(
		{ kind, payload, delay, priority, lane }: NewTask,
		id: string,
		order: number,
		now: number,
		heap: Heap<Task>,
	) {
		this.at = now + delay;
		this.order = order;
		this.id = id;
		this.kind = kind;
		this.priority = priority;
		this.lane = lane;
		this.addedAt = now;
		this.payload = copy(payload);
		this.heap = heap;
	}
}

/**
 * All tasks of a basket. What can be claimed now or later stands in a heap for its kind and priority, so that no claim ever
 * looks at another kind, at a blocked task, or at more than the first of a heap; a running task stands there until its lease
 * ends, which makes a crashed one simply due.
 */
export class MemoryTasks {
	/** Those who want to know that something may be due. */
	readonly watchers: Set<() => void> = new Set();
	readonly #byId = new Map<string, Task>();
	/** In the order added. Still has the removed ones, until they are the most. */
	#log: Task[] = [];
	readonly #heaps = new Map<string, Map<number, Heap<Task>>>();
	/** Those that are done and kept. */
	readonly #kept = new Heap<Task>();
	/** The last task of each lane. */
	readonly #lanes = new Map<string, Task>();
	readonly #number: () => number;
	#isStirred = false;

	/** `number` gives a number that is higher than all before it, also than those of other baskets of this name. */
	constructor(number: () => number) {
		this.#number = number;
	}

	/** Whether it can be forgotten. */
	get isUnused(): boolean {
		return this.#byId.size + this.watchers.size === 0;
	}

	add(task: NewTask, now: number): Added {
		const order = this.#number();
		const { id = "_" + order } = task;
		if (this.#byId.has(id)) return { id, added: false };
		this.#insert(new Task(task, id, order, now, this.#heapOf(task)));
		return { id, added: true };
	}

	settle(ref: Ref, outcome: Outcome, now: number): boolean {
		const task = this.#running(ref);
		if (task === undefined) return false;
		task.token = undefined;
		if (outcome.payload !== undefined) task.payload = copy(outcome.payload);
		if (outcome.type === "done") this.#finish(task, outcome.keep, now);
		else if (outcome.type === "dead") this.#bury(task, outcome);
		else this.#wait(task, outcome, now);
		return true;
	}

	/** Removes tasks that were kept long enough, at most `limit`. */
	expire(limit: number, now: number): void {
		for (let { head } = this.#kept; head !== undefined && head.at <= now && limit-- > 0; { head } = this.#kept) {
			this.#remove(head);
		}
	}

	claim({ kinds, limit }: ClaimRequest, lease: number, now: number): Claim[] {
		const claims: Claim[] = [];
		const heaps = this.#heapsOf(kinds);
		while (claims.length < limit) {
			let first: Task | undefined;
			for (const { head } of heaps) {
				if (head !== undefined && head.at <= now && (first === undefined || isBefore(head, first))) first = head;
			}
			if (first === undefined) break;
			claims.push(this.#begin(first, lease, now));
		}
		return claims;
	}

	/** When the first task of these kinds can be claimed. */
	dueAt(kinds: readonly string[]): number {
		return this.#heapsOf(kinds).reduce((least, { head }) => Math.min(least, head?.at ?? Infinity), Infinity);
	}

	extend(ref: Ref, lease: number, now: number): "ok" | "lost" | "posted" {
		const task = this.#running(ref);
		if (task === undefined) return "lost";
		this.#place(task, now + lease);
		return task.inbox.length > 0 ? "posted" : "ok";
	}

	save({ ref, payload, progress, seen = 0 }: Save): boolean {
		const task = this.#running(ref);
		if (task === undefined) return false;
		if (payload !== undefined) task.payload = copy(payload);
		if (progress !== undefined) task.progress = progress;
		forget(task, seen);
		return true;
	}

	get(id: string): (StoredTask & { readonly inbox: readonly Message[] }) | undefined {
		const task = this.#byId.get(id);
		return task && { ...show(task), inbox: copyInbox(task) };
	}

	list({ state, kind, after = "0", limit }: ListQuery): StoredTask[] {
		const found: StoredTask[] = [];
		for (let index = this.#behind(Number(after)); index < this.#log.length && found.length < limit; index++) {
			const task = this.#log[index]!;
			const isWanted = (state ?? stateOf(task)) === stateOf(task) && (kind ?? task.kind) === task.kind;
			if (isWanted && this.#byId.get(task.id) === task) found.push(show(task));
		}
		return found;
	}

	counts(): Counts {
		const counts = { waiting: 0, running: 0, held: 0, dead: 0, done: 0 };
		for (const task of this.#byId.values()) counts[stateOf(task)]++;
		return counts;
	}

	delete(id: string): boolean {
		const task = this.#byId.get(id);
		if (task === undefined) return false;
		this.#remove(task);
		return true;
	}

	change(id: string, change: Change, now: number): boolean {
		const task = this.#byId.get(id);
		if (task === undefined) return false;
		if (change === "retry") return this.#retry(task, now);
		// Done and dead tasks are never held.
		if (isOver(task) || task.isHeld === (change === "hold")) return false;
		task.isHeld = !task.isHeld;
		this.#place(task, task.at);
		this.#stir();
		return true;
	}

	hasten(within: number, now: number, random: () => number): number {
		let count = 0;
		for (const task of this.#byId.values()) {
			if (!task.isBackingOff || stateOf(task) !== "waiting" || task.at <= now + within) continue;
			this.#place(task, now + within * random());
			count++;
		}
		return count;
	}

	post(id: string, data: Data, now: number): boolean {
		const task = this.#byId.get(id);
		if (task === undefined || isOver(task)) return false;
		task.inbox.push({ n: ++task.posted, data: copy(data) });
		// A held one, too: who releases it does not know that it has to be woken.
		if (task.state === "waiting") this.#place(task, Math.min(task.at, now));
		return true;
	}

	#insert(task: Task): void {
		this.#byId.set(task.id, task);
		this.#log.push(task);
		if (task.lane !== undefined) {
			task.previous = this.#lanes.get(task.lane);
			if (task.previous !== undefined) task.previous.next = task;
			this.#lanes.set(task.lane, task);
		}
		this.#place(task, task.at);
	}

	#remove(task: Task): void {
		task.heap.remove(task);
		this.#leaveLane(task);
		this.#byId.delete(task.id);
		// The log may keep the task for a while.
		task.payload = "";
		task.inbox = [];
		if (this.#log.length > 2 * this.#byId.size + 100) {
			this.#log = this.#log.filter((task) => this.#byId.get(task.id) === task);
		}
	}

	/** Puts a task where claims find it from `at` on, if they may ever. */
	#place(task: Task, at: number): void {
		task.at = at;
		if (task.isHeld || task.previous !== undefined) return task.heap.remove(task);
		task.heap.put(task);
		if (task.state === "waiting") this.#stir();
	}

	/** The next one in the lane moves up. Harmless for a task that has left its lane already. */
	#leaveLane(task: Task): void {
		const { lane, previous, next } = task;
		if (lane === undefined || isOver(task)) return;
		task.previous = task.next = undefined;
		if (previous !== undefined) previous.next = next;
		if (next !== undefined) {
			next.previous = previous;
			this.#place(next, next.at);
		} else if (previous !== undefined) this.#lanes.set(lane, previous);
		else this.#lanes.delete(lane);
	}

	#begin(task: Task, lease: number, now: number): Claim {
		if (task.state === "running") {
			task.attempts++;
			task.crashes++;
		}
		task.state = "running";
		task.token = String(this.#number());
		this.#place(task, now + lease);
		const { id, token, lane, kind, attempts, crashes, priority, error, addedAt } = task;
		const payload = copy(task.payload);
		const age = now - addedAt;
		return { id, token, lane, kind, payload, attempts, crashes, priority, error, addedAt, age, inbox: copyInbox(task) };
	}

	#running(ref: Ref): Task | undefined {
		const task = this.#byId.get(ref.id);
		return task?.state === "running" && task.token === ref.token ? task : undefined;
	}

	#finish(task: Task, keep = 0, now: number): void {
		this.#end(task, "done");
		if (!(keep > 0)) return this.#remove(task);
		task.at = now + keep;
		task.heap = this.#kept;
		task.heap.put(task);
	}

	#bury(task: Task, { attempts, error }: { attempts: number; error: string }): void {
		this.#end(task, "dead");
		task.attempts = attempts;
		task.error = error;
	}

	#end(task: Task, state: "done" | "dead"): void {
		task.heap.remove(task);
		this.#leaveLane(task);
		task.state = state;
		task.isHeld = false;
	}

	#wait(task: Task, outcome: Exclude<Outcome, { type: "done" | "dead" }>, now: number): void {
		let at = now;
		task.state = "waiting";
		task.isBackingOff = outcome.type === "retry" && !outcome.firm;
		if (outcome.type === "retry") {
			task.attempts = outcome.attempts;
			task.error = outcome.error;
			task.crashes = 0;
			at += outcome.delay;
		} else if (outcome.type === "later") {
			task.attempts = task.crashes = 0;
			forget(task, outcome.seen);
			if (task.inbox.length === 0) at += outcome.delay ?? Infinity;
		}
		this.#place(task, at);
	}

	#retry(task: Task, now: number): boolean {
		if (task.state === "dead") {
			const { id, inbox, posted, heap } = task;
			const anew = Object.assign(new Task({ ...task, delay: 0 }, id, this.#number(), now, heap), { inbox, posted });
			this.#remove(task);
			this.#insert(anew);
			return true;
		}
		if (stateOf(task) !== "waiting") return false;
		this.#place(task, Math.min(task.at, now));
		return true;
	}

	/** Where in the log the first task is that was added after this one. */
	#behind(order: number): number {
		let least = 0;
		for (let most = this.#log.length; least < most;) {
			const middle = (least + most) >> 1;
			if (this.#log[middle]!.order <= order) least = middle + 1;
			else most = middle;
		}
		return least;
	}

	#heapOf({ kind, priority }: NewTask): Heap<Task> {
		let heaps = this.#heaps.get(kind);
		if (heaps === undefined) this.#heaps.set(kind, heaps = new Map());
		let heap = heaps.get(priority);
		if (heap === undefined) heaps.set(priority, heap = new Heap());
		return heap;
	}

	#heapsOf(kinds: readonly string[]): Heap<Task>[] {
		return kinds.flatMap((kind) => [...this.#heaps.get(kind)?.values() ?? []]);
	}

	/** Wakes the watchers soon, once for all that happens until then. */
	#stir(): void {
		if (this.#isStirred || this.watchers.size === 0) return;
		this.#isStirred = true;
		queueMicrotask(() => {
			this.#isStirred = false;
			for (const watcher of [...this.watchers]) watcher();
		});
	}
}

function isBefore(a: Task, b: Task): boolean {
	if (a.priority !== b.priority) return a.priority > b.priority;
	return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function isOver({ state }: Task): boolean {
	return state === "done" || state === "dead";
}

function stateOf({ state, isHeld }: Task): TaskState {
	return isHeld && state === "waiting" ? "held" : state;
}

/** Not `slice`, which for a Buffer of Node's copies nothing. */
function copy(data: Data): Data {
	return typeof data === "string" ? data : new Uint8Array(data);
}

function copyInbox({ inbox }: Task): Message[] {
	return inbox.map(({ n, data }) => ({ n, data: copy(data) }));
}

function forget(task: Task, seen: number): void {
	if (task.inbox.length > 0) task.inbox = task.inbox.filter(({ n }) => n > seen);
}

function show(task: Task): StoredTask {
	const { order, at, id, kind, payload, attempts, crashes, error, progress, addedAt, priority, lane } = task;
	return {
		key: String(order).padStart(16, "0"),
		id,
		kind,
		payload: copy(payload),
		state: stateOf(task),
		attempts,
		crashes,
		error,
		progress,
		dueAt: at === Infinity || task.state === "dead" ? undefined : at,
		addedAt,
		priority,
		lane,
	};
}
