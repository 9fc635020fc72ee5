/** The live screen as lines of text. */

import { type Colour, cut, paint, shorten } from "../shared/terminal.ts";
import { count, inSeconds } from "../shared/words.ts";
import type { ServerStatus } from "./api.ts";
import type { MessageStatus } from "./service.ts";
import type { Facts } from "./view.ts";

export interface Shown extends Facts {
	readonly status: ServerStatus;
	/** The latest last. */
	readonly events: readonly string[];
	/** The id of the process while it runs. */
	readonly pid: number | undefined;
}

const colours: Record<string, Colour> = {
	...{ waiting: "yellow", running: "cyan", dead: "red", done: "green", delivered: "green", retry: "yellow" },
	...{ refused: "red", error: "red" },
};
/** The widths of the columns. The last column takes the rest. */
const widths = { state: 7, id: 14, age: 6, failures: 4, next: 6 };

/** Lines of at most `width` columns, and at most `height` of them. */
export function renderStatus(shown: Shown, width: number, height: number): string[] {
	const head = toHead(shown).map((line) => cut(line, width));
	const foot = shown.pid === undefined
		? []
		: ["", cut(`kill -9 ${shown.pid} and start it again: it resumes. Ctrl-C ends it`, width)];
	const room = Math.max(0, height - head.length - foot.length - 1);
	const events = toEvents(shown.events, width, Math.floor(room / 3));
	return [...head, "", ...toRows(shown.status, width, room - events.length), ...events, ...foot].slice(0, height);
}

function toHead({ url, file, hasOwnWebhook, isDemo, status }: Shown): string[] {
	const { counts: { waiting, running, dead }, totals, rates, webhook, received } = status;
	const [oldest] = status.waiting;
	const traits = `${hasOwnWebhook ? " (its own, flaky)" : ""}${isDemo ? ", gets made-up messages" : ""}`;
	const lines = [
		`Page     ${url}   POST to ${url}messages   ${url}inspector shows all`,
		`Webhook  ${webhook}${traits}`,
		`File     ${file}`,
		"",
		`${waiting} waiting  ${running} running  ${dead} dead   ` +
		`accepted ${totals.accepted} (${rates.accepted.toFixed(1)}/s)  ` +
		`delivered ${totals.delivered} (${rates.delivered.toFixed(1)}/s)`,
		oldest === undefined ? "Nothing waits" : `The oldest waits for ${inSeconds(oldest.age)}: ${toProgress(oldest)}`,
	];
	if (received === undefined) return lines;
	const { messages, duplicates } = received;
	return [...lines, `The webhook has got ${count(messages, "message")}, and dropped ${duplicates} that came again`];
}

function toProgress({ id, attempts, error = "the process died" }: MessageStatus): string {
	return attempts === 0 ? `${id}, not tried yet` : `${id}, ${count(attempts, "failure")}, the last: ${error}`;
}

/** The latest events below a blank line; none if there is no room. */
function toEvents(events: readonly string[], width: number, room: number): string[] {
	if (room < 3 || events.length === 0) return [];
	return ["", ...events.slice(-room + 1).map((event) => paint(colours[event.split(" ")[1]!], cut(event, width)))];
}

function toRows({ running, waiting, dead, delivered }: ServerStatus, width: number, room: number): string[] {
	const heading = toLine(["state", "id", "age", "fail", "next", "message, or what the last attempt came to"], width);
	// Some room is for dead messages, the rest for the others.
	const shownDead = dead.slice(0, Math.max(1, Math.floor((room - 1) / 4)));
	const others = [...running, ...waiting].slice(0, Math.max(0, room - 1 - shownDead.length));
	const done = delivered.slice(0, Math.max(0, room - 1 - shownDead.length - others.length));
	return [
		paint("dim", heading),
		...[...shownDead, ...others, ...done].map((message) => toLine(toCells(message), width)),
	];
}

function toCells({ id, state, age, attempts, dueIn, text, error }: MessageStatus): string[] {
	const next = dueIn === undefined ? "" : inSeconds(Math.ceil(dueIn / 1000) * 1000);
	const what = error === undefined || state === "done" ? text : `${error}: ${text}`;
	return [state, id, inSeconds(Math.round(age / 1000) * 1000), String(attempts), next, what];
}

function toLine(cells: readonly string[], width: number): string {
	const places = Object.values(widths);
	const rest = Math.max(0, width - places.reduce((sum, place) => sum + place + 2, 0));
	return [...places, rest].map((place, index) => {
		const text = cells[index]!;
		if (index === 5) return cut(text, place);
		return paint(index === 0 ? colours[text] : undefined, (index === 1 ? shorten : cut)(text, place).padEnd(place));
	}).join("  ").trimEnd();
}
