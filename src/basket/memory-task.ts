/**
 * A task in memory, and its conversion to the public form.
 *
 * @module
 */

import type {
	Change,
	Claim,
	ClaimOrigin,
	Data,
	Done,
	ListQuery,
	LogEntry,
	LogPart,
	LogRead,
	Message,
	NewTask,
	Outcome,
	StoredTask,
	TaskState,
} from "./store.ts";
import { mostInbox } from "./claim.ts";
import { check } from "../platform/check.ts";
import type { Heap, Placed } from "../platform/heap.ts";
import type { Gate } from "./memory-gates.ts";

/** One stored task. Its order never changes: a restarted task becomes a new object. */
export interface Task extends Placed {
	/** The time at which it is due, its lease ends, or it is removed; `Infinity` if only a message makes it due. */
	at: number;
	readonly order: number;
	readonly id: string;
	readonly kind: string;
	priority: number;
	readonly lane: string | undefined;
	limitKey: string | undefined;
	addedAt: number;
	payload: Data;
	state: Exclude<TaskState, "held">;
	isHeld: boolean;
	/** Whether it waits only because of a backoff. */
	isBackingOff: boolean;
	/** The token of its last claim. */
	token: string;
	attempts: number;
	crashes: number;
	error: string | undefined;
	result: Data | undefined;
	progress: string | undefined;
	meta: string | undefined;
	history: string | undefined;
	/** The current claim, or the last one if it ended without a settlement. */
	claim: ClaimOrigin | undefined;
	/** What has replaced its payload while it was running. */
	replacement: Replacement | undefined;
	inbox: Message[];
	/** The number of messages so far. */
	posted: number;
	/** The entries of its log, if it has any. */
	log: Data[] | undefined;
	/** The heap that it belongs to when it is in a heap. */
	heap: Heap<Task>;
	/** The gate that this heap belongs to, if the task is behind a gate. */
	gate: Gate<Task> | undefined;
	/** The previous task in its lane. While there is one, this task is blocked. */
	previous: Task | undefined;
	/** The next task in its lane. */
	next: Task | undefined;
	/** What it has as a parent. */
	family: Family | undefined;
	/** The family of its parent. */
	readonly kin: Family | undefined;
	/** The join of its parent that counts it. */
	readonly join: string | undefined;
}

/** The children of a task, and their joins. A retried task keeps both. */
export interface Family {
	/** The id of the parent. */
	readonly id: string;
	readonly children: {
		readonly size: number;
		add(task: Task): void;
		remove(task: Task): void;
		list(query: ListQuery, now: number): Task[];
	};
	/** Whether its parent was removed. */
	isOrphaned: boolean;
	readonly joins: Map<string, { left: number; spare: number; readonly data: Data; isTold: boolean }>;
}

/** What may outlive a task that begins anew: its messages, its log, its family and its history. */
export type Inbox = Pick<Task, "inbox" | "posted" | "log" | "family" | "history">;

/** A payload that waits behind a running task. */
export interface Replacement {
	readonly payload: Data;
	readonly priority: number;
	readonly limitKey: string | undefined;
	/** The time at which the first payload was added during this run. */
	readonly addedAt: number;
	/** The earliest due time. */
	readonly at: number;
	/** Whether items are collected: then `at` matters only if the claim ends as done or dead. */
	readonly isCollected: boolean;
	readonly meta: string | undefined;
}

/** A task that waits. */
export function createTask(
	{ kind, payload, delay, priority, lane, limitKey, meta, kin, join }: NewTask & Partial<Pick<Task, "kin" | "join">>,
	{ inbox, posted, log, family, history }: Inbox,
	id: string,
	order: number,
	heap: Heap<Task>,
	now: number,
): Task {
	// Each field by itself: an object that is spread takes several times as long.
	return {
		id,
		order,
		kin,
		join,
		inbox,
		posted,
		log,
		family,
		history,
		at: now + delay,
		position: -1,
		kind,
		priority,
		lane,
		limitKey,
		addedAt: now,
		payload: copy(payload),
		state: "waiting",
		isHeld: false,
		isBackingOff: false,
		token: "",
		attempts: 0,
		crashes: 0,
		error: undefined,
		result: undefined,
		progress: undefined,
		meta,
		claim: undefined,
		replacement: undefined,
		heap,
		gate: undefined,
		previous: undefined,
		next: undefined,
	};
}

/** Whether the task has ended. */
export function isOver({ state }: Task): boolean {
	return state === "done" || state === "dead";
}

/** Whether a running task is claimed again when its lease has expired: not before the one that it runs behind. */
export function hasLease({ isHeld, previous }: Task): boolean {
	return !isHeld && previous === undefined;
}

/** Whether a task may run with the one before it in its lane, which has just been claimed. */
export function mayFollow(task: Task | undefined, kind: string, now: number): task is Task {
	return task?.state === "waiting" && !task.isHeld && task.kind === kind && task.at <= now && task.attempts === 0 &&
		task.limitKey === undefined;
}

/** Returns the public state. */
export function stateOf({ state, isHeld }: Task): TaskState {
	return isHeld && state === "waiting" ? "held" : state;
}

/** Not `slice`, which does not copy a Buffer of Node. */
export function copy(data: Data): Data {
	return data instanceof Uint8Array ? new Uint8Array(data) : data;
}

/** What replaces the payload of a task, now or when its claim ends. The item, if there is one, is added at once. */
export function replaced(task: Task, given: NewTask, now: number): Replacement {
	const { payload, priority, limitKey, meta, delay, within = Infinity } = given;
	const isCollected = given.item !== undefined;
	const isFull = collect(task, given);
	const isRunning = task.state === "running";
	const hasFailed = !isRunning && task.attempts + task.crashes > 0;
	const isNew = isRunning ? task.replacement === undefined : hasFailed && !isCollected;
	const addedAt = isNew ? now : (task.replacement ?? task).addedAt;
	const soon = Math.min(now + delay, addedAt + within);
	const at = hasFailed && isCollected ? task.at : isFull && !isRunning ? now : soon;
	if (!isRunning && !isCollected) renew(task);
	return { payload: copy(payload), priority, limitKey, addedAt, at, isCollected, meta };
}

/** The messages of a new task. */
export function fresh(): Inbox {
	return { inbox: [], posted: 0, log: undefined, family: undefined, history: undefined };
}

/** What a dead task keeps if another item is added. */
export function inboxFor(task: Task, { item }: NewTask): Inbox | undefined {
	return item !== undefined && task.state === "dead" ? handOver(task) : undefined;
}

/** Takes what may outlive a task. */
export function handOver(task: Inbox): Inbox {
	const { inbox, posted, log, family, history } = task;
	task.family = undefined;
	return { inbox, posted, log, family, history };
}

/** Empties a task that was removed: the index may keep it for a while. */
export function empty(task: Task): void {
	task.payload = "";
	task.inbox = [];
	task.log = task.family = undefined;
}

/** What is added if a change lets a task begin anew; `undefined` if it does not. */
export function begunAnew(task: Task, change: Change): (Task & Pick<NewTask, "delay">) | undefined {
	const isRestart = typeof change === "object";
	const can = isRestart ? isOver(task) && keyOf(task) === change.key : change === "retry" && task.state === "dead";
	if (!can) return undefined;
	if (!isRestart) return { ...task, ...handOver(task), delay: 0 };
	const { payload, keepsLog } = change;
	const kept = keepsLog ? handOver(task) : fresh();
	return { ...task, ...kept, history: task.history, payload, delay: 0, inbox: [], posted: 0 };
}

/** Appends entries to the log of a task. */
export function append(task: Task, { after, entries }: LogPart): void {
	const log = task.log ??= [];
	for (const [index, data] of entries.entries()) log[after + index] = copy(data);
}

/** The entries that a read selects. */
export function entriesOf({ log = [] }: Task, { after, limit }: LogRead): LogEntry[] {
	return log.slice(after, after + limit).map((data, index) => ({ n: after + index + 1, data: copy(data) }));
}

/** Adds the item of a new task to its messages, if it has one. Returns whether there are enough to be due at once. */
export function collect(to: Inbox, { item, most = Infinity }: NewTask): boolean {
	if (item !== undefined) to.inbox.push({ n: ++to.posted, data: copy(item) });
	return item !== undefined && to.inbox.length >= most;
}

/** The claim of a task has ended without a settlement. */
export function crash(task: Task): void {
	task.attempts++;
	task.crashes++;
}

/** Forgets the attempts of a task: its payload is replaced. */
export function renew(task: Task): void {
	task.attempts = task.crashes = 0;
	task.error = task.progress = task.claim = undefined;
	task.isBackingOff = false;
}

/** Removes the messages up to this number. Returns how many are left. */
export function forget(task: Task, seen: number): number {
	const left = task.inbox.findIndex(({ n }) => n > seen);
	task.inbox.splice(0, left < 0 ? task.inbox.length : left);
	return task.inbox.length;
}

/** Stores what the end of a claim says of its task. Returns how many messages are left, and whether these make a done task due. */
export function note(task: Task, outcome: Outcome, log: LogPart | undefined): { left: number; isFull: boolean } {
	if (log !== undefined) append(task, log);
	if (outcome.payload !== undefined) task.payload = copy(outcome.payload);
	task.history = outcome.history ?? task.history;
	task.claim = undefined;
	if (outcome.type === "retry" || outcome.type === "dead") {
		task.attempts = outcome.attempts;
		task.error = outcome.error;
	}
	const { seen, most = Infinity }: Pick<Done, "seen" | "most"> = "seen" in outcome ? outcome : {};
	const left = seen === undefined ? 0 : forget(task, seen);
	return { left, isFull: left >= most };
}

/**
 * Lets a task wait whose claim has ended. Returns when it is due.
 *
 * @param left the number of messages that it has not seen
 */
export function goOn(task: Task, outcome: Outcome, left: number, now: number): number {
	const { type } = outcome;
	task.state = "waiting";
	task.isBackingOff = (type === "retry" || type === "later") && outcome.backoff === true;
	if (type !== "release" || outcome.delay !== undefined) task.crashes = 0;
	if (type === "release") task.limitKey = outcome.limitKey ?? task.limitKey;
	if (type === "retry") task.isHeld ||= outcome.hold === true;
	if (type === "retry" || type === "release") return now + (outcome.delay ?? 0);
	if (type !== "later") {
		renew(task);
		return now;
	}
	task.attempts = 0;
	return left > 0 ? soonest(task, now) : now + (outcome.delay ?? Infinity);
}

/** When a task is due that has got a message. */
export function soonest({ addedAt }: Pick<Task, "addedAt">, now: number): number {
	return Math.min(addedAt, now);
}

/** Whether it waits until after this instant, and only because of a backoff. */
export function mayHasten(task: Task, instant: number): boolean {
	return task.isBackingOff && stateOf(task) === "waiting" && task.previous === undefined && task.at > instant;
}

/** The order that corresponds to a key. */
export function orderOf(key: string | undefined): number {
	if (key === undefined) return 0;
	check("after", key, "string", /^\d{16}$/.test(key), "the key of a task in this store");
	return Number(key);
}

/** Undoes {@link orderOf}. */
export function keyOf({ order }: Pick<Task, "order">): string {
	return String(order).padStart(16, "0");
}

/** What both a list and a claim say of a task. */
function shared({
	id,
	kind,
	payload,
	attempts,
	crashes,
	error,
	addedAt,
	priority,
	lane,
	limitKey,
	meta,
	history,
}: Task) {
	return {
		id,
		kind,
		payload: copy(payload),
		attempts,
		crashes,
		error,
		addedAt,
		priority,
		lane,
		limitKey,
		meta,
		history,
	};
}

/** Returns the public form of a task. */
export function show(task: Task): StoredTask {
	const { at, result, progress, kin, claim } = task;
	return {
		...shared(task),
		key: keyOf(task),
		state: stateOf(task),
		result: result && copy(result),
		progress,
		dueAt: at < Infinity ? at : undefined,
		parent: kin?.id,
		claim,
	};
}

/** The same, with the inbox. */
export function showAll(task: Task): StoredTask & { readonly inbox: readonly Message[] } {
	return { ...show(task), inbox: messagesOf(task) };
}

/** A claim of a task, whose own members still say what the one before it was. */
export function showClaimed(task: Task, token: string, now: number): Claim {
	const { at, addedAt, claim: lapsed, log } = task;
	const inbox = messagesOf(task, mostInbox);
	const late = Math.max(0, now - at);
	return { ...shared(task), inbox, lapsed, token, age: now - addedAt, late, logged: log?.length };
}

function messagesOf({ inbox }: Task, most?: number): Message[] {
	return inbox.slice(0, most).map(({ n, data }) => ({ n, data: copy(data) }));
}
