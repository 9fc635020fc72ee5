// What a survey must tell of tasks in all states, whatever the store.
import { expect } from "vitest";
import { job, Processor, type Store, type TaskState } from "../../mod.ts";
import type { Catalog } from "../../src/cli/terminal.ts";

const lease = 3_600_000;

/** Adds tasks in all states and in all forms of these, in two baskets. */
async function fill(store: Store<never>): Promise<void> {
	const task = { payload: "{}", delay: 0, priority: 0 };
	const basket = "full 世界 '";
	const kinds = ["plain", "lane", "limited", "retained", "later"];
	await store.add(basket, [
		...["p1", "p2", "p3"].map((id) => ({ ...task, id, kind: "plain" })),
		...["l1", "l2", "l3"].map((id) => ({ ...task, id, kind: "lane", lane: "ada" })),
		...["k1", "k2", "k3"].map((id) => ({ ...task, id, kind: "limited", limitKey: "ada" })),
		...["d1", "d2", "d3"].map((id) => ({ ...task, id, kind: "retained" })),
		{ ...task, id: "w1", kind: "later", delay: 1e9 },
		{ ...task, id: "w2", kind: "later", delay: 2e9 },
	]);
	const limits = [{ kind: "limited", atOnce: 1, spacing: 0, burst: 1 }];
	const claim = kinds.map((kind) => ({ kinds: [kind], limit: kind === "plain" ? 2 : 3 }));
	const { claims } = await store.turn(basket, { settle: [], claim, lease, limits });
	const error = `{"name":"Error","message":"no"}`;
	const refs = claims.filter(({ kind }) => kind === "retained");
	expect(claims.length).toBe(2 + 1 + 1 + 3);
	await store.turn(basket, {
		settle: [
			{ ref: refs[0]!, outcome: { type: "dead", attempts: 1, error } },
			{ ref: refs[1]!, outcome: { type: "done", retain: 1e9 } },
			{ ref: refs[2]!, outcome: { type: "done", retain: 1 } },
		],
		claim: [],
		lease,
	});
	// One that runs, one that waits, one behind another in its lane, and one that is behind a gate.
	for (const id of ["p1", "p3", "l3", "k2"]) expect(await store.change(basket, [id], "hold")).toEqual([true]);
	await store.add("other", [{ ...task, kind: "plain" }]);
}

/** Adds a job with children, one of which is held. */
async function fillChildren(store: Store<never>): Promise<void> {
	const thumbs = job("thumbs").each("all", { items: () => [1, 2, 3], run: ({ item }) => item, atOnce: 3 })
		.waitFor("approval");
	const processor = new Processor({ store, jobs: [thumbs] });
	await processor.add(thumbs, undefined, { id: "thumbs" });
	await processor.drain();
}

/** Compares the survey with what the store counts. */
export async function compareSurvey(store: Store<never>, { survey, gate }: Catalog): Promise<void> {
	await fill(store);
	await fillChildren(store);
	await new Promise((resolve) => setTimeout(resolve, 20)); // the retention of one task ends
	const { at, tasks } = await survey();
	const baskets = [...new Set(tasks.map(({ basket }) => basket))].sort();
	expect(baskets).toEqual(["full 世界 '", "jobs", "other"]);
	for (const basket of baskets) {
		const own = tasks.filter((each) => each.basket === basket);
		const sums: Record<string, number> = { waiting: 0, running: 0, held: 0, dead: 0, done: 0 };
		for (const { state, count } of own) sums[state]! += count;
		expect(sums).toEqual(await store.counts(basket));
		expect(sorted((await survey(basket)).tasks)).toEqual(sorted(own));
	}
	const find = (kind: string, state: TaskState) =>
		tasks.find((each) => each.basket === baskets[0] && each.kind === kind && each.state === state);
	const added = (await store.get(baskets[0]!, "w1"))!.addedAt;
	expect(Math.abs(at - added)).toBeLessThan(60_000);
	expect(find("later", "waiting")).toEqual({
		...{ basket: baskets[0], kind: "later", state: "waiting", count: 2 },
		dueAt: (await store.get(baskets[0]!, "w1"))!.dueAt,
	});
	expect(find("lane", "running")).toMatchObject({ count: 1, dueAt: (await store.get(baskets[0]!, "l1"))!.dueAt });
	// l2 is behind the head, so it is not due, whatever its time says.
	expect(find("lane", "waiting")).toEqual({ basket: baskets[0], kind: "lane", state: "waiting", count: 1 });
	expect(find("retained", "done")?.count).toBe(1);
	expect(find("limited", "waiting")?.count).toBe(1);
	expect(await gate(baskets[0]!, "limited", "ada")).toBeDefined();
	expect(await gate(baskets[0]!, "limited", "bob")).toBe(undefined);
}

function sorted(tasks: readonly object[]): string[] {
	return tasks.map((each) => JSON.stringify(each)).sort();
}
