/**
 * The error of every place where two things may not have one name.
 *
 * @module
 */

/**
 * A task or a service has this name already. Thrown by `Group.spawn` and `Pool.spawn`, and a rejection of
 * `Services.create`.
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
	/** What has the name: a task of a `Group` or a `Pool`, or a service. */
	readonly subject: "task" | "service";
	/** The name of the task, or the id of the service. */
	readonly id: string;

	/**
	 * Made where names are given.
	 *
	 * @param subject what has the name
	 * @param id the name that is in use
	 * @param advice what the caller can do
	 */
	constructor(subject: "task" | "service", id: string, advice: string) {
		super(`There is a ${subject} ${JSON.stringify(id)} already: ${advice}`);
		this.subject = subject;
		this.id = id;
	}
}
