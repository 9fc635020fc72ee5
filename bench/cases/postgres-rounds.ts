// Many no-op tasks that are added in bulk to a queue with a running worker, until the end of all tasks is stored.
import { expect, type Round, timeRounds } from "../measure.ts";
import { openQueue, pause, type Queue, withDatabase } from "./postgres-queues.ts";

/** The maximum number of tasks per call. */
const mostAdded = 10_000;

/** Measures one queue of `postgres-queues.ts` with so many tasks. */
export async function measureQueue(name: string, count: number): Promise<void> {
	await withDatabase(async (url) => {
		const queue = await openQueue(name, url);
		let done = 0;
		let sum = 0;
		await queue.work((payload) => {
			done++;
			sum += payload;
		});
		await timeRounds(count, () => {
			done = sum = 0;
			return roundOf(queue, count, () => done, () => sum);
		});
	});
}

function roundOf(queue: Queue, count: number, done: () => number, sum: () => number): Round {
	const payloads = Array.from({ length: count }, (_, i) => i);
	return {
		work: async () => {
			for (let from = 0; from < count; from += mostAdded) await queue.add(payloads.slice(from, from + mostAdded));
			while (done() < count || !await queue.isEmpty()) await pause(1);
		},
		verify: () => {
			expect(done(), count);
			expect(sum(), count * (count - 1) / 2);
		},
	};
}
