import { describe, expect, test } from "vitest";
import { live, StoreError } from "../../mod.ts";
import { errorOf } from "../support.ts";
import { Machine, running } from "./support.ts";

function bench() {
	const machine = new Machine();
	const basket = machine.basket({ send: (_: number) => {} });
	const errors: unknown[] = [];
	const options = { clock: machine.clock, onError: (error: unknown) => void errors.push(error) };
	const list = live(basket, {}, options);
	const payloads = () => list.getSnapshot()?.map(({ payload }) => payload);
	return { machine, basket, list, payloads, errors, options };
}

describe("live()", () => {
	test("reads while there are subscribers only, and tells them of changes only", async () => {
		const { machine, basket, list, payloads } = bench();
		expect([list.getSnapshot(), machine.clock.pending]).toEqual([undefined, 0]);
		await basket.add("send", 1, { id: "a", delay: 60_000 });
		let told = 0;
		const stop = list.subscribe(() => told++);
		await machine.clock.advance(0);
		expect([told, payloads()]).toEqual([1, [1]]);
		const before = list.getSnapshot()!;
		await basket.hold("a");
		await basket.release("a");
		await machine.clock.advance(10_000);
		expect(list.getSnapshot()).toBe(before);
		await basket.add("send", 2, { delay: 60_000 });
		await machine.clock.advance(10_000);
		expect([told, payloads()]).toEqual([2, [1, 2]]);
		expect(list.getSnapshot()![0]).toBe(before[0]);
		stop();
		await basket.add("send", 3, { delay: 60_000 });
		await machine.clock.advance(10_000);
		expect([told, payloads(), machine.clock.pending]).toEqual([2, [1, 2], 0]);
		list.subscribe(() => told++);
		await machine.clock.advance(0);
		expect([told, payloads()]).toEqual([3, [1, 2, 3]]);
	});

	test("reads at its pace, however often the basket changes, and shows the last state", async () => {
		const { machine, basket, list, payloads, options } = bench();
		let reads = 0;
		const counted = { subscribe: basket.subscribe, list: (query = {}) => (reads++, basket.list(query)) };
		const counting = live(counted, {}, { ...options, pace: 100 });
		counting.subscribe(() => {});
		list.subscribe(() => {});
		for (let index = 0; index < 100; index++) {
			await basket.add("send", index, { delay: 60_000 });
			await machine.clock.advance(10);
		}
		await machine.clock.advance(1_000);
		expect(reads).toBeGreaterThan(5);
		expect(reads).toBeLessThan(15);
		expect([payloads()!.length, counting.getSnapshot()!.length]).toEqual([100, 100]);
	});

	test("sees what this process and others do with the tasks of a query", async () => {
		const { machine, basket, options } = bench();
		const other = machine.basket({ send: (_: number) => {} });
		const list = live(basket, { state: "waiting", order: "newest", limit: 2 }, options);
		list.subscribe(() => {});
		const { stop } = running(machine.basket({}));
		const { stop: stopBasket } = running(machine.basket({}));
		for (const payload of [1, 2, 3]) await basket.add("send", payload, { delay: 1_000 });
		await machine.clock.advance(500);
		expect(list.getSnapshot()!.map(({ payload }) => payload)).toEqual([3, 2]);
		const { stop: stopOther } = running(other);
		const { stop: stopOwn } = running(basket);
		await machine.clock.advance(5_000);
		expect(list.getSnapshot()).toEqual([]);
		for (const end of [stop, stopBasket, stopOther, stopOwn]) await end();
	});

	test("sees within two seconds what others have done, of which the store does not tell", async () => {
		const { machine, basket, options } = bench();
		const silent = { subscribe: () => () => {}, list: basket.list.bind(basket) };
		const [list, deaf] = [live(silent, {}, options), live(silent, {}, { ...options, refresh: Infinity })];
		await basket.add("send", 1);
		const stops = [list, deaf].map(({ subscribe }) => subscribe(() => {}));
		await machine.clock.advance(0);
		const drained = basket.drain();
		await machine.clock.advance(0);
		await drained;
		expect([list, deaf].map((list) => list.getSnapshot()!.length)).toEqual([1, 1]);
		await machine.clock.advance(2_000);
		expect([list, deaf].map((list) => list.getSnapshot()!.length)).toEqual([0, 1]);
		for (const stop of stops) stop();
		expect(machine.clock.pending).toBe(0);
	});

	test("reports errors of the store, and reads again", async () => {
		const { machine, basket, list, payloads, errors } = bench();
		await basket.add("send", 1, { delay: 60_000 });
		const listing = machine.spied.store as { list: unknown };
		const original = listing.list;
		listing.list = () => Promise.reject(new StoreError("unavailable", "away"));
		list.subscribe(() => {});
		await machine.clock.advance(2_500);
		expect([errors.length, payloads()]).toEqual([3, undefined]);
		listing.list = original;
		await machine.clock.advance(1_000);
		expect(payloads()).toEqual([1]);
	});

	test("refuses what is no basket, query or option", async () => {
		const { basket } = bench();
		for (
			const args of [[null], [{}], [basket, null], [basket, {}, null], [basket, {}, { pace: 0 }], [basket, {}, {
				refresh: 0,
			}], [basket, {}, {
				onError: 1,
			}]]
		) {
			expect(await errorOf((async () => live(...args as [typeof basket]))())).toBeInstanceOf(Error);
		}
	});
});
