import type { PostgresClient } from "../../../../src/stores/postgres/postgres.ts";
import { connectionsOf, type Sql } from "../../../stores/postgres/drivers.ts";
import { testPostgres } from "../../../stores/postgres/suite.ts";

// The modules of Bun have no types here.
const name = "bun";
const { SQL }: { SQL: new (url: string, options: unknown) => Sql & PostgresClient } = await import(name);

testPostgres({
	name: "postgresStore() with SQL of Bun",
	open: async (url) => connectionsOf(new SQL(url, { max: 4 })),
	isDeaf: true, // the driver does not listen again after a lost connection, and does not report the loss
});
