// Processes that run the tasks of one basket and are killed at random times, with the laws that must hold when all
// tasks are done.
import { sleep, StoreError } from "../../mod.ts";
import { type Line, readLog, type Work } from "./basket.ts";
import type { DatabaseName, Effect } from "./database.ts";
import { type Kill, type Shared, withShared } from "./fleet.ts";

export interface StormOptions {
	readonly database: DatabaseName;
	/** The number of processes to kill, one after the other. */
	readonly kills: number;
	/** The number of times that the server is killed with all of its processes, and restarted. @default 0 */
	readonly crashes?: number;
	/** The average interval between two kills, in milliseconds. @default 150 */
	readonly interval?: number;
	/** The number of concurrent processes. @default 3 */
	readonly workers?: number;
	/** The lease of claims, in milliseconds. @default 1_000 */
	readonly lease?: number;
	/** The same seed leads to the same choices, but not to the same times. */
	readonly seed: number;
	/** The time limit after the last kill, in milliseconds. @default 60_000 */
	readonly limit?: number;
}

export interface StormReport {
	readonly kills: number;
	/** The number of times that the server was killed. */
	readonly crashes: number;
	/** The number of added tasks, including those that tasks added. */
	readonly tasks: number;
	/** The number of runs. */
	readonly runs: number;
	/** The number of runs that a kill has ended. */
	readonly interrupted: number;
	/** The time from each of these kills to the next run of the task, in milliseconds, in ascending order. */
	readonly recoveries: readonly number[];
	/** Violated laws. */
	readonly violations: readonly string[];
	/** Reported errors of the processes: claims that were lost because the machine was too slow for the lease. */
	readonly complaints: readonly string[];
	/** The total duration in milliseconds. */
	readonly duration: number;
}

/** The number of tasks that are added with each kill, and the number of lanes. */
const perKill = 16;
const lanes = 3;

/** Resolves when all tasks are done and all processes have ended. */
export function killAtRandom(options: StormOptions): Promise<StormReport> {
	const { database, lease = 1_000 } = options;
	return withShared(database, lease, (shared) => new Storm(options, shared).run());
}

class Storm {
	readonly #options: StormOptions;
	readonly #shared: Shared;
	readonly #random: () => number;
	/** The ids of the tasks that write their effects in transactions, and those of the other tasks. */
	readonly #exact: string[] = [];
	readonly #loose: string[] = [];
	readonly #since: number = performance.now();
	#crashes = 0;

	constructor(options: StormOptions, shared: Shared) {
		this.#options = options;
		this.#shared = shared;
		this.#random = randomFrom(options.seed);
	}

	async run(): Promise<StormReport> {
		const { kills, interval = 150, workers = 3 } = this.#options;
		const { fleet, log, database } = this.#shared;
		await this.#add(3 * perKill);
		for (let index = 0; index < workers; index++) fleet.start();
		for (let index = 0; index < kills; index++) {
			await fleet.oneReady();
			await sleep(2 * interval * this.#random());
			const { pids } = fleet;
			await fleet.kill(pids[Math.floor(pids.length * this.#random())]!);
			fleet.start();
			const crash = this.#crashAfter(index);
			await this.#add(perKill);
			await crash;
		}
		const left = await this.#finish();
		const lines = readLog(log);
		const forgotten = await persist(() => this.#forgotten(lines));
		return this.#report(left, lines, await persist(() => database.effects()), forgotten);
	}

	/** Crashes the server after some of the kills, at even intervals. */
	async #crashAfter(kill: number): Promise<void> {
		const { kills, crashes = 0 } = this.#options;
		if (Math.floor((kill + 1) * crashes / kills) === this.#crashes) return;
		this.#crashes++;
		const { server } = this.#shared;
		await server!.crash();
		await sleep(200 * this.#random());
		await server!.start();
	}

	/** Adds tasks. A third of the tasks of each kind has no lane. */
	async #add(count: number): Promise<void> {
		const entries = Array.from({ length: count }, () => {
			const isExact = this.#random() < 0.75;
			const all = isExact ? this.#exact : this.#loose;
			const id = `${isExact ? "exact" : "loose"}-${all.length}`;
			const lane = `lane-${Math.floor(this.#random() * lanes * 1.5)}`;
			const work: Work = {
				place: all.push(id),
				duration: 60 * this.#random() ** 2,
				failure: this.#random() < 0.2 ? 0.5 : 0,
			};
			const options = lane < `lane-${lanes}` ? { lane } : {};
			return { kind: isExact ? "exact" as const : "loose" as const, payload: work, id, meta: { id }, ...options };
		});
		await persist(() => this.#shared.basket.addMany(entries));
	}

	/** Waits until no task is left. Returns the remaining tasks if this takes too long. */
	async #finish(): Promise<string[]> {
		const { basket, fleet } = this.#shared;
		const until = performance.now() + (this.#options.limit ?? 60_000);
		for (;;) {
			const { waiting, running, held, dead } = await persist(() => basket.counts());
			if (waiting + running + held + dead === 0) return [];
			if (dead > 0 || performance.now() > until) {
				const left = [];
				for await (const { id, state, attempts, crashes, error } of basket.list({ limit: 20 })) {
					left.push(`${id} is ${state} after ${attempts} attempts and ${crashes} crashes: ${error?.message}`);
				}
				return left;
			}
			await fleet.oneReady();
			await sleep(20);
		}
	}

	/** Runs that a kill has ended, and which the history of their task does not have. */
	async #forgotten(lines: readonly Line[]): Promise<string[]> {
		const { basket, fleet } = this.#shared;
		const { lease = 1_000 } = this.#options;
		const found: string[] = [];
		const interruptions = interruptionsOf(fleet.kills, lines);
		for await (const { id, history: { attempts } } of basket.list({ state: "done" })) {
			const isWhole = attempts.length < 10;
			for (const { begun, at } of interruptions.filter((one) => one.begun.id === id)) {
				// Of several in a row that never ended, only the last one is kept: perhaps one that never began to run.
				const isKept = attempts.some(({ worker, startedAt, endedAt }) =>
					worker === String(begun.pid) || endedAt === undefined && startedAt >= begun.at
				);
				// A slow process may have given it back before it was killed.
				const hadIt = at - begun.at < lease / 2;
				if (isWhole && hadIt && !isKept) {
					found.push(`${id} has forgotten ${begun.pid} of ${begun.at}: ${JSON.stringify(attempts)}`);
				}
			}
		}
		return found;
	}

	#report(left: string[], lines: Line[], effects: Effect[], forgotten: string[]): StormReport {
		const { kills, complaints } = this.#shared.fleet;
		const exact = this.#exact.flatMap((id) => [id, `${id}/2`]);
		const interruptions = interruptionsOf(kills, lines);
		const recoveries = interruptions.map(({ at, next }) => next.at - at).sort((a, b) => a - b);
		return {
			kills: kills.length,
			crashes: this.#crashes,
			tasks: exact.length + this.#loose.length,
			runs: lines.filter(({ event }) => event === "begin").length,
			interrupted: recoveries.length,
			recoveries,
			violations: [
				...left,
				...differences(exact, effects),
				...disorder(effects),
				...missing(this.#loose, lines),
				...forgotten,
			],
			complaints,
			duration: performance.now() - this.#since,
		};
	}
}

/** Retries while the server is down. The tasks have ids, so that a repeated add has no effect. */
async function persist<T>(call: () => Promise<T>): Promise<T> {
	for (;;) {
		try {
			return await call();
		} catch (error) {
			if (!isAway(error)) throw error;
			await sleep(20);
		}
	}
}

/** Whether the server is down. Errors that come directly from the drivers have a code of the server or of the system. */
function isAway(error: unknown): boolean {
	if (error instanceof StoreError) return error.isTransient;
	return /^(57P|08|E|CONNECTION)/.test(String((error as { code?: unknown }).code)) || /terminated/.test(String(error));
}

function differences(ids: readonly string[], effects: readonly Effect[]): string[] {
	const times = new Map(ids.map((id) => [id, 0]));
	for (const { id } of effects) times.set(id, (times.get(id) ?? NaN) + 1);
	return [...times].filter(([, count]) => count !== 1).map(([id, count]) =>
		`the effect of ${id} is there ${count} times`
	);
}

/** Checks that the effects of each lane have the order of their tasks. */
function disorder(effects: readonly Effect[]): string[] {
	const last = new Map<string, Effect>();
	return effects.filter(({ lane }) => lane !== "").flatMap((effect) => {
		const before = last.get(effect.lane);
		last.set(effect.lane, effect);
		return before !== undefined && before.place > effect.place ? [`${effect.id} is behind ${before.id}`] : [];
	});
}

function missing(ids: readonly string[], lines: readonly Line[]): string[] {
	const ended = new Set(lines.filter(({ event }) => event === "end").map(({ id }) => id));
	return ids.filter((id) => !ended.has(id)).map((id) => `${id} was never run to its end`);
}

/** A run that a kill has ended: its beginning, the time of the kill, and the beginning of the next run of its task. */
interface Interruption {
	readonly begun: Line;
	readonly at: number;
	readonly next: Line;
}

function interruptionsOf(kills: readonly Kill[], lines: readonly Line[]): Interruption[] {
	const killedAt = new Map(kills.map(({ pid, at }) => [pid, at]));
	const last = new Map<string, Line>();
	return lines.flatMap((next) => {
		const begun = last.get(next.id);
		last.set(next.id, next);
		const at = begun?.event === "begin" && begun.pid !== next.pid ? killedAt.get(begun.pid) : undefined;
		return begun !== undefined && at !== undefined && next.at >= at ? [{ begun, at, next }] : [];
	});
}

/** Returns a generator of numbers from 0 to 1, which depend only on the seed. */
function randomFrom(seed: number): () => number {
	let state = seed;
	return () => {
		state = state + 0x6d2b79f5 | 0;
		let mixed = Math.imul(state ^ state >>> 15, 1 | state);
		mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed;
		return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
	};
}
