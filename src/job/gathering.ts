/**
 * How the children of a job have ended, and what they have given together.
 *
 * @module
 */

import { type Codec, decodeFailure, encodeFailure, type TaskFailure } from "../basket/engine.ts";
import type { StoredTask } from "../basket/store.ts";
import { decodeHead } from "./decode.ts";
import type { StoredAttempt } from "./state.ts";
import { widen } from "./value.ts";
import { type StandardSchema, validate } from "../platform/standard-schema.ts";

/** The bad end of a child. */
export interface BadEnd {
	readonly error: TaskFailure;
	/** Its last failed attempt, if it had one. */
	readonly attempt?: StoredAttempt | undefined;
}

/** How a child has ended. */
export type ChildEnd = { readonly value: unknown } | BadEnd;

/** The end of a child that was deleted. */
const deleted: BadEnd = { error: { name: "AbortError", message: "The child was deleted" } };

/**
 * How a child has ended. Never rejects.
 *
 * @param schema that of its value
 */
export async function endOf(
	codec: Codec,
	schema: StandardSchema<unknown, unknown> | undefined,
	child: StoredTask,
): Promise<ChildEnd> {
	if (child.state !== "done") return { error: decodeFailure(child.error) ?? deleted.error };
	try {
		const { status, error, revertError, history } = await decodeHead(codec, child.payload);
		if (status !== "completed") {
			const attempt = history.findLast(([, , , , isRevert, , text]) => isRevert !== 1 && text !== undefined);
			return { error: error ?? revertError ?? deleted.error, attempt };
		}
		if (child.result === undefined) throw new RangeError("The value of the child is too large for this store");
		const { value: stored, gaps } = await codec.decode(child.result) as { value?: unknown; gaps?: readonly number[] };
		const value = gaps === undefined ? stored : widen(stored, gaps);
		return { value: schema === undefined ? value : await validate(schema, value) };
	} catch (error) {
		return { error: decodeFailure(encodeFailure(error))! };
	}
}

/** Makes the result of a step from the ends of its children, in the order of the items. */
export class Gathering {
	/** The result: a list, unless `into` makes another one. */
	value: unknown;
	/** The bad ends, by the place of the item. */
	readonly errors: Map<number, BadEnd> = new Map();
	/** The places of those that have not ended. With some, the result is not complete. */
	readonly alive: Set<number> = new Set();
	/** What `into` has thrown. */
	thrown: { readonly error: unknown } | undefined;
	readonly #into: ((sum: unknown, result: unknown, index: number) => unknown) | undefined;
	/** Those whose turn has not come: a child that has begun anew is listed behind all others. */
	readonly #waiting = new Map<number, ChildEnd>();
	#next = 0;

	constructor(into: ((sum: unknown, result: unknown, index: number) => unknown) | undefined) {
		this.#into = into;
		this.value = into === undefined ? [] : undefined;
	}

	/** Adds the end of a child. */
	async add(index: number, end: ChildEnd): Promise<void> {
		if ("error" in end) this.errors.set(index, end);
		this.#waiting.set(index, end);
		for (let next; (next = this.#waiting.get(this.#next)) !== undefined;) await this.#take(next);
	}

	/** All children were added that are there; the others were deleted. */
	async finish(count: number): Promise<void> {
		for (let index = this.#next; index < count; index++) {
			if (!this.#waiting.has(index) && !this.alive.has(index)) await this.add(index, deleted);
		}
	}

	async #take(end: ChildEnd): Promise<void> {
		const index = this.#next++;
		this.#waiting.delete(index);
		if (this.#into === undefined) (this.value as unknown[])[index] = "error" in end ? undefined : end.value;
		if (this.#into === undefined || "error" in end || this.thrown !== undefined) return;
		try {
			this.value = await this.#into(this.value, end.value, index);
		} catch (error) {
			this.thrown = { error };
		}
	}
}
