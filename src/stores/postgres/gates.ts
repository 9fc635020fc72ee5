/**
 * The limits of a turn, as a part of its function in the database.
 *
 * A task with a key waits in an index of its own, by key. A row of `gates` says from when on a turn has to look at a key:
 * not before the next task is due, or the rate allows a start, or a lease ends. If all places are taken, it is the end of
 * a place that opens the gate. A turn locks the gates that it looks at, counts what is running in a new statement, and
 * writes their rows anew. It skips gates that another turn has locked, and looks at them again soon.
 *
 * Everybody else only adds a note to `notes`, which no turn has to wait for and which waits for no turn: the transactions of
 * callers may take long. The next turn that can lock the gate takes the note. It commits with what it tells of, so
 * nothing is lost; a gate is only closed by a turn that has not seen a note.
 *
 * - `area` stands for basket and kind;
 * - `terms` is the limit by which the other columns were computed; `NULL` if the key has no tasks, and only its last starts
 *   matter, until `ready`;
 * - `turn` orders gates that are ready at the same time;
 * - `next`, `last` and `spacing` are of the last start that was counted;
 * - `shut` is the instant before which nothing may start.
 *
 * @module
 */

import { levelLock, lower, nameIn, never, newer, nowhere, waitsAt } from "./sql.ts";

/** The most gates with notes, notes of one gate, and gates with other terms, that one turn takes. */
const most = { gates: 1_000, notes: 1_000, terms: 250 };
/** From how many keys a few tasks come at least. More tasks come from half as many keys, as each gate costs time. */
const fewestGates = 16;
/** When a turn looks again at what another one has locked, in milliseconds. */
const soon = 20;

/** The variables. */
export const gateVariables = (s: string): string =>
	`lk text[]; la float8[]; lp float8[]; lu float8[]; lt text[]; vk text[]; vp int[]; rated text[]; nk text[]; ng text[]; was text; tookNewer boolean;
	told ${s}.notes[] := '{}'; isGated boolean; isFull boolean := false; moment bigint; readied bigint; gated bigint[] := '{}'; took bigint[]; batch ${s}.gates[]; served ${s}.gates[];
	looked ${s}.gates[]; chosen bigint[]; one text; rows tid[]; servedRows tid[]; lasts bigint[]; share int; isCut boolean; isMoved boolean; allKinds text[]; allGates text[]; readyAfter bigint; turnAfter bigint;`;

/** The number of a kind in a basket. With the names instead, plans would find a gate by kind alone. */
const area = (kind: string) => `hashtextextended(${kind}, hashtextextended(b, 0))`;

/** The limits of the kinds: `k` has `a` places, the spacing `s`, the burst `u` and the terms `x`. */
const limits = "unnest(lk, la, lp, lu, lt) AS l (k, a, s, u, x)";
/** The priorities of the kinds: levels of all that ever existed are stored. */
const priorities = "unnest(vk, vp) AS v (k, p)";

/** The tasks of a gate `g`. */
const at = (s: string, state: string) =>
	`${s}.tasks WHERE basket = b AND kind = g.kind AND gate = g.gate AND state ${state}`;

/** Each instant after `k` starts. */
const starts = (next: string, condition: string) =>
	`WITH RECURSIVE a (k, n) AS (
				SELECT 0, ${next} UNION ALL SELECT k + 1, greatest(moment, n) + l.s FROM a WHERE ${condition}
			)`;

/** Notes of what a settlement `r` has changed in the row `ended`. */
export function tell(s: string): string {
	return `		IF ended.gate IS NOT NULL OR ended.place IS NOT NULL THEN
			was := nullif(coalesce(ended.place, CASE WHEN r.g IS NULL OR tookNewer THEN ended.gate ELSE was END), ${nowhere});
			IF was IS NOT NULL THEN
				told := told || ROW(b, ended.kind, was, -1, CASE WHEN r.z THEN t + r.d END, CASE WHEN r.y THEN ended.started END)::${s}.notes;
			END IF;
			IF ended.state = 0 AND ended.gate IS NOT NULL THEN told := told || ROW(b, ended.kind, ended.gate, ended.due, NULL, NULL)::${s}.notes; END IF;
		END IF;`;
}

/** Whether the kinds have gates. */
export function hasGates(s: string): string {
	const exists = (table: string) => `EXISTS (SELECT FROM ${s}.${table} g WHERE g.basket = b AND g.kind = ANY (ks))`;
	return `${exists("gates")} OR ${exists("notes")}`;
}

/** Reads the limits, and takes notes. A start in the future is of a clock that was set back. */
export function heed(s: string): string {
	const known =
		`SELECT DISTINCT kind, priority FROM ${s}.levels WHERE basket = b AND kind = ANY (ks) AND priority < 999 ORDER BY 1, 2`;
	const foreign = (comparison: string, count: number) =>
		`FROM ${s}.gates WHERE area = ${area("l.k")} AND terms ${comparison} l.x LIMIT ${count}`;
	const lock =
		`SELECT array_agg(f.kind), array_agg(f.gate), array_agg(f.ctid), array_agg(f.last) INTO nk, ng, rows, lasts
		FROM unnest(nk, ng) u (k, g), LATERAL (
			SELECT kind, gate, ctid, last FROM ${s}.gates WHERE basket = b AND kind = u.k AND gate = u.g FOR UPDATE SKIP LOCKED
		) f;`;
	return `IF c = '[]' THEN
	isGated := false;
	IF cardinality(told) > 0 THEN INSERT INTO ${s}.notes SELECT * FROM unnest(told); END IF;
ELSE
	isGated := isGated OR cardinality(told) > 0;
END IF;
IF isGated THEN
	SELECT array_agg(u.k), array_agg(m.a), array_agg(m.s), array_agg(m.u), array_agg(concat_ws(' ', m.a, m.s, m.u)), array_agg(u.k) FILTER (WHERE m.s > 0),
		(SELECT array_agg(f.kind) FROM (${known}) f),
		(SELECT array_agg(f.priority) FROM (${known}) f),
		EXISTS (SELECT FROM ${s}.tasks o WHERE o.basket = b AND o.kind = ANY (ks) AND o.place IS NOT NULL)
	INTO lk, la, lp, lu, lt, rated, vk, vp, isMoved
	FROM (SELECT DISTINCT unnest(ks)) u (k) LEFT JOIN (
		SELECT DISTINCT ON (e.k) e.* FROM json_array_elements(c::json) x, json_to_recordset(coalesce(x->2, '[]')) AS e (k text, a float8, s float8, u float8)
	) m ON m.k = u.k;
	IF isMoved AND pg_try_advisory_xact_lock_shared(${levelLock}) THEN
		-- Their places may be those that others need for theirs.
		FOR ended IN UPDATE ${s}.tasks SET state = 0, attempts = least(attempts, 2147483646) + 1, crashes = least(crashes, 2147483646) + 1, ${newer}
			WHERE seq = ANY (ARRAY(
				SELECT seq FROM ${s}.tasks WHERE basket = b AND kind = ANY (lk) AND place IS NOT NULL AND state = 1 AND due <= t FOR UPDATE SKIP LOCKED
			)) RETURNING seq, lane, kind, gate, nullif(place, ${nowhere}) AS place, priority, due
		LOOP
			IF ended.lane IS NOT NULL THEN PERFORM ${s}.${
		nameIn("give_back")
	}(b, ARRAY[ended.lane], ARRAY[ended.seq], t, 1); END IF;
			IF ended.place IS NOT NULL THEN told := told || ROW(b, ended.kind, ended.place, -1, NULL, NULL)::${s}.notes; END IF;
			IF ended.gate IS NOT NULL THEN told := told || ROW(b, ended.kind, ended.gate, ended.due, NULL, NULL)::${s}.notes;
			ELSE ${lower(s, "(SELECT ended.kind, ended.priority, ended.due) e (kind, priority, due)")};
			END IF;
		END LOOP;
	END IF;
	WITH RECURSIVE n (kind, gate) AS (
		SELECT u.k, (SELECT gate FROM ${s}.notes WHERE basket = b AND kind = u.k ORDER BY gate LIMIT 1) FROM unnest(lk) u (k)
		UNION ALL
		SELECT n.kind, (SELECT x.gate FROM ${s}.notes x WHERE x.basket = b AND x.kind = n.kind AND x.gate > n.gate ORDER BY x.gate LIMIT 1)
		FROM n WHERE n.gate IS NOT NULL
	)
	SELECT array_agg(f.kind ORDER BY f.kind, f.gate), array_agg(f.gate ORDER BY f.kind, f.gate) INTO nk, ng FROM (
		(SELECT n.kind, n.gate FROM n WHERE n.gate IS NOT NULL LIMIT ${most.gates}) UNION
		SELECT u.kind, u.gate FROM unnest(told) u WHERE u.kind = ANY (lk)
	) f;
	IF nk IS NOT NULL THEN
		allKinds := nk; allGates := ng;
		${lock}
		IF cardinality(allKinds) > coalesce(cardinality(nk), 0) THEN
			-- Turns make gates in this order, because one that another turn is just making has to be waited for.
			INSERT INTO ${s}.gates (basket, kind, gate, area, terms)
			SELECT b, u.k, u.g, ${area("u.k")}, lt[array_position(lk, u.k)] FROM unnest(allKinds, allGates) u (k, g)
			WHERE (SELECT true FROM ${s}.gates WHERE basket = b AND kind = u.k AND gate = u.g) IS NULL ON CONFLICT DO NOTHING;
			nk := allKinds; ng := allGates;
			${lock}
		END IF;
		IF cardinality(allKinds) > coalesce(cardinality(nk), 0) THEN soon := t + ${soon}; END IF;
		WITH d AS (
			DELETE FROM ${s}.notes WHERE ctid = ANY (ARRAY(
				SELECT f.ctid FROM unnest(nk, ng) u (k, g), LATERAL (
					SELECT ctid FROM ${s}.notes WHERE basket = b AND kind = u.k AND gate = u.g ORDER BY due LIMIT ${most.notes}
				) f
			)) RETURNING kind, gate, due, shut, start
		)
		UPDATE ${s}.gates g SET terms = coalesce(g.terms, lt[array_position(lk, g.kind)]), shut = greatest(g.shut, m.shut),
			next = g.next - m.back * g.spacing - greatest(0, g.last - ${s}.clock()), last = least(g.last, ${s}.clock()),
			ready = least(CASE WHEN g.terms IS NOT NULL THEN g.ready END, greatest(t, m.due)),
			turn = CASE WHEN g.terms IS NOT NULL AND g.ready <= t THEN g.turn ELSE nextval('${s}.seq') END
		FROM (
			SELECT o.tid, min(d.due) AS due, max(d.shut) AS shut, count(*) FILTER (WHERE d.start = o.last) AS back
			FROM (
				SELECT * FROM d UNION ALL SELECT kind, gate, due, shut, start FROM unnest(told)
			) d JOIN unnest(nk, ng, rows, lasts) o (k, g, tid, last) ON o.k = d.kind AND o.g = d.gate GROUP BY 1
		) m WHERE g.ctid = m.tid AND (
			g.terms IS NULL OR g.ready > greatest(t, m.due) OR m.shut > g.shut OR m.back > 0 OR g.last > ${s}.clock()
		);
	END IF;
	IF cardinality(told) > 0 THEN
		INSERT INTO ${s}.notes SELECT u.* FROM unnest(told) u WHERE NOT EXISTS (SELECT FROM unnest(nk, ng) n (k, g) WHERE n.k = u.kind AND n.g = u.gate);
	END IF;
	IF EXISTS (SELECT FROM ${limits}, LATERAL (
		(SELECT ${foreign("<", 1)}) UNION ALL (SELECT ${foreign(">", 1)})
	) o) THEN
		-- A worker has other limits than the last one had.
		UPDATE ${s}.gates g SET terms = f.x, ready = least(g.ready, t) FROM (
			SELECT o.ctid, l.x FROM ${limits}, LATERAL (
				SELECT * FROM (SELECT ctid ${foreign("<", most.terms)} FOR UPDATE SKIP LOCKED) o
				UNION ALL SELECT * FROM (SELECT ctid ${foreign(">", most.terms)} FOR UPDATE SKIP LOCKED) o
			) o
		) f WHERE g.ctid = f.ctid;
		GET DIAGNOSTICS p = ROW_COUNT;
		IF p >= ${most.terms} THEN soon := t; END IF;
	END IF;
	moment := ${s}.clock();
END IF;`;
}

/**
 * Selects the tasks that may start at the gates, into `gated`. Of each kind it is the first one of each key in turn, then
 * the second one of each, and so on. Other kinds, and tasks without a key, may still come before them.
 */
export function open(s: string): string {
	return `	IF isGated THEN
		gated := '{}'; took := '{}'; served := '{}'; servedRows := '{}';
		FOR one IN SELECT l.k FROM ${limits} WHERE l.k = ANY (kinds) AND EXISTS (
			SELECT FROM ${s}.gates WHERE area = ${area("l.k")} AND terms = l.x AND ready <= moment
		) LOOP
			chosen := '{}'; looked := '{}'; isCut := false; readyAfter := -${never}; turnAfter := -${never};
			LOOP
				p := wanted - cardinality(chosen);
				SELECT array_agg(g.gate), (array_agg(g.ready))[count(*)], (array_agg(g.turn))[count(*)] INTO ng, readyAfter, turnAfter FROM (
					SELECT gate, ready, turn FROM ${s}.gates WHERE area = ${area("one")} AND terms = lt[array_position(lk, one)]
					AND ready <= moment AND (ready, turn) > (readyAfter, turnAfter) ORDER BY ready, turn
					LIMIT CASE WHEN looked = '{}' THEN greatest(least(p, ${fewestGates}), (p + 1) / 2) ELSE p END
				) g;
				EXIT WHEN ng IS NULL;
				SELECT array_agg(f.g), array_agg(f.ctid) INTO batch, rows FROM unnest(ng) n, LATERAL (
					SELECT g, ctid FROM ${s}.gates g WHERE basket = b AND kind = one AND gate = n AND ready <= moment FOR UPDATE SKIP LOCKED
				) f;
				CONTINUE WHEN batch IS NULL;
				looked := looked || batch; servedRows := servedRows || rows;
				moment := ${s}.clock();
				share := (p - 1) / cardinality(batch) + 1;
				${offer(s)}
				EXIT WHEN cardinality(chosen) >= wanted;
			END LOOP;
			WHILE isCut AND cardinality(chosen) < wanted LOOP
				batch := looked; chosen := '{}'; p := wanted; share := share * 4; isCut := false;
				${offer(s)}
			END LOOP;
			gated := gated || chosen; served := served || looked;
		END LOOP;
		moment := ${s}.clock();
	END IF;`;
}

/** The running tasks with a place at a gate `g`: their number, and when the first lease of a task of this key ends. */
const running = (s: string) =>
	`SELECT count(*) FILTER (WHERE place IS NULL) + CASE WHEN isMoved THEN (
				SELECT count(*) FROM ${s}.tasks WHERE basket = b AND kind = g.kind AND place = g.gate AND state IN (1, 3)
			) ELSE 0 END, min(due) FILTER (WHERE state = 1)
			FROM ${at(s, "IN (1, 3)")}`;

/** What the gates of `batch` allow, at most `share` tasks of each and `p` in all. */
function offer(s: string): string {
	return `WITH g AS MATERIALIZED (
				SELECT g.kind, g.gate, g.ordinality AS o, c.ends <= moment AS "hasCrashed",
					CASE WHEN l.a IS NULL THEN share ELSE greatest(l.a - c.count, 0) END AS places,
					CASE WHEN l.x = '' THEN share WHEN g.shut > moment THEN 0 WHEN l.s > 0 THEN (
						${starts("g.next", "k < share AND moment >= n - (l.u - 1) * l.s")} SELECT max(k) FROM a
					) ELSE share END AS starts
				FROM unnest(batch) WITH ORDINALITY g JOIN ${limits} ON l.k = g.kind, LATERAL (${running(s)}) c (count, ends)
			), w AS (
				SELECT g.o, g.places, g.starts, true AS waits, w.* FROM g JOIN ${priorities} ON v.k = g.kind, LATERAL (
					SELECT seq, priority, due FROM ${at(s, "= 0")} AND priority = v.p AND due <= moment
					ORDER BY due, seq LIMIT least(g.places, g.starts) FOR UPDATE SKIP LOCKED
				) w UNION ALL SELECT g.o, g.places, g.starts, false, w.* FROM g, LATERAL (
					SELECT seq, priority, due FROM ${at(s, "IN (1, 3)")} AND state = 1 AND place IS NULL AND due <= moment
					ORDER BY priority DESC, due, seq LIMIT g.starts FOR UPDATE SKIP LOCKED
				) w WHERE g."hasCrashed" AND g.starts > 0
			), x AS (
				SELECT w.*, count(*) FILTER (WHERE w.waits) OVER (PARTITION BY w.o ORDER BY w.priority DESC, w.due, w.seq) AS used FROM w
			), f AS (
				SELECT x.seq, x.o, x.starts, row_number() OVER (PARTITION BY x.o ORDER BY x.priority DESC, x.due, x.seq) AS nth
				FROM x WHERE NOT x.waits OR x.used <= x.places
			)
			SELECT chosen || coalesce(array_agg(h.seq), '{}'), isCut OR coalesce(bool_or(h.nth = share), false) INTO chosen, isCut
			FROM (SELECT f.seq, f.nth FROM f WHERE f.nth <= f.starts ORDER BY f.nth, f.o LIMIT p) h;`;
}

/** Writes the gates anew, when some of `gated` were claimed. */
export function close(s: string): string {
	return `	IF isGated AND cardinality(served) > 0 THEN
		WITH g AS MATERIALIZED (
			SELECT g.tid, g.kind, g.gate, g.shut, l.a, l.s, l.u, l.x, n.count AS starts, c.running, c.ends,
				CASE WHEN l.s > 0 AND n.count > 0 THEN (${
		starts("g.next", "k < n.count")
	} SELECT a.n FROM a ORDER BY a.k DESC LIMIT 1) ELSE g.next END AS next
			FROM (SELECT u.*, y.tid FROM unnest(served) WITH ORDINALITY u JOIN unnest(servedRows) WITH ORDINALITY y (tid, o) ON y.o = u.ordinality) g
			JOIN ${limits} ON l.k = g.kind LEFT JOIN (
				SELECT kind, gate, count(*) FROM ${s}.tasks WHERE seq = ANY (took) AND gate IS NOT NULL GROUP BY 1, 2
			) n ON n.kind = g.kind AND n.gate = g.gate, LATERAL (${running(s)}) c (running, ends)
		), h AS MATERIALIZED (
			SELECT g.*, CASE WHEN g.a IS NULL OR g.running < g.a THEN (
				SELECT min(w.due) FROM ${priorities}, LATERAL (
					SELECT due FROM ${at(s, "= 0")} AND priority = v.p ORDER BY due LIMIT 1
				) w WHERE v.k = g.kind
			) END AS waits, CASE WHEN g.x = '' THEN 0 ELSE greatest(g.shut, CASE WHEN g.s > 0 THEN g.next - (g.u - 1) * g.s END) END AS opens
			FROM g
		), i AS (
			SELECT h.*, h.running = 0 AND h.waits IS NULL AND h.ends IS NULL AS "isIdle", greatest(least(h.waits, h.ends), ceil(h.opens)) AS due FROM h
		)
		UPDATE ${s}.gates o SET next = i.next, terms = CASE WHEN i."isIdle" THEN NULL ELSE i.x END, turn = nextval('${s}.seq'),
			last = CASE WHEN i.starts > 0 AND i.s > 0 THEN moment ELSE o.last END,
			spacing = CASE WHEN i.starts > 0 AND i.s > 0 THEN i.s ELSE o.spacing END,
			ready = least(${never}, CASE WHEN i."isIdle" THEN ceil(greatest(i.next, i.shut)) WHEN coalesce(i.waits, i.ends) IS NULL THEN ${never}
				ELSE greatest(i.due, moment) END)
		FROM i WHERE o.ctid = i.tid;
		DELETE FROM ${s}.gates WHERE ctid = ANY (ARRAY(
			SELECT f.ctid FROM unnest(lk) u (k), LATERAL (
				SELECT ctid FROM ${s}.gates WHERE area = ${
		area("u.k")
	} AND terms IS NULL AND ready <= moment LIMIT ${most.gates} FOR UPDATE SKIP LOCKED
			) f
		));
	END IF;`;
}

/** When a gate may open. */
export function opening(s: string): string {
	return `IF isGated THEN
	readied := (SELECT min(nullif(f.ready, ${never})) FROM ${limits}, LATERAL (
		SELECT ready FROM ${s}.gates WHERE area = ${area("l.k")} AND terms = l.x ORDER BY ready LIMIT 1
	) f);
	-- What nobody has claimed although there was room for it, another one has locked.
	IF readied <= moment AND NOT isFull THEN readied := t + ${soon}; END IF;
	soon := least(soon, readied);
END IF;`;
}

/** Whether others can take a place that this turn has freed. */
export function isLeft(s: string): string {
	return `EXISTS (
	SELECT FROM unnest(told) n, LATERAL (${waitsAt(s, "n.kind", "n.gate")} LIMIT 1) w
	WHERE n.due < 0 AND (c = '[]' OR soon <= coalesce(moment, t) OR n.kind <> ALL (lk))
)`;
}

/**
 * Finds the keys of waiting and running tasks whose gates are missing, or open late: somebody may have changed rows by
 * hand, or the clock was set back.
 */
export function surveyGates(s: string, interval: number): string {
	const keys = (state: string) =>
		`(WITH RECURSIVE n (kind, gate) AS (
		SELECT u.k, (SELECT gate FROM ${s}.tasks WHERE basket = b AND kind = u.k AND gate IS NOT NULL AND state ${state} ORDER BY gate LIMIT 1)
		FROM (SELECT DISTINCT unnest(ks)) u (k)
		UNION ALL
		SELECT n.kind, (SELECT x.gate FROM ${s}.tasks x WHERE x.basket = b AND x.kind = n.kind AND x.gate > n.gate AND x.state ${state} ORDER BY x.gate LIMIT 1)
		FROM n WHERE n.gate IS NOT NULL
	) SELECT n.kind, n.gate FROM n WHERE n.gate IS NOT NULL)`;
	return `SELECT array_agg(f.kind), array_agg(f.gate) INTO nk, ng FROM (${keys("= 0")} UNION ${keys("IN (1, 3)")}) f;
	IF nk IS NOT NULL THEN
		isGated := true;
		INSERT INTO ${s}.notes SELECT b, u.k, u.g, t FROM unnest(nk, ng) u (k, g) WHERE NOT EXISTS (
			SELECT FROM ${s}.gates WHERE basket = b AND kind = u.k AND gate = u.g AND terms IS NOT NULL AND ready <= t + ${interval}
		);
		INSERT INTO ${s}.levels (basket, kind, priority, low, ends)
		SELECT DISTINCT b, u.k, f.p, 0, 0 FROM unnest(nk, ng) u (k, g), LATERAL (
			WITH RECURSIVE f (p) AS (
				SELECT max(priority) FROM ${s}.tasks WHERE basket = b AND kind = u.k AND gate = u.g AND state = 0
				UNION ALL
				SELECT (SELECT max(priority) FROM ${s}.tasks WHERE basket = b AND kind = u.k AND gate = u.g AND state = 0 AND priority < f.p)
				FROM f WHERE f.p IS NOT NULL
			) SELECT f.p FROM f WHERE f.p IS NOT NULL
		) f WHERE NOT EXISTS (SELECT FROM ${s}.levels WHERE basket = b AND kind = u.k AND priority = f.p);
	END IF;`;
}
