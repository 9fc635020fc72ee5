/**
 * Runs of lanes: the tasks of a lane that are claimed together, run one after the other, and end with one commit.
 *
 * A task of a run begins when the one before it has left the lane, although that is not stored yet. Only a task whose id
 * the store has made surely leaves it when it is done: any other may have been replaced meanwhile, and is then the head again.
 *
 * @module
 */

import type { ClaimedTask } from "./claimed-task.ts";
import type { TurnResult } from "./store.ts";

/** The maximum number of tasks in a run. */
const longest = 64;
/** The number of tasks of a turn from which on runs grow no more. */
const enough = 500;

/** Puts each follower behind the task before it, and returns the heads. Followers are right behind their heads. */
export function chain<Tx>(tasks: readonly ClaimedTask<Tx>[]): ClaimedTask<Tx>[] {
	return tasks.filter((task, index) => {
		const before = tasks[index - 1];
		const isHead = task.claim.lane === undefined || task.claim.lane !== before?.claim.lane;
		if (!isHead) before!.next = task;
		return isHead;
	});
}

/** The maximum length of the next runs: they shrink if there are more lanes than a turn has claimed heads, and grow otherwise. */
export function nextLength(length: number, { claims, dueIn }: TurnResult): number {
	const last = claims.at(-1);
	if (last?.lane === undefined || !isMade(last)) return length;
	if (dueIn <= 0) return Math.max(2, length / 2);
	return claims.length < enough ? Math.min(longest, length * 2) : length;
}

/** Whether the store has made the id. */
export function isMade({ id }: { readonly id: string }): boolean {
	return id.startsWith("_");
}
