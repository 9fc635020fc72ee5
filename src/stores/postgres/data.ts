/**
 * Conversion between values and table columns.
 *
 * @module
 */

import type {
	BasketLimit,
	Claim,
	ClaimOrigin,
	ClaimRequest,
	Data,
	KindLimit,
	LogEntry,
	LogRead,
	Message,
	Ref,
	StoredTask,
	TurnResult,
} from "../../basket/store.ts";
import * as sql from "../sql/sql.ts";
import { columns } from "./sql.ts";

/** A task as returned by the database: its {@link columns}. */
export type TaskRow = readonly (string | number | null)[];

/** Claimed tasks by column, which is several times faster on the server than rows. */
export type ClaimColumns = readonly [
	seqs: number[],
	ids: (string | null)[],
	kinds: string[],
	lanes: (string | null)[],
	payloads: string[],
	addedAts: number[],
	now: number,
	more: Readonly<Record<number, More>> | null,
];

/** What a claimed task has that is not new. */
type More = readonly [
	priority: number,
	attempts: number,
	crashes: number,
	claims: number,
	error: string | null,
	limitKey: string | null,
	late: number,
	inbox: readonly MessageRow[] | null,
	logged: number | null,
	meta: string | null,
	history: string | null,
	worker: string | null,
	claimed: number | null,
];

export type MessageRow = readonly [n: number, data: string];

/** The prefix of bytes, which are stored in base64: a noncharacter, which is stored like a character. */
const binary = "\ufdd1";

/** Encodes data: the column is a `text`, which cannot hold bytes. */
export function encode(data: Data): string {
	if (typeof data === "string") return sql.encodeText(data);
	return binary + btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join(""));
}

/** Undoes {@link encode}. Returns `undefined` for an invalid text. */
export function decode(text: string): Data | undefined {
	if (text[0] !== binary) return sql.decodeText(text);
	try {
		return Uint8Array.from(atob(text.slice(1)), (character) => character.charCodeAt(0));
	} catch {
		return undefined;
	}
}

/** Encodes optional data. */
export function encodeData(data: Data | undefined): string | undefined {
	return data === undefined ? undefined : encode(data);
}

/** Encodes optional text: names and errors. */
export function encodeText(text: string | null | undefined): string | undefined {
	return text === undefined || text === null ? undefined : sql.encodeText(text);
}

/** Damaged text is returned unchanged. */
export function decodeText(text: string): string;
export function decodeText(text: string | null): string | null;
export function decodeText(text: string | null): string | null {
	return text && (sql.decodeText(text) ?? text);
}

/** A Postgres array literal; the drivers differ in their own conversion. */
export function arrayOf(texts: readonly (string | undefined)[]): string {
	return `{${texts.map((text) => text === undefined ? "NULL" : `"${text.replace(/["\\]/g, "\\$&")}"`)}}`;
}

/** Rounds to milliseconds, limited so that the resulting instant is a safe integer. */
export function duration(value: number): number {
	return Math.min(Math.ceil(value), 2 ** 52);
}

/** The arguments by which the functions find a task. */
export function nameOf(id: string): { s: number; i: string } {
	return { s: sql.seqIn(id), i: encode(id) };
}

/** The arguments by which the functions find a claim. Ids that the store has created are in no column. */
export function refOf({ id, token }: Ref): { s: number; n: number; i: string | undefined } {
	const [s, n] = token.split(".").map(Number);
	return { s: s || 0, n: n || 0, i: id === `_${s}` ? undefined : encode(id) };
}

/** The arguments by which the function finds entries of a log. */
export function showRead({ id, token, after, limit }: LogRead): Record<string, unknown> {
	const task = token === undefined ? nameOf(id) : refOf({ id, token });
	return { ...task, f: after, m: Math.min(limit, sql.mostRows) };
}

/** The entries of a log, without unreadable ones. */
export function showLog(rows: readonly MessageRow[] | null): LogEntry[] | undefined {
	return rows?.flatMap(([n, text]) => {
		const data = decode(text);
		return data === undefined ? [] : [{ n, data }];
	});
}

/** The limit of the basket; empty if there is none. */
export function showLimit(limit: BasketLimit | undefined): string {
	if (limit === undefined) return "";
	const { atOnce, spacing, burst } = limit;
	return JSON.stringify({ a: atOnce < Infinity ? atOnce : undefined, s: spacing, u: burst });
}

/** A request with the limits of its kinds. */
export function showRequest({ kinds, limit }: ClaimRequest, limits: readonly KindLimit[] = []): unknown[] {
	const own = limits.filter(({ kind }) => kinds.includes(kind)).map(({ kind, atOnce, spacing, burst }) => ({
		k: encode(kind),
		a: atOnce < Infinity ? atOnce : undefined,
		s: spacing,
		u: burst,
	}));
	return [Math.min(limit, sql.mostRows), kinds.map(encode), own];
}

export function showMessage([n, data]: MessageRow): Message {
	return { n, data: decode(data) ?? "" };
}

export function showTask(row: TaskRow): StoredTask {
	const names = [...columns.split(", "), "limitKey"];
	const show = (value: string | number | null) => typeof value === "string" ? decodeText(value) : value;
	const shown = Object.fromEntries(names.map((name, at) => [name, show(row[at]!)]));
	const data = (name: string) => decode(row[names.indexOf(name)] as string);
	const task = sql.showTask(shown as unknown as sql.TaskRow, data("payload"));
	const limitKey = shown["limitKey"] as string ?? undefined;
	const parent = shown["parent"] as string ?? undefined;
	const { meta, history, worker, claimed } = shown as Record<string, never>;
	const past = { meta: meta ?? undefined, history: history ?? undefined, claim: originOf(worker!, claimed!) };
	return { ...task, limitKey, parent, ...past, ...shown["result"] === null ? {} : { result: data("result") } };
}

/** The current claim, or the last one if that ended without a settlement. */
function originOf(worker: string | null, claimed: number | null): ClaimOrigin | undefined {
	return claimed === null ? undefined : { worker: worker ?? undefined, at: claimed };
}

/** The claims of a turn. One that has found nothing does not ask again at once, as others may have it locked. */
export function showTaken(
	claims: readonly (Claim | undefined)[],
	dueIn: number | null,
): Pick<TurnResult, "claims" | "dueIn"> {
	const given = inRuns(claims.filter((claim) => claim !== undefined));
	const pause = dueIn !== null && dueIn <= 0 && given.length === 0 ? 20 : 0;
	return { claims: given, dueIn: Math.max(pause, dueIn ?? Infinity) };
}

/** Puts followers right behind their heads. */
function inRuns(claims: readonly Claim[]): readonly Claim[] {
	const runs = new Map<unknown, Claim[]>();
	for (const claim of claims) {
		const key = claim.lane ?? claim;
		if (!runs.get(key)?.push(claim)) runs.set(key, [claim]);
	}
	return runs.size === claims.length ? claims : [...runs.values()].flat();
}

/** By what the functions find these claims, with their failed attempts. */
export function claimsIn(
	[seqs, ids, , , , , , more]: ClaimColumns,
): { s: number; i: unknown; n: number; a: number }[] {
	return seqs.map((s, index) => {
		const [, a = 0, , n = 1] = more?.[s] ?? [];
		return { s, i: ids[index], n, a };
	});
}

/** Converts claims; `undefined` for each unreadable one. */
export function showClaims(columns: ClaimColumns): (Claim | undefined)[] {
	const [seqs, ids, kinds, lanes, payloads, addedAts, now, more] = columns;
	return seqs.map((seq, index) => {
		const addedAt = addedAts[index]!;
		const age = now - addedAt;
		const [
			priority = 0,
			attempts = 0,
			crashes = 0,
			claims = 1,
			error = null,
			key = null,
			late = age,
			unread,
			logged,
			meta = null,
			history = null,
			worker = null,
			claimed = null,
		] = more?.[seq] ?? [];
		const payload = decode(payloads[index]!);
		const inbox = (unread ?? []).map(([n, text]) => ({ n, data: decode(text) }));
		const id = sql.idOf({ seq, id: decodeText(ids[index]!) });
		// A name that differs from its stored form would never be found again.
		const isNamed = ids[index] === null || encode(id) === ids[index];
		if (!isNamed || payload === undefined || inbox.some(({ data }) => data === undefined)) return undefined;
		return {
			id,
			token: `${seq}.${claims}`,
			lane: decodeText(lanes[index]!) ?? undefined,
			kind: decodeText(kinds[index]!),
			payload,
			attempts,
			crashes,
			priority,
			error: decodeText(error) ?? undefined,
			addedAt,
			age,
			late: Math.max(0, late),
			meta: decodeText(meta) ?? undefined,
			history: decodeText(history) ?? undefined,
			lapsed: originOf(decodeText(worker), claimed),
			inbox: inbox as Message[],
			limitKey: decodeText(key) ?? undefined,
			logged: logged ?? undefined,
		};
	});
}
