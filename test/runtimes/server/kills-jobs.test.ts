import { testJobKills } from "../../kills/job-suite.ts";

testJobKills("sqlite", 12);
