/**
 * The families of tasks: their children, and the joins that count these. The tables and triggers for it are in
 * `families.ts`; `growing.ts` adds and removes the children, which are tasks as others.
 *
 * @module
 */

import type { Join, Ref } from "../../basket/store.ts";
import { idOf } from "../sql/sql.ts";
import type { Connection } from "./connection.ts";
import { encode, type TaskRow } from "./data.ts";
import { isRipe } from "./families.ts";
import { isRef, proofOf, shownExtra } from "./proof.ts";
import { createFamilies } from "./schema.ts";
import type { Tables } from "./tables.ts";

/** A task with children or joins. */
interface Parent extends Pick<TaskRow, "seq" | "id"> {
	readonly family: number | null;
}

/** A join that has to post its message. */
export interface Ripe {
	readonly family: number;
	readonly name: string;
	/** The number of its task. */
	readonly task: number;
	readonly data: unknown;
}

/** A child whose parent is gone. */
type Orphan = Pick<TaskRow, "seq" | "lane" | "state"> & { readonly extra: number | null };

/** The number of joins that are read together. */
const mostRipe = 1_000;

export class SqliteFamilies {
	readonly #connection: Connection;
	readonly #tables: Tables;

	constructor(connection: Connection, tables: Tables) {
		this.#connection = connection;
		this.#tables = tables;
	}

	/** Returns the number of the family of a claimed task, which begins one; `undefined` if the claim is lost. */
	begin(basket: string, ref: Ref, join: Join | undefined): number | undefined {
		createFamilies(this.#connection, this.#tables);
		const { tasks, families, joins } = this.#tables;
		const [parent] = this.#connection.all<Parent>(
			`SELECT seq, id, family FROM ${tasks} WHERE ${isRef()}`,
			...[proofOf(ref), basket],
		);
		if (parent === undefined) return undefined;
		const { seq, family = null } = parent;
		if (family === null) {
			this.#connection.run(`UPDATE ${tasks} SET family = seq WHERE seq = ?`, seq);
			this.#connection.run(`INSERT INTO ${families} (family, basket, id) VALUES (?, ?, ?)`, seq, basket, idOf(parent));
		}
		if (join !== undefined) {
			const { name, isAnew, left, spare = null, data } = join;
			const insert = `INSERT OR ${
				isAnew ? "REPLACE" : "IGNORE"
			} INTO ${joins} (family, name, task, rest, spare, data) VALUES (?, ?, ?, ?, ?, ?)`;
			this.#connection.run(insert, family ?? seq, encode(name), seq, left, spare, encode(data));
		}
		return family ?? seq;
	}

	/** Makes a new task a child. */
	adopt(seq: number, family: number, join: string | undefined): void {
		const sql = `UPDATE ${this.#tables.tasks} SET parent = ?, joined = ? WHERE seq = ?`;
		this.#connection.run(sql, family, join === undefined ? null : encode(join), seq);
	}

	/** The claims of these tasks end badly. */
	mark(basket: string, refs: readonly Ref[]): void {
		if (!this.#tables.hasFamilies) return;
		for (const ref of refs) {
			const sql = `UPDATE ${this.#tables.tasks} SET bad = claims WHERE ${isRef()} AND joined IS NOT NULL`;
			this.#connection.run(sql, proofOf(ref), basket);
		}
	}

	/** These children are deleted. */
	markAll(seqs: readonly number[]): void {
		if (!this.#tables.hasFamilies) return;
		const sql = `UPDATE ${this.#tables.tasks} SET bad = claims
			WHERE joined IS NOT NULL AND seq IN (SELECT value FROM json_each(?))`;
		this.#connection.run(sql, JSON.stringify(seqs));
	}

	/** Takes some joins that have to post their messages. */
	takeRipe(): Ripe[] {
		if (!this.#tables.hasFamilies) return [];
		const { joins, ripe } = this.#tables;
		const found = this.#connection.all<Ripe>(
			`SELECT family, name, task, data FROM ${joins} INDEXED BY ${ripe} WHERE ${isRipe} LIMIT ${mostRipe}`,
		);
		for (const { family, name } of found) {
			this.#connection.run(`UPDATE ${joins} SET told = 1, data = '' WHERE family = ? AND name = ?`, family, name);
		}
		return found;
	}

	/** A task begins anew without its children, as if it were gone. */
	leave(seq: number): void {
		if (!this.#tables.hasFamilies) return;
		const { tasks, families } = this.#tables;
		this.#connection.run(
			`UPDATE ${families} SET gone = 1 WHERE family = (SELECT family FROM ${tasks} WHERE seq = ?)`,
			seq,
		);
		this.#connection.run(`UPDATE ${tasks} SET family = NULL WHERE seq = ?`, seq);
	}

	/** Whether there are children whose parents are gone. */
	hasOrphans(basket: string): boolean {
		return this.#firstGone(basket) !== undefined;
	}

	/** Children whose parents are gone, the last ones first, so that only the last of a lane may become its head. */
	orphans(basket: string, most: number): Orphan[] {
		const { tasks, children, families } = this.#tables;
		for (let family; (family = this.#firstGone(basket)) !== undefined;) {
			const found = this.#connection.all<Orphan>(
				`SELECT seq, lane, state, ${shownExtra()} FROM ${tasks} INDEXED BY ${children}
				WHERE parent = ? AND parent IS NOT NULL ORDER BY seq DESC LIMIT ? + 0`,
				...[family, most],
			);
			if (found.length > 0) return found;
			this.#connection.run(`DELETE FROM ${families} WHERE family = ?`, family);
		}
		return [];
	}

	/** Those with these ids, which are free for other children. */
	orphansAmong(basket: string, ids: readonly string[]): Orphan[] {
		if (!this.hasOrphans(basket)) return [];
		const { tasks, families } = this.#tables;
		return this.#connection.all<Orphan>(
			`SELECT seq, lane, state, ${shownExtra()} FROM ${tasks}
			WHERE basket = ? AND id IN (SELECT value FROM json_each(?)) AND parent IN (SELECT family FROM ${families} WHERE gone = 1)
			ORDER BY seq DESC`,
			...[basket, JSON.stringify(ids)],
		);
	}

	#firstGone(basket: string): number | undefined {
		if (!this.#tables.hasFamilies) return undefined;
		const { families, orphaned } = this.#tables;
		const sql = `SELECT family FROM ${families} INDEXED BY ${orphaned} WHERE basket = ? AND gone = 1 LIMIT 1`;
		return this.#connection.all<{ family: number }>(sql, basket)[0]?.family;
	}

	/** The number of the family of a task; 0 if it has none. */
	of(seq: number): number {
		if (!this.#tables.hasFamilies) return 0;
		const sql = `SELECT family FROM ${this.#tables.tasks} WHERE seq = ?`;
		return this.#connection.all<{ family: number | null }>(sql, seq)[0]?.family ?? 0;
	}
}
