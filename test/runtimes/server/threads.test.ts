// Real threads in Node, Deno and Bun. test/threads/threads.test.ts has the tests that need no thread.
import { execFile } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { testThreads } from "../../threads/threads-suite.ts";

const fixture = new URL("../../fixtures/thread.ts", import.meta.url);
const dataUrl = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`;

testThreads("threads of a URL", fixture, dataUrl);
// Skipped in Bun, whose node:worker_threads loses events. Its global Worker is tested instead.
if (!("Bun" in globalThis)) testThreads("threads of node:worker_threads", () => new Worker(fixture), dataUrl);

const program = fileURLToPath(new URL("../../fixtures/thread-process.ts", import.meta.url));
const prefix = "Deno" in globalThis ? ["run", "--allow-all", "--no-lock", "--no-check", program] : [program];

/** Returns the output of a process with threads that ends by itself. */
async function outputOf(mode: string): Promise<string> {
	const { stdout, stderr } = await promisify(execFile)(process.execPath, [...prefix, mode], { timeout: 14_000 });
	return (stdout + stderr).trim();
}

describe("a process", () => {
	// In Deno a program cannot control whether a thread keeps the process alive.
	test.skipIf("Deno" in globalThis)("ends when its threads are idle", async () => {
		expect(await outputOf("idle")).toBe("idle");
	});

	test("stays alive as long as a thread has a call", async () => {
		expect(await outputOf("call")).toBe("3\ngone");
	});

	test("hears of no unhandled rejection when a thread is lost, and nothing is printed", async () => {
		expect(await outputOf("lost")).toBe("ThreadDiedError\nThreadDiedError");
	});
});
