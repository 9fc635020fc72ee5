/**
 * Puts what many callers ask for at the same time into one call of the store.
 *
 * @module
 */

interface Group<T, R> {
	readonly items: readonly T[];
	readonly resolve: (results: readonly R[]) => void;
	readonly reject: (error: unknown) => void;
}

/**
 * One call at a time; what comes meanwhile is in the next one. Should a call that several share not fit into the store, each
 * gets one of its own. After any other error it may have been made all the same, and making it again could do it twice.
 */
export class Batch<T, R> {
	readonly #flush: (items: readonly T[]) => Promise<readonly R[]>;
	readonly #limit: number;
	#groups: Group<T, R>[] = [];
	#isFlushing = false;

	constructor(flush: (items: readonly T[]) => Promise<readonly R[]>, limit: number = Infinity) {
		this.#flush = flush;
		this.#limit = limit;
	}

	/** Resolves with a result for each item. */
	submit(items: readonly T[]): Promise<readonly R[]> {
		return new Promise((resolve, reject) => {
			this.#groups.push({ items, resolve, reject });
			if (this.#isFlushing) return;
			this.#isFlushing = true;
			queueMicrotask(() => this.#work());
		});
	}

	async #work(): Promise<void> {
		while (this.#groups.length > 0) {
			const groups = this.#take();
			await this.#serve(groups).catch(async (error) => {
				for (const group of groups) {
					if (groups.length > 1 && error?.code === "full") await this.#serve([group]).catch(group.reject);
					else group.reject(error);
				}
			});
		}
		this.#isFlushing = false;
	}

	/** As many as go into one call. */
	#take(): Group<T, R>[] {
		let size = 0;
		let count = 0;
		for (const { items } of this.#groups) {
			size += items.length;
			if (count > 0 && size > this.#limit) break;
			count++;
		}
		return this.#groups.splice(0, count);
	}

	async #serve(groups: readonly Group<T, R>[]): Promise<void> {
		const results = await this.#flush(groups.flatMap(({ items }) => items));
		let from = 0;
		for (const { items, resolve } of groups) resolve(results.slice(from, from += items.length));
	}
}
