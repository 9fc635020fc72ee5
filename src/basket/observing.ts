/**
 * What an observer is told of the tasks of a basket, besides their calls.
 *
 * @module
 */

import type { TaskMeta } from "./meta.ts";
import type { Observed } from "./observed-kinds.ts";
import type { BasketSettings } from "./options.ts";
import { type Added, baseOf, mostMeta } from "./store.ts";
import type { ObservedAdd, ObservedAddEnd, Observer } from "../run/observer.ts";

/** The part of a task to add that an observer sees. */
interface Add {
	readonly kind: string;
	readonly id?: string | undefined;
	readonly lane?: string | undefined;
	readonly meta?: TaskMeta | undefined;
}

/** Tells an observer of a claim, if its kind has one. */
export function tellOf<Tx>(settings: BasketSettings<Tx>, hook: "renewed" | "lost", task: Observed): void {
	const { kinds, onError } = settings;
	const kind = kinds.get(task.kind);
	if (!kind?.isObserved || task.watched === undefined || task.watched.isLost) return;
	if (hook === "lost") task.watched.isLost = true;
	kind.settings.observe!.tell(hook, onError, task.watched.attempt);
}

/** Begins to add tasks, if an observer is told of one. Returns them with their meta, and what ends that. */
export function beginAdds<Tx, E extends Add>(
	{ kinds, name: basket, onError }: Pick<BasketSettings<Tx>, "kinds" | "name" | "onError">,
	entries: readonly E[],
): {
	readonly entries: readonly E[];
	readonly end: (added: readonly Added[] | undefined, error?: unknown) => void;
} {
	const batches = new Map<Observer, ObservedAdd[]>();
	const adds = entries.map(({ kind, id, lane, meta }) => {
		const observe = kinds.get(kind)?.settings.observe;
		if (observe === undefined) return undefined;
		const batch = batches.get(observe) ?? [];
		batches.set(observe, batch);
		const add = { basket, kind: baseOf(kind), id, lane, meta: { ...typeof meta === "object" ? meta : {} } };
		batch.push(entries.length > 1 ? Object.assign(add, { batch }) : add);
		return { observe, add };
	});
	const ends: (((end: ObservedAddEnd) => void) | undefined)[] = [];
	const watched = entries.map((entry, index) => {
		const { observe, add } = adds[index] ?? {};
		ends.push(observe?.add(add!, onError));
		return add === undefined ? entry : { ...entry, meta: fitting(entry.meta, add.meta) };
	});
	const end = (added: readonly Added[] | undefined, error?: unknown) => {
		for (const [index, end] of ends.entries()) {
			const one = added?.[index];
			end?.({ id: one?.id, isAdded: one?.added === true, error });
		}
	};
	return { entries: watched, end };
}

/** The meta with what observers have put there, but for the longest texts of those that do not fit. */
function fitting(given: Add["meta"], meta: Record<string, string>): Add["meta"] {
	// Neither an object nor absent: it is refused later.
	if (Object.keys(meta).length === 0 || (given !== undefined && Object(given) !== given)) return given;
	const names = Object.keys(meta).filter((name) => given?.[name] === undefined);
	names.sort((one, other) => String(meta[one]).length - String(meta[other]).length);
	while (names.length > 0 && JSON.stringify(meta).length > mostMeta) delete meta[names.pop()!];
	return meta;
}
