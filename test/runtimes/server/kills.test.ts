import { testKills } from "../../kills/suite.ts";

testKills("sqlite", 25);
