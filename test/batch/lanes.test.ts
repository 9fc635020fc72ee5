import { describe, expect, test } from "vitest";
import { Basket, batch, type BatchContext, type BatchTask, limit, sleep, stopNow } from "../../mod.ts";
import { type Deferred, deferred } from "../support.ts";
import { Machine, running } from "../basket/support.ts";
import { Transactions, Tx } from "../basket/transactions.ts";

type Task = BatchTask<string>;

/** A call of the function, which lasts until the test ends it. */
interface Call extends Deferred<unknown> {
	readonly tasks: readonly Task[];
	readonly context: BatchContext;
}

const failure = new Error("failure");

class Bench extends Machine {
	readonly calls: Call[] = [];
	readonly send = batch<string>({ most: 3, by: "lane" }, (tasks, context) => {
		const call = { ...deferred<unknown>(), tasks, context };
		this.calls.push(call);
		return call.promise;
	});

	get sent(): string[] {
		return this.calls.map(({ tasks }) => tasks.map(({ id }) => id).join(" "));
	}

	/** The outcomes since the last look, and the attempts with them. */
	get outcomes(): string[] {
		return this.settled.splice(0).map(({ id, outcome, attempt }) => `${id} ${outcome} ${attempt}`);
	}

	start(concurrency = 2, more: object = {}, options: object = {}) {
		const basket = this.basket({ send: { run: this.send, backoff: 1_000, ...more } }, { concurrency, ...options });
		const add = (lane: string | undefined, ...ids: string[]) =>
			basket.addMany(ids.map((id) => ({ kind: "send" as const, payload: id, id, ...(lane && { lane }) })));
		return { basket, add, run: () => running(basket) };
	}
}

describe("batch() by lane", () => {
	test("takes the head of each lane and its followers, in order, as one call that takes one slot", async () => {
		const bench = new Bench();
		const { add, run } = bench.start();
		await add("x", "a", "b", "c", "d");
		await add(undefined, "free");
		await add("y", "m", "n");
		const work = run();
		await bench.clock.advance(0);
		expect(bench.sent).toEqual(["free", "a b c"]);
		bench.calls[0]!.resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.sent.slice(2)).toEqual(["m n"]);
		bench.calls[1]!.resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.sent.slice(3)).toEqual(["d"]);
		for (const call of bench.calls) call.resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.outcomes.sort()).toEqual(["a", "b", "c", "d", "free", "m", "n"].map((id) => `${id} done 1`));
		expect(bench.errors).toEqual([]);
		await work.stop();
		expect(bench.clock.pending).toBe(0);
	});

	test("fail() lets those before it be done, and gives those behind it back in order, without an attempt", async () => {
		const bench = new Bench();
		const { add, run } = bench.start();
		await add("x", "a", "b", "c", "d");
		const work = run();
		await bench.clock.advance(0);
		const [call] = bench.calls;
		call!.context.fail("c", new Error("later"));
		call!.context.fail("b", failure);
		await bench.clock.advance(0);
		expect([bench.outcomes, call!.context.signal.aborted]).toEqual([[], false]);
		call!.resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.outcomes.sort()).toEqual(["a done 1", "b retry 1", "c released 1"]);
		expect(bench.sent.length).toBe(1);
		await bench.clock.advance(1_000);
		expect(bench.sent.slice(1)).toEqual(["b"]);
		expect(bench.calls[1]!.tasks[0]!.previousError).toMatchObject({ message: "failure" });
		bench.calls[1]!.resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.sent.slice(2)).toEqual(["c d"]);
		bench.calls[2]!.resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.outcomes.sort()).toEqual(["b done 2", "c done 1", "d done 1"]);
		expect(bench.errors).toEqual([]);
		await work.stop();
	});

	test("fail() of the head ends the call's signal, and a dead task lets the next ones go on", async () => {
		const bench = new Bench();
		const { add, run } = bench.start();
		await add("x", "a", "b", "c");
		const work = run();
		await bench.clock.advance(0);
		bench.calls[0]!.context.fail("a", stopNow(failure));
		expect(bench.calls[0]!.context.signal.reason).toBe(failure);
		bench.calls[0]!.resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.outcomes.sort()).toEqual(["a dead 1", "b released 1", "c released 1"]);
		expect(bench.sent.slice(1)).toEqual(["b c"]);
		bench.calls[1]!.resolve(undefined);
		await bench.clock.advance(0);
		expect([bench.outcomes.sort(), bench.errors]).toEqual([["b done 1", "c done 1"], []]);
		await work.stop();
	});

	test("an error that is thrown is that of the head, which then runs alone, so that none uses up another's attempts", async () => {
		const bench = new Bench();
		const { add, run } = bench.start(2, { attempts: 2 });
		await add("x", "a", "bad", "c");
		const work = run();
		for (let round = 0; round < 8; round++) {
			await bench.clock.advance(1_000);
			const call = bench.calls.at(-1)!;
			if (call.tasks.some(({ id }) => id === "bad")) call.reject(failure);
			else call.resolve(undefined);
		}
		await bench.clock.advance(0);
		expect(bench.sent).toEqual(["a bad c", "a", "bad c", "bad", "c"]);
		const ended = bench.outcomes.filter((outcome) => !/retry|released/.test(outcome));
		expect(ended).toEqual(["a done 2", "bad dead 2", "c done 1"]);
		await work.stop();
	});

	test("a timeout counts for the head only", async () => {
		const bench = new Bench();
		const { add, run } = bench.start(2, { timeout: 500, abandonAfter: 100 });
		await add("x", "a", "b", "c");
		const work = run();
		await bench.clock.advance(600);
		expect(bench.outcomes.sort()).toEqual(["a retry 1", "b released 1", "c released 1"]);
		expect(bench.errors).toEqual([]);
		await work.stop();
	});

	test("a task that is given up while the call goes on gives those behind it back with it", async () => {
		const bench = new Bench();
		const codec = {
			encode: (payload: unknown) => JSON.stringify(payload),
			decode: async (data: string | Uint8Array) => {
				if (data !== '"a"') await sleep(10, bench);
				return JSON.parse(data as string);
			},
		};
		const { add, run } = bench.start(2, { timeout: 500, abandonAfter: 100, codec });
		await add("x", "a", "b", "c");
		const work = run();
		await bench.clock.advance(610); // the time of the head began earlier
		expect(bench.outcomes.sort()).toEqual(["a retry 1", "b released 1", "c released 1"]);
		bench.calls[0]!.resolve(undefined);
		await bench.clock.advance(0);
		expect([bench.outcomes, bench.errors]).toEqual([[], []]);
		await work.stop();
	});

	test("a follower that still runs in an earlier call waits for that, and so do those behind it", async () => {
		const bench = new Bench();
		const { basket, add, run } = bench.start();
		await add("x", "x", "b");
		const work = run();
		await bench.clock.advance(0);
		await basket.delete("x");
		await basket.delete("b");
		await add("x", "a", "b", "c");
		await bench.clock.advance(0);
		expect(bench.sent).toEqual(["x b", "a"]);
		bench.calls[1]!.resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.sent.length).toBe(2);
		bench.calls[0]!.resolve(undefined);
		for (let index = 2; index < 4; index++) {
			await bench.clock.advance(0);
			bench.calls[index]!.resolve(undefined);
		}
		await bench.clock.advance(0);
		expect(bench.sent.slice(2)).toEqual(["b", "c"]);
		expect(bench.outcomes.filter((outcome) => !outcome.includes("released"))).toEqual([
			"a done 1",
			"b done 1",
			"c done 1",
		]);
		expect(bench.errors).toEqual([]);
		await work.stop();
	});

	test("a follower whose payload is bad is dead alone, and those behind it wait for the next call", async () => {
		const bench = new Bench();
		const { basket, run } = bench.start();
		for (const [id, payload] of [["a", '"a"'], ["b", "{"], ["c", '"c"']] as const) {
			await bench.memory.add("default", [{ id, kind: "send", payload, delay: 0, priority: 0, lane: "x" }]);
		}
		const work = run();
		await bench.clock.advance(0);
		expect(bench.sent).toEqual(["a"]);
		bench.calls[0]!.resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.sent).toEqual(["a", "c"]);
		bench.calls[1]!.resolve(undefined);
		await bench.clock.advance(0);
		expect([(await basket.get("b"))?.state, await basket.get("c")]).toEqual(["dead", undefined]);
		await work.stop();
	});

	test("a limit of the basket counts each task, and cuts a call to the places that are left", async () => {
		const bench = new Bench();
		const { add, run } = bench.start(2, {}, { limit: limit({ atOnce: 2 }) });
		await add("x", "a", "b", "c");
		await add("y", "m", "n");
		const work = run();
		await bench.clock.advance(0);
		expect(bench.sent).toEqual(["a", "m"]);
		bench.calls[1]!.resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.sent.slice(2)).toEqual(["n"]);
		for (const call of bench.calls) call.resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.sent.slice(3)).toEqual(["b c"]);
		bench.calls[3]!.resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.outcomes.sort()).toEqual(["a", "b", "c", "m", "n"].map((id) => `${id} done 1`));
		expect(bench.errors).toEqual([]);
		await work.stop();
	});

	test("a deleted head leaves the others in the call", async () => {
		const bench = new Bench();
		const { basket, add, run } = bench.start();
		await add("x", "a", "b", "c");
		const work = run();
		await bench.clock.advance(0);
		await basket.delete("a");
		await bench.clock.advance(1_000);
		expect(bench.calls[0]!.tasks.map(({ signal }) => signal.aborted)).toEqual([true, false, false]);
		bench.calls[0]!.reject(failure);
		await bench.clock.advance(0);
		expect(bench.outcomes.sort()).toEqual(["b retry 1", "c released 1"]);
		await work.stop();
	});

	test("a stop releases the whole run, without an attempt", async () => {
		const bench = new Bench();
		const { add, run } = bench.start();
		await add("x", "a", "b", "c");
		const work = run();
		await bench.clock.advance(0);
		for (const { signal } of bench.calls[0]!.tasks) {
			signal.addEventListener("abort", () => bench.calls[0]!.reject(signal.reason));
		}
		await work.stop();
		expect(bench.outcomes.sort()).toEqual(["a released 1", "b released 1", "c released 1"]);
		const again = run();
		await bench.clock.advance(0);
		expect(bench.sent).toEqual(["a b c", "a b c"]);
		bench.calls[1]!.resolve(undefined);
		await again.stop();
	});

	test("if the process dies, each task of the call has crashed once, and runs alone and in order", async () => {
		const bench = new Bench();
		const { add, run } = bench.start();
		await add("x", "a", "b", "c");
		const turn = {
			settle: [],
			claim: [{ kinds: ["send"], limit: 1 }],
			lease: 1_000,
			runs: [{ kind: "send", most: 3 }],
		};
		expect((await bench.memory.turn("default", turn)).claims.length).toBe(3);
		const work = run();
		await bench.clock.advance(1_000);
		for (let index = 0; index < 3; index++) {
			bench.calls[index]!.resolve(undefined);
			await bench.clock.advance(0);
		}
		expect(bench.sent).toEqual(["a", "b", "c"]);
		expect(bench.outcomes).toEqual(["a done 2", "b done 2", "c done 2"]);
		await work.stop();
	});

	test.each([["by", { most: 2, by: "lanes" as "lane" }], ["wait", { most: 2, by: "lane" as const, wait: 1 }]])(
		"refuses a bad %s",
		(name, options) => {
			expect(() => batch(options, () => {})).toThrow(`"${name}" must be`);
		},
	);
});

describe("complete() in a batch() by lane", () => {
	/** Completes tasks, each in a transaction of its own, and ends the call, and then the transactions. */
	async function outcomes(ended: Record<string, "commit" | "rollback">, thrown?: Error): Promise<string[]> {
		const { machine, store } = new Transactions();
		const { clock, errors, settled } = machine;
		const open: [Tx, "commit" | "rollback"][] = [];
		const send = batch({ most: 3, by: "lane" }, async (tasks: readonly BatchTask<string, Tx>[]) => {
			for (const { id, complete } of tasks) {
				if (ended[id] === undefined) continue;
				const tx = new Tx();
				open.push([tx, ended[id]]);
				await complete(tx);
			}
			if (thrown !== undefined) throw thrown;
		});
		const basket = new Basket<{ send: typeof send }, Tx>({
			store,
			clock,
			tasks: { send },
			backoff: 1_000,
			onError: (error) => errors.push(error),
			onSettled: (one) => settled.push(one),
		});
		await basket.addMany(["a", "b", "c"].map((id) => ({ kind: "send" as const, payload: id, id, lane: "x" })));
		const work = running(basket);
		await clock.advance(0);
		for (const [tx, end] of open) await tx[end]();
		await clock.advance(0);
		const told = settled.map(({ id, outcome, attempt }) => `${id} ${outcome} ${attempt}`);
		await work.stop();
		expect(errors).toEqual([]);
		return told.sort();
	}

	test.each(
		[
			["commit", ["a done 1", "b done 1", "c done 1"]],
			["rollback", ["a retry 1", "b released 1", "c released 1"]],
		] as const,
	)("of the head decides by its %s whether others may be done", async (end, told) => {
		expect(await outcomes({ a: end })).toEqual(told);
	});

	test("of all tasks is rolled back: the head fails, and the others are given back", async () => {
		const all = { a: "rollback", b: "rollback", c: "rollback" } as const;
		expect(await outcomes(all)).toEqual(["a retry 1", "b released 1", "c released 1"]);
		expect(await outcomes(all, failure)).toEqual(["a retry 1", "b released 1", "c released 1"]);
	});

	test("of some tasks is committed: an error is that of the first one that is left", async () => {
		expect(await outcomes({ a: "commit" }, failure)).toEqual(["a done 1", "b retry 1", "c released 1"]);
		expect(await outcomes({ b: "commit" }, failure)).toEqual(["a retry 1", "b done 1", "c released 1"]);
	});
});
