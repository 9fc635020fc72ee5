/**
 * Steps that are made by children: the parent adds them, waits without a claim until a join says that all have ended, and
 * reads their results. Backward, it cancels those that run, and lets those that are done go backward.
 *
 * @module
 */

import { decodeFailure, type TaskFailure } from "../basket/engine.ts";
import type { Child, Offspring, Outcome, Restart, StoredTask } from "../basket/store.ts";
import { decodeHead } from "./decode.ts";
import { JobSteps } from "./job-steps.ts";
import { itemKind, kindOf } from "./version.ts";
import { firstHead, type JobEntry, type JobMessage, type PreparedStep } from "./state.ts";
import type { AnyJob } from "./definition.ts";
import { mayRevert, turn } from "./transitions.ts";
import { widen } from "./value.ts";
import { refuse } from "../platform/check.ts";
import { validate } from "../platform/standard-schema.ts";

/** The time after which a job that goes backward looks for its children again, in milliseconds. */
const pause = 1_000;

/** The number of children that are added or read at once. */
const pageSize = 500;

/** How a child has ended. */
type ChildEnd = { readonly value: unknown } | { readonly error: TaskFailure };

/** The end of a child that was deleted. */
const deleted = (name: string): ChildEnd => ({
	error: { name: "AbortError", message: `The child ${name} was deleted`, code: undefined } as TaskFailure,
});

export abstract class SpawningJob<Tx> extends JobSteps<Tx> {
	/** Continues a step of children. Returns how the claim ends, if it must. */
	protected async spawn(step: PreparedStep): Promise<Outcome | undefined> {
		const { spawned } = this.state;
		if (spawned === undefined || spawned.added < spawned.count) return await this.#addAll(step);
		if (!spawned.isOver) return await this.later(null);
		return await this.#collect(step);
	}

	/** Heeds the message of the join. */
	protected join({ at }: JobMessage & { readonly type: "joined" }): void {
		const { spawned, isBackward, at: current } = this.state;
		if (spawned === undefined || isBackward || at !== current) return;
		this.become({ ...this.state, spawned: { ...spawned, isOver: true } });
	}

	/** The inputs of the children. */
	async #inputs({ definition: { type, options } }: PreparedStep): Promise<readonly unknown[]> {
		const { task: { id, signal }, state: { input, results, uid } } = this;
		const context = { id, signal, input, results };
		if (type === "job") return [await options.input!(context)];
		const items: Iterable<unknown> = await options.items!(context);
		if (typeof Object(items)[Symbol.iterator] !== "function") refuse("items", items, "iterable");
		return Array.from(items, (item, index) => ({ item, index, parent: uid }));
	}

	async #addAll(step: PreparedStep): Promise<Outcome | undefined> {
		const { definition: { name, options } } = step;
		const { at } = this.state;
		let inputs;
		try {
			inputs = await this.#inputs(step);
			const { count = inputs.length } = this.state.spawned ?? {};
			if (count !== inputs.length) {
				throw new TypeError(`${JSON.stringify(name)} had ${count} items when it began, and has ${inputs.length} now`);
			}
		} catch (error) {
			return this.fail(error);
		}
		if (inputs.length === 0) return await this.#end(at, options.into === undefined ? [] : undefined);
		while (this.state.spawned === undefined || this.state.spawned.added < inputs.length) {
			if (this.isYielding || this.isCancelled) return await this.later(0);
			if (this.task.signal.aborted) throw this.task.signal.reason;
			const before = this.state.spawned ?? { count: inputs.length, added: 0 };
			let offspring: Offspring;
			try {
				offspring = await this.#part(step, inputs, before.added);
			} catch (error) {
				// An item that cannot be stored.
				return this.fail(error);
			}
			const added = before.added + offspring.children!.length;
			this.become({ ...this.state, spawned: { ...before, added } });
			this.offspring = offspring;
			const isSaved = await this.save();
			this.offspring = undefined;
			if (isSaved) continue;
			// Adding them again changes nothing.
			this.become({ ...this.state, spawned: before });
			return await this.later(0);
		}
		return undefined;
	}

	/** The next children, and the join that counts them. */
	async #part({ definition }: PreparedStep, inputs: readonly unknown[], from: number): Promise<Offspring> {
		const { codec, store: { capabilities: { maxAdd = pageSize, maxAddBytes = Infinity } } } = this.owner;
		const { name, type, options } = definition;
		const { at, uid } = this.state;
		const job = type === "job" ? options.job! : this.job.items!.get(name)!;
		const children: Child[] = [];
		let size = 0;
		for (let index = from; index < inputs.length && children.length < Math.min(pageSize, maxAdd); index++) {
			const input = job.schema === undefined ? inputs[index] : await validate(job.schema, inputs[index]);
			const payload = await this.encode({ ...firstHead(job, input, undefined), isChild: true });
			// At most three bytes for each unit.
			size += payload.length * 3;
			if (children.length > 0 && size > maxAddBytes) break;
			const kind = type === "job" ? kindOf(job) : itemKind(this.job.job, name);
			const limitKey = job.limit?.keyOf(input);
			children.push({ id: `${uid}/${at}/${index}`, kind, payload, delay: 0, priority: 0, limitKey, join: name });
		}
		const message: JobMessage = { type: "joined", at };
		const { tolerate = 0 } = options;
		const spare = tolerate < Infinity ? tolerate : undefined;
		return { join: { name, left: inputs.length, spare, data: await codec.encode(message) }, children };
	}

	/**
	 * Backward, cancels the children that have not ended, and then lets those that are completed go backward. Returns how the
	 * claim ends, if it must.
	 */
	protected async takeBack(step: PreparedStep): Promise<Outcome | undefined> {
		const { definition: { name, type, options } } = step;
		const { owner: { codec, store, name: basket }, state: { at: behind, error } } = this;
		const at = behind - 1;
		const isRevertible = type === "job" ? mayRevert(options.job!) : options.revert !== undefined;
		const alive: string[] = [];
		const completed: StoredTask[] = [];
		let failure: TaskFailure | undefined;
		for await (const child of this.#children(at)) {
			if (child.state !== "done" && child.state !== "dead") alive.push(child.id);
			if (child.state !== "done" || !isRevertible) continue;
			const { status, revertError } = await decodeHead(codec, child.payload);
			if (status === "completed") completed.push(child);
			if (status === "failed") failure ??= revertError;
		}
		const { spawned } = this.state;
		if (alive.length > 0) {
			if (spawned?.isTakenBack) return await this.later(pause, true);
			const cancel = await codec.encode({ type: "cancel" } satisfies JobMessage);
			for (const id of alive) await this.task.calls.track(() => store.post(basket, id, cancel));
			return await this.later(pause, true);
		}
		if (completed.length > 0) {
			const job = type === "job" ? options.job! as AnyJob : this.job.items!.get(name)!;
			const steps = new Map(job.steps.map((definition) => [definition.name, { definition } as PreparedStep]));
			for (const { id, key, payload } of completed.reverse()) {
				const head = await decodeHead(codec, payload);
				const back = head.pending === undefined
					? turn({ steps }, head, error!)
					: { ...head, crashed: 0, status: undefined, isBackward: true, error };
				const restart: Restart = { type: "restart", key, payload: await this.encode(back), keepsLog: true };
				await this.task.calls.track(() => store.change(basket, [id], restart));
			}
			this.become({ ...this.state, spawned: { count: completed.length, added: completed.length, isTakenBack: true } });
			return await this.later(pause, true);
		}
		if (failure !== undefined) return this.fail(Object.assign(new Error(failure.message), failure));
		const missed = await this.succeed(at, undefined);
		if (missed?.type === "failed") this.fail(missed.error);
		return undefined;
	}

	/** Reads how the children have ended. */
	async #collect(step: PreparedStep): Promise<undefined> {
		const { definition: { name, type, options: { into, tolerate = 0 } } } = step;
		const { at, spawned } = this.state;
		const all: unknown[] = [];
		let value: unknown;
		let failures = 0;
		let next = 0;
		const take = async (index: number, end: ChildEnd) => {
			if ("error" in end) {
				if (++failures > tolerate) throw Object.assign(new Error(end.error.message), end.error);
				if (into === undefined) all[index] = undefined;
			} else if (into === undefined) all[index] = end.value;
			else value = await into(value, end.value, index);
		};
		try {
			for await (const child of this.#children(at)) {
				const index = Number(child.id.slice(child.id.lastIndexOf("/") + 1));
				while (next < index) await take(next, deleted(`${name} ${next++}`));
				await take(next++, await this.#endOf(step, child));
			}
			while (next < spawned!.count) await take(next, deleted(`${name} ${next++}`));
		} catch (error) {
			return this.fail(error);
		}
		return await this.#end(at, type === "job" ? all[0] : into === undefined ? all : value);
	}

	async #end(at: number, value: unknown): Promise<undefined> {
		const missed = await this.succeed(at, value);
		if (missed?.type === "failed") this.fail(missed.error);
	}

	async #endOf({ definition: { options: { schema } } }: PreparedStep, child: StoredTask): Promise<ChildEnd> {
		const { codec } = this.owner;
		if (child.state !== "done") return { error: decodeFailure(child.error) ?? deletedError() };
		const { status, revertError, error } = await decodeHead(codec, child.payload);
		if (status !== "completed") return { error: revertError ?? error! };
		const { value: found, gaps } = await codec.decode(child.result!) as Pick<JobEntry, "value" | "gaps">;
		const value = gaps === undefined ? found : widen(found, gaps);
		return { value: schema === undefined ? value : await validate(schema, value) };
	}

	/** The children of a step, in the order of their items. */
	async *#children(at: number): AsyncGenerator<StoredTask, void, undefined> {
		const { store, name } = this.owner;
		const { id: parent } = this.task;
		const prefix = `${this.state.uid}/${at}/`;
		let after: string | undefined;
		while (true) {
			const page: readonly StoredTask[] = await this.task.calls.track(() =>
				store.list(name, { parent, after, limit: pageSize })
			);
			for (const child of page) if (child.id.startsWith(prefix)) yield child;
			if (page.length < pageSize) return;
			after = page.at(-1)!.key;
		}
	}
}

function deletedError(): TaskFailure {
	return { name: "Error", message: "The child has not ended", code: undefined } as TaskFailure;
}
