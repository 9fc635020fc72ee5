/**
 * Tests of the limit of a basket, for tasks of all kinds.
 *
 * @module
 */

import type { BasketLimit, Claim, Ref, Settlement, Store, TurnResult } from "../../basket/store.ts";
import { between, equal } from "./assert.ts";
import { type Bench, idsOf, newTask, numbered, type StoreTest } from "./bench.ts";
import { done, keyed, limitedTo, type PartialLimit } from "./limiter.ts";
import { expectWoken } from "./watching.ts";

/** Both kinds of the tests. */
const kinds = ["work", "other"];

/** Makes a turn with a limit of the basket that claims tasks of both kinds. */
function turn(
	bench: Bench,
	{ atOnce = Infinity, spacing = 0, burst = 1 }: PartialLimit,
	rest: Parameters<Bench["turn"]>[0] = {},
	store?: Store,
): Promise<TurnResult> {
	const overall: BasketLimit = { atOnce, spacing, burst };
	return bench.turn({ claim: [{ kinds, limit: 20 }], ...rest, overall }, store);
}

function others(count: number): { id: string; kind: string }[] {
	return numbered(count, "o").map((id) => ({ id, kind: "other" }));
}

function ends(refs: readonly Ref[], delay: number): Settlement[] {
	return refs.map((ref) => ({ ref, outcome: { type: "retry", delay, attempts: 1, error: "x" } }));
}

/** A function, because bundlers treat the call of a function at the top as a side effect. */
export function overall(): StoreTest[] {
	return [
		{
			title: "turn() claims no more tasks of all kinds than the limit of the basket lets run at once",
			async run(bench) {
				const limit = { atOnce: 3 };
				await bench.add("w1", ...others(4), ...keyed("a", 2));
				const claim = [{ kinds: ["work"], limit: 2 }, { kinds, limit: 20 }];
				const first = await turn(bench, limit, { claim });
				equal(first.claims.length, 3, "how many are claimed");
				equal(first.claims.slice(0, 2).map(({ kind }) => kind), ["work", "work"], "kinds of the first request");
				between(first.dueIn, 1, bench.long, "dueIn while all places are taken");
				equal((await turn(bench, limit)).claims, [], "claimed while all places are taken");
				const [one, two, three] = first.claims;
				const next = await turn(bench, limit, { settle: done([one!]) });
				equal(next.claims.length, 1, "claimed when one is done");
				const again = await turn(bench, limit, { settle: ends([two!, three!], bench.long) });
				equal(again.claims.length, 2, "claimed when two back off");
				await bench.store.delete(bench.basket, [next.claims[0]!.id]);
				const last = await turn(bench, limit);
				equal(
					[last.claims.length, last.dueIn > 0],
					[1, true],
					"claimed when one is deleted, and whether dueIn is later",
				);
				const free = await bench.turn({ settle: done(again.claims), claim: [{ kinds, limit: 20 }] });
				equal(free.claims, [], "claimed when all that is left runs or backs off");
			},
		},
		{
			title: "turn() heeds the limits of the basket and of a kind",
			async run(bench) {
				await bench.add(...keyed("a", 3), ...keyed("b", 1), ...others(3));
				const limits = [limitedTo({ atOnce: 1 })];
				const { claims } = await turn(bench, { atOnce: 4 }, { limits });
				equal(claims.length, 4, "how many are claimed");
				equal(claims.filter(({ limitKey }) => limitKey === "a").length, 1, "how many of them have the key a");
				const more = await bench.turn({ claim: [{ kinds, limit: 20 }], limits });
				equal(more.claims.length, 1, "claimed without a limit of the basket");
				equal((await turn(bench, { atOnce: 9 }, { limits })).claims, [], "claimed with a larger one");
			},
		},
		{
			title: "turn() counts a crashed task for the limit of the basket until it puts it back, also one of another kind",
			async run(bench) {
				const limit = { atOnce: 2 };
				await bench.add("w1", "w2", { id: "w3", delay: bench.unit / 2 }, ...others(1));
				const lease = bench.unit;
				const lost = await turn(bench, limit, {
					claim: [{ kinds: ["other", "work"], limit: 1 }, { kinds: ["other"], limit: 1 }],
					lease,
				});
				equal(idsOf(lost.claims).sort(), ["o1", "w1"], "claimed");
				await bench.store.add(bench.basket, [newTask({ id: "w1", payload: "newer", ifPresent: "replace" })]);
				await bench.pass(1);
				const { claims } = await turn(bench, limit, { claim: [{ kinds: ["work"], limit: 9 }] });
				equal(idsOf(claims), ["w2", "w3"], "claimed after the leases, when others were due before");
				const { state, attempts, crashes } = await bench.get("o1");
				equal([state, attempts, crashes], ["waiting", 1, 1], "the crashed task of the other kind");
				equal(
					(await bench.turn({ settle: done(lost.claims) })).settled,
					[false, false],
					"settled under the lost claims",
				);
				const [again] =
					(await turn(bench, limit, { claim: [{ kinds: ["work"], limit: 9 }], settle: done(claims) })).claims;
				const { id, attempts: count, crashes: crashed, payload } = again!;
				equal([id, count, crashed, payload], ["w1", 1, 1, "newer"], "the crashed task that was replaced");
			},
		},
		{
			title: "turn() counts a held task that is running for the limit of the basket, also after its lease",
			async run(bench) {
				await bench.add("w1", "w2", "w3");
				const [ref] = (await turn(bench, { atOnce: 1 }, { lease: bench.unit })).claims;
				await bench.change("w1", "hold");
				await bench.pass(1);
				const { claims, dueIn } = await turn(bench, { atOnce: 1 });
				equal([claims, dueIn], [[], Infinity], "claims and dueIn while the only place is that of a held task");
				equal(
					idsOf((await turn(bench, { atOnce: 1 }, { settle: done([ref!]) })).claims),
					["w2"],
					"claimed when it is done",
				);
			},
		},
		{
			title: "turn() starts no more tasks of all kinds than the rate of the basket allows",
			async run(bench) {
				const { isExact, unit, long } = bench;
				const limit = { spacing: isExact ? 2 * unit : long, burst: 2 };
				await bench.add("w1", "w2", ...others(3));
				const first = await turn(bench, limit);
				equal(first.claims.length, 2, "claimed at first");
				between(first.dueIn, 1, limit.spacing, "dueIn");
				const none = await turn(bench, limit, { settle: done(first.claims) });
				equal(none.claims, [], "claimed at once after that");
				if (!isExact) return;
				await bench.pass(2);
				equal((await turn(bench, limit)).claims.length, 1, "claimed after the time between two starts");
				await bench.pass(20);
				const last = await turn(bench, limit);
				equal([last.claims.length, last.dueIn > unit], [2, true], "claimed after a rest, and whether dueIn is later");
			},
		},
		{
			title: "turn() of several processes never claims more tasks than the limit of the basket lets run at once",
			needs: ["shared"],
			async run(bench) {
				const other = await bench.fixture.another!();
				await bench.persistently(() => other.open());
				await bench.add(...numbered(6, "w"), ...others(6));
				const running = new Map<string, Claim>();
				let ended = 0;
				for (let round = 0; ended < 12 && round < 100; round++) {
					const settle = done([...running.values()].slice(0, 2));
					const results = await Promise.all(
						[bench.store, other].map((store, index) =>
							bench.persistently(() => turn(bench, { atOnce: 3 }, { settle: settle.slice(index, index + 1) }, store))
						),
					);
					for (const { ref } of settle) running.delete(ref.id);
					ended += settle.length;
					for (const claim of results.flatMap(({ claims }) => claims)) running.set(claim.id, claim);
					between(running.size, 0, 3, "how many run at once");
				}
				equal(ended, 12, "how many are done");
			},
		},
		{
			title: "watch() wakes for a place that a turn has left, for others that have found none",
			needs: ["watch"],
			async run(bench) {
				const limit = { atOnce: 1 };
				await bench.add(...numbered(6, "w"), ...others(1));
				let claims = (await turn(bench, limit)).claims;
				await expectWoken(bench, bench.store, async (index) => {
					await turn(bench, limit, { claim: [{ kinds: ["other"], limit: 1 }] });
					await turn(bench, limit, { settle: done(claims), claim: [] });
					claims = (await turn(bench, limit, { claim: [{ kinds: ["work"], limit: 1 }] })).claims;
					equal(claims.length, 1, `claimed after ${index} times`);
				});
			},
		},
	];
}
