/**
 * What is around a task: before it in its lane, at its limit, of its kind.
 *
 * @module
 */

import { showHistory } from "../basket/history.ts";
import { baseOf, type Store, type StoredTask } from "../basket/store.ts";

/** An attempt of another task. */
export interface Peer {
	readonly id: string;
	readonly kind: string;
	readonly worker: string | undefined;
	/** When it began, in milliseconds since 1970. */
	readonly at: number;
}

/** The maximum number of tasks that are read for one answer. */
const most = 1_000;

/** The tasks before it in its lane that have not ended, the head first. */
export async function aheadInLane(
	store: Store,
	basket: string,
	{ key, lane, parent }: StoredTask,
): Promise<{ readonly ahead: readonly StoredTask[]; readonly isMore: boolean }> {
	const ahead: StoredTask[] = [];
	if (lane === undefined) return { ahead, isMore: false };
	let after: string | undefined;
	for (let read = 0; read < most;) {
		const tasks = await store.list(basket, { lane, parent, after, limit: 250 });
		for (const task of tasks) {
			if (task.key === key) return { ahead, isMore: false };
			if (task.state !== "done" && task.state !== "dead") ahead.push(task);
		}
		if (tasks.length < 250) break;
		read += tasks.length;
		after = tasks.at(-1)!.key;
	}
	return { ahead, isMore: true };
}

/** The running tasks of the basket: at most so many as are read for one answer. */
export async function runningIn(store: Store, basket: string): Promise<Peer[]> {
	return (await store.list(basket, { state: "running", limit: most })).map(peerOf);
}

/** The running tasks of the basket or of a kind, those that have been running for the longest time first. */
export async function longestRunning(store: Store, basket: string, kind: string | undefined): Promise<Peer[]> {
	const tasks = await store.list(basket, { state: "running", kind, limit: 200 });
	return tasks.map(peerOf).sort((a, b) => a.at - b.at);
}

/** The running tasks of the kind and key of a task. */
export async function atLimit(store: Store, basket: string, { kind, limitKey }: StoredTask): Promise<StoredTask[]> {
	const running = await store.list(basket, { state: "running", kind, limit: most });
	return running.filter((task) => task.kind === kind && task.limitKey === limitKey);
}

/** The latest attempt of a kind that is stored with its newest tasks. */
export async function lastOfKind(store: Store, basket: string, kind: string): Promise<Peer | undefined> {
	const tasks = await store.list(basket, { kind, isReverse: true, limit: 250 });
	const peers = tasks.flatMap((task) => {
		const attempts = showHistory(task).attempts.map(({ startedAt: at, worker }): Peer => ({
			...peerOf(task),
			at,
			worker,
		}));
		return task.state === "running" ? [...attempts, peerOf(task)] : attempts;
	});
	return peers.reduce<Peer | undefined>((last, peer) => last && last.at >= peer.at ? last : peer, undefined);
}

/** How many of the first waiting tasks are claimed before this one. */
export async function readyBefore(
	store: Store,
	basket: string,
	{ id, priority, dueAt = Infinity }: StoredTask,
	now: number,
): Promise<number> {
	const tasks = await store.list(basket, { state: "waiting", limit: most });
	return tasks.filter((task) => {
		const { dueAt: at = Infinity } = task;
		if (task.id === id || at > now) return false;
		return task.priority > priority || task.priority === priority && at < dueAt;
	}).length;
}

function peerOf({ id, kind, claim, addedAt }: StoredTask): Peer {
	return { id, kind: baseOf(kind), worker: claim?.worker, at: claim?.at ?? addedAt };
}
