/**
 * One call of the function of a batch, and its tasks.
 *
 * ```text
 *   gathering ──(full, waited, paused)──► closed ──(each payload is read)──► begun ──(the function has ended)──► over
 * ```
 *
 * A task enters, is added with its payload when that is read, and leaves when it has ended. If its signal aborts before
 * the call has begun, it ends at once. Later it belongs to the function, which may still finish it, unless the engine
 * abandons it.
 *
 * In a call in order, which has tasks of one lane, a task is done only if all before it are: the first failure is that of
 * its task, and the tasks behind that are given back.
 *
 * @module
 */

import type { BasketContext, BatchMember, SharedRun } from "../basket/engine.ts";
import { inContext } from "../platform/async-context.ts";
import { later, unwrap } from "../run/task.ts";

/** The function of a batch. */
// deno-lint-ignore no-explicit-any -- of any payload
type Run = (tasks: readonly any[], context: any) => unknown;

type Host = Pick<BatchMember, "calling" | "checkLeases" | "isOver" | "isCompleting" | "isCompleted" | "isReturned">;

interface Member {
	/** Absent while the payload is being read. */
	task?: object;
	resolve?: () => void;
	reject?: (error: unknown) => void;
	/** Whether its signal has aborted, or it was given back. */
	isAborted?: boolean;
	/** Absent without a basket. */
	readonly host: Host | undefined;
	/** The error with which it fails when the function has ended, in a call in order. */
	failure?: { readonly error: unknown };
	onLeft?: () => void;
}

export class Call {
	readonly #run: Run;
	readonly #isInOrder: boolean;
	/** The tasks that have entered and not left, in order. */
	readonly #members = new Map<string, Member>();
	/** The tasks of the function, and those of them that have neither failed nor been aborted. */
	readonly #begun = new Map<string, Member>();
	readonly #left = new Set<string>();
	readonly #controller = new AbortController();
	#isClosed = false;
	#hasBegun = false;
	/** Runs in the async context of the first task. */
	readonly #begin: () => void;

	/** @param host the first task; absent without a basket */
	constructor(run: Run, host?: Host, isInOrder = false) {
		this.#run = run;
		this.#isInOrder = isInOrder;
		this.#begin = inContext(() => void this.#perform(host));
	}

	get size(): number {
		return this.#members.size;
	}

	/** A task joins the call. The returned function adds its payload, and resolves when the task is done. */
	enter(id: string, host?: Host): SharedRun {
		const member: Member = { host };
		this.#members.set(id, member);
		return (payload, context) => this.#add(id, member, payload, context);
	}

	/** The task has ended. */
	leave(id: string): void {
		this.#members.get(id)?.onLeft?.();
		this.#returnBehind(id);
		this.#members.delete(id);
		this.#beginIfRead();
	}

	/** No further task joins the call. It begins when the payloads are read. */
	close(): void {
		this.#isClosed = true;
		this.#beginIfRead();
	}

	#add(id: string, member: Member, payload: unknown, context: BasketContext<unknown, unknown>): Promise<void> {
		const { signal } = context;
		return new Promise((resolve, reject) => {
			Object.assign(member, { task: Object.assign(context, { payload }), resolve, reject });
			signal.addEventListener("abort", () => this.#abort(id, member, signal.reason), { once: true });
			if (member.isAborted) reject(later(0));
			else if (signal.aborted) this.#abort(id, member, signal.reason);
			this.#beginIfRead();
		});
	}

	#beginIfRead(): void {
		if (!this.#isClosed) return;
		for (const { task } of this.#members.values()) if (task === undefined) return;
		this.#begin();
	}

	/** Tasks may have left since {@link #begin} was called, but none has come. */
	async #perform(host: Host | undefined): Promise<void> {
		this.#hasBegun = true;
		host?.checkLeases(); // the machine may have slept while the call gathered
		for (const [id, member] of this.#members) {
			if (member.isAborted) continue;
			this.#begun.set(id, member);
			this.#left.add(id);
		}
		const members = [...this.#begun.values()];
		if (members.length === 0) return;
		const context = { signal: this.#controller.signal, fail: (id: string, error?: unknown) => this.#fail(id, error) };
		try {
			const call = () => this.#run(members.map(({ task }) => task), context);
			await (host === undefined ? call() : host.calling(call));
			this.#end();
			const end = members.findIndex(({ failure }) => failure !== undefined);
			for (const { resolve } of members.slice(0, end < 0 ? Infinity : end)) resolve!();
			if (end >= 0) members[end]!.reject!(members[end]!.failure!.error);
			if (end >= 0) { for (const member of members.slice(end + 1)) giveBack(member); }
		} catch (error) {
			this.#end();
			if (this.#isInOrder) await this.#failInOrder(members, error);
			else for (const { reject } of members) reject!(error);
		}
	}

	/** The error is that of the first task that is not over. If a transaction is to end that task, its commit decides. */
	async #failInOrder(members: readonly Member[], error: unknown): Promise<void> {
		let hasFailed = false;
		for (const member of members) {
			const { host } = member;
			if (hasFailed) {
				giveBack(member);
				continue;
			}
			const left = host?.isCompleting ? new Promise<void>((resolve) => member.onLeft = resolve) : undefined;
			hasFailed = !host?.isOver;
			member.reject!(error);
			await left;
			if (host?.isCompleted || host?.isOver) hasFailed = false;
		}
	}

	/** Before the call has begun, a task has ended: none behind it may run before it. */
	#returnBehind(id: string): void {
		if (!this.#isInOrder || this.#hasBegun || !this.#members.has(id)) return;
		const ids = [...this.#members.keys()];
		for (const other of ids.slice(ids.indexOf(id) + 1)) giveBack(this.#members.get(other)!);
	}

	#end(): void {
		this.#begun.clear();
		this.#left.clear();
	}

	#fail(id: string, error: unknown): void {
		const member = this.#begun.get(id);
		if (member === undefined) return;
		if (this.#isInOrder) member.failure ??= { error };
		else member.reject!(error);
		this.#lessen(id, unwrap(error));
	}

	#abort(id: string, member: Member, reason: unknown): void {
		const isBegun = this.#begun.get(id) === member;
		const isFirst = !isBegun || this.#begun.keys().next().value === id;
		if (this.#isInOrder && !isFirst && member.host !== undefined) member.host.isReturned = true;
		member.isAborted = true;
		if (isBegun) return this.#lessen(id, reason);
		member.reject!(reason);
		this.#returnBehind(id);
	}

	/** A task needs nothing more of the function. In a call in order, neither does a task behind one that has failed. */
	#lessen(id: string, reason: unknown): void {
		const isLess = this.#left.delete(id);
		if (this.#isInOrder && this.#begun.get(id)?.failure !== undefined) {
			const ids = [...this.#begun.keys()];
			for (const behind of ids.slice(ids.indexOf(id))) this.#left.delete(behind);
		}
		if (isLess && this.#left.size === 0) this.#controller.abort(reason);
	}
}

/** Ends a run that does not count. */
function giveBack(member: Member): void {
	member.isAborted = true;
	if (member.host !== undefined) member.host.isReturned = true;
	member.reject?.(later(0));
}
