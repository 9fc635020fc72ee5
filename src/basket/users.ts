/**
 * The users of a worker: each active `run` and `drain`. They share one worker, which ends when the last user leaves.
 *
 * @module
 */

import { inContextAlways } from "../platform/async-context.ts";
import { type Abortable, link, unlink } from "../platform/signals.ts";

/** A call of `run` or `drain`. */
export interface User extends Abortable {
	/** Whether the user leaves when no task is due. */
	readonly isDraining: boolean;
	readonly signal: AbortSignal | undefined;
	/** Settles the promise of the user. */
	readonly onLeft: () => void;
	readonly onFailed: (error: unknown) => void;
	/** Lets the worker work in the user's async context. */
	readonly work: () => void;
}

/** The interface of the users to the worker. */
export interface UsersOwner {
	readonly claims: { readonly isCalling: boolean };
	/** Set while the worker stops. */
	readonly stopping: Promise<void> | undefined;
	onJoined(): void;
	/** Lets the worker work. */
	work(): void;
	/** The last user has left. Resolves when the worker has stopped. */
	end(reason: unknown): Promise<void>;
}

export class Users {
	readonly #owner: UsersOwner;
	readonly #users = new Set<User>();

	constructor(owner: UsersOwner) {
		this.#owner = owner;
	}

	get size(): number {
		return this.#users.size;
	}

	/** The longest active user. Tasks run in its async context. */
	get first(): User | undefined {
		return this.#users.values().next().value;
	}

	/** Resolves when the user has left: at an abort or, for a drain, when no task is due. */
	join(isDraining: boolean, signal: AbortSignal | undefined): Promise<void> {
		const owner = this.#owner;
		return new Promise((onLeft, onFailed) => {
			const abort = (reason: unknown) => this.#leave(user, isDraining ? () => onFailed(reason) : onLeft, reason);
			const work = inContextAlways(() => owner.work());
			const user: User = { isDraining, signal, onLeft, onFailed, abort, work };
			if (signal?.aborted) return isDraining ? onFailed(signal.reason) : onLeft();
			if (isDraining && owner.claims.isCalling) {
				const text = "A task cannot wait for a drain() of its own basket";
				return onFailed(new DOMException(text, "InvalidStateError"));
			}
			this.#users.add(user);
			link(signal, user);
			owner.onJoined();
		});
	}

	/** The present users. */
	get all(): readonly User[] {
		return [...this.#users];
	}

	/** No task is due: draining users leave. */
	quiet(): void {
		for (const user of this.#users) if (user.isDraining) this.#leave(user, user.onLeft, undefined);
	}

	/** The worker has failed permanently: all users get the error. */
	fail(error: unknown): void {
		for (const user of this.#users) this.#leave(user, () => user.onFailed(error), error);
	}

	#leave(user: User, settle: () => void, reason: unknown): void {
		if (!this.#users.delete(user)) return;
		unlink(user.signal, user);
		const owner = this.#owner;
		if (this.#users.size === 0) owner.end(reason).then(settle);
		// Other users may be leaving, too: then all wait for the same end.
		else queueMicrotask(() => owner.stopping === undefined ? settle() : owner.stopping.then(settle));
	}
}
