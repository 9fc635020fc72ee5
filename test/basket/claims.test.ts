// Behavior of baskets if processes die, claims are lost or stores fail.
import { describe, expect, test } from "vitest";
import { memoryStore, sleep, StoreError } from "../../mod.ts";
import type { Claim, Turn } from "../../src/store.ts";
import { deferred, errorOf, isPage, untilAborted, watch } from "../support.ts";
import { expectHeardElsewhere } from "./elsewhere.ts";
import { Machine, running } from "./support.ts";

const noop = () => {};

describe("Basket: crashes", () => {
	test("a claim that ends unsettled counts as an attempt and a crash, and the task runs again within the lease", async () => {
		const machine = new Machine();
		const seen: unknown[] = [];
		const basket = machine.basket({
			a: (_: unknown, { attempt, crashes }) => void seen.push([attempt, crashes, machine.clock.now() - 1_000_000]),
		});
		await basket.add("a", 1);
		await machine.crash("a");
		const run = running(basket);
		await machine.clock.advance(30_000);
		expect(seen).toEqual([[2, 1, 30_000]]);
		await run.stop();
	});

	test("with one attempt a task that may have begun is never run again", async () => {
		const machine = new Machine();
		const seen: number[] = [];
		const basket = machine.basket({ a: { attempts: 1, run: (n: number) => void seen.push(n) } });
		await basket.add("a", 1, { id: "x" });
		await machine.crash("a", 10);
		await machine.clock.advance(10);
		await machine.drain(basket);
		expect(seen).toEqual([]);
		expect(await basket.get("x")).toMatchObject({ state: "dead", attempts: 1 });
		expect((await basket.get("x"))!.error!.message).toContain("ended without a word");
	});

	test("a failure that is settled begins the count of crashes anew", async () => {
		const machine = new Machine();
		const seen: number[] = [];
		const basket = machine.basket({
			a: (_: unknown, { crashes }) => {
				seen.push(crashes);
				if (seen.length === 1) throw new Error("failure");
			},
		});
		await basket.add("a", 1);
		await machine.crash("a", 10);
		await machine.clock.advance(10);
		const run = running(basket);
		await machine.clock.advance(60_000);
		expect(seen).toEqual([1, 0]);
		await run.stop();
	});

	test("at the limit of crashes a task is dead, without another run", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: () => expect.unreachable() }, { crashes: 3 });
		await basket.add("a", undefined, { id: "x" });
		for (let crash = 0; crash < 3; crash++) {
			expect(await machine.crash("a", 10)).toBe("x");
			await machine.clock.advance(10);
		}
		await machine.drain(basket);
		expect(await basket.get("x")).toMatchObject({ state: "dead", crashes: 3, attempts: 3 });
	});

	/** Adds a task that has crashed twice, and whose third claim ends in 100 ms. */
	async function suspect(machine: Machine, basket: { add(kind: "suspect"): Promise<unknown> }): Promise<void> {
		await basket.add("suspect");
		for (const lease of [10, 10, 100]) {
			await machine.crash("suspect", lease);
			if (lease === 10) await machine.clock.advance(10);
		}
	}

	/** Kinds of tasks that log the number of concurrent tasks. */
	function neighbours(machine: Machine) {
		const log: string[] = [];
		let running = 0;
		const run = (kind: string) => async (delay = 0) => {
			log.push(`${kind} beside ${running++}`);
			if (delay > 0) await sleep(delay, machine);
			else await null;
			running--;
		};
		return { log, tasks: { slow: run("slow"), suspect: run("suspect"), other: run("other") } };
	}

	test("a task with two crashes runs when nothing else runs, and takes nobody with it", async () => {
		const machine = new Machine();
		const { log, tasks } = neighbours(machine);
		const basket = machine.basket(tasks);
		await suspect(machine, basket);
		await basket.add("slow", 600);
		const drained = watch(basket.drain());
		await machine.clock.advance(100);
		await basket.add("other");
		await machine.clock.advance(400);
		// The basket claims nothing for a moment, so that the suspect can run.
		expect([log, await basket.counts()]).toMatchObject([["slow beside 0"], { running: 2, waiting: 1 }]);
		await machine.clock.advance(100);
		expect(log).toEqual(["slow beside 0", "suspect beside 0", "other beside 0"]);
		expect(drained.state).toBe("resolved");
	});

	test("a task with two crashes keeps nobody waiting for more than about a second while a long one runs", async () => {
		const machine = new Machine();
		const { log, tasks } = neighbours(machine);
		const basket = machine.basket(tasks);
		await suspect(machine, basket);
		await basket.add("slow", 3_600_000);
		const run = running(basket);
		await machine.clock.advance(100);
		for (let n = 0; n < 100; n++) {
			await basket.add("other");
			await machine.clock.advance(1_200);
			expect(log.length).toBe(n + 2);
		}
		expect(log.slice(1)).toEqual(Array.from({ length: 100 }, () => "other beside 1"));
		await machine.clock.advance(3_600_000);
		expect(log.at(-1)).toBe("suspect beside 0");
		expect(await basket.counts()).toMatchObject({ waiting: 0, running: 0 });
		await run.stop();
	});

	test("a task with two crashes that cannot run here is left to other processes", async () => {
		const machine = new Machine();
		const { log, tasks } = neighbours(machine);
		const basket = machine.basket(tasks);
		await suspect(machine, basket);
		await basket.add("slow", 3_600_000);
		const run = running(basket);
		await machine.clock.advance(500);
		const other = running(machine.basket(tasks));
		await machine.clock.advance(1_000);
		expect(log).toEqual(["slow beside 0", "suspect beside 1"]); // the suspect runs in the other process
		await other.stop();
		expect(await basket.counts()).toMatchObject({ waiting: 0, running: 1 });
		const stopped = run.stop();
		await machine.clock.advance(5_000);
		await stopped;
	});

	test("a poisoned task takes no task of one attempt with it that was not begun", async () => {
		const machine = new Machine();
		const begun = new Set<number>();
		const process = { isAlive: true };
		// A process dies as soon as a poisoned task begins. Its other claimed tasks do not begin.
		const basket = () =>
			machine.basket({
				poison: () => {
					process.isAlive = false;
				},
				once: { attempts: 1, run: (n: number) => process.isAlive && void begun.add(n) },
			}, { lease: 1_000 });
		await basket().addMany(Array.from({ length: 32 }, (_, n) => (
			n % 16 === 0 ? { kind: "poison" as const } : { kind: "once" as const, payload: n }
		)));
		for (let life = 0; life < 40; life++) {
			process.isAlive = true;
			machine.spied.before = () => process.isAlive ? undefined : new Promise(() => {});
			const { done, controller } = running(basket());
			await machine.clock.advance(process.isAlive ? 10 : 0);
			controller.abort();
			process.isAlive = false;
			await machine.clock.advance(6_500);
			await done;
		}
		machine.spied.before = undefined;
		const dead = [];
		for await (const { kind, payload } of basket().list({ state: "dead" })) {
			if (kind === "once" && !begun.has(payload as number)) dead.push(payload);
		}
		expect(dead).toEqual([]);
		expect(begun.size).toBe(30);
	});

	test("where one task has two crashes, the next ones are claimed one by one: what comes with them has to be given back", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: (_: number) => {} });
		await basket.addMany(Array.from({ length: 50 }, (_, payload) => ({ kind: "a" as const, payload })));
		for (let crash = 0; crash < 2; crash++) {
			await machine.memory.turn("default", { settle: [], claim: [{ kinds: ["a"], limit: 50 }], lease: 10 });
			await machine.clock.advance(10);
		}
		let claimed = 0;
		machine.spied.after = (member, result) => {
			if (member === "turn") claimed += (result as { claims: readonly unknown[] }).claims.length;
		};
		await machine.drain(basket);
		expect(machine.settled.length).toBe(50);
		expect(claimed).toBe(10 + 49);
	});
});

describe("Basket: leases", () => {
	test("are renewed three times in their length while a task runs", async () => {
		const machine = new Machine();
		const end = deferred();
		const basket = machine.basket({ a: () => end.promise }, { lease: 9_000 });
		await basket.add("a", undefined, { id: "x" });
		const run = running(basket);
		await machine.clock.advance(100_000);
		expect(machine.spied.count("extend")).toBe(33);
		expect(await machine.crash("a")).toBe(undefined);
		end.resolve();
		await machine.clock.advance(0);
		expect(await basket.get("x")).toBe(undefined);
		await machine.clock.advance(100_000);
		expect(machine.spied.count("extend")).toBe(33);
		await run.stop();
	});

	test("a claim that was lost aborts the task's signal, and what the task comes to is not stored", async () => {
		const machine = new Machine();
		const reasons: unknown[] = [];
		const basket = machine.basket({
			a: (_: unknown, { signal }) => untilAborted(signal).catch((reason) => void reasons.push(reason)),
		});
		await basket.add("a", 1, { id: "x" });
		const run = running(basket);
		await machine.clock.advance(0);
		await machine.memory.delete("default", ["x"]);
		await machine.memory.add("default", [{ id: "x", kind: "other", payload: "2", delay: 0, priority: 0 }]);
		await machine.clock.advance(10_000);
		expect(reasons).toMatchObject([{ name: "ClaimLostError", id: "x" }]);
		expect(await basket.get("x")).toMatchObject({ kind: "other", state: "waiting" });
		expect(machine.settled).toEqual([]);
		await run.stop();
	});

	test("delete() aborts the signal of a task that runs here at once", async () => {
		const machine = new Machine();
		let reason: unknown;
		const basket = machine.basket({
			a: (_: unknown, { signal }) => untilAborted(signal).catch((error) => void (reason = error)),
		});
		await basket.add("a", 1, { id: "x" });
		const run = running(basket);
		await machine.clock.advance(0);
		await basket.delete("x");
		await machine.clock.advance(0);
		expect(reason).toMatchObject({ name: "ClaimLostError" });
		expect(basket.getSnapshot().running).toBe(0);
		await run.stop();
	});

	/**
	 * Creates two baskets on one store, like those of two processes. The tasks of the first basket run until they are
	 * aborted.
	 */
	function pair() {
		const machine = new Machine();
		const reasons: unknown[] = [];
		const wait = (_: unknown, { signal }: { signal: AbortSignal }) =>
			untilAborted(signal).catch((reason) => void reasons.push(reason));
		const make = () => machine.basket({ a: wait }, { concurrency: 1_000 });
		return { machine, reasons, here: make(), there: make() };
	}

	test("delete() in another process aborts the signal long before the lease is renewed", async () => {
		const { machine, reasons, here, there } = pair();
		await there.add("a", 1, { id: "x" });
		const run = running(here);
		await machine.clock.advance(3_000);
		await there.delete("x");
		await machine.clock.advance(0);
		expect(reasons).toMatchObject([{ name: "ClaimLostError", id: "x" }]);
		expect([here.getSnapshot().running, machine.spied.count("extend")]).toEqual([0, 1]);
		await run.stop();
	});

	test("delete() and cancel() in another process are heard at once, in real time, too", async () => {
		const store = memoryStore();
		await expectHeardElsewhere(store, store);
	});

	test("delete() in another process aborts the signal of a task whose claim is still being answered", async () => {
		const { machine, reasons, here, there } = pair();
		machine.spied.after = (member) => member === "turn" ? sleep(2_000, machine) : undefined;
		await there.add("a", 1, { id: "x" });
		const run = running(here);
		await machine.clock.advance(1_000);
		await there.delete("x");
		await machine.clock.advance(1_000);
		expect(reasons).toMatchObject([{ name: "ClaimLostError", id: "x" }]);
		machine.spied.after = undefined;
		await machine.clock.advance(2_000);
		await run.stop();
	});

	test("delete() in another process, of hundreds one after the other, costs a few calls, and ends all within a second", async () => {
		const { machine, reasons, here, there } = pair();
		const ids = Array.from({ length: isPage ? 300 : 1_000 }, (_, index) => `x ${index}`);
		await there.addMany(ids.map((id) => ({ kind: "a", payload: 1, id })));
		const run = running(here);
		await machine.clock.advance(1_000);
		for (const id of ids) {
			await there.delete(id);
			await machine.clock.advance(1);
		}
		await machine.clock.advance(1_000);
		expect(reasons.length).toBe(ids.length);
		expect(machine.spied.count("extend")).toBeLessThan(7);
		await run.stop();
	});

	test("nothing is asked of the store about claims while others add, change and delete what nobody runs", async () => {
		const { machine, here, there } = pair();
		await there.add("a", 1);
		const run = running(here);
		await machine.clock.advance(0);
		for (let n = 0; n < 100; n++) {
			await there.add("a", 1, { id: "delayed", delay: 1_000_000 });
			await there.hold("delayed");
			await there.release("delayed");
			await there.delete("delayed");
			await machine.clock.advance(10);
		}
		expect(machine.spied.count("extend")).toBe(0);
		await run.stop();
	});

	test("a settlement that comes too late is reported, and changes nothing", async () => {
		const machine = new Machine();
		const end = deferred();
		const basket = machine.basket({ a: () => end.promise });
		await basket.add("a", undefined, { id: "x" });
		const run = running(basket);
		await machine.clock.advance(0);
		await machine.memory.delete("default", ["x"]);
		end.resolve();
		await machine.clock.advance(0);
		expect(machine.errors).toMatchObject([{ name: "ClaimLostError", id: "x" }]);
		expect(machine.settled).toEqual([]);
		await run.stop();
	});

	test("a claim is given up when its lease has ended while the store could not be reached", async () => {
		const machine = new Machine();
		const aborted: number[] = [];
		const basket = machine.basket({
			a: (_: unknown, { signal }) =>
				untilAborted(signal).catch(() => void aborted.push(machine.clock.now() - 1_000_000)),
		}, { concurrency: 1 });
		await basket.add("a", 1, { id: "x" });
		const run = running(basket);
		await machine.clock.advance(0);
		machine.spied.before = () => {
			throw new StoreError("unavailable", "gone");
		};
		await machine.clock.advance(60_000);
		expect(aborted.length).toBe(1);
		expect(aborted[0]! >= 30_000 && aborted[0]! <= 33_000).toBe(true);
		expect(machine.errors.length).toBeGreaterThan(3);
		machine.spied.before = undefined;
		await run.stop();
	});

	test("a wall clock that jumps takes a task away from nobody", async () => {
		const machine = new Machine();
		const log: number[] = [];
		const end = deferred();
		const basket = machine.basket({
			a: async (n: number) => {
				log.push(n);
				await end.promise;
			},
		});
		await basket.add("a", 1);
		const run = running(basket);
		await machine.clock.advance(100);
		for (const jump of [3_600_000, -7_200_000, 3_600_000]) {
			machine.clock.setNow(machine.clock.now() + jump);
			await machine.clock.advance(120_000);
		}
		end.resolve();
		await machine.clock.advance(0);
		expect([log, basket.getSnapshot().succeeded]).toEqual([[1], 1]);
		await run.stop();
	});

	test("a claim that this basket takes up again itself goes on, and does not run twice", async () => {
		const machine = new Machine();
		const log: number[] = [];
		const end = deferred();
		const basket = machine.basket({
			a: async (n: number, { signal }) => {
				log.push(n);
				await end.promise;
				if (n === 1) log.push(signal.aborted ? -1 : 10);
			},
		});
		await basket.add("a", 1, { id: "x" });
		const run = running(basket);
		await machine.clock.advance(100);
		machine.clock.setNow(machine.clock.now() + 3_600_000);
		await basket.add("a", 2);
		await machine.clock.advance(0);
		expect([log, await basket.get("x")]).toMatchObject([[1, 2], { state: "running", attempts: 1, crashes: 1 }]);
		await machine.clock.advance(60_000);
		end.resolve();
		await machine.clock.advance(0);
		expect([log, basket.getSnapshot().succeeded, machine.errors]).toEqual([[1, 2, 10], 2, []]);
		await run.stop();
	});

	test("a claim that somebody else had in between, and has saved under, is lost, whatever the counts say", async () => {
		const machine = new Machine();
		const log: unknown[] = [];
		const make = (name: string) =>
			machine.basket({
				a: async (payload: { by: string }, { signal, save }) => {
					log.push([name, payload.by]);
					if (payload.by === "nobody" && name === "second") await save({ by: name });
					await untilAborted(signal).catch((error) => {
						log.push([name, error.name]);
						throw error;
					});
				},
			});
		const [first, second] = [make("first"), make("second")];
		await first.add("a", { by: "nobody" });
		const run = running(first);
		await machine.clock.advance(100);
		first.pause();
		machine.clock.setNow(machine.clock.now() + 3_600_000);
		const other = running(second);
		await machine.clock.advance(0);
		await other.stop();
		first.resume();
		await machine.clock.advance(0);
		expect(log).toEqual([
			["first", "nobody"],
			["second", "nobody"],
			["second", "AbortError"],
			["first", "ClaimLostError"],
			["first", "second"],
		]);
		await run.stop();
	});

	test("a run that goes on under a new claim is one attempt", async () => {
		const machine = new Machine();
		const end = deferred();
		const basket = machine.basket({
			a: {
				attempts: 3,
				backoff: 1_000,
				run: async (_: number) => {
					await end.promise;
					throw new Error("failure");
				},
			},
		});
		await basket.add("a", 1, { id: "x" });
		const run = running(basket);
		await machine.clock.advance(100);
		machine.clock.setNow(machine.clock.now() + 3_600_000);
		await basket.retry("nobody"); // makes the basket check the store
		await machine.clock.advance(0);
		expect(await basket.get("x")).toMatchObject({ state: "running", attempts: 1, crashes: 1 });
		end.resolve();
		await machine.clock.advance(0);
		expect(await basket.get("x")).toMatchObject({ state: "waiting", attempts: 1, crashes: 0 });
		expect(machine.settled).toMatchObject([{ outcome: "retry", attempt: 1 }]);
		await run.stop();
	});

	test("a task that was deleted and added again meanwhile is run anew", async () => {
		const machine = new Machine();
		const log: unknown[] = [];
		const basket = machine.basket({
			a: async (n: number, { signal }) => {
				log.push(n);
				if (n === 1) await untilAborted(signal).catch((error) => log.push(error.name));
			},
		});
		await basket.add("a", 1, { id: "x" });
		const run = running(basket);
		await machine.clock.advance(100);
		const other = machine.basket({ a: (_: number) => {} });
		await other.delete("x");
		await other.add("a", 2, { id: "x" });
		await machine.clock.advance(0);
		expect([log, machine.settled]).toMatchObject([[1, "ClaimLostError", 2], [{ id: "x", outcome: "done" }]]);
		await run.stop();
	});

	test("what the store says of the claim before is not held against a new one", async () => {
		const machine = new Machine();
		const log: unknown[] = [];
		const way = deferred();
		const basket = machine.basket({
			a: async (n: number, { signal, save }) => {
				await sleep(15_000, { clock: machine.clock });
				await save(n + 1);
				log.push(signal.aborted);
				throw new Error("failure");
			},
		});
		await basket.add("a", 1, { id: "x" });
		const run = running(basket);
		machine.spied.before = (member) => member === "extend" || member === "save" ? way.promise : undefined;
		await machine.clock.advance(16_000); // a renewal and a save are pending
		machine.clock.setNow(machine.clock.now() + 3_600_000);
		await basket.retry("nobody"); // makes the basket check the store
		await machine.clock.advance(0);
		expect(await basket.get("x")).toMatchObject({ state: "running", attempts: 1, crashes: 1 });
		way.resolve();
		await machine.clock.advance(0);
		expect([log, machine.errors]).toEqual([[false], []]);
		expect(await basket.get("x")).toMatchObject({ state: "waiting", attempts: 1, payload: 2 });
		await run.stop();
	});

	test("a claim whose lease is over when its turn to begin comes is given back, not run", async () => {
		const machine = new Machine();
		const log: unknown[] = [];
		const basket = machine.basket({ a: (n: number) => void log.push(n) });
		await basket.add("a", 1, { id: "x" });
		await basket.add("a", 2, { id: "y" });
		const { monotonic } = machine.clock;
		machine.spied.after = (member) => {
			if (member !== "turn" || log.length > 0) return;
			log.push("asleep"); // the process and all of its timers stand still
			machine.clock.monotonic = () => 40_000;
		};
		const run = running(basket);
		await machine.clock.advance(0);
		machine.clock.monotonic = monotonic;
		await machine.clock.advance(0);
		expect(log).toEqual(["asleep", 1, 2]);
		expect(machine.settled).toMatchObject([{ id: "x", attempt: 1 }, { id: "y", attempt: 1 }]); // released, so this is not a crash
		await run.stop();
	});

	type Losing = (machine: Machine, basket: ReturnType<typeof quick>) => Promise<void>;
	const ids = Array.from({ length: 20 }, (_, n) => `x${n}`);
	/** The ways to lose claimed tasks that have not begun. */
	const losses: Readonly<Record<string, Losing>> = {
		"deleted here": async (_, basket) => {
			for (const id of ids) await basket.delete(id);
		},
		"deleted elsewhere": async (machine) => {
			await machine.memory.delete("default", ids);
			await machine.clock.advance(10_000); // time of the next renewal
		},
		"over with their leases when the basket is paused": async (machine, basket) => {
			const away = new StoreError("unavailable", "away");
			machine.spied.after = (member) => ["turn", "extend"].includes(member) ? Promise.reject(away) : undefined;
			await machine.clock.advance(30_000);
			basket.pause();
			machine.spied.after = undefined;
			await machine.clock.advance(30_000);
			basket.resume();
		},
	};

	/** Creates a basket that claims ahead after some tasks. */
	function quick(machine: Machine, log: string[], end: Promise<void>) {
		return machine.basket({ a: (name: string) => log.push(name) === 12 ? end : undefined }, { concurrency: 1 });
	}

	test.each(Object.keys(losses))("tasks that are %s before they begin leave nothing behind", async (loss) => {
		const machine = new Machine();
		const [log, twice]: string[][] = [[], []];
		const end = deferred();
		const basket = quick(machine, log!, end.promise);
		machine.spied.before = (member, args) => {
			if (member !== "turn") return;
			const tokens = (args[1] as Turn).settle.map(({ ref }) => ref.token);
			twice!.push(...tokens.filter((token, index) => tokens.indexOf(token) < index));
		};
		const run = running(basket);
		await basket.addMany(Array.from({ length: 10 }, () => ({ kind: "a", payload: "first" }) as const));
		await machine.clock.advance(0);
		await basket.addMany(["first", "long"].map((payload) => ({ kind: "a", payload }) as const));
		await basket.addMany(ids.map((id) => ({ kind: "a", payload: id, id }) as const));
		await machine.clock.advance(0);
		expect(await basket.counts()).toMatchObject({ waiting: 0, running: 21 });
		await losses[loss]!(machine, basket);
		end.resolve();
		await machine.clock.advance(1_000);
		expect(await basket.counts()).toMatchObject({ waiting: 0, running: 0 });
		expect(log!.filter((name) => name.startsWith("x"))).toEqual(loss.startsWith("deleted") ? [] : ids);
		expect(twice).toEqual([]);
		// An idle basket has one timer and renews nothing.
		expect(machine.clock.pending).toBe(1);
		await run.stop();
	});

	test("after a jump ahead, tasks that are due now are found within a minute", async () => {
		const machine = new Machine();
		const log: number[] = [];
		const basket = machine.basket({ a: (n: number) => void log.push(n) });
		await basket.add("a", 1, { delay: 3_600_000 });
		const run = running(basket);
		await machine.clock.advance(1_000);
		machine.clock.setNow(machine.clock.now() + 3_600_000);
		await machine.clock.advance(60_000);
		expect(log).toEqual([1]);
		await run.stop();
	});
});

describe("Basket: claiming ahead", () => {
	/** Records the maximum number of tasks that are claimed and not settled. */
	const spyClaims = (machine: Machine, kind?: string) => {
		const seen = { now: 0, most: 0 };
		machine.spied.before = (member, [, turn]) => {
			if (member === "turn") seen.now -= (turn as { settle: unknown[] }).settle.length;
		};
		machine.spied.after = (member, result) => {
			if (member !== "turn") return;
			seen.now +=
				(result as { claims: Claim[] }).claims.filter((claim) => kind === undefined || claim.kind === kind).length;
			seen.most = Math.max(seen.most, seen.now);
		};
		return seen;
	};

	test("happens for quick tasks that may be tried again, and is given back on stop", async () => {
		const machine = new Machine();
		const seen = spyClaims(machine);
		let left = 100;
		const basket = machine.basket({
			a: (_: unknown, { signal }) => left-- > 0 ? undefined : untilAborted(signal),
		}, { concurrency: 2 });
		await basket.addMany(Array.from({ length: 500 }, () => ({ kind: "a", payload: 1 }) as const));
		const run = running(basket);
		await machine.clock.advance(0);
		expect(seen.most > 2).toBe(true);
		await run.stop();
		const { waiting, running: claimed } = await basket.counts();
		expect([waiting, claimed, seen.now]).toEqual([400, 0, 0]);
		for await (const { attempts, crashes } of basket.list()) expect([attempts, crashes]).toEqual([0, 0]);
	});

	test("does not happen for slow tasks", async () => {
		const machine = new Machine();
		const seen = spyClaims(machine);
		const basket = machine.basket({
			a: () => new Promise((resolve) => setTimer(machine, 1_000, () => resolve(undefined))),
		});
		await basket.addMany(Array.from({ length: 100 }, () => ({ kind: "a" }) as const));
		const drained = basket.drain();
		await machine.clock.advance(60_000);
		await drained;
		expect(seen.most).toBe(10);
	});

	test("is as much where the store is slow", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: noop });
		await basket.addMany(Array.from({ length: 2_000 }, () => ({ kind: "a" }) as const));
		machine.spied.before = (member) => member === "turn" ? sleep(100, machine) : undefined;
		const drained = basket.drain();
		await machine.clock.advance(60_000);
		await drained;
		// The turns claim 10, 1,010, 980 and 0 tasks.
		expect(machine.spied.count("turn")).toBe(4);
	});

	test("does not happen because slow tasks end soon after a claim", async () => {
		const machine = new Machine();
		const seen = spyClaims(machine);
		const forget = machine.spied.before!;
		machine.spied.before = (member, given) => {
			forget(member, given);
			return member === "turn" ? sleep(100, machine) : undefined;
		};
		const basket = machine.basket({ a: (delay: number) => sleep(delay, machine) }, { concurrency: 2 });
		// The second task ends 1 ms after the claim that follows the end of the first task.
		await basket.addMany([1_000, 1_101, ...Array.from({ length: 10 }, () => 1_000)].map((payload) => (
			{ kind: "a", payload } as const
		)));
		const drained = basket.drain();
		await machine.clock.advance(60_000);
		await drained;
		expect(seen.most).toBe(2);
	});

	test("never happens for kinds with a finite number of attempts", async () => {
		const machine = new Machine();
		spyClaims(machine, "once");
		const basket = machine.basket({ once: { attempts: 3, run: noop }, often: noop }, { concurrency: 2 });
		const kinds = Array.from({ length: 400 }, (_, n) => n % 2 === 0 ? "once" as const : "often" as const);
		await basket.addMany(kinds.map((kind) => ({ kind })));
		let most = 0;
		const inner = machine.spied.after!;
		machine.spied.after = (member, result) => {
			inner(member, result);
			if (member !== "turn") return;
			const claims = (result as { claims: Claim[] }).claims;
			most = Math.max(most, claims.filter(({ kind }) => kind === "once").length);
		};
		await machine.drain(basket);
		expect([most, basket.getSnapshot().succeeded]).toEqual([2, 400]);
	});
});

function setTimer({ clock }: Machine, delay: number, callback: () => void): void {
	sleep(delay, { clock }).then(callback);
}

describe("Basket: a store that fails", () => {
	test("is tried again with a backoff and reported; what has ended is settled when it is back", async () => {
		const machine = new Machine();
		let isDown = false;
		machine.spied.before = () => {
			if (isDown) throw new StoreError("full", "no space left");
		};
		const basket = machine.basket({
			a: () => void (isDown = true),
		});
		await basket.add("a", undefined, { id: "x" });
		const run = running(basket);
		await machine.clock.advance(20_000);
		expect(machine.errors.length).toBeGreaterThan(3);
		expect(machine.errors.length).toBeLessThan(15);
		expect(machine.settled).toEqual([]);
		isDown = false;
		await machine.clock.advance(30_000);
		expect(machine.settled).toMatchObject([{ id: "x", outcome: "done", attempt: 1 }]);
		await run.stop();
	});

	test("cannot be opened for a while: run() waits for it", async () => {
		const machine = new Machine();
		machine.spied.before = (member) => {
			if (member === "open" && machine.errors.length < 3) throw new StoreError("blocked", "another tab");
		};
		const basket = machine.basket({ a: noop });
		const drained = watch(basket.drain());
		await machine.clock.advance(10_000);
		expect([drained.state, machine.errors.length]).toEqual(["resolved", 3]);
	});

	test("that fails to open after a stop does not end the next run()", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: noop });
		const way = deferred();
		machine.spied.before = (member) => member === "open" ? way.promise : undefined;
		const first = watch(running(basket).stop());
		const second = running(basket);
		const state = watch(second.done);
		way.reject(new StoreError("unavailable", "gone"));
		machine.spied.before = undefined;
		await machine.clock.advance(1_000);
		expect([first.state, state.state, basket.getSnapshot().state]).toEqual(["resolved", "pending", "running"]);
		await second.stop();
	});

	test.each(["open", "turn", "extend", "save", "hasten"] as const)(
		"has no %s under way any more when run() has resolved, if it answers at all",
		async (member) => {
			const machine = new Machine();
			const hints = new Set<() => void>();
			const basket = machine.basket({
				a: async (_: unknown, { report, signal }) => {
					report(1);
					await untilAborted(signal);
				},
			}, { wake: { subscribe: (listener) => (hints.add(listener), () => hints.delete(listener)) } });
			await machine.memory.add("default", [{ kind: "a", payload: "1", delay: 0, priority: 0 }]);
			const way = deferred();
			machine.spied.before = (called) => called === member ? way.promise : undefined;
			const run = running(basket);
			await machine.clock.advance(500);
			for (const listener of hints) listener();
			if (member === "extend") await machine.clock.advance(9_500);
			else await machine.clock.advance(500);
			expect(machine.spied.count(member)).toBe(1);
			const stopped = watch(run.stop());
			await machine.clock.advance(4_999);
			expect(stopped.state).toBe("pending");
			way.resolve();
			await machine.clock.advance(0);
			expect([stopped.state, machine.clock.pending]).toEqual(["resolved", 0]);
		},
	);

	test("for good makes run() and drain() reject, and leaves nothing running", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: (_: unknown, { signal }) => untilAborted(signal) });
		await basket.add("a", 1);
		const [run, drain] = [watch(basket.run()), watch(basket.drain())];
		await machine.clock.advance(0);
		const error = new StoreError("closed", "the database was closed");
		machine.spied.before = () => {
			throw error;
		};
		basket.pause();
		basket.resume();
		await machine.clock.advance(0);
		await machine.clock.advance(10_000);
		expect([run.error, drain.error]).toEqual([error, error]);
		expect([machine.clock.pending, basket.getSnapshot().state]).toEqual([0, "stopped"]);
		machine.spied.before = undefined;
	});

	test("of a newer schema refuses everything", async () => {
		const machine = new Machine();
		const error = new StoreError("newer-schema", "version 9");
		machine.spied.before = (member) => {
			if (member === "open") throw error;
		};
		const basket = machine.basket({ a: noop });
		for (
			const call of [basket.add("a"), basket.run(), basket.drain(), basket.counts(), basket.open(), basket.retry("x")]
		) {
			expect(await errorOf(call)).toBe(error);
		}
	});

	test("does not keep stop() waiting for longer than the grace", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: (_: unknown, { signal }) => untilAborted(signal) }, { grace: 3_000 });
		await basket.add("a", 1);
		const run = running(basket);
		await machine.clock.advance(0);
		machine.spied.before = () => {
			throw new StoreError("unavailable", "gone");
		};
		const stopped = watch(run.stop());
		await machine.clock.advance(3_000);
		expect([stopped.state, machine.clock.pending]).toEqual(["resolved", 0]);
	});
});
