/**
 * Tests of `watch`. Wake-ups are only hints, so a test repeats the action that should wake, and additional wake-ups
 * are no failure.
 *
 * @module
 */

import type { Store, WakeReason } from "../../basket/store.ts";
import { equal, fail } from "./assert.ts";
import { type Bench, newTask, type StoreTest, wait } from "./bench.ts";

export const watching: readonly StoreTest[] = [
	{
		title: "watch() wakes for what others add",
		needs: ["watch"],
		async run(bench) {
			await expectWoken(bench, bench.store, (index) => bench.add(`task ${index}`));
		},
	},
	{
		title: "watch() wakes for what another process adds",
		needs: ["watch", "shared"],
		async run(bench) {
			const other = await bench.fixture.another!();
			await bench.persistently(() => other.open());
			await expectWoken(
				bench,
				bench.store,
				(index) => bench.persistently(() => other.add(bench.basket, [newTask(`task ${index}`)])),
			);
		},
	},
	{
		title: "watch() wakes for what a transaction of the caller adds",
		needs: ["watch", "tx"],
		async run(bench) {
			await expectWoken(bench, bench.store, (index) =>
				bench.patiently(
					bench.fixture.transaction!((tx) => bench.store.add(bench.basket, [newTask(`task ${index}`)], tx)),
				));
		},
	},
	{
		title: "watch() wakes for a message, a release, a retry, a deleted head of a lane, and the end of a pause",
		needs: ["watch"],
		async run(bench) {
			const { store, basket } = bench;
			for (const id of ["posted", "released", "retried", "head", "next"]) {
				const delay = id === "posted" || id === "retried" ? bench.long : 0;
				const lane = (index: number) => delay > 0 || id === "released" ? undefined : `lane ${index}`;
				await bench.add(...[0, 1, 2, 3, 4].map((index) => ({ id: `${id} ${index}`, delay, lane: lane(index) })));
			}
			await store.change(basket, [0, 1, 2, 3, 4].map((index) => `released ${index}`), "hold");
			await bench.until(() => false, 10);
			await expectWoken(bench, store, (index) => store.post(basket, `posted ${index}`, "hello"));
			await expectWoken(bench, store, (index) => bench.change(`released ${index}`, "release"));
			await expectWoken(bench, store, (index) => bench.change(`retried ${index}`, "retry"));
			await expectWoken(bench, store, (index) => store.delete(basket, [`head ${index}`]));
			await expectWoken(bench, store, async () => {
				await store.pause(basket, "work", true);
				await store.pause(basket, "work", false);
			});
		},
	},
	{
		title:
			"watch() wakes for the release of a held task that is running, so that others take it up when its lease is over",
		needs: ["watch"],
		async run(bench) {
			const { store, basket } = bench;
			const ids = [0, 1, 2, 3, 4].map((index) => `task ${index}`);
			await bench.running(...ids);
			await store.change(basket, ids, "hold");
			const asking = { claim: [{ kinds: ["work"], limit: 9 }] };
			equal((await bench.turn(asking)).dueIn, Infinity, "dueIn of another worker while all are held");
			await bench.until(() => false, 10);
			await expectWoken(bench, store, (index) => bench.change(ids[index]!, "release"));
			for (const id of ids) await bench.change(id, "release");
			const { claims, dueIn } = await bench.turn(asking);
			equal([claims, dueIn > 0 && dueIn < Infinity], [[], true], "claims, and whether it will look again in time");
		},
	},
	{
		title: "watch() says that there is news of claims when a running task is deleted or posted to",
		needs: ["watch"],
		async run(bench) {
			const ids = await fiveTimes(bench, "deleted", "posted");
			await expectWoken(bench, bench.store, (index) => bench.store.delete(bench.basket, [ids[0]![index]!]), "claims");
			await expectWoken(bench, bench.store, (index) => bench.store.post(bench.basket, ids[1]![index]!, "x"), "claims");
		},
	},
	{
		title: "watch() says that there is news of claims when another process deletes a running task or posts to it",
		needs: ["watch", "shared"],
		async run(bench) {
			const ids = await fiveTimes(bench, "deleted", "posted");
			const other = await bench.fixture.another!();
			await bench.persistently(() => other.open());
			await expectWoken(
				bench,
				bench.store,
				(index) => bench.persistently(() => other.delete(bench.basket, [ids[0]![index]!])),
				"claims",
			);
			await expectWoken(
				bench,
				bench.store,
				(index) => bench.persistently(() => other.post(bench.basket, ids[1]![index]!, "x")),
				"claims",
			);
		},
	},
	{
		title: "watch() says that there is news of claims for nothing that concerns none",
		needs: ["watch"],
		async run(bench) {
			const { store, basket } = bench;
			await bench.running("running", "ending");
			const reasons: unknown[] = [];
			const stop = store.watch!(basket, (reason) => reasons.push(reason), () => {});
			await untilWoken(bench, () => reasons.length > 0, (index) => bench.add(`first ${index}`));
			await bench.until(() => false, 10); // it may have been woken for earlier changes
			reasons.length = 0;
			const claims = await bench.claim();
			await store.extend(basket, claims, bench.long);
			await store.save(basket, [{ ref: claims[0]!, progress: "half" }]);
			await bench.settleAll(claims);
			await bench.change("running", "hold");
			await bench.change("running", "release");
			await bench.add({ id: "waiting", delay: bench.long }, { id: "deleted", delay: bench.long });
			await store.post(basket, "waiting", "x");
			await store.delete(basket, ["deleted", "nobody"]);
			await untilWoken(bench, () => reasons.length > 0, (index) => bench.add(`last ${index}`));
			await bench.until(() => false, 10);
			stop();
			equal(reasons.filter((reason) => reason !== undefined), [], "reasons");
		},
	},
	{
		title: "watch() does not wake inside the call that was the cause",
		needs: ["watch"],
		async run(bench) {
			let isInside = false;
			let wokenInside = 0;
			const stop = bench.store.watch!(bench.basket, () => wokenInside += isInside ? 1 : 0, () => {});
			isInside = true;
			const adding = bench.store.add(bench.basket, [newTask("a")]);
			isInside = false;
			await adding;
			await wait(20);
			stop();
			equal(wokenInside, 0, "how often it was woken inside the call");
		},
	},
	{
		title: "watch() wakes all who watch, each until it is told to stop",
		needs: ["watch"],
		async run(bench) {
			const woken = [0, 0, 0];
			const watch = (index: number) => bench.store.watch!(bench.basket, () => void woken[index]!++, () => {});
			const stops = [watch(0), watch(1), watch(2)];
			const stopFirst = stops.shift()!;
			stopFirst();
			stopFirst();
			await untilWoken(bench, () => woken[1]! > 0 && woken[2]! > 0, (index) => bench.add(`task ${index}`));
			for (const stop of stops) stop();
			await wait(20);
			const before = [...woken];
			await bench.add("one more");
			if (bench.isExact) await bench.fixture.advance!(10 * bench.unit);
			await wait(50);
			equal(woken, before, "how often they were woken after they had stopped");
			equal(woken[0], 0, "how often the one was woken that had stopped at once");
		},
	},
];

/** Adds and claims tasks, five for each name. */
async function fiveTimes(bench: Bench, ...names: string[]): Promise<string[][]> {
	const ids = names.map((name) => [0, 1, 2, 3, 4].map((index) => `${name} ${index}`));
	await bench.running(...ids.flat());
	return ids;
}

/** Expects a wake-up for this reason after the watch has begun. */
export async function expectWoken(
	bench: Bench,
	store: Store,
	cause: (index: number) => Promise<unknown>,
	wanted?: WakeReason,
): Promise<void> {
	let isBegun = false;
	let woken = 0;
	const errors: unknown[] = [];
	const wake = (reason?: WakeReason) => {
		isBegun = true;
		if (wanted === undefined || reason === wanted) woken++;
	};
	const stop = store.watch!(bench.basket, wake, (error) => errors.push(error));
	try {
		if (wanted !== undefined) {
			// The wake-up at the beginning does not count.
			await untilWoken(bench, () => isBegun, () => bench.add({ kind: "other" }));
			await bench.until(() => false, 10);
			woken = 0;
		}
		await untilWoken(bench, () => woken > 0, cause);
		equal(errors, [], "errors of the watching");
	} finally {
		stop();
	}
}

/** A hint may be lost, so the action is repeated. */
async function untilWoken(
	bench: Bench,
	isWoken: () => boolean,
	cause: (index: number) => Promise<unknown>,
): Promise<void> {
	for (let index = 0; index < 5; index++) {
		await cause(index);
		if (await bench.until(isWoken, 100)) return;
	}
	fail("watch() has not woken, though there were five reasons");
}
