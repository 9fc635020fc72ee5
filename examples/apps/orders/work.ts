/** What has to be done for an order, and what is told to customers. */

import type { Database } from "bun:sqlite";
import { Basket, job, later, limit, Processor, stopNow } from "upkeep";
import { cron } from "upkeep/cron";
import { db, store } from "./database.ts";
import { observe } from "./telemetry.ts";

export interface Order {
	readonly id: string;
	readonly customer: string;
	readonly article: string;
}

interface News {
	readonly customer: string;
	readonly order: string;
	readonly status: string;
}

const { PARTNERS = "http://127.0.0.1:4000", NIGHTLY = "0 3 * * *" } = Bun.env;
/** For all requests to others: several attempts within minutes. Without success, the order is undone. */
const patiently = { attempts: 8, timeout: 5_000, backoff: { start: 200, max: 60_000, jitter: "full" } } as const;
/** After a crash, its tasks wait for this time. */
const lease = 5_000;
const onError = (error: unknown) => console.error(error);

/** Messages to customers, and reports. */
export const outbox = new Basket({
	store,
	name: "outbox",
	lease,
	observe,
	onError,
	backoff: { start: 200, max: 3_600_000, jitter: "full" },
	tasks: {
		notify: {
			run: ({ customer, ...news }: News, { id, signal }) => request(`/hooks/${customer}`, id, news, signal),
			// No customer gets more than they can take, however many processes there are.
			limit: limit({ key: ({ customer }) => customer, atOnce: 2, rate: { tasks: 50, per: 1_000, burst: 10 } }),
			timeout: 10_000,
		},
		report: {
			every: cron(NIGHTLY, { timeZone: "Europe/Berlin" }),
			// The instant is its key, so a report that is made twice is stored once.
			run(_: undefined, { due }) {
				const count = "SELECT count(*) FROM orders WHERE status =";
				db.run(`INSERT OR REPLACE INTO reports VALUES (?, (${count} 'sent'), (${count} 'cancelled'))`, [due!]);
			},
		},
	},
});

/** All of it is done, or what was done is undone. What only touches our database happens exactly once. */
export const fulfil = job<Order, Database>("fulfil")
	.step("order", {
		run: () => {},
		revert: ({ input, commit }) => decide(input, "cancelled", commit), // the last one, when all others are undone
	})
	.step("stock", {
		run: ({ input: { article }, commit }) =>
			store.transaction(async (tx) => {
				const sql = "UPDATE stock SET count = count - 1 WHERE article = ? AND count > 0";
				if (tx.prepare(sql).run(article).changes === 0) throw stopNow(new Error(`${article} is sold out`));
				return await commit(tx);
			}),
		revert: ({ input: { article }, commit }) =>
			store.transaction(async (tx) => {
				tx.prepare("UPDATE stock SET count = count + 1 WHERE article = ?").run(article);
				await commit(tx);
			}),
	})
	.step("payment", {
		...patiently,
		run: ({ input: { id, customer }, idempotencyKey, signal }) =>
			request("/charges", idempotencyKey, { order: id, customer }, signal),
		revert: ({ input: { id }, idempotencyKey, signal }) => request("/refunds", idempotencyKey, { order: id }, signal),
	})
	.step("courier", {
		...patiently,
		run: ({ input: { id, article }, idempotencyKey, signal }) =>
			request("/parcels", idempotencyKey, { order: id, article }, signal),
	})
	.step("end", {
		...patiently,
		attempts: Infinity,
		run: ({ input, commit }) => decide(input, "sent", commit),
	});

export const processor = new Processor({ store, name: "orders", jobs: [fulfil], lease, observe, onError });

/** Takes an order: it is stored with its job, or not at all. A second request with the same id changes nothing. */
export async function take(order: Order): Promise<void> {
	await store.transaction(async (tx) => {
		const { id, customer, article } = order;
		tx.prepare("INSERT OR IGNORE INTO orders VALUES (?, ?, ?, 'taken')").run(id, customer, article);
		await processor.add(fulfil, order, { id, tx });
	});
}

/** The status, the message about it, and the end of the step: all in one transaction. */
async function decide(
	{ id, customer }: Order,
	status: "sent" | "cancelled",
	commit: (tx: Database) => Promise<unknown>,
): Promise<void> {
	await store.transaction(async (tx) => {
		tx.prepare("UPDATE orders SET status = ? WHERE id = ?").run(status, id);
		await outbox.add("notify", { customer, order: id, status }, { id: `${id}:${status}`, tx });
		await commit(tx);
	});
}

/** The others detect repeated requests by the key. */
async function request(path: string, key: string, body: object, signal: AbortSignal): Promise<void> {
	const headers = { "content-type": "application/json", "idempotency-key": key };
	const response = await fetch(PARTNERS + path, { method: "POST", headers, body: JSON.stringify(body), signal });
	if (response.ok) return;
	const error = new Error(`${path} answers ${response.status}`);
	const wait = 1_000 * (Number(response.headers.get("retry-after")) || 1);
	if (response.status === 429) throw later(wait, error, { limit: true }); // holds back all tasks of the customer
	throw response.status < 500 ? stopNow(error) : error;
}
