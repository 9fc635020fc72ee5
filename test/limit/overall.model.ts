// Random turns of processes with a limit of the basket, and the laws that must hold after each of them.
import { expect } from "vitest";
import type { BasketLimit, Claim, NewTask, Settlement, Store } from "../../src/store.ts";
import { Random } from "../simulation/random.ts";

/** A store on which nothing else works, and its time. */
export interface Ground {
	/** Two processes. */
	readonly stores: readonly [Store, Store];
	advance(duration: number): unknown;
	setBack(duration: number): unknown;
}

const kinds = ["a", "b", "c"];

/** Makes random calls, and demands that all tasks are done afterwards. */
export async function tryOverall({ stores, advance, setBack }: Ground, seed: number, steps = 100): Promise<void> {
	const random = new Random(seed);
	const basket = `basket ${seed}`;
	const overall: BasketLimit = {
		atOnce: random.pick([1, 2, 5, Infinity]),
		spacing: random.pick([0, 10, 1_000 / 3]),
		burst: random.pick([1, 2, 4]),
	};
	const starts: number[] = [];
	let claims: Claim[] = [];
	let added = 0;

	async function turn(limit: number, settle: Settlement[], wanted = kinds): Promise<number> {
		const store = random.pick([...stores]);
		const claim = limit === 0 ? [] : [{ kinds: wanted, limit: 1 }, { kinds, limit }];
		const limits = [{ kind: "c", atOnce: 1, spacing: 0, burst: 1 }];
		const result = await store.turn(basket, { settle, claim, lease: random.pick([20, 500]), limits, overall });
		for (const { id } of result.claims) claims = claims.filter((one) => one.id !== id);
		for (const one of result.claims) {
			claims.push(one);
			// The start on the clock of the store.
			starts.push(one.addedAt + one.age);
		}
		const { running } = await store.counts(basket);
		if (running > overall.atOnce) throw new Error(`${running} tasks run with ${JSON.stringify(overall)}, seed ${seed}`);
		const { spacing, burst } = overall;
		const last = starts.length - 1;
		const isTooMany = starts.some((at, first) => (last - first + 1 - burst) * spacing > starts[last]! - at + 0.01);
		if (isTooMany) throw new Error(`Too many starts with ${JSON.stringify(overall)}, seed ${seed}: ${starts}`);
		return result.dueIn;
	}

	function settlements(most: number): Settlement[] {
		const ended = claims.filter(() => random.chance(0.5)).slice(0, most);
		claims = claims.filter((one) => !ended.includes(one));
		return ended.map((ref) => ({
			ref,
			outcome: random.pick([
				{ type: "done" },
				{ type: "release" },
				{ type: "retry", delay: 5, attempts: 1, error: "x" },
			]),
		}));
	}

	function newTask(): NewTask {
		const id = `t${random.below(31)}`;
		const kind = kinds[Number(id.slice(1)) % 3]!;
		const lane = Number(id.slice(1)) % 7 === 0 ? "lane" : undefined;
		added++;
		return {
			...{ id, kind, lane, payload: `${added}`, delay: random.pick([0, 30]), priority: random.pick([0, 1]) },
			limitKey: kind === "c" ? "k" : undefined,
			ifPresent: random.chance(0.3) ? "replace" : undefined,
		};
	}

	for (let step = 0; step < steps; step++) {
		const what = random.below(10);
		const id = `t${random.below(31)}`;
		if (what < 3) await stores[0].add(basket, [newTask(), newTask()]);
		else if (what === 3) await advance(random.pick([1, 25, 400]));
		else if (what === 7 && random.chance(0.3)) {
			await setBack(random.pick([5, 300, 5_000]));
			starts.length = 0;
		} else if (what === 4) await stores[1].change(basket, [id], random.pick(["hold", "release", "retry"]));
		else if (what === 5 && random.chance(0.3)) await stores[1].delete(basket, [id]);
		else if (what === 6) await turn(0, settlements(2));
		else await turn(1 + random.below(6), settlements(3), [random.pick(kinds)]);
	}

	// Those that nobody settles are taken up when their leases have ended.
	claims = [];
	const ids = Array.from({ length: 31 }, (_, index) => `t${index}`);
	await stores[0].change(basket, ids, "release");
	let rounds = 0;
	for (; (await stores[0].list(basket, { limit: 1 })).length > 0 && rounds < 300; rounds++) {
		const done = claims.map((ref): Settlement => ({ ref, outcome: { type: "done" } }));
		claims = [];
		const dueIn = await turn(6, done);
		if (claims.length > 0) continue;
		if (dueIn === Infinity) break;
		await advance(Math.max(dueIn, 1));
	}
	expect(await stores[0].list(basket, { limit: 1 })).toEqual([]);
}
