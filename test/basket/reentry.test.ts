// Each hook, subscriber and callback may call any method synchronously.
import { describe, expect, test } from "vitest";
import type { Basket, BasketContext, TaskSettled } from "../../mod.ts";
import { watch } from "../support.ts";
import { Machine, running } from "./support.ts";

type Tested = Basket<{ a: (payload: number, context: BasketContext<number, never>) => unknown }, never>;

/** All methods of a basket, by name. A call may be refused, but it must not stay pending. */
const calls: Record<string, (basket: Tested) => unknown> = {
	add: (basket) => basket.add("a", 100),
	addMany: (basket) => basket.addMany([{ kind: "a", payload: 100 }, { kind: "a", payload: 100 }]),
	run: (basket) => basket.run({ signal: AbortSignal.abort() }),
	drain: (basket) => basket.drain(),
	stop: (basket) => basket.stop(),
	"stop and run": (basket) => {
		void basket.stop();
		const controller = new AbortController();
		const done = basket.run({ signal: controller.signal });
		queueMicrotask(() => controller.abort());
		return done;
	},
	"pause and resume": (basket) => {
		basket.pause();
		basket.resume();
	},
	counts: (basket) => basket.counts(),
	get: (basket) => basket.get("x"),
	list: (basket) => basket.list().next(),
	retry: (basket) => basket.retry("x"),
	"hold and release": (basket) => Promise.all([basket.hold("x"), basket.release("x")]),
	delete: (basket) => basket.delete("x"),
	getSnapshot: (basket) => basket.getSnapshot(),
	"subscribe and unsubscribe": (basket) => basket.subscribe(() => {})(),
};

interface Place {
	/** Additional options of the basket. */
	options?: (enter: () => void) => object;
	/** Prepares the basket before it runs. */
	prepare?: (basket: Tested, enter: () => void) => void;
	task?: (enter: () => void, context: BasketContext<number, never>) => void;
}

/** The places that call back. */
const places: Record<string, Place> = {
	"a task": { task: (enter) => enter() },
	"a task that fails": {
		task: (enter, { attempt }) => {
			enter();
			if (attempt === 1) throw new Error("failure");
		},
	},
	"an abort listener of a task": { task: (enter, { signal }) => signal.addEventListener("abort", enter) },
	onSettled: { options: (enter) => ({ onSettled: (_: TaskSettled) => enter() }) },
	onAttemptFailed: {
		options: (enter) => ({ onAttemptFailed: enter }),
		task: (_enter, { attempt }) => {
			if (attempt === 1) throw new Error("failure");
		},
	},
	shouldRetry: {
		options: (enter) => ({ shouldRetry: () => (enter(), true) }),
		task: (_enter, { attempt }) => {
			if (attempt === 1) throw new Error("failure");
		},
	},
	"onError, of an observer": {
		options: (enter) => ({
			onError: enter,
			onSettled: () => {
				throw new Error("observer");
			},
		}),
	},
	"a subscriber": { prepare: (basket, enter) => void basket.subscribe(enter) },
	"gate.subscribe": {
		options: (enter) => ({ gate: { subscribe: () => (enter(), enter), getSnapshot: () => true } }),
	},
	"gate.getSnapshot": {
		options: (enter) => ({ gate: { subscribe: () => () => {}, getSnapshot: () => (enter(), true) } }),
	},
	"wake.subscribe": { options: (enter) => ({ wake: { subscribe: () => (enter(), enter) } }) },
	"codec.encode and codec.decode": {
		options: (enter) => ({
			codec: {
				encode: (payload: unknown) => (enter(), JSON.stringify(payload)),
				decode: (data: string) => (enter(), JSON.parse(data)),
			},
		}),
	},
};

describe.each(Object.entries(places))("Basket: called back from %s", (_place, { options, prepare, task }) => {
	test.each(Object.entries(calls))("%s does no harm: all that was added is done", async (name, call) => {
		const machine = new Machine();
		const begun: string[] = [];
		const asked: ReturnType<typeof watch>[] = [];
		let entered = 0;
		let isInside = false;
		const enter = () => {
			// Otherwise a callback of its own call would never end.
			if (isInside || entered === 5) return;
			isInside = true;
			entered++;
			asked.push(watch(Promise.resolve(call(basket))));
			isInside = false;
		};
		const basket: Tested = machine.basket({
			a: (payload, context) => {
				begun.push(context.id);
				if (payload < 100) task?.(enter, context);
			},
		}, { backoff: 1_000, ...options?.(enter) });
		prepare?.(basket, enter);
		await basket.addMany(
			[1, 2, 3].map((payload) => ({ kind: "a" as const, payload, id: payload === 2 ? "x" : `t${payload}` })),
		);
		const first = watch(running(basket).done);
		await machine.clock.advance(3_000);
		if (first.state === "pending") void basket.stop();
		await machine.clock.advance(10_000);
		expect(first.state).toBe("resolved");
		// Another run does the rest, even if the basket was stopped meanwhile.
		entered = 5;
		const second = running(basket);
		await machine.clock.advance(10_000);
		const stopped = watch(second.stop());
		await machine.clock.advance(10_000);
		expect(stopped.state).toBe("resolved");
		expect(asked.length > 0 || _place === "an abort listener of a task").toBe(true);
		expect(asked.map(({ state }) => state)).not.toContain("pending");
		const refused = asked.filter(({ state }) => state === "rejected").map(({ error }) => (error as Error).name);
		// Only a drain may be refused: by a stop, or because it would wait for itself.
		expect(name === "drain" ? [] : refused).toEqual([]);
		expect(await basket.counts()).toEqual({ waiting: 0, running: 0, held: 0, dead: 0, done: 0 });
		expect([machine.clock.pending, basket.getSnapshot()]).toMatchObject([0, { state: "stopped", running: 0 }]);
		if (name !== "delete") expect(new Set(begun).size).toBeGreaterThan(2);
	});
});
