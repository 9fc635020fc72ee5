/**
 * The order in which a store settles claims that do not fit into one commit.
 *
 * @module
 */

import type { Ref, Settlement } from "./store.ts";

/**
 * The places of settlements in an order in which each may have a commit of its own.
 *
 * First come the tasks that end, in the order of their lanes: if the process dies in between, none is done before one
 * ahead of it. Then come those that stay, the last one first: each of them gives those behind it back, whose own ends must
 * count before that.
 *
 * @param orderOf the place of a claimed task in its lane, compared with others
 */
export function inParts(settlements: readonly Settlement[], orderOf: (ref: Ref) => string | number): number[] {
	const places = [...settlements.keys()];
	if (settlements.every(({ ref }) => ref.lane === undefined)) return places;
	const orders = settlements.map(({ ref }) => orderOf(ref));
	const areOver = settlements.map(({ outcome: { type } }) => type === "done" || type === "dead");
	return places.sort((a, b) => {
		if (areOver[a] !== areOver[b]) return areOver[a] ? -1 : 1;
		const [first, second] = areOver[a] ? [a, b] : [b, a];
		return orders[first]! < orders[second]! ? -1 : orders[first]! > orders[second]! ? 1 : a - b;
	});
}
