// The functions of simulated tasks, which behave in all possible ways, well or badly.
import type { BasketContext, BatchContext, BatchTask, TaskMap } from "../../mod.ts";
import type { KindLimit, LaneRun } from "../../src/store.ts";
import type { ClaimRecord } from "./ledger.ts";
import type { BasketProcess } from "./basket-process.ts";
import type { BasketWorld } from "./basket-world.ts";
import type { Random } from "./random.ts";
import { untilAborted } from "../support.ts";
import { transact } from "./transact.ts";
import { batch, later, type Limit, limit, retryAfter, retryNow, sleep, stopNow } from "../../mod.ts";

export interface Payload {
	/** The number of the payload, which identifies its add. */
	readonly n: number;
	/** The key of its limit. */
	readonly key: string;
	/** The number of changes by runs. */
	changes: number;
	/** Whether the codec of the kind `strange` cannot decode the payload. */
	isBroken?: boolean;
}

/** The rules of a kind. */
export interface KindRules {
	readonly attempts: number;
	readonly crashes: number;
	/** Whether a run may be abandoned while its function continues. */
	readonly isAbandoned: boolean;
	/** Whether results are kept. */
	readonly hasResult: boolean;
}

const usual: KindRules = { attempts: Infinity, crashes: 10, isAbandoned: false, hasResult: false };

export const rules: Readonly<Record<string, KindRules>> = {
	endless: usual,
	thrice: { ...usual, attempts: 3 },
	once: { ...usual, attempts: 1 },
	timed: { ...usual, attempts: 4, isAbandoned: true },
	kept: { ...usual, hasResult: true },
	buried: { ...usual, attempts: 2 },
	fragile: { ...usual, crashes: 3 },
	strange: usual,
	transacted: usual,
	gathered: usual,
	narrow: usual,
	slow: usual,
	batched: usual,
	laned: usual,
};

/** The runs of lanes that processes claim. */
export const laneRuns: readonly LaneRun[] = [{ kind: "laned", most: 4 }];

/** The kinds whose tasks share calls. */
export const sharedKinds: readonly string[] = ["batched", "laned"];

export const kinds = Object.keys(rules) as (keyof ReturnType<typeof makeTasks>)[];

/** The kinds whose payloads are not collected. */
export const plainKinds = kinds.filter((kind) => kind !== "gathered");

/** The limits of the kinds `narrow` and `slow` in a process: those of its deploy. */
export interface Limits {
	readonly narrow: Limit<Payload>;
	readonly slow: Limit<Payload>;
}

/**
 * Returns the limits of a new deploy, with the same keys as all others: what a store does with a crashed task whose key
 * has changed cannot be seen from outside.
 */
export function makeLimits(random: Random): Limits {
	const key = ({ key }: Payload) => key;
	const atOnce = random.pick([1, 2]);
	const rate = { tasks: random.pick([3, 7]), per: random.pick([1_000, 20_000]), burst: random.pick([1, 2, 5]) };
	return {
		narrow: limit({ key, atOnce }),
		slow: limit(random.chance(0.5) ? { rate } : { rate, atOnce: 3 }),
	};
}

/** Returns what a turn says of these limits. */
export function limitsOf(limits: Limits): KindLimit[] {
	return Object.entries(limits).map(([kind, { bounds }]: [string, Limit<Payload>]) => ({ kind, ...bounds }));
}

/** A call of a function. */
export interface Run {
	readonly process: BasketProcess;
	readonly session: number;
	/** The claim under which the run began. */
	readonly record: ClaimRecord;
	/** The claim under which the run continues. */
	current: ClaimRecord;
	/** The number of the attempt. */
	readonly attempt: number;
	readonly context: BasketContext<Payload>;
	readonly payload: Payload;
	/** The call that the task shares with others. */
	readonly call: object;
	/** The payload of the last save that the store must have. */
	saved: string;
	/** Whether the last save is stored. */
	isSaved: boolean;
	isActive: boolean;
	/** Whether the outcome is stored. */
	isSettled: boolean;
	/** A run is given back if one before it in its call has not succeeded. */
	outcome: "succeeded" | "failed" | "put off" | "given back" | undefined;
	/** The time by which the run has put its task off. */
	putOff: number | undefined;
	/** Whether the run has requested that no other attempt follows. */
	isFinal: boolean;
	/** Whether a transaction that completes the task was committed. */
	isCommitted: boolean;
	/** The monotonic time of the end. */
	endedAt: number;
	/** Whether the run ended during a stop of its process. */
	endedInStop: boolean;
}

// deno-lint-ignore explicit-function-return-type -- the return type is inferred from the map of kinds
export function makeTasks(world: BasketWorld, process: BasketProcess, limits: Limits) {
	const run = (payload: Payload, context: BasketContext<Payload>) => perform(world, process, payload, context);
	return {
		endless: run,
		thrice: { run, attempts: 3, backoff: 500 },
		once: { run, attempts: 1 },
		timed: { run, attempts: 4, timeout: 3_000, abandonAfter: 1_000 },
		kept: { run, retain: 20_000 },
		buried: { run, attempts: 2, backoff: 500, retainDead: 20_000 },
		fragile: { run, crashes: 3 },
		strange: { run, codec: slowCodec },
		transacted: { run },
		batched: batch({ most: 3 }, (tasks: readonly BatchTask<Payload>[], context) => {
			return performAll(world, process, tasks, context);
		}),
		laned: batch({ most: laneRuns[0]!.most, by: "lane" }, (tasks: readonly BatchTask<Payload>[], context) => {
			return performInOrder(world, process, tasks, context);
		}),
		// The world knows by the claim that this is an array.
		gathered: (items: Payload[], context: BasketContext<Payload[]>) => run(items as never, context as never),
		narrow: { run, limit: limits.narrow },
		slow: { run, limit: limits.slow },
	} satisfies TaskMap;
}

const slowCodec = {
	encode: async (payload: unknown) => JSON.stringify(payload),
	async decode(data: string | Uint8Array) {
		const payload = JSON.parse(data as string) as Payload;
		if (payload.isBroken) throw new Error("broken");
		return payload;
	},
};

type Behaviour = keyof BasketWorld["profile"]["behaviours"];

function perform(
	world: BasketWorld,
	process: BasketProcess,
	payload: Payload,
	context: BasketContext<Payload>,
	run?: Run,
): unknown {
	if (!process.isAlive) return new Promise(() => {});
	run ??= world.begin(process, payload, context, {});
	if (context.kind === "transacted" && world.ledger.transactions !== undefined) {
		return transact(world, process, run).then(
			() => end(world, run, run.isCommitted),
			(error) => {
				end(world, run, run.isCommitted);
				throw error;
			},
		);
	}
	const behaviour: Behaviour = world.isCalm ? "return" : world.random.weighted(world.profile.behaviours);
	world.trace(
		`${process.name} begins ${context.id} attempt ${context.attempt} crashes ${context.crashes}: ${behaviour}`,
	);
	const isShared = sharedKinds.includes(context.kind);
	if (behaviour === "return" || behaviour === "throw") {
		if (behaviour === "throw" || !isShared) end(world, run, behaviour === "return");
		if (behaviour === "throw") throw failure();
		return resultOf(run);
	}
	return behave(world, process, run, behaviour).then(
		() => {
			if (!isShared) end(world, run, true);
			return resultOf(run);
		},
		(error) => {
			end(world, run, false);
			throw error;
		},
	);
}

/** A call for several tasks: those that fail do so at once, and the others succeed when the last one has ended. */
async function performAll(
	world: BasketWorld,
	process: BasketProcess,
	tasks: readonly BatchTask<Payload>[],
	{ fail }: BatchContext,
): Promise<void> {
	const call = {};
	// All have begun before one of them stops the basket.
	const runs = process.isAlive ? tasks.map((task) => world.begin(process, task.payload, task, call)) : [];
	await Promise.all(tasks.map(async (task, index) => {
		try {
			await perform(world, process, task.payload, task, runs[index]);
		} catch (error) {
			fail(task.id, error);
		}
	}));
	for (const run of world.runs.values()) if (run.call === call && run.isActive) end(world, run, true);
}

/** A call for the tasks of a lane: the first one that fails ends it, or makes it throw if none has succeeded. */
async function performInOrder(
	world: BasketWorld,
	process: BasketProcess,
	tasks: readonly BatchTask<Payload>[],
	{ fail }: BatchContext,
): Promise<void> {
	const call = {};
	const runs = process.isAlive ? tasks.map((task) => world.begin(process, task.payload, task, call)) : [];
	for (const [index, task] of tasks.entries()) {
		try {
			await perform(world, process, task.payload, task, runs[index]);
		} catch (error) {
			for (const run of runs.slice(index + 1)) end(world, run, false, true);
			if (index === 0 && !task.signal.aborted && world.random.chance(0.5)) throw error;
			fail(task.id, error);
			break;
		}
	}
	for (const run of runs) if (run.isActive) end(world, run, true);
}

/** The result of a run, which no other run has. */
export function resultOf({ record }: Run): unknown {
	return { claim: record.number };
}

function end(world: BasketWorld, run: Run, isSuccess: boolean, isGivenBack = false): void {
	if (!run.process.isAlive) return;
	run.isActive = false;
	run.outcome = isSuccess ? "succeeded" : run.putOff === undefined ? "failed" : "put off";
	if (isGivenBack) run.outcome = "given back";
	run.endedAt = world.clock.monotonic();
	run.endedInStop = run.context.signal.aborted;
	world.onEnd(run);
	world.trace(`${run.process.name} ends ${run.context.id}: ${run.outcome}`);
}

async function behave(world: BasketWorld, process: BasketProcess, run: Run, behaviour: Behaviour): Promise<void> {
	const { random } = world;
	const { context, payload } = run;
	const clock = process.taskClock;
	const wait = (delay: number) => sleep(delay, { clock });
	const politely = (delay: number) => sleep(delay, { clock, signal: context.signal });
	const delay = random.pick([0, 10, 500, 2_000, 8_000, 20_000]);
	switch (behaviour) {
		case "succeed":
			return await wait(delay);
		case "fail":
			await wait(delay);
			throw failure();
		case "succeed politely":
			return await politely(delay);
		case "fail politely":
			await politely(delay);
			throw failure();
		case "change and fail":
			payload.changes++;
			await politely(delay);
			payload.changes++;
			throw failure();
		case "save": {
			payload.changes++;
			run.isSaved = false;
			await context.save(payload);
			if (!run.isSaved) world.fail(`${process.name} tells that ${context.id} is saved, which is not stored`);
			run.saved = JSON.stringify(payload);
			await politely(delay);
			if (random.chance(0.5)) throw failure();
			return;
		}
		case "report":
			context.report(random.below(100));
			await politely(delay);
			context.report(random.below(100), "some");
			return await politely(delay);
		case "hang politely":
			return await Promise.race([untilAborted(context.signal), world.hang(process)]);
		case "hang":
			return await world.hang(process);
		case "give up":
			run.isFinal = true;
			throw stopNow(failure());
		case "retry after":
			throw retryAfter(delay, failure());
		case "retry now":
			throw retryNow(failure());
		case "put off":
			if (random.chance(0.5)) payload.changes++;
			run.putOff = delay;
			// For kinds without a limit, this concerns the task alone.
			throw later(delay, "not now", { limit: random.chance(0.5) });
		case "add": {
			await process.basket.add("endless", world.payload());
			return;
		}
		case "stop":
			process.stop(true);
			return await politely(delay);
		case "die":
			process.kill();
			return await new Promise(() => {});
	}
}

function failure(): Error {
	return new Error("failed");
}
