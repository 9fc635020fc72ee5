// Many no-op tasks, added in bulk to a queue that is worked off already, until all are done and that is stored.
import process from "node:process";
import { expect, parameters, type Round, timeRounds } from "../measure.ts";
import { openQueue, pause, type Queue, withDatabase } from "./postgres-queues.ts";

const [label, count] = split(parameters().get("case")!);
/** More than this are added in several calls. */
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

/** For example "Basket, pg, 10,000". */
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
