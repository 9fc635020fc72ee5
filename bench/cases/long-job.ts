// See `job-rounds.ts`. The numbers are for one of the steps.
import process from "node:process";
import { parameters } from "../measure.ts";
import { measureJobs, splitLabel } from "./job-rounds.ts";

const steps = 1_600;
await measureJobs({ ...splitLabel(parameters().get("case")!), count: 1, steps }, steps);
process.exit();
