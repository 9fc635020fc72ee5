/**
 * Turns with a limit, for the tests of limits.
 *
 * @module
 */

import type { Claim, KindLimit, NewTask, Outcome, Ref, Settlement, TurnResult } from "../../basket/store.ts";
import { equal, fail } from "./assert.ts";
import { type Bench, type BenchTurn, idsOf, numbered } from "./bench.ts";

/** The parts of a limit, with defaults that allow everything. */
export type PartialLimit = Partial<Omit<KindLimit, "kind">>;

/** The limit of a kind. */
export function limitedTo({ atOnce = Infinity, spacing = 0, burst = 1 }: PartialLimit, kind = "work"): KindLimit {
	return { kind, atOnce, spacing, burst };
}

/** Tasks of the kind `work` with this key: `key1`, `key2` … */
export function keyed(key: string, count: number): Partial<NewTask>[] {
	return numbered(count, key).map((id) => ({ id, limitKey: key }));
}

/** Settlements of claims as done. */
export function done(refs: readonly Ref[]): Settlement[] {
	return refs.map((ref) => ({ ref, outcome: { type: "done" } }));
}

/** A worker for tasks of the kind `work`, which has a limit. */
export class Limiter {
	readonly #bench: Bench;
	readonly #limits: readonly KindLimit[];

	constructor(bench: Bench, limit: PartialLimit) {
		this.#bench = bench;
		this.#limits = [limitedTo(limit)];
	}

	/** Makes a turn that claims tasks. */
	turn(turn: BenchTurn = {}, limit = 20): Promise<TurnResult> {
		return this.#bench.turn({ claim: [{ kinds: ["work"], limit }], limits: this.#limits, ...turn });
	}

	async claim(limit = 20, lease: number = this.#bench.long): Promise<readonly Claim[]> {
		return (await this.turn({ lease }, limit)).claims;
	}

	/** Ends the claim of a task in a turn, and expects these and only these tasks to be claimed in it, in any order. */
	async expectNext(
		claims: readonly Claim[],
		id: string,
		ids: readonly string[],
		outcome: Outcome = { type: "done" },
	): Promise<readonly Claim[]> {
		const ref = claims.find((claim) => claim.id === id) ?? fail(`"${id}" is not among ${idsOf(claims)}`);
		const turn = await this.turn({ settle: [{ ref, outcome }] });
		equal(turn.settled, [true], `whether "${id}" is settled as ${outcome.type}`);
		equal(idsOf(turn.claims).sort(), [...ids].sort(), `claimed when "${id}" is settled as ${outcome.type}`);
		return turn.claims;
	}

	/** Lets a millisecond pass, if the clock of the store stands still. */
	async tick(): Promise<void> {
		if (this.#bench.isExact) await this.#bench.fixture.advance!(1);
	}
}
