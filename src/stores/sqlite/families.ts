/**
 * What the tables have more for children. It is made when the first child or join is added: a database without them does
 * not pay for it.
 *
 * - A row of `families` is a task with children or joins. Its number, that of the task when the first of them was added, is
 *   `family` of the task, and `parent` of its children. If the task is removed, the family is `gone`, and later turns remove
 *   its children.
 * - `joined` of a child is the name of the join that counts it. `bad` is the number of the claim that has ended badly.
 * - A row of `joins` counts: `rest` and `spare` are `left` and `spare` of a `Join`. `task` is the current number of its task.
 *
 * The triggers count each end of a child, however it comes about, also by hand. What a join posts needs the clock, so it is
 * posted by the call that has counted.
 *
 * @module
 */

import * as State from "../sql/state.ts";
import type { Tables } from "./tables.ts";

/** SQL for the joins that have to post their messages. */
export const isRipe = "told = 0 AND (rest <= 0 OR spare < 0)";

/** SQL for the tasks in the index of those aside: of the children only what runs, for the limit of a basket. */
export function isAside({ hasFamilies }: Pick<Tables, "hasFamilies">): string {
	return hasFamilies ? `${State.isAside} AND (parent IS NULL OR state < ${State.held})` : State.isAside;
}

/** SQL for the tasks that lists of all tasks show, after AND. */
export function isListed({ hasFamilies }: Pick<Tables, "hasFamilies">): string {
	return hasFamilies ? "parent IS NULL" : "true";
}

export function familyStatements(tables: Tables): readonly string[] {
	const { tasks, aside, families, joins, children, orphaned, ripe } = tables;
	const count = (isBad: string) =>
		`UPDATE ${joins} SET rest = rest - 1, spare = spare - (${isBad}) WHERE family = old.parent AND name = old.joined;`;
	const isBad = "coalesce(old.bad = old.claims, 0)";
	const isRunning = `old.${State.isClaimed}`;
	return [
		`ALTER TABLE ${tasks} ADD COLUMN family INTEGER`,
		`ALTER TABLE ${tasks} ADD COLUMN parent INTEGER`,
		`ALTER TABLE ${tasks} ADD COLUMN joined TEXT`,
		`ALTER TABLE ${tasks} ADD COLUMN bad INTEGER`,
		`CREATE INDEX ${children} ON ${tasks} (parent) WHERE parent IS NOT NULL`,
		`DROP INDEX ${aside}`,
		`CREATE INDEX ${aside} ON ${tasks} (basket, state, kind) WHERE ${isAside({ hasFamilies: true })}`,
		`CREATE TABLE ${families} (
			family INTEGER PRIMARY KEY,
			basket TEXT NOT NULL,
			id TEXT NOT NULL,
			gone INTEGER NOT NULL DEFAULT 0
		) STRICT`,
		`CREATE INDEX ${orphaned} ON ${families} (basket) WHERE gone = 1`,
		`CREATE TABLE ${joins} (
			family INTEGER NOT NULL,
			name TEXT NOT NULL,
			task INTEGER NOT NULL,
			rest INTEGER NOT NULL,
			spare INTEGER,
			data ANY NOT NULL,
			told INTEGER NOT NULL DEFAULT 0,
			PRIMARY KEY (family, name)
		) STRICT, WITHOUT ROWID`,
		`CREATE INDEX ${ripe} ON ${joins} (family) WHERE ${isRipe}`,
		`CREATE TRIGGER ${tasks}_ended AFTER UPDATE OF state ON ${tasks}
		WHEN old.joined IS NOT NULL AND old.state < ${State.dead} AND new.state >= ${State.dead} BEGIN
			${count(`new.state = ${State.dead} OR ${isBad}`)}
		END`,
		`CREATE TRIGGER ${tasks}_counted AFTER DELETE ON ${tasks} WHEN old.joined IS NOT NULL AND old.state < ${State.dead} BEGIN
			${count(`NOT (${isRunning}) OR ${isBad}`)}
		END`,
		`CREATE TRIGGER ${tasks}_childless AFTER UPDATE OF state ON ${tasks}
		WHEN old.family IS NOT NULL AND new.state >= ${State.dead} BEGIN
			DELETE FROM ${joins} WHERE family = old.family;
		END`,
		`CREATE TRIGGER ${tasks}_orphaning AFTER DELETE ON ${tasks} WHEN old.family IS NOT NULL BEGIN
			DELETE FROM ${joins} WHERE family = old.family;
			UPDATE ${families} SET gone = 1 WHERE family = old.family;
		END`,
	];
}
