/**
 * Stands for the payment service, the courier and the customers: `bun partners.ts`. Each fails now and then, and does a
 * thing once, however often it is asked with the same key. `GET /effects` shows what has been done.
 *
 *     PORT=4000
 *     FLAKY=4      # each fourth request fails: half of these before the effect, half behind it
 *     DELAY=50     # how long an answer takes, in milliseconds; those of customers take longer
 */

/** What was done: once for each key. */
interface Effect {
	readonly path: string;
	readonly body: Readonly<Record<string, string>>;
	/** How many requests asked for it. */
	requests: number;
}

const flaky = Number(Bun.env["FLAKY"] ?? 4);
const delay = Number(Bun.env["DELAY"] ?? 50);
const effects = new Map<string, Effect>();
/** For each customer, how many requests are being answered, and the most there were. */
const atOnce = new Map<string, { now: number; most: number }>();
let count = 0;

const server = Bun.serve({
	hostname: "127.0.0.1",
	port: Number(Bun.env["PORT"] ?? 4000),
	routes: {
		"/effects": () => Response.json({ effects: [...effects.values()], atOnce: Object.fromEntries(atOnce) }),
		"/hooks/:customer": async (request) => {
			const customer = atOnce.get(request.params.customer) ?? { now: 0, most: 0 };
			atOnce.set(request.params.customer, customer);
			customer.most = Math.max(customer.most, ++customer.now);
			await Bun.sleep(4 * delay);
			return await answer(request).finally(() => customer.now--);
		},
		"/*": answer,
	},
});
console.log(`Listening on ${server.url}`);

async function answer(request: Request): Promise<Response> {
	const { pathname: path } = new URL(request.url);
	const body = await request.json();
	const fault = ++count % flaky === 0 ? count / flaky % 2 : undefined;
	if (path === "/parcels" && body.article === "piano") return new Response("too heavy", { status: 422 });
	await Bun.sleep(delay);
	if (fault === 0) return new Response(null, { status: 503 });
	const key = `${path} ${request.headers.get("idempotency-key")}`;
	const effect = effects.get(key) ?? { path, body, requests: 0 };
	effects.set(key, effect);
	effect.requests++;
	return new Response(null, { status: fault === 1 ? 502 : 204 });
}
