/**
 * A name that the body of a durable function has registered: a step, a sleep or a wait, and the promise of it.
 *
 * @module
 */

import type { Attempting } from "./attempting.ts";
import type { FlowRevertContext, FlowStepContext, FlowStepOptions } from "./flow.ts";
import type { FlowRecord, FlowType, Waiting } from "./state.ts";
import type { RunnerSettings } from "../run/options.ts";
import type { StandardSchema } from "../platform/standard-schema.ts";
import { nothingPending } from "./flow-log.ts";

/** What the body has asked for. */
export interface FlowRequest<Tx = unknown> {
	readonly name: string;
	readonly type: FlowType;
	/** The duration of a sleep or the timeout of a wait, in milliseconds. */
	readonly duration: number;
	readonly run?: ((context: FlowStepContext<Tx>) => unknown) | undefined;
	// deno-lint-ignore no-explicit-any -- the types of the result and of transactions are those of the body
	readonly options: FlowStepOptions<any, any>;
	readonly schema: StandardSchema | undefined;
	readonly settings?: RunnerSettings | undefined;
}

/** The revert of a step, as the body has registered it. */
export type Revert = (result: unknown, context: FlowRevertContext) => unknown;

/** Knows whether somebody waits for it. */
class FlowPromise extends Promise<unknown> {
	/** What is derived from it is nothing that must be awaited. */
	static override get [Symbol.species](): PromiseConstructor {
		return Promise;
	}

	isAwaited = false;

	/** `await`, `catch` and `Promise.all` call it, too. */
	// deno-lint-ignore no-explicit-any -- as the type of Promise says
	override then(...args: [any?, any?]): Promise<any> {
		this.isAwaited = true;
		return super.then(...args);
	}
}

export class FlowCall {
	readonly request: FlowRequest;
	/** The place in the order in which names were first registered. */
	readonly order: number;
	readonly promise: FlowPromise;
	/** What is known of the attempts so far. */
	waiting: Waiting = nothingPending;
	/** Whether it waits for a time or a signal, and nothing of it runs. */
	isParked = false;
	/** Its index in {@link FlowPass.open}. */
	place = 0;
	/** The stored result, and its index in the order in which results settle. */
	record: FlowRecord | undefined;
	index = -1;
	/** While it waits to begin: continues it, and what follows from that. */
	resume: (() => void) | undefined;
	begun: Promise<void> | undefined;
	/** The attempt that runs. */
	attempt: Attempting | undefined;
	/** The error of its last attempt in this process. */
	thrown: { readonly error: unknown } | undefined;
	#resolve!: (value: unknown) => void;
	#reject!: (error: unknown) => void;

	constructor(request: FlowRequest, order: number) {
		this.request = request;
		this.order = order;
		this.promise = new FlowPromise((resolve, reject) => {
			this.#resolve = resolve;
			this.#reject = reject;
		});
	}

	/** Whether the body waits for it. */
	get isAwaited(): boolean {
		return this.promise.isAwaited;
	}

	resolve(value: unknown): void {
		this.#resolve(value);
	}

	reject(error: unknown): void {
		// The body may await it later. If it never does, the job fails for that reason.
		Promise.prototype.then.call(this.promise, undefined, () => {});
		this.#reject(error);
	}
}
