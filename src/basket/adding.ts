/**
 * Adds tasks to a basket: checks and encodes them, and stores them together with others that are added at the same
 * time.
 *
 * @module
 */

import type { Batch } from "./batch.ts";
import type { BasketSettings, Kind } from "./options.ts";
import type { Added, NewTask, Store } from "./store.ts";
import { cut, sizeOf } from "./codec.ts";
import { checkName } from "./options.ts";
import { chain, encodePayload, isThenable, synchronous } from "./payload.ts";
import { check, checkFinite } from "../platform/check.ts";
import { validate } from "../platform/standard-schema.ts";

/** Options for {@link Basket.add}. */
export interface AddOptions<Tx = never> {
	/**
	 * The id of the task. While a task with this id is stored, in any state, adding it again does nothing, and
	 * {@link Added.state} is its state: a `"dead"` task stays until {@link Basket.retry} or {@link Basket.delete}. A
	 * done task is stored for the time of `retain`. 1 to 255 characters, not beginning with `_`. Default: an id that
	 * the store creates.
	 */
	id?: string | undefined;
	/** The delay before the task is due, in milliseconds: 0 or more, finite. @default 0 */
	delay?: number | undefined;
	/** Tasks with a higher priority run first: a whole number from -100 to 100. @default 0 */
	priority?: number | undefined;
	/**
	 * Tasks of one lane run one at a time, in the order in which they were added. A failing task blocks its lane until
	 * it is done, dead or deleted. 1 to 255 characters. Default: no lane.
	 */
	lane?: string | undefined;
	/** Your own transaction: the task is added if it commits. Codec and schema must then be synchronous. */
	tx?: Tx | undefined;
}

/** A task to add, of any kind. */
export interface Entry extends Omit<AddOptions, "tx"> {
	readonly kind: string;
	readonly payload?: unknown;
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
	const { store, name } = engine.settings;
	if (entries.length === 0) return [];
	const tasks: NewTask[] = [];
	let delay = Infinity;
	for (const entry of entries) {
		const task = synchronous(newTask(engine.settings, entry, tx), tx);
		tasks.push(isThenable(task) ? await task : task);
		delay = Math.min(delay, tasks.at(-1)!.delay);
	}
	for (const { what, count, most } of loadsOf(store, tasks)) {
		if (count <= most) continue;
		throw new RangeError(`At most ${most} ${what} can be added to this store at once: these are ${count}`);
	}
	if (tx !== undefined) return await store.add(name, tasks, tx);
	await engine.open();
	const added = await engine.adding.submit(tasks);
	engine.changed(delay);
	return added;
}

function newTask<Tx>(
	{ kinds, store }: BasketSettings<Tx>,
	entry: Entry,
	tx: Tx | undefined,
): NewTask | PromiseLike<NewTask> {
	const { id, delay = 0, priority = 0, lane } = check("entry", entry, "object");
	const kind = kindOf(kinds, entry.kind);
	if (id !== undefined) {
		check("id", checkName("id", id), "string", !id.startsWith("_"), `without "_" at the beginning`);
	}
	checkFinite("delay", delay);
	const isPriority = Number.isInteger(priority) && Math.abs(priority) <= 100;
	check("priority", priority, "number", isPriority, "a whole number from -100 to 100");
	if (lane !== undefined) checkName("lane", lane);
	const task = { id, kind: entry.kind, delay, priority, lane };
	const { maxPayload } = store.capabilities;
	const valid = kind.schema && validate(kind.schema, entry.payload);
	const payload = chain(synchronous(valid, tx), () => encodePayload(kind, entry.payload, maxPayload));
	return chain(payload, (payload) => ({ ...task, payload }));
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
	const bytes = maxAddBytes < Infinity ? tasks.reduce((sum, { payload }) => sum + sizeOf(payload), 0) : 0;
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
