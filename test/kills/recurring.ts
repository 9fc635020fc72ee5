// Baskets with one schedule in processes that are killed, some of them between a run and its settlement.
import { Basket, type BasketContext, every, sleep } from "../../mod.ts";
import { Random } from "../simulation/random.ts";
import type { Database, DatabaseName } from "./database.ts";
import { withFleet } from "./fleet.ts";
import { Journal } from "./journal.ts";
import { stir, type UnrestOptions } from "./unrest.ts";

const period = 1_000;
/** The number of baskets in each process. */
const baskets = 5;
/** A process never settles the first run of each such instant. */
const isSticky = (due: number) => Math.floor(due / period) % 3 === 0;

/** A run begins or ends, or a process never settles the run that has ended: it waits to be killed. */
interface Line {
	readonly event: "begin" | "end" | "stuck";
	/** The instant of the tick. */
	readonly due: number;
}
type TickLine = Line & { readonly pid: number };

export interface RecurringReport {
	readonly kills: number;
	/** The number of kills between a run and its settlement. */
	readonly stuck: number;
	/** The number of different instants that have run to an end. */
	readonly instants: number;
	/** The number of runs. */
	readonly runs: number;
	/** Violated laws. */
	readonly violations: readonly string[];
	/** Reported errors of the processes. */
	readonly complaints: readonly string[];
}

/** Runs the baskets. */
export async function work(database: Database, log: string, lease: number, onReady: () => void): Promise<void> {
	const journal = new Journal<Line>(log);
	let [ended, isFirst, isStuck] = [undefined as number | undefined, false, false];
	const { store } = database;
	const make = store.turn.bind(store);
	const turn: typeof make = async (name, turn) => {
		if (ended !== undefined && turn.settle.length > 0) {
			if (isStuck) return await new Promise(() => {}); // the basket has lost patience, and calls again
			if (isFirst && isSticky(ended)) {
				isStuck = true;
				journal.write({ event: "stuck", due: ended });
				return await new Promise(() => {});
			}
			ended = undefined;
		}
		return await make(name, turn);
	};
	Object.assign(store, { turn });
	const tick = async (_: undefined, { due, crashes, signal }: BasketContext) => {
		journal.write({ event: "begin", due: due! });
		await sleep(50 * Math.random(), { signal });
		journal.write({ event: "end", due: due! });
		[ended, isFirst] = [due, crashes === 0];
	};
	const all = Array.from({ length: baskets }, () => {
		const onError = (error: unknown) => console.error(error);
		const tasks = { tick: { run: tick, every: every(period) } };
		return new Basket({ store, lease, crashes: Infinity, onError, tasks });
	});
	onReady();
	await Promise.all(all.map((basket) => basket.run()));
}

/**
 * Resolves when ticks of so many instants have run to an end after the last kill at random, or at the time limit.
 */
export function killRecurring(
	name: DatabaseName,
	instants: number,
	options: UnrestOptions,
	seed: number,
	lease = 1_000,
): Promise<RecurringReport> {
	return withFleet(name, lease, ["storm-worker.ts", "recurring"], async (fleet, { store }, log) => {
		await store.open();
		const journal = new Journal<Line>(log);
		const marked = () => journal.read().filter(({ event }) => event === "stuck").map(({ pid }) => pid);
		const ended = () => new Set(journal.read().filter(({ event }) => event === "end").map(({ due }) => due)).size;
		const isOver = () => Promise.resolve(ended() >= instants);
		const isDone = await stir(fleet, { processes: 4, ...options }, { random: new Random(seed), isOver, marked });
		const lines = journal.read();
		const killed = new Set(fleet.kills.map(({ pid }) => pid));
		return {
			kills: fleet.kills.length,
			stuck: marked().length,
			instants: ended(),
			runs: lines.filter(({ event }) => event === "begin").length,
			violations: [...isDone ? [] : ["the schedule stands still"], ...violationsOf(lines, killed, fleet.complaints)],
			complaints: fleet.complaints,
		};
	});
}

function violationsOf(
	lines: readonly TickLine[],
	killed: ReadonlySet<number>,
	complaints: readonly string[],
): string[] {
	// A process that is too slow for its lease loses its claim, and says so.
	const isLost = complaints.some((text) => text.includes("is lost"));
	const begins = lines.flatMap((line, index) => line.event === "begin" ? [{ ...line, index }] : []);
	return begins.slice(1).flatMap((begin, number) => {
		const before = begins[number]!;
		const between = lines.slice(before.index + 1, begin.index).filter(({ pid }) => pid === before.pid);
		const events = between.map(({ event }) => event).join();
		const text = `${before.due % 1_000_000} by ${before.pid} (${events}), then ${
			begin.due % 1_000_000
		} by ${begin.pid}`;
		if (begin.due === before.due) return isLost || killed.has(before.pid) ? [] : [`again without a kill: ${text}`];
		if (begin.due !== before.due + period) return [`not the next instant: ${text}`];
		return events === "end" ? [] : [`without a settlement: ${text}`];
	});
}
