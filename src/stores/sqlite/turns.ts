/**
 * Turns: settlements and claims, each in a part of an open transaction.
 *
 * @module
 */

import type { ClaimRequest, KindLimit, Turn, TurnResult } from "../../basket/store.ts";
import { within } from "../../basket/admission.ts";
import type { SqliteClaims } from "./claims.ts";
import type { Level, Seen } from "./due.ts";
import type { SqliteOverall } from "./overall.ts";

/** The result of a turn, and whether others may then have work. */
type Turned = TurnResult & {
	readonly isStirred: boolean;
	/** Whether a task with a claim has got a message, or is gone. */
	readonly isClaimed: boolean;
};

export class SqliteTurns {
	readonly #tasks: SqliteClaims;
	readonly #overall: SqliteOverall;

	constructor(tasks: SqliteClaims, overall: SqliteOverall) {
		this.#tasks = tasks;
		this.#overall = overall;
	}

	/**
	 * Most turns that settle nothing find nothing. They must not keep others from writing, nor wait for them.
	 *
	 * @param lock lets the transaction write from then on
	 * @returns `undefined` if others write
	 */
	tryTurn(basket: string, turn: Turn, now: number, lock: () => boolean): Turned | undefined {
		const { limits = [] } = turn;
		const seen = this.#tasks.look(basket, now);
		const claim = this.#tasks.unpaused(basket, turn.claim, seen);
		const kinds = kindsOf(claim);
		const levels = this.#tasks.levels(basket, kinds);
		const pause = this.#tasks.pauseFor(basket, kinds, levels, now);
		const isIdle = pause > 0 && !seen.hasExpired && !this.#tasks.hasOrphans(basket) &&
			!this.#tasks.gates.isOutdated(basket, kinds, limits, now);
		if (isIdle) return { settled: [], claims: [], dueIn: pause, isStirred: false, isClaimed: false };
		return lock() ? this.#claim(basket, { ...turn, claim }, seen, levels, now) : undefined;
	}

	turn(basket: string, turn: Turn, now: number): Turned {
		const seen = this.#tasks.look(basket, now);
		const claim = this.#tasks.unpaused(basket, turn.claim, seen);
		const { settled, isStirred } = this.#tasks.settle(basket, turn.settle, seen, now);
		const told = this.#tasks.follow(basket, settled.length, now);
		const levels = this.#tasks.levels(basket, kindsOf(claim));
		const result = this.#claim(basket, { ...turn, claim }, seen, levels, now);
		// A place may be free that this turn has not taken.
		return {
			...result,
			settled,
			isClaimed: told.isClaimed || result.isClaimed,
			isStirred: isStirred || told.isPosted || result.isStirred || this.#tasks.gates.hasWaiting(basket, now),
		};
	}

	/** @param turn without paused kinds */
	#claim(basket: string, turn: Turn, { hasExpired }: Seen, levels: readonly Level[], now: number): Turned {
		const { settle, claim, overall } = turn;
		const kinds = kindsOf(claim);
		if (hasExpired) this.#tasks.expire(basket, settle.length, now);
		if (kinds.length > 0) this.#tasks.gates.prepare(basket, kinds, turn.limits ?? [], now);
		const late = overall === undefined ? [] : this.#overall.late(basket, overall, now);
		this.#tasks.putBack(basket, late, now);
		const known = late.length > 0 ? this.#tasks.levels(basket, kinds) : levels;
		const gate = overall && this.#overall.open(basket, overall, now);
		const begin = (request: ClaimRequest, left: number) => this.#tasks.claim(basket, request, known, turn, left, now);
		const claims = within(gate?.left ?? Infinity, claim, begin);
		const { isPosted, isClaimed } = this.#tasks.follow(basket, 0, now);
		// In most cases a task like the last one follows, which is a faster check than the search for other tasks.
		const last = claims.at(-1);
		const hasMore = last !== undefined && this.#tasks.hasMore(basket, last, now);
		const pause = hasMore ? 0 : this.#dueIn(basket, kinds, turn.limits ?? [], now);
		if (gate === undefined) return { settled: [], claims, dueIn: pause, isStirred: isPosted, isClaimed };
		const { dueIn, isFreed } = this.#overall.close(basket, gate, claims.length, pause, now);
		return { settled: [], claims, dueIn, isStirred: isFreed || isPosted || late.length > 0, isClaimed };
	}

	/** The time until a task can be claimed. A gate that seems ready may have no such task; then the look closes it. */
	#dueIn(basket: string, kinds: readonly string[], limits: readonly KindLimit[], now: number): number {
		const levels = this.#tasks.levels(basket, kinds);
		const pause = this.#tasks.pauseFor(basket, kinds, levels, now);
		if (pause > 0 || levels.some(({ due }) => due <= now)) return pause;
		const isDue = kinds.some((kind) => this.#tasks.picks.pick(basket, [kind], limits, 1, now).flat().length > 0);
		return isDue ? 0 : this.#tasks.pauseFor(basket, kinds, levels, now);
	}
}

function kindsOf(requests: readonly ClaimRequest[]): string[] {
	return requests.flatMap(({ kinds }) => kinds);
}
