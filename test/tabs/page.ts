// A tab that the test drives through `tab`.
import { backgroundSync } from "../../src/browser/browser.ts";
import { type Delivery, makeBasket } from "./basket.ts";

const parameters = new URLSearchParams(location.search);
const errors: string[] = [];
const onError = (error: unknown) => void errors.push(`${(error as Error).name}: ${(error as Error).message}`);
const basket = makeBasket(parameters.get("by")!, onError, Number(parameters.get("lease")));

const tab = {
	errors,
	/** Runs the basket until the tab closes. */
	run(): void {
		basket.run().catch(onError);
	},
	stop: () => basket.stop(),
	add: (ids: string[], delivery: Delivery) =>
		basket.addMany(ids.map((id) => ({ kind: "deliver", payload: delivery, id }))),
	counts: () => basket.counts(),
	get: (id: string) => basket.get(id),
	/** Registers the service worker, and resolves when it is active. */
	async register(): Promise<void> {
		await navigator.serviceWorker.register("/service-worker.js");
		const registration = await navigator.serviceWorker.ready;
		backgroundSync(basket, registration as never, { onError });
		registration.active!.postMessage("drain");
	},
};
export type Tab = typeof tab;

Object.assign(globalThis, { tab });
