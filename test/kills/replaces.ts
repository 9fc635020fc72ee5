// Processes that replace one task and are killed meanwhile. Each add writes an effect in the same transaction, so that
// the last effect is the payload whose add was committed last.
import { Basket, sleep } from "../../mod.ts";
import type { Database, DatabaseName, Effect } from "./database.ts";
import { withFleet } from "./fleet.ts";

interface Edit {
	readonly pid: string;
	readonly count: number;
}

export interface ReplaceReport {
	readonly replaces: number;
	readonly kills: number;
	/** The number of tasks in all states after the last kill. */
	readonly tasks: number;
	/** The edit that was committed last, and those that ran afterwards. */
	readonly last: Edit;
	readonly runs: readonly Edit[];
}

function makeBasket({ store }: Database, runs: Edit[] = []) {
	return new Basket({ store, name: "edits", tasks: { save: (edit: Edit) => void runs.push(edit) } });
}

const editOf = ({ id, place }: Effect): Edit => ({ pid: id, count: place });

/** Replaces the task with another edit. */
export async function replaceOnce(database: Database, pid: number, count: number): Promise<void> {
	const effect = { id: `${pid}`, lane: "", place: count };
	const options = { id: "form", ifPresent: "replace" } as const;
	await database.apply(effect, async (tx) => {
		await makeBasket(database).add("save", editOf(effect), { ...options, tx: tx as never });
	});
}

/** Lets processes replace one task so often in all, and kills one of them every now and then. */
export function replaceAndKill(name: DatabaseName, processes: number, replaces: number): Promise<ReplaceReport> {
	return withFleet(name, 0, "replace-worker.ts", async (fleet, database) => {
		const runs: Edit[] = [];
		const basket = makeBasket(database, runs);
		await basket.open();
		for (let index = 0; index < processes; index++) fleet.start();
		let effects: Effect[] = [];
		for (let turn = 1; effects.length < replaces; turn++) {
			await fleet.oneReady();
			await sleep(100);
			if (turn % 3 === 0) {
				const { pids } = fleet;
				await fleet.kill(pids[Math.floor(pids.length * Math.random())]!);
				fleet.start();
			}
			effects = await database.effects();
		}
		const kills = fleet.kills.length;
		await fleet.close();
		effects = await database.effects();
		const tasks = Object.values(await basket.counts()).reduce((sum, count) => sum + count);
		await basket.drain();
		return { replaces: effects.length, kills, tasks, last: editOf(effects.at(-1)!), runs };
	});
}
