/**
 * Who holds claims: a store has a Web Lock for as long as its tab lives, so that others learn at once when that was closed
 * or has crashed, long before its leases are over.
 *
 * A tab that is frozen keeps its lock: its leases run out. Where there are no Web Locks (an insecure context), or they are
 * refused, they do so in any case.
 *
 * @module
 */

import { isPage } from "../../platform/page.ts";

/** What the marks of those who have a lock begin with. */
const locked = "w";

/** The owner that is named in the token of a claim; `undefined` for one without a lock. */
export function ownerOf(token: string | undefined): string | undefined {
	const mark = token?.split(".")[1];
	return mark?.startsWith(locked) ? mark : undefined;
}

export class Owners {
	readonly #prefix: string;
	#mark: Promise<string> | undefined;
	/** Gives the own lock back. */
	#release: (() => void) | undefined;
	/** Ends the waiting for the locks of others, by basket and mark. */
	readonly #awaited: Map<string, Map<string, AbortController>> = new Map();

	constructor(database: string) {
		this.#prefix = `upkeep:${database}:`;
	}

	/** Names this store in the tokens of its claims: nobody else ever has this name, in this page's next life either. */
	mark(): Promise<string> {
		return this.#mark ??= this.#take(crypto.getRandomValues(new Uint32Array(3)).join(""));
	}

	/** Calls `onGone` when one of these owners has gone, if that is not awaited already. */
	await(basket: string, marks: Iterable<string>, onGone: (mark: string) => void): void {
		const awaited = this.#awaited.get(basket) ?? new Map<string, AbortController>();
		this.#awaited.set(basket, awaited);
		for (const mark of marks) {
			if (awaited.has(mark)) continue;
			const controller = new AbortController();
			awaited.set(mark, controller);
			globalThis.navigator?.locks?.request(this.#prefix + mark, { signal: controller.signal }, () => {
				awaited.delete(mark);
				onGone(mark);
			}).catch(() => {}); // nobody waits any more, or locks are refused: there are leases
		}
	}

	/** Waits for the owners of claims in a basket no longer. */
	forget(basket: string): void {
		for (const controller of this.#awaited.get(basket)?.values() ?? []) controller.abort();
		this.#awaited.delete(basket);
	}

	/** Is as good as gone itself: a page that is kept for its back button stands still, and locks would cost it that place. */
	readonly leave = (): void => {
		if (isPage()) removeEventListener("pagehide", this.leave);
		for (const basket of this.#awaited.keys()) this.forget(basket);
		this.#release?.();
		this.#release = this.#mark = undefined;
	};

	async #take(own: string): Promise<string> {
		const mark = locked + own;
		try {
			await new Promise<void>((resolve, reject) => {
				const hold = () => {
					resolve();
					// Undefined if this was left meanwhile.
					return this.#mark && new Promise<void>((release) => this.#release = release);
				};
				navigator.locks.request(this.#prefix + mark, hold).catch(reject);
			});
		} catch {
			return own;
		}
		if (isPage()) addEventListener("pagehide", this.leave);
		return mark;
	}
}
