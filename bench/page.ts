// Runs a bundle in a page of the installed Chromium, headless and without a driver. The page posts its result back.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import { browsers, findBrowser } from "../scripts/test/browsers.ts";

const page = `<!doctype html><script type="module">
const fail = (error) => fetch("/result", { method: "POST", body: String(error?.stack ?? error) });
addEventListener("unhandledrejection", ({ reason }) => fail(reason));
import("/bundle.js").catch(fail);
</script>`;

/** The clock of an isolated page has a resolution of 5 µs instead of 100 µs. */
const headers = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

/** Resolves with the result that the page posts, or rejects after `timeout` milliseconds. */
export async function runInPage(bundle: string, parameters: URLSearchParams, timeout: number): Promise<string> {
	const { promise, resolve, reject } = Promise.withResolvers<string>();
	const server: Server = createServer((request, response) => answer(bundle, request, response, resolve));
	await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
	const folder: string = mkdtempSync(join(tmpdir(), "upkeep-bench-page-"));
	const { port } = server.address() as AddressInfo;
	const browser: ChildProcess = open(folder, `http://127.0.0.1:${port}/?${parameters}`).once("error", reject);
	const timer = setTimeout(() => reject(new Error(`The page did not end within ${timeout} ms`)), timeout);
	return await promise.finally(async () => {
		clearTimeout(timer);
		await close(browser);
		server.close().closeAllConnections();
		rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
	});
}

function answer(
	bundle: string,
	request: IncomingMessage,
	response: ServerResponse,
	onResult: (result: string) => void,
): void {
	if (request.method === "POST") {
		void text(request).then(onResult);
		response.end();
	} else if (request.url === "/bundle.js") {
		response.writeHead(200, { ...headers, "content-type": "text/javascript" }).end(readFileSync(bundle));
	} else {
		response.writeHead(200, { ...headers, "content-type": "text/html" }).end(page);
	}
}

function open(folder: string, url: string): ChildProcess {
	const [program, ...args] = browsers.chromium.command(findBrowser("chromium")!, folder, url);
	// A detached process leads a process group, so that all processes of the browser can be ended.
	const child = spawn(program!, args, { stdio: "ignore", detached: true, env: { ...process.env, HOME: folder } });
	const stop = (): void => kill(child);
	process.once("exit", stop);
	return child.once("exit", () => process.off("exit", stop));
}

async function close(browser: ChildProcess): Promise<void> {
	if (browser.pid === undefined || browser.exitCode !== null || browser.signalCode !== null) return;
	const ended = new Promise((resolve) => browser.once("exit", resolve));
	kill(browser);
	await ended;
}

function kill({ pid }: ChildProcess): void {
	try {
		process.kill(-pid!, "SIGKILL");
	} catch { /* It has ended by itself. */ }
}
