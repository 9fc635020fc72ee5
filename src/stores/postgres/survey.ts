/**
 * What operators ask of a whole database.
 *
 * @module
 */

import { type KindTasks, showSurvey, type StoredGate, type SurveyRow } from "../sql/sql.ts";
import type { Query } from "./client.ts";
import { decodeText, encode } from "./data.ts";
import { toStoreError } from "./errors.ts";
import { quote } from "./schema.ts";
import { never } from "./sql.ts";

/** The time limit of a survey, which may read all tasks, in milliseconds. */
const patience = 60_000;

/** Counts the tasks of each basket, or of one, by kind and state, at an instant of the server's clock. */
export async function survey(
	query: Query,
	schema: string,
	basket?: string,
): Promise<{ readonly at: number; readonly tasks: KindTasks[] }> {
	const s = quote(schema);
	const only = basket === undefined ? "" : "basket = $1 AND";
	const [at, rows] = await ask<[number, SurveyRow[]]>(
		query,
		`SELECT json_build_array(${s}.clock(), coalesce(json_agg(json_build_array(basket, kind, state, count, due)), '[]'))::text FROM (
			SELECT basket, kind, state, count(*) AS count, CASE WHEN state < 2 THEN min(due) END AS due
			FROM ${s}.tasks WHERE ${only} NOT (state > 5 AND due <= ${s}.clock()) GROUP BY basket, kind, state
		) AS found`,
		basket === undefined ? [] : [encode(basket)],
	);
	return { at: Number(at), tasks: showSurvey(rows, Number(never), decodeText) };
}

/** The gate of a kind and key; `undefined` if there is none. */
export async function gateOf(
	query: Query,
	schema: string,
	...names: readonly [basket: string, kind: string, key: string]
): Promise<StoredGate | undefined> {
	const row = await ask<[ready: number, shut: number] | null>(
		query,
		`SELECT (SELECT json_build_array(ready, shut)::text FROM ${quote(schema)}.gates
			WHERE basket = $1 AND kind = $2 AND gate = $3 AND terms IS NOT NULL)`,
		names.map(encode),
	);
	if (row === null) return undefined;
	const [ready, shut] = row.map(Number) as [number, number];
	return { readyAt: ready >= Number(never) ? undefined : ready, shutUntil: shut || undefined };
}

async function ask<T>(query: Query, text: string, values: string[]): Promise<T> {
	try {
		return JSON.parse(await query(text, values, patience) as string ?? "null");
	} catch (error) {
		throw toStoreError(error);
	}
}
