/**
 * Who holds claims: a store has a Web Lock for as long as its tab lives, so that others learn at once when that was closed
 * or has crashed, long before its leases are over.
 *
 * A tab that is frozen keeps its lock: its leases run out. Where there are no Web Locks (an insecure context), or they are
 * refused, they do so in any case.
 *
 * @module
 */

/** What the marks of those who have a lock begin with. */
const locked = "w";

/** The owner that is named in the token of a claim; `undefined` for one without a lock. */
export function ownerOf(token: string | undefined): string | undefined {
	const mark = token?.split(".")[1];
	return mark?.startsWith(locked) ? mark : undefined;
}

/**
 * One among the owners. State: out → (mark, when it claims first) → holding its lock ⇄ (leave, return) away. It keeps its name while it is away: what it has claimed is its own again if nobody has taken that meanwhile.
 */
export class Owners {
	readonly #prefix: string;
	readonly #own: string = crypto.getRandomValues(new Uint32Array(3)).join("");
	#mark: Promise<string> | undefined;
	/** Whether it has ever had a mark. */
	#isMarked = false;
	/** Ends when the own lock is to be given back. */
	#life: AbortController = new AbortController();
	/** Ends the waiting for the locks of others, by basket and mark. */
	readonly #awaited: Map<string, Map<string, AbortController>> = new Map();

	constructor(database: string) {
		this.#prefix = `upkeep:${database}:`;
	}

	/** Names this store in the tokens of its claims. Nobody else ever has this name. */
	mark(): Promise<string> {
		this.#isMarked = true;
		return this.#mark ??= this.#take();
	}

	/** Calls `onGone` when one of these owners has gone, if that is not awaited already. */
	await(basket: string, marks: Iterable<string>, onGone: (mark: string) => Promise<void>): void {
		const awaited = this.#awaited.get(basket) ?? new Map<string, AbortController>();
		this.#awaited.set(basket, awaited);
		for (const mark of marks) {
			if (mark === locked + this.#own || awaited.has(mark)) continue;
			const controller = new AbortController();
			awaited.set(mark, controller);
			// Shared, so that one who is frozen when it is granted keeps nobody else from it. It is kept until the claims are
			// free: an owner who comes back gets it after that, and what it claims then is its own.
			const options = { signal: controller.signal, mode: "shared" } as const;
			globalThis.navigator?.locks?.request(this.#prefix + mark, options, () => {
				awaited.delete(mark);
				return onGone(mark);
			}).catch(() => {}); // nobody waits any more, or locks are refused: there are leases
		}
	}

	/** Waits for the owners of claims in a basket no longer. */
	forget(basket: string): void {
		for (const controller of this.#awaited.get(basket)?.values() ?? []) controller.abort();
		this.#awaited.delete(basket);
	}

	/** Is as good as gone: a page that is kept for its back button stands still, and locks would cost it that place. */
	leave(): void {
		for (const basket of this.#awaited.keys()) this.forget(basket);
		this.#life.abort();
		this.#mark = undefined;
	}

	/** Is back, if it was ever there. */
	return(): void {
		if (this.#isMarked) void this.mark();
	}

	async #take(): Promise<string> {
		const { signal } = this.#life = new AbortController();
		try {
			return await new Promise<string>((resolve, reject) => {
				const hold = (lock: Lock | null) => {
					if (signal.aborted) return resolve(this.#own);
					// Somebody frees the claims of this one now, or has frozen in it.
					if (lock === null) {
						this.#mark = undefined;
						return resolve(this.#own);
					}
					resolve(locked + this.#own);
					return new Promise<void>((release) => signal.addEventListener("abort", () => release()));
				};
				navigator.locks.request(this.#prefix + locked + this.#own, { ifAvailable: true }, hold).catch(reject);
			});
		} catch {
			return this.#own;
		}
	}
}
