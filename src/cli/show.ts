/**
 * `upkeep show`: all that is stored about one task.
 *
 * @module
 */

import { baseOf, type Store, type StoredTask } from "../basket/store.ts";
import type { JobCheckpoint } from "../job/state.ts";
import { decodeFailure } from "../basket/engine.ts";
import { unmask } from "../schedule/envelope.ts";
import { describeTask, jobLines } from "./job.ts";
import { JobReader } from "./job-reader.ts";
import {
	decodeData,
	describeDue,
	describeFailure,
	describeKind,
	describeSchedule,
	inline,
	type OpenPayload,
	openPayload,
	toItems,
	toMessages,
} from "./task.ts";
import { missing, type Request, type Terminal } from "./terminal.ts";
import { clean, cleanLines, distance, instant, type Paint, toJson } from "./text.ts";

type FoundTask = NonNullable<Awaited<ReturnType<Store["get"]>>>;

/** Shows the task with the id. */
export async function show(store: Store, { basket, ids }: Request, terminal: Terminal): Promise<0> {
	const id = ids[0]!;
	const task = await store.get(basket, id);
	if (task === undefined) throw missing(id, basket);
	const job = await new JobReader(store, basket).whole(task);
	if (terminal.isTable) await terminal.print(lines(task, job, terminal).join("\n"));
	else await terminal.print(toJson(record(task, job)));
	return 0;
}

function record({ inbox, ...task }: FoundTask, job: JobCheckpoint | undefined): unknown {
	// The items are the messages.
	const isCollecting = openPayload(task).most !== undefined;
	const rest = isCollecting ? { payload: toItems(inbox), inbox: [] } : { inbox: toMessages(inbox) };
	return { ...describeTask(task, job), ...rest };
}

function lines(task: FoundTask, job: JobCheckpoint | undefined, { paint, clock }: Terminal): string[] {
	const facts = factsOf(task, job, clock.now());
	const { data, most } = openPayload(task);
	const isCollecting = most !== undefined;
	const width = facts.reduce((width, [name]) => Math.max(width, name.length), 0);
	return [
		paint("bold", clean(task.id)),
		...facts.map(([name, value]) => `  ${paint("dim", name.padEnd(width))}  ${value}`),
		...failureLines(task, paint),
		"",
		...(isCollecting
			? payloadLines("Items", { payload: toItems(task.inbox) }, paint)
			: job === undefined
			? payloadLines("Payload", decodeData(data), paint)
			: [
				...payloadLines("Input", { payload: job.input }, paint),
				"",
				...jobLines(job, paint),
			]),
		...(task.result === undefined ? [] : ["", ...payloadLines("Result", decodeData(unmask(task.result)), paint)]),
		...(isCollecting ? [] : task.inbox).map(({ n, data }) => `Message ${n}: ${inline(decodeData(data).payload)}`),
	];
}

function factsOf(task: StoredTask, job: JobCheckpoint | undefined, now: number): [name: string, value: string][] {
	const { kind, state, attempts, crashes, priority, lane, limitKey, key, addedAt, dueAt, progress } = task;
	const due = describeDue(task, now);
	const { schedule, most } = openPayload(task);
	const at = (instantOf: number, words: string) => `${words} (${instant(instantOf)})`;
	const status = job?.status === undefined ? state : `${state}: ${job.status}`;
	return [
		[
			job === undefined ? "kind" : "job",
			job === undefined
				? describeKind(kind)
				: clean(baseOf(kind)) + (job.version === undefined ? "" : `, version ${clean(String(job.version))}`),
		],
		["state", status + (due === "" ? "" : `, ${dueAt === undefined ? `until ${due} comes` : at(dueAt, due)}`)],
		["added", at(addedAt, distance(addedAt, now))],
		["attempts", `${attempts}${crashes > 0 ? `, ${crashes} crashes in a row` : ""}`],
		["priority", String(priority)],
		...(lane === undefined ? [] : [["lane", clean(lane)] satisfies [string, string]]),
		...(limitKey === undefined ? [] : [["limit", clean(limitKey) || "that of its kind"] satisfies [string, string]]),
		...(schedule === undefined ? [] : scheduleFacts(schedule, now)),
		...(most === undefined ? [] : [["collects", `at most ${most} items in a run`] satisfies [string, string]]),
		["key", clean(key)],
		...(progress === undefined ? [] : [["progress", inline(decodeData(progress).payload)] satisfies [string, string]]),
	];
}

function scheduleFacts(
	schedule: NonNullable<OpenPayload["schedule"]>,
	now: number,
): [name: string, value: string][] {
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
