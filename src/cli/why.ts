/**
 * `upkeep why`: why a task does not run, as far as the store tells.
 *
 * @module
 */

import { decodeFailure } from "../basket/engine.ts";
import { baseOf, type Store, type StoredTask } from "../basket/store.ts";
import { aheadInLane, atLimit, lastOfKind, type Peer, readyBefore, runningIn } from "./around.ts";
import { JobReader } from "./job-reader.ts";
import { describeFailure, describeKind, openPayload, runOf } from "./task.ts";
import { type Catalog, type ExitCode, missing, quote, type Request, type Terminal } from "./terminal.ts";
import { clean, count, distance, duration, instant, toJson } from "./text.ts";

/** Why a task does not run. */
export type ReasonName =
	| "done"
	| "dead"
	| "held"
	| "running"
	| "lease over"
	| "paused"
	| "kind paused"
	| "behind in lane"
	| "backoff"
	| "not due"
	| "message"
	| "limit"
	| "not claimed";

/** A reason with its facts. */
interface Reason {
	readonly reason: ReasonName;
	/** One sentence for people. */
	readonly text: string;
	/** The instant at which this reason ends by itself, if it is known. */
	readonly until?: number | undefined;
	/** The tasks that it waits for, if any. */
	readonly tasks?: readonly string[] | undefined;
}

/** Where the task is, and what time it is there. */
interface Place {
	readonly store: Store;
	readonly catalog: Catalog;
	readonly basket: string;
	readonly now: number;
}

/** The maximum number of tasks of a lane of which the first reason is given, one behind the other. */
const mostNamed = 5;

/** Says why the task with the id does not run. */
export async function why(
	store: Store,
	{ basket, ids }: Request,
	terminal: Terminal,
	catalog: Catalog,
): Promise<ExitCode> {
	const id = ids[0]!;
	const task = await store.get(basket, id);
	if (task === undefined) throw missing(id, basket);
	const { at: now } = await catalog.survey(basket);
	const reasons = await reasonsOf(task, { store, catalog, basket, now });
	if (!terminal.isTable) {
		await terminal.print(toJson({ id, kind: baseOf(task.kind), state: task.state, at: now, reasons }));
	} else {await terminal.print(
			[`${terminal.paint("bold", clean(id))} is ${task.state}`, ...reasons.map(toLine)].join("\n"),
		);}
	return 0;
}

function toLine({ text }: Reason): string {
	return `  ${text}`;
}

/** All reasons; what has the longest effect comes first. */
async function reasonsOf(task: StoredTask, place: Place): Promise<Reason[]> {
	if (task.state === "done" || task.state === "dead") return [await endOf(task, place)];
	if (task.state === "running") return [runningReason(task, place)];
	const pauses = await pauseReasons(task, place);
	if (task.state === "held") {
		return [{ reason: "held", text: `It is held: "upkeep release ${clean(task.id)}" undoes that` }, ...pauses];
	}
	const kept = [...pauses, ...await laneReason(task, place), ...await dueReason(task, place)];
	// What does not wait for anything else may wait at its limit.
	const limited = kept.length === 0 ? await limitReason(task, place) : [];
	const all = [...kept, ...limited];
	return all.length > 0 ? all : [await unclaimed(task, place)];
}

async function endOf(task: StoredTask, { store, basket }: Place): Promise<Reason> {
	if (task.state === "dead") {
		const failure = decodeFailure(task.error);
		const because = failure === undefined ? "" : `: ${describeFailure(failure)}`;
		const tries = count(task.attempts, "attempt");
		return {
			reason: "dead",
			text: `It has failed for good, after ${tries}${because}. "upkeep retry ${clean(task.id)}" starts it anew`,
		};
	}
	const job = await new JobReader(store, basket).position(task);
	const status = job?.status ?? "done";
	const cause = job?.revertError ?? job?.error;
	const because = status === "completed" || cause === undefined ? "" : `: ${describeFailure(cause)}`;
	return { reason: "done", text: `It has ended: ${status}${because}` };
}

function runningReason(task: StoredTask, { now }: Place): Reason {
	const { dueAt: until = Infinity, crashes } = task;
	const run = runOf(task);
	const worker = run?.worker === undefined ? "a worker without a name" : `the worker ${quote(run.worker)}`;
	const since = run === undefined ? "" : ` since ${instant(run.since)} (${duration(Math.max(0, now - run.since))})`;
	if (until > now) {
		const text = `It runs on ${worker}${since}; its lease holds for ${
			duration(until - now)
		}, and is renewed while it runs`;
		return { reason: "running", text, until };
	}
	const often = crashes > 0 ? `, as ${count(crashes, "time")} before` : "";
	return {
		reason: "lease over",
		text:
			`It ran on ${worker}${since}, and its lease was over ${
				distance(until, now)
			}: that worker seems to have died${often}. ` +
			`The next free worker of the kind ${quote(baseOf(task.kind))} takes it up`,
	};
}

async function pauseReasons({ kind }: StoredTask, { store, basket }: Place): Promise<Reason[]> {
	const { all, kinds } = await store.pauses(basket);
	const base = baseOf(kind);
	const reasons: Reason[] = [];
	if (all) reasons.push({ reason: "paused", text: `All kinds are paused: "upkeep resume" undoes that` });
	if (kinds.includes(base)) {
		reasons.push({
			reason: "kind paused",
			text: `Its kind is paused: "upkeep resume ${clean(base)}" undoes that`,
		});
	}
	return reasons;
}

async function laneReason(task: StoredTask, place: Place): Promise<Reason[]> {
	const { ahead, isMore } = await aheadInLane(place.store, place.basket, task);
	const head = ahead[0];
	if (head === undefined) return [];
	const names = ahead.slice(0, mostNamed).map(({ id }) => quote(id)).join(", ");
	const rest = isMore ? " and others" : ahead.length > mostNamed ? ` and ${ahead.length - mostNamed} more` : "";
	const [first] = await reasonsOf(head, place);
	return [{
		reason: "behind in lane",
		text:
			`It is behind ${names}${rest} in the lane ${quote(task.lane!)}. ${
				quote(head.id)
			} is first there, and ${head.state}: ` +
			first!.text,
		tasks: ahead.map(({ id }) => id),
	}];
}

async function dueReason(task: StoredTask, { store, basket, now }: Place): Promise<Reason[]> {
	const { dueAt: until, attempts, error } = task;
	if (until !== undefined && until <= now) return [];
	const job = await new JobReader(store, basket).position(task);
	if (until === undefined) {
		const step = job?.plan[job.at];
		const what = job?.spawned !== undefined
			? `the end of ${count(job.spawned.count, "child")} ("upkeep ls --parent ${clean(task.id)}" lists them)`
			: step !== undefined && !job?.isBackward
			? `the signal ${quote(step)}`
			: "a message";
		return [{ reason: "message", text: `It waits for ${what}` }];
	}
	const failure = job?.previous ?? decodeFailure(error);
	const number = job?.previous === undefined ? attempts : job.attempts;
	const when = `${distance(until, now)} (${instant(until)})`;
	const { schedule } = openPayload(task);
	if (schedule === undefined && failure !== undefined && number > 0) {
		const text = `Its next attempt is due ${when}; attempt ${number} failed: ${describeFailure(failure)}`;
		return [{ reason: "backoff", text, until }];
	}
	const text = schedule === undefined ? `It is not due before ${when}` : `Its next instant comes ${when}`;
	return [{ reason: "not due", text, until }];
}

async function limitReason(task: StoredTask, { store, catalog, basket, now }: Place): Promise<Reason[]> {
	const { limitKey: key, kind } = task;
	if (key === undefined) return [];
	const gate = await catalog.gate(basket, kind, key);
	const { readyAt, shutUntil = 0 } = gate ?? {};
	const isOpen = gate !== undefined && readyAt !== undefined && Math.max(readyAt, shutUntil) <= now;
	if (isOpen) return [];
	const running = await atLimit(store, basket, task);
	if (gate === undefined && running.length === 0) return [];
	const whose = key === "" ? `of the kind ${quote(baseOf(kind))}` : `with the key ${quote(key)}`;
	const until = shutUntil > now ? shutUntil : readyAt !== undefined && readyAt > now ? readyAt : undefined;
	const opens = shutUntil > now
		? `a task has held it back, until ${distance(shutUntil, now)}`
		: until === undefined
		? "the next place becomes free when one of them ends"
		: `the next start may come ${distance(until, now)}`;
	const tasks = running.map(({ id }) => id);
	const those = tasks.slice(0, mostNamed).map(quote).join(", ");
	const there = `${count(tasks.length, "task")} ${tasks.length === 1 ? "runs" : "run"} there${those && ` (${those})`}`;
	return [{
		reason: "limit",
		text: `It waits for the limit ${whose}: ${there}, and ${opens}. How many it allows is in the code of the workers`,
		until,
		tasks,
	}];
}

/** Nothing that is stored keeps it back. */
async function unclaimed(task: StoredTask, { store, basket, now }: Place): Promise<Reason> {
	const kind = baseOf(task.kind);
	const [running, last, before] = [
		await runningIn(store, basket),
		await lastOfKind(store, basket, kind),
		await readyBefore(store, basket, task, now),
	];
	const since = task.dueAt ?? task.addedAt;
	const signs = [
		...last === undefined
			? [`no stored task shows that a worker has ever run the kind ${quote(kind)}`]
			: [`the last attempt of the kind ${quote(kind)} that is stored began ${distance(last.at, now)}${byWorker(last)}`],
		...running.some((peer) => peer.kind !== kind && peer.at > since)
			? ["tasks of other kinds have begun since then"]
			: [],
		...running.length === 0 ? ["nothing runs in this basket"] : [
			`${count(running.length, "task")} of this basket ${running.length === 1 ? "runs" : "run"} on ${
				workersOf(running)
			}`,
		],
		...before > 0 ? [`${count(before, "task")} of the basket ${before === 1 ? "is" : "are"} due before it`] : [],
	];
	return {
		reason: "not claimed",
		text:
			`It has been due for ${duration(Math.max(0, now - since))}, and nothing in the database keeps it back: ${
				signs.join("; ")
			}. ` +
			`Does a process run the kind ${
				quote(describeKind(task.kind))
			}, with room for another task, and without a pause or gate of its own?`,
	};
}

function byWorker({ worker }: Peer): string {
	return worker === undefined ? "" : `, on ${quote(worker)}`;
}

function workersOf(peers: readonly Peer[]): string {
	const names = [...new Set(peers.map(({ worker }) => worker))];
	const known = names.filter((name) => name !== undefined).slice(0, mostNamed).map(quote);
	const rest = names.length - known.length;
	return [...known, ...rest > 0 ? [known.length === 0 ? "workers without a name" : "others"] : []].join(", ");
}
