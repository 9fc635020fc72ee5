/**
 * Stores and lists the schedules of a basket.
 *
 * @module
 */

import type { AddingOwner } from "./adding.ts";
import type { TaskRecord } from "./reading.ts";
import type { Added, NewTask, TaskState } from "./store.ts";
import { newTask, storeTasks } from "./adding.ts";
import { checkSize, isThenable } from "./payload.ts";
import { listTasks } from "./reading.ts";
import { prefix, type Recurring, ruleOf, ticksOf } from "./schedules.ts";
import type { Rule } from "../schedule/ticks.ts";
import { check } from "../platform/check.ts";
import { checkName } from "../platform/name.ts";

/** Options for {@link Basket.schedule}. */
export interface ScheduleOptions<Tx = never> extends Recurring {
	/**
	 * Your own transaction: the schedule is stored if it commits. A stored one is then replaced even if it is the same, so
	 * an interval begins anew. If it is running, the new schedule is not due before the next instant of the old one.
	 */
	tx?: Tx | undefined;
}

/** A schedule, as {@link Basket.schedules} returns it. */
export interface ScheduleRecord {
	/** The id of its task, for `hold`, `release`, `retry` and `get`. */
	readonly id: string;
	/** The name. */
	readonly name: string;
	/** The kind of its tasks. */
	readonly kind: string;
	/** The text of the schedule. */
	readonly text: string;
	/** The payload of each tick, decoded if this basket knows the kind. */
	readonly payload: unknown;
	/** The instant that is due next or runs, without its spread, in milliseconds since 1970 on the store's clock. */
	readonly next: number;
	/** The state of its task. `"held"`: paused. */
	readonly state: TaskState;
}

/** The id of the task of a schedule. */
export function scheduleId(name: string): string {
	return checkName("name", prefix + checkName("name", name));
}

/** See `Basket.schedule`. */
export async function addSchedule<Tx>(
	engine: AddingOwner<Tx>,
	name: string,
	kind: string,
	payload: unknown,
	options: ScheduleOptions<Tx>,
): Promise<Added> {
	const { tx } = check("options", options, "object");
	return await schedule(engine, name, kind, payload, ruleOf(options), tx);
}

/** See `Basket.schedules`. */
export async function* listSchedules<Tx>(
	engine: AddingOwner<Tx>,
): AsyncGenerator<ScheduleRecord, void, undefined> {
	for await (const task of listTasks(engine, { prefix })) {
		const { id, kind, payload, state, schedule }: TaskRecord = task;
		if (schedule !== undefined) yield { id, name: id.slice(prefix.length), kind, payload, state, ...schedule };
	}
}

/** Stores a schedule. With a transaction, it is synchronous until the store is called. */
async function schedule<Tx>(
	engine: AddingOwner<Tx>,
	name: string,
	kind: string,
	payload: unknown,
	rule: Rule,
	tx?: Tx,
	isDeclared = false,
): Promise<Added> {
	const { settings } = engine;
	const { store, clock, schedules } = settings;
	const id = scheduleId(name);
	// The ids of its ticks are longer.
	if (rule.overlap) checkName("name", `${id}@${clock.now()}`);
	const given = newTask(settings, { id, kind, payload }, tx);
	const task = isThenable(given) ? await given : given;
	// What is stored around it is text.
	checkSize(task.payload);
	const host = {
		now: () => clock.now(),
		async get(id: string) {
			await engine.open();
			return await store.get(settings.name, id);
		},
		async add(task: NewTask) {
			checkSize(task.payload, store.capabilities.maxPayload);
			return (await storeTasks(engine, [task], tx))[0]!;
		},
		post: (id: string) => store.post(settings.name, id, ""),
	};
	return await ticksOf(rule.every).schedule(host, {
		schedules,
		id,
		task,
		rule,
		isDeclared,
		isInTransaction: tx !== undefined,
	});
}

/** Stores the schedules that the definitions of kinds declare. */
export async function declare<Tx>(engine: AddingOwner<Tx>): Promise<void> {
	for (const [name, { rule }] of engine.settings.kinds) {
		if (rule !== undefined) await schedule(engine, name, name, undefined, rule, undefined, true);
	}
}
