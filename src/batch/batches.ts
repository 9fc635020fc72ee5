/**
 * The calls of a basket: which tasks join which call, when a call begins, and what to claim for it.
 *
 * A kind has at most one call that gathers. The engine asks the store for as many tasks as that has room for, besides
 * what it asks for its free slots. A call that does not wait begins after one such turn, or at once if there is none: so
 * a turn that found nothing else due costs no second one.
 *
 * @module
 */

import type { Batches as Engine, BatchKind, BatchMember } from "../basket/engine.ts";
import type { Claim, ClaimRequest, LaneRun } from "../basket/store.ts";
import type { Call } from "./call.ts";
import { Gatherer } from "./gatherer.ts";
import { LaneGatherer } from "./lane-gatherer.ts";

export class Batches implements Engine {
	joined = 0;
	readonly width: number;
	readonly runs: readonly LaneRun[];
	readonly #gatherers = new Map<string, Gatherer | LaneGatherer>();
	/** The calls of the running tasks. */
	readonly #calls = new Map<BatchMember, Call>();

	constructor(kinds: ReadonlyMap<string, BatchKind>) {
		for (const [name, kind] of kinds) {
			if (kind.batch === undefined) continue;
			this.#gatherers.set(name, kind.batch.by === "lane" ? new LaneGatherer(kind) : new Gatherer(name, kind));
		}
		// Otherwise tasks of other kinds may come first, and take the slots.
		this.width = kinds.size === 1 ? this.#all[0]!.width : 1;
		this.runs = [...kinds].flatMap(([kind, { batch }]) => batch?.by === "lane" ? { kind, most: batch.most } : []);
	}

	join(task: BatchMember): void {
		const gatherer = this.#gatherers.get(task.kind);
		if (gatherer === undefined) return;
		const call = gatherer.callFor(task);
		if (call.size > 0) this.joined++;
		this.#calls.set(task, call);
		task.sharedRun = call.enter(task.id, task);
		gatherer.entered(call, task);
	}

	leave(task: BatchMember): void {
		const call = this.#calls.get(task);
		if (call === undefined) return;
		this.#calls.delete(task);
		call.leave(task.id);
		if (call.size > 0) this.joined--;
		this.#gatherers.get(task.kind)!.left();
	}

	requests(): ClaimRequest[] {
		return this.#all.flatMap((gatherer) => gatherer.request());
	}

	answered(claims: readonly Claim[]): void {
		for (const [name, gatherer] of this.#gatherers) {
			gatherer.answered(claims.filter(({ kind }) => kind === name).length);
		}
	}

	behind(claims: readonly Claim[], ready: ReadonlySet<string>): ReadonlySet<string> {
		const behind = new Set<string>();
		/** Whether the tasks of each lane begin. */
		const lanes = new Map<string, boolean>();
		for (const { id, kind, lane } of claims) {
			if (lane === undefined || this.#gatherers.get(kind)?.isInOrder !== true) continue;
			const isHead = !lanes.has(lane);
			lanes.set(lane, lanes.get(lane) !== false && ready.has(id));
			if (!isHead && !lanes.get(lane)) behind.add(id);
		}
		return behind;
	}

	wake(): void {
		for (const gatherer of this.#all) gatherer.wake();
	}

	next<T extends BatchMember>(ahead: T[]): T | undefined {
		return take(ahead, (task) => this.#gatherers.get(task.kind)?.takes(task) === true);
	}

	strays<T extends BatchMember>(ahead: T[]): T[] {
		const strays: T[] = [];
		let stray: T | undefined;
		while ((stray = take(ahead, ({ kind }) => this.#gatherers.has(kind))) !== undefined) strays.push(stray);
		return strays;
	}

	settle(isAsking: boolean): void {
		for (const gatherer of this.#all) gatherer.settle(isAsking);
	}

	flush(): void {
		for (const gatherer of this.#all) gatherer.begin();
	}

	get #all(): readonly (Gatherer | LaneGatherer)[] {
		return [...this.#gatherers.values()];
	}
}

/** Removes and returns the last element of this sort. */
function take<T>(list: T[], isWanted: (element: T) => boolean): T | undefined {
	const index = list.findLastIndex(isWanted);
	return index < 0 ? undefined : list.splice(index, 1)[0];
}
