/** Sends what closed tabs have left, and keeps the page and the list of notes for when there is no network. */

import { backgroundSync, type SyncRegistration } from "upkeep/browser";
import { openOutbox } from "./outbox.ts";
import { session } from "./session.ts";

/** The parts of a service worker that TypeScript's types of a page do not have. */
interface Scope {
	readonly registration: SyncRegistration;
	readonly clients: { claim(): Promise<void> };
	skipWaiting(): Promise<void>;
	addEventListener(type: "install" | "activate" | "fetch", listener: (event: WorkerEvent) => void): void;
}

interface WorkerEvent {
	readonly request: Request;
	respondWith(response: Promise<Response>): void;
	waitUntil(promise: Promise<unknown>): void;
}

const scope = globalThis as unknown as Scope;

// Before anything is awaited: the browser may have started this worker for such an event.
backgroundSync(openOutbox({ gate: session }), scope.registration);
scope.addEventListener("install", (event) => event.waitUntil(install()));
scope.addEventListener("activate", (event) => event.waitUntil(scope.clients.claim()));
scope.addEventListener("fetch", (event) => {
	const { method, url } = event.request;
	if (method === "GET" && new URL(url).origin === location.origin) event.respondWith(fetchOrRecall(event.request));
});

async function install(): Promise<void> {
	const files: Record<string, { file: string }> = await (await fetch("/files.json")).json();
	const paths = ["/", ...Object.values(files).map(({ file }) => `/${file}`)];
	const cache = await caches.open("page");
	await cache.addAll(paths);
	for (const old of await cache.keys()) if (!paths.includes(new URL(old.url).pathname)) await cache.delete(old);
	await scope.skipWaiting();
}

/** The answer of the server, or the last one if there is no network. */
async function fetchOrRecall(request: Request): Promise<Response> {
	const isPage = !new URL(request.url).pathname.startsWith("/api/");
	const cache = await caches.open(isPage ? "page" : "notes");
	try {
		const response = await fetch(request);
		if (response.ok) await cache.put(request, response.clone());
		return response;
	} catch (error) {
		return await cache.match(request) ?? Promise.reject(error);
	}
}
