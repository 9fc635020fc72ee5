/**
 * Takes orders and fulfils them: `bun main.ts`. Any number of processes can share the database.
 *
 *     PORT=3000
 *     DB=orders.db
 *     PARTNERS=http://127.0.0.1:4000    # payments, couriers and customers: bun partners.ts
 *     NIGHTLY="0 3 * * *"               # when to make a report, in Berlin
 *     SPANS=spans.ndjson                # where to write the spans; without it, nowhere
 */

import { db } from "./database.ts";
import { inSpan, shutdown } from "./telemetry.ts";
import { type Order, outbox, processor, take } from "./work.ts";

await Promise.all([outbox.open(), processor.open()]); // before calls with a transaction
const server = Bun.serve({
	hostname: "127.0.0.1",
	port: Number(Bun.env["PORT"] ?? 3000),
	routes: {
		"/orders": { POST: (request) => inSpan("POST /orders", () => post(request)) },
		"/orders/:id": { GET: ({ params }) => get(params.id) },
		"/health": { GET: health },
	},
});

/** Answers when the order is stored. The work begins at once, here or in another process. */
async function post(request: Request): Promise<Response> {
	const { id = crypto.randomUUID(), customer, article } = await request.json().catch(() => ({})) as Partial<Order>;
	const isOrder = [id, customer, article].every((text) => typeof text === "string" && /^[\w-]{1,100}$/.test(text));
	if (!isOrder) {
		return Response.json({ error: "An order has a customer, an article, and perhaps an id" }, { status: 400 });
	}
	await take({ id, customer: customer!, article: article! });
	return Response.json({ id }, { status: 202 });
}

async function get(id: string): Promise<Response> {
	const order = db.prepare("SELECT * FROM orders WHERE id = ?").get(id);
	const job = order && await processor.get(id);
	return order ? Response.json({ ...order, error: job?.error?.message }) : new Response(null, { status: 404 });
}

async function health(): Promise<Response> {
	const [orders, messages] = await Promise.all([processor.counts(), outbox.counts()]);
	return Response.json({ orders, messages });
}

let isEnding = false;
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, end);

/** Takes no more requests, and lets what runs end. A second signal ends at once what does not end. */
async function end(): Promise<void> {
	const options = isEnding ? {} : { finish: 10_000 };
	isEnding = true;
	await server.stop();
	await Promise.all([processor.stop(options), outbox.stop(options)]);
}

console.log(`Listening on ${server.url}`);
await Promise.all([processor.run(), outbox.run()]);
await shutdown();
db.close();
console.log("Ended");
process.exit();
