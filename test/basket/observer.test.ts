// What an observer is told of the tasks of a basket.
import { describe, expect, test } from "vitest";
import { type ObservedAttempt, observer, sleep, stopNow, type TaskRecord } from "../../mod.ts";
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
