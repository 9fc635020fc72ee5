// Only servers, because the example is a program of its own.
import { execFile } from "node:child_process";
import process from "node:process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";

const command = "Deno" in globalThis ? ["run", "-A", "--no-lock", "--no-check"] : [];

describe("examples/autosave.ts", () => {
	test("saves the whole text with fewer requests than edits, although the network fails", async () => {
		const { stdout } = await promisify(execFile)(process.execPath, [...command, "examples/autosave.ts"], {
			timeout: 14_000,
		});
		const [, edits, requests, saved] = /^(\d+) edits, (\d+) requests; the server has (.+)$/m.exec(stdout)!;
		expect(saved).toBe("it all");
		expect(Number(requests)).toBeLessThan(Number(edits));
		expect(stdout).toContain("the network is away");
	});
});
