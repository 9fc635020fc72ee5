/**
 * Shows and changes a basket and a processor over HTTP: JSON in and out, server-sent events for changes, web standards
 * only. It is the server of `<upkeep-inspector>`, and an interface for programs.
 *
 * | request | action | does | answers |
 * | --- | --- | --- | --- |
 * | `GET /upkeep` | `overview` | gives counts, pauses, kinds, schedules, and what is allowed | 200 |
 * | `GET /upkeep/changes` | `watch` | streams counts and notices of changes | 200 |
 * | `GET /upkeep/tasks?state=&kind=…` | `list` | gives a page of tasks: the members of `InspectionQuery` | 200 `{ items, next? }`, 400 |
 * | `GET /upkeep/task?id=&source=` | `get` | gives everything about a task | 200, 400, 404 |
 * | `POST /upkeep/actions/{type}?id=&source=` | the type | does an `InspectionAction`; the body is an object of its other members | 200 `{ changed }`, 400, 409, 422 |
 *
 * Ids are in the query, so that each id can be asked for: with slashes, dots or control characters. `source` is `outbox` or
 * `processor`. `HEAD` works like `GET`, and `OPTIONS` returns the allowed methods.
 *
 * Problems are `application/problem+json` (RFC 9457); that of a value that does not fit names the member. In addition to the
 * table: 403 (not authorized, or sent by a page of another origin), 404 (unknown path), 405, 413 (the body is too large),
 * 415 (the body is not `application/json`, which every change must have), 500, 503 (the store does not answer, or there are
 * too many streams). 409 means that the action would remove a half-done job; 422 that a signal does not fit its job.
 *
 * A stream begins with the event `reset`: what the client shows may be old. After that it sends `change` soon after each
 * change, at most twice a second, and at the latest every five seconds. The data of both is an `InspectionChange`. A slow
 * client gets the newest one. A client that reconnects with `Last-Event-ID` gets `change` instead of `reset` if it has missed
 * nothing, as far as that is known: while another client was watching. A stream ends after an hour.
 *
 * @module
 */

import type { Meter } from "../inspection/inspection.ts";
import {
	inspect,
	type Inspectable,
	type Inspection,
	type InspectionAction,
	inspectionActions,
	type InspectionActionType,
	type InspectionQuery,
	type InspectionSource,
	type Redact,
} from "../inspection/inspection.ts";
import { readJson } from "./body.ts";
import { type EventStream, streamEvents } from "./events.ts";
import { ChangeHub, InspectionFeed } from "./inspection-feed.ts";
import { issuesOf, json, Problem } from "./problem.ts";
import {
	type Asked,
	checkHandlerOptions,
	chooseMethod,
	forbidden,
	type HandlerOptions,
	type HandlerSettings,
	handleWith,
} from "./rules.ts";
import { check, checkFunction } from "../platform/check.ts";
import { report } from "../platform/observe.ts";
import { messageOf, nameOf } from "../platform/thrown.ts";

/** What a request asks for. */
export interface BasketAction {
	/** The action, as in the table of this module. */
	readonly action: "overview" | "watch" | "list" | "get" | InspectionActionType;
	/** Which of both, as the request names it; `undefined` if it does not. */
	readonly source: InspectionSource | undefined;
	/** The id of the task, which need not exist; `undefined` if the request names none. */
	readonly id: string | undefined;
}

/**
 * What somebody may do: `true` to read, `"all"` to read and change everything, a list of actions to read and do these.
 * Anything else is nothing.
 */
export type BasketGrant = boolean | "all" | readonly InspectionActionType[];

/**
 * Decides what a request may do. It is called once for each request, before anything is read or looked up; for a stream, only
 * at its beginning. A response is sent instead of a 403. Requests are allowed to change only what the grant names, so
 * `({ headers }) => headers.get("authorization") === secret` makes a handler that only reads.
 */
export type AuthorizeBasket = (
	request: Request,
	action: BasketAction,
) => BasketGrant | Response | PromiseLike<BasketGrant | Response>;

/** Options for {@link basketHandler}. */
export interface BasketHandlerOptions extends HandlerOptions {
	/**
	 * Decides about each request. If it throws, the response is 500. It must not read the body; it can read that of
	 * `request.clone()`. @default 403 for every request
	 */
	authorize?: AuthorizeBasket | undefined;
	/** Removes or changes what may not leave the process of a task. @default everything leaves it */
	redact?: Redact | undefined;
	/** What the basket and the processor have as `observe`, for the rates. @default none */
	meter?: Meter | undefined;
	/**
	 * The path of the overview: "" or a path that begins with a slash and does not end with one. @default "/upkeep"
	 */
	basePath?: string | undefined;
}

interface Call {
	readonly inspection: Inspection;
	readonly request: Request;
	readonly parameters: Readonly<Record<string, string>>;
	readonly settings: HandlerSettings;
	readonly hub: ChangeHub;
	readonly streams: Set<EventStream>;
	/** The actions that are granted. */
	readonly granted: readonly InspectionActionType[];
}

interface Operation {
	readonly action: BasketAction["action"];
	readonly answer: (call: Call) => Response | Promise<Response>;
}

/** The operations that read, by their path after the base. */
const reads: Readonly<Record<string, Operation>> = {
	"": { action: "overview", answer: overview },
	"/changes": { action: "watch", answer: watch },
	"/tasks": { action: "list", answer: list },
	"/task": { action: "get", answer: get },
};

/**
 * Creates a request handler for `Deno.serve`, `Bun.serve`, a service worker's `respondWith`, Hono
 * (`handler(c.req.raw)`) and any other server that uses `Request` and `Response`. `examples/services.ts` shows the
 * adapter for `node:http`.
 *
 * @param inspectable the basket as `outbox`, the `processor`, or both
 * @param options authorization, redaction and limits; without `authorize`, every request is refused
 * @returns a function that never rejects
 * @throws {TypeError | RangeError} for arguments of the wrong type or out of range
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Basket, memoryStore } from "upkeep";
 * import { basketHandler } from "upkeep/http";
 *
 * const outbox = new Basket({ store: memoryStore(), tasks: { send: (_mail: { to: string; token: string }) => {} } });
 * await outbox.add("send", { to: "ada@example.com", token: "secret" }, { id: "welcome-ada" });
 *
 * const handler = basketHandler({ outbox }, {
 * 	authorize: ({ headers }) => headers.get("authorization") === "Bearer of-operator" && ["retry", "hold", "release"],
 * 	redact: ({ payload, ...task }) => ({ ...task, payload: { ...payload as object, token: "…" } }),
 * });
 *
 * const headers = { authorization: "Bearer of-operator", "content-type": "application/json" };
 * const listed = await handler(new Request("http://localhost/upkeep/tasks?state=waiting", { headers }));
 * assert.equal((await listed.json()).items[0].preview, '{"to":"ada@example.com","token":"…"}');
 *
 * const address = "http://localhost/upkeep/actions/hold?id=welcome-ada";
 * const held = await handler(new Request(address, { method: "POST", headers, body: "{}" }));
 * assert.deepEqual(await held.json(), { changed: 1 });
 *
 * const deleting = "http://localhost/upkeep/actions/delete?id=welcome-ada";
 * assert.equal((await handler(new Request(deleting, { method: "POST", headers, body: "{}" }))).status, 403);
 * assert.equal((await handler(new Request("http://localhost/upkeep"))).status, 403);
 * ```
 */
export function basketHandler(
	inspectable: Inspectable,
	options: BasketHandlerOptions = {},
): (request: Request) => Promise<Response> {
	const { redact, meter, onError, clock } = check("options", options, "object");
	const authorize = checkFunction("authorize", options.authorize);
	const settings = checkHandlerOptions(options, "/upkeep");
	const inspection = inspect(inspectable, { redact, meter, onError, clock });
	const hub = new ChangeHub(inspection, onError);
	const streams = new Set<EventStream>();
	return handleWith(settings, authorize, (request, url): Response | Asked<BasketAction> => {
		const found = chooseMethod(request, findMethods(url.pathname, settings.basePath));
		if (found instanceof Response) return found;
		const parameters = readParameters(url);
		const { action, answer } = found;
		const { source, id } = parameters;
		return {
			action: { action, source: source as InspectionSource | undefined, id },
			async answer(allowed) {
				const granted = grantedActions(allowed);
				if (granted === undefined || isChange(action) && !granted.includes(action)) throw forbidden();
				try {
					return await answer({ inspection, request, parameters, settings, hub, streams, granted });
				} catch (error) {
					throw toBasketProblem(error, action, settings);
				}
			},
		};
	});
}

/** Refuses two values of a name: whoever reads the address before might take the other one. */
function readParameters({ searchParams }: URL): Readonly<Record<string, string>> {
	const parameters = Object.fromEntries(searchParams);
	const names = new Set<string>();
	const twice = [...searchParams.keys()].find((name) => names.size === names.add(name).size);
	if (twice !== undefined) throw new Problem(400, `${JSON.stringify(twice)} is there twice`);
	return parameters;
}

function findMethods(path: string, basePath: string): Readonly<Record<string, Operation>> | undefined {
	const rest = path === (basePath || "/")
		? ""
		: path.startsWith(`${basePath}/`)
		? path.slice(basePath.length)
		: undefined;
	if (rest === undefined) return undefined;
	if (Object.hasOwn(reads, rest)) return { GET: reads[rest]! };
	const type = inspectionActions.find((type) => rest === `/actions/${type}`);
	return type && { POST: { action: type, answer: (call) => act(call, type) } };
}

function isChange(action: BasketAction["action"]): action is InspectionActionType {
	return (inspectionActions as readonly string[]).includes(action);
}

/** What `authorize` has granted: the actions, or `undefined` if not even reading is allowed. */
function grantedActions(allowed: unknown): readonly InspectionActionType[] | undefined {
	if (allowed === "all") return inspectionActions;
	if (Array.isArray(allowed)) return inspectionActions.filter((action) => allowed.includes(action));
	return allowed === true ? [] : undefined;
}

async function overview({ inspection, granted }: Call): Promise<Response> {
	const known = await inspection.overview();
	return json(200, { ...known, actions: known.actions.filter((action) => granted.includes(action)) });
}

function watch({ request, settings, hub, streams }: Call): Response {
	const lastEventId = request.headers.get("last-event-id");
	return streamEvents(request, () => new InspectionFeed(hub, lastEventId), settings, streams);
}

async function list({ inspection, parameters }: Call): Promise<Response> {
	const { limit, ...query } = parameters;
	// A text that is no number is refused with the other members.
	const number = limit !== undefined && /^\d{1,9}$/.test(limit) ? Number(limit) : limit;
	return json(
		200,
		await inspection.list({ ...query, ...(limit === undefined ? {} : { limit: number }) } as InspectionQuery),
	);
}

async function get({ inspection, parameters }: Call): Promise<Response> {
	const { id = "", source, ...others } = parameters;
	const other = Object.keys(others)[0];
	if (other !== undefined) throw new Problem(400, `${JSON.stringify(other)} is not id or source`);
	const task = await inspection.get(id, source as InspectionSource | undefined);
	if (task === undefined) throw new Problem(404, `There is no task ${JSON.stringify(id)}`);
	return json(200, task);
}

async function act({ inspection, request, parameters, settings }: Call, type: InspectionActionType): Promise<Response> {
	const body = await readJson(request, settings.maxBodySize);
	if (typeof body !== "object" || body === null || Array.isArray(body)) {
		throw new Problem(400, "The body must be an object");
	}
	// `authorize` has seen those of the address.
	const moved = ["type", "source", "id"].find((name) => Object.hasOwn(body, name));
	if (moved !== undefined) throw new Problem(400, `"${moved}" belongs into the address`);
	return json(200, await inspection.act({ ...body, ...parameters, type } as InspectionAction));
}

/** Errors are told apart by name, because the basket may come from another build. */
function toBasketProblem(error: unknown, action: BasketAction["action"], { onError }: HandlerSettings): unknown {
	const [name, message] = [nameOf(error), messageOf(error)];
	if (name === "StoreError") {
		report(onError, error);
		return new Problem(503, "The store cannot be used now", {}, { "retry-after": "10" });
	}
	if (name === "ValidationError") return new Problem(422, message, issuesOf(error));
	const isOfValue = name === "RangeError" || name === "TypeError";
	// The checks name the value; other such errors may be faults of this server.
	if (isOfValue && /^"\w+" must be /.test(message)) return new Problem(400, message);
	// The job does not wait for this name.
	return isOfValue && action === "signal" ? new Problem(422, message) : error;
}
