// What several test files need.

/** Whether to run at full length: more seeds, more kills. `npm test -- --long`; in pages and workerd the answer is no. */
export const isLong: boolean = (globalThis as { process?: { env?: Record<string, string | undefined> } }).process
	?.env?.["UPKEEP_LONG"] === "1";

/** A promise and the functions that settle it. */
export interface Deferred<T = void> {
	readonly promise: Promise<T>;
	resolve(value: T): void;
	reject(reason: unknown): void;
}

export function deferred<T = void>(): Deferred<T> {
	let resolve!: (value: T) => void;
	let reject!: (reason: unknown) => void;
	const promise = new Promise<T>((yes, no) => {
		resolve = yes;
		reject = no;
	});
	return { promise, resolve, reject };
}

/** A controller whose signal counts the listeners on it. */
export class SpiedController extends AbortController {
	listeners = 0;
	/** How many listeners were ever added. */
	added = 0;

	constructor() {
		super();
		const { signal } = this;
		const add = signal.addEventListener.bind(signal) as (...args: unknown[]) => void;
		const remove = signal.removeEventListener.bind(signal) as (...args: unknown[]) => void;
		signal.addEventListener = (...args: unknown[]) => {
			this.listeners++;
			this.added++;
			add(...args);
		};
		signal.removeEventListener = (...args: unknown[]) => {
			this.listeners--;
			remove(...args);
		};
	}
}

/** What a promise has come to so far. */
export function watch<T>(
	promise: Promise<T>,
): { state: "pending" | "resolved" | "rejected"; value?: T; error?: unknown } {
	const watched: ReturnType<typeof watch<T>> = { state: "pending" };
	promise.then(
		(value) => Object.assign(watched, { state: "resolved", value }),
		(error) => Object.assign(watched, { state: "rejected", error }),
	);
	return watched;
}

/** Lets all promises settle that can. */
export function settle(): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, 0));
}

/** Rejects with the signal's reason when that aborts, as a well-behaved task does. */
export function untilAborted(signal: AbortSignal): Promise<never> {
	return new Promise((_, reject) => {
		if (signal.aborted) reject(signal.reason);
		signal.addEventListener("abort", () => reject(signal.reason), { once: true });
	});
}

/** The error of a promise that must reject. */
export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
	try {
		await promise;
	} catch (error) {
		return error;
	}
	throw new Error("It did not reject");
}

/** Whether this is a page, or workerd: a macrotask is slow there. */
export const isPage: boolean = "document" in globalThis || globalThis.navigator?.userAgent === "Cloudflare-Workers";
