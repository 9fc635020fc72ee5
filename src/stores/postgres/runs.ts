/**
 * Runs of lanes, as functions in the database: the followers that are claimed with a head.
 *
 * A follower is in the state 3, in which no claim finds it, and its column `behind` is 1, or 2 if it is to be held. So
 * that it does not stay there, whoever takes the head away makes the first follower the head: the function `promote`.
 *
 * @module
 */

import { cutRun } from "./overall.ts";
import { claimed, create, isCollected, isFollower, newer, next } from "./sql.ts";

/** The maximum number of followers. With a constant, the plan reads the index of lanes in its order. */
const most = 1_000;

/**
 * Gives the followers behind tasks back whose claims have ended; `crashed` is 1 if they have crashed with their heads.
 * A turn must not wait for the transaction of a process that hangs: if somebody has locked a follower whose lease has ended,
 * it stays until it is the head.
 */
export function giveBack(s: string): string {
	return create(
		s,
		"give_back",
		"(b text, ls text[], above bigint[], t bigint, crashed int) RETURNS void",
		"r record; mine bigint[];",
		`FOR i IN 1..cardinality(ls) LOOP
	mine := '{}';
	FOR r IN SELECT seq, ${isFollower} AS is_follower FROM ${s}.tasks
		WHERE basket = b AND lane = ls[i] AND state < 6 AND seq > above[i] ORDER BY seq LIMIT ${most}
	LOOP
		EXIT WHEN NOT r.is_follower;
		mine := mine || r.seq;
	END LOOP;
	CONTINUE WHEN mine = '{}';
	mine := ARRAY(SELECT seq FROM ${s}.tasks WHERE seq = ANY (mine) AND (due <= t OR crashed = 1) FOR UPDATE SKIP LOCKED)
		|| ARRAY(SELECT seq FROM ${s}.tasks WHERE seq = ANY (mine) AND due > t AND crashed = 0);
	UPDATE ${s}.tasks SET state = CASE behind WHEN 2 THEN 5 ELSE 2 END, behind = NULL, backoff = false,
		due = CASE WHEN newer IS NULL OR ${isCollected("newer")} THEN t ELSE greatest(newer_due, t) END,
		attempts = least(attempts, 2147483646) + crashed, crashes = least(crashes, 2147483646) + crashed,
		worker = CASE crashed WHEN 1 THEN worker END, claimed = CASE crashed WHEN 1 THEN claimed END, ${newer}
	WHERE seq = ANY (mine) AND ${isFollower};
END LOOP;`,
	);
}

/**
 * Claims followers of the heads in `columns`. A task that somebody has locked ends the run, as the state of that task may
 * be about to change. The second statement sees what was committed before the locks of the first one. All runs are claimed
 * at once; the planner expects few rows, so that a join of the two lists would compare each with each.
 */
export function follow(s: string): string {
	const column = (index: number) => `ARRAY(SELECT json_array_elements_text(columns->${index}))`;
	return `mine := ARRAY(
				WITH c AS (
					SELECT own, sort, seq FROM unnest(${column(0)}::bigint[], ${column(2)}, ${column(3)}) h (own, sort, corner)
					JOIN json_to_recordset(runs::json) AS j (kind text, most int) ON j.kind = sort, LATERAL (
						SELECT * FROM (
							SELECT seq FROM ${s}.tasks WHERE basket = b AND lane = corner AND state < 6 AND seq > own ORDER BY seq LIMIT ${most}
						) x LIMIT most - 1
					) f WHERE corner IS NOT NULL AND coalesce(columns->7->own::text->>1, '0') = '0' LIMIT (room + wanted)::int
				) SELECT seq FROM (
					SELECT seq, bool_and(count(*) = 2) OVER (PARTITION BY max(own) ORDER BY seq) AS is_run
					FROM (SELECT * FROM c UNION ALL SELECT NULL, * FROM (
						SELECT kind, seq FROM ${s}.tasks WHERE seq = ANY (ARRAY(SELECT seq FROM c)) AND state = 2 AND attempts = 0
						AND gate IS NULL AND due <= t ORDER BY seq FOR UPDATE SKIP LOCKED
					) k) x GROUP BY seq, sort
				) x WHERE is_run
			);
			p := cardinality(mine);
			IF p > 0 THEN
				WITH u AS (
					UPDATE ${s}.tasks SET state = 3, behind = 1, place = NULL, started = NULL, due = leaseEnd, claims = ${next},
						worker = nullif(who, ''), claimed = t
					WHERE seq = ANY (mine)
				) SELECT ${claimed(s)} INTO columns FROM (SELECT * FROM ${s}.tasks WHERE seq = ANY (mine) ORDER BY seq) x;
				taken := taken || columns;
			END IF;
${cutRun}`;
}
