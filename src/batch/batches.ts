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
import type { Claim, ClaimRequest } from "../basket/store.ts";
import { Call } from "./call.ts";
import { refuse } from "../platform/check.ts";
import type { Clock } from "../platform/clock.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

export class Batches implements Engine {
	joined = 0;
	readonly width: number;
	readonly #gatherers = new Map<string, Gatherer>();
	/** The calls of the running tasks. */
	readonly #calls = new Map<BatchMember, Call>();

	constructor(kinds: ReadonlyMap<string, BatchKind>) {
		for (const [name, kind] of kinds) {
			if (kind.batch !== undefined) this.#gatherers.set(name, new Gatherer(name, kind));
		}
		// Otherwise tasks of other kinds may come first, and take the slots.
		this.width = kinds.size === 1 ? this.#all[0]!.most : 1;
	}

	join(task: BatchMember): void {
		const gatherer = this.#gatherers.get(task.kind);
		if (gatherer === undefined) return;
		const call = gatherer.callFor(task);
		if (call.size > 0) this.joined++;
		this.#calls.set(task, call);
		task.sharedRun = call.enter(task.id);
		gatherer.entered(call, task.isSuspect);
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

	wake(): void {
		for (const gatherer of this.#all) gatherer.wake();
	}

	next<T extends BatchMember>(ahead: T[]): T | undefined {
		return take(ahead, ({ kind }) => (this.#gatherers.get(kind)?.room ?? 0) > 0);
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

	get #all(): readonly Gatherer[] {
		return [...this.#gatherers.values()];
	}
}

/** The calls of a kind that gather, one after the other. */
class Gatherer {
	readonly #kind: string;
	readonly most: number;
	readonly #wait: number;
	readonly #run: (tasks: readonly unknown[], context: unknown) => unknown;
	readonly #clock: Clock;
	readonly #timer: CallbackTimer = new CallbackTimer(() => this.begin());
	/** The call that gathers, if any. */
	#call: Call | undefined;
	/** Whether there may be tasks for it, the number in the last request, and whether there was a hint since then. */
	#mayAsk = false;
	#asked = 0;
	#isWoken = false;

	constructor(kind: string, { batch, settings: { clock, timeout } }: BatchKind) {
		const { most, wait, run } = batch!;
		if (wait >= timeout) refuse("wait", wait, `less than the timeout of "${kind}", ${timeout}`, RangeError);
		this.#kind = kind;
		this.most = most;
		this.#wait = wait;
		this.#run = run;
		this.#clock = clock;
	}

	get room(): number {
		return this.#call === undefined ? 0 : this.most - this.#call.size;
	}

	callFor(task: BatchMember): Call {
		if (this.#call !== undefined && !task.isSuspect) return this.#call;
		const call = new Call(this.#run, task);
		if (task.isSuspect) return call;
		this.#mayAsk = true;
		if (this.#wait > 0) this.#clock.set(this.#timer, this.#wait);
		return this.#call = call;
	}

	entered(call: Call, isAlone: boolean): void {
		if (isAlone) call.close();
		else if (this.room === 0) this.begin();
	}

	/** A call without tasks does not wait for others. */
	left(): void {
		if (this.#call?.size === 0) this.begin();
	}

	request(): ClaimRequest[] {
		this.#isWoken = false;
		this.#asked = this.#mayAsk ? this.room : 0;
		return this.#asked > 0 ? [{ kinds: [this.#kind], limit: this.#asked }] : [];
	}

	answered(count: number): void {
		if (this.#asked > 0) this.#mayAsk = this.#wait > 0 && (this.#isWoken || count >= this.#asked);
	}

	wake(): void {
		if (this.#wait > 0) this.#mayAsk = this.#isWoken = true;
	}

	settle(isAsking: boolean): void {
		if (this.#wait === 0 && !(isAsking && this.#asked > 0)) this.begin();
	}

	/** The call begins that gathers. */
	begin(): void {
		const call = this.#call;
		if (call === undefined) return;
		this.#call = undefined;
		this.#clock.clear(this.#timer);
		call.close();
	}
}

/** Removes and returns the last element of this sort. */
function take<T>(list: T[], isWanted: (element: T) => boolean): T | undefined {
	const index = list.findLastIndex(isWanted);
	return index < 0 ? undefined : list.splice(index, 1)[0];
}
