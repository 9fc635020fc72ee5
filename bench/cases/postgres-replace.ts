// One after the other, the payloads of 100 tasks that wait are replaced: the job keys of graphile-worker, and `ifPresent`.
import process from "node:process";
import { time } from "../measure.ts";
import { openQueue, withDatabase } from "./postgres-queues.ts";

const ids = 100;

await withDatabase(async (url) => {
	const setUp = (name: string) => async () => {
		const queue = await openQueue(name, url);
		let last = 0;
		return async (count: number): Promise<void> => {
			for (let i = 0; i < count; i++) await queue.replace!(`task ${last % ids}`, last++);
		};
	};
	await time(Object.fromEntries(["graphile-worker", "Basket, pg"].map((name) => [name, { setUp: setUp(name) }])));
});
process.exit();
