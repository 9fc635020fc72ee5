// Many no-op tasks that are given to a limiter at once and awaited, and the growth of the cost per task with the queue.
import pLimit from "p-limit";
import PQueue from "p-queue";
import { Pool } from "upkeep";
import { expect, time, type TimedCase } from "../measure.ts";

type Task = () => Promise<number>;
type Limiter = (task: Task, index: number) => Promise<number>;

const concurrency = 100;
// The measured task is async, although it awaits nothing.
// deno-lint-ignore require-await
const task: Task = async () => 1;

await time({
	"hand-written limiter": many(100_000, handWritten),
	"Pool": many(100_000, pool),
	"p-limit": many(100_000, () => pLimit(concurrency)),
	"p-queue": many(100_000, () => {
		const queue = new PQueue({ concurrency });
		return (task) => queue.add(task);
	}),
	"Pool, 7 priorities, 10,000": many(10_000, prioritized),
	"Pool, 7 priorities, 100,000": many(100_000, prioritized),
	"Pool, 7 priorities, 1,000,000": many(1_000_000, prioritized),
});

function many(batch: number, make: () => Limiter): TimedCase {
	const work = async (count: number): Promise<void> => {
		for (let done = 0; done < count; done += batch) {
			const limit = make();
			const results: Promise<number>[] = [];
			for (let i = 0; i < batch; i++) results.push(limit(task, i));
			expect((await Promise.all(results)).length, batch);
		}
	};
	return { batch, setUp: () => work };
}

function pool(): Limiter {
	const pool = new Pool({ max: concurrency });
	return (task) => pool.run(task);
}

function prioritized(): Limiter {
	const pool = new Pool({ max: concurrency });
	return (task, index) => pool.run(task, { priority: index % 7 });
}

/** A limiter without a library: a counter and an array. */
function handWritten(): Limiter {
	let running = 0;
	let next = 0;
	const waiting: (() => void)[] = [];
	const leave = () => {
		running--;
		waiting[next++]?.();
	};
	return (task) =>
		new Promise((resolve, reject) => {
			const start = () => {
				running++;
				task().then(resolve, reject).finally(leave);
			};
			if (running < concurrency) start();
			else waiting.push(start);
		});
}
