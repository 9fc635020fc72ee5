/**
 * The interface of a job's run to its processor.
 *
 * @module
 */

import { Batch, type Codec, type JobClaim } from "../basket/engine.ts";
import type { LogEntry, LogRead, Save, Store } from "../basket/store.ts";
import type { FailedJobAttempt, ProcessorSettings } from "./options.ts";
import type { ReadLog } from "./log.ts";
import { Replays } from "./replays.ts";
import { sendWanted, type Waiting } from "./sending.ts";
import { type Clock, systemClock } from "../platform/clock.ts";
import { observe, type OnError } from "../platform/observe.ts";
import { sharedSoon, soon } from "../platform/soon.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** The owner of a run. */
export interface JobOwner<Tx> {
	readonly store: Store<Tx>;
	/** The name of the basket. */
	readonly name: string;
	/** See `worker` of {@link BasketOptions}. */
	readonly worker: string;
	readonly codec: Codec;
	readonly clock: Clock;
	readonly crashes: number;
	readonly retain: number;
	readonly onError: OnError | undefined;
	/**
	 * Saves one checkpoint, perhaps together with those of others. Resolves with `false` if the claim is lost. The time is
	 * limited from the moment at which it is sent.
	 */
	save(save: Save, task: JobClaim): Promise<boolean>;
	/**
	 * Reads a log, perhaps together with those of others.
	 *
	 * @param begin called just before it is sent, perhaps again; says whether it is still wanted
	 */
	readLog(read: LogRead, begin?: () => boolean): ReturnType<ReadLog>;
	/** What is known of the logs of jobs that wait. */
	readonly replays: Replays;
	/** Calls back in a new macrotask, together with those of other jobs. */
	soon(callback: () => void): void;
	/** Reports a failed attempt of a step. Never throws. */
	onAttemptFailed(failed: FailedJobAttempt): void;
	/** The step or the attempt has changed. */
	onChange(): void;
}

/** A checkpoint that waits until it is sent. It is not wanted anymore when its claim is over. */
interface WaitingSave extends Waiting<Save> {
	readonly task: JobClaim;
}

/** @param onChange called when the step or the attempt of a job has changed */
export function createOwner<Tx>(
	{ settings, codec, crashes, retain, onAttemptFailed }: ProcessorSettings<Tx>,
	onChange: () => void,
): JobOwner<Tx> {
	const { store, name, worker, clock, lease, onError } = settings;
	const patience = { clock, limit: lease / 3 };
	// One limit for all of them: they have the same worker.
	const saves = new Batch<WaitingSave, boolean | undefined>(
		(waiting) => waiting[0]!.task.calls.track(() => sendWanted(waiting, (items) => store.save(name, items))),
		patience,
	);
	const logs = new Batch<Waiting<LogRead>, readonly LogEntry[] | undefined>(
		(waiting) => sendWanted(waiting, (items) => store.log(name, items)),
		patience,
	);
	// A clock that a test moves must not move on while jobs have something to do.
	const onClock = (callback: () => void) => clock.set(new CallbackTimer(callback), 0);
	return {
		...{ store, name, worker, codec, clock, crashes, retain, onError, onChange },
		replays: new Replays(),
		soon: sharedSoon(clock === systemClock ? soon : onClock),
		readLog: async (item, begin = () => true) => (await logs.submit([{ item, begin }]))[0],
		save: (item, task) =>
			saves.submit([{ item, task, begin: () => !task.isOver }]).then(([isSaved = false]) => isSaved),
		onAttemptFailed: (failed) => void observe(onError, onAttemptFailed, failed),
	};
}
