/**
 * Finds the sessions of Postgres whose locks a command waits for.
 *
 * @module
 */

import { driverOf } from "../stores/postgres/driver.ts";
import type { PostgresClient } from "../stores/postgres/postgres.ts";

/** The time limit of the look, in milliseconds. */
const patience = 2_000;

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
 * Says which sessions hold a lock that a session of this name waits for; `undefined` if it waits for none.
 *
 * @param client a client with a second connection, because the first one may be waiting
 */
export async function blockersOf(client: PostgresClient, name: string): Promise<string | undefined> {
	const blockers = await driverOf(client).query(query, [name], patience);
	return blockers ? `a lock of another session: ${blockers}` : undefined;
}
