// @ts-ignore: only Bun has it
import { SQL } from "bun";
import { connectionsOf, type Sql } from "../../../postgres-drivers.ts";
import { testPostgres } from "../../../postgres-suite.ts";

testPostgres({
	name: "postgresStore() with SQL of Bun",
	open: async (url) => connectionsOf(new SQL(url) as Sql),
});
