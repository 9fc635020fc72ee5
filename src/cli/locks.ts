/**
 * The locks of other sessions of Postgres that a command waits for.
 *
 * @module
 */

import { driverOf } from "../stores/postgres/driver.ts";
import type { PostgresClient } from "../stores/postgres/postgres.ts";

/** How often it is looked whether a lock holds a command up, in milliseconds. */
const interval = 2_000;

/** Only an own session and its blockers; a role sees of the sessions of others neither state nor query. */
const query = `
	SELECT string_agg(DISTINCT format(
		'process %s (%s, user %s%s)', blocker.pid, coalesce(nullif(blocker.application_name, ''), 'without a name'),
		blocker.usename, ', ' || blocker.state || ' for ' || round(extract(epoch FROM clock_timestamp() - blocker.state_change)) || ' s'
	), ', ')
	FROM pg_stat_activity AS own CROSS JOIN LATERAL unnest(pg_blocking_pids(own.pid)) AS lock (pid)
		JOIN pg_stat_activity AS blocker ON blocker.pid = lock.pid
	WHERE own.application_name = $1 AND own.wait_event_type = 'Lock'`;

/**
 * Tells, once, which sessions hold a lock that a session of this name waits for. Returns what ends it.
 *
 * @param client needs a second connection, as the first one is what waits
 */
export function tellOfLocks(client: PostgresClient, name: string, tell: (text: string) => void): () => void {
	const driver = driverOf(client);
	const look = async () => {
		const blockers = await driver.query(query, [name], interval);
		if (blockers === null || isOver) return;
		stop();
		tell(`Waiting for a lock of another session: ${blockers}`);
	};
	let isOver = false;
	const timer = setInterval(() => look().catch(() => {}), interval); // a failure shows in the command itself
	const stop = () => {
		isOver = true;
		clearInterval(timer);
	};
	return stop;
}
