// Tasks over several Postgres servers, one of which is away for a while. Each server has a basket of its own; the number
// of a task decides where it goes. The tasks that must go to the server that is away are added again and again with
// the same ids. So it stands in the guide to scale.
import pg from "pg";
import { Basket, run, sleep } from "../../mod.ts";
import { postgresStore } from "../../src/stores/postgres/postgres.ts";
import { PostgresMachine } from "../servers/postgres-machine.ts";

export interface SpreadOptions {
	readonly databases: number;
	readonly tasks: number;
	/** The lease, and for how long one server is away, in milliseconds. */
	readonly lease: number;
	readonly away: number;
	/** How long it waits for what is left when all tasks were added, in milliseconds. */
	readonly limit: number;
	/** Called with the number of tasks that have run, for each server, every second. */
	readonly onProgress?: ((done: readonly number[]) => void) | undefined;
}

export interface SpreadReport {
	/** The tasks that have not run, and those that have run again because the answer of a server was lost. */
	readonly lost: number;
	readonly again: number;
	/** The tasks that were left in the databases at the end. */
	readonly left: number;
	/** The number of tasks that the other servers have started while one was away. */
	readonly meanwhile: number;
	/** For how long it was away, and the total time, in milliseconds. */
	readonly away: number;
	readonly duration: number;
	/** The number of errors that the baskets have reported. */
	readonly complaints: number;
}

/** The number of tasks in one add, and the number of adds under way for each server. */
const batch = 1_000;
const producers = 2;

/** The server of a task: FNV-1a of its key. */
function shardOf(key: string, shards: number): number {
	let hash = 0x811c9dc5;
	for (const byte of new TextEncoder().encode(key)) hash = Math.imul(hash ^ byte, 0x01000193);
	return (hash >>> 0) % shards;
}

/** Works off so many tasks, and lets a server crash when a third of them have run. Resolves when all of them are done. */
export async function spread(
	{ databases, tasks, lease, away, limit, onProgress }: SpreadOptions,
): Promise<SpreadReport> {
	const since = performance.now();
	const machines = await Promise.all(
		Array.from({ length: databases }, () => PostgresMachine.start({ isDurable: true })),
	);
	const pools = machines.map(({ url }) => new pg.Pool({ connectionString: url, connectionTimeoutMillis: 1_000 }));
	const runs = new Uint8Array(tasks);
	const done = machines.map(() => 0);
	let complaints = 0;
	const baskets = pools.map((pool, shard) => {
		pool.on("error", () => {}); // idle connections of the server that is killed
		const work = (n: number) => {
			runs[n]!++;
			done[shard]!++;
		};
		return basketOf(pool, lease, work, () => complaints++);
	});
	const ticking = setInterval(() => onProgress?.(done), 1_000);
	const end = new AbortController();
	try {
		await Promise.all(baskets.map((basket) => basket.open()));
		const working = baskets.map((basket) => basket.run({ signal: end.signal }));
		const numbers: number[][] = machines.map(() => []);
		for (let n = 0; n < tasks; n++) numbers[shardOf(`customer ${n}`, databases)]!.push(n);
		const adding = numbers.flatMap((mine, shard) =>
			Array.from({ length: producers }, (_, producer) => addAll(baskets[shard]!, mine, producer))
		);
		const sum = (list: readonly number[]) => list.reduce((all, one) => all + one, 0);
		while (sum(done) < tasks / 3) await sleep(10);
		const goneAt = performance.now();
		await machines[0]!.crash();
		const before = sum(done) - done[0]!;
		await sleep(away);
		const meanwhile = sum(done) - done[0]! - before;
		await machines[0]!.start();
		const wasAway = performance.now() - goneAt;
		await Promise.all(adding);
		const remaining = async () => {
			const counts = await Promise.all(baskets.map((basket) => basket.counts()));
			return sum(counts.flatMap((count) => Object.values(count)));
		};
		const until = performance.now() + limit;
		let left: number;
		while ((left = await remaining()) > 0 && performance.now() < until) await sleep(100);
		end.abort();
		await Promise.all(working);
		return {
			lost: runs.filter((count) => count === 0).length,
			again: runs.filter((count) => count > 1).length,
			left,
			meanwhile,
			away: wasAway,
			duration: performance.now() - since,
			complaints,
		};
	} finally {
		clearInterval(ticking);
		end.abort();
		await Promise.all(pools.map((pool) => pool.end()));
		await Promise.all(machines.map((machine) => machine.close()));
	}
}

type WorkBasket = ReturnType<typeof basketOf>;

function basketOf(pool: pg.Pool, lease: number, work: (n: number) => void, onError: () => void) {
	return new Basket({ store: postgresStore(pool), lease, tasks: { work }, onError });
}

/** Adds every second part of the tasks. An add that was not answered is made again: its ids are the same. */
async function addAll(basket: WorkBasket, numbers: readonly number[], producer: number): Promise<void> {
	for (let from = producer * batch; from < numbers.length; from += producers * batch) {
		const part = numbers.slice(from, from + batch);
		const items = part.map((n) => ({ kind: "work", payload: n, id: `task ${n}` }) as const);
		await run(() => basket.addMany(items), { attempts: Infinity, backoff: { start: 100, max: 1_000 } });
	}
}
