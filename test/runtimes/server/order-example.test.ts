// Only servers, because the example is a program of its own.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import process from "node:process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";

const command = "Deno" in globalThis ? ["run", "-A", "--no-lock", "--no-check"] : [];

async function play(...args: string[]): Promise<string> {
	const all = [...command, "examples/order.ts", ...args];
	return (await promisify(execFile)(process.execPath, all, { timeout: 14_000 })).stdout;
}

describe("examples/order.ts", () => {
	test("completes what is approved and undoes the rest, as a function and as a chain", async () => {
		const output = await play();
		for (const kind of ["function", "chain"]) {
			const linesOf = (article: string) =>
				output.split("\n").flatMap((line) => line.split(`s  ${article}, ${kind}`)[1]?.trim() ?? []);
			const tea = linesOf("tea");
			const gold = linesOf("gold");
			expect(tea).toContain("the courier does not answer");
			expect(tea.at(-1)).toBe("completed: sent the tea, 8 €, a courier");
			expect(gold.slice(-4)).toEqual([
				"cancels a courier",
				"releases 9000 €",
				"frees the gold",
				"reverted: not approved",
			]);
			expect(tea).toHaveLength(6);
			expect(gold).toHaveLength(9);
		}
	});

	test("draws its chain as docs/jobs.md shows it", async () => {
		const guide = await readFile("docs/jobs.md", "utf8");
		expect(guide).toContain("```mermaid\n" + await play("--diagram") + "```\n");
	});
});
