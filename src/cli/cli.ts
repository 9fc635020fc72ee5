#!/usr/bin/env node
/**
 * The command line `upkeep`: shows and changes the tasks and jobs in a database.
 *
 * Run it with `npx upkeep`, `deno run -A jsr:@upkeep/upkeep/cli` or `bunx upkeep`. This module is a program:
 * importing it runs it.
 *
 * @module
 */

import process from "node:process";
import { main } from "./main.ts";

// An idle connection or the open input must not keep the process alive.
void main(process.argv.slice(2)).then((code) => process.exit(process.exitCode || code));
