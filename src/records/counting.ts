/**
 * Counts tasks where those that do not simply wait have no index of their own.
 *
 * @module
 */

import type { Counts } from "../basket/store.ts";
import { isExpired, toTask } from "./row.ts";
import type { Session } from "./session.ts";
import type { Work } from "./space.ts";
import { type Order, stateOf, tasks } from "./tables.ts";
import { ask, range } from "./work.ts";

/** What a part of the counting has found, and where the next one goes on. */
export interface CountedPart {
	readonly counts: Counts;
	/** Absent at the end. */
	readonly above?: Order | undefined;
}

/** How many there are in a part of all. */
export function* countPart({ now }: Session, above: Order | undefined): Work<CountedPart> {
	const most = 1000;
	const [found] = yield* ask(
		range(tasks, undefined, { prefix: [], ...(above !== undefined && { above: [above] }), limit: most }),
	);
	const counts = { waiting: 0, running: 0, held: 0, dead: 0, done: 0 };
	for (const row of found.map(toTask)) if (!isExpired(row, now)) counts[stateOf(row)]++;
	return { counts, above: found.length === most ? toTask(found.at(-1)!).order : undefined };
}
