/**
 * Adds, counts and removes children. Each member is a part of an open transaction.
 *
 * @module
 */

import type { Child, Offspring, Ref } from "../../basket/store.ts";
import { seqIn, stateOf } from "../sql/sql.ts";
import * as State from "../sql/state.ts";
import { mostCharacters } from "./alike.ts";
import { after, columnOf, columns, decode, encode, gateOf, isGone, isName, type TaskRow } from "./data.ts";
import { shownExtra } from "./proof.ts";
import { createGates } from "./schema.ts";
import { type Gone, SqliteTasks, type Told } from "./tasks.ts";

/** The number of expired tasks that a turn without settlements removes, and of children that a deletion removes. */
export const leastExpired = 100;

export class SqliteGrowing extends SqliteTasks {
	/** Adds what a claim adds to its task. Returns `false` if the claim is lost. */
	protected grow(basket: string, ref: Ref, { join, children = [] }: Offspring, now: number, isOwn: boolean): boolean {
		const family = this.families.begin(basket, ref, join);
		if (family === undefined) return false;
		if (children.length === 0) return true;
		if (children.some(({ limitKey }) => limitKey !== undefined)) createGates(this.connection, this.tables);
		this.#drop(basket, this.families.orphansAmong(basket, children.map(({ id }) => id)));
		const first = this.numbers.reserve(children.length, isOwn);
		if (this.#mayInsertAll(basket, children)) this.#insertAll(basket, family, children, first, now);
		else {
			for (const [index, child] of children.entries()) {
				const { join, ...task } = child;
				const { added } = this.insertUnlessThere(basket, task, first + index, now);
				if (added) this.families.adopt(first + index, family, join);
			}
		}
		this.lanes.promote(basket, children.map(({ lane }) => lane));
		return true;
	}

	/** Whether none of their ids is in use, and one statement can take all of them. */
	#mayInsertAll(basket: string, children: readonly Child[]): boolean {
		const length = children.reduce(
			(sum, { payload }) => sum + (typeof payload === "string" ? payload.length : Infinity),
			0,
		);
		if (length > mostCharacters) return false;
		const sql =
			`SELECT 1 FROM ${this.tables.tasks} WHERE basket = ? AND id IN (SELECT value FROM json_each(?)) LIMIT 1`;
		return this.connection.all(sql, basket, JSON.stringify(children.map(({ id }) => id))).length === 0;
	}

	/** Adds children in one statement, which is several times faster than one each. */
	#insertAll(basket: string, family: number, children: readonly Child[], first: number, now: number): void {
		const { tasks, hasGates } = this.tables;
		const rows = children.map((child) => {
			const { id, kind, lane = null, priority, delay, payload, join, meta } = child;
			const joined = join === undefined ? null : encode(join);
			return [kind, id, lane, priority, after(now, delay), encode(payload), joined, columnOf(meta), gateOf(child)];
		});
		this.connection.run(
			`INSERT INTO ${tasks} (seq, basket, kind, id, lane, priority, state, due, added, payload, parent, joined, meta ${
				hasGates ? ", gate" : ""
			})
			SELECT ?1 + key, ?2, value ->> 0, value ->> 1, value ->> 2, value ->> 3,
				iif(value ->> 2 IS NULL, ${State.waiting}, ${State.blocked}), value ->> 4, ?3, value ->> 5, ?4, value ->> 6, value ->> 7
				${hasGates ? ", value ->> 8" : ""}
			FROM json_each(?5) WHERE true ON CONFLICT (basket, id) WHERE id IS NOT NULL DO NOTHING`,
			...[first, basket, now, family, JSON.stringify(rows)],
		);
	}

	/** Posts the messages of the joins that have counted enough. */
	protected tell(now: number): Told {
		const told = { isPosted: false, isClaimed: false };
		for (let ripe; (ripe = this.families.takeRipe()).length > 0;) {
			for (const { task, family, data } of ripe) {
				const sql = `SELECT ${columns(this.tables)} FROM ${this.tables.tasks} WHERE seq = ? AND family = ?`;
				const [row] = this.connection.all<TaskRow>(sql, task, family);
				const { isPosted, isClaimed } = this.deliver(row, decode(data) ?? "", now);
				told.isPosted ||= isPosted;
				told.isClaimed ||= isClaimed;
			}
		}
		return told;
	}

	/** Removes at most so many children whose parents are gone. */
	protected removeOrphans(basket: string, most: number): Told {
		const orphans = this.families.orphans(basket, most);
		return { isPosted: false, isClaimed: this.#drop(basket, orphans) };
	}

	/** The number of the family of a task; 0 if it has none. */
	familyOf(basket: string, id: string, now: number): number {
		const row = this.find(basket, id, now);
		return row === undefined ? 0 : this.families.of(row.seq);
	}

	/** Deletes tasks in a few statements. Also returns whether one of them had a claim. */
	delete(basket: string, ids: readonly string[], now: number): { removed: boolean[]; isClaimed: boolean } {
		const { tasks } = this.tables;
		const select = `SELECT name, seq, lane, state, gone, ${shownExtra()}
			FROM (SELECT value AS name FROM json_each(?2)) CROSS JOIN ${tasks}`;
		type Row = Gone & Pick<TaskRow, "state" | "gone"> & { readonly name: string };
		const made = ids.filter((id) => seqIn(id) > 0);
		const names = JSON.stringify(ids.filter(isName));
		const rows = [
			...this.connection.all<Row>(`${select} ON basket = ?1 AND id = name`, basket, names),
			...made.length === 0 ? [] : this.connection.all<Row>(
				`${select} ON seq = CAST(substr(name, 2) AS INTEGER) AND id IS NULL AND basket = ?1`,
				...[basket, JSON.stringify(made)],
			),
		];
		const found = new Map(rows.filter((row) => !isGone(row, now)).map((row) => [row.name, row]));
		const gone = [...found.values()];
		this.families.markAll(gone.map(({ seq }) => seq));
		const isClaimed = this.#drop(basket, gone);
		const others = [this.tell(now), this.removeOrphans(basket, leastExpired)];
		return {
			removed: ids.map((id) => found.delete(id)),
			isClaimed: isClaimed || others.some(({ isClaimed }) => isClaimed),
		};
	}

	/** Removes tasks in any state. Returns whether one of them had a claim. */
	#drop(basket: string, gone: readonly Pick<Gone & TaskRow, "seq" | "extra" | "lane" | "state">[]): boolean {
		if (gone.length === 0) return false;
		this.remove(gone);
		this.lanes.promote(basket, gone.map(({ lane }) => lane));
		const isClaimed = gone.some(({ state }) => stateOf(state) === "running");
		if (isClaimed) {
			this.replacements.forget(gone.map(({ seq }) => seq));
			this.tellWorkers();
		}
		return isClaimed;
	}
}
