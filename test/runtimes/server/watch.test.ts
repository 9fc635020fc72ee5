// The example as a separate process, in the runtime of the test.
import { afterEach, describe, expect, test } from "vitest";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const file = fileURLToPath(new URL("../../../examples/watch.ts", import.meta.url));
const prefix = "Deno" in globalThis ? ["run", "--allow-all", "--no-lock", "--no-check", file] : [file];
/** The tests do not wait for times, but a busy machine may be slow. */
const timeout = 30_000;
const summary = /^Stopped after .+: \d+ checks?, \d+ ok, \d+ failed\.$/;
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
	for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A process that runs the example. */
class Watch {
	readonly child: ChildProcess;
	/** The output so far. */
	text = "";
	errors = "";
	/** The position in the text after the last match of {@link line}. */
	#seen = 0;
	#onText = () => {};
	/** Resolves with the exit code, or the signal that ended the process, when its output is complete. */
	readonly ended: Promise<unknown>;

	constructor(args: readonly string[], input = "") {
		this.child = spawn(process.execPath, [...prefix, ...args], { env: environment() });
		cleanups.push(() => this.child.kill("SIGKILL"));
		this.child.stdout!.setEncoding("utf8").on("data", (text: string) => {
			this.text += text;
			this.#onText();
		});
		this.child.stderr!.setEncoding("utf8").on("data", (text: string) => this.errors += text);
		this.child.stdin!.on("error", () => {}).end(input); // the process may end before it reads its input
		this.ended = once(this.child, "close").then(([code, signal]) => {
			this.#onText();
			return signal ?? code;
		});
	}

	/** Resolves with the next line that matches; rejects if the process ends without one. */
	async line(pattern: RegExp): Promise<string> {
		for (let isOver = false;;) {
			let end: number;
			while ((end = this.text.indexOf("\n", this.#seen)) >= 0) {
				const line = this.text.slice(this.#seen, end);
				this.#seen = end + 1;
				if (pattern.test(line)) return line;
			}
			if (isOver) throw new Error(`No line matches ${pattern}:\n${this.text}\n${this.errors}`);
			const text = new Promise<boolean>((resolve) => this.#onText = () => resolve(false));
			isOver = await Promise.race([text, this.ended.then(() => true)]);
		}
	}

	/** Does not use `child.kill`: Deno would then report the signal, even if the process handles it and exits by itself. */
	interrupt(signal: "SIGINT" | "SIGTERM"): void {
		process.kill(this.child.pid!, signal);
	}

	get lines(): string[] {
		return this.text.trimEnd().split("\n");
	}
}

/** Returns an environment without variables that change its output or its connections. */
function environment(): Record<string, string | undefined> {
	const { HTTP_PROXY: _1, http_proxy: _2, NODE_OPTIONS: _3, ...rest } = process.env;
	return rest;
}

/** Starts a server on a free port and resolves with its origin. */
async function serve(listener: RequestListener): Promise<string> {
	const server: Server = createServer(listener).listen(0, "127.0.0.1");
	await once(server, "listening");
	cleanups.push(() => {
		server.close();
		server.closeAllConnections();
	});
	return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Creates a file that is written atomically. */
async function createFile(): Promise<{ path: string; write: (text: string) => Promise<void> }> {
	const folder = await mkdtemp(join(tmpdir(), "watch-test-"));
	cleanups.push(() => rm(folder, { recursive: true, force: true }));
	const path = join(folder, "watch.json");
	const write = async (text: string) => {
		await writeFile(`${path}.new`, text);
		await rename(`${path}.new`, path);
	};
	return { path, write };
}

describe("examples/watch.ts", () => {
	test("without URLs watches a server of its own, in plain lines, and removes its folder", async () => {
		const watch = new Watch(["--rounds", "1"]);
		expect(await watch.ended).toBe(0);
		expect(watch.errors).toBe("");
		expect(watch.text).not.toContain("\x1b");
		const outcomes = watch.lines.map((line) => / (?:ok|failed) http:\/\/127\.0\.0\.1:\d+(\/\w+) /.exec(line)?.[1]);
		expect(outcomes.filter((path) => path !== undefined).sort())
			.toEqual(["/busy", "/fast", "/flaky", "/hangs", "/moody", "/slow"]);
		expect(watch.lines.at(-1)).toMatch(summary);
		const configFile = / file (.+\.json) /.exec(watch.text)![1]!;
		await expect(stat(dirname(configFile))).rejects.toThrow("ENOENT");
	}, timeout);

	test("reads a list from standard input and checks each URL as often as it was told", async () => {
		const requests: Record<string, number> = {};
		const origin = await serve(({ method, url }, response) => {
			if (method === "GET") requests[url!] = (requests[url!] ?? 0) + 1;
			response.end();
		});
		const list = `# two URLs\n${origin}/a  # the first\n\n${origin}/b\n${origin}/a\n`;
		const watch = new Watch(["-", "--rounds", "3", "--interval", "20", "--timeout", "20000"], list);
		expect(await watch.ended).toBe(0);
		expect(requests).toEqual({ "/a": 3, "/b": 3 });
		expect(watch.lines.filter((line) => / ok .+\/[ab] 200 in \d+ ms \(attempt 1\)$/.test(line))).toHaveLength(6);
		expect(watch.lines.at(-1)).toMatch(/: 6 checks, 6 ok, 0 failed\.$/);
	}, timeout);

	test("tries again when a server asks for it, and not when that is of no use", async () => {
		let isBusy = true;
		const origin = await serve(({ method, url }, response) => {
			if (method === "HEAD" || url === "/missing") return response.writeHead(404).end();
			if (isBusy) response.setHeader("retry-after", "1");
			response.writeHead(isBusy ? 503 : 200).end();
			isBusy = false;
		});
		const watch = new Watch([`${origin}/busy`, `${origin}/missing`, "--rounds", "1", "--attempts", "2"]);
		expect(await watch.ended).toBe(0);
		const events = watch.lines.map((line) => line.replace(/^\S+ /, "").replace(`${origin}/`, ""));
		expect(events).toContain("retry busy 503 Service Unavailable (attempt 1), again in 1 s");
		expect(events.filter((event) => /^ok busy 200 in \d+ ms \(attempt 2\)$/.test(event))).toHaveLength(1);
		expect(events).toContain("failed missing 404 Not Found (attempt 1)");
		expect(watch.lines.at(-1)).toMatch(/: 2 checks, 1 ok, 1 failed\.$/);
	}, timeout);

	test("gives up on a server that hangs", async () => {
		const origin = await serve(() => {});
		const watch = new Watch([`${origin}/`, "--rounds", "1", "--attempts", "2", "--timeout", "100"]);
		expect(await watch.ended).toBe(0);
		await watch.line(/ retry .+ The timeout of 100 ms has passed \(attempt 1\), again in /);
		await watch.line(/ failed .+ The timeout of 100 ms has passed \(attempt 2\)$/);
	}, timeout);

	test("applies each edit of its configuration file, and keeps the last good one", async () => {
		const origin = await serve((_request, response) => response.end());
		const { path, write } = await createFile();
		await write(JSON.stringify({ urls: [`${origin}/a`], interval: 3_600_000 }));
		const watch = new Watch(["--config", path]);
		await watch.line(/ config 1 URL, every 60 min$/);
		await watch.line(/ ok .+\/a /);
		await write(JSON.stringify({ urls: [`${origin}/b`, `${origin}/c`], interval: 50 }));
		await watch.line(/ config 2 URLs, every 0.1 s$/);
		for (let round = 0; round < 3; round++) await watch.line(/ ok .+\/b /);
		await write("{");
		await watch.line(/ rejected .*JSON/);
		for (let round = 0; round < 3; round++) await watch.line(/ ok .+\/c /);
		await write(JSON.stringify({ urls: [`${origin}/a`, "ftp://b"] }));
		await watch.line(/ rejected "ftp:\/\/b" is not an http or https URL$/);
		await rm(path);
		await watch.line(/ rejected cannot read .+: ENOENT/);
		await watch.line(/ ok .+\/b /);
		watch.interrupt("SIGTERM");
		expect(await watch.ended).toBe(0);
		expect(watch.lines.filter((line) => / ok .+\/a /.test(line))).toHaveLength(1);
	}, timeout);

	test("checks at once what failed when the network is back, instead of waiting for the next round", async () => {
		let isOnline = false;
		const origin = await serve((request, response) => isOnline ? response.end() : request.socket.destroy());
		const watch = new Watch([`${origin}/`, "--interval", "3600000", "--attempts", "1"]);
		await watch.line(/ failed /);
		await watch.line(/ network offline$/);
		isOnline = true;
		await watch.line(/ network online$/);
		await watch.line(/ ok /);
	}, timeout);

	// A process on Windows cannot send a signal that another process can handle.
	test.skipIf(process.platform === "win32")(
		"ends at an interrupt with nothing left that runs",
		async () => {
			const watch = new Watch([]);
			const configFile = / file (.+\.json) /.exec(await watch.line(/ file /))![1]!;
			await watch.line(/ ok /);
			watch.interrupt("SIGINT");
			expect(await watch.ended).toBe(0);
			expect(watch.errors).toBe("");
			expect(watch.lines.at(-1)).toMatch(summary);
			await expect(stat(dirname(configFile))).rejects.toThrow("ENOENT");
		},
		timeout,
	);

	test("ends quietly when nobody reads its output any more", async () => {
		const origin = await serve((_request, response) => response.end());
		const watch = new Watch([`${origin}/`, "--interval", "20"]);
		await watch.line(/ ok /);
		watch.child.stdout!.destroy();
		expect(await watch.ended).toBe(0);
		expect(watch.errors).toBe("");
	}, timeout);

	test("ends when its time is up", async () => {
		const origin = await serve((_request, response) => response.end());
		const watch = new Watch([`${origin}/`, "--for", "0.5"]);
		expect(await watch.ended).toBe(0);
		expect(watch.lines.at(-1)).toMatch(summary);
	}, timeout);

	test("explains itself", async () => {
		const watch = new Watch(["--help"]);
		expect(await watch.ended).toBe(0);
		expect(watch.text).toMatch(/--config <file>[^]*Exit codes/);
	}, timeout);

	test("says what is wrong with its arguments in one line and exits with 2", async () => {
		const cases: [args: string[], message: string][] = [
			[["ftp://example.com"], `"ftp://example.com" is not an http or https URL`],
			[["http://127.0.0.1/", "example"], `"example" is not an http or https URL`],
			[["http://user:secret@example.com"], "the URL of example.com has a user name or a password"],
			[["-"], `"no URL" is not an http or https URL`],
			[["--file", "no/such/list.txt"], `cannot read "no/such/list.txt": ENOENT: no such file or directory`],
			[["--config", "no/such/watch.json"], `cannot read "no/such/watch.json": ENOENT: no such file or directory`],
			[["--interval", "soon"], `--interval takes a number above 0, not "soon"`],
			[["--attempts", "1.5"], `--attempts takes a whole number above 0, not "1.5"`],
			[["--for", "0"], `--for takes a number above 0, not "0"`],
			[["--often"], "Unknown option '--often'; --help lists the options"],
			[["--timeout"], "Option '--timeout <value>' argument missing; --help lists the options"],
		];
		expect(await Promise.all(cases.map(([args]) => failure(args)))).toEqual(cases.map(([, message]) => message));
	}, timeout);

	test("says what is wrong with its configuration in one line and exits with 2", async () => {
		const cases: [text: string, message: RegExp][] = [
			["{", /JSON/],
			["{\n\n]", /JSON/],
			["[]", /^the configuration must be a JSON object$/],
			[`{ "urls": "http://example.com" }`, /^"urls" must be a list$/],
			[`{ "urls": [] }`, /^there is no URL to watch$/],
			[`{ "urls": ["file:///"] }`, /^"file:\/\/\/" is not an http or https URL$/],
			[`{ "urls": ["http://example.com"], "interval": "1" }`, /^"interval" must be /],
			[`{ "urls": ["http://example.com"], "attempts": 0 }`, /^"attempts" must be .+ is 0$/],
			[`{ "retries": 3 }`, /^"retries" is no setting, only /],
		];
		await Promise.all(cases.map(async ([text, message]) => {
			const { path, write } = await createFile();
			await write(text);
			const [name, ...rest] = (await failure(["--config", path])).split(": ");
			expect([name, rest.join(": ")]).toEqual([path, expect.stringMatching(message)]);
		}));
	}, timeout);
});

/** Returns the last line of the example, which must be its only output. */
async function failure(args: string[]): Promise<string> {
	const watch = new Watch(args, "no URL\n");
	expect(await watch.ended).toBe(2);
	expect(watch.text).toBe("");
	return /^watch: (.+)\n$/.exec(watch.errors)?.[1] ?? watch.errors;
}
