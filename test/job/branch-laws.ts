// Laws of the branches of jobs that hold for every store.
import { expect } from "vitest";
import { number, pipe, transform } from "valibot";
import { type Job, job, later, limit, type Processor, retryAfter, sleep, type StepContext } from "../../mod.ts";
import { deferred, untilAborted } from "../support.ts";
import type { Machine } from "./support.ts";

type Law = (title: string, body: (make: () => Promise<Machine>) => Promise<void>) => void;

const fail = (text = "failure"): never => {
	throw new Error(text);
};

/** Adds a job, runs it for a time, and shows it. */
async function runIt(machine: Machine, definition: unknown, time: number, options: object = {}) {
	const processor = machine.processor([definition as Job], options) as Processor<Job>;
	await processor.add(definition as Job, undefined, { id: "x" });
	const running = machine.start(processor);
	await machine.advance(time);
	await running.stop();
	return { processor, outcome: await processor.result("x"), shown: (await processor.get("x"))! };
}

export function testBranches(law: Law): void {
	law("branches run at the same time, and the next step gets all results", async (make) => {
		const machine = await make();
		const seen: unknown[] = [];
		const take = (time: number) => async ({ step, results, idempotencyKey }: StepContext) => {
			seen.push([step, { ...results as object }, idempotencyKey.split("/").at(-1)]);
			await sleep(time, { clock: machine.clock });
			return time;
		};
		const definition = job("it")
			.step("first", { run: () => 1 })
			.all("book", { flight: { run: take(3_000) }, hotel: { run: take(1_000) }, car: { run: take(2_000) } })
			.step("last", { run: ({ results: { book } }) => book.flight + book.hotel + book.car });
		const { outcome } = await runIt(machine, definition, 3_000);
		expect(seen).toEqual(["flight", "hotel", "car"].map((branch) => {
			const name = JSON.stringify(["book", branch]);
			return [name, { first: 1 }, name];
		}));
		const book = { flight: 3_000, hotel: 1_000, car: 2_000 };
		expect(outcome).toMatchObject({ status: "completed", value: 6_000, results: { first: 1, book, last: 6_000 } });
		expect(Object.keys(outcome!.results)).toEqual(["first", "book", "last"]);
		expect(Object.keys(outcome!.results.book as object)).toEqual(["flight", "hotel", "car"]);
	});

	law("the value of a job that ends with branches is their results, also after a restart", async (make) => {
		const machine = await make();
		const definition = job("it").all("both", { a: { run: () => 1 }, b: { run: () => ({ two: 2 }) } });
		const { outcome } = await runIt(machine, definition, 1_000);
		expect(outcome).toMatchObject({ status: "completed", value: { a: 1, b: { two: 2 } } });
		const other = machine.processor([definition as unknown as Job]);
		expect(await other.result("x")).toMatchObject({ value: { a: 1, b: { two: 2 } } });
		expect((await other.get("x"))!.results).toEqual({ both: { a: 1, b: { two: 2 } } });
	});

	law(
		"the result of a branch is stored while others run; after a crash only those run that are not done",
		async (make) => {
			const machine = await make();
			const ran: string[] = [];
			const hang = deferred();
			const dying = machine.process();
			const define = (isFirst: boolean) =>
				job("it").all("all", {
					a: { run: () => void ran.push("a") },
					b: { run: () => (ran.push("b"), isFirst ? hang.promise : undefined) },
					c: { run: () => void ran.push("c") },
				}).step("last", { run: () => ran.push("last") }) as unknown as Job;
			const definition = define(true);
			const first = dying.processor([definition], { lease: 30_000 });
			await first.add(definition, undefined, { id: "x" });
			void first.run();
			await machine.advance(1_000);
			expect((await machine.checkpoint("x")).open).toEqual([1]);
			expect(await first.get("x")).toMatchObject({ status: "running", step: '["all","b"]', results: { all: {} } });
			dying.die();
			const second = machine.processor([define(false)]);
			const running = machine.start(second);
			await machine.advance(60_000);
			await running.stop();
			expect(ran).toEqual(["a", "b", "c", "b", "last"]);
			expect((await second.result("x"))!.status).toBe("completed");
		},
	);

	law("a branch that fails aborts the others, and whoever is done is reverted, the last one first", async (make) => {
		const machine = await make();
		const seen: unknown[] = [];
		const revert = ({ step, result, error }: { step: string; result: unknown; error: { message: string } }) =>
			void seen.push([step, result, error.message]);
		const definition = job("it")
			.step("before", { run: () => "b", revert })
			.all("all", {
				quick: { run: () => "q", revert },
				failing: { run: () => sleep(1_000, { clock: machine.clock }).then(() => fail()), revert },
				heedful: { run: ({ signal }) => untilAborted(signal), revert, attempts: 5 },
				stubborn: { run: ({ signal }) => untilAborted(signal).catch(() => "s"), revert },
				plain: { run: () => "p" },
			})
			.step("never", { run: () => fail("never") });
		const { outcome } = await runIt(machine, definition, 2_000);
		expect(seen).toEqual([['["all","stubborn"]', "s", "failure"], ['["all","quick"]', "q", "failure"], [
			"before",
			"b",
			"failure",
		]]);
		expect(outcome).toMatchObject({ status: "reverted", error: { message: "failure" }, unreverted: [] });
		expect(outcome!.results).toMatchObject({ all: { quick: "q", stubborn: "s", plain: "p" } });
		expect(Object.keys(outcome!.results.all as object).sort()).toEqual(["plain", "quick", "stubborn"]);
	});

	law("a revert of a branch that fails ends the job, with the names that are left", async (make) => {
		const machine = await make();
		const definition = job("it")
			.step("before", { run: () => {}, revert: () => {} })
			.all("all", {
				a: { run: () => {}, revert: () => {} },
				failing: { run: () => sleep(1, { clock: machine.clock }).then(() => fail()), revert: () => {} },
				b: { run: () => {}, revert: () => fail("revert"), revertAttempts: 2 },
			});
		const { outcome } = await runIt(machine, definition, 60_000);
		expect(outcome).toMatchObject({ status: "failed", revertError: { message: "revert" } });
		expect(outcome!.unreverted).toEqual(['["all","b"]', '["all","a"]', "before"]);
	});

	law("a branch is tried again while others run, and waits without a lease when it is alone", async (make) => {
		const machine = await make();
		const seen: unknown[] = [];
		const { clock } = machine;
		const start = clock.monotonic();
		const define = () =>
			job("it").all("all", {
				slow: { run: () => sleep(10_000, { clock }) },
				again: {
					attempts: 3,
					run: ({ attempt, previousError }) => {
						seen.push([attempt, (previousError as Error | undefined)?.message, clock.monotonic() - start]);
						if (attempt < 3) throw retryAfter(attempt * 6_000, new Error(`attempt ${attempt}`));
						return "done";
					},
				},
			}) as unknown as Job;
		const definition = define();
		const processor = machine.processor([definition]);
		await processor.add(definition, undefined, { id: "x" });
		const running = machine.start(processor);
		await machine.advance(9_000);
		expect(await processor.get("x")).toMatchObject({ status: "running" });
		expect((await machine.head("x")).branches).toMatchObject({ 1: { attempts: 2 } });
		await machine.advance(3_000);
		expect(await processor.get("x")).toMatchObject({ status: "waiting", step: '["all","again"]', attempts: 2 });
		expect(await processor.get("x")).toMatchObject({ previousError: { message: "attempt 2" } });
		await running.stop();
		const other = machine.processor([define()]);
		const again = machine.start(other);
		await machine.advance(10_000);
		await again.stop();
		expect(seen).toEqual([[1, undefined, 0], [2, "attempt 1", 6_000], [3, "attempt 2", 18_000]]);
		expect(await other.result("x")).toMatchObject({ value: { again: "done" } });
	});

	law(
		"retry() begins the attempts of branches that wait, but not those that have asked for their delay",
		async (make) => {
			const machine = await make();
			const seen: string[] = [];
			const run = (hint?: number) => ({ step, attempt }: StepContext) => {
				seen.push(`${step} ${attempt}`);
				if (attempt === 1) throw hint === undefined ? new Error("again") : retryAfter(hint, new Error("again"));
			};
			const definition = job("it").all("all", {
				a: { run: run(), attempts: 2, backoff: { start: 50_000, jitter: "none" } },
				b: { run: run(60_000), attempts: 2 },
			}) as unknown as Job;
			const processor = machine.processor([definition]);
			await processor.add(definition, undefined, { id: "x" });
			const running = machine.start(processor);
			await machine.advance(1_000);
			expect(await processor.retry("x")).toBe(true);
			await machine.advance(1_000);
			expect(seen).toEqual(['["all","a"] 1', '["all","b"] 1', '["all","a"] 2']);
			await machine.advance(60_000);
			await running.stop();
			expect(seen.slice(3)).toEqual(['["all","b"] 2']);
			expect((await processor.result("x"))!.status).toBe("completed");
		},
	);

	law("cancel() aborts all branches, and those that are done are reverted", async (make) => {
		const machine = await make();
		const seen: string[] = [];
		const definition = job("it").all("all", {
			done: { run: () => {}, revert: ({ step }) => void seen.push(step) },
			a: { run: ({ signal }) => untilAborted(signal).finally(() => seen.push("a aborted")) },
			b: { run: ({ signal }) => untilAborted(signal).finally(() => seen.push("b aborted")), attempts: 2 },
			waiting: { run: () => fail(), attempts: Infinity },
		}) as unknown as Job;
		const processor = machine.processor([definition]);
		await processor.add(definition, undefined, { id: "x" });
		const running = machine.start(processor);
		await machine.advance(2_000);
		expect(await processor.cancel("x")).toBe(true);
		await machine.advance(1_000);
		await running.stop();
		expect(seen).toEqual(["a aborted", "b aborted", '["all","done"]']);
		expect(await processor.result("x")).toMatchObject({ status: "reverted", error: { name: "AbortError" } });
	});

	law("the deadline of a job ends its branches", async (make) => {
		const machine = await make();
		const seen: string[] = [];
		const definition = job("it", { deadline: 5_000 }).all("all", {
			done: { run: () => {}, revert: ({ step }) => void seen.push(step) },
			hanging: { run: ({ signal }) => untilAborted(signal), attempts: Infinity },
			waiting: { run: () => fail(), attempts: Infinity },
		});
		const { outcome } = await runIt(machine, definition, 6_000);
		expect([outcome!.status, outcome!.error!.name, seen]).toEqual(["reverted", "TimeoutError", ['["all","done"]']]);
	});

	law("hold() lets the running branches end, and later() puts one off without counting it", async (make) => {
		const machine = await make();
		const seen: string[] = [];
		let isLate = false;
		const definition = job("it").all("all", {
			a: { run: ({ step }) => sleep(5_000, { clock: machine.clock }).then(() => void seen.push(step)) },
			b: {
				run: ({ step, attempt }) => {
					if (!isLate) {
						isLate = true;
						throw later(1_000);
					}
					seen.push(`${step} ${attempt}`);
				},
			},
		}) as unknown as Job;
		const processor = machine.processor([definition]);
		await processor.add(definition, undefined, { id: "x" });
		const running = machine.start(processor);
		await machine.advance(500);
		expect(await processor.hold("x")).toBe(true);
		await machine.advance(60_000);
		expect([await processor.get("x"), seen]).toMatchObject([{ status: "held" }, ['["all","a"]']]);
		expect(await processor.release("x")).toBe(true);
		await machine.advance(1_000);
		await running.stop();
		expect(seen).toEqual(['["all","a"]', '["all","b"] 1']);
		expect((await processor.result("x"))!.status).toBe("completed");
	});

	law("each branch is a start of its own for the rate of a limit", async (make) => {
		const machine = await make();
		const starts: number[] = [];
		const run = () => void starts.push(machine.clock.monotonic());
		const definition = job("it", { limit: limit({ rate: { tasks: 1, per: 1_000 } }) })
			.all("all", { a: { run }, b: { run }, c: { run } }) as unknown as Job;
		const processor = machine.processor([definition]);
		await processor.add(definition, undefined, { id: "x" });
		const running = machine.start(processor);
		await machine.advance(10_000);
		await running.stop();
		expect((await processor.result("x"))!.status).toBe("completed");
		expect([starts[1]! - starts[0]!, starts[2]! - starts[1]!]).toEqual([1_000, 1_000]);
	});

	law(
		"a stored result of a branch is read with its schema, and one that cannot be stored fails its branch",
		async (make) => {
			const machine = await make();
			const seen: unknown[] = [];
			const schema = pipe(number(), transform((value) => value + 1));
			const define = (isFirst: boolean) =>
				job("it").all("all", {
					a: { run: () => 1, schema },
					b: { run: () => isFirst ? fail() : 2, attempts: 2, backoff: { start: 60_000, jitter: "none" } },
				}).step("last", { run: ({ results }) => void seen.push(results.all) }) as unknown as Job;
			await runIt(machine, define(true), 1_000);
			const other = machine.processor([define(false)]);
			const running = machine.start(other);
			await machine.advance(100_000);
			await running.stop();
			expect(seen).toEqual([{ a: 3, b: 2 }]);
			const run = () => () => 1;
			const bad = job("bad").all("all", { a: { run }, b: { run: () => 1 } });
			const failing = machine.processor([bad as unknown as Job]);
			await failing.add(bad as unknown as Job, undefined, { id: "bad" });
			await machine.drain(failing);
			expect(await failing.result("bad")).toMatchObject({ status: "failed", error: { name: "TypeError" } });
		},
	);

	law("commit() stores the result of a branch in its transaction while another branch is done", async (make) => {
		const machine = await make();
		const process = machine.process();
		const isInside = deferred();
		const isDone = deferred();
		const definition = job<undefined, unknown>("it").all("all", {
			a: {
				attempts: 2,
				run: async ({ commit, attempt }) => {
					await process.write(`a ${attempt}`, async (tx) => {
						await commit(tx, "a");
						isInside.resolve();
						await isDone.promise;
						if (attempt === 1) throw new Error("rolled back");
					});
				},
			},
			b: {
				run: async () => {
					await isInside.promise;
					isDone.resolve();
					return "b";
				},
			},
		}).step("c", { run: ({ results }) => results.all }) as unknown as Job;
		const processor = process.processor([definition]);
		await processor.add(definition, undefined, { id: "x" });
		const running = machine.start(processor);
		await machine.advance(10_000);
		await running.stop();
		expect(await machine.lines()).toEqual(["a 2"]);
		expect(await processor.result("x")).toMatchObject({ status: "completed", value: { a: "a", b: "b" } });
		expect((await machine.log("x")).map(({ n }) => n)).toEqual([1, 2, 3]);
	});

	law(
		"a signal that comes while branches run is kept, and a job whose stored branches are damaged is held",
		async (make) => {
			const machine = await make();
			const definition = job("it").all("all", {
				a: { run: () => {} },
				b: { run: () => sleep(5_000, { clock: machine.clock }).then(() => fail()), attempts: 2 },
			}).waitFor("word") as unknown as Job;
			const processor = machine.processor([definition]);
			await processor.add(definition, undefined, { id: "x" });
			const running = machine.start(processor);
			await machine.advance(1_000);
			expect(await processor.signal("x", "word" as never, "yes" as never)).toBe(true);
			await machine.advance(4_500);
			await running.stop();
			const head = await machine.head("x");
			expect(head.open).toEqual([1]);
			for (const damage of [{ open: [7] }, { branches: 1 }, { branches: { 1: {} } }, { plan: ['["all"', "word"] }]) {
				await machine.replace("x", "it", JSON.stringify({ ...head, ...damage }));
				await machine.drain(processor);
				expect(await processor.get("x")).toMatchObject({ status: "held", problem: { name: "InvalidStateError" } });
			}
			expect(head.signals).toEqual({ word: { value: "yes" } });
		},
	);

	law("a job that has failed in its branches goes on with those that are not done", async (make) => {
		const machine = await make();
		const ran: string[] = [];
		let isBroken = true;
		const run = ({ step }: StepContext) => void ran.push(JSON.parse(step)[1]);
		const definition = job("it").all("one", { a: { run } }).all("two", {
			b: { run },
			c: {
				run: async (context) => {
					await sleep(1_000, { clock: machine.clock });
					run(context);
					if (isBroken) fail();
				},
			},
			d: { run },
		}).all("three", { e: { run } });
		const { processor, outcome } = await runIt(machine, definition, 2_000);
		expect(outcome).toMatchObject({ status: "failed", error: { message: "failure" } });
		isBroken = false;
		expect(await processor.retry("x", { from: "failure" })).toBe(true);
		const running = machine.start(processor);
		await machine.advance(2_000);
		await running.stop();
		expect(ran).toEqual(["a", "b", "d", "c", "c", "e"]);
		expect((await processor.result("x"))!.status).toBe("completed");
	});
}
