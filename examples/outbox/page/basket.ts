/** The page's own basket. Its service worker opens it, too, and both can process it. */

import { Basket, type BasketContext, type BasketOptions } from "../../../mod.ts"; // elsewhere: from "upkeep"
import { indexedDBStore } from "../../../src/stores/indexeddb/indexeddb.ts"; // elsewhere: from "upkeep/stores/indexeddb"
import { deliver } from "../deliver.ts";

export interface PageMessage {
	readonly text: string;
}

type PageTasks = { deliver: (message: PageMessage, context: BasketContext) => Promise<void> };

export type PageBasket = Basket<PageTasks, IDBTransaction>;

export function openBasket(options: Pick<BasketOptions<PageTasks>, "gate" | "wake"> = {}): PageBasket {
	return new Basket<PageTasks, IDBTransaction>({
		store: indexedDBStore("outbox"),
		name: "messages",
		tasks: { deliver: (message, context) => deliver("/messages", message, context) },
		timeout: 5_000,
		backoff: { start: 500, factor: 2, max: 10_000, jitter: "equal" },
		...options,
	});
}
