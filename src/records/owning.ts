/**
 * For spaces that detect when an owner of claims has gone: its claims are released at once.
 *
 * @module
 */

import { counted } from "./orders.ts";
import { isSound } from "./row.ts";
import { Session } from "./session.ts";
import type { RecordTransaction, Work } from "./space.ts";
import { type TaskRow, tasks } from "./tables.ts";
import { ask, range } from "./work.ts";

/** Returns the tokens of all claims. */
export function* findTokens(): Work<string[]> {
	return (yield* findRunning()).map(({ token }) => token!);
}

/** Ends leases at once, unless they are over. Returns whether there were any. */
export function endLeases(tx: RecordTransaction, isGone: (token: string) => boolean): Work<boolean> {
	const settings = { orders: counted, inline: Infinity, random: Math.random, nextMark: String };
	return new Session(tx, settings).whole(function* (session) {
		const ending = (yield* findRunning()).filter(({ token, dueAt }) => dueAt! > tx.now && isGone(token!));
		for (const row of ending) session.put({ ...row, dueAt: tx.now }, row);
		if (ending.length > 0) tx.wake();
		return ending.length > 0;
	});
}

function* findRunning(): Work<TaskRow[]> {
	const [found] = yield* ask(range(tasks, "aside", { prefix: ["running"], limit: Infinity }));
	return found.filter(isSound).filter(({ state }) => state === "running");
}
