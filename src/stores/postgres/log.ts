/**
 * The logs of tasks, as functions in the database.
 *
 * The column `log` of a task is the number of its log in the table of this name: the number that the task had when its
 * first entry was appended. A restarted task gets another number and keeps its log, whose rows stay unchanged. A task
 * without a log has a NULL there, and its removal looks for no entries.
 *
 * An append locks the row of the task, so that nobody claims the task before the entry is stored. It writes that row
 * only for the first entry.
 *
 * The end of a long log remains when its task is removed. Then the log is in the table `leftovers`, from which later turns
 * remove it, so that no statement removes any number of rows.
 *
 * @module
 */

import { orphan } from "./families.ts";
import { create, entries, isGone, isNamed, isRef, nameIn } from "./sql.ts";

/** The most entries that are removed at once. */
const most = 5_000;
/** The most logs with leftovers that a turn takes. */
const mostLogs = 100;

/** The columns of a part of a log and of children, for `entries`. */
export const partColumns = "f bigint, l text[], j json";

/** Gives the task of a row `r` a log if `r` has a part of one, or children. */
export const opened = "log = coalesce(log, CASE WHEN r.f IS NOT NULL OR r.j IS NOT NULL THEN seq END)";

/** Appends the part of the row `r` to a log, or replaces the entries that are there. */
export function append(s: string, log: string): string {
	return `INSERT INTO ${s}.log (task, n, data) SELECT ${log}, r.f + o, d FROM unnest(r.l) WITH ORDINALITY u (d, o)
	ON CONFLICT (task, n) DO UPDATE SET data = excluded.data;`;
}

/** Removes the logs of removed tasks, and what they have as parents. */
export function erase(s: string, logs: string): string {
	return `IF cardinality(${logs}) > 0 THEN PERFORM ${s}.${nameIn("erase")}(${logs}); END IF;`;
}

/** Adds logs with leftovers to an array of logs. */
export function takeLeftovers(s: string, logs: string): string {
	return `IF EXISTS (SELECT FROM ${s}.leftovers) THEN
		WITH d AS (
			DELETE FROM ${s}.leftovers WHERE ctid = ANY (ARRAY(SELECT ctid FROM ${s}.leftovers LIMIT ${mostLogs} FOR UPDATE SKIP LOCKED))
			RETURNING task
		) SELECT ${logs} || array_agg(task) INTO ${logs} FROM d;
	END IF;`;
}

/** @param s the schema, quoted */
export function logging(s: string): string[] {
	return [
		// A transaction of the caller with an older snapshot does not see the last entries, so it leaves the log to others.
		create(
			s,
			"erase",
			"(logs bigint[]) RETURNS void",
			"erased int; isBlind boolean := current_setting('transaction_isolation') <> 'read committed';",
			`IF EXISTS (SELECT FROM ${s}.families WHERE family = ANY (logs)) THEN
	${orphan(s, "logs")}
END IF;
DELETE FROM ${s}.log WHERE ctid = ANY (ARRAY(SELECT ctid FROM ${s}.log WHERE task = ANY (logs) LIMIT ${most}));
GET DIAGNOSTICS erased = ROW_COUNT;
IF isBlind OR erased = ${most} THEN
	INSERT INTO ${s}.leftovers SELECT x FROM unnest(logs) x WHERE isBlind OR EXISTS (SELECT FROM ${s}.log WHERE task = x);
END IF;`,
		),

		create(
			s,
			"log",
			"(b text, q text) RETURNS text",
			`t bigint := ${s}.clock(); r record; own bigint; answers json[] := '{}';`,
			`FOR r IN SELECT * FROM ${entries("s bigint, n int, i text, f bigint, m int")} ORDER BY o LOOP
	IF r.n IS NULL THEN
		SELECT log INTO own FROM ${s}.tasks WHERE ${isNamed} AND NOT (${isGone});
	ELSE
		SELECT log INTO own FROM ${s}.tasks WHERE ${isRef};
	END IF;
	answers[r.o] := CASE WHEN FOUND THEN coalesce((SELECT json_agg(json_build_array(n, data) ORDER BY n) FROM (
		SELECT n, data FROM ${s}.log WHERE task = own AND n > r.f ORDER BY n LIMIT r.m
	) x), '[]') END;
END LOOP;
RETURN to_json(answers);`,
		),
	];
}
