/**
 * Children and the joins that count them, as functions in the database.
 *
 * The number of a log, `log` of a task, is also that of its family: `kin` of its children, which have a row in `families` as long
 * as their parent is there. `parent` of a child is the id of that, and `joined` is the join that counts its ends.
 *
 * Whoever ends a child adds a row to `endings`, and never waits for the join: the transaction of a caller would let all others
 * wait that end children of it. A call without such a transaction then counts the endings that it can see: if somebody has
 * locked the join or its parent, a later turn does.
 *
 * If a parent is removed, its family is in `orphans`, and turns remove its children in parts.
 *
 * @module
 */

import { create, nameIn } from "./sql.ts";

/** The maximum number of children without parents that are removed at once. */
const most = 100;

/** The tables of families. */
export function familyTables(s: string): string[] {
	const options = "WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500)";
	return [
		`ALTER TABLE ${s}.tasks ADD kin bigint, ADD parent text COLLATE "C", ADD joined text COLLATE "C";`,
		`CREATE INDEX ON ${s}.tasks (kin, seq) WHERE kin IS NOT NULL;`,
		`CREATE TABLE ${s}.families (family bigint PRIMARY KEY, basket text COLLATE "C" NOT NULL);`,
		`CREATE TABLE ${s}.joins (
	family bigint NOT NULL,
	name text COLLATE "C" NOT NULL,
	task bigint NOT NULL,
	missing integer NOT NULL,
	spare double precision,
	data text NOT NULL,
	told boolean NOT NULL DEFAULT false,
	PRIMARY KEY (family, name)
) ${options};`,
		`CREATE TABLE ${s}.endings (
	basket text COLLATE "C" NOT NULL,
	kin bigint NOT NULL,
	name text COLLATE "C" NOT NULL,
	ended bigint NOT NULL,
	bad bigint NOT NULL
) ${options};`,
		`CREATE INDEX ON ${s}.endings (basket, kin, name);`,
		`CREATE TABLE ${s}.orphans (basket text COLLATE "C" NOT NULL, family bigint NOT NULL) ${options};`,
	];
}

/** An ending of the child in the row `x`, for an array of endings. */
export function ending(s: string, x: string, isBad: string): string {
	return `ROW(b, ${x}.kin, ${x}.joined, 1, (${isBad})::int)::${s}.endings`;
}

/** Stores an array of endings. */
export function storeEndings(s: string, endings: string): string {
	return `IF cardinality(${endings}) > 0 THEN
	INSERT INTO ${s}.endings SELECT b, e.kin, e.name, sum(e.ended), sum(e.bad) FROM unnest(${endings}) e
	GROUP BY e.kin, e.name ORDER BY e.kin, e.name;
END IF;`;
}

/** Removes the joins of tasks that have ended, and makes their children orphans if the tasks are gone. */
export function orphan(s: string, logs: string): string {
	return `DELETE FROM ${s}.joins WHERE family = ANY (${logs});
WITH d AS (DELETE FROM ${s}.families WHERE family = ANY (${logs}) RETURNING basket, family)
INSERT INTO ${s}.orphans SELECT basket, family FROM d;`;
}

/** @param s the schema, quoted */
export function families(s: string): string[] {
	const call = (name: string) => `${s}.${nameIn(name)}`;
	return [
		// Adds a join and children to a claimed task.
		create(
			s,
			"grow",
			"(b text, own bigint, corner bigint, j json) RETURNS void",
			"",
			`INSERT INTO ${s}.families VALUES (own, b) ON CONFLICT DO NOTHING;
IF j->>'n' IS NOT NULL THEN
	INSERT INTO ${s}.joins VALUES (own, j->>'n', corner, (j->>'l')::int, (j->>'s')::float8, j->>'d')
	ON CONFLICT (family, name) DO UPDATE SET missing = excluded.missing, spare = excluded.spare, data = excluded.data, told = false
	WHERE j->>'r' IS NOT NULL;
END IF;
IF j->'c' IS NOT NULL THEN
	IF EXISTS (SELECT FROM ${s}.orphans WHERE basket = b) THEN
		PERFORM ${call("remove")}(b, coalesce((
			SELECT json_agg(json_build_object('i', id)) FROM ${s}.tasks WHERE basket = b AND id = ANY ((j->'c'->>1)::text[])
			AND kin IN (SELECT family FROM ${s}.orphans WHERE basket = b)
		), '[]')::text, '');
	END IF;
	PERFORM ${
				call("add")
			}(b, j->'c'->>0, j->'c'->>1, j->'c'->>2, j->'c'->>3, j->'c'->>4, j->'c'->>5, j->'c'->>6, j->'c'->>7, '1', own, j->>'p', j->>'js');
END IF;`,
		),

		// Counts endings. Returns whether some are left because somebody has locked what they change.
		create(
			s,
			"count",
			"(b text) RETURNS boolean",
			"g record; j record; n bigint; x bigint; isLeft boolean := false; isTold boolean; k bigint; title text;",
			`FOR g IN SELECT DISTINCT e.kin, e.name FROM ${s}.endings e WHERE e.basket = b ORDER BY 1, 2 LIMIT 1000 LOOP
	SELECT * INTO j FROM ${s}.joins o WHERE o.family = g.kin AND o.name = g.name FOR UPDATE SKIP LOCKED;
	IF NOT FOUND AND EXISTS (SELECT FROM ${s}.joins o WHERE o.family = g.kin AND o.name = g.name) THEN
		isLeft := true;
		CONTINUE;
	END IF;
	WITH d AS (
		DELETE FROM ${s}.endings WHERE ctid = ANY (ARRAY(
			SELECT e.ctid FROM ${s}.endings e WHERE e.basket = b AND e.kin = g.kin AND e.name = g.name FOR UPDATE SKIP LOCKED
		)) RETURNING ended, bad
	) SELECT sum(ended), sum(bad) INTO n, x FROM d;
	CONTINUE WHEN j.family IS NULL OR j.told OR n IS NULL;
	isTold := coalesce(j.missing <= n OR j.spare < x, false);
	k := NULL;
	IF isTold THEN
		SELECT seq, id INTO k, title FROM ${s}.tasks WHERE seq = j.task AND log = j.family AND state < 6 FOR UPDATE SKIP LOCKED;
		IF NOT FOUND AND EXISTS (SELECT FROM ${s}.tasks WHERE seq = j.task AND log = j.family AND state < 6) THEN
			INSERT INTO ${s}.endings VALUES (b, g.kin, g.name, n, x);
			isLeft := true;
			CONTINUE;
		END IF;
	END IF;
	UPDATE ${s}.joins o SET missing = missing - n, spare = spare - x, told = isTold, data = CASE WHEN isTold THEN '' ELSE data END
	WHERE o.family = g.kin AND o.name = g.name;
	IF k IS NOT NULL THEN PERFORM ${call("post")}(b, json_build_object('s', k, 'i', title)::text, j.data); END IF;
END LOOP;
RETURN isLeft;`,
		),

		// Removes children without parents, but for those that somebody has locked. Returns whether there are more.
		create(
			s,
			"disperse",
			"(b text) RETURNS boolean",
			"f record; heirs text[]; isLeft boolean := false;",
			`FOR f IN SELECT ctid AS place, family FROM ${s}.orphans WHERE basket = b LIMIT 10 FOR UPDATE SKIP LOCKED LOOP
	heirs := ARRAY(SELECT id FROM ${s}.tasks WHERE kin = f.family ORDER BY seq DESC LIMIT ${most} FOR UPDATE SKIP LOCKED);
	IF heirs <> '{}' THEN
		PERFORM ${call("remove")}(b, (SELECT json_agg(json_build_object('i', i)) FROM unnest(heirs) i)::text, '');
	END IF;
	IF EXISTS (SELECT FROM ${s}.tasks WHERE kin = f.family) THEN isLeft := true;
	ELSE DELETE FROM ${s}.orphans WHERE ctid = f.place;
	END IF;
END LOOP;
RETURN isLeft;`,
		),
	];
}
