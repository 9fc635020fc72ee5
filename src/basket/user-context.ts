/**
 * The context of a task's function: an object for users that hides the objects of the engine.
 *
 * @module
 */

import type { SharedRun } from "./batches.ts";
import type { BasketContext } from "./context.ts";
import type { Claim } from "./store.ts";
import { decodeMeta, type TaskMeta } from "./meta.ts";
import type { Watched } from "./observing.ts";
import { check } from "../platform/check.ts";
import type { TaskContext } from "../run/task.ts";
import type { Tick } from "../schedule/ticks.ts";

/** The part of a claimed task that it uses. */
export interface ContextOwner<Tx> {
	readonly id: string;
	readonly kind: string;
	readonly attempt: number;
	readonly claim: Claim;
	/** Its tick, if it belongs to a schedule. */
	readonly tick: Pick<Tick, "due" | "missed"> | undefined;
	/** Runs it together with others, if it belongs to a call. */
	readonly sharedRun?: SharedRun | undefined;
	/** Its attempt, once an observer is told of it. */
	watched?: Watched | undefined;
	save(payload: unknown, tx: Tx | undefined): Promise<void>;
	complete(tx: Tx): Promise<void>;
	report(progress: number, description: string | undefined): void;
	/** The present on the store's clock, or a little before it. */
	now(): number;
}

/** The class behind {@link BasketContext}. Its members are on the prototype, so `{ ...context }` is empty. */
export class UserContext<Tx> implements BasketContext<unknown, Tx> {
	readonly #task: ContextOwner<Tx>;
	readonly #attempt: TaskContext;

	constructor(task: ContextOwner<Tx>, attempt: TaskContext) {
		this.#task = task;
		this.#attempt = attempt;
	}

	get id(): string {
		return this.#task.id;
	}

	get kind(): string {
		return this.#task.kind;
	}

	get addedAt(): number {
		return this.#task.claim.addedAt;
	}

	get lane(): string | undefined {
		return this.#task.claim.lane;
	}

	get meta(): TaskMeta {
		return decodeMeta(this.#task.claim.meta);
	}

	get crashes(): number {
		return this.#task.claim.crashes;
	}

	get attempt(): number {
		return this.#task.attempt;
	}

	get due(): number | undefined {
		return this.#task.tick?.due;
	}

	get missed(): number {
		return this.#task.tick?.missed ?? 0;
	}

	get signal(): AbortSignal {
		return this.#attempt.signal;
	}

	get previousError(): unknown {
		return this.#attempt.previousError;
	}

	get save(): BasketContext<unknown, Tx>["save"] {
		return async (payload, options = {}) => await this.#task.save(payload, check("options", options, "object").tx);
	}

	get complete(): BasketContext<unknown, Tx>["complete"] {
		return (tx) => this.#task.complete(tx);
	}

	get report(): BasketContext<unknown, Tx>["report"] {
		return (progress, description) => this.#task.report(progress, description);
	}
}
