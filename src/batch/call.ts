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

type Host = Pick<
	BatchMember,
	"calling" | "checkLeases" | "isOver" | "isExpired" | "isCompleting" | "isCompleted" | "isReturned" | "watched"
>;

interface Failure {
	readonly error: unknown;
}

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
	failure?: Failure;
	/** Once it has left: whether those behind it need not wait for its task. */
	isGone?: boolean;
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
		const member = this.#members.get(id);
		if (member !== undefined) this.#leave(id, member);
		this.#members.delete(id);
		this.#beginIfRead();
	}

	#leave(id: string, member: Member): void {
		member.isGone = isGone(member.host);
		if (!this.#hasBegun || (this.#begun.has(id) && !member.isGone)) this.#returnBehind(id);
		member.onLeft?.();
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
		host?.checkLeases(); // the machine may have slept while the call gathered
		this.#hasBegun = true;
		for (const [id, member] of this.#members) {
			if (member.isAborted) continue;
			this.#begun.set(id, member);
			this.#left.add(id);
		}
		const members = [...this.#begun.values()];
		if (members.length === 0) return;
		const context = { signal: this.#controller.signal, fail: (id: string, error?: unknown) => this.#fail(id, error) };
		try {
			const run = () => this.#run(members.map(({ task }) => task), context);
			const call = () => observed(members, run);
			await (host === undefined ? call() : host.calling(call));
			this.#end();
			if (this.#isInOrder) await endInOrder(members);
			else for (const { resolve } of members) resolve!();
		} catch (error) {
			this.#end();
			if (this.#isInOrder) await endInOrder(members, { error });
			else for (const { reject } of members) reject!(error);
		}
	}

	/** A task has left, or will, that is not done: none behind it may be. */
	#returnBehind(id: string): void {
		if (!this.#isInOrder || !this.#members.has(id)) return;
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
		if (this.#hasBegun) return; // the function has ended
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

/**
 * The function of a call in order has ended. A task is done if all before it are; an error of the function is that of the
 * first task that is not gone.
 *
 * The commit of a transaction decides about a task that it is to end. It is looked for before anything else ends, and last
 * for the head: when a task ends and stays in its lane, the claims behind it end, too, and that would look like a commit.
 */
async function endInOrder(members: readonly Member[], thrown?: Failure): Promise<void> {
	const [head, ...others] = members;
	const completing = new Set(members.filter(({ host }) => host?.isCompleting));
	const isDecided = (member: Member) => completing.has(member);
	await Promise.all(others.filter(isDecided).map((member) => untilLeft(member, () => giveBack(member))));
	if (isDecided(head!)) await untilLeft(head!, () => end(head!, head!.failure ?? thrown));
	let isBehind = false;
	for (const member of members) {
		const failure = member.failure ?? thrown;
		if (isBehind) giveBack(member);
		else if (!isDecided(member)) end(member, failure);
		const hasFailed = failure !== undefined || isDecided(member) || member.host?.isExpired === true;
		isBehind ||= member.failure !== undefined || (hasFailed && !(member.isGone ?? isGone(member.host)));
	}
}

/** Calls the function, and tells an observer of it, if there is one. */
function observed(members: readonly Member[], run: () => unknown): unknown {
	const watched = members.map(({ host }) => host?.watched).filter((one) => one !== undefined);
	const [first] = watched;
	if (first === undefined) return run();
	const batch = watched.map(({ attempt }) => attempt);
	for (const attempt of batch) Object.assign(attempt, { batch });
	return first.begin(watched, run);
}

function end({ resolve, reject }: Member, failure: Failure | undefined): void {
	if (failure === undefined) resolve!();
	else reject!(failure.error);
}

/** Ends the run of a member. Resolves when it has left. */
function untilLeft(member: Member, leave: () => void): Promise<void> | undefined {
	if (member.isGone !== undefined) return undefined;
	const left = new Promise<void>((resolve) => member.onLeft = resolve);
	leave();
	return left;
}

/** Whether a task is done in its transaction, deleted, or claimed by another worker. */
function isGone(host: Host | undefined): boolean {
	return host !== undefined && (host.isCompleted || (host.isOver && !host.isExpired && !host.isCompleting));
}

/** Ends a run that does not count. */
function giveBack(member: Member): void {
	member.isAborted = true;
	if (member.host !== undefined) member.host.isReturned = true;
	member.reject?.(later(0));
}
