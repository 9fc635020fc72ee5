/**
 * The calls of a kind that each have tasks of one lane: a head and the followers that were claimed with it. They start
 * together, so a call waits for nothing else.
 *
 * @module
 */

import type { BatchKind, BatchMember } from "../basket/engine.ts";
import type { ClaimRequest } from "../basket/store.ts";
import { Call } from "./call.ts";

export class LaneGatherer {
	readonly isInOrder = true;
	/** The number of heads to claim for a slot. */
	readonly width = 1;
	readonly #run: (tasks: readonly unknown[], context: unknown) => unknown;
	/** The calls whose tasks are being started, by lane. */
	readonly #calls = new Map<string, Call>();

	constructor({ batch }: BatchKind) {
		this.#run = batch!.run;
	}

	/** Whether a task is a follower whose head has just started. */
	takes({ claim: { lane } }: BatchMember): boolean {
		return lane !== undefined && this.#calls.has(lane);
	}

	callFor(task: BatchMember): Call {
		const { lane } = task.claim;
		const call = lane === undefined ? undefined : this.#calls.get(lane);
		return call ?? new Call(this.#run, task, true);
	}

	entered(call: Call, { claim: { lane } }: BatchMember): void {
		if (lane === undefined) return call.close();
		if (this.#calls.get(lane) === call) return;
		this.#calls.set(lane, call);
		queueMicrotask(() => {
			this.#calls.delete(lane);
			call.close();
		});
	}

	left(): void {}

	request(): ClaimRequest[] {
		return [];
	}

	answered(_count: number): void {}

	wake(): void {}

	settle(_isAsking: boolean): void {}

	begin(): void {}
}
