// Processes that collect items into a few tasks while others run these, and all of them are killed at random times.
import process from "node:process";
import { Basket, type BasketContext } from "../../mod.ts";
import { Random } from "../simulation/random.ts";
import type { Database, DatabaseName, Effect } from "./database.ts";
import { withFleet } from "./fleet.ts";
import { Journal } from "./journal.ts";
import { stir, type UnrestOptions } from "./unrest.ts";

/** The tasks, by kind. */
const idsOf = { exact: ["exact-1", "exact-2"], loose: ["loose-1", "loose-2"] } as const;
const most = 50;

/** Each process counts its own items, from 1. */
interface Item {
	readonly pid: number;
	readonly count: number;
}

/** An item was added, or a run of a loose task has had items. */
type Line =
	| { readonly event: "added"; readonly id: string; readonly count: number }
	| { readonly event: "run"; readonly id: string; readonly items: readonly Item[] };

export interface CollectReport {
	readonly kills: number;
	/** The number of items whose add has resolved. */
	readonly items: number;
	/** The most items of a run. */
	readonly most: number;
	/** Violated laws. */
	readonly violations: readonly string[];
	/** Reported errors of the processes. */
	readonly complaints: readonly string[];
	/** The total duration in milliseconds. */
	readonly duration: number;
}

/**
 * - `exact` writes its items and completes in one transaction, so that each item must be there once;
 * - `loose` writes its items to the journal and returns, so that each item must be there at least once.
 */
function makeBasket(database: Database, journal: Journal<Line>, lease: number) {
	return new Basket({
		store: database.store,
		lease,
		crashes: Infinity,
		backoff: { start: 20, max: 100 },
		onError: (error) => console.error(error),
		tasks: {
			exact: async (items: Item[], { id, complete }: BasketContext<Item[], unknown>) => {
				const effects = items.map(({ pid, count }): Effect => ({ id: `${pid}`, lane: id, place: count }));
				await database.apply(effects, complete);
			},
			loose: (items: Item[], { id }: BasketContext) => {
				if (Math.random() < 0.1) throw new Error("as it was told");
				journal.write({ event: "run", id, items });
			},
		},
	});
}

/** Runs the tasks, and adds items as well unless the process is a late one. */
export async function work(
	database: Database,
	log: string,
	lease: number,
	onReady: () => void,
	role: "collect" | "drain",
): Promise<void> {
	const journal = new Journal<Line>(log);
	const basket = makeBasket(database, journal, lease);
	await basket.open();
	onReady();
	if (role === "drain") return await basket.run();
	for (let count = 1;; count++) {
		await Promise.all([...collect("exact", count), ...collect("loose", count)]);
	}

	function collect(kind: "exact" | "loose", count: number): Promise<void>[] {
		const options = { ifPresent: "collect", delay: 20, within: 200, most } as const;
		return idsOf[kind].map(async (id) => {
			await basket.add(kind, { pid: process.pid, count } as never, { id, ...options });
			journal.write({ event: "added", id, count });
		});
	}
}

/** Resolves when so many items were added and all of them are done, or at the time limit. */
export function killCollecting(
	name: DatabaseName,
	items: number,
	options: UnrestOptions,
	seed: number,
	lease = 1_000,
): Promise<CollectReport> {
	const since = performance.now();
	return withFleet(name, lease, ["storm-worker.ts", "collects"], async (fleet, database, log) => {
		const journal = new Journal<Line>(log);
		const basket = makeBasket(database, journal, lease);
		await basket.open();
		const added = () => journal.read().filter(({ event }) => event === "added").length;
		const left = async () => {
			const { done: _, ...counts } = await basket.counts();
			return Object.values(counts).reduce((sum, count) => sum + count);
		};
		let isEnough = false;
		const isDone = await stir(fleet, options, {
			random: new Random(seed),
			roles: () => isEnough ? ["drain"] : ["collect", "drain"],
			marked: () => isEnough ? fleet.pidsOf("collect") : [],
			isOver: async () => {
				isEnough ||= added() >= items;
				return isEnough && fleet.pidsOf("collect").length === 0 && await left() === 0;
			},
		});
		const lines = journal.read();
		const killed = new Set(fleet.kills.map(({ pid }) => pid));
		const { complaints } = fleet;
		const runs = [
			...(await database.effects()).map(({ id, lane, place }) => ({ id: lane, by: 0, item: `${id}/${place}` })),
			...lines.flatMap((line) => {
				if (line.event !== "run") return [];
				return line.items.map(({ pid, count }) => ({ id: line.id, by: line.pid, item: `${pid}/${count}` }));
			}),
		];
		return {
			kills: killed.size,
			items: added(),
			most: Math.max(...lines.map((line) => line.event === "run" ? line.items.length : 0)),
			violations: [
				...isDone ? [] : [`${await left()} tasks are left`],
				...violationsOf(lines, runs, killed, complaints),
			],
			complaints,
			duration: performance.now() - since,
		};
	});
}

interface Run {
	/** The id of the task. */
	readonly id: string;
	/** The process that ran it; 0 if the end of the run was committed together with the item. */
	readonly by: number;
	readonly item: string;
}

function violationsOf(
	lines: readonly (Line & { readonly pid: number })[],
	runs: readonly Run[],
	killed: ReadonlySet<number>,
	complaints: readonly string[],
): string[] {
	const isLost = (id: string) => complaints.some((text) => text.includes(`task "${id}" is lost`));
	const last = new Map<string, Run>();
	const counts = new Map<string, number>();
	const violations: string[] = [];
	for (const run of runs) {
		const name = `${run.id}: ${run.item}`;
		const before = last.get(name);
		last.set(name, run);
		if (before !== undefined) {
			// A process that is too slow for its lease loses its claim, and says so.
			if (!killed.has(before.by) && !(before.by > 0 && isLost(run.id))) {
				violations.push(`${name} ran again without a kill`);
			}
			continue;
		}
		const [pid, count] = run.item.split("/") as [string, string];
		const collector = `${run.id}: ${pid}`;
		if (Number(count) !== (counts.get(collector) ?? 0) + 1) violations.push(`${name} is not the next one`);
		counts.set(collector, Number(count));
	}
	for (const line of lines) {
		if (line.event !== "added") continue;
		const name = `${line.id}: ${line.pid}/${line.count}`;
		if (!last.has(name)) violations.push(`${name} was lost`);
	}
	return violations;
}
