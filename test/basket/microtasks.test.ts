// Actions in each of the first microtasks around the end of a run. The reported outcome must be stored, and nothing
// must be left behind.
import { describe, expect, test } from "vitest";
import type { Basket } from "../../mod.ts";
import { afterMicrotasks, atEachMicrotask } from "../every-microtask.ts";
import { deferred, isPage, untilAborted, watch } from "../support.ts";
import { Machine, running } from "./support.ts";

/** Fewer trials in pages and workerd, where a macrotask is slow. The order of microtasks does not depend on the engine. */
const stride = isPage ? 3 : 1;

type Tested = Basket<{ a: (payload: number) => unknown }, never>;

interface Trial {
	readonly machine: Machine;
	readonly basket: Tested;
	readonly stop: () => void;
}

/** The ways in which a run ends, with the stored outcome if nothing else happens. */
const endings: Record<string, { end: (signal: AbortSignal) => unknown; outcome: string }> = {
	"returns": { end: () => {}, outcome: "done" },
	"returns a promise": { end: async () => await null, outcome: "done" },
	"throws": {
		end: () => {
			throw new Error("failure");
		},
		outcome: "retry",
	},
	"rejects": { end: () => Promise.reject(new Error("failure")), outcome: "retry" },
};

/** Actions during the end of a run. */
const actions: Record<string, (trial: Trial) => unknown> = {
	"an abort": ({ stop }) => stop(),
	"stop()": ({ basket }) => basket.stop(),
	"delete()": ({ basket }) => basket.delete("x"),
	"hold()": ({ basket }) => basket.hold("x"),
	"retry()": ({ basket }) => basket.retry("x"),
	"pause()": ({ basket }) => basket.pause(),
	"another drain()": ({ basket }) => void basket.drain().catch(() => {}),
	"the end of the lease": ({ machine }) => {
		const { monotonic } = machine.clock;
		machine.clock.monotonic = () => monotonic.call(machine.clock) + 30_000;
	},
	"a claim of somebody else": async ({ machine: { memory, clock } }) => {
		const now = clock.now();
		clock.setNow(now + 31_000);
		await memory.turn("default", { settle: [], claim: [{ kinds: ["a"], limit: 1 }], lease: 1_000_000 });
		clock.setNow(now);
	},
	"a deletion by somebody else": ({ machine }) => machine.memory.delete("default", ["x"]),
};

describe.each(Object.entries(endings))("Basket: a run that %s", (_ending, { end, outcome }) => {
	test.each(Object.entries(actions))("tells what is stored, whenever %s comes", async (action, act) => {
		await atEachMicrotask(30, async (k) => {
			for (const isFirst of [true, false]) {
				const machine = new Machine();
				const way = deferred();
				const basket: Tested = machine.basket({
					a: (_: number, { signal }: { signal: AbortSignal }) => way.promise.then(() => end(signal)),
				});
				await basket.add("a", 1, { id: "x" });
				const { done, controller } = running(basket);
				const state = watch(done);
				await machine.clock.advance(100);
				const trial = { machine, basket, stop: () => controller.abort(new Error("stop")) };
				const [first, second] = [() => way.resolve(), () => void act(trial)];
				if (isFirst) first();
				else second();
				afterMicrotasks(k, isFirst ? second : first);
				for (let i = 0; i < 100; i++) await null;
				await machine.clock.advance(0);
				await checkTold(machine, action, outcome);
				controller.abort();
				await machine.clock.advance(7_000);
				expect(state.state).toBe("resolved");
				expect([machine.clock.pending, basket.getSnapshot()]).toMatchObject([0, { state: "stopped", running: 0 }]);
			}
		}, stride);
	});
});

/** Checks that onSettled reports at most one outcome, which must be the stored one. */
async function checkTold(machine: Machine, action: string, outcome: string): Promise<void> {
	const { settled, errors, memory } = machine;
	const stored = await memory.get("default", "x");
	expect(settled.length).toBeLessThan(2);
	const told = settled[0]?.outcome;
	const isLost = ["delete()", "the end of the lease", "a claim of somebody else", "a deletion by somebody else"]
		.includes(action);
	if (told === undefined) expect([isLost, errors.length < 2]).toEqual([true, true]);
	if (told === "done") expect([outcome, stored]).toEqual(["done", undefined]);
	if (told === "retry") expect(outcome).toBe("retry");
	if (told === "retry" && !isLost) expect(stored).toMatchObject({ attempts: 1, crashes: 0 });
	if (told === "released") expect(stored ?? { attempts: 0 }).toMatchObject({ attempts: 0 });
	// A run that returned has succeeded if it still had its claim.
	if (outcome === "done" && !isLost) expect(told).toBe("done");
	if (outcome === "retry" && !["an abort", "stop()"].includes(action) && !isLost) expect(told).toBe("retry");
}

describe("Basket: a run that heeds its signal", () => {
	test.each(["an abort", "stop()", "delete()", "the end of the lease"])(
		"leaves nothing behind when %s comes in any microtask around its beginning",
		async (action) => {
			await atEachMicrotask(30, async (k) => {
				const machine = new Machine();
				const signals: AbortSignal[] = [];
				const basket: Tested = machine.basket({
					a: (_: number, { signal }: { signal: AbortSignal }) => {
						signals.push(signal);
						return untilAborted(signal);
					},
				});
				await basket.add("a", 1, { id: "x" });
				const { done, controller } = running(basket);
				const state = watch(done);
				machine.spied.after = (member) => {
					if (member !== "turn") return;
					machine.spied.after = undefined;
					const stop = () => controller.abort(new Error("stop"));
					afterMicrotasks(k, () => void actions[action]!({ machine, basket, stop }));
				};
				await machine.clock.advance(0);
				await machine.clock.advance(30_000);
				controller.abort();
				await machine.clock.advance(7_000);
				expect([state.state, machine.clock.pending, signals.every(({ aborted }) => aborted)]).toEqual([
					"resolved",
					0,
					true,
				]);
				const stored = await machine.memory.get("default", "x");
				if (action === "delete()") expect(stored).toBe(undefined);
				else expect(stored).toMatchObject({ state: "waiting", attempts: 0, crashes: 0 });
			}, stride);
		},
	);
});
