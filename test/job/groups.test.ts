import { expect, test } from "vitest";
import { branchName } from "../../src/job/branch-name.ts";
import { keepStep, keepSteps, placeAfter, sortGroup } from "../../src/job/groups.ts";

function planOf(count: number): string[] {
	return Array.from({ length: count }, (_, at) => branchName("all", `b${at}`));
}

test("a branch that is done reads as much of the plan however many branches there are", () => {
	const readsOf = (count: number): number => {
		let reads = 0;
		const plan = new Proxy(planOf(count), { get: (names, key) => (reads++, names[key as never]) });
		let place: ReturnType<typeof placeAfter> = { at: 0, open: undefined };
		const results = {};
		for (let done = count - 1; done >= 0; done--) {
			place = placeAfter({ plan, isBackward: false, status: undefined, pending: undefined, ...place }, done);
			keepStep(results, plan, done, done);
		}
		sortGroup(results, plan, 0);
		expect([place, Object.values(Object.values(results)[0] as object)]).toEqual([
			{ at: count, open: undefined },
			[...plan.keys()],
		]);
		return reads;
	};
	expect(readsOf(1_000)).toBeLessThan(11 * readsOf(100));
});

test("results of branches that are read later stand in the order of the plan", () => {
	const plan = ["first", ...planOf(4)];
	const results = {};
	keepSteps(results, plan, [[3, "c"], [0, "x"]]);
	keepSteps(results, plan, [[4, "d"], [1, "a"]]);
	expect(JSON.stringify(results)).toBe('{"all":{"b0":"a","b2":"c","b3":"d"},"first":"x"}');
});
