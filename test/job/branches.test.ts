// Branches of jobs: definitions, and chains of random shape.
import { describe as group, expect, test } from "vitest";
import { describeJob, job, Processor, type Store } from "../../mod.ts";
import { deferred, isLong, isPage, settle } from "../support.ts";
import { tryChain } from "./chains.ts";
import { openMemory } from "./database.ts";
import { withMachines } from "./support.ts";

const run = () => 1;

group("Job.all()", () => {
	test("refuses what is not allowed", () => {
		const base = job("base").step("a", { run }).all("both", { x: { run }, y: { run } });
		for (
			const [make, text] of [
				[() => base.all("c", {}), `"branches" must be an object with at least one branch`],
				[() => base.all("c", 1 as never), `"branches"`],
				[() => base.all("", { x: { run } }), `"name"`],
				[() => base.all("both", { z: { run } }), `another step "both"`],
				[() => base.all("a", { z: { run } }), `another step "a"`],
				[() => base.step("both", { run }), `another step "both"`],
				[() => base.step('["both","z"]', { run }), `"name"`],
				[() => base.sleep("[", 1), `"name"`],
				[() => base.all("c", { "": { run } }), `"name"`],
				[() => base.all("c", { ["x".repeat(255)]: { run } }), `"name"`],
				[() => base.all("c", JSON.parse('{"__proto__":{}}')), `"__proto__"`],
				[() => base.all("__proto__", { x: { run } }), `"__proto__"`],
				[() => base.all("c", { x: {} as never }), `"run"`],
				[() => base.all("c", { x: 1 as never }), `"options"`],
				[() => base.all("c", { x: { run, attempts: 0 } }), `"attempts"`],
				[() => base.all("c", { x: { run, revert: 1 as never } }), `"revert"`],
			] as const
		) expect(make).toThrow(text);
		expect(base.steps.map(({ name }) => name)).toEqual(["a", '["both","x"]', '["both","y"]']);
	});

	test("draws branches side by side", () => {
		const { steps, mermaid } = describeJob(
			job("it")
				.step("a", { run, revert: run })
				.all("both", { x: { run, revert: run, attempts: 2 }, y: { run }, z: { run, revert: run } })
				.step("last", { run }),
		);
		expect(steps.map(({ name, attempts }) => [name, attempts])).toEqual([
			["a", 1],
			['["both","x"]', 2],
			['["both","y"]', 1],
			['["both","z"]', 1],
			["last", 1],
		]);
		expect(mermaid.split("\n\t")).toEqual([
			"flowchart TD",
			's0["a"]',
			"s0 --> s1 & s2 & s3",
			"s0 -. fails .-> reverted",
			'r0["revert a"] --> reverted',
			's1["both: x"]',
			"s1 --> s4",
			"s1 -. fails .-> r3",
			'r1["revert both: x"] --> r0',
			's2["both: y"]',
			"s2 --> s4",
			"s2 -. fails .-> r3",
			's3["both: z"]',
			"s3 --> s4",
			"s3 -. fails .-> r3",
			'r3["revert both: z"] --> r1',
			's4["last"]',
			"s4 --> completed",
			"s4 -. fails .-> r3\n",
		]);
	});

	test("appends a result behind that of a branch whose transaction was open before", async () => {
		await withMachines(openMemory, async (make) => {
			const machine = await make();
			const process = machine.process();
			const committing = deferred();
			const definition = job<undefined, unknown>("it").all("both", {
				slow: {
					run: ({ commit }) =>
						process.write("slow", async (tx) => {
							await commit(tx, "slow");
							committing.resolve();
							for (let rounds = 0; rounds < 10; rounds++) await settle();
						}),
				},
				quick: { run: () => committing.promise },
			}).sleep("nap", 60_000);
			const processor = process.processor([definition]);
			await processor.add(definition, undefined, { id: "x" });
			const running = machine.start(processor);
			await machine.advance(10_000);
			const { history } = (await processor.get("x"))!;
			expect(history.map(({ step }) => step)).toEqual(['["both","slow"]', '["both","quick"]']);
			expect((await machine.log("x")).map(({ data }) => JSON.parse(data as string).at)).toEqual([0, 1]);
			await running.stop();
		});
	});

	test("commits a result behind those of other branches that are on their way to the store", async () => {
		await withMachines(openMemory, async (make) => {
			const machine = await make();
			const process = machine.process();
			const saving = deferred();
			let runs = 0;
			const definition = job<undefined, unknown>("it").all("both", {
				quick: { run: () => "quick" },
				slow: {
					run: async ({ commit }) => {
						runs++;
						await saving.promise;
						await process.write("slow", (tx) => commit(tx, "slow"));
						return "slow";
					},
				},
			});
			const slowly = async (...[name, saves, tx]: Parameters<Store<unknown>["save"]>) => {
				if (tx === undefined) saving.resolve();
				for (let rounds = 0; tx === undefined && rounds < 10; rounds++) await settle();
				return await process.store.save(name, saves, tx);
			};
			const processor = new Processor<typeof definition, unknown>({
				...{ store: { ...process.store, save: slowly }, name: machine.name, clock: machine.clock, jobs: [definition] },
			});
			await processor.add(definition, undefined, { id: "x" });
			const running = machine.start(processor);
			await machine.advance(100_000);
			await running.stop();
			expect((await processor.result("x"))?.value).toEqual({ quick: "quick", slow: "slow" });
			expect([runs, await machine.lines()]).toEqual([1, ["slow"]]);
		});
	});

	const seeds = isPage ? 6 : 24 * (isLong ? 8 : 1);
	test(`in chains of random shape keeps the laws when processes die at random: ${seeds} seeds`, async () => {
		for (let seed = 0; seed < seeds; seed++) expect(await tryChain(openMemory, seed, 0.1)).toBe(undefined);
	}, 600_000);
});
