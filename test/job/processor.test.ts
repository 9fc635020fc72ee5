// The laws of jobs on memoryStore(), and what has nothing to do with a store.
import { describe as group, expect, test } from "vitest";
import { describe, job, memoryStore, Processor } from "../../mod.ts";
import { openMemory } from "./database.ts";
import { testJobs } from "./laws.ts";

const noop = () => {};

testJobs("memoryStore()", openMemory);

group("new Processor()", () => {
	test("refuses what is not allowed", () => {
		const one = job("one").step("a", { run: noop });
		const make = (options: object) => () => new Processor({ store: memoryStore(), jobs: [one], ...options });
		for (
			const [options, text] of [
				[{ jobs: [one, one] }, `two jobs of the name "one"`],
				[{ jobs: [job("empty")] }, `"empty" has no steps`],
				[{ jobs: undefined }, `"jobs"`],
				[{ store: {} }, `"store.turn"`],
				[{ retain: -1 }, `"retain"`],
				[{ crashes: 0 }, `"crashes"`],
				[{ backoff: -1 }, `"backoff.start"`],
				[{ clock: 1 }, `"clock"`],
				[{ name: "" }, `"name"`],
				[{ codec: {} }, `"codec.encode"`],
			] as const
		) expect(make(options)).toThrow(text);
	});
});

group("job()", () => {
	test("refuses what is not allowed", () => {
		const base = job("base").step("a", { run: noop });
		for (
			const [make, text] of [
				[() => job(""), `"name"`],
				[() => job("a", { version: {} as never }), `"version"`],
				[() => job("a", { schema: {} as never }), `"schema"`],
				[() => base.step("a", { run: noop }), `another step "a"`],
				[() => base.sleep("a", 1), `another step "a"`],
				[() => base.step("__proto__", { run: noop }), `"__proto__"`],
				[() => base.step("b", {} as never), `"run"`],
				[() => base.step("b", { run: noop, revert: 1 as never }), `"revert"`],
				[() => base.step("b", { run: noop, attempts: 0 }), `"attempts"`],
				[() => base.step("b", { run: noop, revertAttempts: 0.5 }), `"attempts"`],
				[() => base.step("b", { run: noop, timeout: 0 }), `"timeout"`],
				[() => base.step("b", { run: noop, schema: 1 as never }), `"schema"`],
				[() => base.sleep("b", Infinity), `"duration"`],
				[() => base.sleep("b", -1), `"duration"`],
				[() => base.waitFor("b", { timeout: 0 }), `"timeout"`],
			] as const
		) expect(make).toThrow(text);
	});

	test("describe() gives the steps as data and as a diagram", () => {
		const definition = job("trip", { version: 2 })
			.step("flight", { run: noop, revert: noop, attempts: 4, timeout: 100 })
			.sleep("night", 1_000)
			.waitFor("approval", { timeout: 5_000 })
			.step('say "bye"', { run: noop, revert: noop, revertAttempts: 3 });
		const { mermaid, ...data } = describe(definition);
		const never = { attempts: 1, revertAttempts: Infinity, hasRevert: false };
		expect(data).toEqual({
			name: "trip",
			version: 2,
			steps: [
				{ ...never, name: "flight", type: "step", hasRevert: true, attempts: 4, duration: 100 },
				{ ...never, name: "night", type: "sleep", duration: 1_000 },
				{ ...never, name: "approval", type: "waitFor", duration: 5_000 },
				{ ...never, name: 'say "bye"', type: "step", hasRevert: true, revertAttempts: 3, duration: Infinity },
			],
		});
		expect(mermaid.split("\n\t")).toEqual([
			"flowchart TD",
			`s0["flight"]`,
			"s0 --> s1",
			"s0 -. fails .-> reverted",
			`r0["revert flight"] --> reverted`,
			`s1(["night"])`,
			"s1 --> s2",
			"s1 -. fails .-> r0",
			`s2(["approval"])`,
			"s2 --> s3",
			"s2 -. fails .-> r0",
			`s3["say #quot;bye#quot;"]`,
			"s3 --> completed",
			"s3 -. fails .-> r0",
			`r3["revert say #quot;bye#quot;"] --> r0\n`,
		]);
	});
});
