/**
 * What an inspector shows, and what happens when somebody uses it. It reads again when its source says that something has
 * changed, one thing after the other, and keeps what it has while the source does not answer.
 *
 * ```text
 *   connecting ──(an answer)──► live ◄──(an answer)── away
 *        └──────(an error)───────┴─────(an error)──────► away
 * ```
 *
 * @module
 */

import type {
	BacklogSample,
	InspectedDetail,
	InspectedTask,
	Inspection,
	InspectionAction,
	InspectionActionType,
	InspectionChange,
	InspectionOverview,
	InspectionPage,
	InspectionQuery,
	InspectionSource,
	MeterSlot,
	SourceOverview,
} from "../inspection/inspection.ts";
import { plural } from "./words.ts";

/** What is shown: the tasks of a source, or one of two tables. */
export type Tab = InspectionSource | "schedules" | "kinds";

/** A question before an action, or for what it needs. */
export interface Question {
	readonly title: string;
	readonly text: string;
	/** On the button that says yes. */
	readonly verb: string;
	readonly isDangerous?: boolean;
	/** The text fields: their labels by name, with their first values. */
	readonly fields?: Readonly<Record<string, readonly [label: string, value: string]>>;
	/** Called with the fields; throws if they cannot be used. */
	readonly onYes: (fields: Readonly<Record<string, string>>) => void;
}

/** How many tasks a page has, and how many of a lane are shown beside one of its tasks. */
const pageSize = 50;
const laneSize = 12;

/** For how long samples are kept, in milliseconds, and how long a message stays. */
const sampledFor = 600_000;
const toldFor = 6_000;

export class Model {
	link: "connecting" | "live" | "away" = "connecting";
	/** Why there is no answer. */
	problem = "";
	overview: InspectionOverview | undefined;
	rates: readonly MeterSlot[] | undefined;
	tab: Tab = "outbox";
	query: InspectionQuery = {};
	/** Where the earlier pages of the list begin. */
	trail: readonly (string | undefined)[] = [];
	page: InspectionPage | undefined;
	/** With what somebody is in the list: then its rows stay where they are. */
	readonly #readers = new Set<"pointer" | "focus">();
	/** The page as it will be when nobody reads it. */
	#later: InspectionPage | undefined;
	/** The row that the tab key leads to. */
	row: string | undefined;
	selected: { readonly source: InspectionSource; readonly id: string } | undefined;
	/** `undefined` until it is read, `null` if it is gone. */
	detail: InspectedDetail | null | undefined;
	/** The lane of the selected task, in order. */
	lane: readonly InspectedTask[] = [];
	question: Question | undefined;
	mistake = "";
	told = "";
	/** How far the clock of the source is ahead of the one here, in milliseconds. */
	ahead = 0;
	readonly #samples = new Map<InspectionSource, BacklogSample[]>();
	readonly #inspection: Inspection;
	readonly #onChange: () => void;
	#isReading = false;
	#isStale = false;
	#unwatch: (() => void) | undefined;
	#toldTimer: ReturnType<typeof setTimeout> | undefined;

	constructor(inspection: Inspection, onChange: () => void) {
		this.#inspection = inspection;
		this.#onChange = onChange;
	}

	/** Begins to watch, or goes on with it: what happened meanwhile is read. */
	start(): void {
		this.#isStale = true;
		this.#unwatch ??= this.#inspection.watch((change) => this.#changed(change), (error) => this.#failed(error));
	}

	stop(): void {
		this.#unwatch?.();
		this.#unwatch = undefined;
		clearTimeout(this.#toldTimer);
		this.told = "";
	}

	get now(): number {
		return Date.now() + this.ahead;
	}

	/** The source whose tasks are shown, or were before a table. */
	get source(): SourceOverview | undefined {
		return this.overview?.sources.find(({ source }) => source === this.tab) ?? this.overview?.sources[0];
	}

	/** Its counts of the last minutes. */
	get samples(): readonly BacklogSample[] {
		return this.source === undefined ? [] : this.#samples.get(this.source.source) ?? this.source.samples;
	}

	/** Whether rows were added or are gone since the list is read. */
	get hasMore(): boolean {
		return this.#later !== undefined;
	}

	/** Whether a row is gone from the list, which shows it until nobody reads it any more. */
	isGone(id: string): boolean {
		return this.#later !== undefined && !this.#later.items.some((item) => item.id === id);
	}

	allows(type: InspectionActionType): boolean {
		return this.overview?.actions.includes(type) ?? false;
	}

	show(tab: Tab, query: InspectionQuery = {}): void {
		this.tab = tab;
		this.close();
		this.filter(query, true);
	}

	/** Shows a task in the list of its source. */
	openIn(source: InspectionSource, id: string): void {
		this.show(source);
		this.open(source, id);
	}

	/** Shows another list. */
	filter(change: InspectionQuery, isNew = false): void {
		this.query = isNew ? change : { ...this.query, ...change };
		this.#goTo([], undefined);
	}

	next(): void {
		this.#goTo([...this.trail, this.query.after], this.page?.next);
	}

	previous(): void {
		this.#goTo(this.trail.slice(0, -1), this.trail.at(-1));
	}

	/** Lets the rows of the list stay where they are, or catches up with what has changed. */
	read(reader: "pointer" | "focus", isIn: boolean): void {
		if (isIn) this.#readers.add(reader);
		else if (this.#readers.delete(reader) && this.#readers.size === 0) this.catchUp();
	}

	/** Shows the list as it is now. */
	catchUp(): void {
		if (this.#later === undefined) return;
		this.page = this.#later;
		this.#later = undefined;
		this.#onChange();
	}

	/** Lets the tab key lead to this row. */
	stopAt(row: string): void {
		this.read("focus", true);
		if (row === this.row) return;
		this.row = row;
		this.#onChange();
	}

	open(source: InspectionSource, id: string): void {
		this.selected = { source, id };
		this.row = id;
		this.detail = undefined;
		this.lane = [];
		this.refresh();
	}

	close(): void {
		this.selected = this.detail = undefined;
		this.#onChange();
	}

	ask(question: Question | undefined): void {
		this.question = question;
		this.mistake = "";
		this.#onChange();
	}

	/** Says why an answer to the question cannot be used. */
	wrong(error: unknown): void {
		this.mistake = messageOf(error);
		this.#onChange();
	}

	/** Says something, also to who cannot see it. */
	tell(text: string): void {
		this.told = text;
		clearTimeout(this.#toldTimer);
		this.#toldTimer = setTimeout(() => {
			this.told = "";
			this.#onChange();
		}, toldFor);
		this.#onChange();
	}

	/** @param done what to say when it has happened */
	async act(action: InspectionAction, done: string): Promise<void> {
		try {
			const { changed } = await this.#inspection.act(action);
			const isMany = action.type === "retryAll";
			if (changed === 0) this.tell("Nothing was changed: it is not in this state any more.");
			else this.tell(isMany ? `${done}: ${plural(changed, "task")}.` : `${done}.`);
			if (action.type === "delete" && action.id === this.selected?.id) this.close();
		} catch (error) {
			this.tell(`Failed: ${messageOf(error)}`);
		}
		this.refresh();
	}

	/** Reads what is shown, once more if that changes meanwhile. */
	refresh(): void {
		this.#isStale = true;
		this.#onChange();
		if (this.#isReading) return;
		this.#isReading = true;
		this.#readAll().catch((error) => this.#failed(error)).finally(() => {
			this.#isReading = false;
			this.#onChange();
		});
	}

	async #readAll(): Promise<void> {
		while (this.#isStale) {
			this.#isStale = false;
			const overview = await this.#inspection.overview();
			this.ahead = overview.at - Date.now();
			this.overview = overview;
			const sources = overview.sources.map(({ source }) => source);
			if (this.tab === "outbox" && !sources.includes("outbox")) this.tab = "processor";
			for (const { source, samples } of overview.sources) this.#sample(source, samples);
			if (!await this.#readTab()) continue;
			this.link = "live";
			this.#onChange();
		}
	}

	/** Whether what was read is still what is shown. */
	async #readTab(): Promise<boolean> {
		const { tab, query, selected } = this;
		if (tab !== "outbox" && tab !== "processor") return true;
		const [page, detail] = await Promise.all([
			this.#inspection.list({ ...query, source: tab, limit: pageSize }),
			selected && this.#inspection.get(selected.id, selected.source),
		]);
		const lane = detail?.lane === undefined ? [] : await this.#readLane(tab, detail.lane);
		if (query === this.query && tab === this.tab) this.#setPage(page);
		if (selected === this.selected && selected !== undefined) Object.assign(this, { detail: detail ?? null, lane });
		return query === this.query && selected === this.selected && tab === this.tab;
	}

	/** The first tasks of a lane that have not ended, in their order. */
	async #readLane(source: InspectionSource, lane: string): Promise<InspectedTask[]> {
		const read = (state: InspectedTask["state"]) =>
			this.#inspection.list({ source, lane, state, order: "oldest", limit: laneSize });
		const pages = await Promise.all([read("running"), read("held"), read("waiting")]);
		return pages.flatMap(({ items }) => items).sort((a, b) => a.addedAt - b.addedAt).slice(0, laneSize);
	}

	#goTo(trail: Model["trail"], after: string | undefined): void {
		this.query = { ...this.query, after };
		this.trail = trail;
		this.page = this.#later = this.row = undefined;
		this.refresh();
	}

	#setPage(page: InspectionPage): void {
		const shown = this.page;
		const isSame = shown?.items.length === page.items.length &&
			shown.items.every(({ id }, index) => id === page.items[index]!.id);
		if (this.#readers.size === 0 || shown === undefined || isSame) {
			this.page = page;
			this.#later = undefined;
			return;
		}
		const news = new Map(page.items.map((item) => [item.id, item]));
		this.page = { ...shown, items: shown.items.map((item) => news.get(item.id) ?? item) };
		this.#later = page;
	}

	#changed({ at, hasChanged, sources, rates }: InspectionChange): void {
		this.rates = rates;
		for (const { source, counts } of sources) this.#sample(source, [{ at, counts }]);
		if (this.overview !== undefined) {
			const news = new Map(sources.map((one) => [one.source, one]));
			const all = this.overview.sources.map((one) => ({ ...one, ...news.get(one.source) }));
			this.overview = { ...this.overview, sources: all };
		}
		if (hasChanged || this.#isStale || this.link !== "live") this.refresh();
		else this.#onChange();
	}

	#sample(source: InspectionSource, samples: readonly BacklogSample[]): void {
		const all = new Map([...samples, ...this.#samples.get(source) ?? []].map((one) => [one.at, one]));
		const kept = [...all.values()].filter(({ at }) => at > this.now - sampledFor).sort((a, b) => a.at - b.at);
		this.#samples.set(source, kept);
	}

	#failed(error: unknown): void {
		this.link = "away";
		this.problem = messageOf(error);
		this.#onChange();
	}
}

function messageOf(error: unknown): string {
	return String((error as Error | undefined)?.message || error);
}
