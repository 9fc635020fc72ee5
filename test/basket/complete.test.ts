// Completion of tasks in a transaction of the caller.
import { describe, expect, test } from "vitest";
import { sleep, StoreError } from "../../mod.ts";
import { deferred, errorOf, watch } from "../support.ts";
import { running } from "./support.ts";
import { Transactions, Tx } from "./transactions.ts";

describe("context.complete()", () => {
	test("settles the task with the caller's transaction; what the task throws afterwards changes nothing", async () => {
		const all = new Transactions();
		const basket = all.basket({
			a: async (_: number, { complete }) => {
				const tx = new Tx();
				await complete(tx);
				await tx.commit();
				throw new Error("after the commit");
			},
		});
		await basket.add("a", 1);
		await all.machine.drain(basket);
		expect(all.machine.settled).toMatchObject([{ outcome: "done" }]);
		expect([await basket.counts(), all.machine.errors]).toMatchObject([{ waiting: 0, running: 0 }, []]);
	});

	test("is reported as done if this process claims what has replaced the task before its function ends", async () => {
		const all = new Transactions();
		const events: string[] = [];
		const basket = all.basket({
			a: async (n: number, { complete, signal }) => {
				events.push(`begin ${n}`);
				signal.addEventListener("abort", () => events.push(`abort ${n}`));
				const tx = new Tx();
				await complete(tx);
				if (n === 1) await basket.add("a", 2, { id: "x", ifPresent: "replace" });
				await tx.commit();
				await sleep(1_000, { clock: all.machine.clock });
				events.push(`end ${n}`);
			},
		});
		await basket.add("a", 1, { id: "x" });
		const run = running(basket);
		await all.machine.clock.advance(5_000);
		expect(events).toEqual(["begin 1", "end 1", "begin 2", "end 2"]);
		expect(all.machine.settled.map(({ id, outcome }) => [id, outcome])).toEqual([["x", "done"], ["x", "done"]]);
		expect(all.machine.errors).toEqual([]);
		await run.stop();
	});

	test("does not count if the transaction does not commit: the run has failed", async () => {
		const all = new Transactions();
		const basket = all.basket({
			a: async (n: number, { complete, attempt }) => {
				const tx = new Tx();
				await complete(tx);
				if (attempt === 3) await tx.commit();
				else tx.rollback();
				if (attempt === 2) throw new Error("rolled back");
				void n;
			},
		});
		await basket.add("a", 1);
		const run = running(basket);
		await all.machine.clock.advance(10_000);
		expect(all.machine.settled.map(({ outcome, error }) => [outcome, (error as Error | undefined)?.message])).toEqual([
			["retry", "The transaction given to complete() was not committed"],
			["retry", "rolled back"],
			["done", undefined],
		]);
		await run.stop();
	});

	test("rejects with a ClaimLostError when the task was taken over", async () => {
		const all = new Transactions();
		let error: unknown;
		const basket = all.basket({
			a: async (_: number, { complete }) => {
				await all.machine.memory.delete("default", ["x"]);
				error = await errorOf(complete(new Tx()));
			},
		});
		await basket.add("a", 1, { id: "x" });
		await all.machine.drain(basket);
		expect(error).toMatchObject({ name: "ClaimLostError", id: "x" });
	});

	test("lets the next one of the lane begin", async () => {
		const all = new Transactions();
		const log: number[] = [];
		const basket = all.basket({
			a: async (n: number, { complete }) => {
				log.push(n);
				const tx = new Tx();
				await complete(tx);
				await tx.commit();
			},
		});
		await basket.addMany([1, 2, 3].map((payload) => ({ kind: "a", payload, lane: "x" }) as const));
		await all.machine.drain(basket);
		expect(log).toEqual([1, 2, 3]);
	});

	test("keeps renewing nothing that waits for its transaction", async () => {
		const all = new Transactions();
		const basket = all.basket({
			a: async (_: number, { complete, signal }) => {
				const tx = new Tx();
				await complete(tx);
				await new Promise<void>((resolve) => sleep(20_000, all.machine).then(resolve));
				expect(signal.aborted).toBe(false);
				await tx.commit();
			},
		});
		await basket.add("a", 1);
		const drained = watch(basket.drain());
		await all.machine.clock.advance(20_000);
		expect([drained.state, all.machine.settled.length]).toEqual(["resolved", 1]);
	});

	test.each([[true, "done"], [false, "retry"]])(
		"asks until the store answers whether the transaction was committed: %s is %s",
		async (isCommitted, expected) => {
			const all = new Transactions();
			const basket = all.basket({
				a: async (_: number, { complete }) => {
					const tx = new Tx();
					await complete(tx);
					if (isCommitted) await tx.commit();
					else tx.rollback();
					all.spied.before = () => {
						throw new StoreError("unavailable", "gone");
					};
					throw new Error("the answer is lost");
				},
			});
			await basket.add("a", 1);
			const run = running(basket);
			await all.machine.clock.advance(5_000);
			expect(all.machine.settled).toEqual([]);
			expect(all.machine.errors.at(-1)).toMatchObject({ message: "gone" });
			all.spied.before = undefined;
			await all.machine.clock.advance(15_000); // the pauses between its calls have grown
			expect(all.machine.settled).toMatchObject([{ outcome: expected, attempt: 1 }]);
			await run.stop();
		},
	);

	test("leaves a task to the end of its lease if the basket stops before the store answers", async () => {
		const all = new Transactions();
		const basket = all.basket({
			a: async (_: number, { complete }) => {
				await complete(new Tx());
				all.spied.before = () => {
					throw new StoreError("unavailable", "gone");
				};
			},
		});
		await basket.add("a", 1);
		const run = running(basket);
		await all.machine.clock.advance(1_000);
		const stopped = watch(run.stop());
		await all.machine.clock.advance(10_000);
		expect([stopped.state, all.machine.clock.pending, all.machine.settled]).toEqual(["resolved", 0, []]);
		expect(all.machine.errors.at(-1)).toMatchObject({ name: "ClaimLostError" });
		expect(await basket.counts()).toMatchObject({ running: 1, dead: 0 });
	});

	test("is no reason to lose the claim when the transaction is rolled back, however long the run goes on", async () => {
		const all = new Transactions();
		const log: string[] = [];
		const basket = all.basket({
			a: async (_: number, { complete, signal }) => {
				log.push("begins");
				const tx = new Tx();
				await complete(tx);
				await sleep(15_000, all.machine);
				tx.rollback();
				await sleep(300_000, all.machine);
				log.push(signal.aborted ? "aborted" : "ends");
				throw new Error("failure");
			},
		});
		await basket.add("a", 1);
		const run = running(basket);
		const other = running(all.basket({ a: () => void log.push("elsewhere") }));
		await all.machine.clock.advance(315_000);
		expect(log).toEqual(["begins", "ends"]);
		expect(all.machine.settled).toMatchObject([{ outcome: "retry", error: { message: "failure" } }]);
		await Promise.all([run.stop(), other.stop()]);
	});

	test("is renewed again when a call that renews it is never answered", async () => {
		const all = new Transactions();
		const log: string[] = [];
		const basket = all.basket({
			a: async (_: number, { complete, signal }) => {
				const tx = new Tx();
				await complete(tx);
				tx.rollback();
				await sleep(100_000, all.machine);
				log.push(signal.aborted ? "aborted" : "ends");
				throw new Error("failure");
			},
		});
		all.spied.before = (member) =>
			member === "extend" && all.spied.count("extend") === 1 ? new Promise(() => {}) : undefined;
		await basket.add("a", 1);
		const run = running(basket);
		const other = running(all.basket({ a: () => void log.push("elsewhere") }));
		await all.machine.clock.advance(100_000);
		expect(log).toEqual(["ends"]);
		expect(all.machine.settled).toMatchObject([{ outcome: "retry", error: { message: "failure" } }]);
		const ended = Promise.all([run.stop(), other.stop()]);
		await all.machine.clock.advance(30_000);
		await ended;
	});

	test("is not told as done when it was rolled back, and was claimed anew while that was asked", async () => {
		const all = new Transactions();
		const { clock } = all.machine;
		let runs = 0;
		const basket = all.basket({
			a: async (_: number, { complete, id }) => {
				const tx = new Tx();
				await complete(tx);
				if (id !== "x" || ++runs > 1) await tx.commit();
				else tx.rollback();
			},
		});
		all.spied.before = (member) =>
			member === "extend" && all.spied.count("extend") === 1 ? sleep(1_000, { clock }) : undefined;
		await basket.add("a", 1, { id: "x" });
		const run = running(basket);
		await clock.advance(0);
		clock.setNow(clock.now() + 60_000);
		await basket.add("a", 2, { id: "y" });
		await clock.advance(500);
		expect(await basket.get("x")).toMatchObject({ state: "running", crashes: 1 });
		await clock.advance(10_000);
		expect(all.machine.settled.filter(({ id }) => id === "x")).toMatchObject([{ outcome: "retry" }, {
			outcome: "done",
		}]);
		expect([runs, all.machine.errors]).toEqual([2, []]);
		await run.stop();
	});

	test("is given back when it was rolled back after the lease might have been over, and crashes nowhere", async () => {
		const all = new Transactions();
		const { clock } = all.machine;
		const log: unknown[] = [];
		const basket = all.basket({
			a: async (_: number, { complete, crashes }) => {
				log.push(crashes);
				if (log.length > 1) return;
				const tx = new Tx();
				await complete(tx);
				tx.rollback();
				await sleep(42_000, { clock });
				log.push(await errorOf(complete(tx)));
				throw new Error("failure");
			},
		});
		all.spied.before = (member) => {
			if (member === "extend" && clock.monotonic() < 35_000) throw new StoreError("unavailable", "gone");
		};
		await basket.add("a", 1, { id: "x" });
		const run = running(basket);
		await clock.advance(1_000);
		basket.pause();
		await clock.advance(44_000);
		expect(all.machine.settled).toMatchObject([{ outcome: "released" }]);
		basket.resume();
		await clock.advance(1_000);
		expect(log).toMatchObject([0, { name: "ClaimLostError" }, 0]);
		await run.stop();
	});

	test("keeps no other task's lease from being renewed, nor the basket from claiming", async () => {
		const all = new Transactions();
		const log: unknown[] = [];
		const basket = all.basket({
			a: async (n: number, { complete, signal }) => {
				if (n === 0) {
					const tx = new Tx();
					await complete(tx);
					await sleep(29_000, all.machine);
					await tx.commit();
				} else await sleep(n, all.machine);
				log.push([n, signal.aborted]);
			},
		});
		await basket.addMany([0, 100_000].map((payload) => ({ kind: "a" as const, payload })));
		const run = running(basket);
		await all.machine.clock.advance(20_000);
		await basket.add("a", 1);
		await all.machine.clock.advance(80_000);
		expect(log).toEqual([[1, false], [0, false], [100_000, false]]);
		expect([all.machine.settled.length, all.machine.errors]).toEqual([3, []]);
		await run.stop();
	});

	test("is not told as done when it was rolled back, and somebody else has the task meanwhile", async () => {
		const all = new Transactions();
		const basket = all.basket({
			a: async (_: number, { complete }) => {
				const tx = new Tx();
				await complete(tx);
				all.spied.before = () => {
					throw new StoreError("unavailable", "gone");
				};
				tx.rollback();
				await sleep(31_000, all.machine);
			},
		});
		await basket.add("a", 1, { id: "x" });
		const run = running(basket);
		await all.machine.clock.advance(30_500);
		expect(await all.machine.crash("a", 1_000_000)).toBe("x");
		all.spied.before = undefined;
		await all.machine.clock.advance(60_000);
		expect(all.machine.settled).toEqual([]);
		expect(all.machine.errors.at(-1)).toMatchObject({ name: "ClaimLostError", id: "x", isUnknown: true });
		expect([basket.getSnapshot().succeeded, await basket.get("x")]).toMatchObject([0, { state: "running" }]);
		await run.stop();
	});

	test("in a transaction that takes longer than the lease: the signal aborts, and what it came to is unknown", async () => {
		const all = new Transactions();
		const aborted: number[] = [];
		const basket = all.basket({
			a: async (_: number, { complete, signal }) => {
				signal.addEventListener("abort", () => aborted.push(all.machine.clock.monotonic()));
				const tx = new Tx();
				await complete(tx);
				await sleep(40_000, all.machine);
				await tx.commit();
			},
		});
		await basket.add("a", 1, { id: "x" });
		const run = running(basket);
		await all.machine.clock.advance(60_000);
		expect(aborted).toEqual([30_000]);
		expect([all.machine.settled, await basket.get("x")]).toEqual([[], undefined]);
		expect(all.machine.errors).toMatchObject([{ name: "ClaimLostError", isUnknown: true }]);
		await run.stop();
	});

	test("in a transaction that was committed in time is done, however long the run goes on", async () => {
		const all = new Transactions();
		const log: unknown[] = [];
		const basket = all.basket({
			a: async (_: number, { complete, signal }) => {
				const tx = new Tx();
				await complete(tx);
				await sleep(25_000, all.machine);
				await tx.commit();
				await sleep(300_000, all.machine);
				log.push(signal.aborted);
			},
		});
		await basket.add("a", 1, { id: "x" });
		const run = running(basket);
		await all.machine.clock.advance(400_000);
		expect([log, all.machine.errors]).toEqual([[false], []]);
		expect(all.machine.settled).toMatchObject([{ id: "x", outcome: "done" }]);
		await run.stop();
	});

	test.each([["one after the other", false], ["at the same time", true]])(
		"twice in one transaction, %s, is once",
		async (_, isAtOnce) => {
			const all = new Transactions();
			const basket = all.basket({
				a: async (_: number, { complete }) => {
					const tx = new Tx();
					const first = complete(tx);
					if (!isAtOnce) await first;
					await Promise.all([first, complete(tx)]);
					await tx.commit();
				},
			});
			await basket.add("a", 1, { id: "x" });
			await all.machine.drain(basket);
			expect([await basket.get("x"), all.machine.errors]).toEqual([undefined, []]);
			expect(all.machine.settled).toMatchObject([{ outcome: "done" }]);
		},
	);

	test("in a second transaction on the same connection, when the first one was rolled back, completes in that", async () => {
		const all = new Transactions();
		const basket = all.basket({
			a: async (_: number, { complete }) => {
				const tx = new Tx();
				await complete(tx);
				tx.rollback();
				await complete(tx);
				await tx.commit();
			},
		});
		await basket.add("a", 1, { id: "x" });
		await all.machine.drain(basket);
		expect(all.machine.settled).toMatchObject([{ outcome: "done" }]);
	});

	test("rejects in a second transaction on the same connection, when the claim was lost after the first one was rolled back", async () => {
		const all = new Transactions();
		const { clock, memory } = all.machine;
		let error: unknown;
		const basket = all.basket({
			a: async (_: number, { complete, id }) => {
				const tx = new Tx();
				await complete(tx);
				tx.rollback();
				await memory.delete("default", [id]);
				await sleep(15_000, { clock });
				error = await errorOf(complete(tx));
			},
		});
		await basket.add("a", 1, { id: "x" });
		const run = running(basket);
		await clock.advance(15_000);
		expect(error).toMatchObject({ name: "ClaimLostError", id: "x" });
		await run.stop();
	});

	test.each([undefined, null, "tx"])(
		"without a transaction (%s) is refused, and the store is not asked",
		async (tx) => {
			const all = new Transactions();
			let error: unknown;
			const asked: string[] = [];
			all.store.complete = async () => asked.push("complete") > 0;
			const basket = all.basket({
				a: async (_: number, { complete, attempt }) => {
					if (attempt === 1) error = await errorOf(complete(tx as never));
				},
			});
			await basket.add("a", 1, { id: "x" });
			await all.machine.drain(basket);
			expect(error).toMatchObject({
				name: "TypeError",
				message: `"tx" must be a transaction of the store: current value is ${tx}`,
			});
			expect([asked, all.machine.errors]).toEqual([[], []]);
			expect(all.machine.settled).toMatchObject([{ outcome: "done", attempt: 1 }]);
		},
	);

	test("rejects when the lease may be over, so that a process that has slept commits nothing", async () => {
		const all = new Transactions();
		const { clock } = all.machine;
		const log: unknown[] = [];
		const way = deferred();
		const basket = all.basket({
			a: async (_: number, { complete }) => {
				await way.promise;
				log.push(await errorOf(complete(new Tx())));
			},
		});
		await basket.add("a", 1, { id: "x" });
		const run = running(basket);
		await clock.advance(0);
		const { monotonic } = clock;
		clock.monotonic = () => 30_000;
		way.resolve();
		for (let i = 0; i < 20; i++) await null;
		clock.monotonic = monotonic;
		expect(log).toMatchObject([{ name: "ClaimLostError", id: "x" }]);
		await run.stop();
	});
});
