// Runs of lanes in postgresStore() beside open transactions of the caller.
import { expect, test } from "vitest";
import type { Claim, Outcome, Store } from "../../../src/basket/store.ts";
import { fresh, type Main, task, until } from "./edges.ts";

const done: Outcome = { type: "done" };
const claim = [{ kinds: ["work"], limit: 1 }];

export function testRuns(main: Main): void {
	test("a lane goes on if a follower is completed in a transaction that is open while the head ends", async () => {
		const { store, transaction } = await fresh(main, "runs_open");
		const [a, b, c] = await begun(store, 3, 30_000);
		await transaction(async (tx) => {
			expect(await store.complete("basket", b!, { type: "done" }, tx)).toBe(true);
			expect(await settled(store, a!, done)).toBe(true);
			expect((await store.turn("basket", { settle: [], claim, lease: 1_000 })).claims).toEqual([]);
		});
		expect(await settled(store, c!, done)).toBe(true);
		const { claims } = await store.turn("basket", { settle: [], claim, lease: 1_000 });
		expect(claims.map(({ id }) => id)).toEqual(["d"]);
	});

	test("turn() waits for no transaction of a process that hangs while it completes a follower", async () => {
		const { store, transaction } = await fresh(main, "runs_hang");
		const [, b] = await begun(store, 3, 1);
		let again: Claim | undefined;
		const takeUp = async () => {
			[again] = (await store.turn("basket", { settle: [], claim, lease: 30_000 })).claims;
			return again !== undefined;
		};
		await transaction(async (tx) => {
			expect(await store.complete("basket", b!, { type: "done" }, tx)).toBe(true);
			await until(takeUp);
			expect(again).toMatchObject({ id: "a", attempts: 1 });
			expect(await settled(store, again!, { type: "retry", delay: 0, attempts: 2, error: "x" })).toBe(true);
			await until(takeUp);
			expect(again).toMatchObject({ id: "a", attempts: 2 });
			expect(await settled(store, again!, done)).toBe(true);
		});
		await until(takeUp);
		expect(again).toMatchObject({ id: "c", attempts: 1, crashes: 1 });
		expect(await settled(store, again!, done)).toBe(true);
		await until(takeUp);
		expect(again).toMatchObject({ id: "d", attempts: 0 });
	});
}

/** Claims the first tasks of a lane of four. */
async function begun(store: Store<unknown>, most: number, lease: number): Promise<readonly Claim[]> {
	await store.add("basket", ["a", "b", "c", "d"].map((id) => task({ id, lane: "lane" })));
	const { claims } = await store.turn("basket", { settle: [], claim, lease, runs: [{ kind: "work", most }] });
	expect(claims.length).toBe(most);
	return claims;
}

async function settled(store: Store<unknown>, ref: Claim, outcome: Outcome): Promise<boolean> {
	return (await store.turn("basket", { settle: [{ ref, outcome }], claim: [], lease: 1_000 })).settled[0]!;
}
