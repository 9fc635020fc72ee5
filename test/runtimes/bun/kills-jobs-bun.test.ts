import { testJobKills } from "../../kills/job-suite.ts";

testJobKills("bun:sqlite", 8);
