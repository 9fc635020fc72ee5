/**
 * What the store does, as functions in the database: each call of the store is one statement and so one transaction of its
 * own, or a part of the caller's; what it consists of is planned once for each connection, prepared or not; and after a
 * lock has been waited for, the next statement sees what was done meanwhile.
 *
 * The states are numbers: 0 waiting, 1 running, 2 blocked, 3 running and to be held after that, 4 held, 5 blocked and to be
 * held as the head of its lane, 6 dead, 7 done. A claim looks at those below 2, a lane at those below 6.
 *
 * Lanes: whoever adds to a lane holds its lock until the end of the transaction. Who ends the head of a lane whose lock is
 * held by somebody must not wait for that, it would keep everything else from going on: it leaves a note in `lanes`, and
 * one of the next turns lets the next one move up.
 *
 * @module
 */

/** Due when something is posted to it, and not before: the last number that is safe in JavaScript. */
export const never = "9007199254740991";

/** The number that is locked for the lane `l` of the basket `b`. */
const laneLock = "hashtextextended(l, hashtextextended(b, 0))";

/** The task that a reference `r` with the columns s, n and i means, if that is its current claim. */
const isRef = "seq = r.s AND claims = r.n AND basket = b AND state IN (1, 3) AND id IS NOT DISTINCT FROM r.i";

/** The task with the id `r.i`, which the store itself may have made of the number `r.s`. */
const isNamed = "basket = b AND (id = r.i OR seq = r.s AND id IS NULL)";

/** What {@link readRow} of data.ts reads. */
export const columns =
	"seq, id, kind, lane, priority, state, due, added, attempts, crashes, claims, error, payload, progress";

/** The tasks in the arrays of `add`. */
function insert(s: string, id: string, end: string): string {
	return `INSERT INTO ${s}.tasks (seq, basket, kind, id, lane, priority, state, due, added, payload)
	SELECT blocks[1 + (o - 1) / 1024] * 1024 + (o - 1) % 1024, b, k, ${id}, l, p, CASE WHEN l IS NULL THEN 0 ELSE 2 END, t + d, t, v
	FROM unnest(ks::text[], nullif(ids, '')::text[], ls::text[], ps::int[], ds::bigint[], vs::text[]) WITH ORDINALITY
		AS r (k, i, l, p, d, v, o)
	${end}`;
}

/** @param s the schema, quoted */
export function functionsOf(s: string): string[] {
	const create = (head: string, declare: string, body: string) =>
		`CREATE FUNCTION ${s}.${head} LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $f$
DECLARE ${declare}
BEGIN
${body}
END $f$;`;
	const notify = `PERFORM pg_notify('${s.slice(1, -1)}', ':' || left(b, 1000));`;
	const due = (priority: string, more = "") =>
		`FROM ${s}.tasks WHERE basket = b AND state < 2 AND priority ${priority} ${more} AND kind =`;
	return [
		// Tests put another one in its place.
		`CREATE FUNCTION ${s}.clock() RETURNS bigint LANGUAGE sql AS $f$
SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
$f$;`,

		// Where the first in a lane is still blocked, it becomes the head. Who has just ended the head knows that it stands above it.
		// With one snapshot for a whole transaction nobody would see who has joined the lane before the lock was his.
		create(
			"promote(b text, ls text[], above bigint[]) RETURNS boolean",
			"mine text[]; lows bigint[];",
			`IF current_setting('transaction_isolation') <> 'read committed' AND ls <> '{}' THEN
	RAISE 'lanes need transactions that are READ COMMITTED' USING ERRCODE = '0A000';
END IF;
SELECT array_agg(l), array_agg(a) INTO mine, lows FROM unnest(ls, above) u (l, a) WHERE pg_try_advisory_xact_lock(${laneLock});
IF mine IS DISTINCT FROM ls THEN
	INSERT INTO ${s}.lanes SELECT b, l FROM unnest(ls) l WHERE l <> ALL (coalesce(mine, '{}'));
END IF;
UPDATE ${s}.tasks SET state = CASE state WHEN 2 THEN 0 ELSE 4 END WHERE state IN (2, 5) AND seq = ANY (ARRAY(
	SELECT (SELECT seq FROM ${s}.tasks WHERE basket = b AND lane = l AND state < 6 AND seq > coalesce(a, 0) ORDER BY seq LIMIT 1)
	FROM unnest(mine, lows) u (l, a)
));
RETURN FOUND;`,
		),

		// In the order of the locks, so that two of these never wait for each other.
		create(
			"enter(b text, ls text[]) RETURNS void",
			"k bigint;",
			`FOR k IN SELECT DISTINCT ${laneLock} FROM unnest(ls) l ORDER BY 1 LOOP
	PERFORM pg_advisory_xact_lock(k);
END LOOP;`,
		),

		// A call takes whole blocks of numbers, so that its tasks stand together. In a lane all begin blocked.
		create(
			"add(b text, ks text, ids text, ls text, ps text, ds text, vs text, hint text) RETURNS text",
			`t bigint; n int := cardinality(vs::text[]); done int; blocks bigint[]; seqs bigint[];
	lanes text[] := ARRAY(SELECT DISTINCT l FROM unnest(ls::text[]) l WHERE l IS NOT NULL);`,
			`IF lanes <> '{}' THEN PERFORM ${s}.enter(b, lanes); END IF;
t := ${s}.clock();
blocks := ARRAY(SELECT nextval('${s}.seq') FROM generate_series(0, (n - 1) / 1024));
IF ids = '' THEN
	${insert(s, "NULL", "")};
	done := n;
ELSE
	WITH i AS (
		${insert(s, "i", "ORDER BY i, o ON CONFLICT (basket, id) WHERE id IS NOT NULL DO NOTHING RETURNING seq")}
	) SELECT array_agg(seq), count(*) INTO seqs, done FROM i;
END IF;
IF lanes <> '{}' THEN PERFORM ${s}.promote(b, lanes, '{}'); END IF;
IF hint <> '' THEN ${notify} END IF;
RETURN json_build_array(blocks, CASE WHEN done < n THEN coalesce(seqs, '{}') END);`,
		),

		// For each kind and priority of which there is something: when the first is due.
		`CREATE FUNCTION ${s}.levels(b text, ks text[]) RETURNS TABLE (kind text, priority int, due bigint) LANGUAGE sql STABLE AS $f$
WITH RECURSIVE level (k, p, d) AS (
	SELECT k, x.* FROM (SELECT DISTINCT unnest(ks)) u (k), LATERAL (
		SELECT priority, due ${due("< 999")} k ORDER BY priority DESC, due LIMIT 1
	) x
	UNION ALL
	SELECT k, x.* FROM level, LATERAL (SELECT priority, due ${due("< p")} k ORDER BY priority DESC, due LIMIT 1) x
) SELECT k, p, d FROM level
$f$;`,

		// Mostly there is more than was claimed, and then nobody need go past what has just been claimed to find it.
		create(
			"turn(b text, plain text, q text, c text, lease text, hint text) RETURNS text",
			`t bigint := ${s}.clock(); r record; gone bigint[]; settled boolean[] := '{}'; taken json[] := '{}'; columns json;
	lanes text[]; heads bigint[]; l text; p int; posts boolean;
	stirred boolean := false; soon bigint; ks text[]; wanted int; lastDue bigint; isMore boolean := false;`,
			`IF plain <> '{}' THEN
	WITH d AS (
		DELETE FROM ${s}.tasks WHERE seq = ANY (plain::bigint[]) AND basket = b AND state IN (1, 3)
		AND claims = 1 AND id IS NULL RETURNING seq, lane, posted
	) SELECT array_agg(seq), bool_or(posted > 0), array_agg(lane) FILTER (WHERE lane IS NOT NULL),
		array_agg(seq) FILTER (WHERE lane IS NOT NULL)
	INTO gone, posts, lanes, heads FROM d;
	IF posts THEN DELETE FROM ${s}.messages WHERE task = ANY (gone); END IF;
END IF;
IF q <> '[]' THEN
	FOR r IN SELECT * FROM json_to_recordset(q::json)
		AS (s bigint, n int, i text, t int, d bigint, a int, c int, e text, k boolean, m int, v text)
	LOOP
		IF r.t < 0 THEN
			DELETE FROM ${s}.tasks WHERE ${isRef} RETURNING lane, posted INTO l, p;
		ELSE
			UPDATE ${s}.tasks SET
				state = CASE WHEN r.t = 0 AND state = 3 THEN 4 ELSE r.t END,
				due = CASE WHEN posted > greatest(seen, r.m) AND r.m IS NOT NULL THEN t ELSE coalesce(t + r.d, ${never}) END,
				attempts = coalesce(r.a, attempts),
				crashes = coalesce(r.c, crashes),
				error = coalesce(r.e, error),
				backoff = r.k IS TRUE,
				seen = greatest(seen, least(posted, coalesce(r.m, 0))),
				payload = coalesce(r.v, payload)
			WHERE ${isRef} RETURNING lane, posted INTO l, p;
		END IF;
		settled := settled || FOUND;
		CONTINUE WHEN NOT FOUND;
		IF p > 0 THEN
			DELETE FROM ${s}.messages WHERE task = r.s AND (r.t < 0 OR n <= r.m);
		END IF;
		IF r.t BETWEEN 0 AND 5 THEN stirred := true;
		ELSIF l IS NOT NULL THEN lanes := lanes || l; heads := heads || r.s;
		END IF;
	END LOOP;
END IF;
IF lanes <> '{}' THEN
	stirred := ${s}.promote(b, lanes, heads) OR stirred;
END IF;
DELETE FROM ${s}.messages WHERE task = ANY (ARRAY(
	SELECT seq FROM ${s}.tasks WHERE basket = b AND state = 7 AND due <= t AND posted > 0
));
DELETE FROM ${s}.tasks WHERE seq = ANY (ARRAY(
	SELECT seq FROM ${s}.tasks WHERE basket = b AND state = 7 AND due <= t
	LIMIT 100 + coalesce(cardinality(gone), 0) + cardinality(settled) FOR UPDATE SKIP LOCKED
));
FOR l IN SELECT DISTINCT lane FROM ${s}.lanes WHERE basket = b LOOP
	IF pg_try_advisory_xact_lock(${laneLock}) THEN
		DELETE FROM ${s}.lanes WHERE basket = b AND lane = l;
		stirred := ${s}.promote(b, ARRAY[l], '{}') OR stirred;
	ELSE
		soon := t + 50;
	END IF;
END LOOP;
FOR wanted, ks IN SELECT (x->>0)::int, ARRAY(SELECT json_array_elements_text(x->1)) FROM json_array_elements(c::json) x LOOP
	isMore := false;
	FOR r IN SELECT v.priority, array_agg(v.kind) AS kinds FROM ${s}.levels(b, ks) v WHERE v.due <= t GROUP BY 1 ORDER BY 1 DESC LOOP
		WITH c AS MATERIALIZED (
			SELECT x.* FROM unnest(r.kinds) k, LATERAL (
				SELECT * ${due("= r.priority", "AND due <= t")} k ORDER BY due, seq LIMIT wanted FOR UPDATE SKIP LOCKED
			) x ORDER BY due, seq LIMIT wanted
		), u AS (
			UPDATE ${s}.tasks SET state = 1, due = t + lease::bigint, claims = claims + 1, attempts = attempts + state, crashes = crashes + state
			WHERE seq = ANY (ARRAY(SELECT seq FROM c))
		) SELECT count(*), max(due), json_build_array(
			array_agg(seq), array_agg(id), array_agg(kind), array_agg(lane), array_agg(priority), array_agg(added), array_agg(t - added),
			array_agg(attempts + state), array_agg(crashes + state), array_agg(claims + 1), array_agg(error), array_agg(payload),
			array_agg(CASE WHEN posted > seen THEN (SELECT json_agg(json_build_array(n, data) ORDER BY n) FROM ${s}.messages WHERE task = seq) END)
		) INTO p, lastDue, columns FROM c;
		CONTINUE WHEN p = 0;
		taken := taken || columns;
		wanted := wanted - p;
		IF wanted = 0 THEN
			IF EXISTS (
				SELECT FROM unnest(r.kinds) k WHERE (SELECT due ${
				due("= r.priority", "AND due > lastDue AND due <= t")
			} k LIMIT 1) > 0
			) THEN isMore := true; END IF;
			EXIT;
		END IF;
	END LOOP;
END LOOP;
IF isMore THEN soon := t;
ELSIF c <> '[]' THEN
	ks := ARRAY(SELECT json_array_elements_text(x->1) FROM json_array_elements(c::json) x);
	soon := least(soon, (SELECT min(nullif(v.due, ${never})) FROM ${s}.levels(b, ks) v));
END IF;
IF stirred AND hint <> '' THEN ${notify} END IF;
RETURN json_build_array(gone, settled, taken, soon - t, stirred);`,
		),

		// One that somebody has locked, most of all the caller's own transaction, must not keep the others waiting.
		create(
			"extend(b text, q text, lease text) RETURNS text",
			`t bigint := ${s}.clock(); r record; answers int[] := '{}'; isPosted boolean;`,
			`FOR r IN SELECT * FROM json_to_recordset(q::json) AS (s bigint, n int, i text) LOOP
	UPDATE ${s}.tasks SET due = t + lease::bigint
	WHERE seq = (SELECT seq FROM ${s}.tasks WHERE ${isRef} FOR UPDATE SKIP LOCKED);
	SELECT posted > seen INTO isPosted FROM ${s}.tasks WHERE ${isRef};
	answers := answers || CASE WHEN isPosted THEN 2 WHEN FOUND THEN 1 ELSE 0 END;
END LOOP;
RETURN to_json(answers);`,
		),

		create(
			"save(b text, q text) RETURNS text",
			"r record; saved boolean[] := '{}'; p int;",
			`FOR r IN SELECT * FROM json_to_recordset(q::json) AS (s bigint, n int, i text, v text, g text, m int) LOOP
	UPDATE ${s}.tasks SET payload = coalesce(r.v, payload), progress = coalesce(r.g, progress),
		seen = greatest(seen, least(posted, coalesce(r.m, 0)))
	WHERE ${isRef} RETURNING posted INTO p;
	saved := saved || FOUND;
	IF FOUND AND p > 0 THEN DELETE FROM ${s}.messages WHERE task = r.s AND n <= r.m; END IF;
END LOOP;
RETURN to_json(saved);`,
		),

		create(
			"remove(b text, q text, hint text) RETURNS text",
			"r record; gone record; removed boolean[] := '{}'; lanes text[] := '{}';",
			`FOR r IN SELECT * FROM json_to_recordset(q::json) AS (s bigint, i text) LOOP
	DELETE FROM ${s}.tasks WHERE ${isNamed} RETURNING seq, lane, state, posted INTO gone;
	removed := removed || FOUND;
	CONTINUE WHEN NOT FOUND;
	IF gone.posted > 0 THEN DELETE FROM ${s}.messages WHERE task = gone.seq; END IF;
	IF gone.lane IS NOT NULL AND gone.state < 6 THEN lanes := lanes || gone.lane; END IF;
END LOOP;
IF ${s}.promote(b, ARRAY(SELECT DISTINCT unnest(lanes)), '{}') THEN ${notify} END IF;
RETURN to_json(removed);`,
		),

		// A dead one gets a new number and moves to the end; the old one goes into its id.
		create(
			"change(b text, q text, w text) RETURNS text",
			`t bigint := ${s}.clock(); r record; x record; changed boolean[] := '{}'; can boolean; last bigint;`,
			`FOR r IN SELECT * FROM json_to_recordset(q::json) AS (s bigint, i text) LOOP
	SELECT seq, state, lane INTO x FROM ${s}.tasks WHERE ${isNamed} FOR UPDATE;
	can := coalesce(x.state = ANY (CASE w WHEN 'hold' THEN '{0,1,2}' WHEN 'release' THEN '{3,4,5}' ELSE '{0,2,6}' END::int[]), false);
	changed := changed || can;
	CONTINUE WHEN NOT can;
	IF w <> 'retry' THEN
		UPDATE ${s}.tasks SET state = CASE state WHEN 0 THEN 4 WHEN 4 THEN 0 WHEN 1 THEN 3 WHEN 3 THEN 1 WHEN 2 THEN 5 ELSE 2 END
		WHERE seq = x.seq;
	ELSIF x.state < 6 THEN
		UPDATE ${s}.tasks SET due = least(due, t) WHERE seq = x.seq;
	ELSE
		PERFORM ${s}.enter(b, ARRAY[x.lane]);
		last := nextval('${s}.seq') * 1024;
		UPDATE ${s}.tasks SET seq = last, id = coalesce(id, '_' || seq), state = CASE WHEN lane IS NULL THEN 0 ELSE 2 END,
			due = t, added = t, attempts = 0, crashes = 0, claims = 0, backoff = false, error = NULL, progress = NULL
		WHERE seq = x.seq;
		UPDATE ${s}.messages SET task = last WHERE task = x.seq;
		IF x.lane IS NOT NULL THEN PERFORM ${s}.promote(b, ARRAY[x.lane], '{}'); END IF;
	END IF;
END LOOP;
IF w <> 'hold' THEN ${notify} END IF;
RETURN to_json(changed);`,
		),

		create(
			"hasten(b text, w text) RETURNS text",
			`t bigint := ${s}.clock(); n int;`,
			`UPDATE ${s}.tasks SET due = t + floor(random() * w::bigint)::bigint
WHERE basket = b AND backoff AND state = 0 AND due > t + w::bigint;
GET DIAGNOSTICS n = ROW_COUNT;
IF n > 0 THEN ${notify} END IF;
RETURN n;`,
		),

		// A held one becomes due, too: who releases it does not know that it has to be woken. What is due of a running one is its lease.
		create(
			"post(b text, q text, d text) RETURNS text",
			`t bigint := ${s}.clock(); r record; p int; k bigint;`,
			`SELECT * INTO r FROM json_to_record(q::json) AS (s bigint, i text);
UPDATE ${s}.tasks SET posted = posted + 1, due = CASE WHEN state IN (1, 3) THEN due ELSE least(due, t) END
WHERE ${isNamed} AND state < 6 RETURNING seq, posted INTO k, p;
IF NOT FOUND THEN RETURN false; END IF;
INSERT INTO ${s}.messages VALUES (k, p, d);
${notify}
RETURN true;`,
		),
	];
}
