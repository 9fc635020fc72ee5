/**
 * What all handlers have in common: nothing is read before `authorize` has allowed it, pages of other origins change
 * nothing, and every error is a response.
 *
 * @module
 */

import { isJson, noJson } from "./body.ts";
import { Problem, toProblem } from "./problem.ts";
import { check, checkFunction, checkLimit } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import { type OnError, report } from "../platform/observe.ts";

/** The options of every handler. */
export interface HandlerOptions {
	/**
	 * Further origins whose pages may change something, such as `"https://admin.example.com"`. Also needed behind a
	 * proxy that changes the `Host` header. @default the request's own origin only
	 */
	trustedOrigins?: readonly string[] | undefined;
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

/** The checked options of every handler. */
export interface HandlerSettings {
	readonly basePath: string;
	readonly trustedOrigins: readonly string[];
	readonly maxBodySize: number;
	readonly heartbeat: number;
	readonly maxStreams: number;
	readonly maxStreamTime: number;
	readonly onError: OnError | undefined;
	readonly clock: Clock;
}

/** A request that was understood. */
export interface Asked<Action> {
	/** What `authorize` is told. */
	readonly action: Action;
	/** Answers it. Gets what `authorize` has returned, which it must judge. */
	readonly answer: (allowed: unknown) => Response | Promise<Response>;
}

/** Checks the options that every handler has. */
export function checkHandlerOptions(
	options: HandlerOptions & { basePath?: string | undefined },
	defaultPath: string,
): HandlerSettings {
	const { basePath = defaultPath, maxBodySize = 1_048_576, heartbeat = 5_000 } = options;
	const { maxStreams = 1_000, maxStreamTime = 3_600_000 } = options;
	const onError = checkFunction("onError", options.onError);
	const isPath = typeof basePath === "string" && /^(\/.*[^/])?$/.test(basePath);
	check("basePath", basePath, "string", isPath, `"" or a path such as "${defaultPath}"`);
	const isCount = maxStreams === Infinity || (Number.isInteger(maxStreams) && maxStreams > 0);
	check("maxStreams", maxStreams, "number", isCount, "a positive integer, or Infinity");
	checkLimit("maxStreamTime", maxStreamTime);
	checkLimit("maxBodySize", maxBodySize);
	checkLimit("heartbeat", heartbeat);
	const clock = checkClock(options.clock);
	const trustedOrigins = checkOrigins(options.trustedOrigins);
	return { basePath, trustedOrigins, maxBodySize, heartbeat, maxStreams, maxStreamTime, onError, clock };
}

/**
 * Makes a handler that never rejects.
 *
 * @param authorize without it, every request is refused
 * @param understand finds what a request asks for; returns the answer to `OPTIONS`; throws a problem
 */
export function handleWith<Action>(
	{ trustedOrigins, onError }: Pick<HandlerSettings, "trustedOrigins" | "onError">,
	authorize: ((request: Request, action: Action) => unknown) | undefined,
	understand: (request: Request, url: URL) => Response | Asked<Action>,
): (request: Request) => Promise<Response> {
	return async (request) => {
		try {
			if (authorize === undefined) throw forbidden();
			const url = new URL(request.url);
			const asked = understand(request, url);
			if (asked instanceof Response) return asked;
			refuseForeign(request, url, trustedOrigins);
			const allowed = await authorize(request, asked.action);
			if (allowed instanceof Response) return allowed;
			const response = await asked.answer(allowed);
			return request.method === "HEAD" ? await withoutBody(response) : response;
		} catch (error) {
			const problem = toProblem(error);
			if (problem === undefined) report(onError, error);
			return (problem ?? new Problem(500, "The server failed")).toResponse();
		}
	};
}

/** The operation for the method of a request, or the response to `OPTIONS`. */
export function chooseMethod<Operation>(
	request: Request,
	methods: Readonly<Record<string, Operation>> | undefined,
): Operation | Response {
	if (methods === undefined) throw new Problem(404, "Nothing exists at this path");
	const allow = Object.keys(methods).flatMap((name) => name === "GET" ? ["GET", "HEAD"] : [name]);
	const headers = { allow: [...allow, "OPTIONS"].join(", ") };
	if (request.method === "OPTIONS") return new Response(null, { status: 204, headers });
	const method = request.method === "HEAD" ? "GET" : request.method;
	if (Object.hasOwn(methods, method)) return methods[method]!;
	throw new Problem(405, `${method} is not allowed here`, {}, headers);
}

/** The answer to a request that `authorize` does not allow. */
export function forbidden(): Problem {
	return new Problem(403, "This is not allowed");
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

/** Ends a stream that nobody reads. */
async function withoutBody(response: Response): Promise<Response> {
	await response.body?.cancel();
	return new Response(null, response);
}
