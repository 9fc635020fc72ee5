import { testKills } from "../../kills/suite.ts";

testKills("bun:sqlite", 10);
