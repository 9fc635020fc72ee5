// The basket of the kill tests, the same in all processes, and what its tasks leave behind.
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { Basket, type BasketContext, sleep } from "../../mod.ts";
import type { Database } from "./database.ts";

/** What a task is given. */
export interface Work {
	/** The place in its lane, or among all. */
	readonly place: number;
	/** How long it takes, in milliseconds. */
	readonly duration: number;
	/** How likely an attempt is to fail: 0 to 1. */
	readonly failure: number;
}

/** A line of the log: a run has begun, has failed as it was told, or has done its work. */
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
 * - `exact` writes its effect, adds a `followUp` and completes in one transaction: each effect must be there once;
 * - `loose` writes a line into the log and returns: it must be there once at least.
 *
 * @param log the path of a file; lines are added whole, and outlive the process that wrote them
 */
export function makeBasket(database: Database, log: string, lease: number): KillBasket {
	const write = (event: Line["event"], id: string) => {
		const line: Line = { event, id, pid: process.pid, at: Date.now() };
		appendFileSync(log, `${JSON.stringify(line)}\n`);
	};
	const begin = async ({ duration, failure }: Work, { id, signal }: BasketContext<Work>) => {
		write("begin", id);
		await sleep(duration, { signal });
		if (Math.random() >= failure) return;
		write("fail", id);
		throw new Error("as it was told");
	};
	const effectOf = ({ place }: Work, { id, lane = "" }: BasketContext<Work>) => ({ id, lane, place });
	const basket: KillBasket = new Basket({
		store: database.store,
		name: "kills",
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
				const options = { id: `${id}/2`, lane: lane && `${lane}/2` };
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

/** Lines that are whole. */
export function readLog(log: string): Line[] {
	if (!existsSync(log)) return [];
	return readFileSync(log, "utf8").split("\n").slice(0, -1).map((line) => JSON.parse(line));
}
