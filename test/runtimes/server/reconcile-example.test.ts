// Only servers, because the example works on a real folder.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const command = "Deno" in globalThis ? ["run", "-A", "--no-lock", "--no-check"] : [];
let folder: string;

beforeEach(async () => {
	folder = await mkdtemp(join(tmpdir(), "reconcile-test-"));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

function start(...args: string[]): ChildProcess {
	return spawn(process.execPath, [...command, "examples/reconcile.ts", ...args], { stdio: ["ignore", "pipe", "pipe"] });
}

/** Resolves with the output and the exit code. `onLine` sees the output as it grows. */
function ended(
	child: ChildProcess,
	onOutput?: (output: string) => void,
): Promise<{ output: string; code: number | null }> {
	let output = "";
	for (const stream of [child.stdout!, child.stderr!]) {
		stream.setEncoding("utf8").on("data", (text: string) => {
			output += text;
			onOutput?.(output);
		});
	}
	return new Promise((resolve) => child.once("close", (code) => resolve({ output, code })));
}

describe("examples/reconcile.ts", () => {
	test("brings a folder to its declared state, and finds nothing to do the second time", async () => {
		await writeFile(join(folder, "surplus.txt"), "too much");
		const first = await ended(start(folder));
		expect(first.output).toContain("is as declared");
		expect(first.code).toBe(0);
		const files = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith(".txt"));
		expect(files.length).toBe(13);
		expect((await ended(start(folder))).output).toContain("0 rounds, 0 tasks");
	});

	test("goes on where it was interrupted, even by a kill", async () => {
		for (const signal of ["SIGINT", "SIGKILL"] as const) {
			const child = start(folder);
			let isKilled = false;
			await ended(child, (output) => {
				if (isKilled || output.split("  write").length < 4) return;
				isKilled = true;
				process.kill(child.pid!, signal);
			});
			expect(isKilled).toBe(true);
		}
		const { output, code } = await ended(start(folder));
		expect([output.includes("is as declared"), code]).toEqual([true, 0]);
	});
});
