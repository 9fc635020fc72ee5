/**
 * Finds the tasks that have failed since the last look.
 *
 * @module
 */

import { decodeFailure } from "../basket/engine.ts";
import { baseOf, type Store, type StoredTask, type TaskState } from "../basket/store.ts";
import { failedAt } from "./attempts.ts";
import { headOf } from "./job-reader.ts";
import { describeFailure } from "./task.ts";
import type { Request } from "./terminal.ts";

/** A failure that a look has found. */
export interface TaskFailed {
	/**
	 * When the attempt ended, if its worker has stored that; otherwise when the look found it, or absent if the task may have
	 * failed before the first look.
	 */
	readonly at?: number | undefined;
	/** The id of the task. */
	readonly id: string;
	/** The kind of the task. */
	readonly kind: string;
	/** Its state now. */
	readonly state: TaskState;
	/** The number of failed attempts. */
	readonly attempts: number;
	/** The error of the last attempt, on one line. */
	readonly error: string;
}

/** The number of tasks in one request to the store. */
const pageSize = 200;
/** The maximum number of pages by which one look approaches the last finished tasks. */
const mostPages = 20;
/** The number of pages of unfinished tasks that one look reads after the first page. */
const pagesOfRound = 5;

/** Tasks, and whether their failures may be older than the first look. */
type Found = readonly [tasks: readonly StoredTask[], isOld: boolean];

type Over = "dead" | "done";
type Open = "waiting" | "running";

/**
 * Looks for failures. A store cannot look for these, and lists the oldest tasks first. So a look reads the last
 * finished tasks, which it approaches page by page, and a part of the unfinished ones: always their first page, because a
 * task that does not fail leaves it soon, and then the next pages of a round through all of them.
 */
export class Failures {
	readonly #store: Store;
	readonly #request: Pick<Request, "basket" | "kind">;
	/** The last finished tasks, and the next pages of the round, come after these keys. */
	readonly #after: { [state in TaskState]?: string | undefined } = {};
	/** The states whose first page has been read. */
	readonly #begun = new Set<TaskState>();
	/** The states whose tasks have all been read once. */
	readonly #read = new Set<TaskState>();
	/** The states whose round is complete. */
	readonly #complete = new Set<TaskState>();
	/** The failures reported in this round and in the previous one, by task. */
	#told = new Map<string, string>();
	#toldBefore = new Map<string, string>();

	constructor(store: Store, request: Pick<Request, "basket" | "kind">) {
		this.#store = store;
		this.#request = request;
	}

	/** The failures since the last call, the latest last; the first call also returns earlier ones. */
	async next(now: number): Promise<TaskFailed[]> {
		const news: TaskFailed[] = [];
		const over = [await this.#last("dead"), await this.#last("done")];
		for (const [tasks, isOld] of [...over, ...await this.#round("waiting"), ...await this.#round("running")]) {
			for (const task of tasks) {
				const failed = await toFailed(task);
				if (failed === undefined || !this.#isNews(failed)) continue;
				news.push(isOld || failed.at !== undefined ? failed : { ...failed, at: now });
			}
		}
		if (this.#complete.size === 2) {
			this.#complete.clear();
			this.#toldBefore = this.#told;
			this.#told = new Map();
		}
		return news.sort((a, b) => (a.at ?? 0) - (b.at ?? 0));
	}

	#isNews({ at, id, state, attempts, error }: TaskFailed): boolean {
		const mark = `${at ?? ""} ${attempts} ${state === "dead"} ${error}`;
		const isTold = this.#told.get(id) === mark || this.#toldBefore.get(id) === mark;
		this.#told.set(id, mark);
		return !isTold;
	}

	async #list(state: TaskState, after?: string): Promise<readonly StoredTask[]> {
		const { basket, kind } = this.#request;
		return await this.#store.list(basket, { state, kind, after, limit: pageSize });
	}

	/** Earlier finished tasks are not read again. */
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

/** A job keeps its failures in its checkpoint, and its task is done even if the job was reverted or has failed. */
async function toFailed(task: StoredTask): Promise<TaskFailed | undefined> {
	const { id, kind, state, error } = task;
	const job = state === "dead" ? undefined : await headOf(task.payload);
	if (state === "done" && (job?.status ?? "completed") === "completed") return undefined;
	const failure = (state === "done" ? job?.revertError ?? job?.error : job?.previous) ?? decodeFailure(error);
	const attempts = job?.previous === undefined ? task.attempts : job.attempts;
	const at = failedAt(task, job);
	return failure &&
		{ ...at === undefined ? {} : { at }, id, kind: baseOf(kind), state, attempts, error: describeFailure(failure) };
}
