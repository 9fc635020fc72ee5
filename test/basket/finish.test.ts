// A stop that lets running tasks end.
import { describe, expect, test } from "vitest";
import { job, Processor } from "../../mod.ts";
import { deferred, errorOf, watch } from "../support.ts";
import { Machine, running } from "./support.ts";

/** A basket whose tasks end when their gates do. */
function busy(options: { finish?: number } = {}) {
	const machine = new Machine();
	const gates = [deferred(), deferred(), deferred()];
	const begun: string[] = [];
	const aborted: string[] = [];
	const basket = machine.basket({
		work: async (index: number, { signal }) => {
			begun.push(`task ${index}`);
			signal.addEventListener("abort", () => void aborted.push(`task ${index}`));
			await gates[index]!.promise;
		},
	}, { concurrency: 2 });
	const controller = new AbortController();
	const run = watch(basket.run({ signal: controller.signal, ...options }));
	const start = async () => {
		for (const index of [0, 1, 2]) await basket.add("work", index, { id: `task ${index}` });
		await machine.clock.advance(0);
		expect(begun).toEqual(["task 0", "task 1"]);
	};
	return { machine, gates, begun, aborted, basket, run, controller, start };
}

describe.each(["stop", "run"] as const)("Basket.%s() with finish", (how) => {
	function stopping(bench: ReturnType<typeof busy>, finish: number): { readonly state: string } {
		if (how === "stop") return watch(bench.basket.stop({ finish }));
		bench.controller.abort();
		return bench.run;
	}

	test("lets running tasks end, begins no other one, and is over with the last of them", async () => {
		const bench = busy({ finish: 60_000 });
		const { machine, gates, begun, aborted, basket, start } = bench;
		await start();
		const stop = stopping(bench, 60_000);
		expect(basket.getSnapshot().state).toBe("stopping");
		await machine.clock.advance(40_000); // longer than the lease
		gates[0]!.resolve();
		await machine.clock.advance(1_000);
		expect([stop.state, begun.length, aborted]).toEqual(["pending", 2, []]);
		gates[1]!.reject(new Error("failure"));
		await machine.clock.advance(0);
		expect([stop.state, basket.getSnapshot().state]).toEqual(["resolved", "stopped"]);
		expect(machine.settled.map(({ id, outcome }) => [id, outcome])).toEqual([["task 0", "done"], ["task 1", "retry"]]);
		expect(await basket.counts()).toMatchObject({ waiting: 2, running: 0 });
		expect([aborted, machine.errors, machine.clock.pending]).toEqual([[], [], 0]);
	});

	test("aborts tasks that still run after that time", async () => {
		const bench = busy({ finish: 60_000 });
		const { machine, gates, aborted, basket, start } = bench;
		await start();
		const stop = stopping(bench, 60_000);
		await machine.clock.advance(59_999);
		expect([stop.state, aborted]).toEqual(["pending", []]);
		await machine.clock.advance(1);
		expect(aborted).toEqual(["task 0", "task 1"]);
		for (const gate of gates) gate.resolve();
		await machine.clock.advance(0);
		expect(stop.state).toBe("resolved");
		expect(await basket.counts()).toMatchObject({ waiting: 1, running: 0 });
	});
});

describe("Basket.stop() with finish", () => {
	test.each(["signal", "stop"] as const)("loses its patience by a %s", async (how) => {
		const { machine, gates, aborted, basket, start } = busy();
		await start();
		const controller = new AbortController();
		const stop = watch(basket.stop({ finish: Infinity, signal: controller.signal }));
		await machine.clock.advance(3_600_000);
		expect([stop.state, aborted]).toEqual(["pending", []]);
		if (how === "signal") controller.abort();
		else void basket.stop();
		await machine.clock.advance(0);
		expect(aborted).toEqual(["task 0", "task 1"]);
		for (const gate of gates) gate.resolve();
		await machine.clock.advance(5_000);
		expect(stop.state).toBe("resolved");
	});

	test("goes on with what was begun if somebody joins meanwhile: only the earlier calls end", async () => {
		const { machine, gates, begun, aborted, basket, start, run, controller } = busy({ finish: 60_000 });
		await start();
		controller.abort();
		await machine.clock.advance(10);
		const { stop } = running(basket);
		await machine.clock.advance(10);
		expect(run.state).toBe("resolved");
		for (const gate of gates) gate.resolve();
		await machine.clock.advance(10);
		expect([begun.length, aborted]).toEqual([3, []]);
		await stop();
	});

	test.each([[0, true], [0, false], [60_000, true], [60_000, false]])(
		"ends only the calls that are active then, with finish %d and running tasks: %s",
		async (finish, isBusy) => {
			const { machine, gates, begun, aborted, basket, start, run } = busy();
			if (isBusy) await start();
			else await machine.clock.advance(0);
			const stop = watch(basket.stop({ finish }));
			if (isBusy && finish === 0) expect(aborted).toEqual(["task 0", "task 1"]);
			const next = running(basket);
			const state = watch(next.done);
			for (const gate of gates) gate.resolve();
			await machine.clock.advance(10_000);
			expect([stop.state, run.state]).toEqual(["resolved", "resolved"]);
			expect([state.state, basket.getSnapshot().state]).toEqual(["pending", "running"]);
			if (isBusy) expect(begun).toHaveLength(3);
			await next.stop();
		},
	);

	test("does nothing if nothing runs, and refuses times that are none", async () => {
		const basket = new Machine().basket({});
		await basket.stop({ finish: 1_000 });
		for (const finish of [-1, NaN, "1" as never]) {
			expect(await errorOf(basket.stop({ finish }))).toBeInstanceOf(Error);
			expect(await errorOf(basket.run({ finish }))).toBeInstanceOf(Error);
		}
		expect(await errorOf(basket.stop({ signal: {} as AbortSignal }))).toBeInstanceOf(TypeError);
	});
});

describe("Processor.stop() with finish", () => {
	test("lets the running step end, which stores its result", async () => {
		const machine = new Machine();
		const gate = deferred<string>();
		const trip = job("trip").step("book", { run: () => gate.promise }).step("pay", { run: () => "paid" });
		const processor = new Processor({ store: machine.memory, clock: machine.clock, jobs: [trip] });
		const { id } = await processor.add(trip);
		running(processor);
		await machine.clock.advance(0);
		const stop = watch(processor.stop({ finish: 60_000 }));
		await machine.clock.advance(1_000);
		expect(stop.state).toBe("pending");
		gate.resolve("seat 5");
		await machine.clock.advance(1_000);
		expect(stop.state).toBe("resolved");
		expect(await processor.get(id)).toMatchObject({ results: { book: "seat 5" } });
	});
});
