/**
 * Adding with `ifPresent`, as a function in the database.
 *
 * @module
 */

import {
	create,
	isCollected,
	isGone,
	levelLock,
	lower,
	nameIn,
	note,
	notify,
	nowhere,
	numberAt,
	restart,
	unclaimed,
} from "./sql.ts";

/**
 * The arrays of tasks. `c` is whether the task replaces another one, `w` its maximum wait, `x` an item to collect, and `m`
 * the number of items with which it is due at once; `z` is its meta.
 */
const given =
	`unnest(ks::text[], ids::text[], ls::text[], gs::text[], ps::int[], ds::bigint[], vs::text[], ws::bigint[], cs::boolean[], xs::text[], ms::int[], zs::text[])
	WITH ORDINALITY AS g (k, i, l, y, p, d, v, w, c, x, m, z, o)`;

/** The gate of a running task that is replaced: it keeps its place at that of its claim. */
function moved(): string {
	return `gate = r.y, place = nullif(coalesce(place, gate, ${nowhere}), coalesce(r.y, ${nowhere}))`;
}

/** What would wait for this long anyway is no news for other processes. */
const soon = 60_000;

/**
 * The plain `add` inserts all tasks in one statement. This function takes one after the other, in the order in which
 * all functions lock tasks, so that two calls with some of the same ids never wait for each other. It answers with the
 * first numbers of the blocks, the tasks that were there, and the task that has another kind or lane, if any: then it
 * has changed nothing, so that a transaction of the caller can go on.
 *
 * @param s the schema, quoted
 */
export function put(s: string): string {
	return create(
		s,
		"put",
		"(b text, ks text, ids text, ls text, gs text, ps text, ds text, vs text, ws text, cs text, xs text, ms text, zs text, hint text) RETURNS text",
		`t bigint; r record; blocks bigint[]; own bigint; there json[] := '{}'; touched bigint[] := '{}'; wrong json;
	prior bigint; form int; other text; corner text; letters int; recorded bigint; ended boolean; isNew boolean; isOther boolean;
	lanes text[] := ARRAY(SELECT DISTINCT l FROM unnest(ls::text[]) l WHERE l IS NOT NULL);`,
		`IF lanes <> '{}' THEN PERFORM ${s}.${nameIn("enter")}(b, lanes); END IF;
PERFORM pg_advisory_xact_lock_shared(${levelLock});
PERFORM pg_current_xact_id();
t := ${s}.clock();
SELECT json_build_array(o - 1, kind, lane, collected) INTO wrong FROM (
	SELECT g.*, CASE WHEN seq IS NULL THEN first_value(k) OVER same ELSE kind END AS kind,
		CASE WHEN seq IS NULL THEN first_value(l) OVER same ELSE lane END AS lane,
		CASE WHEN seq IS NULL THEN first_value(${isCollected("v")}) OVER same ELSE ${
			isCollected("payload")
		} END AS collected
	FROM ${given} LEFT JOIN ${s}.tasks ON basket = b AND id = i AND NOT (${isGone})
	WINDOW same AS (PARTITION BY i ORDER BY o)
) x WHERE c AND i IS NOT NULL AND (k <> kind OR l IS DISTINCT FROM lane OR ${
			isCollected("v")
		} <> collected) ORDER BY o LIMIT 1;
IF wrong IS NOT NULL THEN RETURN json_build_array(NULL, NULL, wrong); END IF;
blocks := ARRAY(SELECT nextval('${s}.seq') FROM generate_series(0, (cardinality(vs::text[]) - 1) / 1024));
FOR r IN SELECT * FROM ${given} ORDER BY i COLLATE "C", o LOOP
	own := ${numberAt("r.o")};
	form := NULL;
	LOOP
		SELECT seq, state, kind, lane, posted, log, ${isGone}, ${isCollected("payload")} <> ${isCollected("r.v")}
		INTO prior, form, other, corner, letters, recorded, ended, isOther
		FROM ${s}.tasks WHERE basket = b AND id = r.i FOR UPDATE;
		isNew := prior IS NULL OR ended OR form > 5 AND r.c AND NOT (form = 6 AND r.x IS NOT NULL);
		EXIT WHEN NOT isNew;
		IF prior IS NOT NULL THEN
			DELETE FROM ${s}.tasks WHERE seq = prior;
			IF letters > 0 THEN DELETE FROM ${s}.messages WHERE task = prior; END IF;
			IF recorded IS NOT NULL THEN PERFORM ${s}.${nameIn("erase")}(ARRAY[recorded]); END IF;
			IF ended THEN form := NULL; END IF;
		END IF;
		INSERT INTO ${s}.tasks (seq, basket, kind, id, lane, gate, priority, state, due, added, payload, meta)
		VALUES (own, b, r.k, r.i, r.l, r.y, r.p, CASE WHEN r.l IS NULL THEN 0 ELSE 2 END, t + r.d, t, r.v, r.z)
		ON CONFLICT (basket, id) WHERE id IS NOT NULL DO NOTHING;
		EXIT WHEN FOUND;
	END LOOP;
	IF form IS NOT NULL THEN
		there := there || json_build_array(r.o - 1, form, r.c);
		IF r.c AND (other <> r.k OR corner IS DISTINCT FROM r.l OR isOther) THEN
			RAISE 'the task was added with another kind or lane meanwhile' USING ERRCODE = '40001';
		END IF;
	END IF;
	IF r.x IS NOT NULL THEN
		IF isNew THEN
			prior := own;
		ELSIF form = 6 THEN
			${restart(s, "own", "prior")}
			prior := own;
		END IF;
		touched := touched || prior;
		IF NOT isNew AND form IN (1, 3) THEN
			UPDATE ${s}.tasks SET posted = posted + 1, newer = r.v, newer_meta = r.z, newer_priority = r.p, newer_added = coalesce(newer_added, t),
				newer_due = least(t + r.d, coalesce(newer_added, t) + r.w), ${moved()}
			WHERE seq = prior RETURNING posted INTO letters;
		ELSE
			UPDATE ${s}.tasks SET posted = posted + 1, payload = r.v, meta = r.z, priority = r.p, gate = r.y, due = CASE
				WHEN attempts + crashes::bigint > 0 THEN due
				WHEN posted + 1 - seen >= r.m THEN t
				ELSE least(t + r.d, added + r.w) END
			WHERE seq = prior RETURNING posted INTO letters;
		END IF;
		INSERT INTO ${s}.messages VALUES (prior, letters, r.x);
	ELSIF isNew THEN
		touched := touched || own;
	ELSIF r.c THEN
		touched := touched || prior;
		IF form IN (1, 3) THEN
			UPDATE ${s}.tasks SET newer = r.v, newer_meta = r.z, newer_priority = r.p, newer_added = coalesce(newer_added, t),
				newer_due = least(t + r.d, coalesce(newer_added, t) + r.w), ${moved()}
			WHERE seq = prior;
		ELSE
			UPDATE ${s}.tasks SET payload = r.v, meta = r.z, priority = r.p, gate = r.y, attempts = 0, crashes = 0, backoff = false, error = NULL, progress = NULL, ${unclaimed},
				added = CASE WHEN attempts + crashes::bigint > 0 THEN t ELSE added END,
				due = least(t + r.d, CASE WHEN attempts + crashes::bigint > 0 THEN t ELSE added END + r.w)
			WHERE seq = prior;
		END IF;
	END IF;
END LOOP;
${lower(s, `${s}.tasks WHERE seq = ANY (touched) AND state = 0`)};
${
			lower(
				s,
				`(SELECT kind, newer_priority AS priority, newer_due AS due FROM ${s}.tasks WHERE seq = ANY (touched) AND newer IS NOT NULL) n`,
			)
		};
${note(s, `${s}.tasks WHERE seq = ANY (touched) AND state IN (0, 1)`)};
IF lanes <> '{}' THEN PERFORM ${s}.${nameIn("promote")}(b, lanes, '{}'); END IF;
IF hint <> '' AND EXISTS (SELECT FROM ${s}.tasks WHERE seq = ANY (touched) AND state = 0 AND due < t + ${soon}) THEN
	${notify(s)}
END IF;
RETURN json_build_array(blocks, to_json(there), NULL);`,
	);
}
