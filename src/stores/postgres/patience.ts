/**
 * Calls that lock several tasks or lanes, beside transactions of users that do so in an order of their own.
 *
 * Such a call gives up a lock early, and what it holds with it, so that a transaction that waits for this goes on. If it
 * waited on, the server would end one of the two, and perhaps the transaction.
 *
 * @module
 */

import type { Settlement, TurnResult } from "../../basket/store.ts";
import { inParts } from "../../basket/in-parts.ts";
import { seqOf } from "../sql/sql.ts";
import { StoreError } from "../../platform/store-error.ts";
import { pause } from "./limit.ts";

/** How long such a call waits for a lock, in milliseconds: less than the usual `deadlock_timeout` of a server, 1 s. */
const patience = 250;

/** A statement that calls a function with that limit. */
export function impatiently(call: string): string {
	return `SELECT ${call} FROM (SELECT pg_catalog.set_config('lock_timeout', '${patience}', true)) s`;
}

/** Whether a call has given up a lock. */
export function isLocked(error: unknown): boolean {
	const { code, errno } = Object(error instanceof StoreError && error.cause);
	return [code, errno].some((each) => each === "55P03" || each === "40P01");
}

/** Calls a function with all items. If one of them is locked, it calls the function for each one, which may wait. */
export async function oneByOne<T, R>(
	items: readonly T[],
	call: (items: readonly T[]) => Promise<readonly R[]>,
): Promise<readonly R[]> {
	try {
		return await call(items);
	} catch (error) {
		if (items.length < 2 || !isLocked(error)) throw error;
	}
	const results: R[] = [];
	for (const item of items) results.push((await call([item]))[0]!);
	return results;
}

/** Settles each claim in a call of its own, which may wait. Those of a lane are settled one after the other. */
export async function settleAlone(
	settlements: readonly Settlement[],
	settle: (settlements: readonly Settlement[]) => Promise<TurnResult>,
): Promise<boolean[]> {
	const alone = async (one: Settlement) => (await settle([one])).settled[0]!;
	const settled: Promise<boolean>[] = [];
	const lanes = new Map<unknown, Promise<boolean>>();
	for (const place of inParts(settlements, seqOf)) {
		const one = settlements[place]!;
		const lane = one.ref.lane ?? one;
		const before = lanes.get(lane);
		settled[place] = before === undefined ? alone(one) : before.then(() => alone(one));
		lanes.set(lane, settled[place]);
	}
	return await Promise.all(settled);
}

/** Repeats a call whose items must not be separated until nothing is locked, for this many milliseconds. */
export async function again<R>(timeout: number, call: () => Promise<R>): Promise<R> {
	for (const start = performance.now();;) {
		try {
			return await call();
		} catch (error) {
			if (!isLocked(error) || performance.now() - start > timeout) throw error;
		}
		await pause(50 * Math.random());
	}
}
