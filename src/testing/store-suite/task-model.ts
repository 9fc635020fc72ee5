/**
 * The expected content of a store, in a form too simple to be wrong: an array of tasks that is always searched from
 * the beginning.
 *
 * @module
 */

import {
	baseOf,
	type Change,
	type ClaimRequest,
	type KindLimit,
	type LaneRun,
	type LogPart,
	type Message,
	type NewTask,
	type Outcome,
	type Ref,
	type Save,
	type Turn,
} from "../../basket/store.ts";
import { fail } from "./assert.ts";
import { ModelGate } from "./limit-model.ts";
import { append, createModelTask, gateOf, isOpen, kept, type ModelTask } from "./model-task.ts";

/** The tasks of one basket, and the operations on them. */
export class TaskModel {
	/** In the order of their keys. */
	tasks: ModelTask[] = [];
	/** The paused kinds; `undefined` pauses all. */
	readonly paused: Set<string | undefined> = new Set();
	readonly #gates = new Map<string, ModelGate>();
	/** When tasks were due that were deleted or replaced behind their gates. */
	readonly #left: Pick<ModelTask, "kind" | "dueAt">[] = [];
	/** Milliseconds since the beginning. */
	now = 0;

	find(id: string): ModelTask | undefined {
		return this.tasks.find((task) => task.id === id);
	}

	/** The task of a claim that is not lost. */
	current({ id, token }: Ref): ModelTask | undefined {
		return this.tasks.find((task) => task.id === id && task.state === "running" && task.token === token);
	}

	add(given: NewTask & { id: string }, isCollected: boolean): ModelTask {
		const task = createModelTask(given, isCollected, this.now);
		this.tasks.push(task);
		return task;
	}

	/** Adds a task, or lets it replace the one with its id. */
	replace(given: NewTask & { id: string }): void {
		const { id, payload, priority, limitKey, meta, delay, within = Infinity } = given;
		const task = this.find(id);
		if (task === undefined) return void this.add(given, false);
		if (task.state === "dead" || task.state === "done") {
			this.delete(id);
			return void this.add(given, false);
		}
		const isRunning = task.state === "running";
		const isNew = isRunning ? task.replacement === undefined : task.attempts > 0 || task.crashes > 0;
		const addedAt = isNew ? this.now : (task.replacement ?? task).addedAt;
		const dueAt = Math.min(this.now + delay, addedAt + within);
		task.replacement = { payload, priority, limitKey, meta, addedAt, dueAt };
		if (isRunning) return;
		this.#leaveTime(task);
		this.#renew(task);
		this.#take(task, dueAt);
	}

	/** Adds an item to a task, which begins with it. */
	collect(given: NewTask & { id: string }): void {
		const { id, payload, priority, limitKey, meta, delay, within = Infinity, item, most } = given;
		const before = this.find(id);
		const isOver = before?.state === "dead" || before?.state === "done";
		if (isOver) this.delete(id);
		const task = before === undefined || isOver ? this.add(given, true) : before;
		if (before?.state === "dead") Object.assign(task, kept(before));
		task.inbox.push({ n: ++task.posted, data: item! });
		const { addedAt } = task.state === "running" ? task.replacement ?? { addedAt: this.now } : task;
		const dueAt = Math.min(this.now + delay, addedAt + within);
		if (task.state === "running") task.replacement = { payload, priority, limitKey, meta, addedAt, dueAt };
		else Object.assign(task, { payload, priority, meta });
		if (task.state === "running" || task.attempts > 0 || task.crashes > 0) return;
		Object.assign(task, { dueAt: task.inbox.length >= most! ? this.now : dueAt, dueFrom: undefined, dueTo: undefined });
	}

	settle(ref: Ref, outcome: Outcome, log?: LogPart): boolean {
		const task = this.current(ref);
		if (task === undefined) return false;
		append(task, log);
		task.history = outcome.history ?? task.history;
		task.worker = undefined;
		this.#leaveGate(task, outcome);
		const { seen = Infinity, most = Infinity } = outcome.type === "done" ? outcome : {};
		if (seen < Infinity) task.inbox = task.inbox.filter(({ n }) => n > seen);
		const left = seen < Infinity ? task.inbox.length : 0;
		if ((outcome.type === "done" || outcome.type === "dead") && (task.replacement !== undefined || left > 0)) {
			task.state = "waiting";
			task.dueAt = this.now;
			this.#renew(task);
			this.#take(task, this.now, left >= most);
			return true;
		}
		if (outcome.payload !== undefined) task.payload = outcome.payload;
		if (outcome.type === "retry" || outcome.type === "dead") {
			task.attempts = outcome.attempts;
			task.error = outcome.error;
		}
		task.isBackingOff = "backoff" in outcome && outcome.backoff === true;
		task.state = outcome.type === "done" || outcome.type === "dead" ? outcome.type : "waiting";
		if (task.state !== "waiting") task.isHeld = false;
		if (outcome.type === "done") {
			task.result = outcome.result;
			task.dueAt = this.now + (outcome.retain ?? 0);
			if (!outcome.retain) this.tasks.splice(this.tasks.indexOf(task), 1);
		} else if (outcome.type === "dead") task.dueAt = this.now + (outcome.retain ?? Infinity);
		else if (outcome.type === "retry") {
			task.crashes = 0;
			task.dueAt = this.now + outcome.delay;
			task.isHeld ||= outcome.hold === true;
		} else if (outcome.type === "later") {
			task.attempts = task.crashes = 0;
			task.inbox = task.inbox.filter(({ n }) => n > outcome.seen);
			task.dueAt = task.inbox.length > 0 ? Math.min(task.addedAt, this.now) : this.now + (outcome.delay ?? Infinity);
		} else {
			task.dueAt = this.now + (outcome.delay ?? 0);
			if (outcome.delay !== undefined) task.crashes = 0;
			task.limitKey = outcome.limitKey ?? task.limitKey;
		}
		this.#take(task, task.dueAt, task.isCollected);
		return true;
	}

	/**
	 * Claims the tasks that a store has claimed.
	 *
	 * @param isInOrder whether it is known which of two tasks is claimed first
	 * @throws if the store could not claim one of them then, or should have claimed others
	 */
	claim(
		ids: readonly string[],
		requests: readonly ClaimRequest[],
		limits: readonly KindLimit[],
		{ lease, worker }: Pick<Turn, "lease" | "worker">,
		isInOrder: boolean,
		runs: readonly LaneRun[] = [],
	): void {
		const begin = (task: ModelTask) => this.#begin(task, limits, lease, worker);
		const left = [...ids];
		for (const request of requests) {
			let count = 0;
			for (let task; count < request.limit && (task = this.find(left[0] ?? "")); count++, left.shift()) {
				if (!request.kinds.includes(task.kind)) break;
				this.#checkClaim(task, request, limits, isInOrder);
				begin(task);
				for (const { id } of this.#followers(task, runs)) {
					if (left[1] !== id) fail(`claimed ${ids}: expected "${id}" to follow "${left[0]}"`);
					left.shift();
					begin(this.find(id)!);
				}
			}
			if (count === request.limit) continue;
			const missed = this.#due(request.kinds).find((task) => this.#readyAt(task, limits)[1] <= this.now);
			if (missed !== undefined) fail(`claimed ${ids}: "${missed.id}" is not among them`);
		}
		if (left.length > 0) fail(`claimed ${ids}: expected none from "${left[0]}" on`);
	}

	/** Tasks without a key are claimed in order, and so are those of each key. */
	#checkClaim(task: ModelTask, { kinds }: ClaimRequest, limits: readonly KindLimit[], isInOrder: boolean): void {
		const able = this.#due(kinds).filter((other) =>
			gateOf(other) === gateOf(task) && this.#readyAt(other, limits)[0] <= this.now
		);
		if (!able.includes(task)) fail(`"${task.id}" is claimed, and cannot be`);
		if (isInOrder && able[0] !== task) fail(`"${task.id}" is claimed before "${able[0]!.id}"`);
	}

	/** The tasks that are claimed with the head of a lane. */
	#followers(head: ModelTask, runs: readonly LaneRun[]): ModelTask[] {
		const most = runs.find(({ kind }) => kind === head.kind)?.most ?? 1;
		const behind = this.#behind(head).slice(0, most - 1);
		const end = behind.findIndex((task) =>
			task.kind !== head.kind || task.isHeld || task.attempts > 0 || task.limitKey !== undefined ||
			task.dueAt > this.now
		);
		return head.attempts > 0 ? [] : behind.slice(0, end < 0 ? Infinity : end);
	}

	/** The tasks behind another one in its lane. */
	#behind(task: ModelTask): ModelTask[] {
		const { lane } = task;
		const later = this.tasks.slice(this.tasks.indexOf(task) + 1);
		return later.filter((other) => lane !== undefined && other.lane === lane && isOpen(other));
	}

	/** Gives all tasks back that are running behind one that is not. */
	giveBack(): void {
		for (const task of this.tasks.filter(({ state }) => state === "waiting")) this.#giveBackBehind(task);
	}

	#giveBackBehind(task: ModelTask, crashes = 0): void {
		for (const { id, token, state, worker } of this.#behind(task)) {
			if (state !== "running") continue;
			const other = this.find(id)!;
			other.attempts += crashes;
			other.crashes += crashes;
			this.settle({ id, token: token! }, { type: "release" });
			if (crashes > 0) other.worker = worker;
		}
	}

	#begin(task: ModelTask, limits: readonly KindLimit[], lease: number, worker: string | undefined): void {
		const isCrash = task.state === "running";
		if (isCrash) this.#giveBackBehind(task, 1);
		task.attempts += isCrash ? 1 : 0;
		task.crashes += isCrash ? 1 : 0;
		this.#take(task, 0);
		task.state = "running";
		task.lapsed = task.worker;
		task.worker = worker;
		task.dueAt = this.now + lease;
		task.endedAt = undefined;
		const spacing = limits.find(({ kind }) => kind === task.kind)?.spacing ?? 0;
		task.start = this.#gateOf(gateOf(task))?.start(this.now, spacing);
	}

	#leaveGate(task: ModelTask, outcome: Outcome): void {
		const gate = this.#gateOf(gateOf(task, task.limitKey));
		if (outcome.type === "release" && outcome.delay === undefined) gate?.takeBack(task.start);
		task.start = undefined;
		if ("isKeyShut" in outcome && outcome.isKeyShut) gate?.shut(this.now + (outcome.delay ?? 0));
	}

	/** The tasks of these kinds that are due if their gates are open, in the order of claims. */
	#due(kinds: readonly string[]): ModelTask[] {
		const due = this.tasks.filter((task) => kinds.includes(task.kind) && this.#canRun(task) && task.dueAt <= this.now);
		return due.sort((a, b) => b.priority - a.priority || a.dueAt - b.dueAt);
	}

	/** The first instant at which the gate of a task may let it start, and the one from which it must. */
	#readyAt(task: ModelTask, limits: readonly KindLimit[]): readonly [number, number] {
		const limit = limits.find(({ kind }) => kind === task.kind);
		const name = gateOf(task);
		const gate = this.#gateOf(name);
		if (limit === undefined || gate === undefined) return [-Infinity, -Infinity];
		const running = this.tasks.filter((other) => other.state === "running" && gateOf(other, other.limitKey) === name);
		return running.length < limit.atOnce || running.includes(task) ? gate.opensAt(limit) : [Infinity, Infinity];
	}

	#gateOf(name: string | undefined): ModelGate | undefined {
		if (name === undefined) return undefined;
		const gate = this.#gates.get(name) ?? new ModelGate();
		this.#gates.set(name, gate);
		return gate;
	}

	/**
	 * The time until the first task of these kinds can be claimed, in milliseconds, as the least and the most that a
	 * store may say: it may be asked again when a task is due that has no place then.
	 */
	dueIn(kinds: readonly string[], limits: readonly KindLimit[]): readonly [number, number] {
		let [least, most] = [Infinity, Infinity];
		for (const task of this.tasks.filter((task) => kinds.includes(task.kind) && this.#canRun(task))) {
			const [from, to] = this.#readyAt(task, limits);
			const dueAt = Math.min(task.dueAt, Math.max(this.now, (task.state === "running" && task.endedAt) || Infinity));
			least = Math.min(least, task.dueAt > this.now ? dueAt : from);
			most = Math.min(most, Math.max(task.dueAt, to));
		}
		for (const { kind, dueAt } of this.#looks()) {
			if (kinds.includes(kind) && dueAt > this.now) least = Math.min(least, dueAt);
		}
		return [Math.max(0, least - this.now), Math.max(0, most - this.now)];
	}

	/** When a store may look at gates: also at the due times of tasks that are held, blocked, or have left their gates. */
	#looks(): readonly Pick<ModelTask, "kind" | "dueAt">[] {
		return [...this.#left, ...this.tasks.filter((task) => isOpen(task) && task.limitKey !== undefined)];
	}

	/** Whether there may be gates of these kinds. */
	hasGates(kinds: readonly string[]): boolean {
		return this.#looks().some(({ kind }) => kinds.includes(kind));
	}

	#leaveTime({ kind, limitKey, dueAt }: ModelTask): void {
		if (limitKey !== undefined) this.#left.push({ kind, dueAt });
	}

	extend(ref: Ref, lease: number): "ok" | "lost" | "posted" {
		const task = this.current(ref);
		if (task === undefined) return "lost";
		if (task.limitKey !== undefined) task.endedAt = Math.min(task.endedAt ?? Infinity, task.dueAt);
		task.dueAt = this.now + lease;
		return task.inbox.length > 0 ? "posted" : "ok";
	}

	save({ ref, payload, progress, seen = 0, log }: Save): boolean {
		const task = this.current(ref);
		if (task === undefined) return false;
		append(task, log);
		task.payload = payload ?? task.payload;
		task.progress = progress ?? task.progress;
		task.inbox = task.inbox.filter(({ n }) => n > seen);
		return true;
	}

	post(id: string, data: Message["data"]): boolean {
		const task = this.find(id);
		const isOpen = task?.state === "waiting" || task?.state === "running";
		if (!isOpen) return false;
		task.inbox.push({ n: ++task.posted, data });
		if (task.state === "waiting") this.#makeDue(task, Math.min(task.addedAt, this.now));
		return true;
	}

	change(id: string, change: Change): boolean {
		const task = this.find(id);
		if (task === undefined) return false;
		const restart = typeof change === "object" && !isOpen(task) ? change : undefined;
		if (restart !== undefined || (change === "retry" && task.state === "dead")) {
			const { payload = task.payload, keepsLog = true } = restart ?? {};
			const posted = restart === undefined ? task.posted : 0;
			this.delete(id);
			const anew = this.add({ ...task, payload, delay: 0 }, task.isCollected);
			Object.assign(anew, { posted, history: task.history, log: keepsLog ? task.log : [] });
			return true;
		}
		if (change === "release" && task.isHeld) {
			task.isHeld = false;
			if (task.state === "waiting" && task.dueAt <= this.now) this.#makeDue(task);
			return true;
		}
		const isWaiting = task.state === "waiting" && !task.isHeld;
		if (change === "retry" && isWaiting) this.#makeDue(task);
		const isHolding = change === "hold" && (isWaiting || task.state === "running");
		if (isHolding) task.isHeld = true;
		return isHolding || (change === "retry" && isWaiting);
	}

	delete(id: string): boolean {
		const task = this.find(id);
		if (task !== undefined) this.#leaveTime(task);
		this.tasks = this.tasks.filter((other) => other !== task);
		return task !== undefined;
	}

	/** Returns the number of shortened backoffs. */
	hasten(within: number): number {
		const isLate = ({ dueAt }: ModelTask) => dueAt > this.now + within;
		const late = this.tasks.filter((task) =>
			task.isBackingOff && task.state === "waiting" && !task.isHeld && isLate(task) && !this.#isBlocked(task)
		);
		for (const task of late) {
			Object.assign(task, { dueFrom: this.now, dueTo: this.now + within });
			if (within === 0) task.dueAt = this.now;
		}
		return late.length;
	}

	/** Advances the time, and removes tasks whose retention has ended. */
	pass(milliseconds: number): void {
		this.now += milliseconds;
		const isOver = ({ state }: ModelTask) => state === "done" || state === "dead";
		this.tasks = this.tasks.filter((task) => !isOver(task) || task.dueAt > this.now);
	}

	#renew(task: ModelTask): void {
		task.attempts = task.crashes = 0;
		task.error = task.progress = task.worker = undefined;
		task.isBackingOff = false;
	}

	/** The replacement, if there is one, takes its place. It is due at this time, or perhaps later. */
	#take(task: ModelTask, time: number, keepsTime = false): void {
		if (task.replacement === undefined) return;
		const dueAt = keepsTime ? time : Math.max(time, task.replacement.dueAt);
		const due = { dueAt, dueFrom: undefined, dueTo: undefined };
		Object.assign(task, task.replacement, { replacement: undefined, ...due });
	}

	#isBlocked(task: ModelTask): boolean {
		const before = this.tasks.slice(0, this.tasks.indexOf(task));
		return task.lane !== undefined && before.some((other) => other.lane === task.lane && isOpen(other));
	}

	#canRun(task: ModelTask): boolean {
		const isPaused = [undefined, task.kind, baseOf(task.kind)].some((kind) => this.paused.has(kind));
		return isOpen(task) && !task.isHeld && !this.#isBlocked(task) && !isPaused;
	}

	/** The due time of a task that is already due may stay or change: stores differ. */
	#makeDue(task: ModelTask, at: number = this.now): void {
		this.#leaveTime(task);
		Object.assign(task, { dueAt: Math.min(task.dueAt, at), dueFrom: -Infinity, dueTo: this.now });
	}
}
