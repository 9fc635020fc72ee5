// The latency from `add` to the start of the task in a waiting worker of the same process, also after a time in which a
// pool of pg closes its idle connections, and the time of one `add` without a worker.
import process from "node:process";
import { expect, parameters, report } from "../measure.ts";
import { openQueue, pause, type Queue, withDatabase } from "./postgres-queues.ts";

const name = parameters().get("case")!;
const [adds, wakes, idles] = parameters().get("plan") === "quick" ? [300, 100, 1] : [3_000, 1_000, 3];
/** A pool of pg closes a connection that was idle for ten seconds. */
const idle = 11_000;
/** The number of tasks that are added without a worker, first to warm up. */
const alone = adds / 10 + adds;

await withDatabase(async (url) => {
	const queue = await openQueue(name, url);
	const cost = await addAlone(queue);
	const latencies = await wake(queue);
	const rested = latencies.splice(wakes);
	await report(quantile(latencies, 0.5), quantile(latencies, 0.95), quantile(rested, 0.5), cost);
});
process.exit();

/** Returns the mean in microseconds. */
async function addAlone(queue: Queue): Promise<number> {
	for (let i = 0; i < adds / 10; i++) await queue.addOne(0);
	const start = performance.now();
	for (let i = 0; i < adds; i++) await queue.addOne(0);
	return (performance.now() - start) * 1e3 / adds;
}

function quantile(values: number[], part: number): number {
	values.sort((a, b) => a - b);
	return values[Math.floor(values.length * part)]!;
}

/** The last ones are those after a rest. */
async function wake(queue: Queue): Promise<number[]> {
	let onBegun = (): void => {};
	let begun = 0;
	await queue.work(() => {
		begun++;
		onBegun();
	});
	while (begun < alone) await pause(10);
	await pause(1_000);
	const latencies: number[] = [];
	for (let i = 0; i < wakes + idles; i++) {
		if (i >= wakes) await pause(idle);
		const start = performance.now();
		const isBegun = new Promise<void>((resolve) => onBegun = resolve);
		void queue.addOne(1);
		await isBegun;
		latencies.push(performance.now() - start);
		await pause(5 * (1 + 2 * Math.random()));
	}
	expect(begun, alone + wakes + idles);
	return latencies;
}
