/**
 * An inspection of what another process serves with `basketHandler`.
 *
 * @module
 */

import type {
	InspectedDetail,
	Inspection,
	InspectionAction,
	InspectionChange,
	InspectionOverview,
	InspectionPage,
	InspectionQuery,
	InspectionSource,
} from "../inspection/inspection.ts";

/** Options for {@link remoteInspection}. */
export interface RemoteInspectionOptions {
	/** Sends the requests, for example with a header that authorizes them. @default the global `fetch` */
	fetch?: ((request: Request) => Promise<Response>) | undefined;
	/**
	 * The maximum time for an answer, and between two events of a watch, in milliseconds. The server sends an event at least
	 * every five seconds. @default 20_000
	 */
	timeout?: number | undefined;
}

/** The delays between two attempts to watch, in milliseconds. */
const [firstDelay, longestDelay] = [500, 2_000];

/**
 * Inspects what another process serves with `basketHandler` of `upkeep/http`. Set it as the `source` of an inspector if its
 * requests need a header; else, `src` does the same.
 *
 * While the process does not answer, its watch tries again at least every two seconds.
 *
 * @param address the address of the handler, with its base path; in a page, relative to the page
 * @returns an inspection whose promises reject with an `Error` that says what the server has answered
 * @throws {TypeError} if it is no address
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Basket, memoryStore } from "upkeep";
 * import { basketHandler } from "upkeep/http";
 * import { remoteInspection } from "upkeep/inspector";
 *
 * const outbox = new Basket({ store: memoryStore(), tasks: { send: (_text: string) => {} } });
 * await outbox.add("send", "hello");
 * const handler = basketHandler({ outbox }, {
 * 	authorize: ({ headers }) => headers.get("authorization") === "Bearer secret",
 * });
 *
 * const inspection = remoteInspection("http://localhost/upkeep", {
 * 	fetch(request) {
 * 		request.headers.set("authorization", "Bearer secret");
 * 		return handler(request); // elsewhere: fetch(request)
 * 	},
 * });
 * const { sources, actions } = await inspection.overview();
 * assert.equal(sources[0]!.counts.waiting, 1);
 * assert.deepEqual(actions, []); // it may only read
 * ```
 */
export function remoteInspection(address: string | URL, options: RemoteInspectionOptions = {}): Inspection {
	const { fetch = (request: Request) => globalThis.fetch(request), timeout = 20_000 } = options;
	const base = new URL(address, globalThis.document?.baseURI).href.replace(/\/$/, "");

	async function ask(path: string, parameters: object = {}, init: RequestInit = {}): Promise<Response> {
		const url = new URL(base + path);
		for (const [name, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(name, value);
		const response = await fetch(new Request(url, { signal: AbortSignal.timeout(timeout), ...init }));
		if (response.ok) return response;
		const { detail, title } = await response.json().catch(() => ({}));
		throw Object.assign(new Error(detail ?? title ?? `The server has answered ${response.status}`), {
			status: response.status,
		});
	}

	async function follow(onChange: Listener, onError: OnError | undefined, signal: AbortSignal): Promise<void> {
		let delay = firstDelay;
		let lastEventId = "";
		while (!signal.aborted) {
			const connection = new AbortController();
			const close = () => connection.abort();
			signal.addEventListener("abort", close);
			let timer = setTimeout(close, timeout);
			try {
				const headers: Record<string, string> = lastEventId ? { "last-event-id": lastEventId } : {};
				const { body } = await ask("/changes", {}, { headers, signal: connection.signal });
				await readEvents(body!, connection.signal, (id, data) => {
					clearTimeout(timer);
					timer = setTimeout(close, timeout);
					[lastEventId, delay] = [id, firstDelay];
					onChange(JSON.parse(data));
				});
			} catch (error) {
				if (!signal.aborted) onError?.(connection.signal.aborted ? new Error("The server has fallen silent") : error);
			}
			clearTimeout(timer);
			signal.removeEventListener("abort", close);
			if (!signal.aborted) await wait(delay, signal);
			delay = Math.min(2 * delay, longestDelay);
		}
	}

	return {
		overview: async (): Promise<InspectionOverview> => (await ask("")).json(),
		list: async (query: InspectionQuery = {}): Promise<InspectionPage> => (await ask("/tasks", query)).json(),
		async get(id: string, source?: InspectionSource): Promise<InspectedDetail | undefined> {
			try {
				return await (await ask("/task", { id, source })).json();
			} catch (error) {
				if ((error as { status?: number }).status === 404) return undefined;
				throw error;
			}
		},
		async act(action: InspectionAction): Promise<{ readonly changed: number }> {
			const { type, id, source, ...body } = action as InspectionAction & { id?: string; source?: InspectionSource };
			const headers = { "content-type": "application/json" };
			const init = { method: "POST", headers, body: JSON.stringify(body) };
			return (await ask(`/actions/${type}`, { id, source }, init)).json();
		},
		watch(listener: Listener, onError?: OnError): () => void {
			const controller = new AbortController();
			void follow(listener, onError, controller.signal);
			return () => controller.abort();
		},
	};
}

type Listener = (change: InspectionChange) => void;
type OnError = (error: unknown) => void;

/** Resolves when the stream has ended. What only keeps the connection open has no data, and says nothing about the store. */
async function readEvents(
	body: ReadableStream<Uint8Array>,
	signal: AbortSignal,
	take: (id: string, data: string) => void,
): Promise<void> {
	const reader = body.getReader();
	const decoder = new TextDecoder();
	const cancel = () => void reader.cancel().catch(() => {}); // it may have failed already
	signal.addEventListener("abort", cancel);
	let text = "";
	for (let part = await reader.read(); !part.done; part = await reader.read()) {
		const events = (text + decoder.decode(part.value, { stream: true })).split("\n\n");
		text = events.pop()!;
		for (const event of events) {
			const [, data] = /^data: ?(.*)/m.exec(event) ?? [];
			if (data !== undefined) take(/^id: ?(.*)/m.exec(event)?.[1] ?? "", data);
		}
	}
	signal.throwIfAborted();
}

/** Resolves after the time, or at the abort. */
function wait(delay: number, signal: AbortSignal): Promise<void> {
	return new Promise((resolve) => {
		const end = () => {
			clearTimeout(timer);
			signal.removeEventListener("abort", end);
			resolve();
		};
		const timer = setTimeout(end, delay);
		signal.addEventListener("abort", end);
	});
}
