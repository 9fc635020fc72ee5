#!/usr/bin/env node
/**
 * The command line `upkeep`: looks at the tasks and jobs in a database, and changes them.
 *
 * With npm it is `npx upkeep`, with Deno `deno run -A jsr:@upkeep/upkeep/cli`, with Bun `bunx upkeep`. It is a program: to import
 * it is to run it.
 *
 * @module
 */

import process from "node:process";
import { main } from "./main.ts";

// What is left open then, an idle connection or the input, must not keep it alive.
void main(process.argv.slice(2)).then((code) => process.exit(process.exitCode || code));
