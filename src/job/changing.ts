/**
 * Changes of jobs, one by its id or all that a filter selects.
 *
 * @module
 */

import type { Changed, TxOptions } from "../basket/basket.ts";
import type { Change } from "../basket/store.ts";
import { type BasketEngine, changeMany, checkStored, listTasks } from "../basket/engine.ts";
import type { StoredJobPause } from "./options.ts";
import type { JobQuery } from "./view.ts";
import { check, refuse } from "../platform/check.ts";

/** Selects jobs for a change of many: all that have each given property. */
export type JobFilter = Pick<JobQuery, "state" | "job" | "lane" | "prefix">;

/** See `Processor.retry`. */
export function changeJobs<W extends string | JobFilter, Tx>(
	engine: BasketEngine<Tx>,
	which: W,
	change: Change | "delete",
	options?: TxOptions<Tx>,
): Promise<Changed<W>> {
	const isFilter = Object(which) === which;
	const changing = isFilter
		? changeSome(engine, which as JobFilter, change, options?.tx)
		: engine.change(which as string, change, options);
	return changing as Promise<Changed<W>>;
}

/** See `Processor.clear`. */
export async function clearJobs<Tx>(engine: BasketEngine<Tx>, filter: JobFilter): Promise<number> {
	return await changeSome(engine, filter, "delete", undefined, true);
}

/** Pauses or resumes jobs in the store. */
export async function pauseJobs<Tx>(
	engine: BasketEngine<Tx>,
	options: StoredJobPause,
	isPaused: boolean,
): Promise<boolean> {
	const { job: kind, ...rest } = check("options", options, "object");
	return await engine.pause(checkStored({ ...rest, kind }).kind, isPaused);
}

/** The running jobs that a filter for {@link changeJobs} selects. */
export async function runningAmong<Tx>(engine: BasketEngine<Tx>, which: string | JobFilter): Promise<string[]> {
	const ids: string[] = [];
	const one = typeof which === "string" ? await engine.settings.store.get(engine.settings.name, which) : undefined;
	if (one?.state === "running") ids.push(one.id);
	if (typeof which === "string" || (which.state ?? "running") !== "running") return ids;
	const { job: kind, ...rest } = which;
	for await (const { id } of listTasks(engine, { ...rest, kind, state: "running" })) ids.push(id);
	return ids;
}

async function changeSome<Tx>(
	engine: BasketEngine<Tx>,
	filter: JobFilter,
	change: Change | "delete",
	tx: Tx | undefined,
	mayBeAll?: boolean,
): Promise<number> {
	const { job, ...rest } = check(mayBeAll ? "filter" : "id", filter, "object");
	// It would be replaced, and select more than the caller means.
	if ("kind" in rest) refuse("kind", rest.kind, `absent: "job" is the name of the definition`);
	return await changeMany(engine, { ...rest, kind: job }, change, tx, mayBeAll);
}
