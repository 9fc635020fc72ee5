// Commands in a clone without installed packages. Some run at once; others first install packages.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import process from "node:process";
import { root } from "../../../scripts/test/engines.ts";

const timeout = 120_000;
const parts = [
	"bin",
	"examples",
	"scripts",
	"src",
	"mod.ts",
	"deno.json",
	"package.json",
	"package-lock.json",
	".npmrc",
];
/** The PATH of the machine, without the entries that `npm test` has added. */
const path = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => !folder.includes("node_modules"));
const nodes = { 24: dirname(process.execPath), 20: await findNode20() };

const isDesk = ["", "0", "false"].includes(process.env["CI"] ?? "");

/** The folder of the installed Node, if its version is 20. */
async function findNode20(): Promise<string | undefined> {
	const folder = path.find((folder) => existsSync(join(folder, "node")));
	if (folder === undefined) return undefined;
	const child = spawn(join(folder, "node"), ["--version"]);
	let version = "";
	child.stdout.setEncoding("utf8").on("data", (text: string) => version += text);
	await once(child, "close");
	return version.startsWith("v20.") ? folder : undefined;
}

let clone: string;
const running: Command[] = [];

/** A command in the clone, as a user types it. */
class Command {
	readonly #child: ChildProcess;
	text = "";
	#onText = () => {};
	readonly ended: Promise<unknown>;

	constructor(node: string, program: string, ...args: string[]) {
		const env: NodeJS.ProcessEnv = { ...process.env, PATH: [node, ...path].join(delimiter) };
		// Removes the variables of the npm that runs this test.
		for (const name of Object.keys(env)) if (/^npm_|^NODE_OPTIONS$|^VITEST/.test(name)) delete env[name];
		// The command gets its own process group, because npm starts a shell, which starts Node.
		this.#child = spawn(program, args, { cwd: clone, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
		for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
			stream.setEncoding("utf8").on("data", (text: string) => {
				this.text += text;
				this.#onText();
			});
		}
		this.ended = once(this.#child, "close").then(([code, signal]) => {
			this.#onText();
			return signal ?? code;
		});
		running.push(this);
	}

	/** Resolves with the first match in the output. Rejects if the command ends without a match. */
	async printed(pattern: RegExp): Promise<RegExpExecArray> {
		for (let isOver = false;;) {
			const match = pattern.exec(this.text);
			if (match !== null) return match;
			if (isOver) throw new Error(`${pattern} was not printed:\n${this.text}`);
			const text = new Promise<boolean>((resolve) => this.#onText = () => resolve(false));
			isOver = await Promise.race([text, this.ended.then(() => true)]);
		}
	}

	/** Kills all processes of the command. Has no effect if they have ended. */
	async kill(): Promise<void> {
		try {
			process.kill(-this.#child.pid!, "SIGKILL");
		} catch {
			// The command has ended by itself.
		}
		await this.ended;
	}
}

// Windows has neither process groups nor these signals.
describe.skipIf(process.platform === "win32")("a fresh clone", () => {
	beforeAll(async () => {
		clone = await mkdtemp(join(tmpdir(), "upkeep-clone-"));
		for (const part of parts) await cp(join(root, part), join(clone, part), { recursive: true });
	}, timeout);

	afterEach(async () => {
		for (const command of running.splice(0)) await command.kill();
	});

	afterAll(() => rm(clone, { recursive: true, force: true, maxRetries: 5 }));

	test("npm start delivers without installing anything, twice, and goes on after a kill", async () => {
		const first = new Command(nodes[24], "npm", "start", "--silent", "--", "--plain");
		await first.printed(/ done demo-\S+ \(attempt 1\)\n/);
		const [, url] = await first.printed(/^Listening on (\S+)\n/m);
		expect((await fetch(`${url}mod.ts`)).headers.get("content-type")).toContain("javascript");
		await first.kill();
		const second = new Command(nodes[24], "npm", "start", "--silent", "--", "--plain");
		const [, left] = await second.printed(/: (\d+) to be delivered, /);
		expect(Number(left)).toBeGreaterThan(0);
		await second.printed(/ done demo-\S+ \(attempt \d+\)\n/);
		expect((await second.printed(/^Listening on (\S+)\n/m))[1]).toBe(url);
		await second.kill();
		expect(await readdir(clone)).not.toContain("node_modules");
		expect(first.text + second.text).not.toMatch(/warning|npm install/i);
	}, timeout);

	test("npx upkeep shows what npm start has stored, from the sources", async () => {
		const counts = new Command(nodes[24], "npx", "upkeep", "counts", "--db", ".outbox/outbox.db");
		expect(await counts.ended).toBe(0);
		const { waiting, done } = JSON.parse(counts.text.slice(counts.text.indexOf("{")));
		expect(waiting + done).toBeGreaterThan(0);
		const version = new Command(nodes[24], "npx", "upkeep", "--version");
		expect(await version.ended).toBe(0);
		expect(version.text).toMatch(/^\d+\.\d+\.\d+\n$/m);
		expect(await readdir(clone)).not.toContain("node_modules");
	}, timeout);

	test("npm test -- --help says what there is, and installs nothing", async () => {
		for (const option of ["--help", "-h"]) {
			const help = new Command(nodes[24], "npm", "test", "--silent", "--", option);
			expect(await help.ended).toBe(0);
			expect(help.text).toContain("npm test -- --filter");
		}
		expect(await readdir(clone)).not.toContain("node_modules");
	}, timeout);

	// Skipped on a desk with a later Node. In CI a missing Node 20 is a failure.
	test.skipIf(nodes[20] === undefined && isDesk)(
		"npm start delivers on Node 20 with two packages (skipped without a Node 20)",
		async () => {
			expect(nodes[20]).toBeDefined();
			for (const isFirst of [true, false]) {
				const start = new Command(nodes[20]!, "npm", "start", "--silent", "--", "--plain");
				await start.printed(/ done demo-\S+ \(attempt \d+\)\n/);
				const [, url] = await start.printed(/^Listening on (\S+)\n/m);
				expect((await fetch(`${url}mod.ts`)).headers.get("content-type")).toContain("javascript");
				await start.kill();
				expect(start.text.includes("npm install esbuild@")).toBe(isFirst);
			}
			const counts = new Command(nodes[20]!, "npx", "upkeep", "counts", "--db", ".outbox/outbox.db");
			expect(await counts.ended).toBe(0);
			expect(counts.text).toMatch(/"waiting":\d+/);
			const thumbnails = new Command(nodes[20]!, "npm", "run", "--silent", "example", "examples/thumbnails.ts", "2");
			expect([await thumbnails.ended, thumbnails.text]).toEqual([0, expect.stringMatching(/^2 of 2 images with /m)]);
			expect(await readdir(join(clone, "node_modules"))).toEqual([".run"]);
		},
		timeout,
	);
});
