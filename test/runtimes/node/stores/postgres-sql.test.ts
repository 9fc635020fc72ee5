// Only Node: Deno and Bun run `pg`, and Bun its own driver. This one uses their sockets in the same way.
import { sql } from "../../../stores/postgres/drivers.ts";
import { testPostgres } from "../../../stores/postgres/suite.ts";

testPostgres(sql);
