// Processes that work off tasks with limited keys and are killed at random times, with the laws of limits.
import process from "node:process";
import { Basket, type BasketContext, limit, sleep } from "../../mod.ts";
import { Random } from "../simulation/random.ts";
import type { Database, DatabaseName } from "./database.ts";
import { withFleet } from "./fleet.ts";
import { Journal } from "./journal.ts";
import { stir, type UnrestOptions } from "./unrest.ts";

const keys = ["a", "b", "c", "d", "e"];
const atOnce = 2;
const rate = { tasks: 20, per: 500, burst: 2 };
/** In each window of `rate.per`. */
const most = rate.tasks + rate.burst - 1;
/** The number of tasks that are added with each kill. */
const perKill = 20;

interface Call {
	readonly key: string;
	readonly duration: number;
}

/**
 * - `claim` and `settle`: see `watch`;
 * - `begin` and `end`: a function begins and ends.
 */
interface Line {
	readonly event: "claim" | "settle" | "begin" | "end";
	readonly id: string;
	/** Tells the claims of a task, or the runs of it, apart. */
	readonly token: string;
	/** The key of a task that begins. */
	readonly key?: string;
	/** The time of a claim, on the clock of the store; otherwise the time of the line. */
	readonly at: number;
	/** The latest time of a claim: a server tells when its turn has begun, and starts are counted later in it. */
	readonly until?: number;
	/** Whether a settlement gives its start back. */
	readonly isReleased?: boolean;
}

export interface LimitReport {
	readonly kills: number;
	readonly tasks: number;
	/** The number of claims, and how many of them took up a task of a killed process. */
	readonly starts: number;
	readonly interrupted: number;
	/** The most claims of a key at the same time, and its most starts in one window. */
	readonly atOnce: number;
	readonly inWindow: number;
	/** Violated laws. */
	readonly violations: readonly string[];
	/** Reported errors of the processes. */
	readonly complaints: readonly string[];
	/** The total duration in milliseconds. */
	readonly duration: number;
}

/** Works off the tasks. */
export async function work(database: Database, log: string, lease: number, onReady: () => void): Promise<void> {
	const journal = new Journal<Line>(log);
	watch(database, journal);
	const basket = makeBasket(database, journal, lease);
	const stopTelling = basket.subscribe(() => {
		if (basket.getSnapshot().state !== "running") return;
		stopTelling();
		onReady();
	});
	await basket.run();
}

function makeBasket({ store }: Database, journal: Journal<Line>, lease: number) {
	let runs = 0;
	const run = async ({ key, duration }: Call, { id, signal }: BasketContext<Call>) => {
		const token = `${process.pid}-${++runs}`;
		journal.write({ event: "begin", id, token, key, at: Date.now() });
		try {
			await sleep(duration, { signal });
			if (Math.random() < 0.1) throw new Error("as it was told");
		} finally {
			journal.write({ event: "end", id, token, at: Date.now() });
		}
	};
	return new Basket({
		store,
		lease,
		crashes: Infinity,
		backoff: { start: 20, max: 100 },
		onError: (error) => console.error(error),
		tasks: { call: { run, limit: limit({ key: ({ key }: Call) => key, atOnce, rate }) } },
	});
}

/**
 * Writes down each claim, after it was made, and each end of a claim, before it is stored. So at no time more claims
 * are written down than there are.
 */
function watch({ store }: Database, journal: Journal<Line>): void {
	const make = store.turn.bind(store);
	const turn: typeof make = async (basket, turn) => {
		for (const { ref: { id, token }, outcome } of turn.settle) {
			const isReleased = outcome.type === "release" && outcome.delay === undefined;
			journal.write({ event: "settle", id, token, at: Date.now(), isReleased });
		}
		const result = await make(basket, turn);
		for (const { id, token, limitKey, addedAt, age } of result.claims) {
			const at = addedAt + age;
			const until = store.capabilities.clock === "server" ? Date.now() : at;
			journal.write({ event: "claim", id, token, key: limitKey ?? "none", at, until });
		}
		return result;
	};
	Object.assign(store, { turn });
}

/** Resolves when all tasks are done, or at the time limit. */
export function killLimited(
	name: DatabaseName,
	options: UnrestOptions,
	seed: number,
	lease = 1_000,
): Promise<LimitReport> {
	const since = performance.now();
	return withFleet(name, lease, ["storm-worker.ts", "limits"], async (fleet, database, log) => {
		const random = new Random(seed);
		const journal = new Journal<Line>(log);
		const basket = makeBasket(database, journal, lease);
		const ids: string[] = [];
		await add(5 * perKill);
		const left = async () => {
			const { done: _, ...counts } = await basket.counts();
			return Object.values(counts).reduce((sum, count) => sum + count);
		};
		await stir(fleet, options, {
			random,
			busy: () => busyIn(journal.read()),
			isOver: async () => await left() === 0,
			onKill: () => add(perKill),
		});
		const remaining = await left();
		const lines = journal.read();
		const ended = new Set(lines.filter(({ event }) => event === "end").map(({ id }) => id));
		const [claims, runs] = [held(lines, "claim", "settle"), held(lines, "begin", "end")];
		const windows = windowsOf(lines);
		return {
			kills: fleet.kills.length,
			tasks: ids.length,
			starts: lines.filter(({ event }) => event === "claim").length,
			interrupted: claims.takenUp,
			atOnce: claims.most,
			inWindow: windows.most,
			violations: [
				...remaining === 0 ? [] : [`${remaining} tasks are left`],
				...ids.filter((id) => !ended.has(id)).map((id) => `${id} was never run to its end`),
				...claims.violations,
				...runs.violations,
				...windows.violations,
			],
			complaints: fleet.complaints,
			duration: performance.now() - since,
		};

		async function add(count: number): Promise<void> {
			const entries = Array.from({ length: count }, () => {
				const id = `${ids.length}`;
				ids.push(id);
				// Half of the tasks wait for a place, and the others for the rate.
				const payload = { key: random.pick(keys), duration: random.chance(0.5) ? 120 * random.next() : 1 };
				return { kind: "call" as const, id, payload };
			});
			await basket.addMany(entries);
		}
	});
}

/** The processes whose functions have begun and not ended. */
function busyIn(lines: readonly (Line & { readonly pid: number })[]): number[] {
	const ended = new Set(lines.filter(({ event }) => event === "end").map(({ token }) => token));
	return lines.filter(({ event, token }) => event === "begin" && !ended.has(token)).map(({ pid }) => pid);
}

/**
 * Counts the tasks of each key that have begun and not ended. Another claim of a task takes the place of the last one,
 * and ends its function: the process is dead, or has aborted it.
 */
function held(lines: readonly Line[], begin: Line["event"], end: Line["event"]) {
	const newest = new Map<string, Line>();
	const holders = new Map(keys.map((key) => [key, new Map<string, string>()]));
	const violations: string[] = [];
	let [most, takenUp] = [0, 0];
	for (const line of lines) {
		const { event, id, token, key, at } = line;
		const before = newest.get(id);
		if (event === begin) {
			if (before !== undefined && before.at > at) continue; // written late, by a process that was slow
			newest.set(id, line);
			const holding = holders.get(key!);
			if (holding === undefined) violations.push(`${id} has the key ${key}`);
			if (holding?.has(id)) takenUp++;
			holding?.set(id, token);
			most = Math.max(most, holding?.size ?? 0);
			if (holding!.size > atOnce) violations.push(`${begin} of ${id} at ${at}: ${key} has ${[...holding!.keys()]}`);
		} else if (event === "claim" || before?.token === token && event === end) {
			holders.get(before?.key ?? "")?.delete(id);
		}
	}
	return { most, takenUp, violations };
}

/** Counts the starts in each window that begins with a start. Released claims are no starts. */
function windowsOf(lines: readonly Line[]) {
	const released = new Set(lines.filter(({ isReleased }) => isReleased).map(({ token }) => token));
	const claims = lines.filter(({ event, token }) => event === "claim" && !released.has(token));
	const violations: string[] = [];
	let inWindow = 0;
	for (const key of keys) {
		const starts = claims.filter((line) => line.key === key).sort((a, b) => a.at - b.at);
		for (const [index, { at }] of starts.entries()) {
			const count = starts.slice(index).filter(({ until }) => until! < at + rate.per).length;
			inWindow = Math.max(inWindow, count);
			if (count > most) violations.push(`${count} starts of ${key} in the ${rate.per} ms from ${at}`);
		}
	}
	return { most: inWindow, violations };
}
