/**
 * Error responses as problem details (RFC 9457).
 *
 * @module
 */

import { messageOf } from "../platform/thrown.ts";
import type { SchemaIssue } from "../platform/standard-schema.ts";

const titles: Readonly<Record<number, string>> = {
	400: "Bad Request",
	403: "Forbidden",
	404: "Not Found",
	405: "Method Not Allowed",
	409: "Conflict",
	413: "Content Too Large",
	415: "Unsupported Media Type",
	422: "Unprocessable Content",
	500: "Internal Server Error",
	503: "Service Unavailable",
};

/** Thrown if a request cannot be served. Its message is sent to the client. */
export class Problem extends Error {
	readonly status: number;
	/** Additional members of the response. */
	readonly more: object;
	readonly headers: Record<string, string>;

	constructor(status: number, detail: string, more: object = {}, headers: Record<string, string> = {}) {
		super(detail);
		this.status = status;
		this.more = more;
		this.headers = headers;
	}

	toResponse(): Response {
		const { status, message: detail, more } = this;
		const headers = { ...this.headers, ...common, "content-type": "application/problem+json" };
		return new Response(JSON.stringify({ title: titles[status], status, detail, ...more }), { status, headers });
	}
}

/** A JSON response. */
export function json(status: number, value: unknown, headers: Record<string, string> = {}): Response {
	const all = { ...headers, ...common, "content-type": "application/json" };
	return new Response(JSON.stringify(value), { status, headers: all });
}

const common = { "cache-control": "no-store", "x-content-type-options": "nosniff" };

const statuses: ReadonlyMap<unknown, number> = new Map([
	["UnknownKindError", 400],
	["InvalidConfigError", 400],
	["ServiceNotFoundError", 404],
	["NameInUseError", 409],
	["InvalidStateError", 409],
	["AbortError", 409],
	["ServiceFailedError", 422],
]);

/**
 * The problem that a client sees for an error of the registry; `undefined` if the client must not see it. Errors are
 * identified by name, because the registry may come from the CommonJS build.
 */
export function toProblem(error: unknown): Problem | undefined {
	try {
		return problemOf(error);
	} catch {
		return undefined; // the thrown value has getters that throw
	}
}

function problemOf(error: unknown): Problem | undefined {
	if (error instanceof Problem) return error;
	const { name, cause, subject } = Object(error);
	const status = statuses.get(name);
	// A task whose name is in use is the service's own affair.
	if (status === undefined || subject === "task") return;
	return new Problem(status, messageOf(error), name === "InvalidConfigError" ? issuesOf(cause) : {});
}

/** The issues of a validator, each with a JSON Pointer (RFC 6901) to its location. */
export function issuesOf(error: unknown): object {
	const { name, issues } = Object(error);
	if (name !== "ValidationError" || !Array.isArray(issues)) return {};
	return {
		errors: (issues as SchemaIssue[]).map(({ message: detail, path }) => ({ detail, pointer: pointerTo(path) })),
	};
}

function pointerTo(path: SchemaIssue["path"] = []): string {
	const keys = path.map((part) => String(typeof part === "object" ? part.key : part));
	return keys.map((key) => `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}
