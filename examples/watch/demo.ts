/** Something to watch when no URL is given: a server with good and bad manners, and a configuration file to play with. */

import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Answers a request; `random` gives numbers from 0 to 1, and `count` is how often this endpoint was asked before. */
type Endpoint = (response: ServerResponse, random: () => number, count: number) => void;

const endpoints: Record<string, Endpoint> = {
	"/fast": (response) => answer(response, 200),
	"/slow": (response, random) => {
		const timer = setTimeout(answer, 300 + 600 * random(), response, 200);
		response.on("close", () => clearTimeout(timer)); // the client may lose its patience
	},
	"/flaky": (response, random) => answer(response, random() < 0.5 ? 200 : 503),
	// The header allows a date as well as seconds.
	"/busy": (response, _random, count) => {
		if (count % 3 === 0) answer(response, 429, { "retry-after": "1" });
		else if (count % 6 === 1) answer(response, 503, { "retry-after": new Date(Date.now() + 2_000).toUTCString() });
		else answer(response, 200);
	},
	"/hangs": (response, random) => void (random() < 0.5 || answer(response, 200)),
	"/moody": (response, _random, count) => answer(response, count % 8 < 5 ? 200 : 404),
};

export interface Demo {
	readonly configFile: string;
	close(): Promise<void>;
}

export async function startDemo(): Promise<Demo> {
	const server = createDemoServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as AddressInfo;
	const folder = await mkdtemp(join(tmpdir(), "upkeep-watch-"));
	const configFile = join(folder, "watch.json");
	await writeFile(configFile, JSON.stringify(configFor(`http://127.0.0.1:${port}`), undefined, "\t") + "\n");
	return { configFile, close: () => close(server, folder) };
}

function configFor(origin: string) {
	return {
		urls: Object.keys(endpoints).map((path) => origin + path),
		interval: 3_000,
		timeout: 950,
		attempts: 4,
		backoff: { start: 300, factor: 2, max: 3_000, jitter: "equal" },
	};
}

function createDemoServer(): Server {
	const counts = new Map<string, number>();
	const randoms = new Map(Object.keys(endpoints).map((path, index) => [path, createRandom(index)]));
	return createServer((request, response) => {
		const path = request.url ?? "";
		const endpoint = endpoints[path];
		if (endpoint === undefined) return answer(response, 404);
		const count = counts.get(path) ?? 0;
		counts.set(path, count + 1);
		endpoint(response, randoms.get(path)!, count);
	});
}

function answer(response: ServerResponse, status: number, headers: Record<string, string> = {}): void {
	response.writeHead(status, headers).end(`${status}\n`);
}

/** The same numbers in every run (Mulberry32). */
function createRandom(seed: number): () => number {
	return () => {
		seed = (seed + 0x6D2B79F5) | 0;
		let mixed = Math.imul(seed ^ (seed >>> 15), seed | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	};
}

async function close(server: Server, folder: string): Promise<void> {
	const closed = once(server, "close");
	server.close();
	server.closeAllConnections();
	await closed;
	await rm(folder, { recursive: true, force: true });
}
