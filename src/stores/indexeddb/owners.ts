/**
 * The owners of claims: a store holds a Web Lock while its tab lives, so that other tabs notice at once when the tab
 * was closed or has crashed, long before its leases expire.
 *
 * A frozen tab keeps its lock: its leases expire. The same holds if there are no Web Locks (an insecure context) or
 * they are refused.
 *
 * @module
 */

/** The first character of the marks of owners with a lock. */
const locked = "w";

/** The owner in the token of a claim; `undefined` for an owner without a lock. */
export function ownerOf(token: string | undefined): string | undefined {
	const mark = token?.split(".")[1];
	return mark?.startsWith(locked) ? mark : undefined;
}

/**
 * One of the owners. State: out → (mark, at the first claim) → holding its lock ⇄ (leave, return) away. It keeps its
 * name while it is away, so its claims are its own again unless somebody has taken them meanwhile.
 */
export class Owners {
	readonly #prefix: string;
	readonly #own: string = crypto.getRandomValues(new Uint32Array(3)).join("");
	#mark: Promise<string> | undefined;
	/** Whether it has ever had a mark. */
	#isMarked = false;
	/** Aborts when the own lock must be released. */
	#life: AbortController = new AbortController();
	/** Ends the waits for the locks of other owners, by basket and mark. */
	readonly #awaited: Map<string, Map<string, AbortController>> = new Map();

	constructor(database: string) {
		this.#prefix = `upkeep:${database}:`;
	}

	/** Resolves with the unique name of this store for the tokens of its claims. */
	mark(): Promise<string> {
		this.#isMarked = true;
		return this.#mark ??= this.#take();
	}

	/**
	 * Calls `onGone` when one of these owners has gone, unless that owner is already awaited. Resolves with whether a
	 * call for an owner that had gone before has returned `true`.
	 */
	async await(
		basket: string,
		marks: Iterable<string | undefined>,
		onGone: (mark: string) => Promise<boolean>,
	): Promise<boolean> {
		const awaited = this.#awaited.get(basket) ?? new Map<string, AbortController>();
		this.#awaited.set(basket, awaited);
		let isAny = false;
		for (const mark of marks) {
			if (mark === undefined || mark === locked + this.#own || awaited.has(mark)) continue;
			const controller = new AbortController();
			awaited.set(mark, controller);
			// Shared, so that a tab that is frozen when the lock is granted does not block others. It is held until the
			// claims are released: a returning owner gets the lock after that, and its later claims are safe.
			const seek = (options: LockOptions) =>
				navigator.locks.request(this.#prefix + mark, { ...options, mode: "shared" }, (lock) => {
					if (lock === null) return null;
					awaited.delete(mark);
					return onGone(mark);
				});
			try {
				const hasEnded = await seek({ ifAvailable: true });
				if (hasEnded === null) seek({ signal: controller.signal }).catch(() => {}); // nobody waits anymore
				if (hasEnded) isAny = true;
			} catch {
				// There are no locks, or they are refused: the leases decide.
			}
		}
		return isAny;
	}

	/** Ends the waits for the owners of claims in a basket. */
	forget(basket: string): void {
		for (const controller of this.#awaited.get(basket)?.values() ?? []) controller.abort();
		this.#awaited.delete(basket);
	}

	/** A page in the back/forward cache does not run, and a lock would evict it: the owner counts as gone. */
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
					// Another tab is releasing the claims of this owner, or was frozen meanwhile.
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
