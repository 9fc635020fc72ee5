/**
 * An inspection of a basket and a processor of this process.
 *
 * @module
 */

import type { InspectedLane, InspectedTask, InspectionActionType, SourceOverview } from "./records.ts";
import type { Inspection } from "./interface.ts";
import type { Meter } from "./meter.ts";
import type { Redact } from "./redaction.ts";
import { type CheckedQuery, checkInspectionAction, checkInspectionQuery, checkInspectionSource } from "./checking.ts";
import {
	type InspectedDetail,
	type InspectionAction,
	inspectionActions,
	type InspectionChange,
	type InspectionOverview,
	type InspectionPage,
	type InspectionQuery,
	type InspectionSource,
} from "./records.ts";
import {
	basketMethods,
	BasketSource,
	type InspectableBasket,
	type InspectableProcessor,
	processorMethods,
	ProcessorSource,
	type Source,
} from "./source.ts";
import { Watching } from "./watching.ts";
import { check, checkFunction, checkMethods, checkWord, refuse } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import { checkName } from "../platform/name.ts";
import type { OnError } from "../platform/observe.ts";

/** What {@link inspect} inspects: one of both, or both. */
export interface Inspectable {
	/** A basket. */
	outbox?: InspectableBasket | undefined;
	/** A processor. */
	processor?: InspectableProcessor | undefined;
}

/** Options for {@link inspect}. */
export interface InspectOptions {
	/** Removes or changes what may not be shown of a task. @default everything is shown */
	redact?: Redact | undefined;
	/** The actions that are allowed. @default all */
	actions?: readonly InspectionActionType[] | undefined;
	/** What the basket and the processor have as `observe`, for the rates. @default none */
	meter?: Meter | undefined;
	/** Called with errors of `redact` and of listeners. */
	onError?: OnError | undefined;
	/** The clock to use. @default systemClock */
	clock?: Clock | undefined;
}

/** The maximum number of tasks that are read for a page with a text or a status. */
const mostRead = 1_000;
/** The maximum number of kinds that are remembered. */
const mostKinds = 200;
/** The maximum number of schedules in an overview. */
const mostSchedules = 100;
/** The maximum number of tasks before another one in its lane that are counted. */
const mostAhead = 100;

/**
 * Inspects a basket, a processor, or both: for an inspector in a page that has them, and behind `basketHandler`. Neither needs
 * to run, nor to know the kinds of the tasks.
 *
 * @param inspectable the basket as `outbox`, and the `processor`
 * @param options what may be shown and done
 * @throws {TypeError | RangeError} for arguments of the wrong type, or if there is neither
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Basket, memoryStore } from "upkeep";
 * import { inspect } from "upkeep/http";
 *
 * const outbox = new Basket({ store: memoryStore(), tasks: { send: (_mail: { to: string; password: string }) => {} } });
 * await outbox.add("send", { to: "ada@example.com", password: "secret" }, { id: "welcome-ada" });
 *
 * const inspection = inspect({ outbox }, {
 * 	redact: ({ payload, ...task }) => ({ ...task, payload: { to: (payload as { to: string }).to } }),
 * });
 * const { items } = await inspection.list({ state: "waiting" });
 * assert.deepEqual(items.map(({ id, preview }) => [id, preview]), [["welcome-ada", '{"to":"ada@example.com"}']]);
 * assert.deepEqual(await inspection.act({ type: "hold", id: "welcome-ada" }), { changed: 1 });
 * assert.equal((await inspection.overview()).sources[0]?.counts.held, 1);
 * ```
 */
export function inspect(inspectable: Inspectable, options: InspectOptions = {}): Inspection {
	const { outbox, processor } = check("inspectable", inspectable, "object");
	const { actions = inspectionActions, meter, clock } = check("options", options, "object");
	const redact = checkFunction("redact", options.redact);
	const onError = checkFunction("onError", options.onError);
	check("actions", actions, "object", Array.isArray(actions), "an array of actions");
	for (const action of actions) checkWord("actions", action, inspectionActions);
	if (meter !== undefined) checkMethods("meter", meter, "read");
	const sources: Source[] = [];
	if (outbox !== undefined) {
		sources.push(new BasketSource(checkMethods("outbox", outbox, ...basketMethods), { redact, onError }));
	}
	if (processor !== undefined) {
		sources.push(new ProcessorSource(checkMethods("processor", processor, ...processorMethods), { redact, onError }));
	}
	if (sources.length === 0) refuse("inspectable", inspectable, "an object with an outbox, a processor, or both");
	return new LocalInspection(sources, actions, meter, checkClock(clock), onError);
}

class LocalInspection implements Inspection {
	readonly #sources: readonly Source[];
	readonly #actions: readonly InspectionActionType[];
	readonly #clock: Clock;
	readonly #watching: Watching;
	readonly #kinds = new Map<InspectionSource, Set<string>>();

	constructor(
		sources: readonly Source[],
		actions: readonly InspectionActionType[],
		meter: Meter | undefined,
		clock: Clock,
		onError: OnError | undefined,
	) {
		this.#sources = sources;
		const hasJobs = sources.some(({ source }) => source === "processor");
		this.#actions = inspectionActions.filter((action) => {
			return actions.includes(action) && (hasJobs || (action !== "cancel" && action !== "signal"));
		});
		this.#clock = clock;
		this.#watching = new Watching(sources, meter, clock, onError);
	}

	async overview(): Promise<InspectionOverview> {
		const sources = await Promise.all(this.#sources.map((source) => this.#survey(source)));
		return { at: this.#clock.now(), sources, actions: this.#actions };
	}

	async list(query: InspectionQuery = {}): Promise<InspectionPage> {
		const checked = checkInspectionQuery(query);
		const source = this.#find(checked.source);
		// Ids that the store has made cannot be searched by their beginning.
		if (checked.prefix?.startsWith("_")) return await this.#listOne(source, checked.prefix, checked);
		const { state, kind, lane, prefix, parent, order, after, limit, text, status } = checked;
		// One more, to know whether there are more.
		const most = (text === undefined && status === undefined ? limit : mostRead) + 1;
		const items: InspectedTask[] = [];
		let last: string | undefined;
		let read = 0;
		for await (const { key, task } of source.list({ state, kind, lane, prefix, parent, order, after, limit: most })) {
			if (++read === most || items.length === limit && matches(task, checked)) return { items, next: last };
			last = key;
			this.#remember(task);
			if (matches(task, checked)) items.push(task);
		}
		return { items };
	}

	async get(id: string, source?: InspectionSource): Promise<InspectedDetail | undefined> {
		checkName("id", id);
		checkInspectionSource(source);
		const found = this.#find(source);
		const task = await found.get(id);
		if (task === undefined) return undefined;
		const { lane, state } = task;
		if (lane === undefined || state !== "waiting" && state !== "held") return task;
		const ahead = await this.#lookAhead(found, lane, id);
		return { ...task, ahead };
	}

	async act(action: InspectionAction): Promise<{ readonly changed: number }> {
		const checked = checkInspectionAction(action);
		const { type } = checked;
		if (!this.#actions.includes(type)) throw new DOMException(`${type} is not allowed`, "NotAllowedError");
		const isForJob = type === "cancel" || type === "signal";
		return { changed: await this.#find(isForJob ? "processor" : checked.source).act(checked) };
	}

	watch(listener: (change: InspectionChange) => void, onError?: (error: unknown) => void): () => void {
		return this.#watching.watch(check("listener", listener, "function"), checkFunction("onError", onError));
	}

	#find(wanted: InspectionSource | undefined): Source {
		const found = this.#sources.find(({ source }) => wanted === undefined || source === wanted);
		return found ?? refuse("source", wanted, this.#sources.map(({ source }) => source).join(" or "), RangeError);
	}

	async #survey(source: Source): Promise<SourceOverview> {
		const [counts, pauses, schedules, first] = await Promise.all([
			source.counts(),
			source.pauses(),
			take(source.schedules(), mostSchedules),
			take(source.list({ state: "waiting", limit: 1 }), 1),
		]);
		// Some of the newest and oldest tasks show the kinds of a basket that was never listed.
		if (!this.#kinds.has(source.source)) {
			const pages = (["newest", "oldest"] as const).map((order) => take(source.list({ order, limit: 50 }), 50));
			for (const { task } of (await Promise.all(pages)).flat()) this.#remember(task);
		}
		const kinds = this.#kindsOf(source.source);
		for (const kind of [...pauses.kinds, ...schedules.map(({ kind }) => kind)]) remember(kinds, kind);
		const { id, addedAt, dueAt } = first[0]?.task ?? {};
		return {
			source: source.source,
			name: source.name,
			counts,
			activity: source.activity(),
			oldestWaiting: id === undefined ? undefined : { id, addedAt: addedAt!, dueAt },
			pauses,
			kinds: [...kinds].sort(),
			schedules,
			samples: this.#watching.samples(source.source),
		};
	}

	async #listOne(source: Source, id: string, query: CheckedQuery): Promise<InspectionPage> {
		const { state, kind, lane, parent } = query;
		const task = await source.get(id);
		const isSelected = task !== undefined && query.after === undefined && matches(task, query) &&
			task.parent === parent &&
			[[state, task.state], [kind, task.kind], [lane, task.lane]].every(([wanted, is]) =>
				wanted === undefined || wanted === is
			);
		return { items: isSelected ? [task] : [] };
	}

	async #lookAhead(source: Source, lane: string, id: string): Promise<InspectedLane> {
		let count = 0;
		let head: string | undefined;
		for await (const { task } of source.list({ lane, order: "oldest", limit: mostRead })) {
			if (task.id === id) return { count, isMore: false, head };
			if (task.state === "done" || task.state === "dead") continue;
			head ??= task.id;
			if (++count === mostAhead) break;
		}
		return { count, isMore: true, head };
	}

	#remember({ source, kind }: InspectedTask): void {
		remember(this.#kindsOf(source), kind);
	}

	#kindsOf(source: InspectionSource): Set<string> {
		const kinds = this.#kinds.get(source) ?? new Set();
		this.#kinds.set(source, kinds);
		return kinds;
	}
}

function remember(kinds: Set<string>, kind: string): void {
	if (kinds.size < mostKinds) kinds.add(kind);
}

function matches({ id, kind, preview, error, job }: InspectedTask, { text, status }: CheckedQuery): boolean {
	if (status !== undefined && job?.status !== status) return false;
	if (text === undefined) return true;
	const wanted = text.toLowerCase();
	return [id, kind, preview, error?.name ?? "", error?.message ?? ""].some((part) =>
		part.toLowerCase().includes(wanted)
	);
}

async function take<T>(list: AsyncIterable<T>, most: number): Promise<T[]> {
	const items: T[] = [];
	for await (const item of list) if (items.push(item) === most) break;
	return items;
}
