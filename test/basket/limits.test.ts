// Limits of kinds, as users see them. What a store does for them is in the conformance suite.
import { describe, expect, test } from "vitest";
import {
	Basket,
	batch,
	type BatchTask,
	every,
	later,
	type Limit,
	limit,
	live,
	retryAfter,
	sleep,
	type StandardSchema,
	type Store,
} from "../../mod.ts";
import type { NewTask, Settlement, Turn, TurnResult } from "../../src/basket/store.ts";
import { errorOf } from "../support.ts";
import { Machine, running, SpiedStore } from "./support.ts";

interface Call {
	tenant: string;
	/** How long it takes, in milliseconds. */
	takes?: number;
}

const byTenant = ({ tenant }: Call) => tenant;

/** Notes when functions begin, and how many of each tenant run at once. */
class Calls {
	readonly machine: Machine = new Machine();
	/** The tenant and the time since the beginning, of each start. */
	readonly starts: [tenant: string, at: number][] = [];
	readonly most: Record<string, number> = {};
	readonly #running: Record<string, number> = {};

	/** The function of a kind. */
	readonly run = async ({ tenant, takes = 0 }: Call, { signal }: { signal: AbortSignal }): Promise<void> => {
		const { clock } = this.machine;
		this.starts.push([tenant, clock.now() - 1_000_000]);
		const count = this.#running[tenant] = (this.#running[tenant] ?? 0) + 1;
		this.most[tenant] = Math.max(this.most[tenant] ?? 0, count);
		try {
			if (takes > 0) await sleep(takes, { clock, signal });
		} finally {
			this.#running[tenant]!--;
		}
	};

	/** The times of the starts of a tenant, or of all. */
	times(of?: string): number[] {
		return this.starts.filter(([tenant]) => of === undefined || tenant === of).map(([, at]) => at);
	}
}

/** What was given to the members of a store. */
function recorded(spied: SpiedStore): { adds: NewTask[]; turns: Turn[]; results: TurnResult[]; settled: Settlement[] } {
	const record = {
		adds: [] as NewTask[],
		turns: [] as Turn[],
		results: [] as TurnResult[],
		settled: [] as Settlement[],
	};
	spied.before = (member, [, given]) => {
		if (member === "add") record.adds.push(...given as NewTask[]);
		if (member === "turn") {
			record.turns.push(given as Turn);
			record.settled.push(...(given as Turn).settle);
		}
	};
	spied.after = (member, result) => void (member === "turn" && record.results.push(result as TurnResult));
	return record;
}

function repeat<T>(count: number, entry: (index: number) => T): T[] {
	return Array.from({ length: count }, (_, index) => entry(index));
}

describe("Basket.add() to a kind with a limit", () => {
	const schema: StandardSchema<Call, string> = {
		"~standard": {
			version: 1,
			vendor: "test",
			validate: (tenant) => ({ value: { tenant: String(tenant).toUpperCase() } }),
		},
	};

	test("stores the key of the payload, as the schema returns it, and no key for other kinds", async () => {
		const machine = new Machine();
		const { adds } = recorded(machine.spied);
		const basket = machine.basket({
			call: { run: (_: Call) => {}, limit: limit({ key: byTenant, atOnce: 1 }) },
			all: { run: (_: Call) => {}, limit: limit({ rate: { tasks: 1, per: 5 } }) },
			checked: { schema, run: () => {}, limit: limit({ key: byTenant, atOnce: 1 }) },
			free: (_: Call) => {},
		});
		await basket.add("call", { tenant: "ada" });
		await basket.addMany([
			{ kind: "all", payload: { tenant: "ada" } },
			{ kind: "checked", payload: "grace" as never },
			{ kind: "free", payload: { tenant: "ada" } },
		]);
		await basket.schedule("nightly", "call", { tenant: "eve" }, { every: every(1_000) });
		expect(adds.map(({ limitKey }) => limitKey)).toEqual(["ada", "", "GRACE", undefined, "eve"]);
	});

	test("gives the key the array of items, if they are collected", async () => {
		const machine = new Machine();
		const { adds } = recorded(machine.spied);
		const runs: string[][] = [];
		const basket = machine.basket({
			track: {
				run: (calls: Call[]) => void runs.push(calls.map(byTenant)),
				limit: limit({ key: ([call]) => call.tenant, atOnce: 1 }),
			},
		});
		for (const tenant of ["ada", "grace"]) {
			await basket.add("track", { tenant }, { id: "events", ifPresent: "collect" });
		}
		expect(adds.map(({ limitKey }) => limitKey)).toEqual(["ada", "grace"]);
		await machine.drain(basket);
		expect(runs).toEqual([["ada", "grace"]]);
	});

	test("stores nothing if the key cannot be computed", async () => {
		const machine = new Machine();
		const basket = machine.basket({
			call: { run: (_: Call) => {}, limit: limit({ key: byTenant, atOnce: 1 }) },
			broken: {
				run: (_: Call) => {},
				limit: limit({
					key: () => {
						throw new SyntaxError("no key");
					},
					atOnce: 1,
				}),
			},
		});
		const [good, bad] = ["ada", ""].map((tenant) => ({ kind: "call" as const, payload: { tenant } }));
		expect(await errorOf(basket.addMany([good!, bad!]))).toBeInstanceOf(RangeError);
		expect(await errorOf(basket.add("call", { tenant: 5 } as never))).toBeInstanceOf(TypeError);
		expect(await errorOf(basket.add("call", undefined as never))).toBeInstanceOf(TypeError);
		expect(await errorOf(basket.add("broken", { tenant: "ada" }))).toBeInstanceOf(SyntaxError);
		expect(machine.spied.count("add")).toBe(0);
	});

	test("computes the key synchronously in a transaction", () => {
		const machine = new Machine();
		const spied = new SpiedStore(machine.memory, { tx: true });
		const { adds } = recorded(spied);
		const store = spied.store as Store<never> as Store<{ id: number }>;
		const basket = new Basket({
			store,
			tasks: { call: { run: (_: Call) => {}, limit: limit({ key: byTenant, atOnce: 1 }) } },
		});
		basket.add("call", { tenant: "ada" }, { tx: { id: 1 } }).catch(() => {});
		expect(adds.map(({ limitKey }) => limitKey)).toEqual(["ada"]);
	});

	test("shows the key in get(), list() and live()", async () => {
		const machine = new Machine();
		const basket = machine.basket({ call: { run: (_: Call) => {}, limit: limit({ key: byTenant, atOnce: 1 }) } });
		await basket.add("call", { tenant: "ada" }, { id: "a" });
		expect(await basket.get("a")).toMatchObject({ limitKey: "ada" });
		for await (const task of basket.list()) expect(task.limitKey).toBe("ada");
		const list = live(basket, {}, { clock: machine.clock });
		const stop = list.subscribe(() => {});
		await machine.clock.advance(1_000);
		expect(list.getSnapshot()?.map(({ limitKey }) => limitKey)).toEqual(["ada"]);
		stop();
	});
});

describe("Basket.run() with limits", () => {
	test("runs at most atOnce tasks of a key, in all processes, and begins the next one at once", async () => {
		const calls = new Calls();
		const { machine, run } = calls;
		const tasks = { call: { run, limit: limit({ key: byTenant, atOnce: 2 }) } };
		const baskets = [machine.basket(tasks), machine.basket(tasks), machine.basket(tasks)];
		const tenants = ["ada", "grace", "eve"];
		await baskets[0]!.addMany(
			repeat(30, (index) => ({ kind: "call", payload: { tenant: tenants[index % 3]!, takes: 100 } })),
		);
		const workers = baskets.map((basket) => running(basket));
		await machine.clock.advance(500);
		for (const { stop } of workers) await stop();
		expect(calls.most).toEqual({ ada: 2, grace: 2, eve: 2 });
		for (const tenant of tenants) {
			expect(calls.times(tenant)).toEqual([0, 0, 100, 100, 200, 200, 300, 300, 400, 400]);
		}
		expect(machine.errors).toEqual([]);
		expect(await baskets[0]!.counts()).toMatchObject({ waiting: 0, running: 0, dead: 0 });
	});

	test("begins tasks of a key at a rate that is not rounded, after a burst", async () => {
		const calls = new Calls();
		const { machine, run } = calls;
		const rate = { tasks: 3, per: 1_000, burst: 2 };
		const basket = machine.basket({ call: { run, limit: limit({ key: byTenant, rate }) } });
		await basket.addMany(repeat(400, (index) => ({ kind: "call", payload: { tenant: index < 200 ? "ada" : "eve" } })));
		const { stop } = running(basket);
		await machine.clock.advance(60_000);
		await stop();
		for (const tenant of ["ada", "eve"]) {
			const times = calls.times(tenant);
			expect(times.slice(0, 2)).toEqual([0, 0]);
			// In each window of a second at most tasks + burst - 1, and hardly less over a minute.
			times.forEach((at, index) => expect((times[index + 4] ?? Infinity) - at).toBeGreaterThanOrEqual(1_000));
			expect(times.length).toBeGreaterThan(180 * 0.97);
		}
	});

	test("counts each attempt as a start", async () => {
		const calls = new Calls();
		const { machine } = calls;
		const run = async (call: Call, context: { signal: AbortSignal; attempt: number }) => {
			await calls.run(call, context);
			if (context.attempt < 4) throw new Error("no");
		};
		const basket = machine.basket({
			call: { run, limit: limit({ rate: { tasks: 1, per: 1_000 } }), backoff: { start: 1 } },
		});
		await basket.add("call", { tenant: "ada" });
		await basket.add("call", { tenant: "eve" });
		const { stop } = running(basket);
		await machine.clock.advance(20_000);
		await stop();
		expect(calls.times()).toEqual([0, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000]);
		expect(machine.settled.filter(({ outcome }) => outcome === "done").length).toBe(2);
	});

	test("lets what waits for a limit delay no other key and no other kind", async () => {
		const calls = new Calls();
		const { machine, run } = calls;
		const basket = machine.basket({
			call: { run, limit: limit({ key: byTenant, atOnce: 1 }) },
			free: run,
		}, { concurrency: 3 });
		await basket.addMany(repeat(1_000, () => ({ kind: "call", payload: { tenant: "greedy", takes: 60_000 } })));
		const { stop } = running(basket);
		await machine.clock.advance(10);
		await basket.add("call", { tenant: "ada" });
		await basket.add("free", { tenant: "eve" });
		await machine.clock.advance(10);
		expect(calls.starts.map(([tenant]) => tenant)).toEqual(["greedy", "ada", "eve"]);
		await stop();
	});

	test("keeps priority and order within a key", async () => {
		const machine = new Machine();
		const runs: string[] = [];
		const basket = machine.basket({
			call: { run: (name: string) => void runs.push(name), limit: limit({ rate: { tasks: 1, per: 10 } }) },
		});
		await basket.addMany([
			{ kind: "call", payload: "first" },
			{ kind: "call", payload: "second" },
			{ kind: "call", payload: "delayed", delay: 15 },
			{ kind: "call", payload: "urgent", priority: 5 },
		]);
		const { stop } = running(basket);
		await machine.clock.advance(100);
		await stop();
		expect(runs).toEqual(["urgent", "first", "second", "delayed"]);
	});

	test("claims no task of a limited kind ahead, and gives the limits of its kinds to the store", async () => {
		const machine = new Machine();
		const { turns } = recorded(machine.spied);
		const basket = machine.basket({
			call: { run: () => {}, limit: limit({ atOnce: 5, rate: { tasks: 3, per: 1_000, burst: 1_000 } }) },
			quick: () => {},
		}, { concurrency: 2 });
		await basket.addMany(repeat(200, (index) => ({ kind: index % 2 === 0 ? "call" : "quick" })));
		await machine.drain(basket);
		const requests = turns.flatMap(({ claim }) => claim);
		expect(requests.some(({ limit }) => limit > 2)).toBe(true);
		for (const { kinds, limit } of requests) expect(limit <= 2 || !kinds.includes("call")).toBe(true);
		const limits = [{ kind: "call", atOnce: 5, spacing: 1_000 / 3, burst: 1_000 }];
		for (const turn of turns) expect(turn.limits).toEqual(turn.claim.length > 0 ? limits : undefined);
		expect(await basket.counts()).toMatchObject({ waiting: 0 });
	});

	test("leaves what waits for a limit when it drains, and makes few calls while it waits", async () => {
		const calls = new Calls();
		const { machine, run } = calls;
		const basket = machine.basket({
			call: { run, limit: limit({ key: byTenant, rate: { tasks: 1, per: 3_600_000 } }) },
		});
		await basket.addMany(repeat(500, (index) => ({ kind: "call", payload: { tenant: index < 400 ? "ada" : "eve" } })));
		await machine.drain(basket);
		expect(calls.starts).toEqual([["ada", 0], ["eve", 0]]);
		const { stop } = running(basket);
		await machine.clock.advance(100);
		const before = machine.spied.calls.length;
		await machine.clock.advance(3_500_000);
		expect(calls.starts.length).toBe(2);
		// About one a minute, as without tasks.
		expect(machine.spied.calls.length - before).toBeLessThan(80);
		await machine.clock.advance(100_000);
		expect(calls.starts.length).toBe(4);
		await stop();
	});

	test("makes few calls while all places are taken by another process", async () => {
		const calls = new Calls();
		const { machine, run } = calls;
		const tasks = { call: { run, limit: limit({ atOnce: 1 }) } };
		const [one, two] = [machine.basket(tasks), machine.basket(tasks)];
		await one.addMany(repeat(100, () => ({ kind: "call", payload: { tenant: "ada", takes: 3_600_000 } })));
		const first = running(one);
		await machine.clock.advance(10);
		const second = running(two);
		await machine.clock.advance(10);
		const before = machine.spied.count("turn");
		await machine.clock.advance(3_000_000);
		// One a minute each, and one when a lease would have ended.
		expect(machine.spied.count("turn") - before).toBeLessThan(350);
		expect(calls.starts.length).toBe(1);
		await machine.drain(two);
		await Promise.all([first.stop(), second.stop()]);
	});

	test("begins the next task when a running one is deleted", async () => {
		const calls = new Calls();
		const { machine, run } = calls;
		const basket = machine.basket({ call: { run, limit: limit({ atOnce: 1 }) } });
		await basket.add("call", { tenant: "first", takes: 60_000 }, { id: "first" });
		await basket.add("call", { tenant: "second" });
		const { stop } = running(basket);
		await machine.clock.advance(10);
		await basket.delete("first");
		await machine.clock.advance(0);
		expect(calls.starts).toEqual([["first", 0], ["second", 10]]);
		await stop();
	});

	test("heeds pause() and a closed gate as for other kinds", async () => {
		const calls = new Calls();
		const { machine, run } = calls;
		const gate = { isOpen: false, getSnapshot: () => gate.isOpen, subscribe: () => () => {} };
		const basket = machine.basket({ call: { run, limit: limit({ atOnce: 1 }) } }, { gate });
		await basket.add("call", { tenant: "first" });
		await basket.add("call", { tenant: "second" });
		const { stop } = running(basket);
		await machine.clock.advance(1_000);
		expect(calls.starts).toEqual([]);
		gate.isOpen = true;
		basket.pause();
		await machine.clock.advance(1_000);
		expect(calls.starts).toEqual([]);
		basket.resume();
		await machine.clock.advance(0);
		expect(calls.starts).toEqual([["first", 2_000], ["second", 2_000]]);
		await stop();
	});

	test("gives the start of a task back that was claimed and did not begin", async () => {
		const calls = new Calls();
		const { machine, run } = calls;
		const { turns } = recorded(machine.spied);
		const basket = machine.basket({ call: { run, limit: limit({ rate: { tasks: 1, per: 10_000 } }) } });
		await basket.add("call", { tenant: "first" });
		await basket.add("call", { tenant: "second" });
		machine.spied.after = (member) => void (member === "turn" && basket.pause()); // before the claim arrives
		const { stop } = running(basket);
		await machine.clock.advance(1_000);
		expect(calls.starts).toEqual([]);
		expect(turns.map(({ settle, claim, limits }) => [settle.length, claim.length, limits?.length])).toEqual([
			[0, 1, 1],
			[1, 0, undefined],
		]);
		machine.spied.after = undefined;
		basket.resume();
		await machine.clock.advance(20_000);
		expect(calls.starts).toEqual([["first", 1_000], ["second", 11_000]]);
		await stop();
	});

	test("holds back the ticks of schedules, too", async () => {
		const calls = new Calls();
		const { machine, run } = calls;
		const basket = machine.basket({
			report: {
				run: (_: Call | undefined, context: { signal: AbortSignal }) => run({ tenant: "", takes: 700 }, context),
				limit: limit({ key: (call) => call?.tenant ?? "own", atOnce: 1 }),
				every: every(1_000),
			},
		});
		await basket.schedule("of ada", "report", { tenant: "ada" }, { every: every(1_000) });
		await basket.schedule("of ada, too", "report", { tenant: "ada" }, { every: every(1_000) });
		const { stop } = running(basket);
		await machine.clock.advance(1_100);
		expect(calls.times()).toEqual([1_000, 1_000]);
		await machine.clock.advance(700);
		expect(calls.times()).toEqual([1_000, 1_000, 1_700]);
		expect((await basket.get("schedule:report"))?.limitKey).toBe("own");
		await stop();
	});
});

describe("batch() with a limit", () => {
	test("gets no more tasks of a key than the limit lets run, and holds a key back if one of them says so", async () => {
		const machine = new Machine();
		const sizes: number[][] = [];
		const basket = machine.basket({
			send: {
				run: batch({ most: 10 }, (tasks: readonly BatchTask<Call>[], { fail }) => {
					sizes.push(["ada", "eve"].map((name) => tasks.filter(({ payload }) => payload.tenant === name).length));
					const busy = sizes.length === 1 ? tasks.find(({ payload }) => payload.tenant === "eve") : undefined;
					if (busy !== undefined) fail(busy.id, later(1_000, "429", { limit: true }));
				}),
				limit: limit({ key: byTenant, atOnce: 3 }),
			},
		}, { concurrency: 1 });
		await basket.addMany(repeat(12, (index) => (
			{ kind: "send", payload: { tenant: index % 2 === 0 ? "ada" : "eve" } }
		)));
		await machine.drain(basket);
		expect(sizes).toEqual([[3, 3], [3, 0]]);
		await machine.clock.advance(1_000);
		await machine.drain(basket);
		expect(sizes.slice(2)).toEqual([[0, 3], [0, 1]]);
		expect(machine.settled.filter(({ outcome }) => outcome === "done").length).toBe(12);
	});

	test("gives a task back that waits behind another key, while the others of its call run", async () => {
		const machine = new Machine();
		const runs: string[][] = [];
		const old = machine.basket({ send: (_: Call) => {} });
		const run = batch({ most: 10 }, (tasks: readonly BatchTask<Call>[]) => void runs.push(tasks.map(({ id }) => id)));
		const basket = machine.basket({ send: { run, limit: limit({ key: byTenant, atOnce: 3 }) } }, { concurrency: 1 });
		await old.add("send", { tenant: "ada" }, { id: "old" });
		await basket.add("send", { tenant: "ada" }, { id: "new" });
		await machine.drain(basket);
		expect(runs).toEqual([["new"], ["old"]]);
	});
});

describe("Basket.run() after a deploy", () => {
	/** Adds tasks of two tenants with one definition, and lets another one run them. */
	async function deploy(before: { limit?: Limit<Call> }, after: { limit?: Limit<Call> }) {
		const calls = new Calls();
		const { machine, run } = calls;
		const old = machine.basket({ call: { run, ...before } });
		await old.addMany(repeat(12, (index) => (
			{ kind: "call", payload: { tenant: index % 2 === 0 ? "ada" : "eve", takes: 100 } }
		)));
		const basket = machine.basket({ call: { run, ...after } }, { concurrency: 20 });
		const { stop } = running(basket);
		await machine.clock.advance(50);
		const begun = calls.starts.length;
		await machine.clock.advance(2_000);
		await stop();
		expect(machine.errors).toEqual([]);
		expect(calls.starts.length).toBe(12);
		// Nobody is told of tasks that were only given another place, and no attempt is counted.
		expect(machine.settled.map(({ outcome, attempt }) => `${outcome} ${attempt}`)).toEqual(repeat(12, () => "done 1"));
		return { begun, most: calls.most };
	}

	test("holds tasks to a limit that their kind did not have when they were added", async () => {
		const { begun, most } = await deploy({}, { limit: limit({ key: byTenant, atOnce: 1 }) });
		expect([begun, most]).toEqual([2, { ada: 1, eve: 1 }]);
	});

	test("runs the tasks of a limit that their kind does not have any more", async () => {
		const { begun, most } = await deploy({ limit: limit({ key: byTenant, atOnce: 1 }) }, {});
		expect([begun, most]).toEqual([12, { ada: 6, eve: 6 }]);
	});

	test("holds tasks to the key and the width of the code that runs them", async () => {
		const narrow = limit({ atOnce: 1 });
		const { begun, most } = await deploy({ limit: narrow }, { limit: limit({ key: byTenant, atOnce: 3 }) });
		expect([begun, most]).toEqual([6, { ada: 3, eve: 3 }]);
		const wide = await deploy({ limit: limit({ key: byTenant, atOnce: 3 }) }, { limit: narrow });
		expect([wide.begun, wide.most]).toEqual([1, { ada: 1, eve: 1 }]);
	});

	test("gives a task another place without a start, an attempt or a crash", async () => {
		const calls = new Calls();
		const { machine, run } = calls;
		const { settled } = recorded(machine.spied);
		const old = machine.basket({ call: { run } });
		await old.addMany(repeat(3, () => ({ kind: "call", payload: { tenant: "ada" } })));
		await machine.crash("call", 10);
		await machine.clock.advance(10);
		const basket = machine.basket({ call: { run, limit: limit({ key: byTenant, rate: { tasks: 1, per: 1_000 } }) } });
		const { stop } = running(basket);
		await machine.clock.advance(0);
		const moves = settled.filter(({ outcome }) => outcome.type === "release").map(({ outcome }) => outcome);
		const plain = moves.map(({ history: _, ...move }) => move);
		expect(plain).toEqual(repeat(3, () => ({ type: "release", limitKey: "ada" })));
		// The crash is in the history of the one that had it.
		expect(moves.filter(({ history }) => history !== undefined).length).toBe(1);
		expect(calls.times()).toEqual([10]);
		await machine.clock.advance(3_000);
		await stop();
		expect(calls.times()).toEqual([10, 1_010, 2_010]);
		// The crash still counts.
		expect(machine.settled.map(({ attempt }) => attempt).sort()).toEqual([1, 1, 2]);
	});

	test("makes a stored task dead whose key cannot be computed, and goes on with others", async () => {
		const calls = new Calls();
		const { machine, run } = calls;
		const old = machine.basket({ call: { run } });
		await old.add("call", { tenant: "" }, { id: "none" });
		await old.add("call", { tenant: "ada" });
		const basket = machine.basket({ call: { run, limit: limit({ key: byTenant, atOnce: 1 }) } });
		await machine.drain(basket);
		expect(calls.starts).toEqual([["ada", 0]]);
		expect(await basket.get("none")).toMatchObject({ state: "dead", error: { name: "RangeError" } });
	});

	test("heeds the key of the newest payload of a task that was replaced", async () => {
		const calls = new Calls();
		const { machine, run } = calls;
		const basket = machine.basket({ call: { run, limit: limit({ key: byTenant, atOnce: 1 }) } });
		await basket.add("call", { tenant: "ada", takes: 1_000 });
		await basket.add("call", { tenant: "ada" }, { id: "doc" });
		const { stop } = running(basket);
		await machine.clock.advance(10);
		expect(calls.starts).toEqual([["ada", 0]]);
		await basket.add("call", { tenant: "eve" }, { id: "doc", ifPresent: "replace" });
		await machine.clock.advance(0);
		expect(calls.starts).toEqual([["ada", 0], ["eve", 10]]);
		await stop();
	});
});

describe("later() and retryAfter() with limit", () => {
	const hints = [["later", later], ["retryAfter", retryAfter]] as const;
	test.each(hints)("%s() holds back all tasks of the key, in all processes", async (_, hint) => {
		const calls = new Calls();
		const { machine } = calls;
		let isBusy = true;
		const run = async (call: Call, context: { signal: AbortSignal }) => {
			await calls.run(call, context);
			if (isBusy && call.tenant === "ada") throw hint(30_000, new Error("429"), { limit: true });
		};
		const tasks = { call: { run, limit: limit({ key: byTenant, atOnce: 1 }) } };
		const [one, two] = [machine.basket(tasks), machine.basket(tasks)];
		await one.addMany(repeat(6, (index) => ({ kind: "call", payload: { tenant: index < 3 ? "ada" : "eve" } })));
		const workers = [running(one), running(two)];
		await machine.clock.advance(29_000);
		expect(calls.times("ada")).toEqual([0]);
		expect(calls.times("eve")).toEqual([0, 0, 0]);
		isBusy = false;
		await machine.clock.advance(1_000);
		expect(calls.times("ada")).toEqual([0, 30_000, 30_000, 30_000]);
		for (const { stop } of workers) await stop();
		expect(machine.settled.map(({ outcome }) => outcome).filter((outcome) => outcome !== "done")).toEqual([
			hint === later ? "later" : "retry",
		]);
	});

	test("tell the store only of a kind with a limit", async () => {
		const machine = new Machine();
		const { settled } = recorded(machine.spied);
		const run = ({ isLater, isAll }: { isLater: boolean; isAll: boolean }) => {
			throw (isLater ? later : retryAfter)(10, undefined, { limit: isAll });
		};
		const basket = machine.basket({ free: run, limited: { run, limit: limit({ atOnce: 1 }) } });
		const both = [false, true];
		const payloads = both.flatMap((isLater) => both.map((isAll) => ({ isLater, isAll })));
		for (const payload of payloads) {
			await basket.add("free", payload);
			await machine.drain(basket);
		}
		expect(settled.some(({ outcome }) => "isKeyShut" in outcome && outcome.isKeyShut)).toBe(false);
		settled.length = 0;
		await basket.add("limited", { isLater: true, isAll: false });
		await machine.drain(basket);
		await basket.add("limited", { isLater: true, isAll: true });
		await machine.drain(basket);
		expect(settled.map(({ outcome }) => "isKeyShut" in outcome && outcome.isKeyShut)).toEqual([false, true]);
	});
});

describe("Basket.stop() with limits", () => {
	test("gives back the places of the tasks, but not the starts of those that ran", async () => {
		const calls = new Calls();
		const { machine, run } = calls;
		const tasks = { call: { run, limit: limit({ atOnce: 1, rate: { tasks: 1, per: 10_000 } }) } };
		const [one, two] = [machine.basket(tasks), machine.basket(tasks)];
		await one.add("call", { tenant: "ada", takes: 5_000 });
		const first = running(one);
		await machine.clock.advance(1_000);
		await one.stop();
		await first.done;
		expect(machine.settled).toMatchObject([{ outcome: "released", attempt: 1 }]);
		const second = running(two);
		await machine.clock.advance(20_000);
		await second.stop();
		expect(calls.times()).toEqual([0, 10_000]);
		expect(machine.settled).toMatchObject([{ outcome: "released" }, { outcome: "done", attempt: 1 }]);
	});

	test("with finish begins no other task of a key, which another process takes at once", async () => {
		const calls = new Calls();
		const { machine, run } = calls;
		const tasks = { call: { run, limit: limit({ atOnce: 1 }) } };
		const [one, two] = [machine.basket(tasks), machine.basket(tasks)];
		await one.add("call", { tenant: "ada", takes: 1_000 });
		await one.add("call", { tenant: "eve" });
		const first = running(one);
		await machine.clock.advance(10);
		const stopping = one.stop({ finish: 5_000 });
		const second = running(two);
		await machine.clock.advance(1_000);
		await stopping;
		await first.done;
		expect(calls.starts).toEqual([["ada", 0], ["eve", 1_000]]);
		await second.stop();
	});
});

describe("Basket.run() on a slow store", () => {
	const delays: [to: number, from: number][] = [[2, 2], [1, 5], [4, 1]];
	test.each(delays)("reaches its rate if a call takes %d ms to the store, and its answer %d ms", async (to, from) => {
		const calls = new Calls();
		const { machine, run } = calls;
		const { clock, spied } = machine;
		spied.before = (member) => member === "turn" ? sleep(to, { clock }) : undefined;
		spied.after = (member) => member === "turn" ? sleep(from, { clock }) : undefined;
		const basket = machine.basket({ call: { run, limit: limit({ rate: { tasks: 50, per: 1_000 } }) } });
		await basket.addMany(Array.from({ length: 60 }, () => ({ kind: "call" as const, payload: { tenant: "ada" } })));
		const { stop } = running(basket);
		await clock.advance(1_000);
		expect(calls.starts.length).toBeGreaterThanOrEqual(49);
		expect(spied.count("turn")).toBeLessThanOrEqual(160);
		spied.before = spied.after = undefined;
		await clock.advance(10);
		await stop();
	});
});

describe("Basket.run() after a crash", () => {
	test("keeps the place of a dead process until its lease has ended, and counts the next run as a start", async () => {
		const calls = new Calls();
		const { machine, run } = calls;
		const basket = machine.basket({ call: { run, limit: limit({ atOnce: 1, rate: { tasks: 1, per: 1_000 } }) } });
		await basket.add("call", { tenant: "ada" });
		await basket.add("call", { tenant: "eve" });
		const limits = [{ kind: "call", atOnce: 1, spacing: 1_000, burst: 1 }];
		await machine.memory.turn("default", { settle: [], claim: [{ kinds: ["call"], limit: 5 }], lease: 30_000, limits });
		const { stop } = running(basket);
		await machine.clock.advance(29_000);
		expect(calls.starts).toEqual([]);
		await machine.clock.advance(10_000);
		await stop();
		expect(calls.starts).toEqual([["ada", 30_000], ["eve", 31_000]]);
	});
});
