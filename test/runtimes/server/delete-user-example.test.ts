// The example of jobs as a separate process, which is killed during its work and restarted.
import { afterEach, expect, test } from "vitest";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const file = fileURLToPath(new URL("../../../examples/delete-user.ts", import.meta.url));
const prefix = "Deno" in globalThis ? ["run", "--allow-all", "--no-lock", "--no-check", file] : [file];
const timeout = 60_000;
let child: ChildProcess | undefined;

afterEach(() => void child?.kill("SIGKILL"));

/** Runs the example until it ends. Kills it if its output matches `killAt`. */
async function play(args: string[], killAt?: RegExp, cwd?: string): Promise<string> {
	const running = child = spawn(process.execPath, [...prefix, ...args], { cwd });
	let output = "";
	running.stdout!.setEncoding("utf8").on("data", (text: string) => {
		output += text;
		if (killAt?.test(output)) running.kill("SIGKILL");
	});
	running.stderr!.setEncoding("utf8").on("data", (text: string) => output += text);
	await once(running, "close");
	return output;
}

test("examples/delete-user.ts goes on after a kill where it was, and does no step twice", async () => {
	const folder = await mkdtemp(join(tmpdir(), "upkeep-"));
	try {
		const db = join(folder, "jobs.db");
		const first = await play(["--db", db, "--flaky", "0", "--pace", "700"], /✓ remove\s+auth/);
		expect(first).not.toContain("is completed");
		const second = await play(["--db", db, "--flaky", "0", "--pace", "10"]);
		for (const flavour of ["plain", "retried", "reverted", "both"]) {
			expect(second).toMatch(new RegExp(`^${flavour} +goes on forward at `, "m"));
			expect(second).toMatch(new RegExp(`^${flavour} +is completed`, "m"));
		}
		const [, flavour] = /^(\w+) +✓ remove +auth/m.exec(first)!;
		expect(second).toMatch(new RegExp(`^${flavour} +goes on forward at orders`, "m"));
		expect(second).not.toMatch(new RegExp(`^${flavour} +✓ remove +auth`, "m"));
	} finally {
		await rm(folder, { recursive: true, force: true });
	}
}, timeout);

test("examples/delete-user.ts leaves nothing behind when all is over, but what it needs to go on", async () => {
	const folder = await mkdtemp(join(tmpdir(), "upkeep-"));
	try {
		await play(["--flaky", "0", "--pace", "700"], /✓ remove\s+auth/, folder);
		expect(await readdir(folder)).toContain("delete-user.db");
		expect(await play(["--flaky", "0", "--pace", "10"], undefined, folder)).toMatch(/^plain +goes on forward at /m);
		expect(await readdir(folder)).toEqual([]);
	} finally {
		await rm(folder, { recursive: true, force: true });
	}
}, timeout);

test("examples/delete-user.ts undoes what was done, where it may", async () => {
	const folder = await mkdtemp(join(tmpdir(), "upkeep-"));
	try {
		const output = await play(["--db", join(folder, "jobs.db"), "--flaky", "1", "--pace", "1"]);
		expect(output).toMatch(/^plain +has failed/m);
		expect(output).toMatch(/^retried +has failed/m);
		expect(output).toMatch(/^reverted +is reverted/m);
		expect(output).toMatch(/^both +is reverted/m);
		expect(output).toMatch(/^retried +✗ remove +auth +attempt 5/m);
	} finally {
		await rm(folder, { recursive: true, force: true });
	}
}, timeout);
