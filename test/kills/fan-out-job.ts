// The job of the kill tests that has very many children, which is the same in all processes.
import { type AnyJob, job, Processor } from "../../mod.ts";
import type { Database } from "./database.ts";
import { basket } from "./jobs.ts";
import { Journal } from "./journal.ts";

/** A child has run, or all are joined. */
export interface FanOutLine {
	readonly n?: number;
}

export interface FanOut {
	readonly processor: Processor<AnyJob, unknown>;
	readonly definition: AnyJob;
}

/** @param log the path of the journal */
export function makeFanOut(database: Database, log: string, lease: number): FanOut {
	const journal = new Journal<FanOutLine>(log);
	interface Folded {
		readonly count: number;
		readonly sum: number;
	}
	const definition = job<{ children: number }>("fan-out")
		.each("all", {
			items: ({ input }) => Array.from({ length: input.children }, (_, n) => n),
			run: ({ item }) => (journal.write({ n: item }), item),
			into: (all: Folded | undefined, n) => ({ count: (all?.count ?? 0) + 1, sum: (all?.sum ?? 0) + n }),
		})
		.step("joined", { run: () => journal.write({}) }) as unknown as AnyJob;
	const processor = new Processor<AnyJob, unknown>({
		store: database.store,
		name: basket,
		jobs: [definition],
		concurrency: 50,
		lease,
		crashes: Infinity,
		onError: (error) => console.error(error),
	});
	return { processor, definition };
}
