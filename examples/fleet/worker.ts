/** One process of the fleet: delivers parcels until it is stopped or killed. */

import process from "node:process";
import postgres from "postgres";
import { Basket, sleep } from "../../mod.ts"; // elsewhere: from "upkeep"
import { postgresStore } from "../../src/stores/postgres/postgres.ts"; // elsewhere: from "upkeep/stores/postgres"

const [name] = process.argv.slice(2);
const sql = postgres(process.env["FLEET_DATABASE"]!, { onnotice() {} });
const end = new AbortController();
process.once("SIGTERM", () => end.abort());
process.once("SIGINT", () => end.abort());

const basket = new Basket({
	store: postgresStore(sql),
	name: "fleet",
	lease: 2_000,
	onError: (error) => console.error(`${name}: ${error}`),
	tasks: {
		async deliver(parcel: number, { complete, signal }) {
			await sleep(Math.random() * 20, { signal }); // the way
			if (Math.random() < 0.05) throw new Error("Nobody was at home");
			// Both in one commit: the delivery is recorded, and the task is done.
			await sql.begin(async (tx) => {
				await tx`INSERT INTO fleet_deliveries (parcel, worker) VALUES (${parcel}, ${name!})`;
				await complete(tx);
			});
		},
	},
	backoff: { start: 100, max: 2_000, jitter: "full" },
});
await basket.run({ signal: end.signal });
await sql.end();
