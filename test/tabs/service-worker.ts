// The service worker, which drains the basket on request of a tab and on sync events.
import { backgroundSync } from "../../src/browser/browser.ts";
import { makeBasket } from "./basket.ts";

interface Waiting extends Event {
	waitUntil(promise: Promise<unknown>): void;
}

const basket = makeBasket("service worker", (error) => console.error(error));
const { registration } = globalThis as unknown as { registration: { scope: string } };
backgroundSync(basket, registration);
addEventListener("message", (event) => (event as unknown as Waiting).waitUntil(basket.drain()));
