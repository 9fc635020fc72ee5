/**
 * Which tasks have failed since one looked last.
 *
 * @module
 */

import { decodeFailure } from "../basket/codec.ts";
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
const most = 500;
/** How many pages the looking goes on at once, to the end of the dead ones. */
const mostPages = 20;

/**
 * A store does not say when a task has failed, and lists the oldest first. So this looks at the last dead ones, which it finds
 * page by page, and at the first waiting ones: what does not fail does not wait for long.
 */
export class Failures {
	readonly #store: Store;
	readonly #request: Pick<Request, "basket" | "kind">;
	/** The dead ones before this are too many. */
	#after: string | undefined;
	#isFirst = true;
	/** The failures that were told, by task. */
	#known = new Map<string, string>();

	constructor(store: Store, request: Pick<Request, "basket" | "kind">) {
		this.#store = store;
		this.#request = request;
	}

	/** What has failed since the last call, in the order of the tasks; the first time what has failed before. */
	async next(now: number): Promise<TaskFailed[]> {
		const [dead, isAtEnd] = await this.#lastDead();
		const tasks = [...dead, ...await this.#list("waiting"), ...await this.#list("running")];
		const known = new Map<string, string>();
		const news: TaskFailed[] = [];
		for (const task of tasks) {
			const failed = await toFailed(task);
			if (failed === undefined) continue;
			const { id, attempts, error } = failed;
			const mark = `${attempts} ${task.state === "dead"} ${error}`;
			if (known.get(id) !== mark && this.#known.get(id) !== mark) {
				news.push(this.#isFirst ? failed : { at: now, ...failed });
			}
			known.set(id, mark);
		}
		this.#known = known;
		this.#isFirst &&= !isAtEnd;
		return news;
	}

	async #list(state: TaskState, after?: string): Promise<readonly StoredTask[]> {
		const { basket, kind } = this.#request;
		return await this.#store.list(basket, { state, kind, after, limit: most });
	}

	/** Goes on until less than a page is left; what is before the last ones is looked at no more. */
	async #lastDead(): Promise<[tasks: readonly StoredTask[], isAtEnd: boolean]> {
		for (let page = 0;; page++) {
			const tasks = await this.#list("dead", this.#after);
			if (tasks.length < most || page >= mostPages) return [tasks, tasks.length < most];
			this.#after = tasks[most / 2]!.key;
		}
	}
}

/** A job keeps its failures in its checkpoint. */
async function toFailed(task: StoredTask): Promise<TaskFailed | undefined> {
	const { id, kind, state, error } = task;
	const job = state === "dead" ? undefined : await jobOf(task.payload);
	const failure = job?.previous ?? decodeFailure(error);
	const attempts = job?.previous === undefined ? task.attempts : job.attempts;
	return failure && { id, kind, state, attempts, error: describeFailure(failure) };
}
