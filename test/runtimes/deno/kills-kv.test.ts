import { testKills } from "../../kills/suite.ts";

testKills("deno-kv", 25);
