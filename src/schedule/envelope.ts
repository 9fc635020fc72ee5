/**
 * The stored payload of a schedule: an envelope around the payload for the function.
 *
 * An envelope is a text that begins with U+0001 and a brace. Each text of a codec that begins with U+0001 or U+0002 gets
 * another U+0001 in front, so that none is mistaken for an envelope.
 *
 * @module
 */

/** An encoded payload, as stores keep it. */
type Data = string | Uint8Array;

/** Encoded data in an envelope: text, or an array with bytes as base64. */
export type Packed = string | readonly [string];

/** What is stored of a schedule. */
export interface Envelope {
	/** The text of the schedule. */
	readonly text: string;
	/** The nominal instant that is due next or runs, in milliseconds since 1970 on the store's clock. */
	readonly due: number;
	/** See `ScheduleOptions.missed`. */
	readonly missed: "once" | "all" | "skip" | number;
	/** See `ScheduleOptions.spread`. */
	readonly spread: number;
	/** Whether each tick is a task of its own. */
	readonly overlaps?: true | undefined;
	/** The id of the schedule, in the payload of such a tick. */
	readonly of?: string | undefined;
	/** Whether a definition of a kind has made it. */
	readonly isDeclared: boolean;
	/** How many missed instants the next run stands for, as far as this was decided. */
	readonly count: number;
	/** The payload that was scheduled, with which each tick begins. */
	readonly payload: Packed;
	/** The payload as an unfinished tick has left it. */
	readonly work?: Packed | undefined;
}

const mark = "\u0001";

/** Whether the data begins like an envelope. */
export function isEnvelope(data: Data): data is string {
	return typeof data === "string" && data.startsWith(mark + "{");
}

/** Reads an envelope. Returns `undefined` for other data, and for a damaged envelope. */
export function openEnvelope(data: Data): Envelope | undefined {
	if (!isEnvelope(data)) return undefined;
	try {
		return JSON.parse(data.slice(1));
	} catch {
		return undefined;
	}
}

export function sealEnvelope(envelope: Envelope): string {
	return mark + JSON.stringify(envelope);
}

/** Distinguishes the data of a codec from envelopes, and from the payload of collected items, which begins with U+0002. */
export function mask(data: Data): Data {
	return typeof data === "string" && data >= mark && data < "\u0003" ? mark + data : data;
}

/** Undoes {@link mask}. */
export function unmask(data: Data): Data {
	return typeof data === "string" && data.startsWith(mark) ? data.slice(1) : data;
}

export function pack(data: Data): Packed {
	return typeof data === "string" ? data : [btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join(""))];
}

export function unpack(packed: Packed): Data {
	return typeof packed === "string" ? packed : Uint8Array.from(atob(packed[0]), (byte) => byte.charCodeAt(0));
}
