/**
 * What a basket can be told, and the checks at its door.
 *
 * @module
 */

import type { Codec } from "./codec.ts";
import type { BasketContext } from "./context.ts";
import type { JobClaim } from "./job-claim.ts";
import type { Store } from "./store.ts";
import { jsonCodec } from "./codec.ts";
import { type Ending, endingWith } from "./ending.ts";
import { type ContextOwner, UserContext } from "./user-context.ts";
import { checkBackoff } from "../run/backoff.ts";
import { checkRunnerOptions, defaultSettings, type RunnerOptions, type RunnerSettings } from "../run/options.ts";
import type { TaskContext } from "../run/task.ts";
import { check, checkDelay, checkFunction, refuse } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import type { OnError } from "../platform/observe.ts";
import type { Subscribable } from "../platform/snapshot.ts";
import { checkSchema, type StandardSchema } from "../platform/standard-schema.ts";

/**
 * Does the work of one kind of task. Returning is success; throwing is failure, and the task is tried again. It may be run
 * more than once for one task, since a process can die after the work and before that is stored.
 */
export type TaskFunction<P, Tx = never> = (payload: P, context: BasketContext<P, Tx>) => unknown;

/** A kind of task that needs more than a function. What is not given is as the basket has it. */
export interface TaskDefinition<P, Tx = never> extends RunnerOptions {
	/** Does the work. */
	run: TaskFunction<P, Tx>;
	/**
	 * Any Standard Schema validator. It reads each payload when it is added, which rejects if it does not pass, and again
	 * before each run, so that it must accept what it gives; a stored task that does not pass becomes dead.
	 */
	schema?: StandardSchema<P, unknown> | undefined;
	/** See {@link BasketOptions.codec}. */
	codec?: Codec | undefined;
	/** See {@link BasketOptions.crashes}. */
	crashes?: number | undefined;
	/** See {@link BasketOptions.retain}. */
	retain?: number | undefined;
}

/** Any kinds of task, by name: what the tasks of a basket extend. */
// deno-lint-ignore no-explicit-any -- a payload is whatever each function says it takes
export type TaskMap<Tx = any> = { readonly [kind: string]: TaskFunction<any, Tx> | TaskDefinition<any, Tx> };

/**
 * The same while a basket is made, one by one: a `schema` types the payload of `run`, and both must agree. Where neither a
 * schema nor `run` itself says what the payload is, it is `never`, so that it can be neither used nor added.
 *
 * @typeParam Outputs what the schemas give, by kind; `unknown` for a kind without one
 */
export type TaskEntries<Outputs, Tx> = {
	readonly [K in keyof Outputs]:
		// deno-lint-ignore no-explicit-any -- its payload is what the function says
		| ((payload: never, context: BasketContext<any, Tx>) => unknown)
		| TaskEntry<Outputs[K], Tx>;
};

/** A {@link TaskDefinition} that is typed by its schema. */
export interface TaskEntry<Output, Tx> extends Omit<TaskDefinition<Output, Tx>, "run" | "schema"> {
	/** See {@link TaskDefinition.run}. */
	run: (
		payload: unknown extends Output ? never : Output,
		// deno-lint-ignore no-explicit-any -- without a schema, its payload is what the function says
		context: BasketContext<unknown extends Output ? any : Output, Tx>,
	) => unknown;
	/** See {@link TaskDefinition.schema}. */
	schema?: StandardSchema<Output, unknown> | undefined;
}

/**
 * What `add` takes for a kind of task: what its schema takes (what it gives, if its types do not say), or else the payload of
 * its function.
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

/** Something that says when it is worth trying again: `online()` and `visible()` of `upkeep/browser`, or your own. */
export interface WakeHint {
	/** Calls `listener` at each such moment, until the returned function is called. */
	readonly subscribe: (listener: () => void) => () => void;
}

/** What a `Basket` can be told. The {@link RunnerOptions} hold for each kind that does not say otherwise. */
export interface BasketOptions<Tasks, Tx = never, Outputs = unknown> extends RunnerOptions {
	/** Where the tasks are kept. */
	store: Store<Tx>;
	/** Tells this basket's tasks from those of others in the same store. @default "default" */
	name?: string | undefined;
	/**
	 * What to do, for each kind of task. A kind that is stored but not named here stays untouched. A function must say what type
	 * its payload has, unless a schema does.
	 */
	tasks: Tasks & TaskEntries<Outputs, Tx>;
	/**
	 * How often a task may be called in all; one that is out of attempts becomes dead. With a finite number a run that
	 * crashed counts, too, and so does a claim of which nobody knows whether its run had begun when the process died. Tasks
	 * with 1 or 2 attempts are therefore claimed one at a time, each when it can begin at once. @default Infinity
	 */
	attempts?: number | undefined;
	/** The delays between attempts. @default { start: 1_000, factor: 2, max: 3_600_000, jitter: "full" } */
	backoff?: RunnerOptions["backoff"];
	/** Bounds all attempts and delays together, in milliseconds from the `add`. @default Infinity */
	deadline?: number | undefined;
	/** How many tasks this basket runs at the same time: a whole number from 1. @default 10 */
	concurrency?: number | undefined;
	/**
	 * How long a claim holds after its process has died, in milliseconds. It is renewed every third of it while the task is
	 * run. If it cannot be renewed, because the store fails, hangs or answers late, the task's signal aborts with a
	 * `ClaimLostError` at the moment when the lease may be over, and the task is given back.
	 *
	 * If it is shorter, a process that hangs for so long loses its tasks; if it is longer, the tasks of a dead process wait for
	 * longer. A store should answer within a third of it. @default 30_000
	 */
	lease?: number | undefined;
	/**
	 * How long tasks may go on after an abort, in milliseconds, before they are left to the next run. A store that still answers
	 * then is given one more second. @default 5_000
	 */
	grace?: number | undefined;
	/**
	 * After so many crashes in a row a task becomes dead: a whole number from 1, or `Infinity`. After two of them it runs alone
	 * in its process. If other tasks run for long there, nothing is claimed for one second in ten, so that it can begin, and it
	 * is left to other processes meanwhile. @default 10
	 */
	crashes?: number | undefined;
	/** How long a task that has succeeded is kept, with its id, in milliseconds. @default 0 */
	retain?: number | undefined;
	/** How payloads are stored. @default JSON */
	codec?: Codec | undefined;
	/**
	 * Nothing is claimed while this is `false`: `leader()` of `upkeep/browser`, or your own. What runs goes on. If it cannot be
	 * subscribed to, that is reported, and it is looked at once a minute.
	 */
	gate?: Subscribable<boolean> | undefined;
	/**
	 * Each of these makes the retries that wait out a backoff due at once, spread over a second so that they do not come all
	 * together. A delay from `retryAfter` stays.
	 */
	wake?: WakeHint | readonly WakeHint[] | undefined;
	/** Told once it is stored how a run of a task has ended. What it throws goes to `onError`. */
	onSettled?: ((settled: TaskSettled) => void) | undefined;
	/**
	 * Told what nobody waits for: a store that fails and is tried again, a claim that was lost, an observer that throws.
	 */
	onError?: OnError | undefined;
	/** The clock to use. The store has its own. @default systemClock */
	clock?: Clock | undefined;
}

/** How a run of a task has ended. */
export interface TaskSettled {
	/** The task. */
	readonly id: string;
	/** Its kind. */
	readonly kind: string;
	/** Done, to be tried again, given up, or left to the next run because this one was aborted. */
	readonly outcome: "done" | "retry" | "dead" | "released";
	/** The number of the attempt, from 1. */
	readonly attempt: number;
	/** What it failed with, if it did. */
	readonly error: unknown;
	/** When it is tried again, in milliseconds from now; 0 if it is not. */
	readonly delay: number;
}

/** A kind of task, checked. */
export interface Kind {
	/** Does the work of one attempt, for a user or for a job: what each of them is given is made of the claim. */
	call(payload: unknown, claim: ContextOwner<never> & JobClaim, attempt: TaskContext): unknown;
	/** How the claim ends, if that has returned: a job does not always end with its claim. */
	end(value: unknown): Ending;
	readonly schema: StandardSchema | undefined;
	readonly codec: Codec;
	readonly crashes: number;
	readonly retain: number;
	readonly settings: RunnerSettings;
}

/** Options that were checked, every one of them present. */
export interface BasketSettings<Tx> {
	readonly store: Store<Tx>;
	readonly name: string;
	readonly kinds: ReadonlyMap<string, Kind>;
	readonly concurrency: number;
	readonly lease: number;
	readonly grace: number;
	readonly gate: Subscribable<boolean> | undefined;
	readonly wake: readonly WakeHint[];
	readonly onSettled: ((settled: TaskSettled) => void) | undefined;
	readonly onError: OnError | undefined;
	readonly clock: Clock;
}

export function checkBasketOptions<Tx>(options: BasketOptions<TaskMap<Tx>, Tx>): BasketSettings<Tx> {
	const { store, name = "default", tasks, concurrency = 10, lease = 30_000, grace = 5_000 } = check(
		"options",
		options,
		"object",
	);
	const { gate, wake = [], onSettled, onError } = options;
	check("store.turn", check("store", store, "object").turn, "function");
	check("store.capabilities", store.capabilities, "object");
	checkName("name", name);
	checkCount("concurrency", concurrency);
	check("lease", lease, "number", Number.isFinite(lease) && lease > 0, "more than 0, and finite");
	checkDelay("grace", grace);
	if (gate !== undefined) {
		check("gate.getSnapshot", check("gate", gate, "object").getSnapshot, "function");
		check("gate.subscribe", gate.subscribe, "function");
	}
	const hints = [wake].flat();
	for (const hint of hints) check("wake.subscribe", check("wake", hint, "object").subscribe, "function");
	checkFunction("onSettled", onSettled);
	checkFunction("onError", onError);
	const clock = checkClock(options.clock);
	const kinds = checkKinds(check("tasks", tasks, "object"), options, clock);
	return { store, name, kinds, concurrency, lease, grace, gate, wake: hints, onSettled, onError, clock };
}

/** As `isWellFormed`, which not every runtime has. */
const halfPair = /\p{Surrogate}/u;

/**
 * A name that every store can take: 1 to 255 characters, none of them NUL.
 *
 * Half a surrogate pair, as `text.slice(0, n)` may leave it, is no text in UTF-8: a store would keep another name.
 */
export function checkName(what: string, name: string): string {
	const isAllowed = typeof name === "string" && name.length > 0 && name.length < 256 && !name.includes("\0");
	check(what, name, "string", isAllowed, "1 to 255 characters without NUL");
	if (halfPair.test(name)) refuse(what, JSON.stringify(name), "well-formed text, without half a surrogate pair");
	return name;
}

/** What a kind has in common with the basket as a whole. */
type KindOptions = Omit<TaskDefinition<unknown>, "run" | "schema">;

function checkKinds(tasks: TaskMap, options: KindOptions, clock: Clock): Map<string, Kind> {
	const backoff = checkBackoff({ start: 1_000, factor: 2, max: 3_600_000, jitter: "full" });
	const least = { codec: jsonCodec, crashes: 10, retain: 0 };
	const settings = { ...defaultSettings, attempts: Infinity, backoff, clock };
	const defaults = checkKind({ ...options, run: () => {}, schema: undefined }, { ...least, settings });
	return new Map(
		Object.entries(tasks).map(([name, task]) => {
			checkName("kind", name);
			const definition = typeof task === "function" ? { run: task } : check(`tasks.${name}`, task, "object");
			return [name, checkKind(definition, defaults)];
		}),
	);
}

function checkKind(
	// deno-lint-ignore no-explicit-any -- of any kind
	definition: TaskDefinition<any, any>,
	defaults: Pick<Kind, "codec" | "crashes" | "retain" | "settings">,
): Kind {
	const { run, schema, codec = defaults.codec, crashes = defaults.crashes, retain = defaults.retain } = definition;
	check("run", run, "function");
	checkSchema(schema);
	check("codec.encode", check("codec", codec, "object").encode, "function");
	check("codec.decode", codec.decode, "function");
	checkCount("crashes", crashes);
	check("retain", retain, "number", Number.isFinite(retain) && retain >= 0, "0 or more, and finite");
	// One clock for everything that a basket does.
	const settings = checkRunnerOptions({ ...definition, clock: defaults.settings.clock }, defaults.settings);
	const call: Kind["call"] = (payload, claim, attempt) => run(payload, new UserContext<unknown>(claim, attempt));
	const end: Kind["end"] = () => endingWith({ type: "done", retain });
	return { call, end, schema, codec, crashes, retain, settings };
}

function checkCount(what: string, value: number): void {
	const isCount = (Number.isInteger(value) || value === Infinity) && value >= 1;
	check(what, value, "number", isCount, "a whole number from 1, or Infinity");
}
