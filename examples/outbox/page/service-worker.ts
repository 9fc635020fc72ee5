/** Caches the page for when the server is not available, and delivers the remaining messages when the last tab is closed. */

import { backgroundSync, type SyncRegistration } from "../../../src/browser/browser.ts";
import { openBasket } from "./basket.ts";

/** The parts of a service worker that TypeScript's types of a page do not have. */
interface ServiceWorkerScope {
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

const scope = globalThis as unknown as ServiceWorkerScope;
const cacheName = "outbox";
/** The time limit for the server before the cached copy is used, in milliseconds. */
const patience = 3_000;

scope.addEventListener("install", (event) => event.waitUntil(install()));
scope.addEventListener("activate", (event) => event.waitUntil(scope.clients.claim()));
scope.addEventListener("fetch", (event) => {
	const { request } = event;
	const { origin, pathname } = new URL(request.url);
	const isOfPage = origin === location.origin && !pathname.startsWith("/messages");
	if (request.method === "GET" && isOfPage) event.respondWith(fetchOrRecall(pathname));
});
backgroundSync(openBasket(), scope.registration);

async function install(): Promise<void> {
	const response = await fetch("/files.json");
	const cache = await caches.open(cacheName);
	await cache.addAll(await response.json());
	await scope.skipWaiting();
}

/** Returns the server's file, so that it is up to date, or else the cached copy. */
async function fetchOrRecall(file: string): Promise<Response> {
	const cache = await caches.open(cacheName);
	try {
		const response = await fetch(file, { signal: AbortSignal.timeout(patience) });
		if (response.ok) await cache.put(file, response.clone());
		return response;
	} catch (error) {
		const copy = await cache.match(file);
		if (copy === undefined) throw error;
		return copy;
	}
}
