/**
 * Functions that start, configure and stop a `Lifecycle` or any other object with such methods.
 *
 * @module
 */

/** An object that can be started. */
export interface Startable<R = unknown> {
	/** Starts the object. */
	start(): R;
}

/** An object that can be stopped. */
export interface Stoppable<R = unknown> {
	/** Stops the object. */
	stop(): R;
}

/** An object that can be configured. */
export interface Configurable<D = never, R = unknown> {
	/** Configures the object. */
	configure(data: D): R;
}

/**
 * The value passed to {@link start}, {@link stop} or {@link configure} has no such method.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { MissingMethodError, stop } from "upkeep";
 *
 * await assert.rejects(
 * 	stop({ start() {} } as never),
 * 	(error) => error instanceof MissingMethodError && error.method === "stop",
 * );
 * ```
 */
export class MissingMethodError extends TypeError {
	/** The name of this error. */
	override readonly name = "MissingMethodError";
	/** The missing method. */
	declare readonly method: "start" | "stop" | "configure";

	/**
	 * Created by {@link start}, {@link stop} and {@link configure}.
	 *
	 * @param method the missing method
	 * @param given the value without this method
	 */
	constructor(method: "start" | "stop" | "configure", given: unknown) {
		super(`Cannot ${method} a value of type ${typeof given} that has no method "${method}"`);
		this.method = method;
	}
}

/**
 * Whether a value has a method `start`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { startable } from "upkeep";
 *
 * assert.equal(startable({ start() {} }), true);
 * assert.equal(startable(null), false);
 * ```
 */
export function startable(x: unknown): x is Startable {
	return has(x, "start");
}

/**
 * Whether a value has a method `stop`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Group, stoppable } from "upkeep";
 *
 * assert.equal(stoppable(new Group()), true);
 * ```
 */
export function stoppable(x: unknown): x is Stoppable {
	return has(x, "stop");
}

/**
 * Whether a value has a method `configure`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { configurable } from "upkeep";
 *
 * assert.equal(configurable({ configure: "a word" }), false);
 * ```
 */
export function configurable(x: unknown): x is Configurable<unknown> {
	return has(x, "configure");
}

/**
 * Starts the object.
 *
 * @returns the result of its `start`
 * @throws {MissingMethodError} (as a rejection) if it has no method `start`
 * @throws {unknown} (as a rejection) the error that its `start` threw
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { MissingMethodError, start } from "upkeep";
 *
 * assert.equal(await start({ start: () => "started" }), "started");
 * await assert.rejects(start("a string" as never), MissingMethodError);
 * ```
 */
export function start<R>(x: Startable<R>): Promise<Awaited<R>> {
	return call(x, "start");
}

/**
 * Stops the object.
 *
 * @returns the result of its `stop`
 * @throws {MissingMethodError} (as a rejection) if it has no method `stop`
 * @throws {unknown} (as a rejection) the error that its `stop` threw
 *
 * @example
 * ```ts
 * import { Group, stop } from "upkeep";
 *
 * await stop(new Group());
 * ```
 */
export function stop<R>(x: Stoppable<R>): Promise<Awaited<R>> {
	return call(x, "stop");
}

/**
 * Configures the object.
 *
 * @returns the result of its `configure`
 * @throws {MissingMethodError} (as a rejection) if it has no method `configure`
 * @throws {unknown} (as a rejection) the error that its `configure` threw
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { configure, Lifecycle } from "upkeep";
 *
 * const lifecycle = new Lifecycle((config: { size: number }) => assert.equal(config.size, 3));
 * await lifecycle.start();
 * assert.equal(await configure(lifecycle, `{ "size": 3 }`), "active");
 * await lifecycle.stop();
 * ```
 */
export function configure<D, R>(x: Configurable<D, R>, data: D): Promise<Awaited<R>> {
	return call(x, "configure", data);
}

/** The methods that can be missing. */
type Method = "start" | "stop" | "configure";

function has(x: unknown, method: Method): boolean {
	return typeof Object(x)[method] === "function";
}

async function call<R>(x: unknown, method: Method, ...data: readonly unknown[]): Promise<Awaited<R>> {
	if (!has(x, method)) throw new MissingMethodError(method, x);
	return await (x as Record<Method, (...data: readonly unknown[]) => R>)[method](...data);
}
