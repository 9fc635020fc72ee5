/**
 * A web server for this machine only, in Node, Deno and Bun.
 *
 * @module
 */

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Failure } from "./terminal.ts";

/** A server that can be closed. */
export interface WebServer {
	readonly port: number;
	/** Ends all connections, including streams. */
	close(): Promise<void>;
}

/** Answers a request. Never rejects. */
export type Handler = (request: Request) => Promise<Response>;

const hostname = "127.0.0.1";

/**
 * Starts a server on 127.0.0.1.
 *
 * A page of another site can make a browser ask this server under a name of that site, which its DNS has led here. So
 * requests are refused unless their `Host` is this machine by number or as localhost.
 *
 * @param port 0 for any free one
 * @throws {Failure} (as a rejection) if the port cannot be used
 */
export async function openWebServer(handler: Handler, port: number): Promise<WebServer> {
	const server = createServer((incoming, outgoing) => {
		answer(handler, incoming, outgoing).catch(() => outgoing.destroy());
	});
	server.listen(port, hostname);
	try {
		await once(server, "listening");
	} catch (error) {
		const { code, message } = error as Error & { code?: string };
		const reason = code === "EADDRINUSE" ? "another program uses it" : message;
		throw new Failure(1, `The port ${port} cannot be used: ${reason}`, { cause: error });
	}
	const close = async () => {
		const closed = once(server, "close");
		server.close();
		server.closeAllConnections();
		await closed;
	};
	return { port: (server.address() as AddressInfo).port, close };
}

/** Whether a `Host` header names this machine. */
export function isLocal(host: string | undefined): boolean {
	return host !== undefined && /^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?$/i.test(host);
}

async function answer(handler: Handler, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
	if (!isLocal(incoming.headers.host)) {
		outgoing.writeHead(421, { "content-type": "text/plain" }).end("This server is for this machine only\n");
		return;
	}
	const controller = new AbortController();
	outgoing.on("close", () => controller.abort()); // the client has gone, or has its answer
	const response = await handler(toRequest(incoming, controller.signal));
	outgoing.writeHead(response.status, Object.fromEntries(response.headers));
	if (response.body === null) outgoing.end();
	else await pipeline(Readable.fromWeb(response.body as never), outgoing); // at the pace of the client
}

function toRequest(incoming: IncomingMessage, signal: AbortSignal): Request {
	const { method = "GET", url = "/", headers: { host } } = incoming;
	const headers = Object.entries(incoming.headers).flatMap(([name, value]) =>
		value === undefined ? [] : [[name, Array.isArray(value) ? value.join(", ") : value] as [string, string]]
	);
	const hasBody = method !== "GET" && method !== "HEAD";
	const body = hasBody ? { body: Readable.toWeb(incoming), duplex: "half" } : {};
	return new Request(
		`http://${host}${url.startsWith("/") ? url : "/"}`,
		{ method, headers, signal, ...body } as RequestInit,
	);
}
