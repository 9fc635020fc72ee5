#!/usr/bin/env node
// The command `upkeep`: in the package it is what was built, in a clone it is the sources, which no build can be older than.
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const runner = new URL("../scripts/run.mjs", import.meta.url); // is in no package
if (existsSync(runner)) {
	process.argv.splice(2, 0, fileURLToPath(new URL("../src/cli/cli.ts", import.meta.url)));
	await import(runner.href);
} else {
	await import("../dist/cli.js");
}
