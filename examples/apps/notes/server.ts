/**
 * The server of the notes: `node server.ts` (Node 24) serves the API and the built page. It keeps everything in memory; a
 * real one has a database, and passwords.
 *
 *     PORT=3000
 *     SESSION=60000    # how long a login lasts, in milliseconds
 *     FLAKY=3          # every third request to the API fails
 */

import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { extname, join } from "node:path";
import process from "node:process";

interface Answer {
	readonly status: number;
	readonly body?: string | Uint8Array | undefined;
	readonly headers?: Record<string, string> | undefined;
}

interface Note {
	text: string;
	readonly photos: Map<string, Uint8Array>;
}

const types: Record<string, string> = {
	...{ ".html": "text/html", ".js": "text/javascript", ".json": "application/json" },
};
const mostBytes = 20_000_000;

export class NotesServer {
	/** How long a login lasts, in milliseconds. */
	lifetime = 60_000;
	/** Each n-th request to the API fails: 1 is all of them, `Infinity` none. */
	flaky = Infinity;
	/** How many requests to the API there were. */
	requests = 0;
	/** The notes by user. */
	readonly notes = new Map<string, Map<string, Note>>();
	readonly #folder: string;
	readonly #sessions = new Map<string, { user: string; endsAt: number }>();
	readonly #server: Server;

	constructor(folder: string) {
		this.#folder = folder;
		this.#server = createServer(async (request, response) => {
			const { status, body, headers } = await this.#answer(request).catch((error) => {
				console.error(error);
				return { status: 500, body: undefined, headers: undefined };
			});
			response.writeHead(status, { "cache-control": "no-cache", ...headers }).end(body);
		});
	}

	/** Resolves with the port. */
	listen(port: number): Promise<number> {
		return new Promise((resolve, reject) => {
			this.#server.once("error", reject);
			this.#server.listen(port, "127.0.0.1", () => resolve((this.#server.address() as { port: number }).port));
		});
	}

	close(): Promise<void> {
		return new Promise((resolve) => {
			this.#server.close(() => resolve());
			this.#server.closeAllConnections();
		});
	}

	expireSessions(): void {
		this.#sessions.clear();
	}

	async #answer(request: IncomingMessage): Promise<Answer> {
		const { pathname } = new URL(request.url!, "http://localhost");
		if (!pathname.startsWith("/api/")) return await this.#file(pathname);
		if (++this.requests % this.flaky === 0) return { status: 503 };
		const body = await bodyOf(request);
		if (body === undefined) return { status: 413 };
		if (pathname === "/api/login") return this.#login(body.toString());
		const token = /\bsession=([\w-]+)/.exec(request.headers.cookie ?? "")?.[1] ?? "";
		if (pathname === "/api/logout") return { status: this.#sessions.delete(token) ? 204 : 401 };
		const { user, endsAt = 0 } = this.#sessions.get(token) ?? {};
		if (user === undefined || endsAt < Date.now()) return { status: 401 };
		return this.#api(this.#notesOf(user), request.method!, pathname.split("/").slice(2), body);
	}

	#login(user: string): Answer {
		const token = randomUUID();
		this.#sessions.set(token, { user, endsAt: Date.now() + this.lifetime });
		return { status: 204, headers: { "set-cookie": `session=${token}; Path=/api; HttpOnly; SameSite=Strict` } };
	}

	#notesOf(user: string): Map<string, Note> {
		if (!this.notes.has(user)) this.notes.set(user, new Map());
		return this.notes.get(user)!;
	}

	#api(notes: Map<string, Note>, method: string, [top, id, , photo]: string[], body: Buffer): Answer {
		if (top !== "notes") return { status: 404 };
		if (id === undefined) {
			const list = [...notes].map(([id, { text, photos }]) => ({ id, text, photos: [...photos.keys()] }));
			return { status: 200, body: JSON.stringify(list), headers: { "content-type": "application/json" } };
		}
		const note = notes.get(id);
		if (method === "PUT" && photo === undefined) {
			notes.set(id, { photos: note?.photos ?? new Map(), text: body.toString() });
			return { status: 204 };
		}
		if (note === undefined || photo === undefined) return { status: 404 };
		if (method === "PUT") note.photos.set(photo, body);
		const stored = note.photos.get(photo);
		return { status: stored ? 200 : 404, body: stored, headers: { "content-type": "application/octet-stream" } };
	}

	async #file(pathname: string): Promise<Answer> {
		const path = join("/", pathname === "/" ? "index.html" : pathname); // no ".." leads out of the folder
		const headers = { "content-type": types[extname(path)] ?? "application/octet-stream" };
		return await readFile(join(this.#folder, path)).then(
			(body) => ({ status: 200, body, headers }),
			() => ({ status: 404 }),
		);
	}
}

/** Resolves with `undefined` for a body that is too large. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
	const parts: Buffer[] = [];
	let length = 0;
	for await (const part of request as AsyncIterable<Buffer>) {
		length += part.length;
		if (length > mostBytes) return undefined;
		parts.push(part);
	}
	return Buffer.concat(parts);
}

if (import.meta.main) {
	const { PORT = "3000", SESSION = "60000", FLAKY = "Infinity" } = process.env;
	const server = new NotesServer(join(import.meta.dirname, "dist"));
	server.lifetime = Number(SESSION);
	server.flaky = Number(FLAKY);
	console.log(`Listening on http://127.0.0.1:${await server.listen(Number(PORT))}`);
}
