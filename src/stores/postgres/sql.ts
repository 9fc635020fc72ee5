/**
 * What the functions in the database are made of.
 *
 * @module
 */

/** The version of the tables and functions that this library makes and works with. */
export const version = 2;

/** Due when something is posted to it, and not before: the last number that is safe in JavaScript. */
export const never = "9007199254740991";

/** The task that a reference `r` with the columns s, n and i means, if that is its current claim. */
export const isRef = "seq = r.s AND claims = r.n AND basket = b AND state IN (1, 3) AND id IS NOT DISTINCT FROM r.i";

/** The task with the id `r.i`, which the store itself may have made of the number `r.s`. */
export const isNamed = "basket = b AND (id = r.i OR seq = r.s AND id IS NULL)";

/** Kept, and its time is over: it is not there any more, whether or not it has been removed. */
export const isGone = "state = 7 AND due <= t";

/** What `showTask` of data.ts reads. */
export const columns =
	"seq, id, kind, lane, priority, state, due, added, attempts, crashes, claims, error, payload, progress";

/** The number that is locked for the lane `l` of the basket `b`. */
export const laneLock = "hashtextextended(l, hashtextextended(b, 0))";

/** The number that is locked for the levels of the basket `b`. */
export const levelLock = "hashtextextended(b, 1)";

/**
 * What a function of the store is called: with the version, so that an older library finds none of its functions after a
 * newer one has changed the tables.
 */
export function nameIn(name: string): string {
	return `${name}_${version}`;
}

/**
 * A function of the schema `s`. It finds only what is Postgres's own, or named with its schema: whoever may create functions,
 * operators or tables somewhere in the path of a worker must not have it run them.
 */
export function create(s: string, name: string, head: string, declare: string, body: string): string {
	return `CREATE FUNCTION ${s}.${nameIn(name)}${head} LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $f$
DECLARE ${declare}
BEGIN
${body}
END $f$;`;
}

/** Wakes those who watch the basket `b`; with the mark `!` those who hold claims are to look at them. */
export function notify(s: string, mark: ":" | "!" = ":"): string {
	return `PERFORM pg_notify('${s.slice(1, -1)}', '${mark}' || left(b, 1000));`;
}

/** The tasks in the state 0 or 1, of one priority and kind, that a claim may see. */
export function claimable(s: string, state: 0 | 1, priority: string, more = ""): string {
	return `FROM ${s}.tasks WHERE basket = b AND state = ${state} AND priority ${priority} ${more} AND kind =`;
}

/**
 * Levels: for each kind and priority that there has ever been in a basket, `low` is an instant before which nothing waiting
 * is due, and `ends` one before which no lease ends. Without them, each claim would walk past all that was done since the
 * table was vacuumed.
 *
 * Only a turn raises them, to what follows from the instant `at`: whatever was made due before that by the clock of its
 * transaction is visible once all transactions with a number below `x` have ended, since these take a number first and look
 * at the clock then. What becomes claimable with an older instant (the next one in a lane, what is released) shares a lock
 * with all like it until the end of its transaction, and whoever raises wants that lock for itself, or leaves it for the next
 * time. No lease is shorter than `term`: a turn with a shorter one says so first, with that lock.
 *
 * Now and then a turn surveys all that is there, whatever the levels say: somebody may have changed rows by hand.
 */
export function look(s: string, kinds: string): string {
	return `(SELECT f.*, least(w.due, e.due), w.due, e.due FROM (
		SELECT v.kind, v.priority, min(v.low), min(v.ends), min(v.at), min(v.term), bool_and(coalesce(v.x <= old, false))
		FROM ${s}.levels v WHERE v.basket = b AND v.kind = ANY (${kinds}) GROUP BY 1, 2
	) f (kind, priority, low, ends, at, term, mature)
	LEFT JOIN LATERAL (SELECT due ${
		claimable(s, 0, "= f.priority", "AND due >= f.low")
	} f.kind ORDER BY due LIMIT 1) w ON true
	LEFT JOIN LATERAL (SELECT due ${
		claimable(s, 1, "= f.priority", "AND due >= f.ends")
	} f.kind ORDER BY due LIMIT 1) e ON true
) v (kind, priority, low, ends, at, term, mature, due, waiting, running)`;
}

/** Lowers the levels to what `rows`, with the columns kind, priority and due, needs: waiting ones, or running ones. */
export function lower(s: string, rows: string, column: "low" | "ends" = "low"): string {
	return `INSERT INTO ${s}.levels (basket, kind, priority, low, ends) SELECT b, m.kind, m.priority, m.due, 0 FROM (
	SELECT kind, priority, min(due) FROM ${rows} GROUP BY 1, 2
) m (kind, priority, due) WHERE NOT EXISTS (
	SELECT FROM ${s}.levels v WHERE v.basket = b AND v.kind = m.kind AND v.priority = m.priority AND v.${column} <= m.due
)`;
}
