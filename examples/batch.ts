/**
 * Sends push messages to a service that takes up to 100 of them in one request: `node examples/batch.ts`,
 * `deno run -A examples/batch.ts`, `bun examples/batch.ts`.
 *
 * What the library does here:
 *
 * - each message is a task of its own, which is stored, retried and counted by itself;
 * - `batch` puts up to 100 of them into one call, which waits for others for at most 50 ms;
 * - `fail` settles a single one: a device that is gone is given up, one that is busy gets its message later;
 * - an error of the whole request lets all of its messages fail, and they are retried.
 *
 * The store is in memory. With `sqliteStore(db)`, the messages survive the process.
 */

import { Basket, batch, type BatchTask, memoryStore, retryAfter, sleep, stopNow } from "../mod.ts"; // elsewhere: from "upkeep"

interface Message {
	device: number;
	text: string;
}

/** The service. It fails as a whole now and then, and answers for each message otherwise. */
const service = {
	requests: 0,
	async push(messages: readonly Message[], signal: AbortSignal): Promise<readonly number[]> {
		this.requests++;
		await sleep(30, { signal });
		if (this.requests % 5 === 0) throw new Error("503");
		return messages.map(({ device }) => device % 100 === 7 ? 410 : device % 50 === 3 && this.requests < 4 ? 429 : 201);
	},
};

const told = { done: 0, retry: 0, dead: 0, later: 0, released: 0 };
const basket = new Basket({
	store: memoryStore(),
	concurrency: 2, // requests, not messages
	backoff: { start: 100, max: 1_000 },
	tasks: {
		push: batch({ most: 100, wait: 50 }, async (tasks: readonly BatchTask<Message>[], { signal, fail }) => {
			const answers = await service.push(tasks.map(({ payload }) => payload), signal);
			for (const [index, { id }] of tasks.entries()) {
				if (answers[index] === 410) fail(id, stopNow(new Error("410: this device is gone")));
				if (answers[index] === 429) fail(id, retryAfter(200, new Error("429: this device is busy")));
			}
		}),
	},
	onSettled: ({ outcome }) => void told[outcome]++,
});

const running = basket.run();
for (let device = 0; device < 1_000; device++) {
	await basket.add("push", { device, text: "Your parcel has arrived" }, { id: `parcel-${device}` });
}
while ((await basket.counts()).waiting + basket.getSnapshot().running > 0) await sleep(50);
await basket.stop({ finish: 5_000 });
await running;

console.log(`${told.done} messages in ${service.requests} requests, ${told.dead} devices are gone`);
console.log(`${told.retry} attempts were retried`);
