/**
 * `upkeep retry --from`: jobs that have ended go on where they failed, or begin anew.
 *
 * @module
 */

import type { LogRead, Store, StoredTask } from "../basket/store.ts";
import { jsonCodec } from "../basket/engine.ts";
import { restartOf } from "../job/restarting.ts";
import { headOf } from "./job-reader.ts";
import { Failure, quote } from "./terminal.ts";

/** Returns which of the jobs were restarted. */
export async function restart(
	store: Store,
	basket: string,
	ids: readonly string[],
	from: "failure" | "start",
): Promise<boolean[]> {
	const readLog = async (read: LogRead) => (await store.log(basket, [read]))[0];
	const source = { codec: jsonCodec, readLog, maxPayload: store.capabilities.maxPayload };
	const restarted: boolean[] = [];
	for (const id of ids) {
		const task = await store.get(basket, id);
		const isJob = task !== undefined && await headOf(task.payload) !== undefined;
		const change = isJob ? await restartOf(source, undefined, task, from) : undefined;
		restarted.push(change !== undefined && (await store.change(basket, [id], change))[0]!);
	}
	return restarted;
}

/** Why a task was not restarted. */
export async function whyNotFrom({ id, state, payload }: StoredTask, from: "failure" | "start"): Promise<Failure> {
	const head = await headOf(payload);
	if (head === undefined) {
		return new Failure(1, `The task ${quote(id)} is no job that can be read: --from is for these`);
	}
	const isOver = state === "done" || state === "dead";
	if (!isOver) return new Failure(1, `The job ${quote(id)} is ${state}: only jobs that have ended begin again`);
	const reason = from === "failure" && head.status === "completed"
		? "completed, without a failure"
		: "changed meanwhile";
	return new Failure(1, `The job ${quote(id)} is ${reason}`);
}
