/**
 * `upkeep serve`: a page on this machine that shows the tasks and jobs of a database.
 *
 * @module
 */

import { Basket, type TaskRecord } from "../basket/basket.ts";
import type { Store } from "../basket/store.ts";
import { basketHandler, type InspectableBasket } from "../http/http.ts";
import { Processor } from "../job/processor.ts";
import { unmask } from "../schedule/envelope.ts";
import { noteBaskets } from "./baskets.ts";
import { openWebServer } from "./web-server.ts";
import { type PageFile, readPage } from "./page.ts";
import { decodeData } from "./task.ts";
import { type Catalog, type ExitCode, quote, type Request, type Terminal } from "./terminal.ts";
import { toJson } from "./text.ts";

/** The headers of the page. Its address is a secret, which it must not tell other sites. */
const headers = {
	"cache-control": "no-store",
	"content-security-policy":
		"default-src 'self'; require-trusted-types-for 'script'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	"cross-origin-opener-policy": "same-origin",
	"cross-origin-resource-policy": "same-origin",
	"referrer-policy": "no-referrer",
	"x-content-type-options": "nosniff",
	"x-frame-options": "DENY",
};

/** Serves until Ctrl-C. */
export async function serve(
	store: Store,
	request: Request,
	terminal: Terminal,
	catalog: Catalog,
): Promise<ExitCode> {
	const { basket, jobs, port, mayWrite } = request;
	const page = await readPage();
	// Other users of this machine can reach the port, but do not know the path.
	const secret = createSecret();
	const handler = createHandler(store, page, `/${secret}`, { basket, jobs, mayWrite }, (text) => terminal.note(text));
	const server = await openWebServer(handler, port);
	try {
		const address = `http://127.0.0.1:${server.port}/${secret}/`;
		if (terminal.isTable) await terminal.print(describe(address, basket, jobs, mayWrite));
		else await terminal.print(toJson({ address, basket, jobs, write: mayWrite }));
		if (await isEmpty(store, basket) && await isEmpty(store, jobs)) {
			await noteBaskets(store, catalog, request, terminal);
		}
		await untilClosed(terminal.closed);
	} finally {
		await server.close();
	}
	return 0;
}

/** What a handler serves. */
type Served = Pick<Request, "basket" | "jobs" | "mayWrite">;

/** The page and the handler below a path. */
export function createHandler(
	store: Store,
	page: ReadonlyMap<string, PageFile>,
	base: string,
	{ basket, jobs, mayWrite }: Served,
	note: (text: string) => void,
): (request: globalThis.Request) => Promise<Response> {
	const outbox = new Basket<Record<never, never>, unknown>({ store, name: basket, tasks: {} });
	const processor = new Processor<never, unknown>({ store, name: jobs, jobs: [] });
	const answer = basketHandler({ outbox: readable(outbox), processor }, {
		basePath: `${base}/upkeep`,
		authorize: () => mayWrite ? "all" : true,
		onError: (error) => note(String((error as Error)?.message ?? error)),
	});
	return async (request) => {
		const { pathname } = new URL(request.url);
		if (pathname === base) return Response.redirect(new URL(`${base}/`, request.url), 308);
		if (!pathname.startsWith(`${base}/`)) return plain(404, "Nothing exists at this path\n");
		const file = page.get(pathname.slice(base.length + 1));
		if (file === undefined) return await answer(request);
		if (request.method === "HEAD" || request.method === "GET") return toResponse(file, request.method === "GET");
		return plain(405, "The page is read-only\n", { allow: "GET, HEAD" });
	};
}

/** 128 bits as text that an address can contain. */
function createSecret(): string {
	return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function plain(status: number, text: string, more: Record<string, string> = {}): Response {
	return new Response(text, { status, headers: { ...headers, "content-type": "text/plain", ...more } });
}

function toResponse({ text, type }: PageFile, hasBody: boolean): Response {
	return new Response(hasBody ? text : null, { headers: { ...headers, "content-type": `${type}; charset=utf-8` } });
}

function describe(address: string, basket: string, jobs: string, mayWrite: boolean): string {
	const what = `The basket ${quote(basket)} and the jobs ${quote(jobs)}`;
	const how = mayWrite ? "This page can change them" : "Nothing can be changed; --write allows it";
	return `${what} are at\n\n  ${address}\n\n${how}. The address is secret. Ctrl-C ends this.`;
}

async function isEmpty(store: Store, basket: string): Promise<boolean> {
	return (await store.list(basket, { limit: 1 })).length === 0;
}

function untilClosed(signal: AbortSignal): Promise<void> {
	return new Promise((resolve) => {
		if (signal.aborted) resolve();
		signal.addEventListener("abort", () => resolve(), { once: true });
	});
}

/** A basket that knows no kinds reads payloads as they are stored: decodes JSON, as far as they are. */
function readable(basket: Basket<Record<never, never>, unknown>): InspectableBasket {
	const { name, subscribe, getSnapshot } = basket;
	const given = basket as InspectableBasket;
	return {
		...{ name, subscribe, getSnapshot },
		counts: () => given.counts(),
		pauses: () => given.pauses(),
		schedules: () => given.schedules(),
		async *list(query) {
			for await (const record of given.list(query)) yield decode(record);
		},
		async get(id) {
			const record = await given.get(id);
			return record && decode(record);
		},
		retry: (which, options) => given.retry(which, options),
		hold: (which, options) => given.hold(which, options),
		release: (which, options) => given.release(which, options),
		delete: (which, options) => given.delete(which, options),
		pause: ((options) => given.pause(options)) as InspectableBasket["pause"],
		resume: ((options) => given.resume(options)) as InspectableBasket["resume"],
	};
}

function decode(record: TaskRecord): TaskRecord {
	const { payload, result } = record;
	// Collected items are an array.
	const shown = Array.isArray(payload) ? payload.map(decodeOne) : decodeOne(payload);
	return { ...record, payload: shown, result: decodeOne(result) };
}

function decodeOne(data: unknown): unknown {
	return typeof data === "string" ? decodeData(unmask(data)).payload : data;
}
