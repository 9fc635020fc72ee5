/**
 * Adds tasks to a basket: checks and encodes them, and stores them together with others that are added at the same
 * time.
 *
 * @module
 */

import type { Batch } from "./batch.ts";
import type { BasketSettings, Kind } from "./options.ts";
import type { Added, NewTask, Store } from "./store.ts";
import { mostInbox } from "./claim.ts";
import { cut, sizeOf } from "./codec.ts";
import { sealCollected } from "./collecting.ts";
import { encodeMeta, type TaskMeta } from "./meta.ts";
import { chain, encodePayload, isThenable, synchronous } from "./payload.ts";
import { check, checkCount, checkDelay, checkFinite, checkWord, refuse } from "../platform/check.ts";
import type { Clock } from "../platform/clock.ts";
import { checkChosen, checkName } from "../platform/name.ts";
import { validate } from "../platform/standard-schema.ts";

/** Options for {@link Basket.add}. */
export interface AddOptions<Tx = never> {
	/**
	 * The id of the task: 1 to 255 characters, not beginning with `_`. If a task with this id is stored, in any state,
	 * `ifPresent` decides, and {@link Added.state} is its state. Default: an id that the store creates.
	 */
	id?: string | undefined;
	/**
	 * What happens if a task with this id is stored:
	 *
	 * - `"keep"`: it stays unchanged. A dead task stays until {@link Basket.retry} or {@link Basket.delete}, a done task
	 *   for the time of `retain`;
	 * - `"replace"`: the newest payload is the one that runs. A waiting task gets the payload, the priority and the
	 *   delay, and begins with its first attempt; it keeps its place in its lane, and a hold. Behind a running task, the
	 *   newest payload waits until that is done or dead, or until its next attempt: it is never lost, and the two never
	 *   run at the same time. A dead or done task begins anew, behind all others. Kind and lane must be the same.
	 *
	 * @default "keep"
	 */
	ifPresent?: "keep" | "replace" | undefined;
	/**
	 * The delay before the task is due, in milliseconds: 0 or more, finite. With `ifPresent: "replace"` each add counts
	 * it anew, as a debounce does. @default 0
	 */
	delay?: number | undefined;
	/** The time at which the task is due, on the clock of this machine, instead of `delay`. A past time is now. */
	at?: Date | undefined;
	/**
	 * With `ifPresent: "replace"`: the maximum time in milliseconds, not less than `delay`, from the first add to the
	 * due time, however often the task is replaced. When an attempt has begun, the next add counts as the first one.
	 * @default Infinity
	 */
	within?: number | undefined;
	/** Tasks with a higher priority run first: a whole number from -100 to 100. @default 0 */
	priority?: number | undefined;
	/**
	 * Tasks of one lane run one at a time, in the order in which they were added. A failing task blocks its lane until
	 * it is done, dead or deleted. Quick tasks without an `id` are claimed up to 64 at a time, and their ends are stored
	 * together: if the process dies before, they run again, in order. 1 to 255 characters. Default: no lane.
	 */
	lane?: string | undefined;
	/**
	 * Texts that travel with the task, outside of its payload, codec and schema, such as a trace context: its function gets
	 * them as `meta`, and lists show them. At most 2,048 characters as JSON. `ifPresent` treats them as the payload.
	 * @default none
	 */
	meta?: TaskMeta | undefined;
	/** Your own transaction: the task is added if it commits. Codec and schema must then be synchronous. */
	tx?: Tx | undefined;
}

/**
 * Options for {@link Basket.add} that collect items: the function of the kind takes an array, and each add gives one
 * item of it. Many adds are one run.
 *
 * - The task with the `id` begins with its first item. Other items wait with it, in order.
 * - A run gets the items that are there when it begins, at most `most`. Items that are added during the run, or exceed
 *   `most`, are for the next run. When a run is done, its items are gone, and the task ends if there are no others.
 * - A failed run is retried when its backoff ends, with its items and those that were added meanwhile. They cannot be
 *   saved or changed by the run.
 * - A dead task to which an item is added begins anew with its old items, behind all others.
 *
 * Kind and lane must be the same for all items of an id, and the task must not be one that was added otherwise. Kinds
 * with a schedule have no such tasks.
 */
export interface CollectOptions<Tx = never> extends Omit<AddOptions<Tx>, "id" | "ifPresent"> {
	/** The id of the task, as in {@link AddOptions}. */
	id: string;
	/** The payload is an item. */
	ifPresent: "collect";
	/**
	 * The delay before the task is due, in milliseconds: 0 or more, finite. Each item counts it anew, within the time of
	 * `within`. @default 0
	 */
	delay?: number | undefined;
	/**
	 * The maximum time in milliseconds, not less than `delay`, from the first item to the due time. Items that are added
	 * during a run count from the first of them. @default Infinity
	 */
	within?: number | undefined;
	/** The maximum number of items of a run; with as many, it is due at once. A whole number from 1 to 1,000. @default 100 */
	most?: number | undefined;
}

/** A task to add, of any kind. */
export interface Entry extends Omit<AddOptions, "tx" | "ifPresent">, Pick<CollectOptions, "most"> {
	readonly kind: string;
	readonly payload?: unknown;
	readonly ifPresent?: "keep" | "replace" | "collect" | undefined;
	/** The key of its limit, if its kind cannot compute it. */
	readonly limitKey?: string | undefined;
}

/** The interface of adding to its basket. */
export interface AddingOwner<Tx> {
	readonly settings: BasketSettings<Tx>;
	/** Stores tasks, possibly together with those of other callers. */
	readonly adding: Batch<NewTask, Added>;
	open(): Promise<void>;
	/** Tasks were added. The first one is due after this many milliseconds. */
	changed(delay: number): void;
}

/** With a transaction, it is synchronous until the store is called. */
export async function addTasks<Tx>(
	engine: AddingOwner<Tx>,
	entries: readonly Entry[],
	tx: Tx | undefined,
): Promise<readonly Added[]> {
	if (entries.length === 0) return [];
	const { settings } = engine;
	const adds = settings.observing?.adds(settings, entries);
	if (adds === undefined) return await addAll(engine, entries, tx);
	try {
		const added = await addAll(engine, adds.entries, tx);
		adds.end(added);
		return added;
	} catch (error) {
		adds.end(undefined, error);
		throw error;
	}
}

async function addAll<Tx>(
	engine: AddingOwner<Tx>,
	entries: readonly Entry[],
	tx: Tx | undefined,
): Promise<readonly Added[]> {
	const tasks: NewTask[] = [];
	for (const entry of entries) {
		const task = newTask(engine.settings, entry, tx);
		tasks.push(isThenable(task) ? await task : task);
	}
	return await storeTasks(engine, tasks, tx);
}

/** With a transaction, it is synchronous until the store is called. */
export async function storeTasks<Tx>(
	engine: AddingOwner<Tx>,
	tasks: readonly NewTask[],
	tx: Tx | undefined,
): Promise<readonly Added[]> {
	const { store, name } = engine.settings;
	for (const { what, count, most } of loadsOf(store, tasks)) {
		if (count <= most) continue;
		throw new RangeError(`At most ${most} ${what} can be added to this store at once: these are ${count}`);
	}
	if (tx !== undefined) return await store.add(name, tasks, tx);
	await engine.open();
	const added = await engine.adding.submit(tasks);
	// Only the store knows whether there are enough items.
	engine.changed(tasks.reduce((least, { delay, item }) => Math.min(least, item === undefined ? delay : 0), Infinity));
	return added;
}

/** Checks and encodes a task. With a transaction, it is synchronous. */
export function newTask<Tx>(
	{ kinds, store, clock }: BasketSettings<Tx>,
	entry: Entry,
	tx: Tx | undefined,
): NewTask | PromiseLike<NewTask> {
	const { id, ifPresent = "keep", priority = 0, lane, within, most } = check("entry", entry, "object");
	const kind = kindOf(kinds, entry.kind);
	if (id !== undefined) checkChosen("id", id);
	const delay = delayOf(entry, clock);
	const isReplacing = checkWord("ifPresent", ifPresent, ["keep", "replace", "collect"]) !== "keep";
	const isCollecting = ifPresent === "collect";
	if (isReplacing && id === undefined) refuse("id", id, `the id of the task to ${ifPresent}`);
	if (within !== undefined) {
		check("within", within, "number", checkDelay("within", within) >= delay, "at least the delay");
		if (!isReplacing) refuse("within", within, `absent without ifPresent: "replace" or "collect"`);
	}
	if (isCollecting && kind.rule !== undefined) refuse("ifPresent", ifPresent, "absent for a kind with a schedule");
	if (most !== undefined) {
		if (!isCollecting) refuse("most", most, `absent without ifPresent: "collect"`);
		check("most", checkCount("most", most), "number", most <= mostInbox, `${mostInbox} or less`);
	}
	const isPriority = Number.isInteger(priority) && Math.abs(priority) <= 100;
	check("priority", priority, "number", isPriority, "a whole number from -100 to 100");
	if (lane !== undefined) checkName("lane", lane);
	const task: Omit<NewTask, "payload"> = { id, kind: entry.kind, delay, priority, lane, meta: encodeMeta(entry.meta) };
	if (isReplacing) Object.assign(task, { ifPresent, within: within === Infinity ? undefined : within });
	const { maxPayload } = store.capabilities;
	const given = isCollecting ? [entry.payload] : entry.payload;
	const finish = (valid: unknown) => {
		const limitKey = kind.limit && (kind.limit.keyOf?.(valid) ?? entry.limitKey);
		const payload = encodePayload(kind, entry.payload, maxPayload);
		return chain(
			synchronous(payload, tx),
			(data) => ({ ...task, limitKey, ...isCollecting ? sealCollected(data, most) : { payload: data } }),
		);
	};
	if (kind.schema === undefined) return finish(given);
	return chain(synchronous(validate(kind.schema, given), tx), finish);
}

/** The delay before a task is due. */
export function delayOf({ delay = 0, at }: Pick<AddOptions, "delay" | "at">, clock: Clock): number {
	checkFinite("delay", delay);
	if (at === undefined) return delay;
	if (delay > 0) refuse("delay", delay, `absent with "at"`);
	// A Date of another realm is no instance of this one's class.
	const instant = typeof Object(at).getTime === "function" ? at.getTime() : refuse("at", at, "a Date");
	if (!Number.isFinite(instant)) refuse("at", at, "a valid Date", RangeError);
	return Math.max(0, instant - clock.now());
}

function kindOf(kinds: ReadonlyMap<string, Kind>, name: string): Kind {
	const kind = kinds.get(check("kind", name, "string"));
	if (kind !== undefined) return kind;
	const known = [...kinds.keys()].map((name) => JSON.stringify(name)).join(", ");
	throw new TypeError(`The basket has no tasks of the kind ${JSON.stringify(cut(name, 100))}, only of ${known}`);
}

/** The part of a store's limit per call that these tasks take. */
function loadsOf(
	{ capabilities }: Store<never>,
	tasks: readonly NewTask[],
): { what: string; count: number; most: number }[] {
	const { maxAdd = Infinity, maxAddBytes = Infinity } = capabilities;
	const bytes = maxAddBytes < Infinity
		? tasks.reduce((sum, { payload, item = "" }) => sum + sizeOf(payload) + sizeOf(item), 0)
		: 0;
	return [
		{ what: "tasks", count: tasks.length, most: maxAdd },
		{ what: "bytes of payloads", count: bytes, most: maxAddBytes },
	];
}

/** The share of a call to the store that these tasks take: 1 is a full call. */
export function shareOf(store: Store<never>, tasks: readonly NewTask[]): number {
	const [all, bytes] = loadsOf(store, tasks);
	return Math.max(all!.count / all!.most, bytes!.count / bytes!.most);
}
