// The example of many processes, some of which are killed during their work.
import { expect, test } from "vitest";
import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { fileURLToPath } from "node:url";

const file = fileURLToPath(new URL("../../../examples/fleet.ts", import.meta.url));
const prefix = "Deno" in globalThis ? ["run", "--allow-all", "--no-lock", "--no-check", file] : [file];

async function play(...args: string[]): Promise<{ code: number | null; output: string }> {
	const child = spawn(process.execPath, [...prefix, ...args]);
	let output = "";
	for (const stream of [child.stdout, child.stderr]) {
		stream.setEncoding("utf8").on("data", (text: string) => output += text);
	}
	const [code] = await once(child, "close");
	return { code, output };
}

test("examples/fleet.ts delivers each parcel once, though workers are killed", async () => {
	const { code, output } = await play("--parcels", "1000", "--workers", "2", "--kill-every", "0.5", "--kills", "3");
	expect(output).toContain(
		"1000 parcels, 1000 deliveries of 1000 parcels, 0 left over: each was delivered exactly once",
	);
	expect(output).toMatch(/[1-3] kills?$/m);
	expect(code).toBe(0);
}, 120_000);

// `script` of util-linux gives the example a terminal.
test.skipIf(process.platform !== "linux")("examples/fleet.ts leaves its verdict on the screen that stays", async () => {
	const args = ["--parcels", "200", "--workers", "1", "--kill-every", "60"];
	const line = [process.execPath, ...prefix, ...args].map((word) => `'${word}'`).join(" ");
	const { CI: _, ...env } = process.env;
	const child = spawn("script", ["-qefc", line, "/dev/null"], { env: { ...env, TERM: "xterm" } });
	let output = "";
	child.stdout.setEncoding("utf8").on("data", (text: string) => output += text);
	const [code] = await once(child, "close");
	const screens = output.split("\x1b[?1049l");
	expect(screens.length).toBe(2); // the alternate screen is left once
	expect(screens[1]).toContain("each was delivered exactly once");
	expect(code).toBe(0);
}, 120_000);

test("examples/fleet.ts refuses bad arguments in one line", async () => {
	const { code, output } = await play("--workers", "none");
	expect(output).toBe("fleet: --workers takes a whole number from 1 to 100\n");
	expect(code).toBe(2);
}, 30_000);
