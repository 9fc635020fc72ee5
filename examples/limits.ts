/**
 * Calls a service that allows two requests at once for each customer, ten a second in all, and now and then answers
 * with 429: `node examples/limits.ts`, `deno run -A examples/limits.ts`, `bun examples/limits.ts`.
 *
 * What the library does here:
 *
 * - `limit({ key, atOnce })` lets at most two imports of a customer run at once. The customer with many of them does not
 *   delay the others;
 * - `limit({ rate })` lets at most ten mails begin in a second;
 * - `throw later(delay, reason, { limit: true })` holds back all imports of a customer at once.
 *
 * Two workers share the store, and the limits hold for both together. The store is in memory; with `sqliteStore(db)` or
 * `postgresStore(…)` the workers can be processes and machines.
 */

import { Basket, later, limit, memoryStore, sleep } from "../mod.ts"; // elsewhere: from "upkeep"

interface Import {
	readonly customer: string;
	readonly file: number;
}

const beganAt = performance.now();
const store = memoryStore();
const running = new Map<string, number>();
let mayRefuse = true;

/** The service, which says when it is asked too often. */
async function upload({ customer, file }: Import, signal: AbortSignal): Promise<void> {
	if (customer === "Eve" && file === 2 && mayRefuse) {
		mayRefuse = false;
		say(`${customer}: 429, retry after 0.6 s`);
		throw later(600, "429", { limit: true });
	}
	const count = (running.get(customer) ?? 0) + 1;
	running.set(customer, count);
	say(`${customer}: file ${file} (${count} at once)`);
	await sleep(150, { signal });
	running.set(customer, running.get(customer)! - 1);
}

function worker() {
	return new Basket({
		store,
		tasks: {
			import: {
				run: (task: Import, { signal }) => upload(task, signal),
				limit: limit({ key: ({ customer }) => customer, atOnce: 2 }),
			},
			mail: {
				run: ({ to }: { to: string }) => say(`mail to ${to}`),
				limit: limit({ rate: { tasks: 10, per: 1_000 } }),
			},
		},
	});
}

await using one = worker();
await using two = worker();
void one.run();
void two.run();

// Ada has more files than the others, and was first.
const files = { Ada: 8, Grace: 2, Eve: 4 };
for (const [customer, count] of Object.entries(files)) {
	for (let file = 1; file <= count; file++) await one.add("import", { customer, file });
}
for (const to of ["Ada", "Grace", "Eve", "Joan", "Mary"]) await one.add("mail", { to });

while (Object.values(await one.counts()).some((count) => count > 0)) await sleep(50);
say("done");

function say(text: string): void {
	console.log(`${((performance.now() - beganAt) / 1_000).toFixed(1)} s  ${text}`);
}
