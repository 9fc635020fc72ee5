/**
 * Children: tasks that belong to another one, their parent, and the joins that count them.
 *
 * A parent waits for its children without asking for them: a *join* is a counter beside the parent, and the end of a child
 * changes it in the same commit. When enough children have ended, the join posts a message to the parent, once. How the
 * memory store does this is in `memory-families.ts`; which children jobs have is no matter of stores, see `job/children.ts`.
 *
 * @module
 */

import type { Data } from "./data.ts";

/**
 * A task that a claim adds, as a child of its own task, in the commit of a `Save` or a `Settlement`. It is a task as any
 * other, but for what follows.
 *
 * - If its id is in use, the stored task stays as it is, so that a call whose answer was lost can be repeated. So ids
 *   should begin with that of the parent, and a done child should be kept as long as its parent may ask for it. A task that
 *   was there before, or belongs to another parent, is not counted. A child whose parent is gone does not use its id anymore.
 * - Lists without `parent` leave it out.
 * - When its parent is removed, or begins anew without its log, it is removed, too, whatever its state: at once, or by one
 *   of the next turns. Until then it may run.
 */
export interface Child {
	/** The id, unique in the basket while the task is stored. */
	readonly id: string;
	/** The kind of the task, which selects its function. */
	readonly kind: string;
	/** The payload. */
	readonly payload: Data;
	/** The delay before the task is due, in milliseconds: 0 or more, finite. */
	readonly delay: number;
	/** The priority: a whole number from -100 to 100. */
	readonly priority: number;
	/** The lane, if any. */
	readonly lane?: string | undefined;
	/** The key of its limit, of 0 to 255 characters. */
	readonly limitKey?: string | undefined;
	/** The name of the join of the parent that counts it, if any: one that exists, or that is created in the same call. */
	readonly join?: string | undefined;
	/** See `meta` of `NewTask`. */
	readonly meta?: string | undefined;
}

/**
 * A counter of children, which the store keeps beside its task until that has ended or is removed. A task that begins anew
 * has none.
 *
 * It counts each end of a child, in the commit in which the child is done, is dead or is removed before that, whatever has
 * removed it. A child that begins anew counts again when it ends again. A child belongs to the join of this name that the
 * parent has when the child ends.
 *
 * When `left` ends were counted, or more than `spare` bad ones, `data` is posted to the task as by `post`, in the same
 * commit. After that, the join posts nothing.
 */
export interface Join {
	/** The name, of 1 to 255 characters. If the task has a join of this name, that one stays as it is, unless `isAnew` is set. */
	readonly name: string;
	/**
	 * Whether it takes the place of a join of this name. It counts the ends after this commit; a store that counts in a later
	 * turn may also count earlier ones. So a parent arms it, then lists its children, and sleeps if at least `left` of them
	 * have not ended. @default false
	 */
	readonly isAnew?: boolean | undefined;
	/** The number of ends, from 1; those of children that later calls will add are among them. */
	readonly left: number;
	/**
	 * The number of ends, from 0, that may be bad: dead, removed, or with `isBad` of `Done`. Absent: any number.
	 */
	readonly spare?: number | undefined;
	/** The message: at most 1,000 characters of text or bytes. */
	readonly data: Data;
}

/**
 * What a claim adds to its task, in the same commit as the rest; nothing if the claim is lost. If the task has ended with that
 * commit, nothing is added either.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { memoryStore } from "upkeep";
 * import type { Settlement } from "upkeep/store";
 *
 * const store = memoryStore();
 * await store.open();
 * const turn = async (kind: string, settle: readonly Settlement[] = []) =>
 * 	(await store.turn("basket", { settle, claim: [{ kinds: [kind], limit: 9 }], lease: 30_000 })).claims;
 *
 * await store.add("basket", [{ id: "album", kind: "album", payload: "", delay: 0, priority: 0 }]);
 * const [album] = await turn("album");
 * const child = { kind: "thumb", payload: "", delay: 0, priority: 0, join: "thumbs" };
 * const thumbs = await turn("thumb", [{
 * 	ref: album!,
 * 	outcome: { type: "later", delay: null, seen: 0 }, // until a message comes
 * 	join: { name: "thumbs", left: 2, data: "all have ended" },
 * 	children: [{ ...child, id: "album/0" }, { ...child, id: "album/1" }],
 * }]);
 * assert.deepEqual((await store.list("basket", { parent: "album", limit: 9 })).map(({ id }) => id), ["album/0", "album/1"]);
 *
 * const ends = thumbs.map((ref) => ({ ref, outcome: { type: "done", retain: Infinity } as const }));
 * const [again] = await turn("album", ends);
 * assert.deepEqual(again!.inbox.map(({ data }) => data), ["all have ended"]);
 * ```
 */
export interface Offspring {
	/** A new counter of children. It exists before these children. */
	readonly join?: Join | undefined;
	/** New children: together no more than one `add` takes, see `maxAdd` and `maxAddBytes` of `StoreCapabilities`. */
	readonly children?: readonly Child[] | undefined;
}
