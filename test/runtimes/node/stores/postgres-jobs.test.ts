import { testCrashes } from "../../../job/crashes.ts";
import { testDurable } from "../../../job/durable-laws.ts";
import { testJobs } from "../../../job/laws.ts";
import { openPostgres } from "../../../job/postgres.ts";
import { pool } from "../../../stores/postgres/drivers.ts";

const open = openPostgres(pool);

testJobs(pool.name, open);
testDurable(pool.name, open);
testCrashes(pool.name, open, { stride: 6 });
