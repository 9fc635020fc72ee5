/**
 * The tasks of one basket in memory.
 *
 * @module
 */

import type {
	Added,
	BasketLimit,
	Change,
	Child,
	Claim,
	Counts,
	Data,
	ListQuery,
	LogEntry,
	LogRead,
	NewTask,
	Outcome,
	Pauses,
	Ref,
	Save,
	Settlement,
	StoredTask,
	Turn,
	TurnResult,
} from "./store.ts";
import {
	append,
	begunAnew,
	collect,
	copy,
	crash,
	createTask,
	empty,
	entriesOf,
	type Family,
	forget,
	fresh,
	goOn,
	handOver,
	hasLease,
	type Inbox,
	inboxFor,
	isOver,
	mayFollow,
	mayHasten,
	note,
	replaced,
	type Replacement,
	show,
	showAll,
	showClaimed,
	soonest,
	stateOf,
	type Task,
} from "./memory-task.ts";
import { isGone, leastExpired, TaskIndex } from "./memory-index.ts";
import { TaskQueue } from "./memory-queue.ts";
import { within } from "./admission.ts";
import { BasketGate } from "./basket-gate.ts";
import { MemoryFamilies } from "./memory-families.ts";
import { MemoryLanes } from "./memory-lanes.ts";
import { MemoryWatchers } from "./memory-watchers.ts";
import { checkPlaces } from "./place.ts";
import { Heap } from "../platform/heap.ts";

export class MemoryTasks {
	/** The watchers, which are notified when a task may be due. */
	readonly watchers: MemoryWatchers = new MemoryWatchers();
	readonly #all = new TaskIndex();
	/** The tasks that can be claimed now or later. */
	readonly #queue: TaskQueue = new TaskQueue(this);
	/** Done and dead tasks that are retained for a time. */
	readonly #kept = new Heap<Task>();
	readonly #lanes = new MemoryLanes();
	readonly #families: MemoryFamilies = new MemoryFamilies(this);
	readonly #number: () => number;
	readonly #gate = new BasketGate();
	/** The store's clock at the start of the current call. */
	now = 0;

	/** `number` returns increasing numbers, also across other baskets of this name. */
	constructor(number: () => number) {
		this.#number = number;
	}

	/** Whether this basket can be forgotten. */
	get isUnused(): boolean {
		return this.#all.size + this.watchers.size + this.#queue.size === 0 && this.#gate.goneAt <= this.now;
	}

	add(task: NewTask): Added {
		const { id = "_" + this.#number() } = task;
		const before = this.#find(id);
		if (before === undefined) return { id, added: this.#insert(task, id) };
		const state = stateOf(before);
		return { id, added: task.ifPresent !== undefined && this.#replace(before, task), state };
	}

	/** Checks that tasks can replace those with their ids. Nothing is changed. */
	check(tasks: readonly NewTask[]): void {
		checkPlaces(tasks, (id) => this.#find(id));
	}

	/** Adds a child, unless its id is in use. One whose parent is gone does not use it anymore. */
	bear(child: Child, kin: Family): void {
		const before = this.#find(child.id);
		if (before?.kin?.isOrphaned) this.drop(before);
		if (this.#find(child.id) === undefined) this.#insert({ ...child, kin }, child.id);
	}

	turn(turn: Turn): TurnResult {
		const { settle, claim, limits, overall } = turn;
		const settled = settle.map((settlement) => this.#settle(settlement.ref, settlement.outcome, settlement));
		if (this.#lanes.size > 0) { for (const { ref: { id } } of settle) this.#giveBackBehind(this.#all.get(id)); }
		// Limited, because a turn would take long if the retention of many tasks has ended.
		this.#expire(settle.length + leastExpired);
		this.#queue.sweep();
		const most = overall === undefined ? Infinity : this.#admit(overall);
		const heads = within(most, claim, (one) => this.#queue.claim(one, limits, (task) => this.#begin(task, turn)));
		const claims = turn.runs?.length ? this.#follow(heads, turn, most - heads.length) : heads;
		if (this.#queue.takeLeft()) this.watchers.stir();
		const dueIn = this.#queue.dueIn(claim.flatMap(({ kinds }) => kinds));
		const closed = overall && this.#gate.close(overall, claims.length, dueIn, this.now);
		if (closed?.isFreed) this.watchers.stir();
		return { settled, claims, dueIn: closed?.nextIn ?? dueIn };
	}

	/** Puts the tasks back whose lease has expired. Returns how many tasks the limit of the basket admits. */
	#admit(limit: BasketLimit): number {
		this.#queue.running ??= new Set([...this.#all.values()].filter(({ state }) => state === "running"));
		const running = this.#gate.running = this.#queue.running;
		const late = (task: Task) => limit.atOnce < Infinity && hasLease(task) && task.at <= this.now;
		for (const task of [...running].filter(late)) {
			this.#crash(task);
			this.#place(task, task.at);
		}
		return this.#gate.admit(limit, this.now);
	}

	/** Claims what may run with these heads, at most so many in all. Returns the heads with their followers. */
	#follow(heads: readonly Claim[], turn: Turn, left: number): Claim[] {
		return heads.flatMap((head) => {
			const claims = [head];
			const { most = 1 } = turn.runs!.find(({ kind }) => kind === head.kind) ?? {};
			let task = head.attempts > 0 ? undefined : this.#all.get(head.id)?.next;
			for (; left > 0 && claims.length < most && mayFollow(task, head.kind, this.now); task = task.next, left--) {
				claims.push(this.#begin(task, turn)!);
			}
			return claims;
		});
	}

	/** The claim of a task has ended, but the task is still in its lane: no follower may be running behind it. */
	#giveBackBehind(task: Task | undefined, hasCrashed = false): void {
		if (task?.state !== "waiting") return;
		for (let next = task.next; next?.state === "running"; next = next.next) {
			const { claim } = next;
			if (hasCrashed) crash(next);
			this.#settle(next, { type: "release" });
			if (hasCrashed) next.claim = claim;
		}
	}

	extend(ref: Ref, lease: number): "ok" | "lost" | "posted" {
		const task = this.#running(ref);
		if (task === undefined) return "lost";
		this.#place(task, this.now + lease);
		return task.inbox.length > 0 ? "posted" : "ok";
	}

	save(save: Save): boolean {
		const { ref, payload, progress, seen = 0, log } = save;
		const task = this.#running(ref);
		if (task === undefined) return false;
		if (payload !== undefined) task.payload = copy(payload);
		if (progress !== undefined) task.progress = progress;
		if (log !== undefined) append(task, log);
		forget(task, seen);
		this.#families.grow(task, save);
		return true;
	}

	log(read: LogRead): LogEntry[] | undefined {
		const task = read.token === undefined ? this.#find(read.id) : this.#running(read as Ref);
		return task && entriesOf(task, read);
	}

	get(id: string): ReturnType<typeof showAll> | undefined {
		const task = this.#find(id);
		return task && showAll(task);
	}

	list(query: ListQuery): StoredTask[] {
		const tasks = query.parent === undefined ? this.#all : this.#find(query.parent)?.family?.children;
		return tasks?.list(query, this.now).map(show) ?? [];
	}

	pause(kind: string | undefined, isPaused: boolean): boolean {
		if (!isPaused) this.watchers.stir();
		return this.#queue.pause(kind, isPaused);
	}

	pauses(): Pauses {
		return this.#queue.pauses();
	}

	counts(): Counts {
		return this.#all.counts(this.now);
	}

	delete(id: string): boolean {
		const task = this.#find(id);
		if (task === undefined) return false;
		this.#families.count(task, true);
		this.drop(task);
		this.#families.sweep(leastExpired);
		return true;
	}

	/** Removes a task that nobody counts. */
	drop(task: Task): void {
		if (task.state === "running") {
			this.#queue.end(task);
			this.watchers.stir("claims");
		}
		this.#remove(task);
	}

	change(id: string, change: Change): boolean {
		const task = this.#find(id);
		if (task === undefined) return false;
		const anew = begunAnew(task, change);
		if (anew !== undefined) return this.#remove(task) && this.#insert(anew, id, anew);
		const isRetry = change === "retry";
		const can = isRetry ? stateOf(task) === "waiting" : task.isHeld !== (change === "hold");
		if (isOver(task) || typeof change === "object" || !can) return false;
		if (!isRetry) task.isHeld = !task.isHeld;
		this.watchers.stir();
		return this.#place(task, isRetry ? Math.min(task.at, this.now) : task.at);
	}

	hasten(within: number, random: () => number): number {
		const late = [...this.#all.values()].filter((task) => mayHasten(task, this.now + within));
		for (const task of late) this.#place(task, this.now + within * random());
		return late.length;
	}

	post(id: string, data: Data): boolean {
		const task = this.#all.get(id);
		if (task === undefined || isOver(task)) return false;
		task.inbox.push({ n: ++task.posted, data: copy(data) });
		// A held task becomes due, too, because the later release does not know that a message was posted.
		if (task.state === "running") this.watchers.stir("claims");
		return task.state === "running" || this.#place(task, Math.min(task.at, soonest(task, this.now)));
	}

	#settle(ref: Ref, outcome: Outcome, more: Omit<Settlement, "ref" | "outcome"> = {}): boolean {
		const task = this.#running(ref);
		if (task === undefined) return false;
		this.#queue.end(task, outcome);
		const { left, isFull } = note(task, outcome, more.log);
		const { replacement } = task;
		const isEnd = outcome.type === "done" || outcome.type === "dead";
		if (isEnd && replacement === undefined && left === 0) {
			this.#families.end(task, outcome);
			return this.#end(task, outcome.type, outcome.retain ?? (outcome.type === "done" ? 0 : Infinity));
		}
		let at = goOn(task, outcome, left, this.now);
		if (replacement !== undefined) {
			this.#take(task, replacement);
			if ((isEnd || !replacement.isCollected) && !isFull) at = Math.max(at, replacement.at);
		}
		this.#place(task, at);
		this.#families.grow(task, more);
		return true;
	}

	/** Removes at most `limit` tasks whose retention has ended, and as many children without parents. */
	#expire(limit: number): void {
		for (let head: Task | undefined; limit-- > 0 && (head = this.#kept.head) !== undefined && head.at <= this.now;) {
			this.#remove(head);
		}
		this.#families.sweep(limit);
	}

	#find(id: string): Task | undefined {
		const task = this.#all.get(id);
		if (task === undefined || !isGone(task, this.now)) return task;
		return void this.#remove(task);
	}

	/** A restarted task already has messages, a log and a family. */
	#insert(
		given: NewTask & Partial<Pick<Task, "kin" | "join">>,
		id: string,
		inbox: Inbox = fresh(),
	): true {
		const { kind, priority, kin } = given;
		const queue = this.#queue.heapOf(kind, priority);
		const task = createTask(given, handOver(inbox), id, this.#number(), queue, this.now);
		if (collect(task, given)) task.at = this.now;
		this.#all.add(task, kin === undefined);
		kin?.children.add(task);
		this.#lanes.enter(task);
		return this.#place(task, task.at);
	}

	/** The payload of a task is replaced, now or when its claim ends. */
	#replace(task: Task, given: NewTask): true {
		if (isOver(task)) {
			const inbox = inboxFor(task, given);
			this.#remove(task);
			return this.#insert(given, task.id, inbox);
		}
		const replacement = replaced(task, given, this.now);
		if (task.state === "running") {
			task.replacement = replacement;
			return true;
		}
		this.#take(task, replacement);
		return this.#place(task, replacement.at);
	}

	#take(task: Task, { payload, priority, limitKey, addedAt, meta }: Replacement): void {
		this.#queue.remove(task);
		Object.assign(task, { payload, priority, limitKey, addedAt, meta, replacement: undefined });
		task.heap = this.#queue.heapOf(task.kind, priority);
	}

	/** Puts a task where claims find it from `at` on, if it can be claimed at all. */
	#place(task: Task, at: number): true {
		task.at = at;
		if (task.isHeld || task.previous !== undefined) this.#queue.remove(task);
		else {
			this.#queue.put(task);
			if (task.state === "waiting") this.watchers.stir();
		}
		return true;
	}

	/** The claim of a task ends with its lease. Those behind it have crashed with it. */
	#crash(task: Task): void {
		crash(task);
		task.state = "waiting";
		this.#giveBackBehind(task, true);
		this.#queue.end(task);
		if (task.replacement !== undefined) this.#take(task, task.replacement);
	}

	/** Makes a task running, if its key has not changed since it crashed. */
	#begin(task: Task, { lease, worker }: Turn): Claim | undefined {
		const { limitKey } = task;
		if (task.state === "running") {
			this.#crash(task);
			if (task.limitKey !== limitKey) return void this.#place(task, task.at);
		}
		this.#queue.start(task);
		task.state = "running";
		task.token = String(this.#number());
		const claim = showClaimed(task, task.token, this.now);
		this.#place(task, this.now + lease);
		task.claim = { worker, at: this.now };
		return claim;
	}

	#running({ id, token }: Ref): Task | undefined {
		const task = this.#all.get(id);
		return task?.state === "running" && task.token === token ? task : undefined;
	}

	/** Ends a task, which is retained or removed. */
	#end(task: Task, state: "done" | "dead", retain: number): true {
		if (!(retain > 0)) return this.#remove(task);
		this.#leave(task);
		task.at = this.now + retain;
		task.state = state;
		task.isHeld = false;
		if (retain < Infinity) (task.heap = this.#kept).put(task);
		return true;
	}

	#remove(task: Task): true {
		this.#leave(task);
		this.#all.remove(task);
		this.#families.remove(task);
		empty(task);
		return true;
	}

	/** Removes a task from its heap and its lane, where the next task becomes the head. */
	#leave(task: Task): void {
		this.#queue.remove(task);
		// It has already left its lane.
		if (isOver(task)) return;
		const next = this.#lanes.leave(task);
		if (next !== undefined) this.#place(next, next.at);
	}
}
