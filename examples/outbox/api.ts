/** The outbox over HTTP. */

import { StoreError } from "../../mod.ts";
import { whyForeign } from "../shared/own-request.ts";
import { describe } from "../shared/words.ts";
import type { Outbox, Status } from "./service.ts";
import type { Receiver } from "./receiver.ts";

/** The largest message, in bytes. */
export const mostBytes: number = 64 * 1024;

/** The response of `GET /messages`. */
export interface ServerStatus extends Status {
	/** Present only if the endpoint is part of this program. */
	readonly received?: Receiver["totals"] | undefined;
}

/** An error with the response to a request that cannot be served. */
class Refusal extends Error {
	readonly status: number;
	readonly headers: Record<string, string>;

	constructor(status: number, message: string, headers: Record<string, string> = {}) {
		super(message);
		this.status = status;
		this.headers = headers;
	}
}

export function createApi(outbox: Outbox, receiver: Receiver | undefined): (request: Request) => Promise<Response> {
	return async (request) => {
		try {
			return await answer(request, outbox, receiver);
		} catch (error) {
			const { status, message, headers } = toRefusal(error);
			return Response.json({ error: message }, { status, headers });
		}
	};
}

/** Refuses requests from pages of other origins, and requests with a foreign host name (DNS rebinding). */
export function checkOrigin(request: Request): void {
	const reason = whyForeign(request);
	if (reason !== undefined) throw new Refusal(403, reason);
}

async function answer(request: Request, outbox: Outbox, receiver: Receiver | undefined): Promise<Response> {
	checkOrigin(request);
	const { url } = request;
	const method = request.method === "HEAD" ? "GET" : request.method; // the response is sent without its body
	const [, messages, id, verb, ...rest] = new URL(url).pathname.split("/").map(decode);
	if (messages !== "messages" || rest.length > 0) throw new Refusal(404, "The only path is /messages");
	if (id === undefined) return await answerAll(method, request, outbox, receiver);
	const isThere = new Refusal(404, `No message ${JSON.stringify(id)} in a suitable state`);
	if (verb !== undefined && verb !== "retry") throw new Refusal(404, "The only action is /messages/<id>/retry");
	if (verb === "retry" && method === "POST") return await outbox.retry(id) ? done() : fail(isThere);
	if (verb === undefined && method === "DELETE") return await outbox.delete(id) ? done() : fail(isThere);
	if (verb === undefined && method === "GET") return Response.json(await outbox.get(id) ?? fail(isThere));
	const allow = verb === undefined ? "GET, HEAD, DELETE" : "POST";
	throw new Refusal(405, "Use GET or DELETE /messages/<id>, or POST /messages/<id>/retry", { allow });
}

async function answerAll(
	method: string,
	request: Request,
	outbox: Outbox,
	receiver: Receiver | undefined,
): Promise<Response> {
	if (method === "GET") {
		const status: ServerStatus = { ...await outbox.status(), received: receiver?.totals };
		return Response.json(status, { headers: { "cache-control": "no-store" } });
	}
	if (method !== "POST") throw new Refusal(405, "Use GET or POST /messages", { allow: "GET, HEAD, POST" });
	const message = readMessage(await readBody(request));
	const accepted = await outbox.accept(message, request.headers.get("idempotency-key") ?? undefined);
	return Response.json(accepted, { status: 202 });
}

/** Parses a message from HTTP or from a line. */
export function readMessage(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch (error) {
		throw new Refusal(400, `This is not JSON: ${describe(error)}`);
	}
}

/** Reads up to the size limit. The rest is not canceled, because the connection would end before the response is sent. */
async function readBody({ body, headers }: Request): Promise<string> {
	const tooLong = new Refusal(413, `A message has at most ${mostBytes} bytes`);
	if (Number(headers.get("content-length")) > mostBytes) throw tooLong;
	if (body === null) return "";
	const decoder = new TextDecoder();
	const reader = body.getReader();
	let text = "";
	let size = 0;
	for (let part = await reader.read(); !part.done; part = await reader.read()) {
		if ((size += part.value.length) > mostBytes) throw tooLong;
		text += decoder.decode(part.value, { stream: true });
	}
	return text + decoder.decode();
}

function toRefusal(error: unknown): Pick<Refusal, "status" | "message" | "headers"> {
	if (error instanceof Refusal) return error;
	const message = describe(error);
	if (error instanceof StoreError) {
		return error.code === "full"
			? { status: 507, message, headers: {} }
			: { status: 503, message, headers: { "retry-after": "1" } };
	}
	return { status: error instanceof TypeError || error instanceof RangeError ? 400 : 500, message, headers: {} };
}

function decode(part: string): string {
	try {
		return decodeURIComponent(part);
	} catch {
		throw new Refusal(400, `${part} is not well encoded`);
	}
}

function done(): Response {
	return new Response(null, { status: 204 });
}

function fail(error: Error): never {
	throw error;
}
