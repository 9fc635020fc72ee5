/**
 * What workers write about their claims, as arguments of the functions.
 *
 * @module
 */

import type { Offspring, Outcome, Save, Settlement } from "../../basket/store.ts";
import * as sql from "../sql/sql.ts";
import { columnsOf } from "./adding.ts";
import { arrayOf, duration, encode, encodeData, encodeText, refOf } from "./data.ts";

/** The values that the function writes for a settlement; absent ones stay unchanged. */
export function showEnding(settlement: Settlement): Record<string, unknown> {
	const { state, delay, attempts, crashes, error, backoff, seen, payload, result } = sql.endingOf(settlement.outcome);
	return {
		...refOf(settlement.ref),
		t: sql.isRemoval(settlement) ? -1 : state,
		d: delay === null ? null : duration(delay),
		a: attempts,
		c: crashes,
		e: encodeText(error),
		k: backoff,
		m: seen,
		h: mostOf(settlement),
		v: encodeData(payload),
		u: encodeData(result),
		x: encodeText(settlement.outcome.history),
		...limitsOf(settlement.outcome),
		...partOf(settlement),
		bad: isBad(settlement) || undefined,
	};
}

/** The values that the function writes for a save. */
export function showSave(save: Save): Record<string, unknown> {
	const { ref, payload, progress, seen } = save;
	return { ...refOf(ref), v: encodeData(payload), g: encodeText(progress), m: seen, ...partOf(save) };
}

function partOf({ ref, log, ...offspring }: Save | Settlement): Record<string, unknown> {
	return { f: log?.after, l: log?.entries.map(encode), j: showOffspring(ref.id, offspring) };
}

/** Whether the number of the task says all about a settlement. */
export function isShort(settlement: Settlement): boolean {
	const { ref, outcome } = settlement;
	return sql.isRemoval(settlement) && sql.isPlain(ref) && !("seen" in outcome) && !isBad(settlement);
}

/** Whether the claim ends badly, although its task is done. */
function isBad({ outcome }: Settlement): boolean {
	return outcome.type === "done" && outcome.isBad === true;
}

/** If the messages of a done task matter: how many of them make it due at once, whatever waits behind its claim. */
function mostOf({ outcome }: Settlement): number | undefined {
	return outcome.type === "done" && outcome.seen !== undefined ? outcome.most ?? sql.mostRows : undefined;
}

/** What a settlement means for the gate of its task: the key that it gets, whether it is shut, and whether a start is taken back. */
function limitsOf(outcome: Outcome): Record<string, unknown> {
	return {
		g: outcome.type === "release" ? encodeText(outcome.limitKey) : undefined,
		z: "isKeyShut" in outcome && outcome.isKeyShut === true || undefined,
		y: outcome.type === "release" && outcome.delay === undefined || undefined,
	};
}

/** What a claim adds to its task; `undefined` if it adds nothing. */
function showOffspring(parent: string, { join, children = [] }: Offspring): Record<string, unknown> | undefined {
	if (join === undefined && children.length === 0) return undefined;
	return {
		n: encodeText(join?.name),
		r: join?.isAnew || undefined,
		l: join?.left,
		s: join?.spare,
		d: join && encode(join.data),
		p: encode(parent),
		...children.length > 0 && {
			c: columnsOf(children, false),
			js: arrayOf(children.map(({ join }) => encodeText(join))),
		},
	};
}

/** The lanes of children, which are locked before anything else. */
export function cornersOf(all: readonly Offspring[]): string {
	const lanes = all.flatMap(({ children = [] }) => children.flatMap(({ lane }) => lane ?? []));
	return arrayOf([...new Set(lanes)].map(encode));
}
