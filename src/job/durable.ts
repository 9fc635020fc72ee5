/**
 * Durable functions: jobs whose steps an ordinary async function makes.
 *
 * Use {@link durable} if what is done depends on results: loops, branches, `try/catch`, `Promise.all`. Use {@link job} if the
 * steps are the same each time: then they are known before they run.
 *
 * @module
 */

import type { Engine } from "./engine.ts";
import type { Flow } from "./flow.ts";
import { type Body, DurableRun } from "./durable-run.ts";
import { JobDefinition, type JobOptions } from "./definition.ts";
import { check } from "../platform/check.ts";

/** The results and the signals of a durable function, whose names the compiler does not know. */
export type FlowValues = Readonly<Record<string, unknown>>;

/**
 * The definition of a durable function.
 *
 * @typeParam I the input
 * @typeParam V the value of its body
 * @typeParam A what `add` takes, where a schema makes the input of it
 * @typeParam Tx the transactions of its store
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Durable, durable } from "upkeep";
 *
 * const onboard = durable("onboard", async (flow, { user }: { user: string }) => await flow.step("greet", () => user));
 * assert.ok(onboard instanceof Durable && onboard.name === "onboard");
 * ```
 */
export class Durable<I = unknown, V = unknown, A = I, Tx = never>
	extends JobDefinition<I, FlowValues, V, FlowValues, Tx, A> {
	/** See `JobDefinition.engine`. It is internal. */
	override readonly engine: unknown;

	/**
	 * Created by {@link durable}.
	 *
	 * @param name the name
	 * @param body the function
	 * @param options the version, the schema of the input, the limit, and the deadline
	 */
	constructor(name: string, body: (flow: Flow<Tx>, input: I) => unknown, options?: JobOptions<I, A>) {
		super(name, options);
		check("body", body, "function");
		const engine: Engine = {
			resume: (owner, job, claim) => new DurableRun(owner, job, claim, body as unknown as Body),
		};
		this.engine = engine;
	}
}

/**
 * Creates the definition of a durable function. A {@link Processor} runs it beside jobs, with the same states, signals,
 * limits and outcomes.
 *
 * - Each step is stored under its name when it is done, and never runs again. If the process dies, or when the body has waited
 *   for a time or a signal, the body is called again from its start, and what is stored settles its promises in the same
 *   order as before.
 * - If the body rejects, or the job is canceled, the steps that are done are reverted in the reverse order of their start.
 *   A step that rejects may be caught. An error that comes from the log is an `Error` with the name and the message of the
 *   first one, and not an instance of its class.
 * - The codec must be able to store the value and the results of steps. Lists may contain `undefined`, as `Promise.all` makes
 *   them of steps without a result. If the value cannot be stored, the job fails, and the error names the part of it.
 * - Steps may be inserted, removed and reordered while jobs wait. If a name stands for something else than the log says, the
 *   job is held. If a step that must be reverted is not registered, the job is `failed`, with the names that are left.
 *
 * @typeParam I the input. If you give it alone, the value is unknown to the compiler: `(flow, input: Order) => …` lets it
 * infer both
 * @typeParam V the value
 * @typeParam A what `add` takes, where a schema makes the input of it
 * @typeParam Tx the transactions of its store, for steps that call `commit`: `(flow: Flow<DatabaseSync>) => …`
 * @param name the name, which identifies the definition in a store; 1 to 255 characters without U+001F
 * @param body gets the {@link Flow} and the input, and must do nothing but what these determine, except in steps
 * @param options the version, the schema of the input, the limit, and the deadline
 * @throws {TypeError | RangeError} for arguments of the wrong type, or out of range
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { durable, memoryStore, Processor } from "upkeep";
 *
 * const removed: string[] = [];
 * const onboard = durable("onboard", async (flow, { user }: { user: string }) => {
 * 	const account = await flow.step("account", () => ({ id: `a-${user}`, pages: [1, 2] }), {
 * 		revert: ({ id }) => void removed.push(id),
 * 		attempts: 4,
 * 	});
 * 	for (const page of account.pages) await flow.step(["page", page], () => `copied ${page}`);
 * 	await flow.sleep("a moment", 5);
 * 	if (!await flow.waitFor<boolean>("approval")) throw new Error("not approved");
 * 	return account.id;
 * });
 *
 * await using processor = new Processor({ store: memoryStore(), jobs: [onboard] });
 * void processor.run();
 * const { id } = await processor.add(onboard, { user: "ada" });
 * await processor.signal(id, "approval", false);
 * const { status, error } = await processor.wait(id);
 * assert.deepEqual([status, error?.message, removed], ["reverted", "not approved", ["a-ada"]]);
 * ```
 */
export function durable<I, V, A = I, Tx = never>(
	name: string,
	body: (flow: Flow<Tx>, input: I) => V | PromiseLike<V>,
	options?: JobOptions<I, A>,
): Durable<I, V, A, Tx>;
/** The same for a body whose value the compiler need not know. */
export function durable<I>(
	name: string,
	body: (flow: Flow, input: I) => unknown,
	options?: JobOptions<I, I>,
): Durable<I, unknown>;
export function durable<I, V, A, Tx>(
	name: string,
	body: (flow: Flow<Tx>, input: I) => unknown,
	options?: JobOptions<I, A>,
): Durable<I, V, A, Tx> {
	return new Durable(name, body, options);
}
