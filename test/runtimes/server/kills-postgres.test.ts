import { testKills } from "../../kills/suite.ts";

// The driver `postgres` ends its process when a connection is lost at the wrong moment (porsager/postgres#1154).
testKills("postgres", 10, 1);
