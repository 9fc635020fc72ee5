/**
 * The definition of a job: a sequence of steps, and how to revert each.
 *
 * Use a job for work of several steps, often against several services, that must all complete or be undone, across
 * restarts. Use a `Basket` for work of one step, and `reconcile` to bring a system from any state to a declared one.
 *
 * Terms: a **step** does a part of the work; a **revert** undoes a step; both are made in **attempts**. A job goes
 * *forward* until it is completed or a step fails; then it goes *backward* until every completed step is reverted.
 *
 * @module
 */

import { type AnyJob, checkJob, JobDefinition, type JobOptions, type JobStep, type JobTypes } from "./definition.ts";
import type {
	ChildArguments,
	ItemResults,
	JobBranchCheck,
	JobBranches,
	JobBranchOptions,
	JobBranchResults,
	JobEachOptions,
	JobStepOptions,
} from "./step-options.ts";
import { branchName, branchOf } from "./branch-name.ts";
import { check, checkCount, checkDelay, checkFunction, checkLimit, refuse } from "../platform/check.ts";
import { checkItemKind } from "./version.ts";
import { checkName } from "../platform/name.ts";
import { checkSchema, type StandardSchema } from "../platform/standard-schema.ts";
import { checkRunnerOptions } from "../run/options.ts";

/**
 * Options of {@link Job.waitFor} and `Flow.waitFor`.
 *
 * @typeParam T the result of the step
 * @typeParam A the input of the schema, and so of {@link Processor.signal}
 */
export interface WaitForOptions<T, A = T> {
	/** The time limit after which the step fails with a `TimeoutError`, in milliseconds. @default Infinity */
	timeout?: number | undefined;
	/**
	 * Any Standard Schema validator for the value of the signal. In a chain, it types the step and the signal, and reads the value
	 * when it is sent, which rejects if it does not pass. A durable function reads the value when it waits for it. `unchecked<T>()`
	 * gives the type alone.
	 */
	schema?: StandardSchema<T, A> | undefined;
}

/**
 * The definition of a job. It is immutable: each method returns a new definition with one more step.
 *
 * @typeParam I the input
 * @typeParam R the results of the steps, by name
 * @typeParam V the result of the last step, which is also the value of the job
 * @typeParam S the values of the signals that it waits for, by name
 * @typeParam Tx the transactions that `commit` takes
 * @typeParam A what `add` takes, where a schema makes the input of it
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { job, unchecked } from "upkeep";
 *
 * const trip = job<{ to: string }>("book-trip")
 * 	.step("flight", { run: ({ input }) => `a seat to ${input.to}`, revert: ({ result }) => console.log("cancel", result) })
 * 	.waitFor("approval", { schema: unchecked<boolean>(), timeout: 86_400_000 })
 * 	.step("mail", { run: ({ results }) => `You have ${results.flight}: ${results.approval}`, attempts: 5 });
 * assert.deepEqual(trip.steps.map(({ name }) => name), ["flight", "approval", "mail"]);
 * ```
 */
// deno-lint-ignore ban-types -- no results yet, and no signals
export class Job<I = undefined, R = {}, V = undefined, S = {}, Tx = never, A = I>
	extends JobDefinition<I, R, V, S, Tx, A> {
	/**
	 * Adds a step.
	 *
	 * @param name the name, once in a job: its result is found under it, in `results` and in the store
	 * @param options the function, its revert, and their attempts
	 * @throws {TypeError | RangeError} for a name that another step already has, and for options of the wrong type or
	 * out of range
	 */
	step<N extends string, T>(
		name: N,
		options: JobStepOptions<I, R, N, T, Tx>,
	): Job<I, R & { readonly [K in N]: T }, T, S, Tx, A> {
		return this.#with(stepOf(this.#free(name), options as JobStep["options"]));
	}

	/**
	 * Adds a step that sleeps, across restarts. Meanwhile the job holds no worker.
	 *
	 * @param name the name of the step, unique in the job
	 * @param duration in milliseconds, 0 or more, finite
	 * @throws {TypeError | RangeError} for a name that another step already has, and for an invalid duration
	 */
	sleep<N extends string>(
		name: N,
		duration: number,
	): Job<I, R & { readonly [K in N]: undefined }, undefined, S, Tx, A> {
		check("duration", duration, "number", Number.isFinite(duration) && duration >= 0, "0 or more, and finite");
		return this.#with({
			name: this.#free(name),
			type: "sleep",
			options: {},
			duration: checkDelay("duration", duration),
		});
	}

	/**
	 * Adds a step that waits for {@link Processor.signal}, across restarts. Meanwhile the job holds no worker. The
	 * result is the value of the first signal with this name, which may arrive before the job reaches this step.
	 *
	 * @param name the name of the step and its signal, unique in the job
	 * @param options the timeout, and the schema of the value
	 * @throws {TypeError | RangeError} for a name that another step already has, and for options of the wrong type or
	 * out of range
	 */
	waitFor<N extends string, T = unknown, B = T>(
		name: N,
		options: WaitForOptions<T, B> = {},
	): Job<I, R & { readonly [K in N]: T }, T, S & { readonly [K in N]: B }, Tx, A> {
		const { timeout = Infinity, schema } = check("options", options, "object");
		checkLimit("timeout", timeout);
		checkSchema(schema);
		return this.#with({ name: this.#free(name), type: "waitFor", options: { schema }, duration: timeout });
	}

	/**
	 * Adds a step of several branches, which run at the same time. The job goes on when all are done; the result is an object
	 * with their results by name.
	 *
	 * Each branch has its own attempts, timeout, schema and idempotency key, and its result is stored when it is done. A branch
	 * that fails finally aborts the signals of the others. Then all that are done, also those that complete in spite of that,
	 * are reverted as steps are, the last one first. A branch gets the results of the steps before. In `history` and in
	 * `unreverted`, its name is a list as text, such as `["book","flight"]`.
	 *
	 * With `commit`, the transactions of branches wait for each other, and for results that are just being stored: a
	 * transaction of IndexedDB, which cannot wait, then fails, and needs another attempt.
	 *
	 * @param name the name, once in a job: the results are found under it
	 * @param branches the branches by name, at least one; options as those of {@link Job.step}. If a `run` has a parameter, the
	 * compiler needs the type of its result in `revert`: `revert: ({ result }: { result: string }) => …`
	 * @throws {TypeError | RangeError} for a name that another step already has, for no branch, and for options of the wrong
	 * type or out of range
	 *
	 * @example
	 * ```ts
	 * import assert from "node:assert/strict";
	 * import { job, memoryStore, Processor } from "upkeep";
	 *
	 * const trip = job<{ to: string }>("trip")
	 * 	.all("book", {
	 * 		flight: { run: ({ input }) => `a seat to ${input.to}`, revert: ({ result }) => console.log("cancel", result) },
	 * 		hotel: { run: () => ({ room: 7 }), attempts: 3 },
	 * 	})
	 * 	.step("mail", { run: ({ results }) => `${results.book.flight}, room ${results.book.hotel.room}` });
	 *
	 * const processor = new Processor({ store: memoryStore(), jobs: [trip] });
	 * const { id } = await processor.add(trip, { to: "Rome" });
	 * await processor.drain();
	 * assert.equal((await processor.wait(id)).value, "a seat to Rome, room 7");
	 * ```
	 */
	all<N extends string, T extends object, B extends JobBranches<I, R, Tx>>(
		name: N,
		branches: B & { readonly [K in keyof T]: JobBranchOptions<I, R, T[K], Tx> } & JobBranchCheck<B>,
	): Job<I, R & { readonly [K in N]: JobBranchResults<B> }, JobBranchResults<B>, S, Tx, A> {
		const entries = Object.entries<JobStep["options"]>(check("branches", branches, "object"));
		if (entries.length === 0) refuse("branches", branches, "an object with at least one branch");
		this.#free(name);
		return this.#with(...entries.map(([branch, options]) => {
			checkUsable(branch);
			return stepOf(checkName("name", branchName(name, branch)), options);
		}));
	}

	/**
	 * Adds a step that does the same for each item of a list. Its result is the list of the results, in the order of the items.
	 *
	 * Each item is a child of the job: a task of the same basket with its own attempts, timeout, revert, idempotency key and log,
	 * which any process runs that has the definition. They are stored in one commit with the place of the job, up to 500 at a
	 * time. Then the job holds no worker and no lease until all have ended. A child is kept until the job is removed.
	 *
	 * - If more items fail than `tolerate`, those that have not ended are cancelled. Those that are completed are reverted, and
	 *   then the steps before. The error of the first item that is one too many is that of the job. The same happens to
	 *   completed items if a later step fails or the job is canceled.
	 * - An item that is dead or was deleted has failed.
	 * - `list({ parent: id })` shows the children of a job; other lists leave them out. `counts` and snapshots contain them.
	 * - Items get no `results`: what `run` needs is in the item, which must fit into one payload, as its result must.
	 *
	 * @param name the name, once in a job: the results are found under it. Without U+001F, and at most 253 characters together
	 * with the name and the version of the job
	 * @param options the list, what is done with each item, how many run at once, how many may fail, and what is made of
	 * the results
	 * @throws {TypeError | RangeError} for a name that another step already has or that is too long, and for options of the
	 * wrong type or out of range. If `items` gives no list, the job fails with a TypeError
	 *
	 * @example
	 * ```ts
	 * import assert from "node:assert/strict";
	 * import { job, memoryStore, Processor } from "upkeep";
	 *
	 * const album = job<{ files: string[] }>("album")
	 * 	.each("thumbs", {
	 * 		items: ({ input }) => input.files,
	 * 		run: ({ item }) => `small ${item}`,
	 * 		revert: ({ result }) => console.log("delete", result),
	 * 		atOnce: 20,
	 * 		attempts: 3,
	 * 	})
	 * 	.each("bytes", {
	 * 		items: ({ results }) => results.thumbs,
	 * 		run: ({ item }) => item.length,
	 * 		into: (sum: number = 0, bytes) => sum + bytes,
	 * 	});
	 *
	 * const processor = new Processor({ store: memoryStore(), jobs: [album] });
	 * const { id } = await processor.add(album, { files: ["a.jpg", "b.jpg"] });
	 * await processor.drain();
	 * const { value, results } = await processor.wait(id);
	 * assert.deepEqual([results.thumbs, value], [["small a.jpg", "small b.jpg"], 22]);
	 * ```
	 */
	each<N extends string, E, T, L extends number = 0, V = ItemResults<T, L>>(
		name: N,
		options: JobEachOptions<I, R, E, T, V, Tx> & { tolerate?: L | undefined },
	): Job<I, R & { readonly [K in N]: V }, V, S, Tx, A> {
		const { items, into, atOnce = Infinity, tolerate = 0 } = check("options", options, "object");
		check("items", items, "function");
		checkFunction("into", into);
		checkCount("atOnce", atOnce);
		checkCount("tolerate", tolerate, 0);
		checkItemKind(this, this.#free(name));
		const { options: given } = stepOf(name, options as unknown as JobStep["options"]);
		return this.#with({ name, type: "each", options: given, duration: 0 });
	}

	/**
	 * Adds another job as a step. Its value is the result.
	 *
	 * It is a child of this job: a task of the same basket with its own steps, limit and deadline, of a chain or of a durable
	 * function. It is stored in one commit with the place of this job, which holds no worker and no lease until the child has
	 * ended. If the child does not complete, its error is that of this job. If this job is reverted later, or is canceled,
	 * the child is reverted, too. It is kept until this job is removed.
	 *
	 * A processor that has this job has the other one, too: it need not be among its `jobs`, unless jobs of it are also added.
	 *
	 * @param name the name, once in a job: the value of the other one is found under it
	 * @param job the definition of the other one
	 * @param input makes its input from the input and the results of this one; it may be left out where that may be `undefined`.
	 * It goes through the schema of the other one: if it does not pass, this job fails with a `ValidationError`. After a
	 * crash, the function may be called again
	 * @throws {TypeError | RangeError} for a name that another step already has, and for arguments of the wrong type
	 *
	 * @example
	 * ```ts
	 * import assert from "node:assert/strict";
	 * import { job, memoryStore, Processor } from "upkeep";
	 *
	 * const invoice = job<{ amount: number }>("invoice")
	 * 	.step("number", { run: () => 7, revert: ({ result }) => console.log("void the number", result) })
	 * 	.step("send", { run: ({ input, results }) => `invoice ${results.number} over ${input.amount} €`, attempts: 5 });
	 * const order = job<{ price: number }>("order")
	 * 	.step("ship", { run: () => "sent" })
	 * 	.job("invoice", invoice, ({ input }) => ({ amount: input.price }));
	 *
	 * const processor = new Processor({ store: memoryStore(), jobs: [order] });
	 * const { id } = await processor.add(order, { price: 8 });
	 * await processor.drain();
	 * assert.equal((await processor.wait(id)).value, "invoice 7 over 8 €");
	 * for await (const { job, status } of processor.list({ parent: id })) {
	 * 	assert.deepEqual([job, status], ["invoice", "completed"]);
	 * }
	 * ```
	 */
	job<N extends string, J extends AnyJob<Tx>>(
		name: N,
		job: J,
		...[input = () => undefined]: ChildArguments<I, R, JobTypes<J>["input"]>
	): Job<I, R & { readonly [K in N]: JobTypes<J>["value"] }, JobTypes<J>["value"], S, Tx, A> {
		checkJob(job);
		check("input", input, "function");
		return this.#with({ name: this.#free(name), type: "job", options: { job, input }, duration: 0 });
	}

	/** A name that no step has. Those that begin with a bracket are names of branches. */
	#free<N extends string>(name: N): N {
		checkUsable(name);
		if (name.startsWith("[")) refuse("name", name, 'a text that does not begin with "["');
		if (this.steps.every((step) => (branchOf(step.name)?.[0] ?? step.name) !== name)) return name;
		throw new TypeError(`The job ${JSON.stringify(this.name)} has another step ${JSON.stringify(name)}`);
	}

	#with<R2, V2, S2>(...steps: JobStep[]): Job<I, R2, V2, S2, Tx, A> {
		return new Job<I, R2, V2, S2, Tx, A>(this.name, this as unknown as JobOptions<I, A>, [...this.steps, ...steps]);
	}
}

function checkUsable(name: string): void {
	if (checkName("name", name) === "__proto__") throw new TypeError('"name" cannot be "__proto__"');
}

/** Checks the options of a step that calls a function. */
function stepOf(name: string, options: JobStep["options"]): JobStep {
	const { run, revert, revertAttempts = Infinity, schema } = check("options", options, "object");
	check("run", run, "function");
	if (revert !== undefined) check("revert", revert, "function");
	checkSchema(schema);
	checkRunnerOptions(options);
	checkCount("revertAttempts", revertAttempts);
	return { name, type: "step", options, duration: 0 };
}

/**
 * Creates the definition of a job without steps.
 *
 * @typeParam I the input; with a schema it need not be given
 * @typeParam Tx the transactions of its store, for steps that call `commit`: `job<Order, DatabaseSync>("order")`
 * @typeParam A what `add` takes, where a schema makes the input of it
 * @param name the name, which identifies the definition in a store; 1 to 255 characters without U+001F
 * @param options the version, the schema of the input, the limit, and the deadline
 * @returns a job without steps
 * @throws {TypeError | RangeError} for a name or options of the wrong type, or out of range
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { job, memoryStore, Processor } from "upkeep";
 *
 * const undone: string[] = [];
 * const deleteUser = job<{ userId: string }>("delete-user")
 * 	.step("auth", {
 * 		run: ({ input }) => `login of ${input.userId}`,
 * 		revert: ({ result }) => void undone.push(result),
 * 	})
 * 	.step("orders", {
 * 		run: () => {
 * 			throw new Error("the orders service is away");
 * 		},
 * 	});
 * const processor = new Processor({ store: memoryStore(), jobs: [deleteUser] });
 * const { id } = await processor.add(deleteUser, { userId: "u1" });
 * await processor.drain();
 * const outcome = await processor.wait(id);
 * assert.equal(outcome.status, "reverted");
 * assert.equal(outcome.error?.message, "the orders service is away");
 * assert.deepEqual(undone, ["login of u1"]);
 * ```
 */
export function job<I = undefined, Tx = never, A = I>(
	name: string,
	options?: JobOptions<I, A>,
	// deno-lint-ignore ban-types -- no results yet, and no signals
): Job<I, {}, undefined, {}, Tx, A> {
	return new Job(name, options);
}
