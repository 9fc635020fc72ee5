// Many no-op tasks that are added in bulk to a queue with a running worker, until the end of all tasks is stored.
import process from "node:process";
import { expect, parameters, type Round, timeRounds } from "../measure.ts";
import { openQueue, pause, type Queue, withDatabase } from "./postgres-queues.ts";

const [label, count] = split(parameters().get("case")!);
/** The maximum number of tasks per call. */
const mostAdded = 10_000;

await withDatabase(async (url) => {
	const queue = await openQueue(label, url);
	let done = 0;
	let sum = 0;
	await queue.work((payload) => {
		done++;
		sum += payload;
	});
	await timeRounds(count, () => {
		done = sum = 0;
		return roundOf(queue, () => done, () => sum);
	});
});
process.exit();

/** Splits a label such as "Basket, pg, 10,000". */
function split(label: string): [string, number] {
	const [, name, count] = /^(.*), ([\d,]+)$/.exec(label)!;
	const isQuick = parameters().get("plan") === "quick";
	return [name!, Number(count!.replaceAll(",", "")) / (isQuick ? 10 : 1)];
}

function roundOf(queue: Queue, done: () => number, sum: () => number): Round {
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
