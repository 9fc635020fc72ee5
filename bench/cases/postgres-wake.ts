// The latency from `add` to the start of the task in a waiting worker of the same process, and the time of one `add`
// without a worker.
import process from "node:process";
import { expect, parameters, report } from "../measure.ts";
import { openQueue, pause, type Queue, withDatabase } from "./postgres-queues.ts";

const name = parameters().get("case")!;
const [adds, wakes] = parameters().get("plan") === "quick" ? [300, 100] : [3_000, 1_000];
/** The number of tasks that are added without a worker, first to warm up. */
const alone = adds / 10 + adds;

await withDatabase(async (url) => {
	const queue = await openQueue(name, url);
	const cost = await addAlone(queue);
	const latencies = (await wake(queue)).sort((a, b) => a - b);
	const quantile = (part: number): number => latencies[Math.floor(latencies.length * part)]!;
	await report(quantile(0.5), quantile(0.95), cost);
});
process.exit();

/** Returns the mean in microseconds. */
async function addAlone(queue: Queue): Promise<number> {
	for (let i = 0; i < adds / 10; i++) await queue.addOne(0);
	const start = performance.now();
	for (let i = 0; i < adds; i++) await queue.addOne(0);
	return (performance.now() - start) * 1e3 / adds;
}

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
	for (let i = 0; i < wakes; i++) {
		const start = performance.now();
		const isBegun = new Promise<void>((resolve) => onBegun = resolve);
		void queue.addOne(1);
		await isBegun;
		latencies.push(performance.now() - start);
		await pause(5 * (1 + 2 * Math.random()));
	}
	expect(begun, alone + wakes);
	return latencies;
}
