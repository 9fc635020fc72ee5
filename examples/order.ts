/**
 * Takes orders that reserve the article, the money and a courier at once, wait for a person to approve them, and undo
 * everything if that person says no: `node examples/order.ts`, `deno run -A examples/order.ts`, `bun examples/order.ts`.
 * Each order is placed twice, once as a durable function and once as a chain of steps.
 *
 *     --diagram    # prints the chain as a Mermaid diagram
 *
 * What the library does here:
 *
 * - the three reservations run at the same time, as branches of `all` or through `Promise.all`. Each result is stored, and
 *   what is done never runs again;
 * - the courier does not answer at first: `attempts` tries it again, and the job holds no worker meanwhile;
 * - `waitFor` waits for `processor.signal(id, "approval", …)`, and `sleep` for a time. In truth these take days;
 * - if the answer is no, what was reserved is undone in the reverse order, and each `revert` is retried until it succeeds.
 *
 * The store is in memory. With `sqliteStore(db)` or `postgresStore(…)`, the orders survive the process.
 */

import process from "node:process";
import { parseArgs } from "node:util";
import { describeJob, durable, job, memoryStore, Processor, sleep, type TaskContext, unchecked } from "../mod.ts"; // elsewhere: from "upkeep"

interface Order {
	readonly article: string;
	readonly price: number;
}

/** What the services need of the context of a step, which both kinds of jobs have. */
type Call = Pick<TaskContext, "attempt" | "signal"> & { readonly id: string };
/** What the reverts of branches get: the compiler needs the type of a result if `run` has a parameter. */
type Undo = Call & { readonly result: string };

const { values } = parseArgs({ options: { diagram: { type: "boolean", default: false } } });
const beganAt = performance.now();
const limits = { attempts: 3, timeout: 5_000, backoff: { start: 100 } };
const patience = 60_000;
const timeToChangeMind = 200;

/** The services of others. Each request takes a moment, and the courier does not answer the first one. */
const stock = {
	reserve: ({ article }: Order, call: Call) => request(`the ${article}`, "reserves", call),
	free: (article: string, call: Call) => request(article, "frees", call),
};
const bank = {
	hold: ({ price }: Order, call: Call) => request(`${price} €`, "holds", call),
	release: (amount: string, call: Call) => request(amount, "releases", call),
};
const courier = {
	book(_: Order, call: Call): Promise<string> {
		if (call.attempt > 1) return request("a courier", "books", call);
		say(call.id, "the courier does not answer");
		throw new Error("503");
	},
	cancel: (booking: string, call: Call) => request(booking, "cancels", call),
};

async function request(what: string, verb: string, { id, signal }: Call): Promise<string> {
	await sleep(20, { signal });
	say(id, `${verb} ${what}`);
	return what;
}

/** Asks a person, who answers later, in another request to the server: not for gold. */
function ask(id: string, { article }: Order): void {
	say(id, `asks whether to send the ${article}`);
	setTimeout(() => void processor.signal(id, "approval", article !== "gold"), 100);
}

function send(parts: readonly string[]): string {
	return `sent ${parts.join(", ")}`;
}

const asFunction = durable("order as a function", async (flow, order: Order) => {
	const parts = await Promise.all([
		flow.step("stock", (context) => stock.reserve(order, context), { ...limits, revert: stock.free }),
		flow.step("payment", (context) => bank.hold(order, context), { ...limits, revert: bank.release }),
		flow.step("courier", (context) => courier.book(order, context), { ...limits, revert: courier.cancel }),
	]);
	await flow.step("ask", ({ id }) => ask(id, order));
	if (!await flow.waitFor<boolean>("approval", { timeout: patience })) throw new Error("not approved");
	await flow.sleep("time to change one's mind", timeToChangeMind);
	return await flow.step("send", () => send(parts), { attempts: Infinity });
});

const asChain = job<Order>("order as a chain")
	.all("reserve", {
		stock: {
			...limits,
			run: (context) => stock.reserve(context.input, context),
			revert: (context: Undo) => stock.free(context.result, context),
		},
		payment: {
			...limits,
			run: (context) => bank.hold(context.input, context),
			revert: (context: Undo) => bank.release(context.result, context),
		},
		courier: {
			...limits,
			run: (context) => courier.book(context.input, context),
			revert: (context: Undo) => courier.cancel(context.result, context),
		},
	})
	.step("ask", { run: ({ id, input }) => ask(id, input) })
	.waitFor("approval", { schema: unchecked<boolean>(), timeout: patience })
	.step("check", {
		run({ results }) {
			if (!results.approval) throw new Error("not approved");
		},
	})
	.sleep("time to change one's mind", timeToChangeMind)
	.step("send", {
		run: ({ results: { reserve: { stock, payment, courier } } }) => send([stock, payment, courier]),
		attempts: Infinity,
	});

const processor = new Processor({ store: memoryStore(), jobs: [asFunction, asChain] });

async function main(): Promise<void> {
	void processor.run();
	const orders: Order[] = [{ article: "tea", price: 8 }, { article: "gold", price: 9_000 }];
	const jobs = orders.flatMap((input) => [
		{ job: asFunction, input, id: `${input.article}, function` },
		{ job: asChain, input, id: `${input.article}, chain` },
	]);
	await processor.addMany(jobs);
	await Promise.all(jobs.map(async ({ id }) => {
		const { status, value, error } = await processor.wait(id);
		say(id, `${status}: ${value ?? error?.message}`);
	}));
	await processor.stop();
}

function say(id: string, text: string): void {
	console.log(`${((performance.now() - beganAt) / 1_000).toFixed(1)} s  ${id.padEnd(14)}  ${text}`);
}

if (values.diagram) process.stdout.write(describeJob(asChain).mermaid);
else await main();
