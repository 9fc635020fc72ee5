/**
 * Answers that say what is wrong, as problem details (RFC 9457).
 *
 * @module
 */

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

/** Thrown where a request cannot be served. What it says is for the client. */
export class Problem extends Error {
	readonly status: number;
	/** Members of the answer besides those that all have. */
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

/** An answer in JSON. */
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
 * What an error of the registry is to a client; `undefined` if that is none of its business. By its name: the registry may
 * be one of the CommonJS build, and this the ES module.
 */
export function toProblem(error: unknown): Problem | undefined {
	try {
		return problemOf(error);
	} catch {
		return undefined; // whatever was thrown has getters that throw
	}
}

function problemOf(error: unknown): Problem | undefined {
	if (error instanceof Problem) return error;
	const { name, cause } = Object(error);
	const status = statuses.get(name);
	if (status === undefined) return;
	const hasCause = name === "InvalidConfigError" || name === "ServiceFailedError";
	const detail = hasCause ? `${describe(error)}: ${describe(cause)}` : describe(error);
	return new Problem(status, detail, name === "InvalidConfigError" ? issuesOf(cause) : {});
}

/** What went wrong, in words, and never where in the code. */
export function describe(error: unknown): string {
	try {
		return String(Object(error).message ?? error);
	} catch {
		return "unknown"; // not everything can be made a string
	}
}

/** What a validator has found, each with a JSON Pointer (RFC 6901) to its place. */
function issuesOf(error: unknown): object {
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
