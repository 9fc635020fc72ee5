// The basket of the tab tests, which is the same in tabs and in the service worker. The test can observe its tasks.
import { Basket, type BasketContext } from "../../mod.ts";
import { online } from "../../src/browser/browser.ts";
import { indexedDBStore } from "../../src/stores/indexeddb/indexeddb.ts";

/** The payload of a task. */
export interface Delivery {
	/** The delay of the answer of the endpoint, in milliseconds. If it is absent, the test answers. */
	readonly duration?: number | undefined;
	/** Whether a tab with a debugger stops before the delivery. */
	readonly stands?: boolean | undefined;
	/** The name of the tab or service worker that delivered the task, which the task saves at its end. */
	readonly savedBy?: string | undefined;
}

type Deliver = (delivery: Delivery, context: BasketContext<Delivery>) => Promise<void>;
export type TabBasket = Basket<{ deliver: Deliver }, IDBTransaction>;

/** @param by the name of the tab or the service worker */
export function makeBasket(by: string, onError: (error: unknown) => void, lease = 30_000): TabBasket {
	return new Basket({
		store: indexedDBStore("tabs"),
		name: "tabs",
		concurrency: 2,
		lease,
		wake: [online()],
		backoff: 3_600_000,
		onError,
		tasks: {
			async deliver(delivery: Delivery, { id, save }: BasketContext<Delivery>): Promise<void> {
				// Stops while no transaction is open, because an open one would block the other tabs.
				// deno-lint-ignore no-debugger
				if (delivery.stands) debugger;
				// The signal is not passed, so that the test can observe a run that has lost its claim.
				const response = await fetch(`/deliver?${new URLSearchParams({ id, by, duration: `${delivery.duration}` })}`);
				if (!response.ok) throw new Error(await response.text());
				await save({ ...delivery, savedBy: by }).catch((error) => {
					onError(error); // the result of a run without a claim is not reported
					throw error;
				});
			},
		},
	});
}
