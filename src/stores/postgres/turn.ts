/**
 * A turn, as a function in the database.
 *
 * @module
 */

import { variantMark } from "../../basket/store.ts";
import { follow } from "./runs.ts";
import { close, gateVariables, hasGates, heed, isLeft, open, opening, surveyGates, tell } from "./gates.ts";
import { ending, storeEndings } from "./families.ts";
import { append, erase, opened, partColumns, takeLeftovers } from "./log.ts";
import { admit, cut, leave, lockBasket, overallVariables, uncut } from "./overall.ts";
import {
	claimable,
	claimed,
	create,
	entries,
	grown,
	inOrder,
	isCollected,
	isFollower,
	isRef,
	laneLock,
	levelLock,
	look,
	lower,
	nameIn,
	never,
	newer,
	next,
	notify,
	pausedKind,
	stayed,
	unclaimed,
} from "./sql.ts";

/**
 * The minimum intervals at which levels are raised and expired tasks removed, and at which levels are compared with
 * the tasks.
 */
const pace = { raise: 100, survey: 30_000 };
/** The maximum number of expired tasks that are removed at once. */
const sweep = 5_000;

const settledColumns = "lane, posted, kind, priority, gate, place, started, due, state, behind, log, kin, joined";

/** A pause of all kinds is a NULL, with which no kind compares as different. */
const unpaused = (kinds: string) =>
	`ARRAY(SELECT k FROM unnest(${kinds}) k WHERE k <> ALL (paused) AND split_part(k, chr(${
		variantMark.charCodeAt(0)
	}), 1) <> ALL (paused))`;

/** @param s the schema, quoted */
export function turn(s: string): string {
	return create(
		s,
		"turn",
		"(b text, plain text, q text, c text, lease text, hint text, runs text DEFAULT '[]', whole text DEFAULT '', corners text DEFAULT '{}', who text DEFAULT '') RETURNS text",
		`t bigint; since bigint; r record; gone bigint[]; swept bigint[]; logs bigint[]; settled boolean[] := '{}'; taken json[] := '{}'; columns json;
	lanes text[]; heads bigint[]; l text; p int; unread int; posts boolean; stirred boolean := false; soon bigint;
	ks text[] := ARRAY(SELECT json_array_elements_text(x->1) FROM json_array_elements(c::json) x);
	kinds text[]; paused text[]; wanted int; lastDue bigint; isMore boolean := false; isReplaced boolean; old xid8; checked bigint; top bigint; longest bigint; leaseEnd bigint; ended record;
	fates ${s}.endings[] := '{}'; finished bigint[] := '{}'; stays text[] := '{}'; above bigint[] := '{}'; mine bigint[];
	${overallVariables}${gateVariables(s)}`,
		`IF c <> '[]' AND current_setting('transaction_isolation') <> 'read committed' THEN
	RAISE 'baskets need transactions that are READ COMMITTED: make that the default_transaction_isolation of the database or the role'
		USING ERRCODE = '0A000';
END IF;
IF corners <> '{}' THEN PERFORM ${s}.${nameIn("enter")}(b, corners::text[]); END IF;
since := ${s}.clock();
IF q <> '[]' THEN PERFORM pg_current_xact_id(); END IF;
t := ${s}.clock();
${settle(s)}
FOR l IN SELECT DISTINCT lane FROM ${s}.lanes WHERE basket = b LOOP
	IF pg_try_advisory_xact_lock(${laneLock}) THEN
		DELETE FROM ${s}.lanes WHERE basket = b AND lane = l;
		stirred := ${s}.${nameIn("promote")}(b, ARRAY[l], '{}') OR stirred;
	END IF;
	IF EXISTS (SELECT FROM ${s}.lanes WHERE basket = b AND lane = l) THEN soon := t + 50; END IF;
END LOOP;
${lockBasket(s)}
${relate(s)}
${survey(s)}
IF paused IS NOT NULL THEN ks := ${unpaused("ks")}; END IF;
${admit(s)}
${heed(s)}
FOR wanted, kinds IN SELECT (x->>0)::int, ARRAY(SELECT json_array_elements_text(x->1)) FROM json_array_elements(c::json) x LOOP
	isMore := false;
	IF paused IS NOT NULL THEN kinds := ${unpaused("kinds")}; END IF;
${cut}
${open(s)}
${claim(s)}
${uncut}
	isFull := isFull OR wanted = 0;
${close(s)}
END LOOP;
${raise(s)}
IF isMore THEN soon := t;
ELSIF c <> '[]' THEN
	soon := least(soon, (SELECT min(nullif(v.due, ${never})) FROM ${look(s, "ks")}));
	${opening(s)}
END IF;
IF cardinality(told) > 0 THEN stirred := stirred OR ${isLeft(s)}; END IF;
${leave(s)}
IF stirred AND hint <> '' THEN ${notify(s)} END IF;
RETURN json_build_array(gone, settled, taken, soon - t, stirred);`,
	);
}

function settle(s: string): string {
	return `IF plain <> '{}' THEN
	WITH d AS (
		DELETE FROM ${s}.tasks WHERE seq = ANY (plain::bigint[]) AND basket = b AND state IN (1, 3)
		AND claims = 1 AND id IS NULL RETURNING seq, lane, posted, kind, gate, behind, log
	) SELECT array_agg(seq), bool_or(posted > 0), array_agg(lane) FILTER (WHERE lane IS NOT NULL AND behind IS NULL),
		array_agg(seq) FILTER (WHERE lane IS NOT NULL AND behind IS NULL),
		coalesce(array_agg(ROW(b, kind, gate, -1, NULL, NULL)::${s}.notes) FILTER (WHERE gate IS NOT NULL), '{}'),
		array_agg(log) FILTER (WHERE log IS NOT NULL)
	INTO gone, posts, lanes, heads, told, logs FROM d;
	IF posts THEN DELETE FROM ${s}.messages WHERE task = ANY (gone); END IF;
END IF;
IF q <> '[]' THEN
	FOR r IN SELECT * FROM ${
		entries(
			`s bigint, n int, i text, t int, d bigint, a int, c int, e text, k boolean, m int, h int, v text, u text, g text, x text, z boolean, y boolean, bad boolean, ${partColumns}`,
		)
	} ${inOrder} LOOP
		unread := NULL;
		tookNewer := false;
		IF r.h IS NOT NULL THEN
			SELECT posted - greatest(seen, r.m) INTO unread FROM ${s}.tasks WHERE ${isRef} FOR UPDATE;
		END IF;
		IF r.g IS NOT NULL THEN SELECT gate INTO was FROM ${s}.tasks WHERE ${isRef} FOR UPDATE; END IF;
		IF unread > 0 THEN
			${leaveMessages(s)}
			r.t := 0;
		ELSIF r.t < 0 THEN
			DELETE FROM ${s}.tasks WHERE ${isRef} AND newer IS NULL RETURNING ${settledColumns} INTO ended;
		ELSE
			UPDATE ${s}.tasks SET
				state = CASE WHEN ${isFollower} AND r.t < 6 THEN CASE WHEN r.t = 4 OR behind = 2 THEN 5 ELSE 2 END
					WHEN r.t = 0 AND state = 3 THEN 4 ELSE r.t END,
				behind = CASE WHEN r.t > 5 THEN behind END,
				due = CASE WHEN posted > greatest(seen, r.m) AND r.m IS NOT NULL THEN least(added, t) ELSE coalesce(t + r.d, ${never}) END,
				attempts = coalesce(r.a, attempts),
				crashes = coalesce(r.c, crashes),
				error = coalesce(r.e, error),
				backoff = r.k IS TRUE,
				seen = greatest(seen, least(posted, coalesce(r.m, 0))),
				payload = coalesce(r.v, payload),
				result = r.u,
				gate = coalesce(r.g, gate),
				history = coalesce(r.x, history),
				${unclaimed},
				${opened}
			WHERE ${isRef} AND newer IS NULL RETURNING ${settledColumns} INTO ended;
		END IF;
		IF NOT FOUND THEN
			${takeNewer(s)}
			IF FOUND THEN r.t := 0; tookNewer := true; END IF;
		END IF;
		settled[r.o] := FOUND;
		CONTINUE WHEN NOT FOUND;
		IF ended.posted > 0 THEN
			DELETE FROM ${s}.messages WHERE task = r.s AND (r.t < 0 OR n <= r.m);
		END IF;
		IF ended.log IS NOT NULL THEN
			IF r.t < 0 THEN logs := logs || ended.log;
			ELSIF r.f IS NOT NULL THEN ${append(s, "ended.log")}
			END IF;
		END IF;
		IF ended.joined IS NOT NULL AND r.t NOT BETWEEN 0 AND 5 THEN
			fates := fates || ${ending(s, "ended", "r.t = 6 OR r.bad IS TRUE")};
		END IF;
		IF ended.log IS NOT NULL AND r.t > 5 THEN finished := finished || ended.log; END IF;
		IF r.t BETWEEN 0 AND 5 THEN
			stirred := true;
			IF ended.due < t AND ended.state = 0 THEN
				-- It has a message, and is due as of its add: before the levels, perhaps.
				PERFORM pg_advisory_xact_lock_shared(${levelLock});
				${lower(s, "(SELECT ended.kind, ended.priority, ended.due) e (kind, priority, due)")};
			END IF;
			IF r.j IS NOT NULL THEN PERFORM ${s}.${nameIn("grow")}(b, ended.log, r.s, r.j); END IF;
			IF ended.lane IS NOT NULL THEN stays := stays || ended.lane; above := above || r.s; END IF;
		ELSIF ended.lane IS NOT NULL AND ended.behind IS NULL THEN lanes := lanes || ended.lane; heads := heads || r.s;
		END IF;
${tell(s)}
	END LOOP;
	IF stays <> '{}' THEN PERFORM ${s}.${nameIn("give_back")}(b, stays, above, t, 0); END IF;
END IF;
IF finished <> '{}' THEN DELETE FROM ${s}.joins WHERE family = ANY (finished); END IF;
${erase(s, "logs")}
${storeEndings(s, "fates")}
IF lanes <> '{}' THEN
	stirred := ${s}.${nameIn("promote")}(b, lanes, heads) OR stirred;
END IF;`;
}

/**
 * Counts the ends of children, and removes those without parents, but not in a transaction of the caller. Others are woken only for
 * what this turn has ended: otherwise, they would wake each other as long as somebody has locked a join.
 */
function relate(s: string): string {
	return `IF hint <> '' THEN stirred := stirred OR fates <> '{}';
ELSIF EXISTS (SELECT FROM ${s}.endings WHERE basket = b) OR EXISTS (SELECT FROM ${s}.orphans WHERE basket = b) THEN
	IF ${s}.${nameIn("disperse")}(b) THEN soon := t + 50; END IF;
	IF ${s}.${nameIn("count")}(b) THEN
		soon := t + 50;
		stirred := stirred OR fates <> '{}';
	END IF;
	t := greatest(t, ${s}.clock());
END IF;`;
}

/** Ends a claim whose task is done, but has other messages. It is waiting again, and stays the head of its lane. */
function leaveMessages(s: string): string {
	return `UPDATE ${s}.tasks SET
				${stayed()},
				due = CASE WHEN unread < r.h THEN greatest(newer_due, t) ELSE t END,
				attempts = 0, crashes = 0, backoff = false, error = NULL, progress = NULL,
				history = coalesce(r.x, history),
				${unclaimed},
				seen = greatest(seen, r.m),
				${newer},
				${opened}
			WHERE ${isRef} RETURNING ${settledColumns} INTO ended;`;
}

/** Ends a claim whose task has a newer payload. It stays the head of its lane, and its messages stay unless they were seen. */
function takeNewer(s: string): string {
	const isOver = "(r.t < 0 OR r.t > 5)";
	return `UPDATE ${s}.tasks SET
				${stayed("r.t = 4")},
				due = greatest(CASE WHEN ${
		isCollected("newer")
	} AND NOT ${isOver} THEN 0 ELSE newer_due END, CASE WHEN posted > greatest(seen, r.m) AND r.m IS NOT NULL OR ${isOver} THEN t
					ELSE coalesce(t + r.d, ${never}) END),
				attempts = CASE WHEN ${isOver} THEN 0 ELSE coalesce(r.a, attempts) END,
				crashes = CASE WHEN ${isOver} THEN 0 ELSE coalesce(r.c, crashes) END,
				error = CASE WHEN ${isOver} THEN NULL ELSE coalesce(r.e, error) END,
				progress = CASE WHEN ${isOver} THEN NULL ELSE progress END,
				backoff = r.k IS TRUE,
				history = coalesce(r.x, history),
				${unclaimed},
				seen = greatest(seen, least(posted, coalesce(r.m, 0))),
				${newer},
				${opened}
			WHERE ${isRef} AND newer IS NOT NULL RETURNING ${settledColumns} INTO ended;`;
}

/**
 * From here on it waits for no lock, because others may wait for the lock of the levels. It also detects a clock that
 * was set back.
 */
function survey(s: string): string {
	const all = (state: 0 | 1) =>
		`WITH RECURSIVE level (kind, priority, due) AS (
		SELECT u.kind, x.* FROM (SELECT DISTINCT unnest(ks)) u (kind), LATERAL (
			SELECT priority, due ${claimable(s, state, "u.kind", "< 999")} ORDER BY priority DESC, due LIMIT 1
		) x
		UNION ALL
		SELECT l.kind, x.* FROM level l, LATERAL (
			SELECT priority, due ${claimable(s, state, "l.kind", "< l.priority")} ORDER BY priority DESC, due LIMIT 1
		) x
	) ${lower(s, "level", state === 0 ? "low" : "ends")};`;
	return `SELECT max(v.checked) FILTER (WHERE v.kind = ANY (ks)), max(greatest(v.low, v.at)), max(v.term) FILTER (WHERE v.kind = ANY (ks)),
	array_agg(CASE v.priority WHEN ${pausedKind} THEN v.kind END) FILTER (WHERE v.priority >= ${pausedKind}),
	${hasGates(s)}
INTO checked, top, longest, paused, isGated FROM ${s}.levels v WHERE basket = b;
IF hint = '' AND (top > ${s}.clock() OR c <> '[]' AND checked IS DISTINCT FROM greatest(least(checked, t), t - ${pace.survey}))
	AND pg_try_advisory_xact_lock(${levelLock})
THEN
	UPDATE ${s}.levels SET low = 0, ends = 0, at = 0, x = NULL WHERE basket = b AND greatest(low, at) > ${s}.clock();
	${all(0)}
	${all(1)}
	${surveyGates(s, pace.survey)}
	UPDATE ${s}.levels SET checked = t WHERE basket = b AND kind = ANY (ks);
END IF;
IF longest > lease::bigint AND c <> '[]' THEN
	PERFORM pg_advisory_xact_lock_shared(${levelLock});
	INSERT INTO ${s}.levels (basket, kind, priority, low, ends, term)
	SELECT b, v.kind, v.priority, min(v.low), 0, lease::bigint FROM ${s}.levels v WHERE v.basket = b AND v.kind = ANY (ks)
	GROUP BY 2, 3 HAVING min(v.term) > lease::bigint;
END IF;`;
}

/** Mostly more tasks are due than were claimed; then the claimed entries need not be skipped to find them. */
function claim(s: string): string {
	return `	FOR r IN SELECT v.priority, array_agg(v.kind) AS kinds, array_agg(v.waiting) AS waiting, array_agg(v.running) AS running
		FROM (
			SELECT v.priority, v.kind, v.waiting, v.running FROM ${look(s, "kinds")} WHERE v.due <= t
			UNION ALL SELECT DISTINCT priority, NULL, NULL::bigint, NULL::bigint FROM ${s}.tasks WHERE seq = ANY (gated)
		) v GROUP BY 1 ORDER BY 1 DESC
	LOOP
		PERFORM pg_current_xact_id();
		leaseEnd := ${s}.clock() + lease::bigint;
		WITH c AS MATERIALIZED (
			SELECT x.* FROM unnest(r.kinds, r.waiting, r.running) u (k, w, e), LATERAL (
				SELECT * FROM (
					SELECT * ${
		claimable(s, 0, "k", "= r.priority", "AND due >= w AND due <= t")
	} ORDER BY due, seq LIMIT wanted FOR UPDATE SKIP LOCKED
				) waiting UNION ALL SELECT * FROM (
					SELECT * ${
		claimable(s, 1, "k", "= r.priority", "AND due >= e AND due <= t")
	} ORDER BY due, seq LIMIT wanted FOR UPDATE SKIP LOCKED
				) running
			) x UNION ALL SELECT * FROM ${s}.tasks WHERE seq = ANY (gated) AND seq <> ALL (took) AND priority = r.priority ORDER BY due, seq LIMIT wanted
		), u AS (
			UPDATE ${s}.tasks SET state = 1, due = leaseEnd, claims = ${next}, worker = nullif(who, ''), claimed = t,
				attempts = ${grown("attempts")}, crashes = ${grown("crashes")}, place = NULL,
				started = CASE WHEN gate IS NOT NULL AND kind = ANY (rated) THEN moment END
			WHERE seq = ANY (ARRAY(SELECT seq FROM c))
		) SELECT count(*), max(due), bool_or(newer IS NOT NULL), ${
		claimed(s)
	}, array_agg(lane) FILTER (WHERE state = 1 AND lane IS NOT NULL), array_agg(seq) FILTER (WHERE state = 1 AND lane IS NOT NULL)
		INTO p, lastDue, isReplaced, columns, stays, above FROM c;
		CONTINUE WHEN p = 0;
		IF isReplaced THEN
			UPDATE ${s}.tasks SET ${newer} WHERE newer IS NOT NULL
			AND seq = ANY (ARRAY(SELECT json_array_elements_text(columns->0)::bigint));
		END IF;
		IF stays IS NOT NULL THEN PERFORM ${s}.${nameIn("give_back")}(b, stays, above, t, 1); END IF;
		taken := taken || columns;
		IF isGated THEN took := took || ARRAY(SELECT json_array_elements_text(columns->0)::bigint); END IF;
		wanted := wanted - p;
		IF runs <> '[]' THEN
			${follow(s)}
		END IF;
		IF wanted = 0 THEN
			IF EXISTS (
				SELECT FROM unnest(r.kinds) k WHERE (SELECT due ${
		claimable(s, 0, "k", "= r.priority", "AND due > lastDue AND due <= t")
	} LIMIT 1) > 0
			) THEN isMore := true; END IF;
			EXIT;
		END IF;
	END LOOP;`;
}

/** Done only by a turn that writes anyway. */
function raise(s: string): string {
	return `IF c <> '[]' AND cardinality(taken) + cardinality(settled) + coalesce(cardinality(gone), 0) > 0
	AND EXISTS (SELECT FROM ${s}.levels WHERE basket = b AND kind = ANY (ks) AND at <= t - ${pace.raise})
THEN
	IF pg_try_advisory_xact_lock(${levelLock}) THEN
		old := pg_snapshot_xmin(pg_current_snapshot());
		UPDATE ${s}.levels l SET at = since, x = pg_current_xact_id(), term = v.term,
			low = CASE WHEN v.mature THEN greatest(v.low, least(v.at, v.waiting)) ELSE v.low END,
			ends = CASE WHEN v.mature THEN greatest(v.ends, least(v.at + v.term, v.running)) ELSE v.ends END
		FROM ${look(s, "ks")} WHERE l.basket = b AND l.kind = v.kind AND l.priority = v.priority;
		DELETE FROM ${s}.levels v WHERE basket = b AND kind = ANY (ks) AND EXISTS (
			SELECT FROM ${s}.levels o WHERE o.basket = b AND o.kind = v.kind AND o.priority = v.priority AND o.ctid < v.ctid
		);
	END IF;
	WITH d AS (
		DELETE FROM ${s}.tasks WHERE seq = ANY (ARRAY(
			SELECT seq FROM ${s}.tasks WHERE basket = b AND state > 5 AND due < ${never} AND due <= t LIMIT ${sweep} FOR UPDATE SKIP LOCKED
		)) RETURNING seq, posted, log
	) SELECT array_agg(seq) FILTER (WHERE posted > 0), array_agg(log) FILTER (WHERE log IS NOT NULL) INTO swept, logs FROM d;
	DELETE FROM ${s}.messages WHERE task = ANY (swept);
	${takeLeftovers(s, "logs")}
	${erase(s, "logs")}
END IF;`;
}
