// Laws of the ends of children: which of them are results of their parent, which are failures, and when it goes on. They hold
// for every store.
import { expect } from "vitest";
import { durable, type Job, job, type Processor, sleep, StoreError } from "../../mod.ts";
import { begin, fail, goOn, type Law, runFor } from "./family.ts";

const hour = 3_600_000;

export function testChildrenEnds(law: Law): void {
	law("each() of no items never calls into(), and a job of nothing else is completed", async (make) => {
		for (const into of [undefined, () => fail("into was called")]) {
			const machine = await make();
			const definition = job("it").each("none", { items: () => [] as string[], run: () => fail(), into });
			const { outcome } = await runFor(machine, 1_000, definition);
			expect(await outcome()).toMatchObject({ status: "completed", value: into === undefined ? [] : undefined });
		}
	});

	law("each() whose items all fail is a failure, or as many times undefined as they are tolerated", async (make) => {
		for (const tolerate of [2, 3, Infinity]) {
			const machine = await make();
			const definition = job("it")
				.step("before", { run: () => "b", revert: () => {} })
				.each("all", { items: () => [1, 2, 3], run: ({ item }) => fail(`no ${item}`), tolerate });
			const { outcome, statuses } = await runFor(machine, 60_000, definition);
			const isDone = tolerate > 2;
			expect(await outcome()).toMatchObject(
				isDone
					? { status: "completed", value: [undefined, undefined, undefined] }
					: { status: "reverted", error: { message: "no 3" } },
			);
			expect(await statuses()).toEqual(["failed", "failed", "failed"]);
		}
	});

	law("the error of a tolerated item is in the history of its parent, with the place of the item", async (make) => {
		const machine = await make();
		const definition = job("it").each("all", {
			items: () => ["good", "bad", "good", "deleted"],
			attempts: 2,
			run: ({ item, attempt, signal }) =>
				item === "bad"
					? fail(`bad in attempt ${attempt}`)
					: item === "deleted"
					? sleep(hour, { clock: machine.clock, signal })
					: undefined,
			tolerate: 2,
		});
		const begun = await begin(machine, definition);
		await machine.advance(60_000);
		await begun.processor.delete((await begun.ids())[3]!);
		await machine.advance(10_000);
		await begun.stop();
		const { status, history } = (await begun.outcome())!;
		expect(status).toBe("completed");
		expect(history).toMatchObject([
			{ step: "all", item: 1, attempt: 2, isRevert: false, error: "bad in attempt 2" },
			{ step: "all", item: 3, attempt: 1, isRevert: false, error: "The child was deleted" },
		]);
	});

	law("the failure of a child is that of its parent, whatever the others do", async (make) => {
		const machine = await make();
		const invoice = job("invoice").each("lines", {
			items: () => ["hangs", "fails", "hangs"],
			run: async ({ item, signal }) => {
				await sleep(item === "fails" ? 1_000 : hour, { clock: machine.clock, signal });
				throw Object.assign(new RangeError("no address"), { code: "E_ADDRESS" });
			},
		});
		const definition = job("it").job("invoice", invoice, () => undefined);
		const { outcome } = await runFor(machine, 60_000, definition, { more: [invoice] });
		const error = { name: "RangeError", message: "no address", code: "E_ADDRESS" };
		expect(await outcome()).toMatchObject({ status: "failed", error });
	});

	law("a message of the join that comes twice, or too early, ends nothing", async (make) => {
		const machine = await make();
		const folds: number[] = [];
		const definition = job("it")
			.each("all", {
				items: () => [1, 2, 3],
				run: ({ item }) => sleep(item * 60_000, { clock: machine.clock }).then(() => item),
				into: (sum: number | undefined, item) => (folds.push(item), (sum ?? 0) + item),
			})
			.sleep("rest", 60_000);
		const begun = await begin(machine, definition);
		const tell = (at: number) => machine.store.post(machine.name, "x", JSON.stringify({ type: "joined", at }));
		for (const time of [1_000, 70_000, 60_000, 55_000]) {
			await machine.advance(time);
			for (const at of [0, 0, 1]) await tell(at);
		}
		await machine.advance(120_000);
		await begun.stop();
		expect(await begun.outcome()).toMatchObject({ status: "completed", results: { all: 6 } });
		expect(folds.slice(-3)).toEqual([1, 2, 3]);
	});

	law("a child that nobody tolerates is deleted by hand, and the others are cancelled", async (make) => {
		const machine = await make();
		const definition = job("it").each("all", {
			items: () => [1, 2, 3],
			run: ({ signal }) => sleep(hour, { clock: machine.clock, signal }),
		});
		const begun = await begin(machine, definition);
		await machine.advance(1_000);
		await begun.processor.delete((await begun.ids())[1]!);
		await machine.advance(60_000);
		await begun.stop();
		expect(await begun.outcome()).toMatchObject({ status: "failed", error: { message: "The child was deleted" } });
		expect(await begun.statuses()).toEqual(["failed", "failed"]);
	});

	law("the rest of a long list does not run after too many items have failed, or after a cancel", async (make) => {
		for (const isCancelled of [false, true]) {
			const machine = await make();
			let ran = 0;
			const definition = job("it").each("all", {
				items: async () => {
					// As a list takes a while, the processor does not claim so many ahead.
					await sleep(100, { clock: machine.clock });
					return Array.from({ length: 150 }, (_, n) => n);
				},
				run: async ({ item, signal }) => {
					ran++;
					await sleep(1_000, { clock: machine.clock, signal });
					if (item === 0 && !isCancelled) fail();
				},
			});
			const begun = await begin(machine, definition, { options: { concurrency: 2 } });
			await machine.advance(500);
			if (isCancelled) await begun.processor.cancel("x");
			await machine.advance(60_000);
			await begun.stop();
			expect((await begun.outcome())?.status).toBe("failed");
			expect(ran).toBeLessThan(10);
		}
	});

	law("children have the priority of their parent", async (make) => {
		const machine = await make();
		const seen: number[] = [];
		const definition = job<number>("it").each("all", {
			items: ({ input }) => [input, input],
			run: ({ item }) => void seen.push(item),
		}) as unknown as Job<number>;
		const processor = machine.processor([definition], { concurrency: 1 }) as Processor<Job<number>>;
		for (const [index, priority] of [-100, 0, 100].entries()) await processor.add(definition, index, { priority });
		await goOn(machine, processor, 60_000);
		expect(seen).toEqual([2, 2, 1, 1, 0, 0]);
	});

	law("a child whose processes crash again and again has failed, and its parent goes on", async (make) => {
		const machine = await make();
		let process = machine.process();
		const definition = job("it").each("all", {
			items: () => [1, 2, 3],
			run: async ({ item }) => {
				if (item === 2) process.die();
				return item === 2 ? await new Promise<number>(() => {}) : item;
			},
			tolerate: 1,
		}) as unknown as Job;
		await machine.processor([definition]).add(definition, undefined, { id: "x" });
		for (let round = 0; round < 4; round++) {
			process = machine.process();
			// With more at once, the others would crash with it.
			void process.processor([definition], { crashes: 3, concurrency: 1 }).run();
			await machine.advance(60_000);
			process.die();
		}
		const last = machine.processor([definition], { crashes: 3 }) as Processor<Job>;
		await goOn(machine, last, 60_000);
		const { status, value, history } = (await last.result("x"))!;
		expect([status, value]).toEqual(["completed", [1, undefined, 3]]);
		expect(history[0]!.error).toMatch(/ended without a word/);
	});

	law("into() is called once for each success, in the order of the items, and anew after a death", async (make) => {
		for (const isKilled of [false, true]) {
			const machine = await make();
			const calls: string[] = [];
			let process = machine.process();
			const definition = job("it").each("all", {
				items: () => Array.from({ length: 8 }, (_, n) => n),
				run: ({ item }) =>
					sleep(1_000 * (8 - item), { clock: machine.clock }).then(() => item === 2 ? fail() : `r${item}`),
				tolerate: 1,
				into: async (sum: string | undefined, result, index) => {
					calls.push(`${index} ${result}`);
					if (isKilled && index === 5 && calls.length < 6) process.die();
					if (process.isDead) await new Promise(() => {});
					return `${sum ?? ""}${result}`;
				},
			});
			const begun = await begin(machine, definition, { process });
			await machine.advance(30_000);
			if (!isKilled) await begun.stop();
			process = machine.process();
			await goOn(machine, process.processor([definition as unknown as Job]), 60_000);
			const other = machine.processor([definition as unknown as Job]) as Processor<Job>;
			expect(await other.result("x")).toMatchObject({ status: "completed", value: "r0r1r3r4r5r6r7" });
			const all = [0, 1, 3, 4, 5, 6, 7].map((n) => `${n} r${n}`);
			expect(calls).toEqual(isKilled ? [...all.slice(0, 5), ...all] : all);
		}
	});

	law("atOnce holds over two processors, and jobs do not share it", async (make) => {
		const machine = await make();
		const running: Record<string, number> = {};
		const most: Record<string, number> = {};
		const definition = job<string>("it").each("all", {
			items: ({ input }) => Array.from({ length: 7 }, () => input),
			atOnce: 2,
			run: async ({ item }) => {
				running[item] = (running[item] ?? 0) + 1;
				most[item] = Math.max(most[item] ?? 0, running[item]);
				await sleep(1_000, { clock: machine.clock });
				running[item]--;
			},
		}) as unknown as Job<string>;
		const processors = [1, 2].map(() => machine.processor([definition], { concurrency: 5 }) as Processor<Job<string>>);
		for (const id of ["x", "y"]) await processors[0]!.add(definition, id, { id });
		const runs = processors.map((processor) => machine.start(processor));
		await machine.advance(60_000);
		for (const run of runs) await run.stop();
		expect(most).toEqual({ x: 2, y: 2 });
		for (const id of ["x", "y"]) expect(await processors[1]!.result(id)).toMatchObject({ status: "completed" });
	});

	law("a parent goes on at the moment when its last child has ended", async (make) => {
		for (const isOther of [false, true]) {
			const machine = await make();
			let ended = 0;
			let next = 0;
			const definition = job("it")
				.each("all", {
					items: () => [5_000, 9_000, 7_000],
					run: async ({ item }) => {
						await sleep(item, { clock: machine.clock });
						ended = Math.max(ended, machine.clock.now());
					},
				})
				.step("next", { run: () => void (next = machine.clock.now()) });
			const begun = await begin(machine, definition);
			// Another processor, which has nothing else to do, may take up the parent.
			const other = isOther ? machine.start(machine.processor([definition as unknown as Job])) : undefined;
			await machine.advance(60_000);
			await begun.stop();
			await other?.stop();
			expect((await begun.outcome())?.status).toBe("completed");
			expect(next - ended).toBeLessThan(100);
		}
	});

	law("job() runs a chain, a durable function, and the version of the definition that it was given", async (make) => {
		const machine = await make();
		const first = job("part", { version: 1 }).step("one", { run: () => "first" });
		const second = job("part", { version: 2 }).step("one", { run: () => ["second", undefined] });
		const flow = durable<number>("flow", async (flow, input) => {
			const one = await flow.step("one", () => input + 1);
			await flow.sleep("rest", 10_000);
			return [await flow.step("two", () => one * 2), undefined];
		});
		const definition = job("it")
			.job("second", second, () => undefined)
			.job("flow", flow, ({ results }) => results.second.length)
			.job("first", first, () => undefined);
		const { outcome } = await runFor(machine, 60_000, definition, { more: [first, second, flow] });
		expect(await outcome()).toMatchObject({ status: "completed", value: "first" });
		expect((await outcome())!.results).toEqual({ second: ["second", undefined], flow: [6, undefined], first: "first" });
	});

	law("what a store cannot keep of children is a failure of their parent", async (make) => {
		const machine = await make();
		const { maxPayload } = machine.store.capabilities;
		if (maxPayload === undefined || maxPayload > 1_000_000) return;
		const large = "x".repeat(maxPayload * 0.7);
		const wide = job("wide").all("both", { one: { run: () => large }, two: { run: () => large } });
		for (
			const definition of [
				job("it").each("all", { items: () => [1, large + large], run: () => {} }),
				job("it").each("all", { items: () => [1, 2], run: () => large }),
				job("it").job("wide", wide, () => undefined),
			]
		) {
			const other = await make();
			const { outcome } = await runFor(other, 60_000, definition, { more: [wide] });
			expect(await outcome()).toMatchObject({ status: "failed", error: { name: "RangeError" } });
		}
	});

	law("each() adds large items, and many with long names, in as many commits as they need", async (make) => {
		const machine = await make();
		const name = "a long name ".repeat(9);
		const definition = job(name).each(name, {
			items: () => Array.from({ length: 60 }, (_, n) => n < 40 ? "x".repeat(40_000) : `${n}/"'\\☃`),
			atOnce: 30,
			run: ({ item }) => item.length,
		});
		const { outcome, statuses } = await runFor(machine, 200_000, definition);
		const { status, value } = (await outcome())!;
		expect([status, (value as number[])[0], (value as number[])[59]]).toEqual(["completed", 40_000, 7]);
		expect((await statuses()).length).toBe(60);
	});

	law(
		"items() that throws, also in the midst of them, or gives other ones after a crash, fails the job",
		async (make) => {
			for (const stumble of ["at once", "in the midst", "other items"]) {
				const machine = await make();
				const process = machine.process((member, count) =>
					stumble === "other items" && member === "save" && count > 2 ? "die after" : undefined
				);
				const definition = job("it")
					.step("before", { run: () => {}, revert: () => {} })
					.each("all", {
						items: function* () {
							if (stumble === "at once") fail(stumble);
							for (let n = 0; n < (process.isDead ? 1_199 : 1_200); n++) {
								if (stumble === "in the midst" && n === 600) fail(stumble);
								yield n;
							}
						},
						run: () => {},
					}) as unknown as Job;
				const begun = await begin(machine, definition, { process });
				await machine.advance(60_000);
				if (stumble !== "other items") await begun.stop();
				expect(process.isDead).toBe(stumble === "other items");
				const other = machine.processor([definition], { concurrency: 100 }) as Processor<Job>;
				await goOn(machine, other, 100_000);
				const message = stumble === "other items" ? '"all" had 1200 items when it began, and has 1199 now' : stumble;
				expect(await other.result("x")).toMatchObject({ status: "reverted", error: { message } });
				for await (const { status } of other.list({ parent: "x" })) expect(status).toMatch(/completed|failed/);
			}
		},
	);

	law(
		"a store that does not answer, and a processor that stops, are no failure of a step with children",
		async (make) => {
			const machine = await make();
			let failures = 0;
			let stops = 0;
			const process = machine.process((member) =>
				member === "list" && failures++ < 3 ? new StoreError("unavailable", "away") : undefined
			);
			const definition = job("it").each("all", {
				items: async ({ signal }) => {
					if (stops++ === 0) await sleep(hour, { clock: machine.clock, signal });
					return [1, 2];
				},
				run: ({ item }) => item,
			});
			const begun = await begin(machine, definition, { process });
			await machine.advance(1_000);
			await begun.stop();
			await goOn(machine, begun.processor, 10 * 60_000);
			expect(await begun.outcome()).toMatchObject({ status: "completed", value: [1, 2] });
			expect([failures > 3, stops]).toEqual([true, 2]);
		},
	);

	law(
		"children whose addition was not answered, and which have ended before their parent looks, are heeded",
		async (make) => {
			const machine = await make();
			const process = machine.process();
			const { save } = process.store;
			const definition = job("it").each("all", { items: () => [1, 2], run: ({ item }) => item });
			let lost = 0;
			let other: ReturnType<typeof machine.start> | undefined;
			const losing: typeof save = async (...args) => {
				const saved = await save(...args);
				if (args[1].some(({ children }) => children !== undefined) && lost++ === 0) {
					// Another processor runs the children meanwhile.
					other = machine.start(machine.processor([definition as unknown as Job]));
					await sleep(5_000, { clock: machine.clock });
					throw new StoreError("unavailable", "no answer");
				}
				return saved;
			};
			Object.assign(process.store, { save: losing });
			const begun = await begin(machine, definition, { process, options: { concurrency: 1 } });
			await machine.advance(60_000);
			await begun.stop();
			await other?.stop();
			expect(await begun.outcome()).toMatchObject({ status: "completed", value: [1, 2] });
			expect(lost).toBeGreaterThan(0);
		},
	);
}
