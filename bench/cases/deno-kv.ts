// No-op tasks in Deno KV, in a file, that are added at once, until the end of all is stored. The hand-written queue adds
// 500 in a commit, and has a key for each task by its due time. It claims 99 in a commit, as many as Deno KV checks besides
// one more, by a later due time, and removes those that are done in the commit that claims the next.
import { mkdtempSync, rmSync } from "node:fs";
import process from "node:process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Basket } from "upkeep";
import { type DenoKv, type DenoKvEntry, denoKvStore } from "upkeep/stores/deno-kv";
import { expect, parameters, type Round, timeRounds } from "../measure.ts";

type Task = (payload: number) => Promise<void>;
type Kv = DenoKv & { close(): void };

interface Queue {
	work: () => Promise<void>;
	left: () => Promise<number>;
}

const { Deno } = globalThis as unknown as { Deno: { openKv(path: string): Promise<Kv> } };
const count = parameters().get("plan") === "quick" ? 500 : 2_000;
const [maxSets, maxChecks] = [500, 99];
const lease = 30_000;
const folder: string = mkdtempSync(join(tmpdir(), "upkeep-bench-kv-"));
const payloads = Array.from({ length: count }, (_, i) => i);
let files = 0;
try {
	await timeRounds(count, setUp);
} finally {
	rmSync(folder, { recursive: true, force: true });
}
process.exit();

async function setUp(): Promise<Round> {
	const kv = await Deno.openKv(join(folder, `${files++}.db`));
	let sum = 0;
	// The measured task is async, although it awaits nothing.
	// deno-lint-ignore require-await
	const task: Task = async (payload) => void (sum += payload);
	const { work, left } = parameters().get("case") === "Deno.Kv by hand" ? byHand(kv, task) : await withBasket(kv, task);
	const verify = async (): Promise<void> => {
		expect(sum, count * (count - 1) / 2);
		expect(await left(), 0);
		kv.close();
	};
	return { work, verify };
}

async function withBasket(kv: Kv, task: Task): Promise<Queue> {
	const basket = new Basket({ store: denoKvStore(kv), tasks: { task } });
	await basket.open();
	return {
		work: async () => {
			await Promise.all(payloads.map((payload) => basket.add("task", payload)));
			await basket.drain();
		},
		left: async () => Object.values(await basket.counts()).reduce((sum, count) => sum + count),
	};
}

function byHand(kv: Kv, task: Task): Queue {
	return { work: () => processByHand(kv, task), left: async () => (await read(kv, 1, Infinity)).length };
}

async function processByHand(kv: Kv, task: Task): Promise<void> {
	for (let from = 0; from < count; from += maxSets) {
		const add = kv.atomic();
		for (const payload of payloads.slice(from, from + maxSets)) add.set(["task", Date.now(), payload], payload);
		await add.commit();
	}
	for (let claimed: DenoKvEntry[] = [];;) {
		const commit = kv.atomic();
		for (const { key } of claimed) commit.delete(key as never);
		const due = await read(kv, maxChecks, Date.now() + 1);
		claimed = due.map((entry) => {
			const key = ["task", Date.now() + lease, entry.key[2]!];
			commit.check(entry as never);
			commit.delete(entry.key as never);
			commit.set(key as never, entry.value);
			return { ...entry, key };
		});
		expect((await commit.commit()).ok, true);
		if (claimed.length === 0) return;
		await Promise.all(claimed.map(({ value }) => task(value as number)));
	}
}

async function read(kv: Kv, limit: number, dueBefore: number): Promise<DenoKvEntry[]> {
	const selector = { prefix: ["task"], end: ["task", dueBefore] };
	const found: DenoKvEntry[] = [];
	for await (const entry of kv.list(selector as never, { limit, batchSize: limit })) found.push(entry);
	return found;
}
