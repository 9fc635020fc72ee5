/**
 * Steps that are made by children: the parent adds them, waits without a claim until a join says that all have ended, and
 * reads their results.
 *
 * @module
 */

import { cut } from "../basket/engine.ts";
import type { Child, Offspring, Outcome, StoredTask } from "../basket/store.ts";
import { asError, isRefusal } from "./failures.ts";
import { indexOf, isOver, pageSize } from "./family.ts";
import { type BadEnd, endOf, Gathering } from "./gathering.ts";
import { firstHead, type JobMessage, type PreparedStep, type StoredAttempt } from "./state.ts";
import { TakingBackJob } from "./taking-back.ts";
import { remember } from "./transitions.ts";
import { itemKind, kindOf } from "./version.ts";
import { refuse } from "../platform/check.ts";
import { validate } from "../platform/standard-schema.ts";

export abstract class SpawningJob<Tx> extends TakingBackJob<Tx> {
	/** The number of children that one commit takes: fewer, if the store refuses so many. */
	#most = pageSize;

	/** Continues a step of children. Returns how the claim ends, if it must. */
	protected async spawn(step: PreparedStep): Promise<Outcome | undefined> {
		const { spawned, isRetried, at } = this.state;
		if (spawned === undefined || spawned.added < spawned.count) return await this.#addAll(step);
		if (isRetried) {
			const failed: StoredTask[] = [];
			for await (const child of this.children(at)) {
				if (isOver(child) && "error" in await endOf(this.owner.codec, undefined, child)) failed.push(child);
			}
			await this.retryAll(failed, this.jobOf(step));
			// Their join has counted with all of them.
			this.become({ ...this.state, isRetried: undefined, spawned: { ...spawned, isOver: true } });
			return undefined;
		}
		return spawned.isOver ? await this.#collect(step) : await this.later(null);
	}

	/** Heeds the message of the join. */
	protected join({ at }: JobMessage & { readonly type: "joined" }): void {
		const { spawned, isBackward, at: current } = this.state;
		if (spawned === undefined || isBackward || at !== current) return;
		this.become({ ...this.state, spawned: { ...spawned, isOver: true } });
	}

	/** The inputs of the children. */
	async #inputs({ definition: { name, type, options } }: PreparedStep): Promise<readonly unknown[]> {
		const { task: { id, signal }, state: { input, results, uid, spawned } } = this;
		const context = { id, signal, input, results };
		if (type === "job") return [await options.input!(context)];
		const items: Iterable<unknown> = await options.items!(context);
		if (typeof Object(items)[Symbol.iterator] !== "function") refuse("items", items, "iterable");
		const inputs = Array.from(items, (item, index) => ({ item, index, parent: uid }));
		const { length } = inputs;
		const { count = length } = spawned ?? {};
		if (length === count) return inputs;
		throw new TypeError(`${JSON.stringify(name)} had ${count} items when it began, and has ${length} now`);
	}

	async #addAll(step: PreparedStep): Promise<Outcome | undefined> {
		const { at } = this.state;
		let inputs: readonly unknown[];
		try {
			inputs = await this.#inputs(step);
		} catch (error) {
			return this.#refuse(error);
		}
		const { length: count } = inputs;
		if (count === 0) return await this.#end(at, step.definition.options.into === undefined ? [] : undefined);
		for (let added = 0; (added = this.state.spawned?.added ?? 0) < count;) {
			if (this.isYielding || this.isCancelled) return await this.later(0);
			this.#checkSignal();
			try {
				this.offspring = await this.#part(step, inputs, added);
			} catch (error) {
				// An item that cannot be stored.
				return this.#refuse(error);
			}
			const { length } = this.offspring.children!;
			const { spawned } = this.state;
			this.become({
				...this.state,
				spawned: { ...spawned, count, added: added + length },
				crashed: this.task.claim.crashes,
			});
			let refusal: unknown;
			const isSaved = await this.saveOffspring().catch((error) => {
				if (!isRefusal(error)) throw error;
				refusal = error;
			});
			if (isSaved) continue;
			// They may be stored nevertheless: adding them again changes nothing.
			this.become({ ...this.state, spawned: { ...spawned, count, added } });
			if (refusal === undefined) return await this.later(0);
			if (length === 1) return this.fail(refusal);
			this.#most = Math.ceil(length / 2);
		}
	}

	/** What a function of the user has thrown is a failure, unless it was asked to end. */
	#refuse(error: unknown): undefined {
		this.#checkSignal();
		return this.fail(error);
	}

	#checkSignal(): void {
		const { signal } = this.task;
		if (signal.aborted) throw signal.reason;
	}

	/** The next children, and the join that counts them. */
	async #part(step: PreparedStep, inputs: readonly unknown[], from: number): Promise<Offspring> {
		const { store: { capabilities: { maxAdd = pageSize, maxAddBytes = Infinity } } } = this.owner;
		const { name, type, options: { tolerate = 0 } } = step.definition;
		const { state: { at }, task: { claim: { priority } } } = this;
		const job = this.jobOf(step);
		const kind = type === "job" ? kindOf(job) : itemKind(this.job.job, name);
		const { meta } = this.task.claim;
		const children: Child[] = [];
		let size = 0;
		for (let index = from; index < inputs.length && children.length < Math.min(this.#most, maxAdd); index++) {
			const input = job.schema === undefined ? inputs[index] : await validate(job.schema, inputs[index]);
			const payload = await this.encode({ ...firstHead(job, input, undefined), isChild: true });
			// At most three bytes for each unit.
			size += payload.length * 3;
			if (children.length > 0 && size > maxAddBytes) break;
			const limitKey = job.limit?.keyOf(input);
			children.push({ id: this.childId(at, index), kind, payload, delay: 0, priority, limitKey, join: name, meta });
		}
		const spare = tolerate < Infinity ? tolerate : undefined;
		return { join: await this.joinOf(step, at, { left: inputs.length, spare }), children };
	}

	/** Makes the result of what the children have given, unless too many have failed. */
	async #collect(step: PreparedStep): Promise<Outcome | undefined> {
		const { type, options: { tolerate = 0 } } = step.definition;
		const { at } = this.state;
		while (true) {
			if (this.isYielding) return await this.later(0);
			const { value, errors, alive, thrown } = await this.#gather(step);
			if (thrown !== undefined) return this.#refuse(thrown.error);
			const failed = [...errors].sort(([one], [other]) => one - other);
			if (failed.length > tolerate) return this.fail(asError(failed[tolerate]![1].error));
			if (alive.size === 0) {
				this.#remember(at, failed);
				return await this.#end(at, type === "job" ? (value as unknown[])[0] : value);
			}
			// Somebody has let them begin anew.
			const spare = tolerate < Infinity ? tolerate - failed.length : undefined;
			const outcome = await this.sleep(step, at, alive.size, spare);
			if (outcome !== undefined) return outcome;
		}
	}

	async #gather(step: PreparedStep): Promise<Gathering> {
		const { into, schema } = step.definition.options;
		const gathering = new Gathering(into);
		for await (const child of this.children(this.state.at)) {
			if (isOver(child)) await gathering.add(indexOf(child), await endOf(this.owner.codec, schema, child));
			else gathering.alive.add(indexOf(child));
		}
		await gathering.finish(this.state.spawned!.count);
		return gathering;
	}

	/** The errors of tolerated children are attempts of the step. */
	#remember(at: number, failed: readonly (readonly [number, BadEnd])[]): void {
		const now = this.task.claim.addedAt + this.age;
		for (
			const [index, { error, attempt: [, attempt, startedAt, duration, , worker] = [0, 1, now, 0, 0, null] }] of failed
		) {
			const entry: StoredAttempt = [at, attempt, startedAt, duration, 0, worker, cut(error.message, 200), index];
			this.become({ ...this.state, history: remember(this.state.history, entry) });
		}
	}

	async #end(at: number, value: unknown): Promise<undefined> {
		const missed = await this.succeed(at, value);
		if (missed?.type === "failed") this.fail(missed.error);
	}
}
