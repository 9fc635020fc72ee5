/**
 * Counts tasks in spaces without the index `aside`.
 *
 * @module
 */

import type { Counts } from "../basket/store.ts";
import { isExpired, toTask } from "./row.ts";
import type { Session } from "./session.ts";
import type { Work } from "./space.ts";
import { type Order, stateOf, tasks } from "./tables.ts";
import { ask, range } from "./work.ts";

/** The result of one part of a count, and where the next part begins. */
export interface CountedPart {
	readonly counts: Counts;
	/** Absent after the last part. */
	readonly above?: Order | undefined;
}

/** Counts one part of all tasks. */
export function* countPart({ now }: Session, above: Order | undefined): Work<CountedPart> {
	const most = 1000;
	const [found] = yield* ask(
		range(tasks, undefined, { prefix: [], ...(above !== undefined && { above: [above] }), limit: most }),
	);
	const counts = { waiting: 0, running: 0, held: 0, dead: 0, done: 0 };
	for (const row of found.map(toTask)) if (!isExpired(row, now)) counts[stateOf(row)]++;
	return { counts, above: found.length === most ? toTask(found.at(-1)!).order : undefined };
}
