/** One attempt to deliver a message: to the webhook from the server, and to the server from the page. */

import type { BasketContext } from "../../mod.ts";
import { refusal } from "../shared/refusal.ts";

/** The other side drops what it gets twice, by the key: a message is delivered at least once, and has its effect once. */
export async function deliver(url: string, message: unknown, { id, signal }: BasketContext): Promise<void> {
	const headers = { "content-type": "application/json", "idempotency-key": id };
	const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(message), signal });
	await response.body?.cancel(); // a body that nobody reads would hold its connection
	if (!response.ok) throw refusal(response);
}
