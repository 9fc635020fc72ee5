// Postgres with either driver for the kill tests; see database.ts.
import { query } from "../servers/postgres-machine.ts";
import { connectPostgres, type DriverName } from "../servers/postgres-drivers.ts";
import { type Database, type Effect, listOf, slowly } from "./database.ts";

const table = "CREATE TABLE effects (n bigserial PRIMARY KEY, id text, lane text, place int)";
/**
 * A task of a lane ends before the next task begins, so that the effects of a lane are numbered in the order of their
 * commits.
 */
const all = "SELECT id, lane, place FROM effects ORDER BY n";

export function openPostgres(driver: DriverName, url: string): Database {
	const { store, transaction, ask, close } = connectPostgres(driver, url);
	return {
		store,
		prepare: () => query(url, table),
		apply: (effects, rest) =>
			transaction(async (tx) => {
				const rows = listOf(effects).map(({ id, lane, place }) => `('${id}', '${lane}', ${place})`);
				await ask(tx, `INSERT INTO effects (id, lane, place) VALUES ${rows.join()}`);
				await slowly(effects, () => rest(tx));
			}),
		effects: async () => await query(url, all) as unknown as Effect[],
		close,
	};
}
