/**
 * Operates `Services` over HTTP: JSON in and out, server-sent events for changes, web standards only.
 *
 * | request | action | does | answers |
 * | --- | --- | --- | --- |
 * | `GET /services?after=&limit=` | `list` | gives a page of the services, in the order of their ids | 200 `{ services, next? }` |
 * | `GET /services` with `Accept: text/event-stream` | `watch` | streams the services and each change | 200 |
 * | `POST /services` | `create` | creates a service: `{ id?, kind, config?, active? }` | 201, 400, 409, 422 |
 * | `GET /services/{id}` | `get` | gives one service | 200, 404 |
 * | `DELETE /services/{id}` | `delete` | stops and deletes it | 204, 404 |
 * | `PUT /services/{id}/config` | `configure` | replaces its configuration by the body | 200, 400, 404, 409 |
 * | `POST /services/{id}/start` | `start` | starts it with its configuration | 200, 400, 404, 422 |
 * | `POST /services/{id}/stop` | `stop` | stops it | 200, 404 |
 *
 * A service is `{ id, kind, state, error? }`, where `error` is a string. `next` is the address of the next page; a
 * `Link` header contains it, too. `HEAD` works like `GET`, and `OPTIONS` returns the allowed methods.
 *
 * Problems are `application/problem+json` (RFC 9457). In addition to the table: 403 (not authorized, or sent by a
 * page of another origin), 404 (unknown path), 405, 413 (the body is too large), 415 (the body is not
 * `application/json`), 500, 503 (too many streams). 409 means that the id is taken, that the service is not started,
 * or that it was deleted meanwhile. 422 means that the service was created, failed, and was removed again.
 *
 * A browser sends cookies with requests from pages of other sites. Therefore a request that changes something is
 * refused, before `authorize` is called, if its `Sec-Fetch-Site` or `Origin` names another origin, or if its content
 * type is not JSON, with or without a body. Clients that are not browsers do not send these headers.
 *
 * A stream begins with the event `reset`, which tells a client to discard what it knows, and an `added` for each
 * service. After that it sends `added`, `updated` and `removed` as they happen. A client that reconnects with
 * `Last-Event-ID` gets the changes since then, without `reset`, if the server still knows them: it does while its
 * process lives and at most 1,000 services were removed. A slow client gets the latest state of a service and not
 * each intermediate state. A stream ends after an hour, or if too many changes are pending for a client that does not
 * read. The client then reconnects automatically.
 *
 * @module
 */

import type { ServiceRecord, ServiceRequest, Services } from "../services/services.ts";
import { isJson, noJson, readJson } from "./body.ts";
import { ChangeStream, toJson } from "./events.ts";
import { json, Problem, toProblem } from "./problem.ts";
import { check, checkFunction, checkLimit } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import { type OnError, report } from "../platform/observe.ts";

/** The action that a request asks for. */
export interface ServicesAction {
	/** The action, as in the table of this module. */
	readonly action: "list" | "watch" | "create" | "get" | "delete" | "configure" | "start" | "stop";
	/** The id of the service, which need not exist; `undefined` for `list`, `watch` and `create`. */
	readonly id: string | undefined;
}

/**
 * Decides whether a request is allowed. It is called before anything is read or looked up; for a stream, only at its
 * beginning.
 *
 * @returns `true` to allow the request, or a response to send instead, such as a 401; any other value refuses the
 * request with 403
 */
export type Authorize = (
	request: Request,
	action: ServicesAction,
) => boolean | Response | PromiseLike<boolean | Response>;

/** Options for {@link servicesHandler}. */
export interface ServicesHandlerOptions {
	/**
	 * Decides about each request. If it throws, the response is 500. It must not read the body; it can read that of
	 * `request.clone()`. @default 403 for every request
	 */
	authorize?: Authorize | undefined;
	/**
	 * Further origins whose pages may change something, such as `"https://admin.example.com"`. Also needed behind a
	 * proxy that changes the `Host` header. @default the request's own origin only
	 */
	trustedOrigins?: readonly string[] | undefined;
	/**
	 * The path of the services: "" or a path that begins with a slash and does not end with one. @default "/services"
	 */
	basePath?: string | undefined;
	/**
	 * The maximum number of services on a page, a positive integer; a request can ask for fewer with `limit`.
	 * @default 100
	 */
	pageSize?: number | undefined;
	/** The maximum size of a body, in bytes. @default 1_048_576, 1 MiB */
	maxBodySize?: number | undefined;
	/**
	 * The time without changes after which a stream sends a comment, in milliseconds. It keeps idle connections open:
	 * `Bun.serve` closes a connection that is idle for 10 s. @default 5_000
	 */
	heartbeat?: number | undefined;
	/**
	 * The maximum number of open streams, a positive integer or `Infinity`; further streams get 503. @default 1_000
	 */
	maxStreams?: number | undefined;
	/**
	 * The maximum number of pending changes of a stream, in addition to those that it began with. If it is exceeded,
	 * the stream ends. At most one change per id is pending. @default 10_000
	 */
	maxStreamWaiting?: number | undefined;
	/**
	 * The maximum duration of a stream, in milliseconds. Then the stream ends, and `authorize` is called again when
	 * the client reconnects.
	 * @default 3_600_000, an hour
	 */
	maxStreamTime?: number | undefined;
	/** Called with each error that leads to a 500. */
	onError?: OnError | undefined;
	/** The clock to use. @default systemClock */
	clock?: Clock | undefined;
}

interface Settings {
	readonly pageSize: number;
	readonly maxBodySize: number;
	readonly heartbeat: number;
	readonly maxStreams: number;
	readonly maxStreamWaiting: number;
	readonly maxStreamTime: number;
	readonly clock: Clock;
}

interface Call {
	readonly services: Services;
	readonly request: Request;
	readonly url: URL;
	readonly id: string;
	readonly basePath: string;
	readonly settings: Settings;
	readonly epoch: string;
	/** The open streams. */
	readonly streams: Set<ChangeStream>;
}

interface Operation {
	readonly action: ServicesAction["action"];
	readonly answer: (call: Call) => Response | Promise<Response>;
}

/** The operations by path (after the base, with `:id` for the id) and method. */
const routes: Readonly<Record<string, Readonly<Record<string, Operation>>>> = {
	"": { GET: { action: "list", answer: list }, POST: { action: "create", answer: create } },
	"/:id": { GET: { action: "get", answer: get }, DELETE: { action: "delete", answer: remove } },
	"/:id/config": { PUT: { action: "configure", answer: configure } },
	"/:id/start": { POST: { action: "start", answer: start } },
	"/:id/stop": { POST: { action: "stop", answer: stop } },
};
const watching: Operation = { action: "watch", answer: watch };

/**
 * Creates a request handler for `Deno.serve`, `Bun.serve`, a service worker's `respondWith`, Hono
 * (`handler(c.req.raw)`) and any other server that uses `Request` and `Response`. `examples/services.ts` shows the
 * adapter for `node:http`.
 *
 * @param services the registry to operate
 * @param options authorization and limits; without `authorize`, every request is refused
 * @returns a function that never rejects
 * @throws {TypeError | RangeError} for arguments of the wrong type or out of range
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Lifecycle, Services } from "upkeep";
 * import { servicesHandler } from "upkeep/http";
 *
 * const services = new Services({ kinds: { backup: () => new Lifecycle(() => {}) } });
 * const handler = servicesHandler(services, {
 * 	authorize: ({ headers }) => headers.get("authorization") === "Bearer secret",
 * });
 *
 * const headers = { authorization: "Bearer secret", "content-type": "application/json" };
 * const body = JSON.stringify({ id: "nightly", kind: "backup", config: { hour: 3 } });
 * const created = await handler(new Request("http://localhost/services", { method: "POST", headers, body }));
 * assert.equal(created.status, 201);
 * assert.deepEqual(await created.json(), { id: "nightly", kind: "backup", state: "active" });
 *
 * const refused = await handler(new Request("http://localhost/services"));
 * assert.equal(refused.status, 403);
 * await services.stop();
 * ```
 */
export function servicesHandler(
	services: Services,
	options: ServicesHandlerOptions = {},
): (request: Request) => Promise<Response> {
	check("services.watch", check("services", services, "object").watch, "function");
	const { basePath = "/services" } = check("options", options, "object");
	const authorize = checkFunction("authorize", options.authorize);
	const onError = checkFunction("onError", options.onError);
	const settings = checkSettings(options);
	const trustedOrigins = checkOrigins(options.trustedOrigins);
	const streams = new Set<ChangeStream>();
	check(
		"basePath",
		basePath,
		"string",
		typeof basePath === "string" && /^(\/.*[^/])?$/.test(basePath),
		`"" or a path such as "/services"`,
	);
	// Created at the first request, because some workers allow no random numbers before.
	let epoch: string | undefined;
	return async (request) => {
		try {
			if (authorize === undefined) throw forbidden();
			const url = new URL(request.url);
			const { operation, id } = findOperation(request, url, basePath);
			if (operation instanceof Response) return operation;
			refuseForeign(request, url, trustedOrigins);
			const allowed = await authorize(request, { action: operation.action, id });
			if (allowed instanceof Response) return allowed;
			if (allowed !== true) throw forbidden();
			epoch ??= crypto.randomUUID();
			const response = await operation.answer({
				...{ services, request, url, basePath, settings, epoch, streams },
				id: id ?? "",
			});
			return request.method === "HEAD" ? await withoutBody(response) : response;
		} catch (error) {
			const problem = toProblem(error);
			if (problem === undefined) report(onError, error);
			return (problem ?? new Problem(500, "The server failed")).toResponse();
		}
	};
}

function checkSettings(options: ServicesHandlerOptions): Settings {
	const { pageSize = 100, maxBodySize = 1_048_576, heartbeat = 5_000 } = options;
	const { maxStreams = 1_000, maxStreamWaiting = 10_000, maxStreamTime = 3_600_000 } = options;
	const isCount = maxStreams === Infinity || (Number.isInteger(maxStreams) && maxStreams > 0);
	check("maxStreams", maxStreams, "number", isCount, "a positive integer, or Infinity");
	checkLimit("maxStreamWaiting", maxStreamWaiting);
	checkLimit("maxStreamTime", maxStreamTime);
	check("pageSize", pageSize, "number", Number.isInteger(pageSize) && pageSize > 0, "a positive integer");
	checkLimit("maxBodySize", maxBodySize);
	checkLimit("heartbeat", heartbeat);
	const clock = checkClock(options.clock);
	return { pageSize, maxBodySize, heartbeat, maxStreams, maxStreamWaiting, maxStreamTime, clock };
}

function checkOrigins(origins: readonly string[] = []): readonly string[] {
	check("trustedOrigins", origins, "object", Array.isArray(origins), "an array of origins");
	return origins.map((origin) => {
		const isOrigin = URL.canParse(check("trustedOrigins", origin, "string")) && new URL(origin).origin === origin;
		return check("trustedOrigins", origin, "string", isOrigin, `origins such as "https://example.com"`);
	});
}

/** Throws if a page of another origin requests a change: the browser may have sent the user's cookies with it. */
function refuseForeign(request: Request, { host }: URL, trusted: readonly string[]): void {
	if (request.method === "GET" || request.method === "HEAD") return;
	const { headers } = request;
	const origin = headers.get("origin");
	const site = headers.get("sec-fetch-site");
	if (origin === null || !trusted.includes(origin)) {
		// Compares the host and not the whole origin: behind a proxy that terminates TLS, the request uses http.
		const isForeign = site !== null
			? site !== "same-origin" && site !== "none"
			: origin !== null && !(URL.canParse(origin) && new URL(origin).host === host);
		if (isForeign) throw new Problem(403, "Pages of other origins may not send this request");
	}
	// A form has one of three content types, even if it is empty.
	if (headers.has("content-type") && !isJson(request)) throw noJson();
}

/** The operation of a request, or the response to `OPTIONS`. */
function findOperation(
	request: Request,
	{ pathname }: URL,
	basePath: string,
): { operation: Operation | Response; id: string | undefined } {
	const { rest, id } = splitPath(pathname, basePath);
	const methods = rest === undefined ? undefined : routes[rest];
	if (methods === undefined) throw new Problem(404, "Nothing exists at this path");
	const allow = Object.keys(methods).flatMap((name) => name === "GET" ? ["GET", "HEAD"] : [name]);
	const headers = { allow: [...allow, "OPTIONS"].join(", ") };
	if (request.method === "OPTIONS") return { operation: new Response(null, { status: 204, headers }), id };
	const method = request.method === "HEAD" ? "GET" : request.method;
	const operation = Object.hasOwn(methods, method) ? methods[method] : undefined;
	if (operation === undefined) throw new Problem(405, `${method} is not allowed here`, {}, headers);
	return { operation: operation.action === "list" && wantsEvents(request) ? watching : operation, id };
}

/** The path after the base, with `:id` in place of the id. */
function splitPath(pathname: string, basePath: string): { rest?: string | undefined; id?: string | undefined } {
	if (pathname === (basePath || "/")) return { rest: "" };
	if (!pathname.startsWith(`${basePath}/`)) return {};
	const [id, ...rest] = pathname.slice(basePath.length + 1).split("/");
	if (id === "") return {};
	try {
		return { rest: ["/:id", ...rest].join("/"), id: decodeURIComponent(id!) };
	} catch {
		return {}; // invalid percent-encoding cannot be an id
	}
}

function wantsEvents({ headers }: Request): boolean {
	return /(?:^|,)\s*text\/event-stream\b/i.test(headers.get("accept") ?? "");
}

function list({ services, url, basePath, settings: { pageSize } }: Call): Response {
	const { after, limit } = readPage(url.searchParams, pageSize);
	const page = services.list({ after, limit: limit + 1 });
	const shown = page.slice(0, limit).map(toJson);
	if (page.length <= limit) return json(200, { services: shown }, { vary: "accept" });
	const next = `${basePath || "/"}?${new URLSearchParams({ after: page[limit - 1]!.id, limit: `${limit}` })}`;
	return json(200, { services: shown, next }, { vary: "accept", link: `<${next}>; rel="next"` });
}

function readPage(parameters: URLSearchParams, pageSize: number): { after: string; limit: number } {
	const limit = parameters.get("limit") ?? `${pageSize}`;
	if (!/^[1-9]\d*$/.test(limit)) throw new Problem(400, `"limit" must be a positive integer`);
	return { after: parameters.get("after") ?? "", limit: Math.min(Number(limit), pageSize) };
}

function watch({ services, request, settings, epoch, streams }: Call): Response {
	const { signal, headers } = request;
	if (streams.size >= settings.maxStreams) {
		throw new Problem(503, "There are too many streams", {}, { "retry-after": "10" });
	}
	const lastEventId = headers.get("last-event-id");
	const source = new ChangeStream(services, { ...settings, epoch, lastEventId, signal, streams });
	return new Response(new ReadableStream(source), {
		headers: {
			"content-type": "text/event-stream",
			"cache-control": "no-store",
			"x-accel-buffering": "no", // otherwise nginx would buffer the events
			vary: "accept",
		},
	});
}

async function create({ services, request, basePath, settings: { maxBodySize } }: Call): Promise<Response> {
	const wanted = checkRequest(await readJson(request, maxBodySize));
	const record = await services.create(wanted);
	return json(201, toJson(record), { location: `${basePath}/${encodeURIComponent(record.id)}` });
}

/** Refuses unknown members: a misspelled `config` would otherwise create a service without a configuration. */
function checkRequest(value: unknown): ServiceRequest {
	if (typeof value !== "object" || value === null || Array.isArray(value)) {
		throw new Problem(400, "The body must be an object");
	}
	const { id, kind, config, active, ...others } = value as Record<string, unknown>;
	const unknown = Object.keys(others)[0];
	if (unknown !== undefined) throw new Problem(400, `${JSON.stringify(unknown)} is not id, kind, config or active`);
	if (typeof kind !== "string") throw new Problem(400, `"kind" must be a string`);
	if (active !== undefined && typeof active !== "boolean") throw new Problem(400, `"active" must be a boolean`);
	return { id: checkId(id), kind, config, active, parsed: true };
}

/** Accepts only ids that a path can contain. */
function checkId(id: unknown): string | undefined {
	if (id === undefined) return id;
	const isPath = typeof id === "string" && !["", ".", ".."].includes(id) && !/[\ud800-\udfff]/u.test(id);
	if (!isPath) throw new Problem(400, `"id" must be a string that a path can name`);
	return id;
}

function get({ services, id }: Call): Response {
	const record = services.get(id);
	if (record === undefined) throw notFound(id);
	return json(200, toJson(record));
}

async function remove({ services, id }: Call): Promise<Response> {
	if (!await services.delete(id)) throw notFound(id);
	return new Response(null, { status: 204 });
}

async function configure({ services, request, id, settings: { maxBodySize } }: Call): Promise<Response> {
	return shown(await services.configure(id, await readJson(request, maxBodySize), { parsed: true }));
}

async function start({ services, id }: Call): Promise<Response> {
	return shown(await services.start(id));
}

async function stop({ services, id }: Call): Promise<Response> {
	return shown(await services.stop(id));
}

function shown(record: ServiceRecord): Response {
	return json(200, toJson(record));
}

/** Ends a stream that nobody reads. */
async function withoutBody(response: Response): Promise<Response> {
	await response.body?.cancel();
	return new Response(null, response);
}

function forbidden(): Problem {
	return new Problem(403, "This is not allowed");
}

function notFound(id: string): Problem {
	return new Problem(404, `There is no service ${JSON.stringify(id)}`);
}
