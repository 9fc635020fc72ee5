import { describe, expect, test } from "vitest";
import {
	Group,
	later,
	type ObservedAttempt,
	type ObservedEnd,
	observer,
	type ObserverHooks,
	Pool,
	run,
	Runner,
	sleep,
	stopNow,
} from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { errorOf } from "../support.ts";

/** Notes what an observer is told. */
function diary(more: ObserverHooks = {}): { lines: unknown[]; observe: ReturnType<typeof observer> } {
	const lines: unknown[] = [];
	const nameOf = ({ by, id, attempt }: ObservedAttempt) =>
		[by, id, attempt].filter((part) => part !== undefined).join(" ");
	return {
		lines,
		observe: observer({
			started: (attempt, waited) => lines.push(`${nameOf(attempt)} started, ${waited}`),
			ended: (attempt, { outcome, took, error }: ObservedEnd) =>
				lines.push(
					`${nameOf(attempt)} ${outcome} after ${took}${error === undefined ? "" : `: ${(error as Error).message}`}`,
				),
			...more,
		}),
	};
}

describe("observer()", () => {
	test("is told of each attempt of run(), Runner, Group and Pool, with its duration and its error", async () => {
		const clock = new VirtualClock();
		const { lines, observe } = diary();
		const task = async ({ attempt }: { attempt: number }) => {
			await sleep(100, { clock });
			if (attempt === 1) throw new Error("no");
			return attempt;
		};
		const options = { attempts: 2, observe, clock };
		const told = (name: string) =>
			[1, 2].flatMap((attempt) => [
				`${name} ${attempt} started, 0`,
				`${name} ${attempt} ${attempt === 1 ? "failed after 100: no" : "done after 100"}`,
			]);
		const result = run(task, options);
		await clock.advance(1_000);
		expect([await result, lines.splice(0)]).toEqual([2, told("run")]);
		const runner = new Runner(task, options);
		for (let step = 0; step < 2; step++) {
			const stepped = runner.step();
			await clock.advance(1_000);
			await stepped;
		}
		expect(lines.splice(0)).toEqual(told("run"));
		const group = new Group(options);
		group.spawn("g", task);
		await clock.advance(1_000);
		expect(lines.splice(0)).toEqual(told("group g"));
		const pool = new Pool({ ...options, max: 1 });
		pool.spawn("p", task);
		const plain = pool.run(task);
		await clock.advance(1_000);
		expect(await plain).toBe(2);
		expect([...lines].sort()).toEqual([...told("pool p"), ...told("pool")].sort());
	});

	test("around() wraps the call, and changes neither what it returns nor what it throws", async () => {
		const calls: string[] = [];
		const wrapping = (around: NonNullable<ObserverHooks["around"]>) => ({ observe: observer({ around }) });
		const task = () => (calls.push("task"), "value");
		const fail = () => {
			throw new RangeError("no");
		};
		const ways: Record<string, NonNullable<ObserverHooks["around"]>> = {
			once: (_, call) => (calls.push("before"), call(), calls.push("after"), "another"),
			"not at all": () => {},
			twice: (_, call) => [call(), call()],
			"throws before": () => {
				throw new Error("observer");
			},
			"throws after": (_, call) => {
				call();
				throw new Error("observer");
			},
		};
		for (const [name, around] of Object.entries(ways)) {
			calls.length = 0;
			expect(await run(task, wrapping(around)), name).toBe("value");
			expect(calls.filter((call) => call === "task"), name).toEqual(["task"]);
			expect(await errorOf(run(fail, wrapping(around))), name).toBeInstanceOf(RangeError);
		}
		expect(calls.slice(0, 3)).not.toEqual([]);
	});

	test("is told what hints stand for; what it throws changes nothing", async () => {
		const clock = new VirtualClock();
		const { lines, observe } = diary({
			started: () => {
				throw new Error("observer");
			},
		});
		const reasons = [later(10, new Error("offline")), stopNow(new RangeError("gone"))];
		const task = () => {
			throw reasons.shift();
		};
		const result = errorOf(run(task, { observe, clock, attempts: 5 }));
		await clock.advance(10);
		expect(await result).toBeInstanceOf(RangeError);
		expect(lines).toEqual(["run 1 later after 0: offline", "run 1 failed after 0: gone"]);
	});

	test("gets one object for all that it is told of an attempt", async () => {
		const seen: unknown[] = [];
		const see = (attempt: ObservedAttempt) => void seen.push(attempt);
		const observe = observer({ started: see, around: (attempt, call) => (see(attempt), call()), ended: see });
		await run(() => {}, { observe });
		expect([seen.length, new Set(seen).size]).toEqual([3, 1]);
	});

	test("refuses hooks that are no functions, and observers that it has not made", async () => {
		expect(() => observer({ started: 1 as never })).toThrow(`"started"`);
		expect(() => observer(undefined as never)).toThrow(`"hooks"`);
		expect(String(await errorOf(run(() => 1, { observe: {} as never })))).toMatch(`"observe`);
	});
});
