// Processes that are killed and replaced while they work.
import { sleep } from "../../mod.ts";
import type { Random } from "../simulation/random.ts";
import type { Fleet } from "./fleet.ts";

/** Options for all storms of this folder that are judged by a journal. */
export interface UnrestOptions {
	/** The number of processes that are killed at random. */
	readonly kills: number;
	/** The number of processes. @default 8 */
	readonly processes?: number;
	/** The average time between two kills, in milliseconds. @default 150 */
	readonly interval?: number;
	/** The time limit in milliseconds. @default 110_000 */
	readonly limit?: number;
}

/** What a storm does besides. */
export interface Unrest {
	readonly random: Random;
	/** Whether the storm is over; asked after each turn when all kills are done. */
	readonly isOver: () => Promise<boolean>;
	/** Called after each kill. */
	readonly onKill?: () => Promise<unknown>;
	/** The roles of the processes that are started, in turn. @default one without a name */
	readonly roles?: () => readonly string[];
	/** Processes that are worth a kill at random, if there are any. @default all */
	readonly busy?: () => readonly number[];
	/** Processes that have to be killed now. */
	readonly marked?: () => readonly number[];
}

/** Returns whether the storm was over in time. */
export async function stir(fleet: Fleet, options: UnrestOptions, unrest: Unrest): Promise<boolean> {
	const { kills, processes = 8, interval = 150, limit = 110_000 } = options;
	const { random, isOver, onKill, roles = () => [], busy = () => [], marked = () => [] } = unrest;
	let started = 0;
	while (started < processes) start();
	const until = performance.now() + limit;
	let count = 0;
	for (;;) {
		await fleet.oneReady();
		await sleep(2 * interval * random.next());
		for (const pid of new Set(marked())) if (fleet.pids.includes(pid)) await replace(pid);
		if (count < kills) {
			const pids = busy().filter((pid) => fleet.pids.includes(pid));
			await replace(random.pick(pids.length > 0 ? pids : fleet.pids));
			count++;
			await onKill?.();
		} else if (await isOver()) return true;
		if (performance.now() > until) return false;
	}

	async function replace(pid: number): Promise<void> {
		await fleet.kill(pid);
		start();
	}

	function start(): void {
		fleet.start(roles()[started++ % roles().length]);
	}
}
