/**
 * The calls of a kind that gather tasks of any lanes.
 *
 * @module
 */

import type { BatchKind, BatchMember } from "../basket/engine.ts";
import type { ClaimRequest } from "../basket/store.ts";
import { Call } from "./call.ts";
import { refuse } from "../platform/check.ts";
import type { Clock } from "../platform/clock.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** The calls of a kind that gather, one after the other. */
export class Gatherer {
	readonly isInOrder = false;
	readonly #kind: string;
	/** The number of tasks to claim for a slot. */
	readonly width: number;
	readonly #most: number;
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
		this.width = this.#most = most;
		this.#wait = wait;
		this.#run = run;
		this.#clock = clock;
	}

	/** Whether a task can join the call that gathers. */
	takes(_task: BatchMember): boolean {
		return this.#room > 0;
	}

	get #room(): number {
		return this.#call === undefined ? 0 : this.#most - this.#call.size;
	}

	callFor(task: BatchMember): Call {
		if (this.#call !== undefined && !task.isSuspect) return this.#call;
		const call = new Call(this.#run, task);
		if (task.isSuspect) return call;
		this.#mayAsk = true;
		if (this.#wait > 0) this.#clock.set(this.#timer, this.#wait);
		return this.#call = call;
	}

	entered(call: Call, { isSuspect }: BatchMember): void {
		if (isSuspect) call.close();
		else if (this.#room === 0) this.begin();
	}

	/** A call without tasks does not wait for others. */
	left(): void {
		if (this.#call?.size === 0) this.begin();
	}

	request(): ClaimRequest[] {
		this.#isWoken = false;
		this.#asked = this.#mayAsk ? this.#room : 0;
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
