import { testJobKills } from "../../kills/job-suite.ts";

testJobKills("deno-kv", 12);
