/**
 * `upkeep show`: all that is stored about one task.
 *
 * @module
 */

import type { Message, Store, StoredTask } from "../basket/store.ts";
import type { JobCheckpoint } from "../job/state.ts";
import { showChildren } from "../job/children-view.ts";
import { partsOf } from "../job/version.ts";
import { decodeFailure, decodeMeta } from "../basket/engine.ts";
import { unmask } from "../schedule/envelope.ts";
import { attemptLines } from "./attempts.ts";
import { countChildren } from "./children.ts";
import { describeTask, jobLines } from "./job.ts";
import type { ChildCounts } from "../job/step-records.ts";
import { JobReader } from "./job-reader.ts";
import {
	decodeData,
	describeDue,
	describeFailure,
	describeKind,
	describeSchedule,
	historyOf,
	inline,
	type OpenPayload,
	openPayload,
	runOf,
	toItems,
	toMessages,
} from "./task.ts";
import { missing, type Request, type Terminal } from "./terminal.ts";
import { clean, cleanLines, distance, duration, instant, type Paint, toJson } from "./text.ts";

/** A name and a value. */
type Fact = [name: string, value: string];
type Children = ReadonlyMap<number, ChildCounts>;
type FoundTask = NonNullable<Awaited<ReturnType<Store["get"]>>>;

/** Shows the task with the id. */
export async function show(store: Store, { basket, ids }: Request, terminal: Terminal): Promise<0> {
	const id = ids[0]!;
	const task = await store.get(basket, id);
	if (task === undefined) throw missing(id, basket);
	const job = await new JobReader(store, basket).whole(task);
	const children: Children = job === undefined ? new Map() : await countChildren(store, basket, task, job.uid);
	if (terminal.isTable) await terminal.print(lines(task, job, children, terminal).join("\n"));
	else await terminal.print(toJson(record(task, job, children)));
	return 0;
}

function record({ inbox, ...task }: FoundTask, job: JobCheckpoint | undefined, children: Children): unknown {
	// The items are the messages.
	const isCollecting = openPayload(task).most !== undefined;
	const rest = isCollecting
		? { payload: toItems(inbox), inbox: [] }
		: { inbox: toMessages(job === undefined ? inbox : sentTo(inbox)) };
	return { ...describeTask(task, job, children), ...rest };
}

function lines(
	task: FoundTask,
	job: JobCheckpoint | undefined,
	children: Children,
	{ paint, clock, columns }: Terminal,
): string[] {
	const { itemOf } = partsOf(task.kind);
	const facts = factsOf(task, job, clock.now());
	const { data, most } = openPayload(task);
	const isCollecting = most !== undefined;
	const width = facts.reduce((width, [name]) => Math.max(width, name.length), 0);
	return [
		paint("bold", clean(task.id)),
		...facts.map(([name, value]) => `  ${paint("dim", name.padEnd(width))}  ${value}`),
		...failureLines(task, paint),
		...attemptLines(task, job !== undefined, clock.now(), { columns, paint }),
		"",
		...(isCollecting
			? payloadLines("Items", { payload: toItems(task.inbox) }, paint)
			: job === undefined
			? payloadLines("Payload", decodeData(data), paint)
			: [
				...payloadLines("Input", { payload: showChildren(job, itemOf).input }, paint),
				"",
				...jobLines(job, paint, children),
			]),
		...(task.result === undefined ? [] : ["", ...payloadLines("Result", decodeData(unmask(task.result)), paint)]),
		...(isCollecting
			? []
			: job === undefined
			? task.inbox.map(({ n, data }) => `Message ${n}: ${inline(decodeData(data).payload)}`)
			: sentTo(task.inbox).map(messageLine)),
	];
}

/** What was sent to a job; without the notes that a processor makes for itself. */
function sentTo(inbox: readonly Message[]): readonly Message[] {
	return inbox.filter(({ data }) => ["cancel", "signal"].includes(Object(decodeData(data).payload).type));
}

/** A message to a job. */
function messageLine({ n, data }: Message): string {
	const { type, name, value } = decodeData(data).payload as Readonly<Record<string, unknown>>;
	return `Message ${n}: ${type === "cancel" ? "cancel" : `signal ${clean(String(name))} ${inline(value)}`.trimEnd()}`;
}

function factsOf(task: StoredTask, job: JobCheckpoint | undefined, now: number): Fact[] {
	const { kind, state, attempts, crashes, priority, lane, limitKey, key, addedAt, dueAt, progress, parent } = task;
	const due = describeDue(task, now);
	const { schedule, most } = openPayload(task);
	const at = (instantOf: number, words: string) => `${words} (${instant(instantOf)})`;
	const run = runOf(task);
	const firstAddedAt = historyOf(task)?.firstAddedAt;
	const first = firstAddedAt === undefined ? "" : `; first ${at(firstAddedAt, distance(firstAddedAt, now))}`;
	const status = job?.status === undefined ? state : `${state}: ${job.status}`;
	return [
		[job === undefined ? "kind" : "job", job === undefined ? describeKind(kind) : describeJobKind(kind, job)],
		...(parent === undefined ? [] : [["parent", clean(parent)] satisfies Fact]),
		["state", status + (due === "" ? "" : `, ${dueAt === undefined ? `until ${due} comes` : at(dueAt, due)}`)],
		...(run === undefined
			? []
			: [["runs", `${byWorker(run.worker)}since ${instant(run.since)} (${duration(now - run.since)})`] satisfies Fact]),
		["added", at(addedAt, distance(addedAt, now)) + first],
		["attempts", `${attempts}${crashes > 0 ? `, ${crashes} crashes in a row` : ""}`],
		["priority", String(priority)],
		...(lane === undefined ? [] : [["lane", clean(lane)] satisfies Fact]),
		...(limitKey === undefined ? [] : [["limit", clean(limitKey) || "that of its kind"] satisfies Fact]),
		...(schedule === undefined ? [] : scheduleFacts(schedule, now)),
		...(most === undefined ? [] : [["collects", `at most ${most} items in a run`] satisfies Fact]),
		["key", clean(key)],
		...Object.entries(decodeMeta(task.meta)).map(([name, text]): Fact => [`meta ${clean(name)}`, clean(text)]),
		...(progress === undefined ? [] : [["progress", inline(decodeData(progress).payload)] satisfies Fact]),
	];
}

function byWorker(worker: string | undefined): string {
	return worker === undefined ? "" : `on ${clean(worker)} `;
}

function describeJobKind(kind: string, { version }: JobCheckpoint): string {
	const { name, itemOf } = partsOf(kind);
	const rest = version === undefined ? "" : `, version ${clean(String(version))}`;
	return `${clean(name)}${rest}${itemOf === undefined ? "" : `, an item of ${clean(itemOf)}`}`;
}

function scheduleFacts(
	schedule: NonNullable<OpenPayload["schedule"]>,
	now: number,
): Fact[] {
	const { next } = schedule;
	return [["schedule", describeSchedule(schedule)], ["instant", `${distance(next, now)} (${instant(next)})`]];
}

function failureLines({ error }: StoredTask, paint: Paint): string[] {
	const failure = decodeFailure(error);
	if (failure === undefined) return [];
	const { name, message, stack = "" } = failure;
	const head = `${name}: ${message}`; // only some engines repeat it above the stack
	const trace = stack.startsWith(head) ? stack.slice(head.length) : stack;
	const places = cleanLines(trace).filter((line) => line.trim() !== "").map((line) =>
		paint("dim", `    ${line.trim()}`)
	);
	return ["", paint("bold", "Last failure"), `  ${paint("red", describeFailure(failure))}`, ...places];
}

function payloadLines(title: string, { payload, encoding }: ReturnType<typeof decodeData>, paint: Paint): string[] {
	const text = payload === undefined ? "nothing" : encoding === undefined ? toJson(payload, "  ") : String(payload);
	const how = encoding === undefined ? "" : paint("dim", ` (${encoding === "text" ? "text, no JSON" : encoding})`);
	return [paint("bold", title) + how, ...cleanLines(text).map((line) => `  ${line}`)];
}
