/** One attempt to deliver a message: to the webhook from the server, and to the server from the page. */

import type { BasketContext } from "../../mod.ts";
import { refusal } from "../shared/refusal.ts";

/** The receiver drops duplicates by the key: a message is delivered at least once, and has its effect once. */
export async function deliver(url: string, message: unknown, { id, signal }: BasketContext): Promise<void> {
	const headers = { "content-type": "application/json", "idempotency-key": id };
	const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(message), signal });
	await response.body?.cancel(); // an unread body would keep its connection open
	if (!response.ok) throw refusal(response);
}
