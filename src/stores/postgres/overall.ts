/**
 * The limit of a basket in a turn, as a part of its function in the database: see `BasketLimit`.
 *
 * Turns that claim under such a limit come one after the other, by a lock that each holds until it commits. What they
 * have in common is the row of `gates` without a kind: `next` and `last` of the rate, and in `terms` whether somebody
 * has found no place.
 *
 * @module
 */

import { lower, nameIn, newer, nowhere, ungated } from "./sql.ts";

/** When a turn looks again for a lease that is over, if it could not put back its task, in milliseconds. */
const soon = 50;

/** The variables: `places` is `NULL` without `atOnce`, and `room` without a limit. */
export const overallVariables =
	"places float8; spacing float8; burst float8; room float8; admitted float8; engaged bigint; nextStart float8; lastStart float8; isWanted boolean; isTight boolean; isBack boolean; freeAt bigint; ";

/** The lock of the basket, before any lock that other turns could wait for. */
export function lockBasket(s: string): string {
	return `IF whole <> '' AND c <> '[]' THEN
	PERFORM pg_advisory_xact_lock(hashtextextended(b, 2));
	t := ${s}.clock();
END IF;`;
}

const engaged = (s: string) => `${s}.tasks WHERE basket = b AND gate IS NOT NULL AND state IN (1, 3)`;

/** The number of running tasks, and when the first lease ends. */
const count = (s: string) =>
	`SELECT count(*), min(f.due) FILTER (WHERE f.state = 1) INTO engaged, freeAt FROM (
		SELECT state, due FROM ${ungated(s, 1)} UNION ALL SELECT state, due FROM ${engaged(s)}
		UNION ALL SELECT state, due FROM ${s}.tasks WHERE basket = b AND state = 3 AND gate IS NULL
	) f;`;

/** Puts the tasks back whose lease has expired, and computes how many tasks may start. */
export function admit(s: string): string {
	const late = (from: string) => `ARRAY(SELECT seq FROM ${from} AND state = 1 AND due <= t FOR UPDATE SKIP LOCKED)`;
	return `IF whole <> '' AND c <> '[]' THEN
	SELECT j.a, j.s, j.u INTO places, spacing, burst FROM json_to_record(whole::json) AS j (a float8, s float8, u float8);
	IF places IS NOT NULL THEN
		took := ${late(ungated(s, 1))} || ${late(engaged(s))};
		IF cardinality(took) > 0 THEN
			-- Before the clock is read: see the levels.
			PERFORM pg_current_xact_id();
			t := ${s}.clock();
			stays := '{}';
			above := '{}';
			FOR ended IN UPDATE ${s}.tasks SET state = 0, due = t, attempts = least(attempts, 2147483646) + 1, crashes = least(crashes, 2147483646) + 1, ${newer}
				WHERE seq = ANY (took) RETURNING seq, lane, kind, gate, place, priority, due
			LOOP
				stirred := true;
				IF ended.lane IS NOT NULL THEN stays := stays || ended.lane; above := above || ended.seq; END IF;
				was := nullif(coalesce(ended.place, ended.gate), ${nowhere});
				IF was IS NOT NULL THEN told := told || ROW(b, ended.kind, was, -1, NULL, NULL)::${s}.notes; END IF;
				IF ended.gate IS NOT NULL THEN told := told || ROW(b, ended.kind, ended.gate, ended.due, NULL, NULL)::${s}.notes;
				ELSE ${lower(s, "(SELECT ended.kind, ended.priority, ended.due) e (kind, priority, due)")};
				END IF;
			END LOOP;
			IF stays <> '{}' THEN PERFORM ${s}.${nameIn("give_back")}(b, stays, above, t, 1); END IF;
		END IF;
		${count(s)}
	END IF;
	SELECT g.next, g.last, g.terms IS NOT NULL INTO nextStart, lastStart, isWanted FROM ${s}.gates g WHERE basket = b AND kind = '' AND gate = '';
	isWanted := coalesce(isWanted, false);
	-- If the clock was set back, the rate goes back with it.
	isBack := coalesce(lastStart, 0) > t;
	nextStart := coalesce(nextStart, 0) - greatest(0, coalesce(lastStart, 0) - t);
	lastStart := least(coalesce(lastStart, 0), t);
	admitted := CASE WHEN spacing = 0 THEN 'Infinity'
		WHEN nextStart - (burst - 1) * spacing > t THEN 0
		ELSE greatest(1, floor(burst - greatest(0, nextStart - t) / spacing)) END;
	IF places IS NOT NULL THEN admitted := least(admitted, greatest(0, places - engaged)); END IF;
	room := admitted;
ELSIF whole <> '' AND NOT stirred THEN
	stirred := EXISTS (SELECT FROM ${s}.gates g WHERE basket = b AND kind = '' AND gate = '' AND terms IS NOT NULL);
END IF;`;
}

/** Before the claims of a request: no more than the limit admits. */
export const cut = `	IF room IS NOT NULL THEN
		wanted := least(wanted, room);
		room := room - wanted;
	END IF;`;

/** After `p` followers were claimed, which take what the heads of this request leave, and then the places of these. */
export const cutRun = `			IF room IS NOT NULL THEN
				room := room - p;
				wanted := wanted + least(room, 0);
				room := greatest(room, 0);
			END IF;`;

/** After the claims of a request. */
export const uncut = "	room := room + wanted;";

/** Counts the starts, and computes when a task may start. */
export function leave(s: string): string {
	return `IF room IS NOT NULL THEN
	admitted := CASE WHEN admitted = 'Infinity' THEN 0 ELSE admitted - room END;
	isTight := places IS NOT NULL AND engaged + admitted >= places;
	IF isWanted AND NOT isTight THEN stirred := true; END IF;
	isTight := isTight AND (isWanted OR soon IS NOT NULL);
	IF spacing > 0 AND admitted > 0 THEN
		nextStart := greatest(t, nextStart) + admitted * spacing;
		lastStart := t;
	END IF;
	IF spacing > 0 AND admitted > 0 OR isTight <> isWanted OR isBack THEN
		INSERT INTO ${s}.gates (basket, kind, gate, area, terms, next, last)
		VALUES (b, '', '', 0, CASE WHEN isTight THEN 'wanted' END, nextStart, lastStart)
		ON CONFLICT (basket, kind, gate) DO UPDATE SET terms = excluded.terms, next = excluded.next, last = excluded.last;
	END IF;
	IF soon IS NOT NULL THEN
		IF spacing > 0 THEN soon := greatest(soon, ceil(nextStart - (burst - 1) * spacing)::bigint); END IF;
		IF engaged + admitted >= places THEN
			${count(s)}
			t := ${s}.clock();
			soon := CASE WHEN freeAt IS NOT NULL THEN greatest(soon, freeAt, t + ${soon}) END;
		END IF;
	END IF;
END IF;`;
}
