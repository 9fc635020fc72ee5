// Only servers, because the example uses threads and terminal output.
import { execFile } from "node:child_process";
import process from "node:process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";

const command = "Deno" in globalThis ? ["run", "-A", "--no-lock", "--no-check"] : [];

describe("examples/thumbnails.ts", () => {
	test("shrinks as many images as it is told to, in threads, and ends by itself", async () => {
		const { stdout } = await promisify(execFile)(process.execPath, [...command, "examples/thumbnails.ts", "2"], {
			timeout: 14_000,
		});
		expect(stdout).toMatch(/^2 of 2 images with \d+ threads? in [\d.]+ s$/m);
	});
});
