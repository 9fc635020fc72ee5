/**
 * The children of tasks in memory, and the joins that count them.
 *
 * @module
 */

import type { Child, Data, Join, Offspring, Outcome } from "./store.ts";
import { TaskIndex } from "./memory-index.ts";
import { copy, type Family, isOver, type Task } from "./memory-task.ts";

/** The interface of the tasks of a basket to their families. */
export interface FamilyOwner {
	/** Adds a child, unless its id is in use. */
	bear(child: Child, kin: Family): void;
	/** Posts a message. */
	post(id: string, data: Data): boolean;
	/** Removes a task in any state. */
	drop(task: Task): void;
}

export class MemoryFamilies {
	readonly #owner: FamilyOwner;
	/** Those whose parents were removed. */
	readonly #orphaned: Family[] = [];

	constructor(owner: FamilyOwner) {
		this.#owner = owner;
	}

	/** Adds what a claim adds to its task, unless that has ended. */
	grow(parent: Task, { join, children = [] }: Offspring): void {
		if (isOver(parent) || (join === undefined && children.length === 0)) return;
		const family = parent.family ??= { id: parent.id, children: new TaskIndex(), joins: new Map(), isOrphaned: false };
		if (join !== undefined && (join.isAnew || !family.joins.has(join.name))) family.joins.set(join.name, open(join));
		for (const child of children) this.#owner.bear(child, family);
	}

	/** A task ends, or is removed before: the join of its parent counts that. */
	count(task: Task, isBad: boolean): void {
		const join = task.kin?.joins.get(task.join ?? "");
		if (isOver(task) || join === undefined || join.isTold) return;
		join.left--;
		if (isBad) join.spare--;
		join.isTold = join.left <= 0 || join.spare < 0;
		if (join.isTold) this.#owner.post(task.kin!.id, join.data);
	}

	/** A task ends with this outcome. */
	end(task: Task, outcome: Outcome): void {
		if (outcome.type === "done") task.result = outcome.result && copy(outcome.result);
		this.count(task, outcome.type === "dead" || (outcome.type === "done" && outcome.isBad === true));
		task.family?.joins.clear();
	}

	/** A task was removed. */
	remove(task: Task): void {
		task.kin?.children.remove(task);
		const { family } = task;
		if (family === undefined) return;
		family.isOrphaned = true;
		if (family.children.size > 0) this.#orphaned.push(family);
	}

	/** Removes at most so many children without parents. */
	sweep(most: number): void {
		for (let left = most, family; left > 0 && (family = this.#orphaned[0]) !== undefined;) {
			const some = family.children.list({ limit: left }, -Infinity);
			for (const child of some) this.#owner.drop(child);
			left -= some.length;
			if (family.children.size === 0) this.#orphaned.shift();
		}
	}
}

function open({ left, spare = Infinity, data }: Join): { left: number; spare: number; data: Data; isTold: boolean } {
	return { left, spare, data: copy(data), isTold: false };
}
