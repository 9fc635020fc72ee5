import { sql } from "../../../stores/postgres/drivers.ts";
import { testPostgres } from "../../../stores/postgres/suite.ts";

testPostgres(sql);
