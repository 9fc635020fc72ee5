// What an observer is told of the tasks of a basket.
import { describe, expect, test } from "vitest";
import {
	batch,
	type BatchTask,
	later,
	type ObservedAdd,
	type ObservedAttempt,
	observer,
	sleep,
	stopNow,
	StoreError,
	type TaskRecord,
} from "../../mod.ts";
import { errorOf } from "../support.ts";
import { Machine, running } from "./support.ts";

describe("BasketOptions.observe", () => {
	test("is told of attempts: how long they waited, how long they took, and how they ended", async () => {
		const machine = new Machine();
		const lines: string[] = [];
		const told = ({ by, basket, kind, id, attempt, meta }: ObservedAttempt) =>
			lines.push(`${by} ${basket} ${kind} ${id} ${attempt} ${JSON.stringify(meta)}`);
		const observe = observer({
			started: (attempt, waited) => (told(attempt), lines.push(`started after ${waited}`)),
			ended: (
				attempt,
				{ outcome, took, error },
			) => (told(attempt), lines.push(`${outcome} after ${took}: ${(error as Error)?.message}`)),
		});
		const basket = machine.basket({
			async work(_: undefined, { attempt }) {
				await sleep(200, { clock: machine.clock });
				if (attempt === 1) throw new Error("no");
				if (attempt === 2) throw stopNow(new Error("never"));
			},
		}, { observe, backoff: 1_000 });
		await basket.add("work", undefined, { id: "a", meta: { trace: "1" }, delay: 500 });
		await machine.clock.advance(700);
		const { stop } = running(basket);
		await machine.clock.advance(10_000);
		const name = (attempt: number) => `basket default work a ${attempt} {"trace":"1"}`;
		expect(lines).toEqual([
			...[name(1), "started after 200", name(1), "retry after 200: no"],
			...[name(2), "started after 0", name(2), "dead after 200: never"],
		]);
		await stop();
	});

	test("is told of renewals and of lost claims", async () => {
		const machine = new Machine();
		const lines: string[] = [];
		const observe = observer({
			renewed: ({ id }) => lines.push(`renewed ${id}`),
			lost: ({ id }) => lines.push(`lost ${id}`),
			ended: ({ id }, { outcome }) => lines.push(`${outcome} ${id}`),
		});
		const work = async (duration: number, { signal }: { signal: AbortSignal }) =>
			await sleep(duration, { clock: machine.clock, signal });
		const basket = machine.basket({ work }, { observe, lease: 3_000 });
		const { stop } = running(basket);
		await basket.add("work", 2_500, { id: "a" });
		await machine.clock.advance(3_000);
		expect(lines.splice(0)).toEqual(["renewed a", "renewed a", "done a"]);
		await basket.add("work", 60_000, { id: "b" });
		await machine.clock.advance(100);
		await basket.delete("b");
		await machine.clock.advance(2_000);
		expect(lines).toEqual(["lost b"]);
		await stop();
	});

	test("wraps the call of the function, and sees no task that was only claimed ahead", async () => {
		const machine = new Machine();
		const lines: string[] = [];
		const observe = observer({
			started: ({ id }) => lines.push(`start ${id}`),
			around: ({ id }, call) => (lines.push(`before ${id}`), call(), lines.push(`after ${id}`)),
		});
		const work = async (_: undefined, { id, signal }: { id: string; signal: AbortSignal }) => {
			lines.push(`run ${id}`);
			await sleep(1_000, { clock: machine.clock, signal });
		};
		const basket = machine.basket({ work }, { observe, concurrency: 1 });
		for (const id of ["a", "b", "c"]) await basket.add("work", undefined, { id });
		const { stop } = running(basket);
		await machine.clock.advance(500);
		await stop();
		expect(lines).toEqual(["start a", "before a", "run a", "after a"]);
	});

	test("gets one object for all that it is told of an attempt, with lane and worker", async () => {
		const machine = new Machine();
		const seen: ObservedAttempt[] = [];
		const see = (attempt: ObservedAttempt) => void seen.push(attempt);
		const hooks = { started: see, around: (attempt: ObservedAttempt, call: () => unknown) => (see(attempt), call()) };
		const observe = observer({ ...hooks, renewed: see, ended: see });
		const work = async () => await sleep(1_500, { clock: machine.clock });
		const basket = machine.basket({ work }, { observe, lease: 3_000, worker: "w1" });
		await basket.add("work", undefined, { lane: "customer 1" });
		const { stop } = running(basket);
		await machine.clock.advance(2_000);
		expect([seen.length, new Set(seen).size]).toEqual([4, 1]);
		expect(seen[0]).toMatchObject({ lane: "customer 1", worker: "w1" });
		await stop();
	});

	test("is told how long the function took whose transaction completed its task, and of tasks that never start", async () => {
		const machine = new Machine();
		const lines: string[] = [];
		const observe = observer({
			started: ({ id }) => lines.push(`start ${id}`),
			ended: ({ id }, { outcome, took }) => lines.push(`${outcome} ${id} after ${took}`),
		});
		const complete = async (_: undefined, context: { complete: (tx: never) => Promise<void> }) => {
			await context.complete({} as never);
			await sleep(70, { clock: machine.clock });
		};
		machine.spied.store.complete = (name, claim) =>
			machine.memory.turn(name, { settle: [{ ref: claim, outcome: { type: "done" } }], claim: [], lease: 1 })
				.then(({ settled }) => settled[0]!);
		const basket = machine.basket({ complete, broken: () => {} }, { observe, lease: 300 });
		await machine.memory.add("default", [{ id: "b", kind: "broken", payload: "{", delay: 0, priority: 0 }]);
		await basket.add("complete", undefined, { id: "a" });
		const { stop } = running(basket);
		await machine.clock.advance(1_000);
		expect(lines.sort()).toEqual(["dead b after 0", "done a after 70", "start a"]);
		await stop();
	});

	test("is told once of a claim whose lease is over, also if another process has the task then", async () => {
		const machine = new Machine();
		const lines: string[] = [];
		const observe = observer({
			lost: ({ id }) => lines.push(`lost ${id}`),
			ended: ({ id }, { outcome }) => lines.push(`${outcome} ${id}`),
		});
		const work = () => sleep(20_000, { clock: machine.clock });
		const basket = machine.basket({ work }, { observe, lease: 3_000 });
		const { stop } = running(basket);
		await basket.add("work", undefined, { id: "a" });
		await machine.clock.advance(100);
		machine.spied.before = () => {
			throw new StoreError("unavailable", "The store is gone");
		};
		await machine.clock.advance(5_000);
		expect(lines).toEqual(["lost a"]);
		expect(await machine.crash("work", 60_000)).toBe("a");
		machine.spied.before = undefined;
		await machine.clock.advance(20_000);
		expect(lines).toEqual(["lost a"]);
		await stop();
	});

	test("is told of a claim that is lost, if the basket has to leave it or its end may not be stored", async () => {
		const machine = new Machine();
		const lines: string[] = [];
		const observe = observer({
			lost: ({ id }) => lines.push(`lost ${id}`),
			ended: ({ id }, { outcome }) => lines.push(`${outcome} ${id}`),
		});
		const hang = () => new Promise(() => {});
		const basket = machine.basket({ hang, work: () => {} }, { observe, grace: 1_000 });
		const { stop } = running(basket);
		await basket.add("hang", undefined, { id: "a" });
		await machine.clock.advance(100);
		// The store is gone, so the task cannot be given back.
		machine.spied.before = () => {
			throw new StoreError("unavailable", "The store is gone");
		};
		await Promise.all([stop(), machine.clock.advance(10_000)]);
		expect(lines.splice(0)).toEqual(["lost a"]);
		// Another process takes the task while this one settles it.
		machine.spied.before = async (member, [, turn]) => {
			const ends = member === "turn" && (turn as { settle: readonly unknown[] }).settle.length > 0;
			if (ends) await machine.memory.delete("default", ["b"]);
		};
		await basket.add("work", undefined, { id: "b" });
		const next = running(basket);
		await machine.clock.advance(100);
		expect(lines).toEqual(["lost b"]);
		await next.stop();
	});

	test("is told of the tasks of a batch when their call begins, and wraps that once", async () => {
		const machine = new Machine();
		const lines: string[] = [];
		const idsOf = (batch: readonly ObservedAttempt[] | undefined) => batch?.map(({ id }) => id).join();
		const observe = observer({
			started: ({ id, batch }, waited) => lines.push(`start ${id} of ${idsOf(batch)} after ${waited}`),
			around: ({ batch }, call) => (lines.push(`before ${idsOf(batch)}`), call(), lines.push("after")),
			ended: ({ id, batch }, { outcome, took }) => lines.push(`${outcome} ${id} of ${idsOf(batch)} after ${took}`),
		});
		const send = batch({ most: 10, wait: 100 }, async (tasks: readonly BatchTask<number>[], { fail }) => {
			lines.push(`call with ${tasks.length}`);
			fail("b", later(60_000));
			await sleep(30, { clock: machine.clock });
		});
		const basket = machine.basket({ send }, { observe });
		for (const id of ["a", "b", "c"]) await basket.add("send", 1, { id });
		const { stop } = running(basket);
		await machine.clock.advance(1_000);
		const all = "of a,b,c after";
		expect(lines).toEqual([
			...[`start a ${all} 100`, `start b ${all} 100`, `start c ${all} 100`],
			...["before a,b,c", "call with 3", "after"],
			...[`later b ${all} 0`, `done a ${all} 30`, `done c ${all} 30`],
		]);
		await stop();
	});

	test("sees what addMany adds together, and meta that does not fit is left out", async () => {
		const machine = new Machine();
		const batches: (readonly ObservedAdd[] | undefined)[] = [];
		const observe = observer({
			adding({ meta, batch }) {
				batches.push(batch);
				Object.assign(meta, { long: "x".repeat(2_100), longer: "x".repeat(3_000), short: "1" });
			},
		});
		const other = observer({ adding: ({ batch }) => void batches.push(batch) });
		const work = (_: number) => {};
		const basket = machine.basket({ work, other: { run: work, observe: other } }, { observe });
		const [one, two, three] = ["1", "2", "3"];
		await basket.addMany([
			{ kind: "work", payload: 1, id: one!, meta: { user: "ada" } },
			{ kind: "other", payload: 1, id: two! },
			{ kind: "work", payload: 1, id: three! },
		]);
		await basket.add("work", 1, { id: "4" });
		expect(batches.map((batch) => batch?.map(({ id }) => id))).toEqual([["1", "3"], ["2"], ["1", "3"], undefined]);
		expect(batches[0]).toBe(batches[2]);
		const metas = await Promise.all(["1", "2", "3", "4"].map(async (id) => (await basket.get(id))?.meta));
		expect(metas).toEqual([{ user: "ada", short: "1" }, {}, { short: "1" }, { short: "1" }]);
		for (const meta of ["text", null, 1]) {
			const error = await errorOf(basket.add("work", 1, { meta: meta as never }));
			expect(String(error), String(meta)).toMatch(`"meta"`);
		}
	});

	test("cannot make an add fail, or take a text away that is given, by what it puts into the meta", async () => {
		const fail = () => {
			throw new Error("unreadable");
		};
		const long = "x".repeat(5_000);
		const puts: ((meta: Record<string, unknown>) => unknown)[] = [
			...[5, 5n, undefined, null, Symbol(), fail, {}].map((value) => (meta: object) =>
				Object.assign(meta, { odd: value })
			),
			(meta) => meta["odd"] = meta,
			(meta) => Object.defineProperty(meta, "odd", { enumerable: true, get: fail }),
			...["toString", "__proto__", "given"].map((name) => (meta: object) => {
				Object.defineProperty(meta, name, { value: long, enumerable: true });
			}),
			(meta) => delete meta["given"],
		];
		for (const put of puts) {
			const observe = observer({ adding: ({ meta }) => void put(meta) });
			const basket = new Machine().basket({ work: () => {} }, { observe });
			await basket.add("work", undefined, { id: "a", meta: { given: "1" } });
			expect((await basket.get("a"))!.meta, String(put)).toEqual({ given: "1" });
		}
	});

	test("is told of each add and of what becomes of it, and gives the task a meta", async () => {
		const machine = new Machine();
		const lines: string[] = [];
		const observe = observer({
			adding({ basket, kind, id, meta }) {
				lines.push(`${basket} ${kind} ${id} ${JSON.stringify(meta)}`);
				meta["trace"] = "1";
				return ({ id, isAdded, error }) => lines.push(`${id} ${isAdded} ${(error as Error)?.name}`);
			},
		});
		const basket = machine.basket({ work: (_: number) => {} }, { observe });
		await basket.add("work", 1, { id: "a", meta: { user: "ada" } });
		await basket.addMany([{ kind: "work", payload: 1, id: "a" }, { kind: "work", payload: 2 }]);
		await errorOf(basket.add("work", NaN));
		const stored: TaskRecord[] = [];
		for await (const task of basket.list()) stored.push(task);
		const [first, second] = stored;
		expect([first!.meta, second!.meta]).toEqual([{ user: "ada", trace: "1" }, { trace: "1" }]);
		expect(lines).toEqual([
			...[`default work a {"user":"ada"}`, "a true undefined"],
			...["default work a {}", "default work undefined {}", "a false undefined", `${second!.id} true undefined`],
			...["default work undefined {}", "undefined false TypeError"],
		]);
	});
});
