/**
 * Building blocks of the functions in the database.
 *
 * @module
 */

import { mostInbox } from "../../basket/store.ts";

/** The version of the tables and functions of this library. */
export const version = 4;

/** The due time of a task that only a message makes due: the largest safe integer of JavaScript. */
export const never = "9007199254740991";

/** The task of a reference `r` with the columns s, n and i, if that is its current claim. */
export const isRef = "seq = r.s AND claims = r.n AND basket = b AND state IN (1, 3) AND id IS NOT DISTINCT FROM r.i";

/** The task with the id `r.i`, which the store may have created from the number `r.s`. */
export const isNamed: string = /* @__PURE__ */ isNamedBy("r");

/** The same, with an id in the row `r`. */
export function isNamedBy(r: string): string {
	return `basket = b AND (id = ${r}.i OR seq = ${r}.s AND id IS NULL)`;
}

/** A done or dead task whose retention has ended: it is invisible, even if it has not been removed. */
export const isGone = "state > 5 AND due <= t";

/** The newer payload takes its place, if there is one. */
export const newer =
	`payload = coalesce(newer, payload), priority = coalesce(newer_priority, priority), added = coalesce(newer_added, added),
				meta = CASE WHEN newer IS NULL THEN meta ELSE newer_meta END,
				newer = NULL, newer_priority = NULL, newer_added = NULL, newer_due = NULL, newer_meta = NULL`;

/** The claim has ended with a settlement. */
export const unclaimed = "worker = NULL, claimed = NULL";

/** The number of the next claim. The last one may have been edited by hand. */
export const next = "claims % 2000000000 + 1";

/** The columns for `showTask` of data.ts. */
export const columns =
	"seq, id, kind, lane, priority, state, due, added, attempts, crashes, claims, error, payload, progress, result, parent, meta, history, worker, claimed";

/** The column `place` of a running task that had no key when it was claimed: no key is stored as this character. */
export const nowhere = "chr(64977)";

/** The key at whose gate a running task has its place; for other tasks the key at whose gate they wait. */
export function keyOf(): string {
	return `CASE WHEN place IS NULL OR state NOT IN (1, 3) THEN gate ELSE nullif(place, ${nowhere}) END`;
}

/** The lock number of the lane `l` of the basket `b`. */
export const laneLock = "hashtextextended(l, hashtextextended(b, 0))";

/** The lock number of the levels of the basket `b`. */
export const levelLock = "hashtextextended(b, 1)";

/**
 * The name of a function of the store. It contains the version, so that an older library does not find its functions
 * after a newer one has changed the tables.
 */
export function nameIn(name: string): string {
	return `${name}_${version}`;
}

/**
 * A function of the schema `s`. It finds only objects of Postgres itself, and objects named with their schema. So it
 * never runs functions, operators or tables that somebody else created in the search path of a worker.
 */
export function create(s: string, name: string, head: string, declare: string, body: string): string {
	return `CREATE FUNCTION ${s}.${nameIn(name)}${head} LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $f$
DECLARE ${declare}
BEGIN
${body}
END $f$;`;
}

/** Wakes the watchers of the basket `b`; with the mark `!`, holders of claims must check them. */
export function notify(s: string, mark: ":" | "!" = ":"): string {
	return `PERFORM pg_notify('${s.slice(1, -1)}', '${mark}' || left(b, 1000));`;
}

/** A name as the indexes for claims contain it: many comparisons of text would cost more than all else about an entry. */
export const hashed = (name: string): string => `hashtext(${name})`;

/** The tasks of the basket `b` in the state 0 or 1 that are behind no gate, as the indexes for claims contain them. */
export function ungated(s: string, state: 0 | 1): string {
	return `${s}.tasks WHERE ${hashed("basket")} = ${hashed("b")} AND basket = b AND state = ${state} AND gate IS NULL`;
}

/** Those of one kind and priority, which a claim considers. */
export function claimable(s: string, state: 0 | 1, kind: string, priority: string, more = ""): string {
	return `FROM ${ungated(s, state)} AND ${hashed("kind")} = ${
		hashed(kind)
	} AND kind = ${kind} AND priority ${priority} ${more}`;
}

/**
 * The priority of a row of `levels` that pauses its kind, and of one that pauses all kinds: a turn reads this table
 * anyway. Such a row has a `term` that no lease is shorter than, so it is never copied.
 */
export const pausedKind = 999;
export const pausedAll = 1000;

/**
 * Levels: for each kind and priority that ever existed in a basket, `low` is an instant before which no waiting task
 * is due, and `ends` is an instant before which no lease ends. Without them, each claim would skip all entries of
 * tasks done since the last vacuum.
 *
 * Only a turn raises them, according to the instant `at`: tasks that were made due before it, by the clock of their
 * transactions, are visible when all transactions with a number below `x` have ended, because these take a number
 * before they read the clock. A transaction that makes a task claimable with an older instant (the next task of a
 * lane, a released task) holds a shared lock until its end. A turn that raises levels needs this lock exclusively, or
 * raises them the next time. No lease is shorter than `term`: a turn with a shorter lease first records it, with that
 * lock.
 *
 * At intervals, a turn surveys all tasks independently of the levels, because somebody may have changed rows by hand.
 */
export function look(s: string, kinds: string): string {
	return `(SELECT f.*, least(w.due, e.due), w.due, e.due FROM (
		SELECT v.kind, v.priority, min(v.low), min(v.ends), min(v.at), min(v.term), bool_and(coalesce(v.x <= old, false))
		FROM ${s}.levels v WHERE v.basket = b AND v.kind = ANY (${kinds}) GROUP BY 1, 2
	) f (kind, priority, low, ends, at, term, mature)
	LEFT JOIN LATERAL (SELECT due ${
		claimable(s, 0, "f.kind", "= f.priority", "AND due >= f.low")
	} ORDER BY due LIMIT 1) w ON true
	LEFT JOIN LATERAL (SELECT due ${
		claimable(s, 1, "f.kind", "= f.priority", "AND due >= f.ends")
	} ORDER BY due LIMIT 1) e ON true
) v (kind, priority, low, ends, at, term, mature, due, waiting, running)`;
}

/** The elements of the JSON array `q`, with these columns; `o` is the place in the array, from 1 on. */
export function entries(columns: string): string {
	return `(SELECT *, row_number() OVER ()::int AS o FROM json_to_recordset(q::json) AS j (${columns})) e`;
}

/** All functions lock tasks in this order of `entries`, so that two of them never wait for each other. */
export const inOrder: string = `ORDER BY coalesce(i, '_' || s) COLLATE "C"`;

/** The number of the task at index `o` in the arrays of `add` and `put`, which take whole blocks of numbers. */
export const numberAt = (o: string): string => `blocks[1 + (${o} - 1) / 1024] * 1024 + (${o} - 1) % 1024`;

/**
 * Notes that tasks wait behind gates, for `rows` with the columns kind, gate and due. It waits for no turn, and no turn
 * waits for its transaction: see gates.ts.
 */
export function note(s: string, rows: string): string {
	return `INSERT INTO ${s}.notes (basket, kind, gate, due) SELECT b, m.kind, m.gate, min(m.due) FROM (
	SELECT kind, gate, due FROM ${rows}
) m WHERE m.gate IS NOT NULL GROUP BY m.kind, m.gate`;
}

/** Finds a task that waits for a place at a gate. */
export function waitsAt(s: string, kind: string, gate: string): string {
	return `SELECT FROM ${s}.tasks WHERE basket = b AND kind = ${kind} AND gate = ${gate} AND state = 0`;
}

/** Lowers the levels for `rows` with the columns kind, priority and due: for waiting tasks, or for running ones. */
export function lower(s: string, rows: string, column: "low" | "ends" = "low"): string {
	return `INSERT INTO ${s}.levels (basket, kind, priority, low, ends) SELECT b, m.kind, m.priority, m.due, 0 FROM (
	SELECT kind, priority, min(due) FROM ${rows} GROUP BY 1, 2
) m (kind, priority, due) WHERE NOT EXISTS (
	SELECT FROM ${s}.levels v WHERE v.basket = b AND v.kind = m.kind AND v.priority = m.priority AND v.${column} <= m.due
)`;
}

/** Whether a payload is that of a task that was added with `"collect"`. */
export const isCollected = (payload: string): string => `(left(${payload}, 1) = chr(2))`;

/** A count of a task after a claim, which is a crash if it was running. */
export const grown = (column: string): string => `least(${column}, 2147483646) + state % 2`;

/**
 * Claimed tasks as they were before, by column, for `showClaims` of data.ts. What is new, as most are, has all of itself there; what
 * others have besides is by their numbers, and `NULL` if there are none.
 */
export function claimed(s: string): string {
	return `json_build_array(
			array_agg(seq), array_agg(id), array_agg(kind), array_agg(lane), array_agg(coalesce(newer, payload)),
			array_agg(coalesce(newer_added, added)), t, json_object_agg(seq, json_build_array(
				coalesce(newer_priority, priority), ${grown("attempts")}, ${grown("crashes")}, ${next}, error, gate, t - due,
				CASE WHEN posted > seen THEN (
					SELECT json_agg(json_build_array(n, data) ORDER BY n) FROM (
						SELECT n, data FROM ${s}.messages WHERE task = seq ORDER BY n LIMIT ${mostInbox}
					) m
				) END,
				(SELECT max(e.n) FROM ${s}.log e WHERE e.task = log),
				CASE WHEN newer IS NULL THEN meta ELSE newer_meta END, history, worker, claimed
			)) FILTER (WHERE attempts | crashes | claims | posted | priority | state % 2 <> 0 OR due <> added
				OR num_nonnulls(error, newer, gate, log, meta, history, claimed) > 0)
		)`;
}

/** A running task behind the head of its lane: see runs.ts. */
export const isFollower = "state = 3 AND behind IS NOT NULL";

/** The columns of a task whose claim has ended, but which stays in its lane. `toHold` is a condition under which it is held. */
export const stayed = (toHold = "false"): string =>
	`state = CASE WHEN ${isFollower} THEN CASE WHEN behind = 2 OR ${toHold} THEN 5 ELSE 2 END WHEN state = 3 OR ${toHold} THEN 4 ELSE 0 END,
				behind = NULL`;

/** Restarts the dead task `old` under the number `last`, at the end. */
export function restart(s: string, last: string, old: string): string {
	return `UPDATE ${s}.tasks SET seq = ${last}, id = coalesce(id, '_' || seq), state = CASE WHEN lane IS NULL THEN 0 ELSE 2 END,
			due = t, added = t, behind = NULL, attempts = 0, crashes = 0, claims = 0, backoff = false, error = NULL, progress = NULL
		WHERE seq = ${old};
		UPDATE ${s}.messages SET task = ${last} WHERE task = ${old};`;
}
