/** One server for three runtimes: `Deno.serve`, `Bun.serve`, and an adapter for Node. */

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

/** A request handler, such as that of `servicesHandler`. */
export type Handler = (request: Request) => Promise<Response>;

export interface RunningServer {
	readonly port: number;
	/** Closes the server and all its connections, including streams. */
	close(): Promise<void>;
}

/** The parts of the runtimes' own interfaces that are used here. */
interface Runtimes {
	readonly Deno?: {
		serve(options: object, handler: Handler): { addr: { port: number }; finished: Promise<void> };
	};
	readonly Bun?: { serve(options: object): { port: number; stop(closeConnections: boolean): Promise<void> } };
}

const { Deno, Bun } = globalThis as Runtimes;
const hostname = "127.0.0.1";

/** Starts a server for this machine only; with port 0, on any free port. */
export async function serve(handler: Handler, port: number): Promise<RunningServer> {
	if (Deno !== undefined) return serveInDeno(Deno, handler, port);
	if (Bun !== undefined) return serveInBun(Bun, handler, port);
	return await serveInNode(handler, port);
}

function serveInDeno(deno: NonNullable<Runtimes["Deno"]>, handler: Handler, port: number): RunningServer {
	const controller = new AbortController();
	const server = deno.serve({ hostname, port, signal: controller.signal, onListen() {} }, handler);
	const close = () => {
		controller.abort();
		return server.finished;
	};
	return { port: server.addr.port, close };
}

function serveInBun(bun: NonNullable<Runtimes["Bun"]>, handler: Handler, port: number): RunningServer {
	const server = bun.serve({ hostname, port, fetch: handler });
	return { port: server.port, close: () => server.stop(true) };
}

async function serveInNode(handler: Handler, port: number): Promise<RunningServer> {
	const server = createServer((incoming, outgoing) => {
		answer(handler, incoming, outgoing).catch(() => outgoing.destroy());
	});
	server.listen(port, hostname);
	await once(server, "listening"); // or rejects, if the port is in use
	const close = async () => {
		const closed = once(server, "close");
		server.close();
		server.closeAllConnections();
		await closed;
	};
	return { port: (server.address() as AddressInfo).port, close };
}

/** The adapter for Node: converts the incoming message to a `Request`, and sends the `Response`. */
async function answer(handler: Handler, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
	const controller = new AbortController();
	outgoing.on("close", () => controller.abort()); // the client has gone, or has its answer
	const response = await handler(toRequest(incoming, controller.signal));
	outgoing.writeHead(response.status, Object.fromEntries(response.headers));
	if (response.body === null) outgoing.end();
	else await pipeline(Readable.fromWeb(response.body as never), outgoing); // at the pace of the client
}

function toRequest(incoming: IncomingMessage, signal: AbortSignal): Request {
	const { method = "GET", url = "/", headersDistinct } = incoming;
	const headers = Object.entries(headersDistinct).flatMap(([name, values = []]) =>
		values.map((value): [string, string] => [name, value])
	);
	const hasBody = method !== "GET" && method !== "HEAD";
	const body = hasBody ? { body: Readable.toWeb(incoming), duplex: "half" } : {};
	return new Request(`http://${hostname}${url}`, { method, headers, signal, ...body } as RequestInit);
}
