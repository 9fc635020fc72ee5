/**
 * One interface to the threads of all runtimes: `Worker` in browsers, Deno and Bun, `worker_threads` in Node.
 * {@link openWorker} is the outside of a thread, {@link ownPort} the inside.
 *
 * @module
 */

import { scope } from "./scope.ts";

/** The common part of a web `Worker` and a `Worker` of Node's `worker_threads`. */
export interface PlatformWorker {
	/** Sends a message to the thread. */
	// deno-lint-ignore no-explicit-any -- each runtime has another type of transferable objects
	postMessage(message: any, transfer: any[]): void;
	/** Ends the thread. */
	terminate(): unknown;
}

/** An observer of a thread. */
export interface WorkerObserver {
	/** A message has arrived. */
	onMessage(message: unknown): void;
	/** The thread has ended or can no longer be used. May be called more than once. */
	onLoss(what: string, cause?: unknown): void;
}

/** The inside of a thread. */
export interface ThreadPort {
	/** Sends a message to the outside. */
	post(message: unknown, transfer?: readonly Transferable[]): void;
	/** Begins to receive messages. `onLoss` is called for uncaught errors and unreadable messages. */
	listen(onMessage: (message: unknown) => void, onLoss: (cause: unknown) => void): void;
	/** Resolves with the name of a lock that is held while the thread lives, if the runtime has locks. */
	hold(): Promise<string | undefined>;
}

/** The part of Node's `Worker` that is used here. */
interface NodeWorker extends PlatformWorker {
	on(event: string, listener: (value: never) => void): void;
	ref?(): void;
	unref?(): void;
}

interface NodeThreads {
	readonly Worker: new (url: URL) => NodeWorker;
	readonly isMainThread: boolean;
	readonly parentPort: (NodeWorker & { postMessage(message: unknown, transfer: readonly Transferable[]): void }) | null;
}

interface Runtime {
	readonly process?: { getBuiltinModule?(name: string): NodeThreads | undefined };
	readonly WorkerGlobalScope?: unknown;
	readonly postMessage?: (message: unknown, options: { transfer: readonly Transferable[] }) => void;
}

const runtime = globalThis as unknown as Runtime;

/**
 * Starts a thread.
 *
 * @throws {DOMException} named `NotSupportedError` in a runtime without threads
 */
export function openWorker(source: URL | (() => PlatformWorker)): PlatformWorker {
	if (typeof source === "function") return source();
	if (typeof Worker === "function") return new Worker(source, { type: "module" });
	const { Worker: NodeWorker } = nodeThreads() ?? {};
	if (NodeWorker === undefined) throw new DOMException("This runtime has no threads", "NotSupportedError");
	return new NodeWorker(source);
}

/** Observes a thread that was just started. */
export function observeWorker(worker: PlatformWorker, observer: WorkerObserver): void {
	const { onMessage, onLoss } = observer;
	const unreadable = "posted a message that cannot be read";
	if ("addEventListener" in worker) {
		const target = worker as unknown as EventTarget;
		target.addEventListener("message", (event) => onMessage((event as MessageEvent).data));
		target.addEventListener("messageerror", () => onLoss(unreadable));
		target.addEventListener("error", (event) => {
			event.preventDefault(); // otherwise Deno ends the process
			onLoss("failed", errorOf(event as ErrorEvent));
		});
		target.addEventListener("close", (event) => onLoss(`exited with code ${(event as CloseEvent).code}`)); // Bun only
	} else {
		const emitter = worker as NodeWorker;
		emitter.on("message", onMessage);
		emitter.on("messageerror", () => onLoss(unreadable));
		emitter.on("error", (error: unknown) => onLoss("failed", error));
		emitter.on("exit", (code: number) => onLoss(`exited with code ${code}`));
	}
}

/** Calls back when the thread that holds this lock has ended: most runtimes have no event for a thread that closes itself. */
export function watchLock(name: string, onRelease: () => void): void {
	scope.navigator!.locks!.request(name, onRelease).catch(() => {}); // rejects when the page is being closed
}

/** Sets whether the thread keeps a server process alive. Has no effect in Deno and browsers. */
export function setRef(worker: PlatformWorker, isNeeded: boolean): void {
	const { ref, unref } = worker as NodeWorker;
	(isNeeded ? ref : unref)?.call(worker);
}

/** The port of this thread; `undefined` if this is not a thread. */
export function ownPort(): ThreadPort | undefined {
	const { WorkerGlobalScope, postMessage } = runtime;
	if (typeof WorkerGlobalScope === "function") return typeof postMessage === "function" ? webPort() : undefined;
	const threads = nodeThreads();
	if (threads === undefined || threads.isMainThread) return undefined;
	// Bun has both ports, but only one of them leads to a web `Worker`.
	return typeof postMessage === "function" ? webPort() : nodePort(threads.parentPort!);
}

function webPort(): ThreadPort {
	return {
		post: (message, transfer = []) => runtime.postMessage!(message, { transfer }),
		listen(onMessage, onLoss) {
			addEventListener("message", (event) => onMessage((event as MessageEvent).data));
			addEventListener("messageerror", () => onLoss(new Error("A message cannot be read")));
			addEventListener("error", (event) => {
				event.preventDefault();
				onLoss(errorOf(event));
			});
			addEventListener("unhandledrejection", (event) => {
				event.preventDefault();
				onLoss(event.reason);
			});
		},
		hold: holdLock,
	};
}

function nodePort(port: NonNullable<NodeThreads["parentPort"]>): ThreadPort {
	return {
		post: (message, transfer = []) => port.postMessage(message, transfer),
		listen(onMessage, onLoss) {
			port.on("message", onMessage);
			port.on("messageerror", onLoss);
		},
		hold: () => Promise.resolve(undefined),
	};
}

/**
 * There are no locks in an insecure context or an opaque origin. A page that holds a lock cannot enter the
 * back/forward cache.
 */
function holdLock(): Promise<string | undefined> {
	return new Promise((resolve) => {
		const locks = scope.navigator?.locks;
		if (locks === undefined) return resolve(undefined);
		const name = `upkeep-${crypto.randomUUID()}`;
		locks.request(name, () => {
			resolve(name);
			return new Promise(() => {});
		}).catch(() => resolve(undefined));
	});
}

function nodeThreads(): NodeThreads | undefined {
	// Not an import, because bundlers for browsers would fail on it.
	return runtime.process?.getBuiltinModule?.("node:worker_threads");
}

/** Most runtimes give the thrown error only inside the thread, and only its message outside. */
function errorOf({ error, message }: ErrorEvent): unknown {
	return error ?? new Error(message || "The module could not be loaded");
}
