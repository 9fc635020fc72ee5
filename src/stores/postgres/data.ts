/**
 * How values look in the tables, and rows outside.
 *
 * @module
 */

import type { Claim, Counts, Data, Message, Ref, StoredTask, TaskState } from "../../basket/store.ts";

/** A task as returned by the database. */
export type TaskRow = readonly [...fields: Fields, progress: string | null];

/** Claimed tasks by column, which is several times faster on the server than rows. */
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

/** The public state for each state number. Other numbers are invalid. */
const states: readonly TaskState[] = ["waiting", "running", "waiting", "running", "held", "held", "dead", "done"];

/** The prefix of text that is stored as JSON, or of bytes in base64: noncharacters, which are stored like characters. */
const escaped = "\ufdd0";
const binary = "\ufdd1";

/**
 * Encodes data. Text stays unchanged, unless Postgres would refuse or change it (NUL, lone surrogates) or it begins
 * with the prefix.
 */
export function encode(data: Data): string {
	if (typeof data !== "string") return binary + btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join(""));
	return /^[\ufdd0\ufdd1]|\0|\p{Surrogate}/u.test(data) ? escaped + JSON.stringify(data) : data;
}

/** Undoes {@link encode}. Returns `undefined` for an invalid text. */
export function decode(text: string): Data | undefined {
	try {
		if (text[0] === escaped) return textIn(JSON.parse(text.slice(1)));
		if (text[0] === binary) return Uint8Array.from(atob(text.slice(1)), (character) => character.charCodeAt(0));
		return text;
	} catch {
		return undefined;
	}
}

/** Encodes optional text: names and errors. */
export function encodeText(text: string | null | undefined): string | undefined {
	return text === undefined || text === null ? undefined : encode(text);
}

function textIn(value: unknown): string | undefined {
	return typeof value === "string" ? value : undefined;
}

/** Damaged text is returned unchanged. */
function decodeText(text: string | null): string | undefined {
	return text === null ? undefined : textIn(decode(text)) ?? text;
}

/** A Postgres array literal; the drivers differ in their own conversion. */
export function arrayOf(texts: readonly (string | undefined)[]): string {
	return `{${texts.map((text) => text === undefined ? "NULL" : `"${text.replace(/["\\]/g, "\\$&")}"`)}}`;
}

/** Rounds to milliseconds, limited so that the resulting instant is a safe integer. */
export function duration(value: number): number {
	return Math.min(Math.ceil(value), 2 ** 52);
}

/** The number in an id that the store may have created; otherwise 0. */
export function seqIn(id: string): number {
	return /^_[1-9]\d{0,15}$/.test(id) ? Number(id.slice(1)) : 0;
}

/** The arguments by which the functions find a task. */
export function nameOf(id: string): { s: number; i: string } {
	return { s: seqIn(id), i: encode(id) };
}

/** The arguments by which the functions find a claim. Ids that the store has created are in no column. */
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

/** Converts claims; `undefined` for each unreadable one. */
export function showClaims(columns: ClaimColumns): (Claim | undefined)[] {
	const [seqs, ids, kinds, lanes, priorities, addedAts, ages, attempts, crashes, claims, errors, payloads, inboxes] =
		columns;
	return seqs.map((seq, index) => {
		const payload = decode(payloads[index]!);
		const inbox = (inboxes[index] ?? []).map(([n, text]) => ({ n, data: decode(text) }));
		const id = idOf(seq, ids[index]!);
		// A name that differs from its stored form would never be found again.
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

/** Converts counts by state number to counts by state. */
export function showCounts(rows: readonly (readonly [state: number, count: number])[]): Counts {
	const counts = { waiting: 0, running: 0, held: 0, dead: 0, done: 0 };
	for (const [state, count] of rows) counts[states[state] ?? "dead"] += count;
	return counts;
}

/** The state numbers of a state, which may have several. */
export function formsOf(state: TaskState): number[] {
	return states.flatMap((name, number) => name === state ? [number] : []);
}

/** The public state of a state number. */
export function stateOf(number: number | null): TaskState | undefined {
	return number === null ? undefined : states[number] ?? "dead";
}
