/**
 * The options of a basket, and their checks.
 *
 * @module
 */

import { type Observing, observingOf } from "./observing.ts";
import type { Batches, Batching } from "./batches.ts";
import type { Codec } from "./codec.ts";
import type { BasketContext } from "./context.ts";
import type { JobClaim } from "./job-claim.ts";
import type { Store } from "./store.ts";
import { batchesOf } from "./batches.ts";
import { jsonCodec, masked } from "./codec.ts";
import { type Ending, endingWith } from "./ending.ts";
import { prefix, type Recurring, ruleOf } from "./schedules.ts";
import { type ContextOwner, UserContext } from "./user-context.ts";
import type { Limit, LimitBounds } from "../limit/limit.ts";
import type { Recurrence } from "../schedule/schedule.ts";
import type { Recurs, Schedules } from "../schedule/ticks.ts";
import { checkBackoff } from "../run/backoff.ts";
import { checkRunnerOptions, defaultSettings, type RunnerOptions, type RunnerSettings } from "../run/options.ts";
import type { TaskContext } from "../run/task.ts";
import { check, checkCount, checkDelay, checkFunction, checkLimit, checkMethods, refuse } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import { checkName } from "../platform/name.ts";
import type { OnError } from "../platform/observe.ts";
import type { Subscribable } from "../platform/snapshot.ts";
import { checkSchema, type StandardSchema } from "../platform/standard-schema.ts";

/**
 * Does the work of one kind of task. If it returns, the task has succeeded; if it throws, the task is retried. It may
 * run more than once for one task, because a process can die after the work and before the completion is stored.
 */
export type TaskFunction<P, Tx = never> = (payload: P, context: BasketContext<P, Tx>) => unknown;

/** A kind of task with options. Absent options come from the basket. */
export interface TaskDefinition<P, Tx = never> extends RunnerOptions, Omit<Recurring, "every"> {
	/** Does the work. */
	run: TaskFunction<P, Tx>;
	/**
	 * Any Standard Schema validator. It validates each payload when it is added, and `add` rejects an invalid one. It
	 * validates the stored payload again before each run, so it must accept its own output. A stored task that is
	 * invalid becomes dead.
	 */
	schema?: StandardSchema<P, unknown> | undefined;
	/** See {@link BasketOptions.codec}. */
	codec?: Codec | undefined;
	/** See {@link BasketOptions.crashes}. */
	crashes?: number | undefined;
	/** See {@link BasketOptions.retain}. */
	retain?: number | undefined;
	/** See {@link BasketOptions.retainDead}. */
	retainDead?: number | undefined;
	/**
	 * How many tasks run at once, and begin in a time, in all processes: `limit({ key, atOnce, rate })`. A task that waits
	 * for its limit is not due: `drain` leaves it. @default no limit
	 */
	limit?: Limit<P> | undefined;
	/**
	 * The function runs at the instants of this schedule, with the payload `undefined`. When `run` or `drain` begins, the
	 * schedule is stored under the name of the kind; a changed one moves the next tick, and an unchanged one leaves it. A
	 * process whose definition has no schedule leaves such ticks to others.
	 */
	every?: Recurrence | undefined;
	/**
	 * Functions that read the texts of stored schedules, such as `cron` and `every`, or throw. A process that was given
	 * no schedule with a stored text, and cannot read it, leaves its ticks to others. If the basket was given any
	 * schedule, it reads the texts of intervals. @default []
	 */
	reads?: readonly ((text: string) => Recurrence)[] | undefined;
}

/** Any kinds of tasks, by name. The tasks of a basket extend it. */
// deno-lint-ignore no-explicit-any -- a payload is whatever each function says it takes
export type TaskMap<Tx = any> = { readonly [kind: string]: TaskFunction<any, Tx> | TaskDefinition<any, Tx> };

/**
 * The kinds of tasks in the options of a basket. A `schema` determines the payload type of `run`, and both must
 * agree. If neither a schema nor `run` itself declares the payload type, it is `never`, so it can be neither used nor
 * added.
 *
 * @typeParam Outputs the outputs of the schemas by kind; `unknown` for a kind without a schema
 */
export type TaskEntries<Outputs, Tx> = {
	readonly [K in keyof Outputs]:
		// deno-lint-ignore no-explicit-any -- the function declares its payload
		| ((payload: never, context: BasketContext<any, Tx>) => unknown)
		| TaskEntry<Outputs[K], Tx>;
};

/** A {@link TaskDefinition} that is typed by its schema. */
export interface TaskEntry<Output, Tx> extends Omit<TaskDefinition<Output, Tx>, "run" | "schema" | "limit"> {
	/** See {@link TaskDefinition.run}. */
	run: (
		payload: unknown extends Output ? never : Output,
		// deno-lint-ignore no-explicit-any -- without a schema, the function declares its payload
		context: BasketContext<unknown extends Output ? any : Output, Tx>,
	) => unknown;
	/** See {@link TaskDefinition.schema}. */
	schema?: StandardSchema<Output, unknown> | undefined;
	/** See {@link TaskDefinition.limit}. */
	// deno-lint-ignore no-explicit-any -- without a schema, the function declares its payload
	limit?: Limit<unknown extends Output ? any : Output> | undefined;
}

/**
 * The payload that `add` takes for a kind of task: the input of its schema (or its output, if the input type is not
 * declared), or the payload of its function.
 */
export type PayloadOf<T> = T extends { schema: { "~standard": infer S extends StandardSchema["~standard"] } }
	? "types" extends keyof S ? NonNullable<S["types"]>["input"]
	: T extends { schema: StandardSchema<infer Output, unknown> } ? Output
	: never
	// deno-lint-ignore no-explicit-any -- the arguments behind the payload do not matter
	: T extends (...args: any) => unknown ? Parameters<T>[0]
	// deno-lint-ignore no-explicit-any -- the same
	: T extends { run: (...args: any) => unknown } ? Parameters<T["run"]>[0]
	: never;

/** A source of events at which a retry is worthwhile: `online()` and `visible()` of `upkeep/browser`, or your own. */
export interface WakeHint {
	/** Calls `listener` at each such event, until the returned function is called. */
	readonly subscribe: (listener: () => void) => () => void;
}

/** Options for a `Basket`. The {@link RunnerOptions} are the defaults for all kinds. */
export interface BasketOptions<Tasks, Tx = never, Outputs = unknown> extends RunnerOptions {
	/** The store of the tasks. */
	store: Store<Tx>;
	/** The name, which separates the tasks of this basket from others in the same store. @default "default" */
	name?: string | undefined;
	/**
	 * The functions by kind of task. Stored tasks of other kinds stay untouched. A function must declare the type of
	 * its payload, unless a schema does.
	 */
	tasks: Tasks & TaskEntries<Outputs, Tx>;
	/**
	 * The maximum number of attempts of a task. A task without attempts left becomes dead. With a finite number,
	 * crashed runs count, too, and so do claims for which it is unknown whether the run had begun when the process
	 * died. Therefore tasks with 1 or 2 attempts are claimed one at a time, each when it can begin at once.
	 * @default Infinity
	 */
	attempts?: number | undefined;
	/** The delays between attempts. @default { start: 1_000, factor: 2, max: 3_600_000, jitter: "full" } */
	backoff?: RunnerOptions["backoff"];
	/** The time limit of all attempts and delays together, in milliseconds from the `add`. @default Infinity */
	deadline?: number | undefined;
	/**
	 * The maximum number of tasks that this basket object runs at the same time: a whole number from 1. `limit` in the
	 * definition of a kind holds for all processes. @default 10
	 */
	concurrency?: number | undefined;
	/**
	 * How long a claim is valid after its process has died, in milliseconds. While the task runs, the lease is renewed
	 * after each third of this time. If it cannot be renewed because the store fails, hangs or answers late, the
	 * signal of the task aborts with a `ClaimLostError` when the lease may have expired, and the task is released.
	 *
	 * With a short lease, a process that hangs for that time loses its tasks. With a long lease, the tasks of a dead
	 * process wait longer. A store should answer within a third of the lease; after a failure it is asked again in 0.1 s, then in
	 * twice as long each time, up to 30 s or the lease, whichever is shorter. @default 30_000
	 */
	lease?: number | undefined;
	/**
	 * How long running tasks may continue after an abort, in milliseconds. After that they are left to the next run. A
	 * store that still answers then gets one more second. `abandonAfter` gives up one attempt that ignores its signal;
	 * `grace` bounds the end of the whole run. @default 5_000
	 */
	grace?: number | undefined;
	/**
	 * The number of consecutive crashes after which a task becomes dead: a whole number from 1, or `Infinity`. After
	 * two crashes it runs alone in its process. If other tasks run for long there, nothing is claimed for one second
	 * in ten, so that it can begin; meanwhile it is offered to other processes. @default 10
	 */
	crashes?: number | undefined;
	/**
	 * How long a done task is kept, with its id and its result, in milliseconds; `Infinity`: until it is deleted. The
	 * result is what its function has returned, encoded by the codec. @default 0
	 */
	retain?: number | undefined;
	/** How long a dead task is kept, in milliseconds, more than 0. @default Infinity: until it is retried or deleted */
	retainDead?: number | undefined;
	/** How payloads are encoded. @default jsonCodec */
	codec?: Codec | undefined;
	/**
	 * How many tasks of all kinds run at once, and begin in a time, in all processes that work on the basket: `limit({
	 * atOnce, rate })`, without a `key`. The limits of the kinds hold besides. @default no limit
	 */
	limit?: Limit<never> | undefined;
	/**
	 * Nothing is claimed while this state, or one of several, is `false`: `leader()` of `upkeep/browser`, or your own.
	 * Running tasks continue. If subscribing to it fails, the error is reported, and the state is checked once a minute.
	 */
	gate?: Subscribable<boolean> | readonly Subscribable<boolean>[] | undefined;
	/**
	 * Hints that make tasks in a backoff due at once. Their retries are spread over a second. A delay from
	 * `retryAfter` stays.
	 */
	wake?: WakeHint | readonly WakeHint[] | undefined;
	/**
	 * The name of this worker, which `list` shows with the attempts that it makes: 1 to 100 characters, for instance
	 * `${hostname()}:${pid}`. @default eight random letters and digits
	 */
	worker?: string | undefined;
	/** Called after each run of a task, when its end is stored. Its errors are passed to `onError`. */
	onSettled?: ((settled: TaskSettled) => void) | undefined;
	/**
	 * Called with errors that have no caller: a failure of the store that is retried, a lost claim, an observer that
	 * throws.
	 */
	onError?: OnError | undefined;
	/** The clock to use. The store has its own. @default systemClock */
	clock?: Clock | undefined;
}

/** The end of a run of a task. */
export interface TaskSettled {
	/** The id of the task. */
	readonly id: string;
	/** The kind of the task. */
	readonly kind: string;
	/**
	 * The outcome: done, to be retried, dead, put off by {@link later}, or left to the next run because this one was
	 * aborted.
	 */
	readonly outcome: "done" | "retry" | "dead" | "later" | "released";
	/** The number of the attempt, from 1. */
	readonly attempt: number;
	/** The error, if the run failed. */
	readonly error: unknown;
	/** The delay before the next attempt, in milliseconds; 0 if there is none. */
	readonly delay: number;
}

/** A checked kind of task. */
export interface Kind extends Recurs {
	/** Makes one attempt, for a user's function or for a job. The argument of each is created from the claim. */
	call(payload: unknown, claim: ContextOwner<never> & JobClaim, attempt: TaskContext): unknown;
	/** How the claim ends, if that has returned: a job does not always end with its claim. */
	end(value: unknown): Ending;
	/** Whether the returned value is stored with the done task. */
	readonly hasResult: boolean;
	/** Whether an observer is told of its tasks. A job tells of its steps itself. */
	readonly isObserved?: boolean | undefined;
	/** Whether its tasks are jobs, which keep the attempts of their steps themselves. */
	readonly isJob?: boolean | undefined;
	/** Whether its tasks may be ticks of schedules. */
	readonly mayRecur: boolean;
	/** Present if its function takes several tasks. */
	readonly batch: Batching | undefined;
	/** A job computes its key itself. */
	readonly limit: Pick<Limit<unknown>, "bounds"> & Partial<Limit<unknown>> | undefined;
	readonly schema: StandardSchema | undefined;
	readonly codec: Codec;
	readonly crashes: number;
	readonly retain: number;
	readonly retainDead: number;
	readonly settings: RunnerSettings;
}

/** Checked options, with all defaults filled in. */
export interface BasketSettings<Tx> {
	readonly store: Store<Tx>;
	readonly name: string;
	readonly kinds: ReadonlyMap<string, Kind>;
	readonly batches: Batches | undefined;
	readonly schedules: Schedules;
	readonly concurrency: number;
	readonly limit: LimitBounds | undefined;
	readonly lease: number;
	readonly grace: number;
	readonly gates: readonly Subscribable<boolean>[];
	readonly wake: readonly WakeHint[];
	readonly worker: string;
	/** Present if a kind has an observer. */
	readonly observing: Observing | undefined;
	readonly onSettled: ((settled: TaskSettled) => void) | undefined;
	/** The engine's own: running tasks should come to an end. */
	readonly onFinish?: (() => void) | undefined;
	/** The engine's own: a task is done or dead, and this is stored. */
	readonly onEnd?: ((task: { readonly id: string; readonly kind: string }, ending: Ending) => void) | undefined;
	readonly onError: OnError | undefined;
	readonly clock: Clock;
}

export function checkBasketOptions<Tx>(options: BasketOptions<TaskMap<Tx>, Tx>): BasketSettings<Tx> {
	const { store, name = "default", tasks, concurrency = 10, lease = 30_000, grace = 5_000 } = check(
		"options",
		options,
		"object",
	);
	const { gate = [], wake = [], limit, worker = anyName() } = options;
	check("store.capabilities", checkMethods("store", store, "turn").capabilities, "object");
	if (limit !== undefined && checkMade(limit).isKeyed) {
		refuse("limit", "one with a key", "a limit without a key for a whole basket: only kinds and jobs have keys");
	}
	const clock = checkClock(options.clock);
	const kinds = checkKinds(check("tasks", tasks, "object"), options, clock);
	for (const [name, { codec }] of kinds) {
		if (codec.clones && !store.capabilities.clones) {
			refuse(`tasks.${name}.codec`, codec, "another one, as this store cannot keep cloned values");
		}
	}
	const settings: BasketSettings<Tx> = {
		store,
		name: checkName("name", name),
		kinds,
		batches: batchesOf(kinds),
		schedules: { known: new Map(), ticks: undefined },
		concurrency: checkCount("concurrency", concurrency),
		limit: limit?.bounds,
		lease: check("lease", lease, "number", Number.isFinite(lease) && lease > 0, "more than 0, and finite"),
		grace: checkDelay("grace", grace),
		gates: [gate].flat().map((one) => checkMethods("gate", one, "getSnapshot", "subscribe")),
		wake: [wake].flat().map((hint) => checkMethods("wake", hint, "subscribe")),
		worker: check("worker", worker, "string", worker.length > 0 && worker.length <= 100, "1 to 100 characters"),
		observing: observingOf(kinds),
		onSettled: checkFunction("onSettled", options.onSettled),
		onError: checkFunction("onError", options.onError),
		clock,
	};
	return { ...settings, kinds: settings.observing?.kinds(kinds, settings) ?? kinds };
}

function anyName(): string {
	return crypto.getRandomValues(new Uint32Array(2)).reduce((text, part) => text + part.toString(36), "").slice(0, 8);
}

/** The options that kinds and baskets have in common. */
type KindOptions = Omit<TaskDefinition<unknown>, "run" | "schema" | "limit" | "reads" | keyof Recurring>;

function checkKinds(tasks: TaskMap, options: KindOptions, clock: Clock): Map<string, Kind> {
	const backoff = checkBackoff({ start: 1_000, factor: 2, max: 3_600_000, jitter: "full" });
	const { codec = jsonCodec } = options;
	const least = { codec, crashes: 10, retain: 0, retainDead: Infinity };
	const settings = { ...defaultSettings, attempts: Infinity, backoff, clock };
	const basket = { ...options, run: () => {}, schema: undefined, limit: undefined, every: undefined, reads: undefined };
	// The codec is masked once.
	const defaults = { ...checkKind(basket, { ...least, settings }), codec };
	return new Map(
		Object.entries(tasks).map(([name, task]) => {
			checkName("kind", name);
			const definition = typeof task === "function" ? { run: task } : check(`tasks.${name}`, task, "object");
			if (definition.every !== undefined) checkName("kind", prefix + name);
			return [name, checkKind(definition, defaults)];
		}),
	);
}

function checkKind(
	// deno-lint-ignore no-explicit-any -- of any kind
	definition: TaskDefinition<any, any>,
	defaults: Pick<Kind, "codec" | "crashes" | "retain" | "retainDead" | "settings">,
): Kind {
	const { run, schema, codec = defaults.codec, crashes = defaults.crashes, retain = defaults.retain } = definition;
	const { retainDead = defaults.retainDead, limit, every, missed, spread, overlap, reads = [] } = definition;
	const isScheduled = [every, missed, spread, overlap].some((one) => one !== undefined);
	check("run", run, "function");
	checkSchema(schema);
	check("reads", reads, "object", Array.isArray(reads), "an array of functions");
	for (const read of reads) check("reads", read, "function");
	return {
		call: (payload, claim, attempt) => (claim.sharedRun ?? run)(payload, new UserContext<unknown>(claim, attempt)),
		end: (value) => ({ ...endingWith({ type: "done", retain }), value }),
		hasResult: checkDelay("retain", retain) > 0,
		mayRecur: true,
		batch: (run as { upkeepBatch?: Batching }).upkeepBatch,
		limit: limit === undefined ? limit : checkMade(limit),
		rule: isScheduled ? ruleOf(definition as Recurring) : undefined,
		reads,
		schema,
		codec: masked(checkMethods("codec", codec, "encode", "decode")),
		crashes: checkCount("crashes", crashes),
		retain,
		retainDead: checkLimit("retainDead", retainDead),
		// One clock for everything that a basket does.
		settings: checkRunnerOptions({ ...definition, clock: defaults.settings.clock }, defaults.settings),
	};
}

/** Checks what is given as `limit`. Not in the room of limits, which is loaded only if a limit is made. */
export function checkMade<P>(limit: Limit<P>): Limit<P> {
	return typeof Object(limit).keyOf === "function" ? limit : refuse("limit", limit, "made by limit()");
}
