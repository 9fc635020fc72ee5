// The cost of a task in Postgres at the beginning of a long run and at its end, when most rows are dead. Tasks are added while others
// are worked off, so that some 50,000 always wait.
import process from "node:process";
import { expect, parameters, report } from "../measure.ts";
import { openQueue, pause, withDatabase } from "./postgres-queues.ts";

const [, tenth, name] = /^tenth (\d+), (.*)$/.exec(parameters().get("case")!)!;
const size = parameters().get("plan") === "quick" ? 20_000 : 200_000;
const added = 10_000;
const waiting = Math.min(50_000, size / 2);

await withDatabase(async (url) => {
	const queue = await openQueue(name!, url);
	let done = 0;
	let sum = 0;
	await queue.work((payload) => {
		done++;
		sum += payload;
	});
	const total = Number(tenth) * size;
	let start = 0;
	for (let from = 0; from < total; from += added) {
		while (from - done >= waiting) await pause(1);
		if (from === total - size) start = performance.now();
		await queue.add(Array.from({ length: added }, (_, i) => from + i));
	}
	while (done < total || !await queue.isEmpty()) await pause(1);
	const took = performance.now() - start;
	expect(done, total);
	expect(sum, total * (total - 1) / 2);
	await report(took * 1e6 / size);
});
process.exit();
