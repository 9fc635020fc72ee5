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
 * @module
 */

import type { BasketContext, BatchMember, SharedRun } from "../basket/engine.ts";
import { inContext } from "../platform/async-context.ts";
import { unwrap } from "../run/task.ts";

/** The function of a batch. */
// deno-lint-ignore no-explicit-any -- of any payload
type Run = (tasks: readonly any[], context: any) => unknown;

type Host = Pick<BatchMember, "calling" | "checkLeases">;

interface Member {
	/** Absent while the payload is being read. */
	task?: object;
	resolve?: () => void;
	reject?: (error: unknown) => void;
	/** Whether its signal has aborted. */
	isAborted?: boolean;
}

export class Call {
	readonly #run: Run;
	/** The tasks that have entered and not left, in order. */
	readonly #members = new Map<string, Member>();
	/** The tasks of the function, and those of them that have neither failed nor been aborted. */
	readonly #begun = new Map<string, Member>();
	readonly #left = new Set<string>();
	readonly #controller = new AbortController();
	#isClosed = false;
	/** Runs in the async context of the first task. */
	readonly #begin: () => void;

	/** @param host the first task; absent without a basket */
	constructor(run: Run, host?: Host) {
		this.#run = run;
		this.#begin = inContext(() => void this.#perform(host));
	}

	get size(): number {
		return this.#members.size;
	}

	/** A task joins the call. The returned function adds its payload, and resolves when the task is done. */
	enter(id: string): SharedRun {
		const member: Member = {};
		this.#members.set(id, member);
		return (payload, context) => this.#add(id, member, payload, context);
	}

	/** The task has ended. */
	leave(id: string): void {
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
			if (signal.aborted) this.#abort(id, member, signal.reason);
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
			for (const { resolve } of members) resolve!();
		} catch (error) {
			this.#end();
			for (const { reject } of members) reject!(error);
		}
	}

	#end(): void {
		this.#begun.clear();
		this.#left.clear();
	}

	#fail(id: string, error: unknown): void {
		const member = this.#begun.get(id);
		if (member === undefined) return;
		member.reject!(error);
		this.#lessen(id, unwrap(error));
	}

	#abort(id: string, member: Member, reason: unknown): void {
		member.isAborted = true;
		if (this.#begun.get(id) === member) this.#lessen(id, reason);
		else member.reject!(reason);
	}

	#lessen(id: string, reason: unknown): void {
		if (this.#left.delete(id) && this.#left.size === 0) this.#controller.abort(reason);
	}
}
