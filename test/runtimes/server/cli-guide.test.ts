// The guide must name what there is, and its commands must be right.
import { describe, expect, test } from "vitest";
import { readFileSync } from "node:fs";
import { readArguments } from "../../../src/cli/arguments.ts";
import { commands, general } from "../../../src/cli/usage.ts";

const guide = readFileSync(new URL("../../../docs/command-line.md", import.meta.url), "utf8");
const blocks = Array.from(guide.matchAll(/```sh\n([^]+?)```/g), ([, text]) => text!.split("\n")).flat();

/** The words of each `npx upkeep` of a line, as a shell would pass them. */
function wordsOf(line: string): string[] {
	const [, text = ""] = /npx upkeep ([^|>&#]*)/.exec(line) ?? [];
	return Array.from(
		text.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g),
		([, double, single, bare]) => double ?? single ?? bare!,
	);
}

describe("the guide to the command line", () => {
	const lines = blocks.filter((line) => line.includes("npx upkeep"));

	test.each(lines)("%s", (line) => {
		expect(readArguments(wordsOf(line), { UPKEEP_DB: "tasks.db" }).type).toBe("request");
	});

	test("has each command, and its exit codes are those of --help", () => {
		expect(lines.length).toBeGreaterThan(10);
		for (const name of Object.keys(commands)) expect(guide).toContain(`\`${name}`);
		for (const name of Object.keys(commands)) expect(general).toContain(`upkeep ${name}`);
		const codes = (text: string, pattern: RegExp) => Array.from(text.matchAll(pattern), ([, code]) => code);
		expect(codes(guide, /^\| `(\d)` /gm)).toEqual(codes(general, /^ {2}(\d) /gm));
	});
});
