// How the children of jobs are defined, and how they are named and shown. Their laws are in children-laws.ts.
import { describe as group, expect, test } from "vitest";
import {
	describeJob,
	durable,
	type FailedJobAttempt,
	job,
	type JobSettled,
	memoryStore,
	Processor,
} from "../../mod.ts";
import { partsOf } from "../../src/job/version.ts";
import { VirtualClock } from "../../src/testing/testing.ts";

const noop = () => {};
const items = () => [1, 2];
const run = () => "done";

async function all<T>(list: AsyncIterable<T>): Promise<T[]> {
	const found: T[] = [];
	for await (const one of list) found.push(one);
	return found;
}

group("Job.each(), Job.job()", () => {
	test("refuse what is not allowed, and name it", () => {
		const base = job("base").step("a", { run }).each("list", { items, run });
		const other = job("other").step("a", { run });
		for (
			const [make, text] of [
				[() => base.each("b", 1 as never), `"options" must be an object: current value is 1`],
				[() => base.each("b", { run } as never), `"items" must be a function: current value is undefined`],
				[() => base.each("b", { items: [1] as never, run }), `"items" must be a function`],
				[() => base.each("b", { items } as never), `"run" must be a function`],
				[() => base.each("b", { items, run, revert: 1 as never }), `"revert" must be a function: current value is 1`],
				[() => base.each("b", { items, run, atOnce: 0 }), `"atOnce" must be a whole number from 1, or Infinity`],
				[() => base.each("b", { items, run, atOnce: NaN }), `"atOnce" must be a whole number from 1, or Infinity`],
				[() => base.each("b", { items, run, tolerate: -1 }), "or Infinity: current value is -1"],
				[() => base.each("b", { items, run, tolerate: 0.5 }), `"tolerate" must be a whole number from 0`],
				[() => base.each("b", { items, run, tolerate: "1" as never }), `"tolerate" must be a whole number from 0`],
				[() => base.each("b", { items, run, into: [] as never }), `"into" must be a function`],
				[() => base.each("b", { items, run, attempts: 0 }), `"attempts"`],
				[() => base.each("a", { items, run }), `another step "a"`],
				[() => base.each("list", { items, run }), `another step "list"`],
				[() => base.each("", { items, run }), `"name"`],
				[() => base.each("[a", { items, run }), `"name"`],
				[() => base.each("a\u001fb", { items, run }), `"name" must be without U+001F`],
				[() => job("a".repeat(200)).each("b".repeat(54), { items, run }), "at most 253 characters together"],
				[() => job("a", { version: "1\u001f" }), `"version" must be without U+001F`],
				[() => base.job("a", other), `another step "a"`],
				[() => base.job("b", undefined as never, noop as never), `"job" must be an object: current value is undefined`],
				[() => base.job("b", { name: "x" } as never, noop as never), `"job.steps"`],
				[() => base.job("b", job("empty")), `The job "empty" has no steps`],
				[() => base.job("b", other, 1 as never), `"input" must be a function: current value is 1`],
			] as const
		) expect(make).toThrow(text);
		job("a".repeat(200)).each("b".repeat(53), { items, run });
	});

	test("a list that is none fails the job by name, before a child is stored", async () => {
		for (const value of [undefined, 7, {}, { [Symbol.asyncIterator]: noop }]) {
			const definition = job("it").each("list", { items: () => value as never, run });
			const processor = new Processor({ store: memoryStore(), jobs: [definition] });
			await processor.add(definition, undefined, { id: "x" });
			await processor.drain();
			const outcome = await processor.result("x");
			expect(outcome).toMatchObject({ status: "failed", error: { name: "TypeError" } });
			expect(outcome?.error?.message).toMatch(/^"items" must be iterable: current value is /);
			expect(await all(processor.list({ parent: "x" }))).toEqual([]);
		}
	});

	test("a processor has the definitions of all children, whether they are given or not", async () => {
		const leaf = durable("leaf", async (flow, n: number) => await flow.step("a", () => n + 1));
		const middle = job<number>("middle").job("leaf", leaf, ({ input }) => input + 1);
		const top = job<number>("top").job("one", middle, ({ input }) => input).job(
			"two",
			leaf,
			({ results }) => results.one,
		);
		for (const jobs of [[top], [top, middle, leaf], [leaf, top]]) {
			const processor: Processor = new Processor({ store: memoryStore(), jobs });
			await processor.add(top, 1, { id: "x" });
			await processor.drain();
			expect(await processor.result("x")).toMatchObject({ status: "completed", results: { one: 3, two: 4 } });
			const { id } = await processor.add(leaf, 7);
			await processor.drain();
			expect((await processor.result(id))?.value).toBe(8);
		}
		const namesake = job("leaf").step("a", { run });
		expect(() => new Processor({ store: memoryStore(), jobs: [top, namesake] })).toThrow(`two jobs of the name "leaf"`);
		expect(() => new Processor({ store: memoryStore(), jobs: [top, top] })).toThrow(`two jobs of the name "top"`);
	});

	test("a child may have any value that a step may have", async () => {
		const values = [undefined, null, 0, "", [undefined, 1, undefined], { a: [] }];
		const lists = job<number>("list").each("all", {
			items: () => [0, 1, 2, 3],
			run: ({ item }) => item === 2 ? Promise.reject(new Error("no")) : values[item],
			tolerate: 1,
		});
		const flows = durable("flow", async (flow, n: number) => await flow.step("a", () => values[n]));
		const top = job("top").job("list", lists, () => 1).job("three", flows, () => 3).job("four", flows, () => 4).job(
			"none",
			flows,
			() => 0,
		);
		const processor = new Processor({ store: memoryStore(), jobs: [top] });
		const { id } = await processor.add(top);
		await processor.drain();
		const { error, results } = (await processor.result(id))!;
		expect([error, results]).toEqual([undefined, {
			list: [undefined, null, undefined, ""],
			three: "",
			four: values[4],
			none: undefined,
		}]);
	});

	test("wait() gives lists with undefined as they are, in the process that runs the job, too", async () => {
		const listed = () => [undefined, 1];
		const definition = job("it")
			.step("plain", { run: listed })
			.all("both", { a: { run: listed }, b: { run: () => 2 } })
			.each("some", {
				items: () => [0, 1],
				run: ({ item }) => item ? 7 : Promise.reject(new Error("no")),
				tolerate: 1,
			});
		const processor = new Processor({ store: memoryStore(), jobs: [definition] });
		const { id } = await processor.add(definition);
		const waiting = processor.wait(id);
		await processor.drain();
		const { results, value } = await waiting;
		expect(results).toEqual({ plain: [undefined, 1], both: { a: [undefined, 1], b: 2 }, some: [undefined, 7] });
		expect(value).toEqual([undefined, 7]);
		expect((await processor.result(id))?.results).toEqual(results);
	});

	test("children are named after their job and their step in records, events and lists", async () => {
		const settled: JobSettled[] = [];
		const attempts: FailedJobAttempt[] = [];
		const clock = new VirtualClock();
		for (const version of [undefined, 2, ""]) {
			const invoice = job("invoice").step("write", { run });
			const trip = job("trip", { version })
				.each("thumbs", {
					items: () => ["a", "b"],
					run({ item, attempt }) {
						if (item === "b" && attempt === 1) throw new Error("busy");
						return item;
					},
					attempts: 2,
					backoff: 1,
				})
				.job("bill", invoice)
				.waitFor("end");
			const processor = new Processor({
				store: memoryStore({ clock }),
				clock,
				jobs: [trip, invoice],
				onSettled: (one) => settled.push(one),
				onAttemptFailed: (one) => attempts.push(one),
			});
			const running = processor.run();
			await processor.add(trip, undefined, { id: "x" });
			await clock.advance(1_000);
			expect(await processor.get("x")).toMatchObject({ step: "end" });
			const [a, b, bill, ...more] = await all(processor.list({ parent: "x" }));
			expect(more).toEqual([]);
			expect(a).toMatchObject({ job: "trip", itemOf: "thumbs", parent: "x", version, status: "completed" });
			expect([a!.input, b!.input]).toEqual([{ item: "a", index: 0 }, { item: "b", index: 1 }]);
			expect(bill).toMatchObject({ job: "invoice", itemOf: undefined, parent: "x", input: undefined });
			expect((await all(processor.list({ parent: "x", job: "trip" }))).map(({ id }) => id)).toEqual([a!.id, b!.id]);
			expect((await all(processor.list({ job: "trip" }))).map(({ id }) => id)).toEqual(["x"]);
			expect(await all(processor.list({ job: "invoice" }))).toEqual([]);
			expect(settled.splice(0).map(({ job, itemOf, status }) => [job, itemOf, status])).toEqual([
				["trip", "thumbs", "completed"],
				["trip", "thumbs", "completed"],
				["invoice", undefined, "completed"],
			]);
			expect(attempts.splice(0)).toMatchObject([{ id: b!.id, job: "trip", step: "thumbs", isRevert: false }]);
			await processor.stop();
			await running;
		}
	});

	test("a stored pause by name is one of its items, too", async () => {
		const definition = job("trip").each("thumbs", { items, run });
		const processor = new Processor({ store: memoryStore(), jobs: [definition] });
		await processor.add(definition, undefined, { id: "x" });
		// The drain ends when nothing is due: the pause begins when the items are stored, and none has begun.
		const store = new Processor({ store: memoryStore(), jobs: [] });
		expect(await store.pauses()).toEqual({ all: false, kinds: [] });
		await processor.pause({ stored: true, job: "trip" });
		await processor.drain();
		expect(await all(processor.list({ parent: "x" }))).toEqual([]);
		await processor.resume({ stored: true, job: "trip" });
		await processor.drain();
		expect(await processor.result("x")).toMatchObject({ status: "completed", value: ["done", "done"] });
		expect((await processor.pauses()).kinds).toEqual([]);
	});

	test("a job that waits for its children says how many it has", async () => {
		const definition = job("trip")
			.step("before", { run })
			.each("thumbs", { items, run, atOnce: 1 })
			.step("after", { run: () => Promise.reject(new Error("no")) });
		const seen: unknown[] = [];
		const live = new Set<string>();
		const processor: Processor = new Processor({
			store: memoryStore(),
			jobs: [definition],
			concurrency: 1,
			onSettled: ({ itemOf }) => itemOf && seen.push(processor.get("x")),
		});
		processor.subscribe(() => {
			for (const { job, itemOf } of processor.getSnapshot().jobs.values()) live.add(`${job} ${itemOf}`);
		});
		await processor.add(definition, undefined, { id: "x" });
		expect(await processor.get("x")).toMatchObject({ step: "before", children: undefined });
		await processor.drain();
		const [first] = await Promise.all(seen);
		expect(first).toMatchObject({ step: "thumbs", children: { count: 2, added: 2 }, itemOf: undefined });
		expect(await processor.get("x")).toMatchObject({ status: "failed", children: undefined });
		expect([...live]).toEqual(["trip undefined", "trip thumbs"]);
	});

	test("describeJob() gives lists and other jobs as data and as a diagram", () => {
		const plain = job("plain").step("a", { run });
		const invoice = job("invoice").step("a", { run, revert: noop });
		const { steps, mermaid } = describeJob(
			job("it")
				.step("before", { run, revert: noop })
				.each("thumbs", { items, run, revert: noop, atOnce: 20, tolerate: 3, attempts: 2, timeout: 50 })
				.each("mail", { items, run })
				.job("bill", invoice)
				.job("plain", plain)
				.job("flow", durable("any", run)),
		);
		const never = { attempts: 1, revertAttempts: Infinity, duration: Infinity };
		expect(steps.slice(1)).toEqual([
			{
				...never,
				...{ name: "thumbs", type: "each", hasRevert: true, attempts: 2, duration: 50, atOnce: 20, tolerate: 3 },
			},
			{ ...never, name: "mail", type: "each", hasRevert: false, atOnce: Infinity, tolerate: 0 },
			{ ...never, name: "bill", type: "job", hasRevert: true, job: "invoice" },
			{ ...never, name: "plain", type: "job", hasRevert: false, job: "plain" },
			{ ...never, name: "flow", type: "job", hasRevert: true, job: "any" },
		]);
		expect(mermaid.split("\n\t").slice(4)).toEqual([
			`r0["revert before"] --> reverted`,
			`s1[["thumbs: each item"]]`,
			"s1 --> s2",
			"s1 -. fails .-> r1",
			`r1["revert thumbs: each item"] --> r0`,
			`s2[["mail: each item"]]`,
			"s2 --> s3",
			"s2 -. fails .-> r1",
			`s3[["bill: the job invoice"]]`,
			"s3 --> s4",
			"s3 -. fails .-> r1",
			`r3["revert bill: the job invoice"] --> r1`,
			`s4[["plain: the job plain"]]`,
			"s4 --> s5",
			"s4 -. fails .-> r3",
			`s5[["flow: the job any"]]`,
			"s5 --> completed",
			"s5 -. fails .-> r3",
			`r5["revert flow: the job any"] --> r3\n`,
		]);
	});

	test("the kinds of items are none of other jobs", () => {
		expect(partsOf("trip")).toEqual({ name: "trip", version: undefined, itemOf: undefined });
		expect(partsOf("trip\u001f")).toEqual({ name: "trip", version: "", itemOf: undefined });
		expect(partsOf("trip\u001f2")).toEqual({ name: "trip", version: "2", itemOf: undefined });
		expect(partsOf("trip\u001f\u001fa")).toEqual({ name: "trip", version: undefined, itemOf: "a" });
		expect(partsOf("trip\u001f\u001f\u001fa")).toEqual({ name: "trip", version: "", itemOf: "a" });
		expect(partsOf("trip\u001f2\u001f\u001fa")).toEqual({ name: "trip", version: "2", itemOf: "a" });
		const both = [undefined, ""].map((version) => job("trip", { version }).each("a", { items, run }));
		new Processor({ store: memoryStore(), jobs: both });
	});
});
