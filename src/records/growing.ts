/**
 * Adds the children and joins of tasks. How these are counted and removed is in `families.ts`.
 *
 * @module
 */

import type { Child, Offspring } from "../basket/store.ts";
import { enterLanes, insert } from "./adding.ts";
import { copy, isExpired } from "./row.ts";
import type { Found, Session } from "./session.ts";
import type { Work } from "./space.ts";
import { idOf, joins, keyOf, type TaskRow } from "./tables.ts";
import { ask, get } from "./work.ts";

/** What a claim adds to its task. */
export interface Growth extends Offspring {
	readonly parent: TaskRow;
}

/** Whether anything is added to a task. */
export function isGrowing({ join, children = [] }: Offspring): boolean {
	return join !== undefined || children.length > 0;
}

/** Adds joins and children. */
export function* grow(session: Session, all: readonly Growth[]): Work<void> {
	if (all.length === 0) return;
	const opened = all.flatMap(({ parent: { home }, join }) => join === undefined ? [] : { home, ...join });
	const [there] = yield* ask(get(joins, opened.map(keyOf)));
	const made = new Set<string>();
	for (const [index, { home, name, isAnew, left, spare, data }] of opened.entries()) {
		const key = JSON.stringify([home, name]);
		const before = there[index];
		if (isAnew || (before === undefined && !made.has(key))) {
			session.tx.put(joins, { home, name, left, spare, data: copy(data) }, before);
		}
		made.add(key);
	}
	const children = all.flatMap(({ children = [] }) => children);
	if (children.length === 0) return;
	const taken = yield* session.findStored(children.map(({ id }) => id));
	const orphans = yield* findOrphans(session, all, [...taken.values()]);
	const enter = yield* enterLanes(session, children);
	const bear = ({ join, ...child }: Child, { home, ...rest }: TaskRow) => {
		const found = taken.get(child.id);
		const isFree = found === undefined || isExpired(found.row, session.now) || orphans.has(found.row);
		if (!isFree) return;
		if (found?.row.state === "running") session.tx.wake("claims");
		if (found !== undefined) session.remove(found);
		const rank = enter(child.lane);
		const own = { home: rank.order, ...session.withPayload(rank.order, child.payload) };
		const row = insert(session, child, rank, { ...own, parent: idOf({ home, ...rest }), family: home, joined: join });
		taken.set(child.id, { before: row, row });
	};
	for (const { parent, children = [] } of all) for (const child of children) bear(child, parent);
}

/** The tasks whose ids are in use, but whose parents are gone: they are only not removed yet. */
function* findOrphans(
	session: Session,
	all: readonly Growth[],
	taken: readonly Found[],
): Work<ReadonlySet<TaskRow>> {
	const own = new Set(all.map(({ parent: { home } }) => home));
	const others = taken.map(({ row }) => row).filter(({ family }) => family !== undefined && !own.has(family));
	const parents = yield* session.find(others.map(({ parent = "" }) => parent));
	return new Set(others.filter(({ parent = "", family }) => parents.get(parent)?.row.home !== family));
}
