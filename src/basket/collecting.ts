/**
 * Items that are collected for one task: the payload of the task says how many of them a run gets, and its messages
 * are the items.
 *
 * @module
 */

import type { Kind } from "./options.ts";
import type { Claim, Data, Done, Message, NewTask } from "./store.ts";
import { chain, isThenable } from "./payload.ts";
import { collectedMark, isCollected } from "./place.ts";
import { validate } from "../platform/standard-schema.ts";

/** What is stored of a task with a collected item. */
export function sealCollected(item: Data, most = 100): Pick<NewTask, "payload" | "item" | "most"> {
	return { payload: collectedMark + JSON.stringify({ most }), item, most };
}

/** The items of a run. */
export interface Collected {
	readonly items: readonly Message[];
	/** A part of the outcome if it is done. */
	readonly end: Required<Pick<Done, "seen" | "most">>;
}

/** The first items of a claim, as many as a run gets; `undefined` if it has no items. */
export function collectedIn({ mayRecur }: Kind, { payload, inbox }: Claim): Collected | undefined {
	// The payloads of jobs are not masked.
	if (!mayRecur || !isCollected(payload)) return undefined;
	const { most } = JSON.parse(payload.slice(1));
	const items = inbox.slice(0, most);
	const seen = items.at(-1)?.n;
	if (seen === undefined) throw new TypeError("The stored items are damaged");
	// The items behind them have waited long enough.
	return { items, end: { seen, most: inbox.length > items.length ? 1 : most } };
}

/** Decodes and checks a payload, or items. Returns a promise only if the codec or the schema is asynchronous. */
export function readPayload({ codec, schema }: Kind, data: Data, items?: readonly Message[]): unknown {
	const decoded = items?.map(({ data }) => codec.decode(data));
	const payload = decoded?.some(isThenable) ? Promise.all(decoded) : decoded ?? codec.decode(data);
	return chain(payload, (payload) => schema === undefined ? payload : validate(schema, payload));
}
