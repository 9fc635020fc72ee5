// The results of tasks, and those who wait for them.
import { describe, expect, test } from "vitest";
import { TaskNotFoundError } from "../../mod.ts";
import { deferred, errorOf, watch } from "../support.ts";
import { Machine, running } from "./support.ts";

describe("Basket.wait()", () => {
	test("resolves with what the function has returned, as it is stored, whether the task is kept or not", async () => {
		for (const retain of [0, 60_000, Infinity]) {
			const machine = new Machine();
			const basket = machine.basket({ sum: (parts: number[]) => ({ sum: parts[0]! + parts[1]!, at: new Date(0) }) }, {
				retain,
			});
			const { stop } = running(basket);
			const { id } = await basket.add("sum", [1, 2], { delay: 1_000 });
			const waiting = basket.wait(id);
			await machine.clock.advance(1_000);
			const end = { state: "done", result: { sum: 3, at: "1970-01-01T00:00:00.000Z" }, error: undefined };
			expect(await waiting).toEqual(end);
			if (retain > 0) expect(await basket.wait(id)).toEqual(end);
			else expect(await errorOf(basket.wait(id))).toBeInstanceOf(TaskNotFoundError);
			expect((await basket.get(id))?.result).toEqual(retain > 0 ? end.result : undefined);
			await stop();
		}
	});

	test("resolves with the error of a dead task", async () => {
		for (const retainDead of [Infinity, 60_000]) {
			const machine = new Machine();
			const basket = machine.basket({
				break: () => {
					throw new RangeError("too much");
				},
			}, { attempts: 1, retainDead });
			await basket.add("break", undefined, { id: "a" });
			await machine.drain(basket);
			const { state, result, error } = await basket.wait("a");
			expect([state, result, error?.name, error?.message]).toEqual(["dead", undefined, "RangeError", "too much"]);
			await machine.clock.advance(60_000);
			expect((await basket.get("a"))?.state).toBe(retainDead === Infinity ? "dead" : undefined);
		}
	});

	test("hears of tasks that end in another process within five seconds", async () => {
		const machine = new Machine();
		const gate = deferred<string>();
		const tasks = { slow: () => gate.promise };
		const [worker, waiter] = [machine.basket(tasks, { retain: 60_000 }), machine.basket(tasks)];
		const { stop } = running(worker);
		await worker.add("slow", undefined, { id: "a" });
		const waiting = watch(waiter.wait("a"));
		await machine.clock.advance(600_000);
		expect(waiting.state).toBe("pending");
		gate.resolve("result");
		await machine.clock.advance(5_000);
		expect(waiting.value).toEqual({ state: "done", result: "result", error: undefined });
		await stop();
	});

	test("rejects for a task that is not there, is deleted, or has ended elsewhere and was not kept", async () => {
		const machine = new Machine();
		const tasks = { quick: () => "result" };
		const [worker, waiter] = [machine.basket(tasks), machine.basket(tasks)];
		expect(await errorOf(waiter.wait("a"))).toEqual(new TaskNotFoundError("a"));
		for (const end of [() => worker.delete("a"), () => machine.drain(worker)]) {
			await worker.add("quick", undefined, { id: "a" });
			const waiting = watch(waiter.wait("a"));
			await end();
			await machine.clock.advance(5_000);
			expect(waiting.error).toEqual(new TaskNotFoundError("a"));
		}
	});

	test("waits for the newest payload of a task that is replaced while it runs", async () => {
		const machine = new Machine();
		const gates = [deferred<string>(), deferred<string>()];
		let runs = 0;
		const basket = machine.basket({ save: (_: string) => gates[runs++]!.promise });
		const { stop } = running(basket);
		await basket.add("save", "1", { id: "a" });
		await machine.clock.advance(0);
		const waiting = watch(basket.wait("a"));
		await basket.add("save", "2", { id: "a", ifPresent: "replace" });
		gates[0]!.resolve("first");
		await machine.clock.advance(10_000);
		expect([runs, waiting.state]).toEqual([2, "pending"]);
		gates[1]!.resolve("second");
		await machine.clock.advance(10_000);
		expect(waiting.value).toEqual({ state: "done", result: "second", error: undefined });
		await stop();
	});

	test("ends with its signal, and the task goes on", async () => {
		const machine = new Machine();
		const basket = machine.basket({ quick: () => {} });
		await basket.add("quick", undefined, { id: "a" });
		const reason = new Error("enough");
		expect(await errorOf(basket.wait("a", { signal: AbortSignal.abort(reason) }))).toBe(reason);
		const controller = new AbortController();
		const waiting = errorOf(basket.wait("a", { signal: controller.signal }));
		controller.abort(reason);
		expect(await waiting).toBe(reason);
		expect(await basket.counts()).toMatchObject({ waiting: 1 });
		expect(machine.clock.pending).toBe(0);
	});

	test("reports a result that cannot be stored, and the task is done nevertheless", async () => {
		const machine = new Machine();
		const basket = machine.basket({ odd: () => 1n }, { retain: 1_000 });
		await basket.add("odd", undefined, { id: "a" });
		await machine.drain(basket);
		expect(await basket.wait("a")).toEqual({ state: "done", result: undefined, error: undefined });
		expect(machine.errors.map(String)).toEqual([expect.stringContaining("bigint")]);
	});
});
