/**
 * The query of a list and the changes of tasks, as the database needs them.
 *
 * @module
 */

import type { Change, ListQuery } from "../../basket/store.ts";
import { formsOf, mostRows, seqOfKey } from "../sql/sql.ts";
import { encode, encodeText, nameOf } from "./data.ts";
import { never } from "./sql.ts";

/** The largest text that begins with another one, as far as ids are concerned. */
const last = /* @__PURE__ */ "\u{10ffff}".repeat(256);

/** The arguments of the function. */
export function queryOf(query: ListQuery): Record<string, unknown> {
	const { state, kind, lane, prefix, parent, after, limit, isReverse = false } = query;
	const ranges = prefix === undefined ? undefined : rangesOf(prefix);
	return {
		parent: parent === undefined ? undefined : nameOf(parent),
		forms: state === undefined ? undefined : formsOf(state),
		kind: encodeText(kind),
		lane: encodeText(lane),
		froms: ranges?.map(([from]) => from),
		tos: ranges?.map(([, to]) => to),
		after: isReverse && after === undefined ? Number(never) : seqOfKey(after),
		most: Math.min(limit, mostRows),
		back: isReverse,
	};
}

/** The arguments of a change of tasks, and its name. */
export function changesOf(ids: readonly string[], change: Change): [items: readonly object[], name: string] {
	if (typeof change === "string") return [ids.map(nameOf), change];
	const { type, key, payload, keepsLog } = change;
	return [ids.map((id) => ({ ...nameOf(id), k: key, v: encode(payload), l: keepsLog })), type];
}

/**
 * The ranges of stored ids that begin with a text. Ids with unusual characters are stored as JSON. A prefix can end within
 * a character of two code units, which is then one of 1024 characters.
 */
function rangesOf(prefix: string): [from: string, to: string][] {
	const ranges = [...rangesFrom(prefix, prefix)];
	const half = /[\ud800-\udbff]$/.exec(prefix)?.[0].charCodeAt(0);
	if (half === undefined) return ranges;
	const point = 0x10000 + (half - 0xd800) * 1024;
	const [first, final] = [point, point + 1023].map((each) => prefix.slice(0, -1) + String.fromCodePoint(each));
	return [...ranges, ...rangesFrom(first!, final!)];
}

function* rangesFrom(from: string, to: string): Iterable<[from: string, to: string]> {
	if (encodeText(from) === from) yield [from, to + last];
	if (from !== "") yield [startOf(from), startOf(to) + last];
}

/** The beginning of ids with this beginning that are stored as JSON. */
function startOf(text: string): string {
	return encodeText(text + "\0")!.slice(0, -'\\u0000"'.length);
}
