// What every store over records must do, whatever its texts are, and wherever its data is.
import { expect } from "vitest";
import type { Claim, Data, NewTask, Outcome, Store } from "../../src/basket/store.ts";
import { names } from "../../src/testing/space-rows.ts";

const basket = "laws";

/** Expects that lists by prefix, lane and both agree with the texts, whatever these are made of. */
export async function expectLists(store: Store<never>): Promise<void> {
	const ids = new Set(names.flatMap((name) => names.map((other) => `i${name}${other}`)));
	const all = [...ids].map((id, index) =>
		task(id, { lane: index % 3 === 0 ? names[index % names.length] : undefined })
	);
	for (let from = 0; from < all.length; from += 40) await store.add(basket, all.slice(from, from + 40));
	// Some tasks have left their lanes.
	const { claims } = await claim(store, all.length);
	await settle(store, claims.slice(0, 60), { type: "done", retain: 1e9 });
	await settle(store, claims.slice(60, 90), { type: "dead", attempts: 1, error: "e" });
	for (const isReverse of [false, true]) {
		const expectList = async (query: { lane?: string; prefix?: string }) => {
			const { lane, prefix = "" } = query;
			const wanted = all.filter((task) => task.id.startsWith(prefix) && (lane ?? task.lane) === task.lane);
			const shown = wanted.map(({ id }) => id);
			expect({ query, ids: await idsOf(store, { ...query, isReverse }) })
				.toEqual({ query, ids: isReverse ? shown.reverse() : shown });
		};
		await expectList({ prefix: "" });
		for (const name of names) {
			await expectList({ prefix: `i${name}` });
			await expectList({ lane: name });
			await expectList({ lane: name, prefix: "ia" });
		}
	}
	await store.delete(basket, [...ids]);
}

async function idsOf(store: Store<never>, query: object): Promise<string[]> {
	const ids: string[] = [];
	let page = await store.list(basket, { ...query, limit: 70 });
	while (page.length > 0) {
		ids.push(...page.map(({ id }) => id));
		page = await store.list(basket, { ...query, after: page.at(-1)!.key, limit: 70 });
	}
	return ids;
}

const ends: Record<string, Outcome> = {
	"is done": { type: "done", payload: "outcome", result: "result" },
	"is done and kept": { type: "done", retain: 1e9, result: "result" },
	"is dead": { type: "dead", attempts: 1, error: "e", payload: "outcome" },
	"fails": { type: "retry", attempts: 1, error: "e", delay: 0 },
	"is given back": { type: "release", payload: "outcome" },
};

/**
 * Expects that payloads and results of any length take each other's place, and that nothing is left of them.
 *
 * @param most the longest data in the row of a task
 * @param leftovers returns what is stored, apart from facts about the basket
 */
export async function expectData(
	store: Store<never>,
	most: number,
	advance: (duration: number) => Promise<void>,
	leftovers: () => Promise<unknown>,
): Promise<void> {
	const long = "x".repeat(most + 1);
	const sizes = ["", long];
	for (const how of [...Object.keys(ends), "crashes"]) {
		for (const [first, second, third] of combine(sizes, 3)) {
			const [payload, next, last] = [`1${first}`, `2${second}`, `3${third}`] as const;
			const shown = [how, first, second, third].map((text) => text!.slice(0, 9));
			await store.add(basket, [task("a", { payload })]);
			const one = await claimOne(store);
			await store.add(basket, [task("a", { payload: next, ifPresent: "replace" })]);
			await store.save(basket, [{ ref: one, payload: `saved${first}` }]);
			await store.add(basket, [task("a", { payload: last, ifPresent: "replace" })]);
			expect([...shown, await dataOf(store)]).toEqual([...shown, `saved${first}`]);
			if (how === "crashes") await advance(2_000);
			else await settle(store, [one], ends[how]!);
			const two = await claimOne(store);
			expect([...shown, two.payload]).toEqual([...shown, last]);
			await store.add(basket, [task("a", { payload: next, ifPresent: "replace" })]);
			await settle(store, [two], { type: "release" });
			const three = await claimOne(store);
			expect([...shown, three.payload]).toEqual([...shown, next]);
			await settle(store, [three], { type: "done", retain: 1e9, result: last });
			const { result } = (await store.get(basket, "a"))!;
			expect([...shown, await dataOf(store), result]).toEqual([...shown, next, last]);
			await store.delete(basket, ["a"]);
			expect([...shown, await leftovers()]).toEqual([...shown, []]);
		}
	}
	// What waits behind a claim ends with its task; what is dead keeps its payload when it is restarted.
	for (const [first, second] of combine(sizes, 2)) {
		await store.add(basket, [task("a", { payload: `1${first}` })]);
		await claimOne(store);
		await store.add(basket, [task("a", { payload: `2${second}`, ifPresent: "replace" })]);
		await store.delete(basket, ["a"]);
		expect(await leftovers()).toEqual([]);
		await store.add(basket, [task("a", { payload: `1${first}` })]);
		const one = await claimOne(store);
		await store.add(basket, [task("a", { payload: `2${second}`, ifPresent: "replace" })]);
		await settle(store, [one], { type: "done" });
		await settle(store, [await claimOne(store)], { type: "dead", attempts: 1, error: "e" });
		await store.change(basket, ["a"], "retry");
		expect((await claimOne(store)).payload).toBe(`2${second}`);
		await store.delete(basket, ["a"]);
		expect(await leftovers()).toEqual([]);
	}
}

async function dataOf(store: Store<never>): Promise<Data> {
	const [listed] = await store.list(basket, { limit: 1 });
	const { inbox: _, ...got } = (await store.get(basket, "a"))!;
	expect(got).toEqual(listed);
	return got.payload;
}

function combine(values: readonly string[], length: number): string[][] {
	if (length === 0) return [[]];
	return combine(values, length - 1).flatMap((rest) => values.map((value) => [value, ...rest]));
}

function task(id: string, more: Partial<NewTask> = {}): NewTask & { readonly id: string } {
	return { kind: "k", payload: "", delay: 0, priority: 0, ...more, id };
}

async function claim(store: Store<never>, limit: number) {
	return await store.turn(basket, { settle: [], claim: [{ kinds: ["k"], limit }], lease: 1_000 });
}

async function claimOne(store: Store<never>): Promise<Claim> {
	const { claims } = await claim(store, 9);
	expect(claims.length).toBe(1);
	return claims[0]!;
}

async function settle(store: Store<never>, refs: readonly Claim[], outcome: Outcome): Promise<void> {
	const turn = { settle: refs.map((ref) => ({ ref, outcome })), claim: [], lease: 1_000 };
	expect((await store.turn(basket, turn)).settled).toEqual(refs.map(() => true));
}
