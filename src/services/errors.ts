/**
 * The errors of a registry of services.
 *
 * @module
 */

import { messageOf } from "../platform/thrown.ts";

/**
 * No service has this id now.
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
	/** The name of this error. */
	override readonly name = "ServiceNotFoundError";
	/** The id. */
	readonly id: string;

	/**
	 * Created by the methods of `Services` that take an id.
	 *
	 * @param id the requested id
	 */
	constructor(id: string) {
		super(`There is no service ${JSON.stringify(id)}: it was not created, or it was deleted`);
		this.id = id;
	}
}

/**
 * The requested kind of service does not exist.
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
	/** The name of this error. */
	override readonly name = "UnknownKindError";
	/** The kind. */
	readonly kind: string;
	/** The kinds that exist. */
	readonly kinds: readonly string[];

	/**
	 * Created by `Services.create`.
	 *
	 * @param kind the requested kind
	 * @param kinds the existing kinds
	 */
	constructor(kind: string, kinds: readonly string[]) {
		super(`"kind" must be ${kinds.join(" or ") || "one that exists, and there is none"}: current value is ${kind}`);
		this.kind = kind;
		this.kinds = kinds;
	}
}

/**
 * The configuration of a service cannot be read. The `cause` is the error of `readConfig`, for example a
 * `SyntaxError` or a `ValidationError`.
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
	/** The name of this error. */
	override readonly name = "InvalidConfigError";
	/** The id of the service. */
	readonly id: string;

	/**
	 * Created by `Services.create`, `configure` and `start`.
	 *
	 * @param id the id of the service
	 * @param cause the error of its `configure`
	 */
	constructor(id: string, cause: unknown) {
		super(`The configuration of the service ${JSON.stringify(id)} cannot be read: ${messageOf(cause)}`, { cause });
		this.id = id;
	}
}

/**
 * A service could not be created or started, or its first configuration could not be applied. The `cause` is the
 * reason.
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
	/** The name of this error. */
	override readonly name = "ServiceFailedError";
	/** The id of the service. */
	readonly id: string;

	/**
	 * Created by `Services.create` and `start`.
	 *
	 * @param id the id of the service
	 * @param cause the error of the service
	 */
	constructor(id: string, cause: unknown) {
		super(`The service ${JSON.stringify(id)} has failed: ${messageOf(cause)}`, { cause });
		this.id = id;
	}
}
