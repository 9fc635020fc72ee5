/**
 * Threads as the runtimes have them, under one roof: `Worker` in browsers, Deno and Bun, `worker_threads` in Node, seen
 * from outside ({@link openWorker}) and from inside ({@link ownPort}).
 *
 * @module
 */

import { scope } from "./scope.ts";

/** The part that a `Worker` of the web and one of Node's `worker_threads` have in common. */
export interface PlatformWorker {
	/** Sends a message into the thread. */
	// deno-lint-ignore no-explicit-any -- what can be transferred has another type in each runtime
	postMessage(message: any, transfer: any[]): void;
	/** Ends the thread. */
	terminate(): unknown;
}

/** Told of what comes from a thread. */
export interface WorkerObserver {
	/** A message has come. */
	onMessage(message: unknown): void;
	/** The thread is gone or cannot be used any more. May be called again. */
	onLoss(what: string, cause?: unknown): void;
}

/** A thread, seen from inside. */
export interface ThreadPort {
	/** Sends a message out. */
	post(message: unknown, transfer?: readonly Transferable[]): void;
	/** Begins to receive. `onLoss` hears what must not happen: errors that nobody caught, messages that cannot be read. */
	listen(onMessage: (message: unknown) => void, onLoss: (cause: unknown) => void): void;
	/** Resolves with the name of a lock that is held as long as the thread lives, where there is such a thing. */
	hold(): Promise<string | undefined>;
}

/** What only servers have, as far as it is used here. */
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
 * @throws {DOMException} named `NotSupportedError` where there are none
 */
export function openWorker(source: URL | (() => PlatformWorker)): PlatformWorker {
	if (typeof source === "function") return source();
	if (typeof Worker === "function") return new Worker(source, { type: "module" });
	const { Worker: NodeWorker } = nodeThreads() ?? {};
	if (NodeWorker === undefined) throw new DOMException("This runtime has no threads", "NotSupportedError");
	return new NodeWorker(source);
}

/** Hears everything from a thread that was just started. */
export function observeWorker(worker: PlatformWorker, observer: WorkerObserver): void {
	const { onMessage, onLoss } = observer;
	const unreadable = "posted a message that cannot be read";
	if ("addEventListener" in worker) {
		const target = worker as unknown as EventTarget;
		target.addEventListener("message", (event) => onMessage((event as MessageEvent).data));
		target.addEventListener("messageerror", () => onLoss(unreadable));
		target.addEventListener("error", (event) => {
			event.preventDefault(); // or Deno ends the process
			onLoss("failed", errorOf(event as ErrorEvent));
		});
		target.addEventListener("close", (event) => onLoss(`exited with code ${(event as CloseEvent).code}`)); // only in Bun
	} else {
		const emitter = worker as NodeWorker;
		emitter.on("message", onMessage);
		emitter.on("messageerror", () => onLoss(unreadable));
		emitter.on("error", (error: unknown) => onLoss("failed", error));
		emitter.on("exit", (code: number) => onLoss(`exited with code ${code}`));
	}
}

/** Tells when the thread that holds this lock is gone: most runtimes have no event for one that closes itself. */
export function watchLock(name: string, onRelease: () => void): void {
	scope.navigator!.locks!.request(name, onRelease).catch(() => {}); // of a page that is being closed
}

/** Whether the thread keeps a server process alive. Deno and browsers have no say in that. */
export function setRef(worker: PlatformWorker, isNeeded: boolean): void {
	const { ref, unref } = worker as NodeWorker;
	(isNeeded ? ref : unref)?.call(worker);
}

/** The way out of this thread; `undefined` if this is none. */
export function ownPort(): ThreadPort | undefined {
	const { WorkerGlobalScope, postMessage } = runtime;
	if (typeof WorkerGlobalScope === "function") return typeof postMessage === "function" ? webPort() : undefined;
	const threads = nodeThreads();
	if (threads === undefined || threads.isMainThread) return undefined;
	// Bun's has both ways out, and only one that leads to a `Worker` of the web.
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

/** Not where the context is insecure or the origin opaque. A page may not go to the back/forward cache with a lock. */
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
	// No import: bundlers for browsers would trip over it.
	return runtime.process?.getBuiltinModule?.("node:worker_threads");
}

/** Most runtimes tell what was thrown only inside of the thread, and nothing but a text outside. */
function errorOf({ error, message }: ErrorEvent): unknown {
	return error ?? new Error(message || "The module could not be loaded");
}
