import { testKills } from "../../kills/suite.ts";

testKills("libsql", 10);
