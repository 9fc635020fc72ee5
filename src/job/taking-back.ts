/**
 * Steps of children in a job that goes backward: it cancels the children that have not ended, and then lets those that are
 * completed go backward, the last one first.
 *
 * @module
 */

import { decodeFailure, encodeFailure, type TaskFailure } from "../basket/engine.ts";
import type { Outcome, StoredTask } from "../basket/store.ts";
import { decodeHead } from "./decode.ts";
import type { AnyJob } from "./definition.ts";
import { asError } from "./failures.ts";
import { FamilyJob, indexOf, isOver } from "./family.ts";
import { encodeShortened } from "./shortening.ts";
import type { JobHead, JobMessage, PreparedStep } from "./state.ts";
import { mayRevert, pass, turn } from "./transitions.ts";

/** What is found of the children of a step. */
interface Found {
	readonly all: number;
	/** Those that have not ended. */
	readonly alive: readonly string[];
	/** Those that can go backward, in reverse order, with their heads. */
	readonly completed: readonly (readonly [StoredTask, JobHead])[];
	/** Those whose reverts have failed. */
	readonly failed: readonly StoredTask[];
	/** Why one of these could not be reverted. */
	readonly failure: TaskFailure | undefined;
}

export abstract class TakingBackJob<Tx> extends FamilyJob<Tx> {
	/** Takes back what the children of a step have done. Returns how the claim ends, if it must. */
	protected async takeBack(step: PreparedStep): Promise<Outcome | undefined> {
		const job = this.jobOf(step);
		const at = this.state.at - 1;
		while (true) {
			if (this.isYielding) return await this.later(0);
			const { all, alive, completed, failed, failure } = await this.#find(at, job);
			if (alive.length > 0) {
				if (!this.state.spawned?.isCancelled) await this.#cancel(alive, all);
				const outcome = await this.sleep(step, at, alive.length);
				if (outcome !== undefined) return outcome;
			} else if (this.state.isRetried) {
				await this.retryAll(failed, job);
				this.become({ ...this.state, isRetried: undefined });
			} else if (completed.length > 0) {
				const refusal = await this.#turn(completed, job);
				if (refusal !== undefined) return this.fail(refusal);
			} else if (failure !== undefined) return this.fail(asError(failure));
			else return await this.#pass(at, job);
		}
	}

	async #find(at: number, job: AnyJob): Promise<Found> {
		const isRevertible = mayRevert(job);
		const alive: string[] = [];
		const completed: [StoredTask, JobHead][] = [];
		const failed: StoredTask[] = [];
		let failure: TaskFailure | undefined;
		let all = 0;
		for await (const child of this.children(at)) {
			all++;
			if (!isOver(child)) alive.push(child.id);
			// Nothing of it is done, as far as one can read it.
			if (child.state !== "done" || !isRevertible) continue;
			try {
				const head = await decodeHead(this.owner.codec, child.payload);
				const { status, revertError } = head;
				if (status === "completed") completed.push([child, head]);
				if (status !== "failed" || revertError === undefined) continue;
				failed.push(child);
				failure ??= revertError;
			} catch (error) {
				failure ??= decodeFailure(encodeFailure(error));
			}
		}
		completed.sort(([one], [other]) => indexOf(other) - indexOf(one));
		return { all, alive, completed, failed, failure };
	}

	async #cancel(alive: readonly string[], count: number): Promise<void> {
		const { codec, store, name } = this.owner;
		const cancel = await codec.encode({ type: "cancel" } satisfies JobMessage);
		for (const id of alive) await this.task.calls.track(() => store.post(name, id, cancel));
		// One that is held or paused must not get the message again and again.
		this.become({ ...this.state, spawned: { count, added: count, isCancelled: true } });
	}

	/** Lets completed children go backward. Returns the error if one cannot be stored so. */
	async #turn(completed: Found["completed"], { steps }: AnyJob): Promise<unknown> {
		const byName = new Map(steps.map((definition) => [definition.name, { definition } as PreparedStep]));
		for (const [child, head] of completed) {
			const back = turn({ steps: byName }, head, this.state.error!);
			let payload;
			try {
				payload = await encodeShortened(back, this.encode);
			} catch (error) {
				return error;
			}
			await this.restart(child, { type: "restart", key: child.key, payload, keepsLog: true });
		}
	}

	/** Nothing is left to be done. */
	async #pass(at: number, job: AnyJob): Promise<undefined> {
		// An entry says that something was reverted.
		const missed = mayRevert(job) ? await this.succeed(at, undefined) : undefined;
		if (!mayRevert(job)) this.become(pass(this.job, this.state, at));
		if (missed?.type === "failed") this.fail(missed.error);
	}
}
