/**
 * Tasks whose items are collected, for the tests of them.
 *
 * @module
 */

import type { Added, Claim, Message, NewTask, Ref } from "../../basket/store.ts";
import { type Bench, newTask } from "./bench.ts";

/** The payload of tasks whose items are collected. */
export const envelope = "\u0002{}";

/** A task with an item. */
export function newItem(item: Message["data"], rest: Partial<NewTask> = {}): NewTask {
	return newTask({ id: "a", payload: envelope, ifPresent: "collect", item, most: 1000, ...rest });
}

/** Adds an item. */
export async function collect(bench: Bench, item: Message["data"], rest: Partial<NewTask> = {}): Promise<Added> {
	const [added] = await bench.store.add(bench.basket, [newItem(item, rest)]);
	return added!;
}

/** Adds tasks with one item each, and claims them. */
export function running(bench: Bench, ...ids: string[]): Promise<readonly Claim[]> {
	return bench.running(...ids.map((id) => newItem("1", { id })));
}

export function done(bench: Bench, claim: Ref, seen: number): Promise<boolean> {
	return bench.settle(claim, { type: "done", seen });
}

export function itemsOf({ inbox }: Claim): Message["data"][] {
	return inbox.map(({ data }) => data);
}
