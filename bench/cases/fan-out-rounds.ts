// One job with 1,000 no-op items, until all of them have ended and the job has their results; beside it as many jobs of one
// step, which are added at once, have no parent, and whose results are read in one list. All are kept when they have ended. The hand-written version adds the items
// in one commit, claims batches of 100 for a time, and stores their results and how many are left in the commit that claims the
// next; then it reads the results. openworkflow has them as steps of one workflow, and DBOS as steps or as workflows.
import { job, Processor, type Store } from "upkeep";
import { expect, type Round } from "../measure.ts";

export const items = 1_000;
/** How many items or jobs run at once. */
export const batch = 100;

/** Runs all items, and resolves with their results in order. */
export type FanOut = () => Promise<readonly number[]>;

/** An item whose result must be stored. It is async, although it awaits nothing. */
// deno-lint-ignore require-await
export async function run(item: number): Promise<number> {
	return item + 1;
}

export function roundOf(fanOut: FanOut): Round {
	let results: readonly number[] = [];
	const verify = (): void => {
		expect(results.length, items);
		expect(
			results.reduce((sum, result) => sum + result),
			items * (items + 1) / 2,
		);
	};
	return { work: async () => void (results = await fanOut()), verify };
}

export function indexes(): number[] {
	return Array.from({ length: items }, (_, index) => index);
}

/** The items of one job. */
export async function asChildren(store: Store<never>): Promise<FanOut> {
	const definition = job("fan-out").each("all", { items: indexes, run: ({ item }) => run(item) });
	const processor = new Processor({ store, jobs: [definition], concurrency: batch });
	await processor.open();
	return async () => {
		const { id } = await processor.add(definition, undefined);
		await processor.drain();
		return (await processor.wait(id)).value!;
	};
}

/** As many jobs without a parent, whose results are read in one list. */
export async function asJobs(store: Store<never>): Promise<FanOut> {
	const definition = job<number>("item").step("all", { run: ({ input }) => run(input) });
	const processor = new Processor({ store, jobs: [definition], concurrency: batch });
	await processor.open();
	let rounds = 0;
	let after: string | undefined;
	return async () => {
		const first = items * rounds++;
		const added = indexes().map((input) => ({ job: definition, input, id: `${first + input}` }));
		await processor.addMany(added);
		await processor.drain();
		const results: number[] = [];
		for await (const { key, results: { all } } of processor.list({ after })) {
			results.push(all as number);
			after = key;
		}
		return results;
	};
}
