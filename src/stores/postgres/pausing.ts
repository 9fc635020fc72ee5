/**
 * Pauses, as functions in the database.
 *
 * @module
 */

import { create, notify, pausedAll, pausedKind } from "./sql.ts";

/** @param s the schema, quoted */
export function pausing(s: string): string[] {
	const isIt = "basket = b AND kind = k AND priority = p";
	return [
		// Concurrent calls for the same kind run one after the other.
		create(
			s,
			"pause",
			"(b text, q text, w text) RETURNS text",
			`k text := coalesce((q::json)->>0, ''); p int := CASE WHEN (q::json)->>0 IS NULL THEN ${pausedAll} ELSE ${pausedKind} END;`,
			`PERFORM pg_advisory_xact_lock(hashtextextended(b, 2));
IF w <> '' THEN
	INSERT INTO ${s}.levels (basket, kind, priority, low, ends, term)
	SELECT b, k, p, 0, 0, 0 WHERE NOT EXISTS (SELECT FROM ${s}.levels WHERE ${isIt});
	RETURN FOUND;
END IF;
DELETE FROM ${s}.levels WHERE ${isIt};
IF NOT FOUND THEN RETURN false; END IF;
${notify(s)}
RETURN true;`,
		),
		create(
			s,
			"pauses",
			"(b text) RETURNS text",
			"",
			`RETURN (SELECT coalesce(json_agg(CASE priority WHEN ${pausedKind} THEN kind END), '[]') FROM ${s}.levels
	WHERE basket = b AND priority >= ${pausedKind});`,
		),
	];
}
