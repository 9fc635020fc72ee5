/**
 * What a registry of services refuses, or fails with.
 *
 * @module
 */

/**
 * There is no service of this id: not yet, or not any more.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { ServiceNotFoundError, Services } from "upkeep";
 *
 * await assert.rejects(new Services({ kinds: {} }).start("backup"), ServiceNotFoundError);
 * ```
 */
export class ServiceNotFoundError extends Error {
	/** What this error is called. */
	override readonly name = "ServiceNotFoundError";
	/** The id. */
	readonly id: string;

	/**
	 * Made by the methods of `Services` that take an id.
	 *
	 * @param id the id that was looked for
	 */
	constructor(id: string) {
		super(`There is no service ${JSON.stringify(id)}`);
		this.id = id;
	}
}

/**
 * A service of a kind was asked for that does not exist.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Lifecycle, Services, UnknownKindError } from "upkeep";
 *
 * const services: Services = new Services({ kinds: { backup: () => new Lifecycle(() => {}) } });
 * await assert.rejects(services.create({ kind: "restore" }), UnknownKindError);
 * ```
 */
export class UnknownKindError extends RangeError {
	/** What this error is called. */
	override readonly name = "UnknownKindError";
	/** The kind. */
	readonly kind: string;

	/**
	 * Made by `Services.create`.
	 *
	 * @param kind what was asked for
	 * @param kinds what there is
	 */
	constructor(kind: string, kinds: readonly string[]) {
		super(`"kind" must be ${kinds.join(" or ") || "one that exists, and there is none"}: current value is ${kind}`);
		this.kind = kind;
	}
}

/**
 * The configuration of a service does not read. Its `cause` is what `readConfig` threw: a `SyntaxError`, a
 * `ValidationError` or the like.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { InvalidConfigError, Lifecycle, Services } from "upkeep";
 *
 * const services = new Services({ kinds: { backup: () => new Lifecycle(() => {}) } });
 * await assert.rejects(
 * 	services.create({ kind: "backup", config: "no JSON" }),
 * 	(error) => error instanceof InvalidConfigError && error.cause instanceof SyntaxError,
 * );
 * ```
 */
export class InvalidConfigError extends Error {
	/** What this error is called. */
	override readonly name = "InvalidConfigError";
	/** The id of the service. */
	readonly id: string;

	/**
	 * Made by `Services.create`, `configure` and `start`.
	 *
	 * @param id the service
	 * @param cause what its `configure` rejected with
	 */
	constructor(id: string, cause: unknown) {
		super(`The configuration of the service ${JSON.stringify(id)} does not read`, { cause });
		this.id = id;
	}
}

/**
 * A service could not be made or started, or its first configuration could not be applied. Its `cause` is why.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Lifecycle, ServiceFailedError, Services } from "upkeep";
 *
 * const full = new Error("The disk is full");
 * const backup = () => new Lifecycle(() => Promise.reject(full));
 * const services = new Services({ kinds: { backup } });
 * await assert.rejects(
 * 	services.create({ kind: "backup", config: {} }),
 * 	(error) => error instanceof ServiceFailedError && error.cause === full,
 * );
 * assert.deepEqual(services.list(), []);
 * ```
 */
export class ServiceFailedError extends Error {
	/** What this error is called. */
	override readonly name = "ServiceFailedError";
	/** The id of the service. */
	readonly id: string;

	/**
	 * Made by `Services.create` and `start`.
	 *
	 * @param id the service
	 * @param cause what it failed with
	 */
	constructor(id: string, cause: unknown) {
		super(`The service ${JSON.stringify(id)} has failed`, { cause });
		this.id = id;
	}
}
