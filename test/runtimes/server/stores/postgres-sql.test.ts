import { sql } from "../../../postgres-drivers.ts";
import { testPostgres } from "../../../postgres-suite.ts";

testPostgres(sql);
