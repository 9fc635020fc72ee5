/**
 * Stores a schedule, unless the same one is stored.
 *
 * @module
 */

import type { AddedTask, ScheduleEntry, ScheduleTask, SchedulingHost, Ticks } from "./ticks.ts";
import { type Envelope, openEnvelope, pack, sealEnvelope } from "./envelope.ts";
import { spreadOf } from "./tick.ts";
import { refuse } from "../platform/check.ts";

/** See `Ticks.schedule`. With a transaction, it is synchronous until the task is stored. */
export async function storeSchedule<T extends ScheduleTask, State>(
	host: SchedulingHost<T, State>,
	entry: ScheduleEntry<T>,
): Promise<AddedTask<State>> {
	const { schedules, id, task, rule, isDeclared, isInTransaction } = entry;
	const { every, missed, spread, overlap } = rule;
	schedules.ticks ??= every.ticks as Ticks;
	schedules.known.set(every.text, every);
	const overlaps = overlap || undefined;
	const wanted = { text: every.text, missed, spread, overlaps, isDeclared, payload: pack(task.payload) };
	const put = (due: number, ifPresent: "replace" | undefined, count = 0) => {
		const delay = Math.max(0, due + spreadOf(id, spread) - host.now());
		return host.add({ ...task, payload: sealEnvelope({ ...wanted, due, count }), delay, ifPresent });
	};
	const next = () => every.next(host.now());
	if (isInTransaction) return await put(next() ?? refuseOver(every.text), "replace");
	for (;;) {
		const stored = await host.get(id);
		const old = stored && openEnvelope(stored.payload);
		if (stored !== undefined && old === undefined) {
			throw new TypeError(`The task ${JSON.stringify(id)} is no schedule: delete it, or choose another name`);
		}
		const isAlive = stored !== undefined && stored.state !== "dead" && stored.state !== "done";
		const isSame = isAlive && stored.kind === task.kind && isEqual(old!, wanted);
		if (isSame) return { id, added: false, state: stored.state };
		// A running tick has its instant already.
		const keeps = isAlive && stored.state !== "running" && old!.text === every.text;
		const due = keeps ? old!.due : next();
		// A definition whose instants are over ends in silence, like a stored schedule.
		if (due === undefined) return isDeclared ? { id, added: false } : refuseOver(every.text);
		const added = await put(due, stored && "replace", keeps ? old!.count : 0);
		// Others may have added it, or begun its tick, since it was read.
		if (!added.added || keeps && added.state === "running") continue;
		// Otherwise it is due when the replaced schedule was to be due, or later.
		if (added.state === "running") await host.post(id);
		return added;
	}
}

function isEqual(old: Envelope, wanted: Omit<Envelope, "due" | "count">): boolean {
	const names = Object.keys(wanted) as (keyof typeof wanted)[];
	return names.every((name) => JSON.stringify(old[name]) === JSON.stringify(wanted[name]));
}

function refuseOver(text: string): never {
	refuse("every", text, "a schedule that has a next instant", RangeError);
}
