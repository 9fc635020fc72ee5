// What a store has of a job: its task, its state and its log.
import type { LogEntry, Store, StoredTask } from "../../../src/store.ts";
import type { FlowRecord, JobCheckpoint, JobEntry } from "../../../src/job/state.ts";
import { jsonCodec } from "../../../src/basket/engine.ts";
import { readJob } from "../../../src/job/stored.ts";
import { itemKind, kindOf, partsOf } from "../../../src/job/version.ts";
import type { JobShape } from "./shapes.ts";
import { itemShape, placesOf } from "./shapes.ts";

/** The name of the basket. */
export const basket = "trees";

export interface Node {
	readonly task: StoredTask;
	readonly state: JobCheckpoint;
	/** The places in the plan that are done, and those that were reverted, in their order in the log. */
	readonly done: readonly number[];
	readonly reverted: readonly number[];
}

/** Reads a job. `undefined` if there is none. */
export async function readNode(store: Store<never>, id: string): Promise<Node | undefined> {
	const task = await store.get(basket, id);
	if (task === undefined) return undefined;
	const log: readonly LogEntry[] = (await store.log(basket, [{ id, after: 0, limit: 1_000 }]))[0] ?? [];
	const entries = log.map(({ data }): JobEntry => JSON.parse(data as string));
	const reverts = (isRevert: boolean) => entries.filter((entry) => !!entry.isRevert === isRevert).map(({ at }) => at);
	const state = await readJob(jsonCodec, undefined, { record: task as never, entries: log });
	return { task, state, done: reverts(false), reverted: reverts(true) };
}

/** The names in the log of a durable function that are done, and those that were reverted. */
export function namesOf(records: readonly FlowRecord[] = []): { done: string[]; reverted: string[] } {
	const names = (isRevert: boolean) =>
		records.filter((record) => !!record.isRevert === isRevert && record.name !== undefined).map(({ name }) => name!);
	return { done: names(false), reverted: names(true) };
}

/** The children of a job, in the order in which they were added. */
export async function childrenOf(store: Store<never>, parent: string): Promise<readonly StoredTask[]> {
	return await store.list(basket, { parent, limit: 1_000 });
}

/** Those of one step of the current run of a job, in the order of their items: one that has begun anew is listed last. */
export function ofPlace(children: readonly StoredTask[], { uid }: JobCheckpoint, at: number): readonly StoredTask[] {
	const prefix = `${uid}/${at}/`;
	const indexOf = ({ id }: StoredTask) => Number(id.slice(prefix.length));
	return children.filter(({ id }) => id.startsWith(prefix)).sort((one, other) => indexOf(one) - indexOf(other));
}

export function isAlive({ state }: StoredTask): boolean {
	return state !== "done" && state !== "dead";
}

/** The shape of a job by its kind; that of an item if it is the child of one. */
export function shapeOf(shapes: readonly JobShape[], kind: string): JobShape {
	const { itemOf } = partsOf(kind);
	const shape = shapes.find((shape) => kind === (itemOf === undefined ? kindOf(shape) : itemKind(shape, itemOf)))!;
	if (itemOf === undefined) return shape;
	return itemShape(shape, placesOf(shape).find(({ part }) => part.name === itemOf)!.part as never);
}
