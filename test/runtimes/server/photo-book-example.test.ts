// Only servers, because the example is a program of its own.
import { execFile } from "node:child_process";
import process from "node:process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";

const command = "Deno" in globalThis ? ["run", "-A", "--no-lock", "--no-check"] : [];

async function play(...args: string[]): Promise<string> {
	const all = [...command, "examples/photo-book.ts", ...args];
	return (await promisify(execFile)(process.execPath, all, { timeout: 14_000 })).stdout;
}

describe("examples/photo-book.ts", () => {
	test("prints a book without its broken page, and undoes the one that the printer refuses", async () => {
		const output = await play();
		const linesOf = (title: string) => output.split("\n").flatMap((line) => line.split(`s  ${title}`)[1]?.trim() ?? []);
		const rome = linesOf("Rome");
		expect(rome.slice(0, 3).sort()).toEqual(["forum", "garden", "tiber"].map((name) => `makes the page of ${name}`));
		expect(rome.slice(3, 7)).toEqual([
			"books an invoice",
			"mails the invoice over 3 €",
			"prints",
			"completed: 3 pages",
		]);
		expect(rome.slice(7)).toEqual([
			"page 1, forum: completed",
			"page 2, blur: reverted",
			"page 3, tiber: completed",
			"page 4, garden: completed",
		]);
		const atlantis = linesOf("Atlantis");
		expect(atlantis.slice(2, 5)).toEqual([
			"books an invoice",
			"mails the invoice over 2 €",
			"voids the invoice over 2 €",
		]);
		expect(atlantis.slice(5, 7).sort()).toEqual(["beach", "reef"].map((name) => `deletes the page of ${name}`));
		expect(atlantis[7]).toBe("reverted: the printer has no such paper");
		expect(atlantis.slice(8).sort()).toEqual(["page 1, beach: reverted", "page 2, reef: reverted"]);
	});

	test("draws its job", async () => {
		const diagram = await play("--diagram");
		expect(diagram).toContain(`s0[["pages: each item"]]\n`);
		expect(diagram).toContain(`s1[["invoice: the job invoice"]]\n`);
	});
});
