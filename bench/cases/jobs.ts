// See `job-rounds.ts`.
import process from "node:process";
import { parameters } from "../measure.ts";
import { measureJobs, splitLabel } from "./job-rounds.ts";

const count = parameters().get("plan") === "quick" ? 200 : 1_000;
await measureJobs({ ...splitLabel(parameters().get("case")!), count, steps: 5 }, count);
process.exit();
