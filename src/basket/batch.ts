/**
 * What several callers want at the same time, in one call.
 *
 * @module
 */

interface Group<T, R> {
	readonly items: readonly T[];
	readonly resolve: (results: readonly R[]) => void;
	readonly reject: (error: unknown) => void;
}

/** How much of something one call takes. */
export interface BatchLimit<T> {
	/** @default Infinity */
	readonly most: number | undefined;
	/** How much of it some items have. Asked only if there is a limit. */
	readonly of: (items: readonly T[]) => number;
}

/** After so many calls in a row that found the store busy, each after its own wait, it is taken for busy with all of them. */
const mostBusy = 3;

/**
 * One call at a time; what comes meanwhile is in the next one, as far as the limits allow.
 *
 * What one caller wants must not cost another anything: if a call of several has failed in a way that says that nothing was
 * done, each of them gets a call of its own. After any other error the call may have been made all the same, and making it
 * again could do it twice: they share the error.
 */
export class Batch<T, R> {
	readonly #flush: (items: readonly T[]) => Promise<readonly R[]>;
	readonly #limits: readonly BatchLimit<T>[];
	#groups: Group<T, R>[] = [];
	#isFlushing = false;

	constructor(flush: (items: readonly T[]) => Promise<readonly R[]>, limits: readonly BatchLimit<T>[] = []) {
		this.#flush = flush;
		this.#limits = limits.filter(({ most = Infinity }) => most < Infinity);
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
			try {
				await this.#serve(groups);
			} catch (error) {
				if (groups.length > 1 && mayBeOf(error)) await this.#serveEach(groups);
				else for (const group of groups) group.reject(error);
			}
		}
		this.#isFlushing = false;
	}

	/** As many as go into one call; at least one. */
	#take(): Group<T, R>[] {
		const sums = this.#limits.map(() => 0);
		let count = 0;
		for (const { items } of this.#groups) {
			this.#limits.forEach(({ of }, index) => sums[index]! += of(items));
			if (count > 0 && this.#limits.some(({ most }, index) => sums[index]! > most!)) break;
			count++;
		}
		return this.#groups.splice(0, count);
	}

	async #serve(groups: readonly Group<T, R>[]): Promise<void> {
		const results = await this.#flush(groups.flatMap(({ items }) => items));
		let from = 0;
		for (const { items, resolve } of groups) resolve(results.slice(from, from += items.length));
	}

	async #serveEach(groups: readonly Group<T, R>[]): Promise<void> {
		let busy = 0;
		for (const group of groups) {
			try {
				await this.#serve([group]);
				busy = 0;
			} catch (error) {
				group.reject(error);
				busy = codeOf(error) === "busy" ? busy + 1 : 0;
				if (busy < mostBusy) continue;
				for (const rest of groups) rest.reject(error); // which changes nothing for those that were served
				return;
			}
		}
	}
}

/** Whether it says that nothing was done, and one of several callers may be the reason. */
function mayBeOf(error: unknown): boolean {
	const codes: unknown[] = ["full", "busy", "refused", "not-open"];
	return error instanceof RangeError || error instanceof TypeError || codes.includes(codeOf(error));
}

function codeOf(error: unknown): unknown {
	return (error as { code?: unknown } | undefined)?.code;
}
