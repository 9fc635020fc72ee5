// An inspection of made-up tasks, whose answers a test controls. It filters and pages as a real one does.
import type {
	InspectedDetail,
	InspectedTask,
	Inspection,
	InspectionAction,
	InspectionActionType,
	InspectionChange,
	InspectionOverview,
	InspectionPage,
	InspectionQuery,
	MeterSlot,
	SourceOverview,
} from "../../src/inspection/inspection.ts";

/** Near this are the times of all made-up tasks. */
export const start = 1_790_000_000_000;

export type FakeTask = Partial<InspectedDetail> & Pick<InspectedTask, "id">;

const allActions: readonly InspectionActionType[] = [
	...["retry", "runNow", "hold", "release", "delete", "retryAll", "pause", "resume", "cancel", "signal"] as const,
];

/** A task with whatever a test does not care about. */
export function fakeTask(task: FakeTask): InspectedDetail {
	return {
		...{ source: "outbox", kind: "send", state: "waiting", preview: "", attempts: 0, addedAt: start, priority: 0 },
		...{ meta: {}, history: [] },
		...task,
	};
}

export class FakeInspection implements Inspection {
	tasks: InspectedDetail[];
	actions: readonly InspectionActionType[] = allActions;
	sources: readonly SourceOverview["source"][] = ["outbox"];
	schedules: SourceOverview["schedules"] = [];
	pauses: SourceOverview["pauses"] = { all: false, kinds: [] };
	rates: readonly MeterSlot[] | undefined;
	samples: SourceOverview["samples"] = [];
	/** What every call rejects with, if anything. */
	failure: Error | undefined;
	/** What watchers are told. */
	hasChanged = true;
	/** The actions that were asked for. */
	readonly acted: InspectionAction[] = [];
	readonly queries: InspectionQuery[] = [];
	readonly #watchers = new Map<(change: InspectionChange) => void, ((error: unknown) => void) | undefined>();

	constructor(tasks: readonly FakeTask[] = []) {
		this.tasks = tasks.map(fakeTask);
	}

	get watchers(): number {
		return this.#watchers.size;
	}

	async overview(): Promise<InspectionOverview> {
		await this.#answer();
		return { at: Date.now(), sources: this.sources.map((source) => this.#overviewOf(source)), actions: this.actions };
	}

	async list(query: InspectionQuery = {}): Promise<InspectionPage> {
		await this.#answer();
		this.queries.push(query);
		const { source = this.sources[0], state, status, kind, lane, prefix, text, parent, order, limit = 50, after } =
			query;
		const found = this.tasks.filter((task) =>
			task.source === source && (state ?? task.state) === task.state && (kind ?? task.kind) === task.kind &&
			(lane === undefined || task.lane === lane) && task.parent === parent && task.id.startsWith(prefix ?? "") &&
			(status === undefined || task.job?.status === status) && (task.id + task.preview).includes(text ?? "")
		);
		const all = order === "oldest" ? found : found.toReversed();
		const from = Number(after ?? 0);
		const next = from + limit < all.length ? String(from + limit) : undefined;
		return { items: all.slice(from, from + limit), next };
	}

	async get(id: string): Promise<InspectedDetail | undefined> {
		await this.#answer();
		return this.tasks.find((task) => task.id === id);
	}

	async act(action: InspectionAction): Promise<{ readonly changed: number }> {
		await this.#answer();
		this.acted.push(action);
		if (action.type === "delete") this.tasks = this.tasks.filter(({ id }) => id !== action.id);
		if (action.type === "retry") this.change(action.id, { state: "waiting", error: undefined });
		if (action.type === "hold") this.change(action.id, { state: "held" });
		if (action.type === "release") this.change(action.id, { state: "waiting" });
		return { changed: 1 };
	}

	watch(listener: (change: InspectionChange) => void, onError?: (error: unknown) => void): () => void {
		this.#watchers.set(listener, onError);
		this.#tell(listener, onError);
		return () => this.#watchers.delete(listener);
	}

	/** Changes a task, without telling it. */
	change(id: string, change: Partial<InspectedDetail>): void {
		this.tasks = this.tasks.map((task) => task.id === id ? { ...task, ...change } : task);
	}

	/** Tells all watchers that something has changed. */
	changed(): void {
		for (const [listener, onError] of this.#watchers) this.#tell(listener, onError);
	}

	#tell(listener: (change: InspectionChange) => void, onError?: (error: unknown) => void): void {
		if (this.failure !== undefined) return onError?.(this.failure);
		const sources = this.sources.map((source) => this.#overviewOf(source));
		listener({ at: Date.now(), hasChanged: this.hasChanged, sources, rates: this.rates });
	}

	async #answer(): Promise<void> {
		await Promise.resolve();
		if (this.failure !== undefined) throw this.failure;
	}

	#overviewOf(source: SourceOverview["source"]): SourceOverview {
		const tasks = this.tasks.filter((task) => task.source === source);
		const count = (state: InspectedTask["state"]) => tasks.filter((task) => task.state === state).length;
		return {
			...{ source, name: source === "outbox" ? "shop" : "orders", pauses: this.pauses },
			counts: {
				...{ waiting: count("waiting"), running: count("running"), held: count("held") },
				...{ dead: count("dead"), done: count("done") },
			},
			activity: { state: "running", running: count("running") },
			kinds: [...new Set(tasks.map(({ kind }) => kind))].sort(),
			schedules: source === this.sources[0] ? this.schedules : [],
			samples: this.samples,
		};
	}
}
