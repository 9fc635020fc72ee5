/**
 * The part of `upkeep/threads` that runs inside a thread.
 *
 * @module
 */

import { pack, type Packed, unpack } from "./error-border.ts";
import type { Answer, Request } from "./protocol.ts";
import { check } from "../platform/check.ts";
import { ownPort, type ThreadPort } from "../platform/worker.ts";

/**
 * The `this` of a function that runs in a thread. It is `this` and not a parameter, so that functions without it need
 * no change, and optional parameters stay optional. It can be destructured: `const { signal, report } = this`.
 */
export interface ThreadContext {
	/**
	 * Aborts when the caller's signal aborts, with a copy of its reason. A function that keeps the thread busy cannot
	 * see the abort.
	 */
	readonly signal: AbortSignal;
	/**
	 * Reports progress to the caller, in any unit, with an optional description. Reports arrive in order and before
	 * the result.
	 */
	readonly report: (progress: number, description?: string) => void;
	/**
	 * Returns `value`. When it is the result, these parts of it are moved out of the thread instead of being copied.
	 */
	readonly transfer: <T>(value: T, parts: readonly Transferable[]) => T;
}

/** A function that a thread can serve. */
export type ThreadFunction = (this: ThreadContext, ...args: never[]) => unknown;

/** Contains the global scope of a thread that serves: a second `serve` would answer everything twice. */
const serving: WeakSet<typeof globalThis> = /* @__PURE__ */ new WeakSet();

/**
 * Makes functions callable from outside this thread. It is the last statement of a thread's module.
 *
 * Outside a thread it does nothing, so that the module can be imported and tested like any other.
 *
 * Arguments, results and reports are copied by structured clone. Errors of a function keep their name, message,
 * stack, cause and fields. Uncaught errors, unhandled rejections and messages that the module itself posts end the
 * thread.
 *
 * @param functions the functions by name; other values are ignored
 * @returns whether this is a thread, for a program that is also its thread module
 * @throws {TypeError} if `functions` is not an object
 * @throws {DOMException} named `InvalidStateError` if the thread already serves
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { serve, type ThreadContext, threadWorker } from "upkeep/threads";
 *
 * function count(this: ThreadContext, to: number) {
 * 	for (let i = 1; i <= to; i++) this.report(i / to);
 * 	return to;
 * }
 *
 * if (!serve({ count })) {
 * 	const { createWorker, destroyWorker } = threadWorker<{ count: typeof count }>(import.meta.url);
 * 	const thread = await createWorker();
 * 	const seen: number[] = [];
 * 	assert.equal(await thread.call("count", [4], { onProgress: (progress) => seen.push(progress) }), 4);
 * 	assert.deepEqual(seen, [0.25, 0.5, 0.75, 1]);
 * 	await destroyWorker(thread);
 * }
 * ```
 */
export function serve(functions: Readonly<Record<string, unknown>>): boolean {
	check("functions", functions, "object");
	const port = ownPort();
	if (port === undefined) return false;
	if (serving.has(globalThis)) {
		throw new DOMException("The thread serves already: call serve() once, with all functions", "InvalidStateError");
	}
	serving.add(globalThis);
	const server = new Server(functions, port);
	port.listen((message) => server.accept(message), (cause) => server.post(["lost", pack(cause)]));
	port.hold().then((lock) => server.post(["ready", server.names, lock]));
	return true;
}

class Server {
	readonly #functions: Readonly<Record<string, unknown>>;
	readonly #port: ThreadPort;
	readonly #calls = new Map<number, ServedCall>();
	readonly names: readonly string[];

	constructor(functions: Readonly<Record<string, unknown>>, port: ThreadPort) {
		this.#functions = functions;
		this.#port = port;
		this.names = Object.keys(functions).filter((name) => typeof functions[name] === "function");
	}

	/** Ignores messages that are not for this server. */
	accept(message: unknown): void {
		if (!Array.isArray(message)) return;
		const [kind, id, what, args] = message as unknown as Request;
		if (kind === "call") this.#answer(id, what, args!);
		else if (kind === "abort") this.#calls.get(id)?.abort(what);
	}

	post(answer: Answer, transfer?: readonly Transferable[]): void {
		this.#port.post(answer, transfer);
	}

	async #answer(id: number, name: string, args: readonly unknown[]): Promise<void> {
		const call = new ServedCall(id, this);
		this.#calls.set(id, call);
		try {
			const value = await Reflect.apply(this.#functions[name] as ThreadFunction, call, args);
			call.isOver = true;
			this.post(["value", id, value], call.parts);
		} catch (error) {
			call.isOver = true;
			this.post(["error", id, pack(error)]);
		} finally {
			this.#calls.delete(id);
		}
	}
}

class ServedCall implements ThreadContext {
	readonly #id: number;
	readonly #server: Server;
	readonly parts: Transferable[] = [];
	#controller: AbortController | undefined;
	#reason: Packed | undefined;
	isOver = false;

	constructor(id: number, server: Server) {
		this.#id = id;
		this.#server = server;
	}

	get signal(): AbortSignal {
		if (this.#controller === undefined) {
			this.#controller = new AbortController();
			if (this.#reason !== undefined) this.#controller.abort(unpack(this.#reason));
		}
		return this.#controller.signal;
	}

	readonly report = (progress: number, description?: string): void => {
		check("progress", progress, "number");
		if (description !== undefined) check("description", description, "string");
		if (!this.isOver) this.#server.post(["progress", this.#id, progress, description]);
	};

	readonly transfer = <T>(value: T, parts: readonly Transferable[]): T => {
		for (const part of parts) this.parts.push(part);
		return value;
	};

	abort(reason: Packed): void {
		this.#reason = reason;
		this.#controller?.abort(unpack(reason));
	}
}
