/**
 * How values look in the tables, and rows outside.
 *
 * @module
 */

import type { Claim, Counts, Data, Message, Ref, StoredTask, TaskState } from "../../basket/store.ts";

/** A task as the database gives it. */
export type TaskRow = readonly [...fields: Fields, progress: string | null];

/** Claimed tasks, column by column, which the server makes several times as fast as rows. */
export type ClaimColumns = readonly [
	seqs: number[],
	ids: (string | null)[],
	kinds: string[],
	lanes: (string | null)[],
	priorities: number[],
	addedAts: number[],
	ages: number[],
	attempts: number[],
	crashes: number[],
	claims: number[],
	errors: (string | null)[],
	payloads: string[],
	inboxes: (readonly MessageRow[] | null)[],
];

type Fields = [
	seq: number,
	id: string | null,
	kind: string,
	lane: string | null,
	priority: number,
	state: number,
	due: number,
	added: number,
	attempts: number,
	crashes: number,
	claims: number,
	error: string | null,
	payload: string,
];

export type MessageRow = readonly [n: number, data: string];

/** In the place of each number of a state what it is outside; what has another number cannot be understood. */
const states: readonly TaskState[] = ["waiting", "running", "waiting", "running", "held", "held", "dead", "done"];

/** What a text begins with that is kept as JSON, or as bytes in base64: no characters, but kept like some. */
const escaped = "\ufdd0";
const binary = "\ufdd1";

/** Text stays as it is, unless Postgres would refuse or change it: a NUL, half a surrogate pair, a mark of ours. */
export function encode(data: Data): string {
	if (typeof data !== "string") return binary + btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join(""));
	return /^[\ufdd0\ufdd1]|\0|\p{Surrogate}/u.test(data) ? escaped + JSON.stringify(data) : data;
}

/** `undefined` if this is nothing that {@link encode} has made. */
export function decode(text: string): Data | undefined {
	try {
		if (text[0] === escaped) return textIn(JSON.parse(text.slice(1)));
		if (text[0] === binary) return Uint8Array.from(atob(text.slice(1)), (character) => character.charCodeAt(0));
		return text;
	} catch {
		return undefined;
	}
}

/** For names and what is told of errors: text that is there or not. */
export function encodeText(text: string | null | undefined): string | undefined {
	return text === undefined || text === null ? undefined : encode(text);
}

function textIn(value: unknown): string | undefined {
	return typeof value === "string" ? value : undefined;
}

/** What is damaged is shown as it is. */
function decodeText(text: string | null): string | undefined {
	return text === null ? undefined : textIn(decode(text)) ?? text;
}

/** An array as Postgres writes it, which the drivers do not agree on. */
export function arrayOf(texts: readonly (string | undefined)[]): string {
	return `{${texts.map((text) => text === undefined ? "NULL" : `"${text.replace(/["\\]/g, "\\$&")}"`)}}`;
}

/** Whole milliseconds, and not so many that an instant that far away would be no safe number. */
export function duration(value: number): number {
	return Math.min(Math.ceil(value), 2 ** 52);
}

/** The number in an id that the store has made, where it can be one; 0: it cannot. */
export function seqIn(id: string): number {
	return /^_[1-9]\d{0,15}$/.test(id) ? Number(id.slice(1)) : 0;
}

/** What the functions find a task by. */
export function nameOf(id: string): { s: number; i: string } {
	return { s: seqIn(id), i: encode(id) };
}

/** What the functions find a claim by. An id that the store has made is in no column. */
export function refOf({ id, token }: Ref): { s: number; n: number; i: string | undefined } {
	const [s, n] = token.split(".").map(Number);
	return { s: s || 0, n: n || 0, i: id === `_${s}` ? undefined : encode(id) };
}

function idOf(seq: number, id: string | null): string {
	return id === null ? `_${seq}` : decodeText(id)!;
}

export function showMessage([n, data]: MessageRow): Message {
	return { n, data: decode(data) ?? "" };
}

export function showTask(row: TaskRow): StoredTask {
	const [seq, id, kind, lane, priority, state, due, added, attempts, crashes, , error, payload, progress] = row;
	return {
		key: String(seq).padStart(16, "0"),
		id: idOf(seq, id),
		kind: decodeText(kind)!,
		payload: decode(payload) ?? "",
		state: states[state] ?? "dead",
		attempts,
		crashes,
		error: decodeText(error),
		progress: decodeText(progress),
		dueAt: due === Number.MAX_SAFE_INTEGER || state === 6 ? undefined : due,
		addedAt: added,
		priority,
		lane: decodeText(lane),
	};
}

/** `undefined` for each that cannot be read. */
export function showClaims(columns: ClaimColumns): (Claim | undefined)[] {
	const [seqs, ids, kinds, lanes, priorities, addedAts, ages, attempts, crashes, claims, errors, payloads, inboxes] =
		columns;
	return seqs.map((seq, index) => {
		const payload = decode(payloads[index]!);
		const inbox = (inboxes[index] ?? []).map(([n, text]) => ({ n, data: decode(text) }));
		const id = idOf(seq, ids[index]!);
		// A name that is not as it is written down would never be found again.
		const isNamed = ids[index] === null || encode(id) === ids[index];
		if (!isNamed || payload === undefined || inbox.some(({ data }) => data === undefined)) return undefined;
		return {
			id,
			token: `${seq}.${claims[index]}`,
			lane: decodeText(lanes[index]!),
			kind: decodeText(kinds[index]!)!,
			payload,
			attempts: attempts[index]!,
			crashes: crashes[index]!,
			priority: priorities[index]!,
			error: decodeText(errors[index]!),
			addedAt: addedAts[index]!,
			age: ages[index]!,
			inbox: inbox as Message[],
		};
	});
}

/** How many there are in each state, of the numbers of each number of a state. */
export function showCounts(rows: readonly (readonly [state: number, count: number])[]): Counts {
	const counts = { waiting: 0, running: 0, held: 0, dead: 0, done: 0 };
	for (const [state, count] of rows) counts[states[state] ?? "dead"] += count;
	return counts;
}

/** The numbers of a state: it may have several forms. */
export function formsOf(state: TaskState): number[] {
	return states.flatMap((name, number) => name === state ? [number] : []);
}

/** What a number of a state is outside. */
export function stateOf(number: number | null): TaskState | undefined {
	return number === null ? undefined : states[number] ?? "dead";
}
