// The same as test/simulation.test.ts, on Deno KV. Each answer takes real time, so there are fewer seeds.
import process from "node:process";
import { openDenoKv } from "../../../simulation/deno-kv.ts";
import { PatientClock } from "../../../simulation/patient-clock.ts";
import { testSimulation } from "../../../simulation/suite.ts";

const makeClock = (options: { now: number }) => new PatientClock(options);
const seeds = process.env["UPKEEP_LONG"] ? 60 : 40;
testSimulation({ store: "deno-kv", open: openDenoKv, makeClock, seeds });
testSimulation({ store: "deno-kv", open: openDenoKv, makeClock, seeds: seeds / 4, what: "jobs" });
