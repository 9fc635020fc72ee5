/**
 * Listing, as a function in the database.
 *
 * @module
 */

import { variantMark } from "../../basket/store.ts";
import { columns, create, isGone, isNamedBy, keyOf } from "./sql.ts";

/**
 * The query determines the index: the ids with a prefix are read in their order, which only the index of ids has, and
 * sorted; the tasks of a lane come from two indexes, children and those aside from one each, and all others in the order of
 * their numbers.
 *
 * @param s the schema, quoted
 */
export function list(s: string): string {
	return create(
		s,
		"list",
		"(b text, q text) RETURNS text",
		`t bigint := ${s}.clock(); r record; p record; own bigint; rest text := ''; source text; direction text := 'ASC'; found text;`,
		`SELECT * INTO r FROM json_to_record(q::json)
	AS (parent json, forms int[], kind text, lane text, froms text[], tos text[], after bigint, most bigint, back boolean);
IF r.back THEN direction := 'DESC'; END IF;
rest := rest || ' AND NOT (state > 5 AND due <= $5) AND seq ' || CASE WHEN r.back THEN '<' ELSE '>' END || ' $2';
IF r.forms IS NOT NULL THEN rest := rest || ' AND state IN (' || array_to_string(r.forms, ', ') || ')'; END IF;
IF r.kind IS NOT NULL THEN rest := rest || ' AND (kind = $4 OR starts_with(kind, $4 || chr(${
			variantMark.charCodeAt(0)
		})))'; END IF;
IF r.lane IS NOT NULL THEN rest := rest || ' AND lane = $8'; END IF;
IF r.parent IS NULL THEN rest := rest || ' AND kin IS NULL'; END IF;
IF r.parent IS NOT NULL AND r.froms IS NOT NULL THEN
	rest := rest || ' AND EXISTS (SELECT FROM unnest($6, $7) u (f, l) WHERE id >= f AND id <= l)';
END IF;
rest := rest || ' ORDER BY seq ' || direction || ' LIMIT $3';
source := 'SELECT * FROM ${s}.tasks WHERE basket = $1';
IF r.parent IS NOT NULL THEN
	SELECT * INTO p FROM json_to_record(r.parent) AS (s bigint, i text);
	SELECT log INTO own FROM ${s}.tasks WHERE ${isNamedBy("p")} AND NOT (${isGone});
	source := source || ' AND kin = ' || coalesce(own, 0) || rest;
ELSIF r.froms IS NOT NULL THEN
	source := 'WITH named AS MATERIALIZED (
		SELECT x.* FROM unnest($6, $7) u (f, l), LATERAL (
			SELECT * FROM ${s}.tasks WHERE basket = $1 AND id IS NOT NULL AND id >= f AND id <= l AND left(id, 1) <> ''_'' ORDER BY id
		) x
	) SELECT * FROM named WHERE true' || rest;
ELSIF r.lane IS NOT NULL THEN
	source := 'SELECT * FROM ((' || source || ' AND lane IS NOT NULL AND state < 6' || rest || ')
		UNION ALL (' || source || ' AND lane IS NOT NULL AND state > 5' || rest || ')) x ORDER BY seq ' || direction || ' LIMIT $3';
ELSE
	source := source || CASE WHEN r.forms[1] > 3 THEN ' AND state > 3' ELSE '' END || rest;
END IF;
EXECUTE 'SELECT json_agg(json_build_array(${columns}, ${keyOf()}) ORDER BY seq ' || direction || ')::text FROM (' || source || ') t'
INTO found USING b, r.after, r.most, r.kind, ${s}.clock(), r.froms, r.tos, r.lane;
RETURN coalesce(found, '[]');`,
	);
}
