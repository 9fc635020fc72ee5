// The laws of jobs on memoryStore(), and behavior that does not depend on a store.
import { describe as group, expect, test } from "vitest";
import { describeJob, job, memoryStore, Processor } from "../../mod.ts";
import { openMemory } from "./database.ts";
import { testJobs } from "./laws.ts";
import { withMachines } from "./support.ts";

const noop = () => {};

testJobs("memoryStore()", openMemory);

group("new Processor()", () => {
	test("refuses what is not allowed", () => {
		const one = job("one").step("a", { run: noop });
		const version = (version: number | string) => job("one", { version }).step("a", { run: noop });
		const make = (options: object) => () => new Processor({ store: memoryStore(), jobs: [one], ...options });
		for (
			const [options, text] of [
				[{ jobs: [one, one] }, `two jobs of the name "one"`],
				[{ jobs: [version(1), version("1")] }, `two jobs of the name "one" of the version "1"`],
				[{ jobs: [job("empty")] }, `"empty" has no steps`],
				[{ jobs: undefined }, `"jobs"`],
				[{ jobs: {} }, `"jobs" must be an array`],
				[{ jobs: [null] }, `"job"`],
				[{ jobs: [{ name: "x" }] }, `"job.steps"`],
				[{ onSettled: 1 }, `"onSettled"`],
				[{ onAttemptFailed: 1 }, `"onAttemptFailed"`],
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

group("Processor", () => {
	const one = job<string>("one").step("a", { run: ({ input }) => input });
	const other = job<number>("other").step("a", { run: ({ input }) => input });

	test("add() refuses a job that the processor does not have, and another definition of the same name", async () => {
		const processor = new Processor({ store: memoryStore(), jobs: [one] });
		const twin = job<string>("one").step("a", { run: noop }).step("b", { run: noop });
		await expect((processor as Processor).add(job("one", { version: 2 }))).rejects.toMatchObject({
			message: `The processor has no job "one" of the version 2`,
		});
		await expect((processor as Processor).add(other, 1)).rejects.toMatchObject({
			message: `The processor has no job "other"`,
		});
		await expect((processor as Processor).add(twin, "x")).rejects.toMatchObject({
			name: "TypeError",
			message: `The processor has another job of the name "one"`,
		});
		const both = [{ job: one, input: "x" }, { job: twin, input: "y" }];
		await expect((processor as Processor).addMany(both)).rejects.toMatchObject({
			name: "TypeError",
		});
		await expect(processor.addMany({} as never)).rejects.toMatchObject({ name: "TypeError" });
		expect((await processor.counts()).waiting).toBe(0);
	});

	test("addMany() adds jobs of several definitions, and an id once", async () => {
		const processor = new Processor({ store: memoryStore(), jobs: [one, other] });
		const added = await processor.addMany([
			{ job: one, input: "x", id: "x" },
			{ job: other, input: 2, delay: 0 },
			{ job: one, input: "y", id: "x" },
		]);
		expect(added).toMatchObject([{ id: "x", added: true }, { added: true }, {
			id: "x",
			added: false,
			state: "waiting",
		}]);
		expect(await processor.counts()).toEqual({ waiting: 2, running: 0, held: 0, dead: 0, done: 0 });
		await processor.drain();
		expect([(await processor.wait(added[0]!.id)).value, (await processor.wait(added[1]!.id)).value]).toEqual(["x", 2]);
		expect((await processor.counts()).done).toBe(2);
	});

	test("addMany() takes anything that can be iterated over", async () => {
		const processor = new Processor({ store: memoryStore(), jobs: [one] });
		const entries = new Set(["x", "y"].map((input) => ({ job: one, input, id: input })));
		expect(await processor.addMany(entries)).toMatchObject([{ id: "x", added: true }, { id: "y", added: true }]);
	});

	test("name and open() are those of its tasks in the store", async () => {
		const store = memoryStore();
		expect(new Processor({ store, jobs: [] }).name).toBe("jobs");
		const processor = new Processor({ store, jobs: [one], name: "mine" });
		await processor.open();
		await processor.add(one, "x");
		expect([processor.name, (await store.counts("mine")).waiting]).toEqual(["mine", 1]);
	});

	test("wait() refuses a signal that is none", async () => {
		const processor = new Processor({ store: memoryStore(), jobs: [one] });
		await expect(processor.wait("x", { signal: {} as never })).rejects.toMatchObject({ name: "TypeError" });
	});

	test("pause() lets the current step end, begins nothing more, and no message wakes it; resume() goes on", () =>
		withMachines(openMemory, async (make) => {
			const machine = await make();
			const log: string[] = [];
			const two = job("two").step("a", {
				run: () => {
					log.push("a");
					processor.pause();
				},
			}).step("b", { run: () => void log.push("b") });
			const processor = machine.processor([two, one]);
			const { id } = await processor.add(two);
			const running = machine.start(processor);
			await machine.advance(0);
			expect([log, processor.getSnapshot().state, (await processor.get(id))!.status]).toEqual([
				["a"],
				"paused",
				"waiting",
			]);
			await processor.add(one, "x");
			await (processor as Processor).signal(id as string, "a").catch(noop);
			expect(await processor.cancel((await processor.add(one, "y", { id: "y" })).id)).toBe(true);
			await machine.advance(120_000);
			expect([log, (await processor.counts()).waiting]).toEqual([["a"], 3]);
			processor.resume();
			await machine.advance(0);
			expect([log, (await processor.counts()).done]).toEqual([["a", "b"], 3]);
			await running.stop();
		}));

	test("onSettled is called once the end of a job is stored, and for a job that is held because of a problem", () =>
		withMachines(openMemory, async (make) => {
			const machine = await make();
			const settled: unknown[] = [];
			const failing = job("failing")
				.step("a", { run: () => "a", revert: () => Promise.reject(new Error("stuck")), revertAttempts: 1 })
				.step("b", { run: () => Promise.reject(new Error("away")) });
			const onSettled = (end: { id: string; error: unknown; revertError: unknown }) => {
				const text = (error: unknown) => (error as Error | undefined)?.message;
				settled.push({ ...end, error: text(end.error), revertError: text(end.revertError) });
				throw new Error("an observer that throws");
			};
			const processor = machine.processor([one, failing], { onSettled });
			await processor.add(one, "x", { id: "good" });
			await processor.add(failing, undefined, { id: "bad" });
			await processor.add(one, "x", { id: "odd" });
			await machine.replace("odd", "one", "{");
			await machine.drain(processor);
			const parsed = (settled as { id: string; error: string }[]).sort((a, b) => a.id < b.id ? -1 : 1);
			expect(parsed[2]!.error).toContain("JSON");
			const whole = { revertError: undefined, unreverted: [] };
			expect(parsed).toEqual([
				{ id: "bad", job: "failing", status: "failed", error: "away", revertError: "stuck", unreverted: ["a"] },
				{ ...whole, id: "good", job: "one", status: "completed", error: undefined },
				{ ...whole, id: "odd", job: "one", status: "held", error: parsed[2]!.error },
			]);
			expect(machine.errors.length).toBe(3);
		}));

	test("onAttemptFailed is called for each attempt that has failed, of a step and of a revert", () =>
		withMachines(openMemory, async (make) => {
			const machine = await make();
			const failures: unknown[] = [];
			let isStuck = true;
			const flaky = job("flaky")
				.step("a", {
					run: noop,
					revert: () => {
						if (isStuck) throw new Error("stuck");
					},
					backoff: 50,
				})
				.step("b", { run: () => Promise.reject(new Error("away")), attempts: 2, backoff: 100 });
			const processor = machine.processor([flaky], {
				onAttemptFailed: ({ error, ...failed }) => {
					failures.push({ ...failed, error: (error as Error).message });
					isStuck = failed.isRevert ? false : isStuck;
				},
			});
			const { id } = await processor.add(flaky, undefined, { id: "x" });
			await machine.drain(processor);
			await machine.advance(100);
			await machine.drain(processor);
			await machine.advance(100);
			await machine.drain(processor);
			expect((await processor.wait(id)).status).toBe("reverted");
			const base = { id: "x", job: "flaky" };
			expect(failures).toEqual([
				{ ...base, step: "b", isRevert: false, attempt: 1, again: true, delay: 100, error: "away" },
				{ ...base, step: "b", isRevert: false, attempt: 2, again: false, delay: 0, error: "away" },
				{ ...base, step: "a", isRevert: true, attempt: 1, again: true, delay: 50, error: "stuck" },
			]);
		}));
});

group("job()", () => {
	test("refuses what is not allowed", () => {
		const base = job("base").step("a", { run: noop });
		for (
			const [make, text] of [
				[() => job(""), `"name"`],
				[() => job("a\u001fb"), `"name"`],
				[() => job("a", { version: {} as never }), `"version"`],
				[() => job("a", { version: "\0" }), `"version"`],
				[() => job("a".repeat(200), { version: "b".repeat(55) }), `"version"`],
				[() => job("a", { schema: {} as never }), `"schema"`],
				[() => base.step("a", { run: noop }), `another step "a"`],
				[() => base.sleep("a", 1), `another step "a"`],
				[() => base.step("__proto__", { run: noop }), `"__proto__"`],
				[() => base.step("b", {} as never), `"run"`],
				[() => base.step("b", { run: noop, revert: 1 as never }), `"revert"`],
				[() => base.step("b", { run: noop, attempts: 0 }), `"attempts"`],
				[() => base.step("b", { run: noop, revertAttempts: 0.5 }), `"revertAttempts"`],
				[() => base.step("b", { run: noop, timeout: 0 }), `"timeout"`],
				[() => base.step("b", { run: noop, schema: 1 as never }), `"schema"`],
				[() => base.sleep("b", Infinity), `"duration"`],
				[() => base.sleep("b", -1), `"duration"`],
				[() => base.waitFor("b", { timeout: 0 }), `"timeout"`],
			] as const
		) expect(make).toThrow(text);
	});

	test("describeJob() gives the steps as data and as a diagram", () => {
		const definition = job("trip", { version: 2 })
			.step("flight", { run: noop, revert: noop, attempts: 4, timeout: 100 })
			.sleep("night", 1_000)
			.waitFor("approval", { timeout: 5_000 })
			.step('say "bye"', { run: noop, revert: noop, revertAttempts: 3 });
		const { mermaid, ...data } = describeJob(definition);
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
