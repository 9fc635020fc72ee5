// Helpers for several test files.
import { soon } from "../src/platform/soon.ts";

type Variables = Record<string, string | undefined> | undefined;

const variables: readonly Variables[] = [
	(globalThis as { process?: { env?: Variables } }).process?.env,
	(import.meta as { env?: Variables }).env, // in pages, which have no process
];

/** Whether `npm test -- --long` runs, with more seeds and more kills. */
export const isLong: boolean = variables.some((env) => env?.["UPKEEP_LONG"] === "1");

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
	/** The total number of added listeners. */
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

/** Observes a promise and returns its current state. */
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

/** Lets all promises settle that can settle: the next macrotask, which in a page comes sooner than a timer of 4 ms. */
export function settle(): Promise<void> {
	return new Promise(soon);
}

/** Rejects with the reason of the signal when it aborts, like a well-behaved task. */
export function untilAborted(signal: AbortSignal): Promise<never> {
	return new Promise((_, reject) => {
		if (signal.aborted) reject(signal.reason);
		signal.addEventListener("abort", () => reject(signal.reason), { once: true });
	});
}

/** Returns the error of a promise that must reject. */
export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
	try {
		await promise;
	} catch (error) {
		return error;
	}
	throw new Error("It did not reject");
}

/** Whether this engine is a page or workerd, where macrotasks are slow. */
export const isPage: boolean = "document" in globalThis || globalThis.navigator?.userAgent === "Cloudflare-Workers";

/** Whether this engine is Node itself, which does at full length what needs nothing of an engine. */
export const isNode: boolean = !isPage && !("Deno" in globalThis) && !("Bun" in globalThis);
