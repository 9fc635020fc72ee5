/**
 * What a store works with: a connection or a client. Its owner gives it open and closes it, or gives a function that opens it.
 *
 * @module
 */

import { StoreError } from "./store-error.ts";

/** How a {@link Resource} is opened that was not given open. */
export interface ResourceOpener<T> {
	/** The caller's function. */
	open(): T | PromiseLike<T>;
	/** Takes what the function has opened; throws if it is not what it should be. */
	use(value: T): void;
	/** Makes the error of a store of what the function has thrown. */
	explain(error: unknown): unknown;
	/** Closes what the function has opened. */
	end(value: T): unknown;
}

/**
 * States of what a function opens: `unopened` → (open) → `opening` → `open`, or `unopened` again if the function fails; `close`
 * leads from each of them to `closed`, for good. What is given open stays `open`.
 */
export class Resource<T> {
	readonly #opener: ResourceOpener<T> | undefined;
	#value: T | undefined;
	#opening: Promise<T> | undefined;
	#closing: Promise<void> | undefined;

	/** @param value absent if there is an opener */
	constructor(value: T | undefined, opener?: ResourceOpener<T>) {
		this.#value = value;
		this.#opener = opener;
	}

	/** Throws a `StoreError` if it is not open. */
	get value(): T {
		if (this.#closing !== undefined) throw closed();
		if (this.#value === undefined) {
			throw new StoreError("not-open", "Call open() of the store first: it opens the database");
		}
		return this.#value;
	}

	/** Calls the function, unless that was done. All who wait share one call. */
	open(): Promise<T> {
		if (this.#closing !== undefined) return Promise.reject(closed());
		const opener = this.#opener;
		if (opener === undefined) return Promise.resolve(this.#value!);
		// The function is called after the assignment, so that it may fail, or call back, at once.
		return this.#opening ??= Promise.resolve().then(() => opener.open()).then(this.#keep, this.#fail);
	}

	/** Closes what the function has opened, once. What was given open stays its owner's. */
	close(): Promise<void> {
		if (this.#opener === undefined) return Promise.resolve();
		return this.#closing ??= Promise.resolve(this.#opening).then(() => this.#end(), () => {});
	}

	async #end(): Promise<void> {
		if (this.#value !== undefined) await this.#opener!.end(this.#value);
	}

	readonly #keep = (value: T): T => {
		try {
			this.#opener!.use(value);
		} catch (error) {
			this.#opening = undefined;
			throw error;
		}
		return this.#value = value;
	};

	readonly #fail = (error: unknown): never => {
		this.#opening = undefined;
		throw this.#opener!.explain(error);
	};
}

function closed(): StoreError {
	return new StoreError("closed", "The store was closed: make another one");
}
