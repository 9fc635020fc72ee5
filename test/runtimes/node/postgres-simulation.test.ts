// The same as test/simulation.test.ts, on Postgres. `npm run simulate -- --store postgres` runs any number of seeds.
import { afterAll, beforeAll } from "vitest";
import { PatientClock } from "../../simulation/patient-clock.ts";
import { SimulationServer } from "../../simulation/postgres.ts";
import type { VirtualClock } from "../../../src/testing/testing.ts";
import { testSimulation } from "../../simulation/suite.ts";

let server: SimulationServer;
beforeAll(async () => {
	server = await SimulationServer.start();
}, 30_000);
afterAll(() => server?.close());

const makeClock = (options: { now: number }) => new PatientClock(options);
const base = { store: "postgres", open: (clock: VirtualClock) => server.open(clock), makeClock, seeds: 8 } as const;
testSimulation(base);
testSimulation({ ...base, what: "jobs" });
