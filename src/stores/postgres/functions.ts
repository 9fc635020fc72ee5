/**
 * The operations of the store as functions in the database. Each call of the store is one statement, and so one
 * transaction of its own or a part of the caller's. Its parts are planned once per connection, prepared or not. After
 * a wait for a lock, the next statement sees the changes made meanwhile.
 *
 * The states are numbers: 0 waiting, 1 running, 2 blocked, 3 running and then held, 4 held, 5 blocked and held as the
 * head of its lane, 6 dead, 7 done. A claim considers states below 2, a lane states below 6.
 *
 * Lanes: a transaction that adds to a lane holds the lock of the lane until its end. A turn that ends the head of a
 * locked lane must not wait for the lock, because this would block all other work. It adds a note to `lanes`, and one
 * of the next turns promotes the next task.
 *
 * @module
 */

import {
	columns,
	create as createIn,
	entries,
	inOrder,
	isFollower,
	isGone,
	isNamed,
	isNamedBy,
	isRef,
	keyOf,
	laneLock,
	levelLock,
	lower,
	nameIn,
	note,
	notify as notifyIn,
	numberAt,
	restart,
	waitsAt,
} from "./sql.ts";
import { ending, families, storeEndings } from "./families.ts";
import { list } from "./list.ts";
import { append, erase, logging, opened, partColumns } from "./log.ts";
import { pausing } from "./pausing.ts";
import { put } from "./put.ts";
import { giveBack } from "./runs.ts";
import { turn } from "./turn.ts";

/** The tasks in the arrays of `add`. */
function insert(s: string, id: string, end: string): string {
	return `INSERT INTO ${s}.tasks (seq, basket, kind, id, lane, gate, priority, state, due, added, payload, meta, kin, parent, joined)
	SELECT ${
		numberAt("o")
	}, b, k, ${id}, l, g, p, CASE WHEN l IS NULL THEN 0 ELSE 2 END, t + d, t, v, z, own, whose, js[o]
	FROM unnest(ks::text[], ids::text[], ls::text[], gs::text[], ps::int[], ds::bigint[], vs::text[], zs::text[])
		WITH ORDINALITY AS r (k, i, l, g, p, d, v, z, o)
	${end}`;
}

/** The tasks in the array of `extend`. */
const extended = "seq IN (SELECT s FROM json_to_recordset(q::json) AS (s bigint))";

/** Tasks by their ids. */
const names = /* @__PURE__ */ entries("s bigint, i text");

/** @param s the schema, quoted */
export function functionsOf(s: string): string[] {
	const create = (name: string, head: string, declare: string, body: string) => createIn(s, name, head, declare, body);
	const call = (name: string) => `${s}.${nameIn(name)}`;
	const notify = notifyIn(s);
	const notifyWorkers = notifyIn(s, "!");
	return [
		// Tests replace it. It sets no search path, because that would cost more than the function.
		`CREATE OR REPLACE FUNCTION ${s}.clock() RETURNS pg_catalog.int8 LANGUAGE sql AS $f$
SELECT pg_catalog.floor(EXTRACT(epoch FROM pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.*) 1000)::pg_catalog.int8
$f$;`,

		// Makes the first task of a lane the head if it is blocked. A turn that has just ended a head knows that the
		// next one follows it. With one snapshot for the whole transaction, it would not see tasks that joined the lane
		// before it got the lock. If somebody has locked the first one, which may be about to end, a later turn looks again.
		create(
			"promote",
			"(b text, ls text[], above bigint[]) RETURNS boolean",
			"mine text[]; lows bigint[]; firsts bigint[]; running bigint[]; corners text[]; free bigint[] := '{}'; promoted int;",
			`IF current_setting('transaction_isolation') <> 'read committed' AND ls <> '{}' THEN
	RAISE 'lanes need transactions that are READ COMMITTED' USING ERRCODE = '0A000';
END IF;
SELECT array_agg(l), array_agg(a) INTO mine, lows FROM unnest(ls, above) u (l, a) WHERE pg_try_advisory_xact_lock(${laneLock});
IF mine IS DISTINCT FROM ls THEN
	INSERT INTO ${s}.lanes SELECT b, l FROM unnest(ls) l WHERE l <> ALL (coalesce(mine, '{}'));
END IF;
PERFORM pg_advisory_xact_lock_shared(${levelLock});
SELECT array_agg(x.seq), array_agg(x.seq) FILTER (WHERE x.follows), array_agg(l) FILTER (WHERE x.follows) INTO firsts, running, corners
FROM unnest(mine, lows) u (l, a), LATERAL (
	SELECT seq, ${isFollower} AS follows FROM ${s}.tasks
	WHERE basket = b AND lane = l AND state < 6 AND seq > coalesce(a, 0) ORDER BY seq LIMIT 1
) x;
IF running <> '{}' THEN
	free := ARRAY(SELECT seq FROM ${s}.tasks WHERE seq = ANY (running) AND ${isFollower} FOR UPDATE SKIP LOCKED);
	INSERT INTO ${s}.lanes SELECT b, l FROM unnest(running, corners) n (k, l) WHERE k <> ALL (free);
END IF;
WITH heads AS (
	UPDATE ${s}.tasks SET state = CASE WHEN state = 2 THEN 0 WHEN state = 5 THEN 4 WHEN behind = 1 THEN 1 ELSE 3 END, behind = NULL
	WHERE seq = ANY (firsts) AND (state IN (2, 5) OR seq = ANY (free)) RETURNING kind, priority, due, gate, state
), lowered AS (${lower(s, "heads WHERE state <> 1")}), ends AS (${
				lower(s, "heads WHERE state = 1", "ends")
			}), noted AS (${
				note(s, "heads WHERE state = 0")
			}) SELECT count(*) FILTER (WHERE state <> 1) INTO promoted FROM heads;
RETURN promoted > 0;`,
		),

		// In the order of the locks, so that two transactions never wait for each other.
		create(
			"enter",
			"(b text, ls text[]) RETURNS void",
			"k bigint;",
			`FOR k IN SELECT DISTINCT ${laneLock} FROM unnest(ls) l ORDER BY 1 LOOP
	PERFORM pg_advisory_xact_lock(k);
END LOOP;`,
		),

		// A call takes whole blocks of numbers, so that its tasks are adjacent. Tasks in a lane begin blocked. An id in
		// use is checked again: its task may have expired or been deleted meanwhile.
		create(
			"add",
			"(b text, ks text, ids text, ls text, gs text, ps text, ds text, vs text, zs text, hint text, own bigint DEFAULT NULL, whose text DEFAULT NULL, joins text DEFAULT NULL) RETURNS text",
			`t bigint; js text[] := joins::text[]; n int := cardinality(vs::text[]); done int := 0; more int; blocks bigint[]; there json; gone bigint[]; logs bigint[]; lost int;
	lanes text[] := ARRAY(SELECT DISTINCT l FROM unnest(ls::text[]) l WHERE l IS NOT NULL);`,
			`IF lanes <> '{}' THEN PERFORM ${call("enter")}(b, lanes); END IF;
PERFORM pg_current_xact_id();
t := ${s}.clock();
${lower(s, "unnest(ks::text[], ps::int[]) u (kind, priority), (SELECT t) d (due)")};
blocks := ARRAY(SELECT nextval('${s}.seq') FROM generate_series(0, (n - 1) / 1024));
IF ids = '{}' THEN
	${insert(s, "NULL", "")};
ELSE
	FOR attempt IN 1..9 LOOP
		WITH a AS (
			${insert(s, "i", "WHERE attempt = 1 OR i IS NOT NULL")}
			ORDER BY i COLLATE "C", o ON CONFLICT (basket, id) WHERE id IS NOT NULL DO NOTHING RETURNING seq
		) SELECT count(*) INTO more FROM a;
		done := done + more;
		there := NULL;
		EXIT WHEN done = n;
		WITH d AS (
			DELETE FROM ${s}.tasks WHERE seq = ANY (ARRAY(
				SELECT seq FROM ${s}.tasks WHERE basket = b AND id = ANY (ids::text[]) AND ${isGone} ORDER BY id FOR UPDATE
			)) RETURNING seq, log
		) SELECT array_agg(seq), array_agg(log) FILTER (WHERE log IS NOT NULL) INTO gone, logs FROM d;
		DELETE FROM ${s}.messages WHERE task = ANY (gone);
		${erase(s, "logs")}
		SELECT json_agg(json_build_array(o - 1, x.state)), count(*) FILTER (WHERE x.seq IS NULL) INTO there, lost
		FROM unnest(ids::text[]) WITH ORDINALITY r (i, o) LEFT JOIN ${s}.tasks x ON x.basket = b AND x.id = i
		WHERE i IS NOT NULL AND x.seq IS DISTINCT FROM ${numberAt("o")};
		EXIT WHEN lost = 0;
	END LOOP;
END IF;
IF gs <> '{}' THEN
	${
				note(
					s,
					`unnest(ks::text[], gs::text[], ds::bigint[]) WITH ORDINALITY u (kind, gate, d, o), LATERAL (SELECT t + d) x (due)
		WHERE there IS NULL OR o - 1 NOT IN (SELECT (e->>0)::int FROM json_array_elements(there) e)`,
				)
			};
END IF;
IF lanes <> '{}' THEN PERFORM ${call("promote")}(b, lanes, '{}'); END IF;
IF hint <> '' THEN ${notify} END IF;
RETURN json_build_array(blocks, there);`,
		),

		put(s),

		giveBack(s),

		turn(s),

		// A locked task, especially one locked by the caller's own transaction, must not block the others.
		// The levels must know of a lease that is shorter than those that tasks were claimed with.
		create(
			"extend",
			"(b text, q text, lease text) RETURNS text",
			`t bigint := ${s}.clock(); r record; answers int[] := '{}'; isPosted boolean;
	isShorter boolean := EXISTS (SELECT FROM ${s}.tasks WHERE ${extended} AND gate IS NOT NULL AND due > t + lease::bigint);`,
			`FOR r IN SELECT * FROM json_to_recordset(q::json) AS (s bigint, n int, i text) LOOP
	UPDATE ${s}.tasks SET due = t + lease::bigint
	WHERE seq = (SELECT seq FROM ${s}.tasks WHERE ${isRef} FOR UPDATE SKIP LOCKED);
	SELECT posted > seen INTO isPosted FROM ${s}.tasks WHERE ${isRef};
	answers := answers || CASE WHEN isPosted THEN 2 WHEN FOUND THEN 1 ELSE 0 END;
END LOOP;
IF EXISTS (SELECT FROM ${s}.levels v WHERE v.basket = b AND v.ends > t + lease::bigint) THEN
	PERFORM pg_advisory_xact_lock_shared(${levelLock});
	${lower(s, `${s}.tasks WHERE ${extended} AND state = 1`, "ends")};
END IF;
IF isShorter THEN ${note(s, `${s}.tasks WHERE ${extended} AND state = 1`)}; END IF;
RETURN to_json(answers);`,
		),

		create(
			"save",
			"(b text, q text, corners text DEFAULT '{}') RETURNS text",
			"r record; saved boolean[] := '{}'; p int; own bigint;",
			`IF corners <> '{}' THEN PERFORM ${call("enter")}(b, corners::text[]); END IF;
FOR r IN SELECT * FROM ${entries(`s bigint, n int, i text, v text, g text, m int, ${partColumns}`)} ${inOrder} LOOP
	own := NULL;
	IF (r.f IS NOT NULL OR r.j IS NOT NULL) AND coalesce(r.v, r.g, r.m::text) IS NULL THEN
		SELECT log INTO own FROM ${s}.tasks WHERE ${isRef} FOR NO KEY UPDATE;
	END IF;
	IF own IS NULL THEN
		UPDATE ${s}.tasks SET payload = coalesce(r.v, payload), progress = coalesce(r.g, progress),
			seen = greatest(seen, least(posted, coalesce(r.m, 0))), ${opened}
		WHERE ${isRef} RETURNING posted, log INTO p, own;
	END IF;
	saved[r.o] := FOUND;
	CONTINUE WHEN NOT FOUND;
	IF p > 0 AND r.m IS NOT NULL THEN DELETE FROM ${s}.messages WHERE task = r.s AND n <= r.m; END IF;
	IF r.f IS NOT NULL THEN ${append(s, "own")} END IF;
	IF r.j IS NOT NULL THEN PERFORM ${call("grow")}(b, own, r.s, r.j); END IF;
END LOOP;
RETURN to_json(saved);`,
		),

		create(
			"remove",
			"(b text, q text, hint text) RETURNS text",
			`t bigint := ${s}.clock(); r record; x record; removed boolean[] := '{}'; lanes text[] := '{}'; logs bigint[] := '{}'; fates ${s}.endings[] := '{}'; isClaimed boolean := false; isFreed boolean := false;`,
			`FOR r IN SELECT * FROM ${names} ${inOrder} LOOP
	DELETE FROM ${s}.tasks WHERE ${isNamed} RETURNING seq, lane, state, posted, ${isGone} AS "isGone", kind, ${keyOf()} AS key, log, kin, joined INTO x;
	removed[r.o] := FOUND AND NOT coalesce(x."isGone", true);
	CONTINUE WHEN NOT FOUND;
	IF x.state IN (1, 3) THEN
		isClaimed := true;
		IF x.key IS NOT NULL THEN
			INSERT INTO ${s}.notes VALUES (b, x.kind, x.key, 0);
			isFreed := isFreed OR EXISTS (${waitsAt(s, "x.kind", "x.key")});
		END IF;
	END IF;
	IF x.posted > 0 THEN DELETE FROM ${s}.messages WHERE task = x.seq; END IF;
	IF x.log IS NOT NULL THEN logs := logs || x.log; END IF;
	IF x.joined IS NOT NULL AND x.state < 6 THEN fates := fates || ${ending(s, "x", "true")}; END IF;
	IF x.lane IS NOT NULL AND x.state < 6 THEN lanes := lanes || x.lane; END IF;
END LOOP;
${erase(s, "logs")}
${storeEndings(s, "fates")}
IF hint <> '' AND logs <> '{}' THEN PERFORM ${call("disperse")}(b); END IF;
IF fates <> '{}' AND (hint = '' OR ${call("count")}(b)) THEN isFreed := true; END IF;
IF ${call("promote")}(b, ARRAY(SELECT DISTINCT unnest(lanes)), '{}') OR isFreed THEN ${notify} END IF;
IF isClaimed THEN ${notifyWorkers} END IF;
RETURN to_json(removed);`,
		),

		// A dead task, or one that is restarted, gets a new number and moves to the end; its id contains the old one. The locks of lanes come before those
		// of tasks, as in all functions that wait for both.
		create(
			"change",
			"(b text, q text, w text) RETURNS text",
			"t bigint; r record; x record; changed boolean[] := '{}'; can boolean; last bigint; touched bigint[] := '{}'; lanes text[]; blocks bigint[];",
			`IF w IN ('retry', 'restart') THEN
	lanes := ARRAY(SELECT DISTINCT over.lane FROM ${names}, LATERAL (
		SELECT lane FROM ${s}.tasks WHERE ${
				isNamedBy("e")
			} AND (state = 6 OR w = 'restart' AND state = 7) AND lane IS NOT NULL
	) over);
	PERFORM ${call("enter")}(b, lanes);
	blocks := ARRAY(SELECT nextval('${s}.seq') FROM generate_series(0, (json_array_length(q::json) - 1) / 1024));
END IF;
PERFORM pg_advisory_xact_lock_shared(${levelLock});
t := ${s}.clock();
FOR r IN SELECT * FROM ${entries("s bigint, i text, k text, v text, l boolean")} ${inOrder} LOOP
	SELECT seq, state, lane, log, ${isGone} AS "isGone", ${isFollower} AS follows, behind INTO x FROM ${s}.tasks WHERE ${isNamed} FOR UPDATE;
	can := CASE WHEN x.follows THEN x.behind = CASE w WHEN 'hold' THEN 1 WHEN 'release' THEN 2 ELSE 0 END ELSE coalesce(x.state = ANY (CASE w WHEN 'hold' THEN '{0,1,2}' WHEN 'release' THEN '{3,4,5}' WHEN 'restart' THEN '{6,7}' ELSE '{0,2,6}' END::int[]) AND NOT x."isGone" AND (w <> 'restart' OR lpad(x.seq::text, 16, '0') = r.k), false) END;
	changed[r.o] := can;
	CONTINUE WHEN NOT can;
	touched := touched || x.seq;
	IF x.follows THEN
		UPDATE ${s}.tasks SET behind = 3 - behind WHERE seq = x.seq;
	ELSIF w IN ('hold', 'release') THEN
		UPDATE ${s}.tasks SET state = CASE state WHEN 0 THEN 4 WHEN 4 THEN 0 WHEN 1 THEN 3 WHEN 3 THEN 1 WHEN 2 THEN 5 ELSE 2 END
		WHERE seq = x.seq;
	ELSIF x.state < 6 THEN
		UPDATE ${s}.tasks SET due = least(due, t) WHERE seq = x.seq;
	ELSE
		IF x.lane IS NOT NULL AND x.lane <> ALL (lanes) THEN RAISE 'a task has died meanwhile' USING ERRCODE = '40001'; END IF;
		last := ${numberAt("r.o")};
		IF w = 'restart' THEN
			DELETE FROM ${s}.messages WHERE task = x.seq;
			IF x.log IS NOT NULL AND NOT r.l THEN PERFORM ${call("erase")}(ARRAY[x.log]); END IF;
			UPDATE ${s}.tasks SET payload = r.v, result = NULL, posted = 0, seen = 0, log = CASE WHEN r.l THEN log END WHERE seq = x.seq;
		END IF;
		${restart(s, "last", "x.seq")}
		touched := touched || last;
		IF x.lane IS NOT NULL THEN PERFORM ${call("promote")}(b, ARRAY[x.lane], '{}'); END IF;
	END IF;
END LOOP;
${lower(s, `${s}.tasks WHERE seq = ANY (touched) AND state = 0`)};
${lower(s, `${s}.tasks WHERE seq = ANY (touched) AND state = 1`, "ends")};
${note(s, `${s}.tasks WHERE seq = ANY (touched) AND state IN (0, 1)`)};
IF w <> 'hold' THEN ${notify} END IF;
RETURN to_json(changed);`,
		),

		create(
			"hasten",
			"(b text, w text) RETURNS text",
			"t bigint; hastened int;",
			`PERFORM pg_advisory_xact_lock_shared(${levelLock});
t := ${s}.clock();
WITH sooner AS (
	UPDATE ${s}.tasks SET due = t + floor(random() * w::bigint)::bigint
	WHERE basket = b AND backoff AND state = 0 AND due > t + w::bigint RETURNING kind, priority, due, gate
), lowered AS (${lower(s, "sooner")}), noted AS (${note(s, "sooner")}) SELECT count(*) INTO hastened FROM sooner;
IF hastened > 0 THEN ${notify} END IF;
RETURN hastened;`,
		),

		// A held task becomes due, too, because the later release does not know of the message. The due time of a
		// running task is its lease.
		create(
			"post",
			"(b text, q text, d text) RETURNS text",
			"t bigint; r record; p int; k bigint; isClaimed boolean;",
			`PERFORM pg_advisory_xact_lock_shared(${levelLock});
t := ${s}.clock();
SELECT * INTO r FROM json_to_record(q::json) AS (s bigint, i text);
UPDATE ${s}.tasks SET posted = posted + 1, due = CASE WHEN state IN (1, 3) THEN due ELSE least(due, added, t) END
WHERE ${isNamed} AND state < 6 RETURNING seq, posted, state IN (1, 3) INTO k, p, isClaimed;
IF NOT FOUND THEN RETURN false; END IF;
INSERT INTO ${s}.messages VALUES (k, p, d);
${lower(s, `${s}.tasks WHERE seq = k AND state = 0`)};
${note(s, `${s}.tasks WHERE seq = k AND state = 0`)};
IF isClaimed THEN ${notifyWorkers} ELSE ${notify} END IF;
RETURN true;`,
		),

		create(
			"get",
			"(b text, q text) RETURNS text",
			`t bigint := ${s}.clock(); r record;`,
			`SELECT * INTO r FROM json_to_record(q::json) AS (s bigint, i text);
RETURN (SELECT json_build_array(${columns}, ${keyOf()}, (
	SELECT json_agg(json_build_array(n, data) ORDER BY n) FROM ${s}.messages WHERE task = seq AND n > seen
)) FROM ${s}.tasks WHERE ${isNamed} AND NOT (${isGone}));`,
		),

		...logging(s),

		...families(s),

		list(s),

		create(
			"counts",
			"(b text) RETURNS text",
			`t bigint := ${s}.clock();`,
			`RETURN (SELECT coalesce(json_agg(json_build_array(state, count)), '[]') FROM (
	SELECT state, count(*) FROM ${s}.tasks WHERE basket = b AND NOT (${isGone}) GROUP BY state
) c);`,
		),

		...pausing(s),

		create(
			"tell",
			"(message text) RETURNS text",
			"",
			`PERFORM pg_notify('${s.slice(1, -1)}', left(message, 1001));
RETURN '';`,
		),
	];
}
