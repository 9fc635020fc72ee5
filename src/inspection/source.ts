/**
 * What an inspection needs of a basket and of a processor, as one interface.
 *
 * @module
 */

import type { Basket, TaskRecord } from "../basket/basket.ts";
import type { Counts, Pauses } from "../basket/store.ts";
import type { Processor } from "../job/processor.ts";
import type { JobRecord } from "../job/view.ts";
import type { CheckedQuery } from "./checking.ts";
import type {
	InspectedDetail,
	InspectedSchedule,
	InspectedTask,
	InspectionAction,
	InspectionActivity,
	InspectionSource,
} from "./records.ts";
import { isHalfDone, showJob, showJobDetail } from "./show-job.ts";
import { type Showing, showTask, showTaskDetail } from "./show-task.ts";
import { refuse } from "../platform/check.ts";

/** The part of a `Basket` that an inspection needs. */
export type InspectableBasket = Pick<
	Basket<unknown>,
	| "name"
	| "subscribe"
	| "getSnapshot"
	| "counts"
	| "pauses"
	| "list"
	| "get"
	| "schedules"
	| "retry"
	| "hold"
	| "release"
	| "delete"
	| "pause"
	| "resume"
>;

/** The part of a `Processor` that an inspection needs. */
export type InspectableProcessor = Pick<
	// deno-lint-ignore no-explicit-any -- the jobs of any store
	Processor<any, any>,
	| "name"
	| "subscribe"
	| "getSnapshot"
	| "counts"
	| "pauses"
	| "list"
	| "get"
	| "retry"
	| "hold"
	| "release"
	| "delete"
	| "pause"
	| "resume"
	| "cancel"
	| "signal"
>;

/** The methods of both, whose `subscribe` and `getSnapshot` are functions, too. */
export const basketMethods = [
	...["subscribe", "getSnapshot", "counts", "pauses", "list", "get", "schedules"],
	...["retry", "hold", "release", "delete", "pause", "resume"],
] as readonly (keyof InspectableBasket)[] as readonly (keyof InspectableBasket & string)[];
export const processorMethods = [
	...["subscribe", "getSnapshot", "counts", "pauses", "list", "get"],
	...["retry", "hold", "release", "delete", "pause", "resume", "cancel", "signal"],
] as readonly (keyof InspectableProcessor)[] as readonly (keyof InspectableProcessor & string)[];

/** A query for one of both. */
export type SourceQuery = Pick<
	CheckedQuery,
	"state" | "kind" | "lane" | "prefix" | "parent" | "order" | "after" | "limit"
>;

/** A task as it was read, for what is asked of it next. */
export interface Found {
	/** Its position. */
	readonly key: string;
	/** What is shown of it. */
	readonly task: InspectedTask;
}

/** A basket or a processor. */
export interface Source {
	readonly source: InspectionSource;
	readonly name: string;
	subscribe(listener: () => void): () => void;
	activity(): InspectionActivity;
	counts(): Promise<Counts>;
	pauses(): Promise<Pauses>;
	schedules(): AsyncIterable<InspectedSchedule>;
	list(query: Partial<SourceQuery>): AsyncIterable<Found>;
	get(id: string): Promise<InspectedDetail | undefined>;
	/** Returns how many were changed. */
	act(action: InspectionAction): Promise<number>;
}

/** What a basket and a processor have in common. */
abstract class CommonSource<Given extends Pick<InspectableBasket, "name" | "subscribe" | "counts" | "pauses">> {
	protected readonly given: Given;
	protected readonly showing: Showing;

	constructor(given: Given, showing: Showing) {
		this.given = given;
		this.showing = showing;
	}

	get name(): string {
		return this.given.name;
	}

	subscribe(listener: () => void): () => void {
		return this.given.subscribe(listener);
	}

	counts(): Promise<Counts> {
		return this.given.counts();
	}

	pauses(): Promise<Pauses> {
		return this.given.pauses();
	}
}

export class BasketSource extends CommonSource<InspectableBasket> implements Source {
	readonly source = "outbox";

	activity(): InspectionActivity {
		const { state, running } = this.given.getSnapshot();
		return { state, running };
	}

	async *schedules(): AsyncGenerator<InspectedSchedule, void, undefined> {
		for await (const { id, name, kind, text, next, state } of this.given.schedules()) {
			yield { id, name, kind, text, next, state };
		}
	}

	async *list(query: Partial<SourceQuery>): AsyncGenerator<Found, void, undefined> {
		for await (const record of this.given.list(query)) {
			yield { key: record.key, task: showTask(this.showing, record) };
		}
	}

	async get(id: string): Promise<InspectedDetail | undefined> {
		const record: TaskRecord | undefined = await this.given.get(id);
		return record && showTaskDetail(this.showing, record);
	}

	async act(action: InspectionAction): Promise<number> {
		const basket = this.given;
		switch (action.type) {
			case "retry":
				if (action.from !== undefined) refuse("from", action.from, "absent for a task that is no job");
				return Number(await basket.retry(action.id));
			case "runNow":
				return Number((await basket.get(action.id))?.state === "waiting" && await basket.retry(action.id));
			case "hold":
			case "release":
				return Number(await basket[action.type](action.id));
			case "delete":
				return Number(await basket.delete(action.id));
			case "retryAll": {
				const { kind, lane, prefix } = action;
				return await basket.retry({ state: "dead", kind, lane, prefix });
			}
			case "pause":
			case "resume":
				return Number(await basket[action.type]({ stored: true, kind: action.kind }));
			default:
				return refuse("type", action.type, "an action for tasks");
		}
	}
}

export class ProcessorSource extends CommonSource<InspectableProcessor> implements Source {
	readonly source = "processor";

	activity(): InspectionActivity {
		const { state, jobs } = this.given.getSnapshot();
		return { state, running: jobs.size };
	}

	/** Jobs have no schedules. */
	async *schedules(): AsyncGenerator<InspectedSchedule, void, undefined> {}

	async *list({ kind: job, ...query }: Partial<SourceQuery>): AsyncGenerator<Found, void, undefined> {
		for await (const record of this.given.list({ ...query, job })) {
			yield { key: record.key, task: showJob(this.showing, record) };
		}
	}

	async get(id: string): Promise<InspectedDetail | undefined> {
		const record: JobRecord | undefined = await this.given.get(id);
		if (record === undefined) return undefined;
		const childrenByState: Record<string, number> = {};
		for await (const { task: { state } } of this.list({ parent: id, limit: 200 })) {
			childrenByState[state] = (childrenByState[state] ?? 0) + 1;
		}
		const hasChildren = Object.keys(childrenByState).length > 0;
		return { ...showJobDetail(this.showing, record), ...(hasChildren ? { childrenByState } : {}) };
	}

	async act(action: InspectionAction): Promise<number> {
		const processor = this.given;
		switch (action.type) {
			case "retry":
				return Number(await processor.retry(action.id, { from: action.from }));
			case "hold":
			case "release":
				return Number(await processor[action.type](action.id));
			case "delete":
				if (!action.halfDone) await this.#refuseHalfDone(action.id);
				return Number(await processor.delete(action.id));
			case "retryAll": {
				const { kind: job, lane, prefix } = action;
				return await processor.retry({ state: "dead", job, lane, prefix });
			}
			case "pause":
			case "resume":
				return Number(await processor[action.type]({ stored: true, job: action.kind }));
			case "cancel":
				return Number(await processor.cancel(action.id));
			case "signal":
				return Number(await processor.signal(action.id, action.name as never, action.value as never));
			default:
				return refuse("type", action.type, "an action for jobs");
		}
	}

	async #refuseHalfDone(id: string): Promise<void> {
		const record: JobRecord | undefined = await this.given.get(id);
		if (record === undefined || !isHalfDone(record)) return;
		const reason =
			"has begun, or its parent waits for it: nothing of it would be reverted. Cancel it, or delete it with halfDone";
		throw new DOMException(`The job ${JSON.stringify(id)} ${reason}`, "InvalidStateError");
	}
}
