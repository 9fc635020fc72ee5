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

/** How many tasks are asked of the store at once. */
const pageSize = 200;
/** How many pages a look goes on towards the last tasks that are over. */
const mostPages = 20;
/** How many pages of the waiting tasks a look reads behind the first one. */
const pagesOfRound = 5;

/** Some tasks, and whether those that have failed may have done so before the first look. */
type Found = readonly [tasks: readonly StoredTask[], isOld: boolean];

type Over = "dead" | "done";
type Open = "waiting" | "running";

/**
 * A store does not say when a task has failed, and lists the oldest first. So a look reads the last tasks that are over,
 * which it finds page by page, and some of those that are not: the first page, as a task that does not fail does not stay
 * there for long, and then the next pages of a round through all of them.
 */
export class Failures {
	readonly #store: Store;
	readonly #request: Pick<Request, "basket" | "kind">;
	/** Behind these keys are the last tasks that are over, and the next pages of the round. */
	readonly #after: { [state in TaskState]?: string | undefined } = {};
	/** The states whose first page was read. */
	readonly #begun = new Set<TaskState>();
	/** The states of which all tasks were read once. */
	readonly #read = new Set<TaskState>();
	/** The states whose round is complete. */
	readonly #complete = new Set<TaskState>();
	/** The failures that were told in this round, and those of the round before: by task. */
	#told = new Map<string, string>();
	#toldBefore = new Map<string, string>();

	constructor(store: Store, request: Pick<Request, "basket" | "kind">) {
		this.#store = store;
		this.#request = request;
	}

	/** What has failed since the last call; the first time what has failed before. */
	async next(now: number): Promise<TaskFailed[]> {
		const news: TaskFailed[] = [];
		const over = [await this.#last("dead"), await this.#last("done")];
		for (const [tasks, isOld] of [...over, ...await this.#round("waiting"), ...await this.#round("running")]) {
			for (const task of tasks) {
				const failed = await toFailed(task);
				if (failed !== undefined && this.#isNews(failed)) news.push(isOld ? failed : { at: now, ...failed });
			}
		}
		if (this.#complete.size === 2) {
			this.#complete.clear();
			this.#toldBefore = this.#told;
			this.#told = new Map();
		}
		return news;
	}

	#isNews({ id, state, attempts, error }: TaskFailed): boolean {
		const mark = `${attempts} ${state === "dead"} ${error}`;
		const isTold = this.#told.get(id) === mark || this.#toldBefore.get(id) === mark;
		this.#told.set(id, mark);
		return !isTold;
	}

	async #list(state: TaskState, after?: string): Promise<readonly StoredTask[]> {
		const { basket, kind } = this.#request;
		return await this.#store.list(basket, { state, kind, after, limit: pageSize });
	}

	/** The tasks before them are read no more. */
	async #last(state: Over): Promise<Found> {
		const isOld = !this.#read.has(state);
		for (let page = 0;; page++) {
			const tasks = await this.#list(state, this.#after[state]);
			const isEnd = tasks.length < pageSize;
			if (isEnd) this.#read.add(state);
			else this.#after[state] = tasks[pageSize / 2]!.key;
			if (isEnd || page === mostPages) return [tasks, isOld];
		}
	}

	async #round(state: Open): Promise<Found[]> {
		const first = await this.#list(state);
		const found: Found[] = [[first, !this.#begun.has(state)]];
		this.#begun.add(state);
		let tasks = first;
		let after = this.#after[state] ?? first.at(-1)?.key;
		for (let page = 0; page < pagesOfRound && tasks.length === pageSize; page++) {
			tasks = await this.#list(state, after);
			found.push([tasks, !this.#read.has(state)]);
			after = tasks.at(-1)?.key;
		}
		const isEnd = tasks.length < pageSize;
		this.#after[state] = isEnd ? undefined : after;
		if (isEnd) { for (const set of [this.#read, this.#complete]) set.add(state); }
		return found;
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
