// Many existing no-op tasks that several processes work off concurrently.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import pg from "pg";
import { Basket } from "upkeep";
import { postgresStore } from "upkeep/stores/postgres";
import { expect, parameters, report } from "../measure.ts";
import { withDatabase } from "./postgres-queues.ts";

const url = parameters().get("url");
await (url === null ? withDatabase(measure) : work(url));
process.exit();

async function measure(url: string): Promise<void> {
	const workers = Number.parseInt(parameters().get("case")!);
	const isQuick = parameters().get("plan") === "quick";
	const count = isQuick ? 10_000 : 100_000;
	const children = await Promise.all(Array.from({ length: workers }, () => begin(url)));
	let best = Infinity;
	for (let round = 0; round < (isQuick ? 2 : 4); round++) {
		const queue = open(url);
		const tasks = Array.from({ length: 10_000 }, (_, payload) => ({ kind: "task" as const, payload }));
		for (let added = 0; added < count; added += tasks.length) await queue.addMany(tasks);
		const start = performance.now();
		const done = await Promise.all(children.map(drain));
		best = Math.min(best, performance.now() - start);
		expect(done.reduce((sum, count) => sum + count), count);
	}
	for (const child of children) child.kill();
	await report(best * 1e6 / count);
}

function open(url: string): Basket<{ task: (payload: number) => void }, unknown> {
	const store = postgresStore(new pg.Pool({ connectionString: url }));
	return new Basket({ store, tasks: { task: () => {} } }) as unknown as ReturnType<typeof open>;
}

async function begin(url: string): Promise<ChildProcess> {
	const [program, ...args] = JSON.parse(parameters().get("command")!) as string[];
	const child = spawn(program!, [...args, String(new URLSearchParams([...parameters(), ["url", url]]))], {
		stdio: ["pipe", "pipe", "inherit"],
	});
	child.stdout!.setEncoding("utf8");
	await once(child.stdout!, "data");
	return child;
}

/** Resolves with the number of tasks that the child has done. */
async function drain(child: ChildProcess): Promise<number> {
	child.stdin!.write("drain");
	const [text] = await once(child.stdout!, "data");
	return Number(text);
}

/** Drains the queue on each message of the parent. */
async function work(url: string): Promise<void> {
	const basket = open(url);
	await basket.open();
	await report(0);
	for await (const _ of process.stdin) {
		const before = basket.getSnapshot().succeeded;
		await basket.drain();
		await report(basket.getSnapshot().succeeded - before);
	}
}
