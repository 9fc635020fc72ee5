// The basket of the tab tests: the same in tabs and in the service worker. What its tasks do can be seen from outside.
import { Basket, type BasketContext } from "../../mod.ts";
import { online } from "../../src/browser/browser.ts";
import { indexedDBStore } from "../../src/stores/indexeddb/indexeddb.ts";

/** What a task is given. */
export interface Delivery {
	/** How long the endpoint takes to answer, in milliseconds; absent: until the test says so. */
	readonly duration?: number | undefined;
	/** Whether a tab with a debugger is stopped before it delivers. */
	readonly stands?: boolean | undefined;
	/** Who has delivered it, as the task saves it at its end. */
	readonly savedBy?: string | undefined;
}

type Deliver = (delivery: Delivery, context: BasketContext<Delivery>) => Promise<void>;
export type TabBasket = Basket<{ deliver: Deliver }, IDBTransaction>;

/** @param by names the tab or the service worker */
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
				// Here no transaction is open, which would stop the other tabs, too.
				// deno-lint-ignore no-debugger
				if (delivery.stands) debugger;
				// The signal is left out, so that what comes of a run that has lost its claim can be seen.
				const response = await fetch(`/deliver?${new URLSearchParams({ id, by, duration: `${delivery.duration}` })}`);
				if (!response.ok) throw new Error(await response.text());
				await save({ ...delivery, savedBy: by }).catch((error) => {
					onError(error); // what becomes of a run without a claim is told to nobody
					throw error;
				});
			},
		},
	});
}
