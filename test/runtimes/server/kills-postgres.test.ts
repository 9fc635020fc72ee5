import { testKills } from "../../kills/suite.ts";

// The driver `postgres` ends its process if a connection is lost at a bad time (porsager/postgres#1154).
testKills("postgres", 10, 1);
