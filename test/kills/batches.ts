// Processes that run tasks in batches and are killed at random times. Some tasks kill each process that runs them.
import { Basket, batch, type BatchContext, type BatchTask, sleep } from "../../mod.ts";
import { Random } from "../simulation/random.ts";
import type { Database, DatabaseName, Effect } from "./database.ts";
import { withFleet } from "./fleet.ts";
import { Journal } from "./journal.ts";
import { stir, type UnrestOptions } from "./unrest.ts";

const most = 20;
/** The number of crashes after which a task is dead. */
const crashes = 6;
/** The number of tasks that are added with each kill, the lanes of the half that is in lanes, and the tasks that kill their processes. */
const perKill = 60;
const lanes = 3;
const poisons = 2;

interface Work {
	readonly place: number;
	readonly isPoison: boolean;
}

/** A call begins, or waits to be killed, or has committed the ends of its tasks; or a task of it has lost its claim. */
interface Line {
	readonly event: "begin" | "stuck" | "lost" | "end";
	/** The ids of its tasks, each with its number of crashes. */
	readonly tasks: readonly (readonly [id: string, crashes: number])[];
}
type CallLine = Line & { readonly pid: number };

export interface BatchReport {
	readonly kills: number;
	/** The number of kills by tasks. */
	readonly stuck: number;
	readonly tasks: number;
	readonly calls: number;
	/** The most tasks of a call. */
	readonly most: number;
	/** The same of one lane. */
	readonly mostOfLane: number;
	/** The number of tasks that crashed and ran again. */
	readonly interrupted: number;
	/** Violated laws. */
	readonly violations: readonly string[];
	/** Reported errors of the processes. */
	readonly complaints: readonly string[];
	/** The total duration in milliseconds. */
	readonly duration: number;
}

function makeBasket(database: Database, journal: Journal<Line>, lease: number) {
	const run = async (tasks: readonly BatchTask<Work, unknown>[], { fail, signal }: BatchContext) => {
		const line = { tasks: tasks.map(({ id, crashes }) => [id, crashes] as const) };
		journal.write({ event: "begin", ...line });
		if (tasks.some(({ payload }) => payload.isPoison)) {
			journal.write({ event: "stuck", ...line });
			for (const { id, crashes, signal } of tasks) {
				signal.addEventListener("abort", () => journal.write({ event: "lost", tasks: [[id, crashes]] }));
			}
			await new Promise(() => {});
		}
		await sleep(30 * Math.random(), { signal });
		const failed = tasks.filter(() => Math.random() < 0.02);
		for (const { id } of failed) fail(id, new Error("as it was told"));
		// In a lane, nothing is done behind a failure.
		const end = tasks[0]!.lane === undefined || failed.length === 0 ? Infinity : tasks.indexOf(failed[0]!);
		const others = tasks.slice(0, end).filter((task) => !failed.includes(task));
		if (others.length === 0) return journal.write({ event: "end", ...line });
		const effects = others.map(({ id, lane = "", payload }): Effect => ({ id, lane, place: payload.place }));
		await database.apply(effects, async (tx) => {
			for (const { complete } of others) await complete(tx);
		});
		journal.write({ event: "end", ...line });
	};
	return new Basket({
		store: database.store,
		lease,
		crashes,
		concurrency: 2,
		backoff: { start: 20, max: 100 },
		onError: (error) => console.error(error),
		tasks: { send: batch({ most, wait: 10 }, run), push: batch({ most, by: "lane" }, run) },
	});
}

/** Works off the tasks. */
export async function work(database: Database, log: string, lease: number, onReady: () => void): Promise<void> {
	const basket = makeBasket(database, new Journal<Line>(log), lease);
	await basket.open();
	onReady();
	await basket.run();
}

/** Resolves when all tasks are done or dead, or at the time limit. */
export function killBatches(
	name: DatabaseName,
	options: UnrestOptions,
	seed: number,
	lease = 1_000,
): Promise<BatchReport> {
	const since = performance.now();
	return withFleet(name, lease, ["storm-worker.ts", "batches"], async (fleet, database, log) => {
		const random = new Random(seed);
		const journal = new Journal<Line>(log);
		const basket = makeBasket(database, journal, lease);
		const poisonous = Array.from({ length: poisons }, (_, index) => `poison-${index}`);
		const ids: string[] = [];
		await add(5 * perKill);
		const entries = poisonous.map((id) => ({ kind: "send" as const, id, payload: { place: 0, isPoison: true } }));
		await basket.addMany(entries);
		const left = async () => {
			const { waiting, running, held } = await basket.counts();
			return waiting + running + held;
		};
		await stir(fleet, options, {
			random,
			onKill: () => add(perKill),
			marked: () => journal.read().filter(({ event }) => event === "stuck").map(({ pid }) => pid),
			isOver: async () => await left() === 0,
		});
		const remaining = await left();
		const dead: string[] = [];
		for await (const { id } of basket.list({ state: "dead" })) dead.push(id);
		const lines = journal.read();
		const begins = lines.filter(({ event }) => event === "begin");
		const counts = new Map(ids.map((id) => [id, 0]));
		const effects = await database.effects();
		for (const { id } of effects) counts.set(id, (counts.get(id) ?? NaN) + 1);
		const killed = new Set(fleet.kills.map(({ pid }) => pid));
		return {
			kills: killed.size,
			stuck: lines.filter(({ event }) => event === "stuck").length,
			tasks: ids.length,
			calls: begins.length,
			most: Math.max(...begins.map(({ tasks }) => tasks.length)),
			mostOfLane: Math.max(...begins.map(({ tasks }) => tasks.filter(([id]) => id.startsWith("lane")).length)),
			interrupted: begins.flatMap(({ tasks }) => tasks).filter(([, crashes]) => crashes > 0).length,
			violations: [
				...remaining === 0 ? [] : [`${remaining} tasks are left`],
				...[...counts].filter(([, count]) => count !== 1).map(([id, count]) => `${id} was done ${count} times`),
				...dead.sort().join() === poisonous.join() ? [] : [`dead are ${dead}`],
				...violationsOf(begins, killed, lines.filter(({ event }) => event === "lost")),
				...disorderOf(effects),
			],
			complaints: fleet.complaints,
			duration: performance.now() - since,
		};

		async function add(count: number): Promise<void> {
			const entries = Array.from({ length: count }, () => {
				const place = ids.length;
				const isInLane = place % 2 > 0;
				const id = `${isInLane ? "lane" : "task"}-${place}`;
				ids.push(id);
				const payload = { place, isPoison: false };
				if (!isInLane) return { kind: "send" as const, id, payload };
				return { kind: "push" as const, id, payload, lane: `${place % lanes}` };
			});
			await basket.addMany(entries);
		}
	});
}

function violationsOf(
	begins: readonly CallLine[],
	killed: ReadonlySet<number>,
	lost: readonly CallLine[],
): string[] {
	// A slow process gives its tasks back before it is killed: then they have not crashed.
	const given = new Set(lost.map(({ pid, tasks }) => `${pid} ${tasks[0]![0]}`));
	const last = new Map<string, { readonly pid: number; readonly crashes: number }>();
	return begins.flatMap(({ tasks, pid }) => {
		const violations = tasks.length > most ? [`a call has ${tasks.length} tasks`] : [];
		for (const [id, count] of tasks) {
			const before = last.get(id);
			last.set(id, { pid, crashes: count });
			if (count > 1 && tasks.length > 1) violations.push(`${id} with ${count} crashes runs with others`);
			const isKilled = before !== undefined && before.pid !== pid && killed.has(before.pid) &&
				!given.has(`${before.pid} ${id}`);
			// A failure before the kill begins the count anew.
			if (isKilled && id.startsWith("poison") && count <= before.crashes) {
				violations.push(`a crash of ${id} was not counted: ${before.crashes}, then ${count}`);
			}
		}
		return violations;
	});
}

function disorderOf(effects: readonly Effect[]): string[] {
	const last = new Map<string, Effect>();
	return effects.filter(({ lane }) => lane !== "").flatMap((effect) => {
		const before = last.get(effect.lane);
		last.set(effect.lane, effect);
		return before !== undefined && before.place > effect.place ? [`${effect.id} is done after ${before.id}`] : [];
	});
}
