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
import { readJson } from "./body.ts";
import { type EventStream, streamEvents } from "./events.ts";
import { json, Problem } from "./problem.ts";
import {
	type Asked,
	checkHandlerOptions,
	chooseMethod,
	forbidden,
	type HandlerOptions,
	type HandlerSettings,
	handleWith,
} from "./rules.ts";
import { ServiceFeed, toJson } from "./service-feed.ts";
import { check, checkFunction, checkLimit } from "../platform/check.ts";

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
export interface ServicesHandlerOptions extends HandlerOptions {
	/**
	 * Decides about each request. If it throws, the response is 500. It must not read the body; it can read that of
	 * `request.clone()`. @default 403 for every request
	 */
	authorize?: Authorize | undefined;
	/**
	 * The path of the services: "" or a path that begins with a slash and does not end with one. @default "/services"
	 */
	basePath?: string | undefined;
	/**
	 * The maximum number of services on a page, a positive integer; a request can ask for fewer with `limit`.
	 * @default 100
	 */
	pageSize?: number | undefined;
	/**
	 * The maximum number of pending changes of a stream, in addition to those that it began with. If it is exceeded,
	 * the stream ends. At most one change per id is pending. @default 10_000
	 */
	maxStreamWaiting?: number | undefined;
}

interface Settings extends HandlerSettings {
	readonly pageSize: number;
	readonly maxStreamWaiting: number;
}

interface Call {
	readonly services: Services;
	readonly request: Request;
	readonly url: URL;
	readonly id: string;
	readonly settings: Settings;
	readonly epoch: string;
	/** The open streams. */
	readonly streams: Set<EventStream>;
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
	const authorize = checkFunction("authorize", check("options", options, "object").authorize);
	const settings = checkSettings(options);
	const streams = new Set<EventStream>();
	// Created at the first request, because some workers allow no random numbers before.
	let epoch: string | undefined;
	return handleWith(settings, authorize, (request, url): Response | Asked<ServicesAction> => {
		const { rest, id } = splitPath(url.pathname, settings.basePath);
		const found = chooseMethod(request, rest === undefined ? undefined : routes[rest]);
		if (found instanceof Response) return found;
		const { action, answer } = found.action === "list" && wantsEvents(request) ? watching : found;
		return {
			action: { action, id },
			answer(allowed) {
				if (allowed !== true) throw forbidden();
				epoch ??= crypto.randomUUID();
				return answer({ services, request, url, settings, epoch, streams, id: id ?? "" });
			},
		};
	});
}

function checkSettings(options: ServicesHandlerOptions): Settings {
	const { pageSize = 100, maxStreamWaiting = 10_000 } = options;
	checkLimit("maxStreamWaiting", maxStreamWaiting);
	check("pageSize", pageSize, "number", Number.isInteger(pageSize) && pageSize > 0, "a positive integer");
	return { ...checkHandlerOptions(options, "/services"), pageSize, maxStreamWaiting };
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

function list({ services, url, settings: { basePath, pageSize } }: Call): Response {
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
	const lastEventId = request.headers.get("last-event-id");
	const feed = () => new ServiceFeed(services, epoch, lastEventId, settings.maxStreamWaiting);
	return streamEvents(request, feed, settings, streams);
}

async function create({ services, request, settings: { basePath, maxBodySize } }: Call): Promise<Response> {
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

function notFound(id: string): Problem {
	return new Problem(404, `There is no service ${JSON.stringify(id)}`);
}
