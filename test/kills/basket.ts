// The basket of the kill tests, which is the same in all processes, and the log of its tasks.
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { Basket, type BasketContext, sleep } from "../../mod.ts";
import type { Database } from "./database.ts";

/** The payload of a task. */
export interface Work {
	/** The position in its lane, or among all tasks without a lane. */
	readonly place: number;
	/** The duration in milliseconds. */
	readonly duration: number;
	/** The probability that an attempt fails, from 0 to 1. */
	readonly failure: number;
}

/** A line of the log: a run begins, fails on purpose, or has done its work. */
export interface Line {
	readonly event: "begin" | "fail" | "end";
	readonly id: string;
	readonly pid: number;
	/** Milliseconds since 1970. */
	readonly at: number;
}

type Run = (work: Work, context: BasketContext<Work>) => Promise<void>;
export type KillBasket = Basket<{ exact: Run; followUp: Run; loose: Run }>;

/**
 * - `exact` writes its effect, adds a `followUp` and completes in one transaction, so that each effect must exist
 *   once;
 * - `loose` writes a line to the log and returns, so that the line must exist at least once.
 *
 * @param log the path of a file. Lines are written atomically, and survive their process
 */
export function makeBasket(database: Database, log: string, lease: number): KillBasket {
	const write = (event: Line["event"], id: string) => {
		const line: Line = { event, id, pid: process.pid, at: Date.now() };
		appendFileSync(log, `${JSON.stringify(line)}\n`);
	};
	const begin = async ({ duration, failure }: Work, { id, signal, meta }: BasketContext<Work>) => {
		write("begin", id);
		if (meta.id !== id) console.error(`${id} runs with the meta of ${meta.id}`);
		await sleep(duration, { signal });
		if (Math.random() >= failure) return;
		write("fail", id);
		throw new Error("as it was told");
	};
	const effectOf = ({ place }: Work, { id, lane = "" }: BasketContext<Work>) => ({ id, lane, place });
	const basket: KillBasket = new Basket({
		store: database.store,
		name: "kills",
		worker: String(process.pid),
		retain: 3_600_000,
		concurrency: 4,
		lease,
		crashes: Infinity,
		backoff: { start: 20, max: 200 },
		onError: (error) => console.error(error),
		tasks: {
			exact: async (work: Work, context: BasketContext<Work>) => {
				await begin(work, context);
				const { id, lane } = context;
				const followUp = { ...work, duration: work.duration / 4 };
				const options = { id: `${id}/2`, lane: lane && `${lane}/2`, meta: { id: `${id}/2` } };
				await database.apply(effectOf(work, context), async (tx) => {
					await basket.add("followUp", followUp, { ...options, tx: tx as never });
					await context.complete(tx as never);
				});
				write("end", id);
			},
			followUp: async (work: Work, context: BasketContext<Work>) => {
				await begin(work, context);
				await database.apply(effectOf(work, context), (tx) => context.complete(tx as never));
				write("end", context.id);
			},
			loose: async (work: Work, context: BasketContext<Work>) => {
				await begin(work, context);
				write("end", context.id);
			},
		},
	});
	return basket;
}

/** Returns the complete lines. */
export function readLog(log: string): Line[] {
	if (!existsSync(log)) return [];
	return readFileSync(log, "utf8").split("\n").slice(0, -1).map((line) => JSON.parse(line));
}
