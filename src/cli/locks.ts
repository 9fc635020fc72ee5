/**
 * Finds the sessions of Postgres whose locks a command waits for.
 *
 * @module
 */

import { driverOf } from "../stores/postgres/driver.ts";
import type { PostgresClient } from "../stores/postgres/postgres.ts";

/** The time between two looks, in milliseconds. */
const interval = 2_000;

/** For sessions of other roles the state is NULL, unless the role may see it. */
const query = `
	SELECT string_agg(DISTINCT format(
		'process %s (%s, user %s%s)', blocker.pid, coalesce(nullif(blocker.application_name, ''), 'without a name'),
		blocker.usename, ', ' || blocker.state || ' for ' || round(extract(epoch FROM clock_timestamp() - blocker.state_change)) || ' s'
	), ', ')
	FROM pg_stat_activity AS own CROSS JOIN LATERAL unnest(pg_blocking_pids(own.pid)) AS lock (pid)
		JOIN pg_stat_activity AS blocker ON blocker.pid = lock.pid
	WHERE own.application_name = $1 AND own.wait_event_type = 'Lock'`;

/**
 * Reports once which sessions hold a lock that a session of this name waits for. The returned function ends the looking.
 *
 * @param client a client with a second connection, because the first one may be waiting
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
	const timer = setInterval(() => look().catch(() => {}), interval); // the command itself reports a lost connection
	const stop = () => {
		isOver = true;
		clearInterval(timer);
	};
	return stop;
}
