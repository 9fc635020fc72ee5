/**
 * The connection or client of a store. The caller passes it open and closes it, or passes a function that opens it.
 *
 * @module
 */

import { StoreError } from "./store-error.ts";

/** Opens and closes a {@link Resource} that was not passed open. */
export interface ResourceOpener<T> {
	/** The caller's function. */
	open(): T | PromiseLike<T>;
	/** Accepts the opened value. Throws if the value is not usable. */
	use(value: T): void;
	/** Converts an error of the function to an error of the store. */
	explain(error: unknown): unknown;
	/** Closes the value that the function has opened. */
	end(value: T): unknown;
}

/**
 * States with an opener: `unopened` → (open) → `opening` → `open`, or `unopened` again if the function fails. `close`
 * leads from each state to `closed`, which is final. A value that was passed open stays `open`.
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

	/** The open value. Throws a `StoreError` if it is not open. */
	get value(): T {
		if (this.#closing !== undefined) throw closed();
		if (this.#value === undefined) {
			throw new StoreError("not-open", "Call open() of the store first: it opens the database");
		}
		return this.#value;
	}

	/** Calls the function once. Concurrent callers share the call. */
	open(): Promise<T> {
		if (this.#closing !== undefined) return Promise.reject(closed());
		const opener = this.#opener;
		if (opener === undefined) return Promise.resolve(this.#value!);
		// The function is called after the assignment, because it may fail, or call back, synchronously.
		return this.#opening ??= Promise.resolve().then(() => opener.open()).then(this.#keep, this.#fail);
	}

	/** Closes the value that the function has opened, once. A value that was passed open is not closed. */
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
