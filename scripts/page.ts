// Runs a module in the Chromium of the system, headless and without a driver: the page sends its outcome back.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import { build } from "esbuild";
import { root } from "./project.ts";
import { browsers, findBrowser } from "./test/browsers.ts";

// An unhandled rejection fails the run, as in Node.
const page = `<!doctype html><script type="module">
const report = (text) => fetch("/outcome", { method: "POST", body: text });
addEventListener("unhandledrejection", ({ reason }) => report(String(reason?.stack ?? reason)));
addEventListener("error", ({ message }) => report(message));
import("/main.js").then(() => setTimeout(report, 0, "passed"), (error) => report(String(error?.stack ?? error)));
</script>`;

/** Bundles a module with its imports for browsers; `node:assert/strict` is replaced by a small stand-in. */
export async function bundleForPage(entry: string): Promise<string> {
	const result = await build({
		entryPoints: [entry],
		bundle: true,
		write: false,
		format: "esm",
		platform: "browser",
		alias: { "node:assert/strict": join(root, "scripts/page-assert.ts") },
	});
	return result.outputFiles[0]!.text;
}

/** Whether this machine has a Chromium. On a desk it may be missing, in CI it must not. */
export function hasBrowser(): boolean {
	const found: boolean = findBrowser("chromium") !== undefined;
	if (!found && !["", "0", "false"].includes(process.env["CI"] ?? "")) {
		throw new Error("there is no Chromium to run the browser part in");
	}
	return found;
}

/** Serves the files, opens a page that imports /main.js, and rejects if that fails or takes longer than `timeout`. */
export async function runInPage(files: Record<string, string>, timeout: number): Promise<void> {
	const { promise, resolve, reject } = Promise.withResolvers<string>();
	const server: Server = createServer((request, response) => answer(files, request, response, resolve));
	await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
	const profile: string = mkdtempSync(join(tmpdir(), "upkeep-page-"));
	const child: ChildProcess = open(profile, (server.address() as AddressInfo).port).once("error", reject);
	const timer = setTimeout(() => reject(new Error(`the page did not end within ${timeout} ms`)), timeout);
	const outcome: string = await promise.finally(async () => {
		clearTimeout(timer);
		await stop(child);
		server.close().closeAllConnections();
		rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
	});
	if (outcome !== "passed") throw new Error(outcome);
}

function answer(
	files: Record<string, string>,
	request: IncomingMessage,
	response: ServerResponse,
	onOutcome: (text: string) => void,
): void {
	if (request.method === "POST") {
		void text(request).then(onOutcome);
		return void response.end();
	}
	const file: string | undefined = request.url === "/" ? page : files[request.url!];
	const type: string = request.url === "/" ? "text/html" : "text/javascript";
	response.writeHead(file === undefined ? 404 : 200, { "content-type": type }).end(file);
}

function open(profile: string, port: number): ChildProcess {
	const url = `http://127.0.0.1:${port}/`;
	const [program, ...args] = browsers.chromium.command(findBrowser("chromium")!, profile, url);
	return spawn(program!, args, {
		stdio: "ignore",
		detached: true, // its own process group: a browser is many processes
		env: { ...process.env, HOME: profile },
	});
}

async function stop(child: ChildProcess): Promise<void> {
	if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
	const ended = new Promise((resolve) => child.once("exit", resolve));
	process.kill(-child.pid, "SIGKILL");
	await ended;
}
