/**
 * Answers that say what is wrong, as problem details (RFC 9457).
 *
 * @module
 */

import {
	InvalidConfigError,
	ServiceExistsError,
	ServiceFailedError,
	ServiceNotFoundError,
	UnknownKindError,
} from "../services/errors.ts";
import { type SchemaIssue, ValidationError } from "../platform/standard-schema.ts";

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

/** What an error of the registry is to a client; `undefined` if that is none of its business. */
export function toProblem(error: unknown): Problem | undefined {
	if (error instanceof Problem) return error;
	if (error instanceof UnknownKindError) return new Problem(400, error.message);
	if (error instanceof InvalidConfigError) return new Problem(400, withCause(error), issuesOf(error.cause));
	if (error instanceof ServiceNotFoundError) return new Problem(404, error.message);
	if (error instanceof ServiceExistsError) return new Problem(409, error.message);
	if (error instanceof ServiceFailedError) return new Problem(422, withCause(error));
	const { name, message } = Object(error);
	if (name === "InvalidStateError" || name === "AbortError") return new Problem(409, message);
}

/** What went wrong, in words, and never where in the code. */
export function describe(error: unknown): string {
	try {
		return String(Object(error).message ?? error);
	} catch {
		return "unknown"; // not everything can be made a string
	}
}

function withCause(error: Error): string {
	return `${error.message}: ${describe(error.cause)}`;
}

/** What a validator has found, each with a JSON Pointer (RFC 6901) to its place. */
function issuesOf(error: unknown): object {
	if (!(error instanceof ValidationError)) return {};
	return { errors: error.issues.map(({ message: detail, path }) => ({ detail, pointer: pointerTo(path) })) };
}

function pointerTo(path: SchemaIssue["path"] = []): string {
	const keys = path.map((part) => String(typeof part === "object" ? part.key : part));
	return keys.map((key) => `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}
