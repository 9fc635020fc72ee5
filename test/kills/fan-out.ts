// One job with very many children, whose processes are killed while they add them, run them and read their results.
import { sleep } from "../../mod.ts";
import { Random } from "../simulation/random.ts";
import type { DatabaseName } from "./database.ts";
import { basket } from "./jobs.ts";
import { type FanOutLine, makeFanOut } from "./fan-out-job.ts";
import { withFleet } from "./fleet.ts";
import { Journal } from "./journal.ts";

export interface FanOutOptions {
	readonly children: number;
	readonly kills: number;
	readonly seed: number;
	/** The time after which it must have ended, in milliseconds. */
	readonly limit: number;
}

/** Returns what was violated. */
export function killFanOut(
	name: DatabaseName,
	{ children, kills, seed, limit }: FanOutOptions,
): Promise<readonly string[]> {
	return withFleet(name, 1_000, "kill-fan-out-worker.ts", async (fleet, database, log) => {
		const random = new Random(seed);
		const { processor, definition } = makeFanOut(database, log, 1_000);
		await processor.add(definition, { children }, { id: "top" });
		const until = performance.now() + limit;
		for (let index = 0; index < 3; index++) fleet.start();
		let outcome;
		while (outcome === undefined && performance.now() < until) {
			await fleet.oneReady();
			await sleep(200 * random.next());
			if (fleet.kills.length < kills) {
				await fleet.kill(random.pick(fleet.pids));
				fleet.start();
			}
			outcome = await processor.result("top");
		}
		if (outcome?.status !== "completed") return [`it has not ended: ${JSON.stringify(outcome)}`];
		const violations: string[] = [];
		const { all } = outcome.results as { readonly all: { readonly count: number; readonly sum: number } };
		const wanted = { count: children, sum: children * (children - 1) / 2 };
		if (JSON.stringify(all) !== JSON.stringify(wanted)) violations.push(`the results are ${JSON.stringify(all)}`);
		const lines = new Journal<FanOutLine>(log).read();
		const begun = new Map<number, number>();
		for (const { n } of lines) if (n !== undefined) begun.set(n, (begun.get(n) ?? 0) + 1);
		const again = [...begun.values()].filter((times) => times > 1).length;
		// Each process had at most some children that were not stored.
		if (again > 200 * fleet.kills.length) violations.push(`${again} children have run again`);
		if (begun.size !== children) violations.push(`only ${begun.size} have run`);
		const joined = lines.findIndex(({ n }) => n === undefined);
		if (lines.slice(joined).some(({ n }) => n !== undefined)) violations.push("a child has run after all were joined");
		const { done } = await database.store.counts(basket);
		if (done !== children + 1) violations.push(`${done} are done`);
		if (fleet.kills.length < kills) violations.push(`only ${fleet.kills.length} were killed`);
		return violations;
	});
}
