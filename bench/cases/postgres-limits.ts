// Tasks of 1,000 keys with a limit for each key, and the same queues without limits. See `postgres-rounds.ts`.
import process from "node:process";
import { parameters } from "../measure.ts";
import { measureQueue } from "./postgres-rounds.ts";

const isQuick = parameters().get("plan") === "quick";
await measureQueue(parameters().get("case")!, isQuick ? 2_000 : 4_000);
process.exit();
