// A stop of a pool that lets running tasks end.
import { describe, expect, test } from "vitest";
import { Pool } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { deferred, errorOf, watch } from "../support.ts";

async function busy() {
	const clock = new VirtualClock();
	const pool = new Pool({ max: 2, clock, attempts: 3, backoff: 100 });
	const gates = [deferred<string>(), deferred<string>()];
	const aborted: number[] = [];
	const tasks = gates.map((gate, index) =>
		watch(pool.run(({ signal }) => {
			signal.addEventListener("abort", () => void aborted.push(index));
			return gate.promise;
		}))
	);
	const waiting = watch(pool.run(() => "never"));
	await clock.advance(0);
	return { clock, pool, gates, aborted, tasks, waiting };
}

describe("Pool.stop() with finish", () => {
	test("lets running tasks end, begins and retries no other one, and is over with the last of them", async () => {
		const { clock, pool, gates, aborted, tasks, waiting } = await busy();
		const stop = watch(pool.stop({ finish: 60_000 }));
		await clock.advance(30_000);
		expect([waiting.state, stop.state]).toEqual(["rejected", "pending"]);
		expect((await errorOf(pool.run(() => {})) as Error).name).toBe("InvalidStateError");
		gates[0]!.resolve("done");
		await clock.advance(10);
		expect([tasks[0]!.value, stop.state]).toEqual(["done", "pending"]);
		gates[1]!.reject(new Error("failure"));
		await clock.advance(10);
		expect([String(tasks[1]!.error), stop.state]).toEqual(["Error: failure", "resolved"]);
		expect([aborted, clock.pending, pool.workers().size]).toEqual([[], 0, 0]);
	});

	test("aborts tasks that still run after that time", async () => {
		const { clock, pool, gates, aborted, tasks } = await busy();
		const reason = new Error("enough");
		const stop = watch(pool.stop({ finish: 60_000, reason }));
		await clock.advance(59_999);
		expect(aborted).toEqual([]);
		await clock.advance(1);
		expect(aborted).toEqual([0, 1]);
		for (const gate of gates) gate.reject(reason);
		await clock.advance(0);
		expect([stop.state, tasks[0]!.error]).toEqual(["resolved", reason]);
	});

	test.each(["signal", "stop"])("loses its patience by a %s", async (how) => {
		const { clock, pool, gates, aborted } = await busy();
		const controller = new AbortController();
		const stop = watch(pool.stop({ finish: Infinity, signal: controller.signal }));
		await clock.advance(3_600_000);
		expect([stop.state, aborted]).toEqual(["pending", []]);
		if (how === "signal") controller.abort();
		else void pool.stop();
		await clock.advance(0);
		expect(aborted).toEqual([0, 1]);
		for (const gate of gates) gate.resolve("late");
		await clock.advance(0);
		expect([stop.state, clock.pending]).toEqual(["resolved", 0]);
	});

	test("is at once if nothing runs, and refuses times that are none", async () => {
		const pool = new Pool({ max: 1 });
		for (const finish of [-1, NaN, "1" as never]) expect(await errorOf(pool.stop({ finish }))).toBeInstanceOf(Error);
		expect(await pool.run(() => "still open")).toBe("still open");
		await pool.stop({ finish: 1_000 });
	});
});
