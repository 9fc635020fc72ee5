/**
 * Which tasks have failed since one looked last.
 *
 * @module
 */

import { decodeFailure } from "../basket/engine.ts";
import type { Store, StoredTask, TaskState } from "../basket/store.ts";
import { describeFailure, jobOf } from "./task.ts";
import type { Request } from "./terminal.ts";

/** A failure that was noticed. */
export interface TaskFailed {
	/** When it was noticed; absent for what had failed before the first look. */
	readonly at?: number | undefined;
	/** The task. */
	readonly id: string;
	/** Its kind. */
	readonly kind: string;
	/** What it is doing now. */
	readonly state: TaskState;
	/** How many attempts have failed. */
	readonly attempts: number;
	/** What the last one failed with, on one line. */
	readonly error: string;
}

/** How many tasks of a state are looked at. */
const most = 200;
/** How many pages the looking goes on at once, to the last tasks of a state. */
const mostPages = 20;

/**
 * A store does not say when a task has failed, and lists the oldest first. So this looks at the last ones that are over,
 * which it finds page by page, and at the first waiting ones: what does not fail does not wait for long.
 */
export class Failures {
	readonly #store: Store;
	readonly #request: Pick<Request, "basket" | "kind">;
	/** Behind these keys are the last ones. */
	readonly #after: { dead?: string; done?: string } = {};
	/** Whether those were reached. */
	#isAtEnd = false;
	/** The failures that were told, by task. */
	#known = new Map<string, string>();

	constructor(store: Store, request: Pick<Request, "basket" | "kind">) {
		this.#store = store;
		this.#request = request;
	}

	/** What has failed since the last call; the first time what has failed before. */
	async next(now: number): Promise<TaskFailed[]> {
		const isFirst = !this.#isAtEnd;
		this.#isAtEnd = true;
		const over = [...await this.#last("dead"), ...await this.#last("done")];
		const known = new Map<string, string>();
		const news: TaskFailed[] = [];
		for (const task of [...over, ...await this.#list("waiting"), ...await this.#list("running")]) {
			const failed = await toFailed(task);
			if (failed === undefined) continue;
			const { id, state, attempts, error } = failed;
			const mark = `${attempts} ${state === "dead"} ${error}`;
			if (known.get(id) !== mark && this.#known.get(id) !== mark) news.push(isFirst ? failed : { at: now, ...failed });
			known.set(id, mark);
		}
		this.#known = known;
		return news;
	}

	async #list(state: TaskState, after?: string): Promise<readonly StoredTask[]> {
		const { basket, kind } = this.#request;
		return await this.#store.list(basket, { state, kind, after, limit: most });
	}

	/** What was before them is looked at no more. */
	async #last(state: "dead" | "done"): Promise<readonly StoredTask[]> {
		for (let page = 0;; page++) {
			const tasks = await this.#list(state, this.#after[state]);
			if (tasks.length < most) return tasks;
			this.#after[state] = tasks[most / 2]!.key;
			if (page < mostPages) continue;
			this.#isAtEnd = false;
			return tasks;
		}
	}
}

/** A job keeps its failures in its checkpoint, and is done also when it was reverted or has failed. */
async function toFailed(task: StoredTask): Promise<TaskFailed | undefined> {
	const { id, kind, state, error } = task;
	const job = state === "dead" ? undefined : await jobOf(task.payload);
	if (state === "done" && (job?.status ?? "completed") === "completed") return undefined;
	const failure = (state === "done" ? job?.revertError ?? job?.error : job?.previous) ?? decodeFailure(error);
	const attempts = job?.previous === undefined ? task.attempts : job.attempts;
	return failure && { id, kind, state, attempts, error: describeFailure(failure) };
}
