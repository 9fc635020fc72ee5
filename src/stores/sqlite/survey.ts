/**
 * What operators ask of a whole database. It reads indexes only, but for children and for tasks behind others in a lane.
 *
 * @module
 */

import type { Connection } from "./connection.ts";
import { isAside } from "./families.ts";
import { isEngaged, isGated } from "./limits.ts";
import { checkVersion, isClaimable } from "./schema.ts";
import type { Tables } from "./tables.ts";
import { encodeText, type KindTasks, showSurvey, type StoredGate, type SurveyRow } from "../sql/sql.ts";
import * as State from "../sql/state.ts";

/** Counts the tasks of each basket, or of one, by kind and state. */
export async function survey(
	connection: Connection,
	tables: Tables,
	now: number,
	basket?: string,
): Promise<KindTasks[]> {
	return await connection.read(() => {
		checkVersion(connection, tables);
		const rows = connection.all<Record<string, never>>(
			surveyOf(tables, basket !== undefined),
			...[now, ...basket === undefined ? [] : [basket]],
		);
		const shown = rows.map(({ basket, kind, state, count, due }): SurveyRow => [basket!, kind!, state!, count!, due!]);
		return showSurvey(shown, State.never);
	});
}

/** The same rows as in `counts` of lists.ts. */
function surveyOf(tables: Tables, isOne: boolean): string {
	const { tasks, claimable, aside, lanes, kept, gated, engaged, children, hasGates, hasFamilies } = tables;
	const part = (index: string, where: string, count = "count(*)", due = "NULL") =>
		`SELECT basket, kind, state, ${count} AS count, ${due} AS due FROM ${tasks} INDEXED BY ${index}
		WHERE ${isOne ? "basket = ?2 AND" : ""} ${where} GROUP BY basket, state, kind`;
	return [
		part(claimable, isClaimable(tables), "count(*)", "min(due)"),
		part(aside, isAside(tables)),
		part(lanes, `${State.isInLane} AND state = ${State.blocked}`),
		part(kept, `gone IS NOT NULL AND gone <= ?1 AND ${State.isOver}`, "-count(*)"),
		...(hasGates
			? [
				part(gated, isGated(), "count(*)", "min(due)"),
				part(engaged, `${isEngaged()} AND state = ${State.running}`, "count(*)", "min(due)"),
			]
			: []),
		...(hasFamilies ? [part(children, `parent IS NOT NULL AND state >= ${State.held}`)] : []),
	].join(" UNION ALL ");
}

/** The gate of a kind and key; `undefined` if there is none. */
export async function gateOf(
	connection: Connection,
	tables: Tables,
	...[basket, kind, key]: readonly [basket: string, kind: string, key: string]
): Promise<StoredGate | undefined> {
	return await connection.read(() => {
		checkVersion(connection, tables);
		if (!tables.hasGates) return undefined;
		const [row] = connection.all<{ ready: number; shut: number; isFull: number }>(
			`SELECT ready, shut, full AS isFull FROM ${tables.gates} WHERE basket = ? AND kind = ? AND gate = ?`,
			...[basket, kind, encodeText(key)],
		);
		if (row === undefined) return undefined;
		const { ready, shut, isFull } = row;
		return { readyAt: isFull || ready >= State.never ? undefined : ready, shutUntil: shut || undefined };
	});
}
