/**
 * The error of all calls that require an unused name.
 *
 * @module
 */

/**
 * A task or a service already has this name. `Group.spawn` and `Pool.spawn` throw it; `Services.create` rejects with
 * it.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Group, NameInUseError } from "upkeep";
 *
 * const group = new Group();
 * group.spawn("sync", () => {});
 * assert.throws(
 * 	() => group.spawn("sync", () => {}),
 * 	(error) => error instanceof NameInUseError && error.subject === "task" && error.id === "sync",
 * );
 * ```
 */
export class NameInUseError extends Error {
	/** The name of this error. */
	override readonly name = "NameInUseError";
	/** The kind of object that has the name: a task of a `Group` or a `Pool`, or a service. */
	declare readonly subject: "task" | "service";
	/** The name of the task, or the id of the service. */
	declare readonly id: string;

	/**
	 * Created by the calls that require an unused name.
	 *
	 * @param subject the kind of object that has the name
	 * @param id the name that is in use
	 * @param advice what the caller can do, as text
	 */
	constructor(subject: "task" | "service", id: string, advice: string) {
		super(`There is already a ${subject} ${JSON.stringify(id)}: ${advice}`);
		this.subject = subject;
		this.id = id;
	}
}
