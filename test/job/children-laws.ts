// Laws of the children of jobs that hold for every store.
import { expect } from "vitest";
import { type Job, job, type Processor, sleep } from "../../mod.ts";
import { atEachDeath, fail, type Law } from "./family.ts";
import type { Machine } from "./support.ts";

/** Adds a job, runs it for a time, and shows it. */
async function runIt(machine: Machine, definition: unknown, time: number, more: readonly unknown[] = []) {
	const processor = machine.processor([definition, ...more] as Job[]) as Processor<Job>;
	await processor.add(definition as Job, undefined, { id: "x" });
	const running = machine.start(processor);
	await machine.advance(time);
	await running.stop();
	return { processor, outcome: await processor.result("x"), shown: (await processor.get("x"))! };
}

export function testChildren(law: Law): void {
	law(
		"each() runs its items as tasks of the basket, and the next step gets the results in their order",
		async (make) => {
			const machine = await make();
			const seen: unknown[] = [];
			const definition = job("it")
				.step("files", { run: () => ["a", "b", "c"] })
				.each("thumbs", {
					items: ({ results }) => results.files,
					run: async ({ item, index }) => {
						seen.push([item, index]);
						await sleep(1_000 - index, { clock: machine.clock });
						return `${item}!`;
					},
				})
				.step("last", { run: ({ results }) => results.thumbs.join() });
			const { outcome, processor } = await runIt(machine, definition, 10_000);
			expect(outcome).toMatchObject({
				status: "completed",
				value: "a!,b!,c!",
				results: { thumbs: ["a!", "b!", "c!"] },
			});
			expect(seen).toEqual([["a", 0], ["b", 1], ["c", 2]]);
			const listed = [];
			for await (const { id } of processor.list()) listed.push(id);
			expect(listed).toEqual(["x"]);
		},
	);

	law("each() of no items gives an empty list, and into() folds results in the order of the items", async (make) => {
		const machine = await make();
		const definition = job("it")
			.each("none", { items: () => [] as number[], run: () => 1 })
			.each("sum", {
				items: () => [1, 2, 3, 4],
				run: ({ item }) => item % 2 === 0 ? fail() : item * 10,
				tolerate: 2,
				into: (sum: string | undefined, result, index) => `${sum ?? ""}${index}:${result} `,
			})
			.each("all", { items: () => [1, 2], run: ({ item }) => item === 1 ? fail() : item, tolerate: 1 });
		const { outcome } = await runIt(machine, definition, 10_000);
		expect(outcome).toMatchObject({ status: "completed", results: { none: [], sum: "0:10 2:30 " } });
		expect(outcome!.value).toEqual([undefined, 2]);
	});

	law("each() runs at most so many items at once", async (make) => {
		const machine = await make();
		let running = 0;
		let most = 0;
		const definition = job("it").each("all", {
			items: () => Array.from({ length: 9 }, (_, n) => n),
			atOnce: 2,
			run: async () => {
				most = Math.max(most, ++running);
				await sleep(1_000, { clock: machine.clock });
				running--;
			},
		});
		const { outcome } = await runIt(machine, definition, 60_000);
		expect([outcome?.status, most]).toEqual(["completed", 2]);
	});

	law("job() has the value of another job, and its failure is that of the job", async (make) => {
		const machine = await make();
		const invoice = job<{ amount: number }>("invoice")
			.step("write", { run: ({ input }) => `invoice of ${input.amount}` })
			.step("send", { run: ({ input, results }) => input.amount < 0 ? fail("no address") : `${results.write} sent` });
		const define = (amount: number) =>
			job("it").step("amount", { run: () => amount }).job(
				"invoice",
				invoice,
				({ results }) => ({ amount: results.amount }),
			);
		const { outcome } = await runIt(machine, define(5), 10_000, [invoice]);
		expect(outcome).toMatchObject({ status: "completed", value: "invoice of 5 sent" });
		const other = await make();
		const { outcome: failed } = await runIt(other, define(-5), 10_000, [invoice]);
		expect(failed).toMatchObject({ status: "failed", error: { message: "no address" } });
	});

	law("each() cancels the rest if too many items fail, and what is done is reverted", async (make) => {
		const machine = await make();
		const seen: unknown[] = [];
		const definition = job("it")
			.step("before", { run: () => "b", revert: () => void seen.push("-before") })
			.each("all", {
				items: () => ["quick", "fails", "hangs", "late"],
				atOnce: 3,
				run: async ({ item, signal }) => {
					if (item === "fails") await sleep(1_000, { clock: machine.clock }).then(() => fail());
					if (item === "hangs") await sleep(1_000_000, { clock: machine.clock, signal });
					seen.push(item);
					return item;
				},
				revert: ({ item, result, index }) => void seen.push(`-${item} ${result} ${index}`),
			})
			.step("never", { run: () => seen.push("never") });
		const { outcome } = await runIt(machine, definition, 100_000);
		expect(outcome).toMatchObject({ status: "reverted", error: { message: "failure" } });
		expect(seen.filter((one) => one !== "late" && one !== "-late late 3")).toEqual([
			"quick",
			"-quick quick 0",
			"-before",
		]);
		expect(seen.includes("late")).toBe(seen.includes("-late late 3"));
	});

	law("a later failure lets completed items and jobs go backward", async (make) => {
		const machine = await make();
		const seen: unknown[] = [];
		const invoice = job<number>("invoice")
			.step("write", { run: ({ input }) => input, revert: ({ result }) => void seen.push(`-invoice ${result}`) })
			.step("plain", { run: () => "sent" });
		const definition = job("it")
			.each("all", { items: () => [1, 2, 3], run: ({ item }) => item, revert: ({ item }) => void seen.push(-item) })
			.job("invoice", invoice, () => 7)
			.step("last", { run: () => fail() });
		const { outcome } = await runIt(machine, definition, 100_000, [invoice]);
		expect(outcome).toMatchObject({ status: "reverted", error: { message: "failure" } });
		expect(seen).toEqual(["-invoice 7", -3, -2, -1]);
	});

	law("a child that is deleted or held, and a parent that is deleted, leave nobody stuck", async (make) => {
		const machine = await make();
		const definition = job("it").each("all", {
			items: () => [1, 2],
			run: ({ item, signal }) => item === 2 ? sleep(1_000_000, { clock: machine.clock, signal }) : undefined,
			tolerate: 1,
		}) as unknown as Job;
		const processor = machine.processor([definition]) as Processor<Job>;
		await processor.add(definition, undefined, { id: "x" });
		const running = machine.start(processor);
		await machine.advance(1_000);
		const children = await machine.store.list(machine.name, { parent: "x", limit: 10 });
		expect(children.map(({ state }) => state)).toEqual(["done", "running"]);
		await machine.store.delete(machine.name, [children[1]!.id]);
		await machine.advance(60_000);
		await running.stop();
		expect(await processor.result("x")).toMatchObject({ status: "completed", value: [undefined, undefined] });
	});

	law("a process that dies at any call loses no child, and runs none again that is done", async (make) => {
		await atEachDeath(make, async (machine, fault, place) => {
			const done: number[] = [];
			const folded: number[] = [];
			const definition = job("it").each("all", {
				items: () => Array.from({ length: 5 }, (_, n) => n),
				run: async ({ item, id }) => {
					const state = await machine.checkpoint(id);
					if (state.logged > 0) folded.push(item);
					done.push(item);
					return item;
				},
				into: (sum: number | undefined, item) => (sum ?? 0) + item,
			}) as unknown as Job;
			const last = machine.processor([definition]) as Processor<Job>;
			await last.add(definition, undefined, { id: "x" });
			const dying = machine.process(fault);
			void dying.processor([definition], { concurrency: 2 } as never).run();
			await machine.advance(60_000);
			const running = machine.start(last);
			await machine.advance(200_000);
			await running.stop();
			const outcome = await last.result("x");
			expect([...place, outcome?.status, outcome?.value, folded]).toEqual([...place, "completed", 10, []]);
			expect([...new Set(done)].sort()).toEqual([0, 1, 2, 3, 4]);
			const listed = [];
			for await (const { status } of last.list({ parent: "x" })) listed.push(status);
			expect(listed).toEqual(Array(5).fill("completed"));
		});
	});

	law("cancel() leaves no child that goes on", async (make) => {
		const machine = await make();
		const seen: unknown[] = [];
		const definition = job("it").each("all", {
			items: () => Array.from({ length: 1_200 }, (_, n) => n),
			atOnce: 3,
			run: ({ signal }) => sleep(1_000_000, { clock: machine.clock, signal }),
			revert: ({ index }) => void seen.push(index),
		}) as unknown as Job;
		const process = machine.process();
		const processor = process.processor([definition]) as Processor<Job>;
		await processor.add(definition, undefined, { id: "x" });
		const other = machine.processor([]) as Processor<Job>;
		const running = machine.start(processor);
		await other.cancel("x");
		await machine.advance(100_000);
		await running.stop();
		expect(await processor.result("x")).toMatchObject({ status: "reverted", error: { name: "AbortError" } });
		let left = 0;
		for await (const { status } of processor.list({ parent: "x" })) {
			if (status === "waiting" || status === "running") left++;
		}
		expect([left, seen]).toEqual([0, []]);
	});

	law("children five levels deep end before their parents, forward and backward", async (make) => {
		const machine = await make();
		const seen: string[] = [];
		const levels: unknown[] = [
			job<number>("level 0").step("leaf", {
				run: ({ input }) => (seen.push("leaf"), input),
				revert: () => void seen.push("-leaf"),
			}),
		];
		for (let level = 1; level <= 5; level++) {
			const below = levels.at(-1) as Job<number, object, number>;
			levels.push(
				job<number>(`level ${level}`)
					.job("below", below, ({ input }) => input + 1)
					.step("up", {
						run: ({ results }) => (seen.push(`up ${level}`), results.below as number),
						revert: () => void seen.push(`-up ${level}`),
					}),
			);
		}
		const top = job("top").job("below", levels.at(-1) as Job<number, object, number>, () => 1).step("fail", {
			run: () => fail(),
		});
		const { outcome } = await runIt(machine, top, 200_000, levels);
		expect(outcome).toMatchObject({ status: "reverted", results: { below: 6 } });
		const up = [1, 2, 3, 4, 5].map((level) => `up ${level}`);
		expect(seen).toEqual(["leaf", ...up, ...up.reverse().map((one) => `-${one}`), "-leaf"]);
	});

	law("a process that dies while a job turns back runs no step again after an item was reverted", async (make) => {
		await atEachDeath(make, async (machine, fault, place) => {
			const seen: string[] = [];
			const define = () =>
				job("it")
					.each("all", { items: () => [1, 2], run: () => {}, revert: () => void seen.push("revert") })
					.step("last", { run: () => (seen.push("run"), fail()) }) as unknown as Job;
			const definition = define();
			const last = machine.processor([definition]) as Processor<Job>;
			await last.add(definition, undefined, { id: "x" });
			const dying = machine.process(fault);
			void dying.processor([define()]).run();
			await machine.advance(60_000);
			const running = machine.start(last);
			await machine.advance(200_000);
			await running.stop();
			expect([...place, (await last.result("x"))?.status]).toEqual([...place, "reverted"]);
			expect([...place, seen.indexOf("revert") > seen.lastIndexOf("run")]).toEqual([...place, true]);
		});
	});

	law("a job that goes backward ends after its children, however often its process crashes", async (make) => {
		const machine = await make();
		const definition = job("it").each("all", {
			items: () => [1],
			run: ({ signal }) => sleep(1_000_000, { clock: machine.clock, signal }),
		}) as unknown as Job;
		const processor = machine.processor([definition], { crashes: 2 }) as Processor<Job>;
		await processor.add(definition, undefined, { id: "x" });
		const running = machine.start(processor);
		await machine.advance(1_000);
		await running.stop();
		await machine.store.change(machine.name, ["x"], "hold");
		const [child] = await machine.store.list(machine.name, { parent: "x", limit: 1 });
		await machine.store.change(machine.name, [child!.id], "hold");
		await machine.store.change(machine.name, ["x"], "release");
		await processor.cancel("x");
		const again = machine.start(processor);
		await machine.advance(5_000);
		await again.stop();
		for (let crashes = 0; crashes < 4; crashes++) {
			await machine.store.post(machine.name, "x", JSON.stringify({ type: "yield" }));
			expect(await machine.crash("it")).toBe("x");
		}
		const third = machine.start(processor);
		await machine.advance(100_000);
		expect(await processor.result("x")).toBe(undefined);
		await machine.store.change(machine.name, [child!.id], "release");
		await machine.advance(100_000);
		await third.stop();
		expect(await processor.result("x")).toMatchObject({ status: "failed", error: { name: "AbortError" } });
		expect(await processor.result(child!.id)).toMatchObject({ status: "failed" });
	});
}
