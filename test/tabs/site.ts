// The server of the tabs. It serves the pages, and receives and records deliveries.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** A request of a task. */
export interface Request {
	readonly id: string;
	/** The tab or the service worker. */
	readonly by: string;
	/** Milliseconds of `performance.now()`. */
	readonly begunAt: number;
	/** The time of the answer, or when the tab was lost; `undefined` before. */
	endedAt: number | undefined;
	/** Whether it was answered. */
	isAnswered: boolean;
	/** Sends the answer. */
	readonly answer: () => void;
}

/** Bundles the tab and the service worker. */
export async function bundle(): Promise<Map<string, string>> {
	const names = ["page", "service-worker"];
	const entryPoints = names.map((name) => fileURLToPath(new URL(`${name}.ts`, import.meta.url)));
	const result = await build({
		entryPoints,
		bundle: true,
		write: false,
		outdir: "/",
		format: "esm",
		platform: "browser",
	});
	return new Map(result.outputFiles.map(({ text }, index) => [`/${names[index]}.js`, text]));
}

export class Site {
	readonly requests: Request[] = [];
	/** Whether the endpoint refuses deliveries. */
	isDown = false;
	readonly #files: ReadonlyMap<string, string>;
	readonly #server: Server;

	constructor(files: ReadonlyMap<string, string>) {
		this.#files = files;
		this.#server = createServer((request, response) => this.#answer(request, response));
	}

	get url(): string {
		return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
	}

	/**
	 * The concurrent requests of one task. The end of a request from a closed tab may be noticed late, because the
	 * lock of the tab is released before its connections close.
	 */
	get overlaps(): string[] {
		return this.requests.filter((one, index) =>
			this.requests.slice(0, index).some((other) => other.id === one.id && !(other.endedAt! <= one.begunAt))
		).map(({ id }) => id);
	}

	/** Returns the names of the tabs that delivered a task, in order. */
	deliverersOf(id: string): string[] {
		return this.requests.filter((request) => request.id === id).map(({ by }) => by);
	}

	open(): Promise<void> {
		return new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
	}

	close(): void {
		this.#server.close().closeAllConnections();
	}

	#answer({ url }: IncomingMessage, response: ServerResponse): void {
		const { pathname, searchParams } = new URL(url!, "http://localhost");
		if (pathname === "/deliver") return this.#take(searchParams, response);
		const file = pathname === "/"
			? `<!doctype html><script type="module" src="/page.js"></script>`
			: this.#files.get(pathname);
		const type = pathname === "/" ? "text/html" : "text/javascript";
		response.writeHead(file === undefined ? 404 : 200, { "content-type": type }).end(file);
	}

	#take(parameters: URLSearchParams, response: ServerResponse): void {
		if (this.isDown) return void response.writeHead(503).end("down");
		const duration = Number(parameters.get("duration"));
		const request: Request = {
			id: parameters.get("id")!,
			by: parameters.get("by")!,
			begunAt: performance.now(),
			endedAt: undefined,
			isAnswered: false,
			answer: () => {
				request.isAnswered = true;
				request.endedAt ??= performance.now();
				response.end();
			},
		};
		this.requests.push(request);
		response.once("close", () => request.endedAt ??= performance.now());
		if (duration >= 0) setTimeout(request.answer, duration);
	}
}
