// The same as test/simulation.test.ts, on the IndexedDB of a browser. Each answer takes real time, so there are few
// seeds.
import { openIndexedDB } from "../../../simulation/indexeddb.ts";
import { PatientClock } from "../../../simulation/patient-clock.ts";
import { testSimulation } from "../../../simulation/suite.ts";

const makeClock = (options: { now: number }) => new PatientClock(options);
testSimulation({ store: "indexeddb", open: openIndexedDB, makeClock, seeds: 12 });
testSimulation({ store: "indexeddb", open: openIndexedDB, makeClock, seeds: 5, what: "jobs" });
