// Laws of jobs with children that are cancelled, go backward, begin anew or are changed by hand. They hold for every store.
import { expect } from "vitest";
import { durable, type Job, job, type Processor, sleep } from "../../mod.ts";
import { atEachDeath, begin, fail, family, goOn, type Law, runFor } from "./family.ts";

const hour = 3_600_000;

export function testChildrenTurns(law: Law): void {
	law("over `tolerate`, the rest is cancelled, and then what was done is reverted in reverse order", async (make) => {
		const machine = await make();
		const seen: string[] = [];
		const definition = job("it")
			.step("before", { run: () => {}, revert: () => void seen.push("-before") })
			.each("all", {
				items: () => ["a", "fails", "b", "hangs", "fails", "c"],
				run: async ({ item, index, signal }) => {
					if (item === "hangs") await sleep(10 * hour, { clock: machine.clock, signal });
					await sleep(item === "fails" ? 30_000 : 1_000 * index, { clock: machine.clock });
					if (item === "fails") fail();
					return seen.push(item);
				},
				revert: async ({ item, result, error }) => {
					seen.push(`-${item}`);
					expect([typeof result, error.message]).toEqual(["number", "failure"]);
					await sleep(1_000, { clock: machine.clock });
				},
				tolerate: 1,
			});
		const { outcome, statuses } = await runFor(machine, 200_000, definition);
		expect(await outcome()).toMatchObject({ status: "reverted", error: { message: "failure" } });
		expect(seen).toEqual(["a", "b", "c", "-c", "-b", "-a", "-before"]);
		expect(await statuses()).toEqual(Array(6).fill("reverted"));
	});

	law("a parent is not claimed while its children go backward, however long that takes", async (make) => {
		const machine = await make();
		const process = machine.process();
		const { turn } = process.store;
		let claims = 0;
		const counting: typeof turn = async (...args) => {
			const result = await turn(...args);
			claims += result.claims.filter(({ id }) => id === "x").length;
			return result;
		};
		Object.assign(process.store, { turn: counting });
		let isMended = false;
		const definition = job("it")
			.each("all", {
				items: () => [1, 2, 3, 4],
				run: () => {},
				revert: ({ item }) => item === 1 && !isMended ? fail("away") : undefined,
			})
			.step("last", { run: () => fail() });
		const begun = await begin(machine, definition, { process });
		await machine.advance(hour);
		expect((await begun.processor.get("x"))?.direction).toBe("backward");
		const before = claims;
		await machine.advance(8 * hour);
		expect(claims).toBe(before);
		expect(claims).toBeLessThan(10);
		isMended = true;
		// Its next attempt begins within the longest backoff.
		for (let hours = 0; hours < 10 && await begun.outcome() === undefined; hours++) await machine.advance(hour);
		await begun.stop();
		const status = (await begun.outcome())?.status;
		const told = { status, children: await begun.statuses(), errors: machine.errors };
		expect(told).toEqual({ status: "reverted", children: Array(4).fill("reverted"), errors: [] });
	});

	law(
		"cancel() while children are added, in two parts or after a death between them, leaves none of them",
		async (make) => {
			for (const isKilled of [false, true]) {
				const machine = await make();
				let parts = 0;
				const process = machine.process();
				const { save } = process.store;
				const cancelling: typeof save = async (...args) => {
					const saved = await save(...args);
					const hasChildren = args[1].some(({ children = [] }) => children.length > 0);
					if (hasChildren && ++parts === 2) {
						await begun.processor.cancel("x");
						if (isKilled) process.die();
					}
					return process.isDead ? await new Promise<never>(() => {}) : saved;
				};
				Object.assign(process.store, { save: cancelling });
				const seen: string[] = [];
				const definition = job("it")
					.step("before", { run: () => {}, revert: () => void seen.push("-before") })
					.each("all", { items: () => Array.from({ length: 1_300 }, (_, n) => n), run: () => {}, revert: () => {} });
				const begun = await begin(machine, definition, { process });
				await machine.advance(60_000);
				if (!isKilled) await begun.stop();
				const other = machine.processor([definition as unknown as Job]) as Processor<Job>;
				await goOn(machine, other, 200_000);
				expect(await other.result("x")).toMatchObject({ status: "reverted", error: { name: "AbortError" } });
				const statuses = await family(machine, other).statuses();
				expect(statuses.length).toBeLessThan(1_300);
				expect(statuses.filter((status) => status !== "reverted" && status !== "failed")).toEqual([]);
				expect([parts, seen]).toEqual([2, ["-before"]]);
			}
		},
	);

	law("children that end while their parent is about to sleep leave it awake", async (make) => {
		const machine = await make();
		const process = machine.process();
		const { save } = process.store;
		let ended = 0;
		const ending: typeof save = async (...args) => {
			// Its first join has posted, and the one that it makes anew does not count these.
			if (args[1].some(({ join }) => join?.isAnew) && ended === 0) {
				ended = (await machine.store.delete(machine.name, (await begun.ids()).slice(2))).length;
			}
			return await save(...args);
		};
		Object.assign(process.store, { save: ending });
		const definition = job("it").each("all", {
			items: () => ["fails", 1, 2, 3, 4],
			run: ({ item, signal }) => item === "fails" ? fail() : sleep(hour, { clock: machine.clock, signal }),
		});
		const begun = await begin(machine, definition, { process });
		await machine.advance(60_000);
		await begun.stop();
		expect([ended, (await begun.outcome())?.status]).toEqual([3, "failed"]);
	});

	law(
		"cancel() reaches children that sleep, wait, back off, are delayed by their limit, or have children",
		async (make) => {
			const machine = await make();
			const seen: string[] = [];
			const step = (name: string) => ({ run: () => {}, revert: () => void seen.push(`-${name}`) });
			const sleeps = job("sleeps").step("done", step("sleeps")).sleep("long", 10 * hour);
			const waits = job("waits").step("done", step("waits")).waitFor("never");
			const fails = job("fails").step("done", step("fails")).step("again", {
				run: () => fail(),
				attempts: 99,
				backoff: { start: hour },
			});
			const flows = durable("flows", async (flow) => {
				await flow.step("done", () => {}, { revert: () => void seen.push("-flows") });
				await flow.waitFor("never");
			});
			const limited = job("limited").each("all", {
				items: () => [1, 2, 3],
				atOnce: 1,
				run: ({ item, signal }) => item > 1 ? sleep(10 * hour, { clock: machine.clock, signal }) : undefined,
				revert: ({ item }) => void seen.push(`-limited ${item}`),
			});
			const all = { sleeps, waits, fails, flows, limited };
			for (const [name, child] of Object.entries(all)) {
				const { processor, stop } = await begin(
					machine,
					job(name + " parent").job("child", child as Job, () => undefined),
					{
						more: [child],
					},
				);
				await machine.advance(20_000);
				expect(await processor.cancel("x")).toBe(true);
				await machine.advance(100_000);
				await stop();
				expect([name, (await processor.result("x"))?.status]).toEqual([name, "reverted"]);
				await processor.delete("x");
			}
			expect(seen).toEqual(["-sleeps", "-waits", "-fails", "-flows", "-limited 1"]);
		},
	);

	law("the deadline of a parent cancels its children, and they are reverted after it", async (make) => {
		const machine = await make();
		const seen: number[] = [];
		const definition = job("it", { deadline: 30_000 }).each("all", {
			items: () => [1, 2, 3],
			run: ({ item, signal }) => item === 2 ? sleep(hour, { clock: machine.clock, signal }) : undefined,
			revert: ({ item }) => sleep(60_000, { clock: machine.clock }).then(() => void seen.push(item)),
		});
		const begun = await begin(machine, definition);
		await machine.advance(29_000);
		expect(await begun.statuses()).toEqual(["completed", "running", "completed"]);
		await machine.advance(300_000);
		await begun.stop();
		expect(await begun.outcome()).toMatchObject({ status: "reverted", error: { name: "TimeoutError" } });
		expect(seen).toEqual([3, 1]);
	});

	law("a later failure takes back a durable function and a chain with children, the last one first", async (make) => {
		const machine = await make();
		const seen: string[] = [];
		const flow = durable("flow", async (flow) => {
			for (const name of ["one", "two"]) await flow.step(name, () => {}, { revert: () => void seen.push(`-${name}`) });
		});
		const chain = job("chain")
			.each("list", { items: () => [1, 2], run: () => {}, revert: ({ item }) => void seen.push(`-${item}`) })
			.step("plain", { run: () => {} });
		const nothing = durable("nothing", () => {});
		const definition = job("it")
			.job("flow", flow, () => undefined)
			.job("nothing", nothing, () => undefined)
			.job("chain", chain, () => undefined)
			.step("last", { run: () => fail() });
		const { outcome } = await runFor(machine, 100_000, definition, { more: [flow, chain, nothing] });
		expect(await outcome()).toMatchObject({ status: "reverted", error: { message: "failure" } });
		expect(seen).toEqual(["-2", "-1", "-two", "-one"]);
	});

	law(
		"a child whose revert fails ends its parent as failed, and retry() from the failure goes on with both",
		async (make) => {
			const machine = await make();
			const seen: string[] = [];
			let isMended = false;
			const definition = job("it")
				.step("before", { run: () => {}, revert: () => void seen.push("-before") })
				.each("all", {
					items: () => [1, 2, 3],
					run: () => {},
					revert: ({ item }) => item === 2 && !isMended ? fail("cannot") : void seen.push(`-${item}`),
					revertAttempts: 1,
				})
				.step("last", { run: () => fail() });
			const { outcome, processor } = await runFor(machine, 60_000, definition);
			expect(await outcome()).toMatchObject({
				status: "failed",
				error: { message: "failure" },
				revertError: { message: "cannot" },
				unreverted: ["all", "before"],
			});
			expect(await processor.retry("x", { from: "failure" })).toBe(true);
			await goOn(machine, processor, 60_000);
			expect(await outcome()).toMatchObject({ status: "failed", revertError: { message: "cannot" } });
			isMended = true;
			expect(await processor.retry("x", { from: "failure" })).toBe(true);
			await goOn(machine, processor, 60_000);
			expect(await outcome()).toMatchObject({ status: "reverted", error: { message: "failure" } });
			expect(seen).toEqual(["-3", "-1", "-2", "-before"]);
		},
	);

	law("retry() from the failure tries the children again that have failed, and keeps the others", async (make) => {
		const machine = await make();
		const calls: string[] = [];
		let isMended = false;
		let isInnerMended = false;
		const inner = job<number>("inner")
			.step("first", { run: ({ input }) => void calls.push(`first ${input}`) })
			.step("second", { run: ({ input }) => input === 2 && !isInnerMended ? fail("second") : `done ${input}` });
		const definition = job("it")
			.step("before", { run: () => void calls.push("before") })
			.each("all", {
				items: () => ["a", "b", "c"],
				run: ({ item, signal }) => {
					calls.push(item);
					if (item === "c" && !isMended) return sleep(hour, { clock: machine.clock, signal }).then(() => item);
					return item === "b" && !isMended ? fail("b") : item;
				},
				into: (sum: string | undefined, item) => `${sum ?? ""}${item}`,
			})
			.job("inner", inner, ({ results }) => results.all!.length - 1);
		const { outcome, processor } = await runFor(machine, 60_000, definition, { more: [inner] });
		expect(await outcome()).toMatchObject({ status: "failed", error: { message: "b" } });
		isMended = true;
		expect(await processor.retry("x", { from: "failure" })).toBe(true);
		await goOn(machine, processor, 60_000);
		expect(await outcome()).toMatchObject({ status: "failed", error: { message: "second" } });
		expect(calls).toEqual(["before", "a", "b", "c", "b", "c", "first 2"]);
		isInnerMended = true;
		expect(await processor.retry("x", { from: "failure" })).toBe(true);
		await goOn(machine, processor, 60_000);
		expect(await outcome()).toMatchObject({ status: "completed", value: "done 2", results: { all: "abc" } });
		expect(calls.slice(7)).toEqual([]);
	});

	law(
		"a process that dies at any call after a retry loses no child, and runs none again that was done",
		async (make) => {
			await atEachDeath(make, async (machine, fault, place) => {
				let isMended = false;
				const done: number[] = [];
				const definition = job("it").each("all", {
					items: () => [0, 1, 2, 3],
					run: ({ item }) => item > 1 && !isMended ? fail() : (done.push(item), item),
					tolerate: 1,
				}) as unknown as Job;
				const { processor } = await runFor(machine, 60_000, definition);
				expect(done).toEqual([0, 1]);
				isMended = true;
				expect(await processor.retry("x", { from: "failure" })).toBe(true);
				const dying = machine.process(fault);
				void dying.processor([definition]).run();
				await machine.advance(60_000);
				await goOn(machine, processor, 200_000);
				const outcome = await processor.result("x");
				expect([...place, outcome?.status, outcome?.value]).toEqual([...place, "completed", [0, 1, 2, 3]]);
				expect(done.filter((item) => item < 2)).toEqual([0, 1]);
			});
		},
	);

	law("retry() from the start begins with new children, and the old ones are gone", async (make) => {
		const machine = await make();
		let round = 0;
		const definition = job("it").each("all", { items: () => [1, 2], run: ({ item }) => `${item} of ${round}` });
		const { outcome, processor, ids } = await runFor(machine, 10_000, definition);
		const before = await ids();
		round++;
		expect(await processor.retry("x", { from: "start" })).toBe(true);
		await goOn(machine, processor, 10_000);
		expect(await outcome()).toMatchObject({ status: "completed", value: ["1 of 1", "2 of 1"] });
		const after = await ids();
		expect([after.length, after.filter((id) => before.includes(id))]).toEqual([2, []]);
		for (const id of before) expect(await processor.get(id)).toBe(undefined);
	});

	law("a failed child that is retried by hand while its parent waits counts as what it is in the end", async (make) => {
		for (const from of ["failure", "start"] as const) {
			const machine = await make();
			let isMended = false;
			const definition = job("it").each("all", {
				items: () => [0, 1, 2],
				run: async ({ item, signal }) => {
					if (item === 1 && !isMended) fail();
					await sleep(item === 1 ? 2 * hour : hour, { clock: machine.clock, signal });
					return item;
				},
				tolerate: 1,
			});
			const begun = await begin(machine, definition);
			await machine.advance(10_000);
			isMended = true;
			expect(await begun.processor.retry((await begun.ids())[1]!, { from })).toBe(true);
			await machine.advance(1.5 * hour);
			expect(await begun.outcome()).toBe(undefined);
			await machine.advance(hour);
			await begun.stop();
			expect(await begun.outcome()).toMatchObject({ status: "completed", value: [0, 1, 2] });
		}
	});

	law("a held child holds up its parent until it is released, also on the way back", async (make) => {
		for (const isCancelled of [false, true]) {
			const machine = await make();
			const definition = job("it").each("all", { items: () => [1, 2], atOnce: 1, run: ({ item }) => item });
			const begun = await begin(machine, definition, {
				options: { concurrency: 1 },
				process: machine.process(() => undefined),
			});
			begun.processor.pause();
			await begun.stop();
			const process = machine.process((member) => member === "save" ? "die after" : undefined);
			void process.processor([definition as unknown as Job]).run();
			begun.processor.resume();
			await machine.advance(60_000);
			const [, second] = await begun.ids();
			expect(await begun.processor.hold(second!)).toBe(true);
			const running = machine.start(begun.processor);
			await machine.advance(20_000);
			if (isCancelled) await begun.processor.cancel("x");
			await machine.advance(hour);
			expect(await begun.outcome()).toBe(undefined);
			const { inbox } = (await machine.store.get(machine.name, second!))!;
			expect(inbox.length).toBe(isCancelled ? 1 : 0);
			expect(await begun.processor.release(second!)).toBe(true);
			await machine.advance(20_000);
			await running.stop();
			expect((await begun.outcome())?.status).toBe(isCancelled ? "failed" : "completed");
		}
	});

	law(
		"a step with children that a newer definition lacks, or makes otherwise, is held until it is there",
		async (make) => {
			const machine = await make();
			const define = (name: string) =>
				job("it")
					.each(name, {
						items: () => [1, 2],
						run: ({ item, signal }) => sleep(60_000, { clock: machine.clock, signal }).then(() => item),
					})
					.step("last", { run: () => "end" }) as unknown as Job;
			const begun = await begin(machine, define("thumbs"));
			await machine.advance(1_000);
			await begun.stop();
			for (
				const newer of [
					define("pictures"),
					job("it").step("thumbs", { run: () => 1 }).step("last", { run: () => 2 }),
				]
			) {
				const processor = machine.processor([newer as unknown as Job]) as Processor<Job>;
				await machine.store.post(machine.name, "x", JSON.stringify({ type: "yield" }));
				await goOn(machine, processor, 200_000);
				expect(await processor.get("x")).toMatchObject({ status: "held" });
				expect(await family(machine, processor).statuses()).toHaveLength(2);
				await processor.release("x");
			}
			const again = machine.processor([define("thumbs")]) as Processor<Job>;
			await goOn(machine, again, 200_000);
			expect(await again.result("x")).toMatchObject({ status: "completed", value: "end", results: { thumbs: [1, 2] } });
		},
	);

	law("an ended parent takes its children along when it is deleted, or when its time is over", async (make) => {
		for (const way of ["deleted", "over"]) {
			const machine = await make();
			const leaf = job("leaf").each("all", { items: () => [1, 2], run: () => {} });
			const definition = job("it").job("leaf", leaf, () => undefined);
			const other = job("other").step("one", { run: () => {} });
			const begun = await begin(machine, definition, { more: [leaf, other], options: { retain: hour } });
			await machine.advance(20_000);
			expect((await begun.outcome())?.status).toBe("completed");
			const listed: string[] = [];
			for await (const { id } of begun.processor.list()) listed.push(id);
			expect([listed, await begun.statuses()]).toEqual([["x"], ["completed"]]);
			const [child] = await begun.ids();
			const items = await machine.store.list(machine.name, { parent: child!, limit: 10 });
			expect(items.length).toBe(2);
			if (way === "deleted") expect(await begun.processor.delete("x")).toBe(true);
			else await machine.advance(2 * hour);
			// A store removes a part of them with each end of another job.
			for (let n = 0; n < 8; n++) {
				await begun.processor.add(other as never, undefined as never);
				await machine.advance(1_000);
			}
			await begun.stop();
			for (const id of [child!, ...items.map(({ id }) => id)]) expect(await begun.processor.get(id)).toBe(undefined);
		}
	});
}
