// What the library calls for somebody is in the async context of that caller, whoever else waits on the same timer, signal
// or worker. Another class is one more row.
import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test } from "vitest";
import { type Clock, systemClock } from "../../../mod.ts";
import { inContext, inContextAlways } from "../../../src/platform/async-context.ts";
import { CallbackTimer } from "../../../src/platform/timer-queue.ts";
import { VirtualClock } from "../../../src/testing.ts";

/** What one of several callers asks for; settles when its callbacks have been called. */
type Ask = (see: () => void) => unknown;

/**
 * Makes what the callers share, and returns what each of them does with it: pass `see`, or something that calls it, as each
 * of the callbacks. All time is the clock's.
 */
type Share = (clock: Clock) => Ask;

const rows: Record<string, Share> = {
	"inContext()": (clock) => (see) =>
		new Promise<void>((resolve) => {
			clock.set(
				new CallbackTimer(inContext(() => {
					see();
					resolve();
				})),
				5,
			);
		}),
	"inContextAlways()": (clock) => (see) =>
		new Promise<void>((resolve) => {
			let calls = 0;
			const timer = new CallbackTimer(inContextAlways(() => {
				see();
				if (++calls === 3) resolve();
				else clock.set(timer, 5);
			}));
			clock.set(timer, 5);
		}),
};

const tenants = ["alice", "bob", "carol"];

describe.each([["the system's clock", false], ["a virtual clock", true]] as const)("With %s", (_name, isVirtual) => {
	test.each(Object.entries(rows))("%s calls back in the async context of its caller", async (_title, share) => {
		const storage = new AsyncLocalStorage<string>();
		const clock = isVirtual ? new VirtualClock() : systemClock;
		const ask = share(clock);
		const seen = tenants.map((): unknown[] => []);
		const asked = tenants.map((tenant, index) =>
			storage.run(tenant, async () => await ask(() => seen[index]!.push(storage.getStore())))
		);
		if (clock instanceof VirtualClock) await clock.runUntilIdle();
		await Promise.all(asked);
		seen.forEach((stores, index) => {
			expect(stores.length).toBeGreaterThan(0);
			expect(new Set(stores)).toEqual(new Set([tenants[index]]));
		});
	});
});
