// Listeners attach to a key and detach at each microtask around its starts and stops. The operation of the key must
// not run twice, the map must contain exactly the keys that are not idle, and the operation of another key must be
// unaffected.
import { describe, expect, test } from "vitest";
import { type Clock, IntermittentMap, type Timer } from "../../mod.ts";
import { type CountedOperation, makeCounted, starts, stops } from "./counted-operation.ts";
import { afterMicrotasks, atEachMicrotask } from "../every-microtask.ts";
import { isPage, settle, SpiedController } from "../support.ts";

/** A map with two operations, and the listeners of their keys. */
class Bench {
	readonly timers: Timer[] = [];
	/** Violations that a subscriber has seen. */
	readonly faults: unknown[] = [];
	readonly controllers: SpiedController[] = [];
	readonly attached: Promise<unknown>[] = [];
	readonly operations: Readonly<Record<"a" | "b", CountedOperation>>;
	readonly map: IntermittentMap<"a" | "b">;

	constructor(start: string, stop: string, linger = 0) {
		const make = () => makeCounted(starts[start]!, stops[stop]!);
		this.operations = { a: make(), b: make() };
		// The test fires the timers of this clock.
		const clock: Clock = { now: () => 0, monotonic: () => 0, set: (timer) => void this.timers.push(timer), clear() {} };
		this.map = new IntermittentMap((key, signal) => this.operations[key].start(signal), { linger, clock });
		this.map.subscribe(() => {
			try {
				this.look();
			} catch (error) {
				this.faults.push(error);
			}
		});
	}

	/** Checks that all views of the map are correct and agree. It runs too often for `expect`. */
	readonly look = (): void => {
		const { map } = this;
		const snapshot = map.getSnapshot();
		if (map.size !== snapshot.size) throw new Error(`The size is ${map.size}, and ${snapshot.size} keys are shown`);
		for (const key of ["a", "b"] as const) {
			const { counted } = this.operations[key];
			const { state, listeners } = map.get(key);
			const shown = snapshot.get(key) ?? { state: "idle", listeners: 0 };
			const isShown = shown.state === state && shown.listeners === listeners &&
				snapshot.has(key) === (state !== "idle");
			if (!isShown) {
				throw new Error(`${key} is ${state} for ${listeners}, shown as ${shown.state} for ${shown.listeners}`);
			}
			const isRunning = counted.running === 1;
			if (counted.running > 1 || (state === "running" && !isRunning) || (state === "idle" && isRunning)) {
				throw new Error(`${key} is ${state}, and runs ${counted.running} times`);
			}
		}
	};

	/** Attaches a listener and returns a function that detaches it. */
	attach(key: "a" | "b"): () => void {
		const controller = new SpiedController();
		this.controllers.push(controller);
		this.attached.push(this.map.attach(key, controller.signal).catch((error) => error));
		return () => controller.abort("enough");
	}

	/** Waits until no key lingers. */
	async rest(): Promise<void> {
		await settle();
		for (const timer of this.timers.splice(0)) timer.fire();
		await settle();
	}

	/** Waits for k microtasks and checks the map after each. */
	async after(k: number): Promise<void> {
		this.look();
		for (let left = k; left > 0; left--) {
			await new Promise<void>((resolve) => afterMicrotasks(1, resolve)).then(this.look);
		}
	}

	async end(): Promise<void> {
		for (const controller of this.controllers) controller.abort("over");
		await Promise.all(this.attached);
		await this.rest();
		this.look();
		expect(this.faults).toEqual([]);
		const { a, b } = this.operations;
		expect([this.map.size, this.map.getSnapshot().size, a.counted.running, b.counted.running]).toEqual([0, 0, 0, 0]);
		expect(this.controllers.filter(({ listeners }) => listeners > 0)).toEqual([]);
	}
}

const isFailing = (start: string) => start.startsWith("fails");

describe("IntermittentMap at each microtask", () => {
	for (const start of Object.keys(starts)) {
		for (const stop of Object.keys(stops)) {
			test(`a start that ${start} and a stop that ${stop} run once for each key, whenever listeners come and go`, async () => {
				for (const again of isPage ? [0, 3] : [0, 1, 2, 3, 5, 8]) {
					await atEachMicrotask(30, async (k) => {
						const bench = new Bench(start, stop);
						const [first, second] = [bench.attach("a"), bench.attach("a")];
						bench.attach("b");
						await bench.after(k);
						first();
						await bench.after(again);
						bench.attach("a");
						second();
						await bench.after(20);
						await Promise.all(bench.attached);
						const { a, b } = bench.operations;
						const running = isFailing(start) ? 0 : 1;
						expect([bench.map.size, a.counted.running, b.counted.running]).toEqual([2 * running, running, running]);
						expect([a.counted.most, b.counted.most, b.counted.starts]).toEqual([1, 1, 1]);
						await bench.end();
					});
				}
			});
		}
	}

	test("a key whose last listener leaves is attached again before, while and after its stop", async () => {
		for (const start of Object.keys(starts).filter((start) => !isFailing(start))) {
			for (const stop of Object.keys(stops)) {
				await atEachMicrotask(30, async (k) => {
					const bench = new Bench(start, stop);
					const leave = bench.attach("a");
					await Promise.all(bench.attached);
					leave();
					await bench.after(k);
					bench.attach("a");
					await Promise.all(bench.attached);
					const { counted } = bench.operations.a;
					expect([bench.map.size, bench.map.get("a").listeners, counted.running, counted.starts]).toEqual([1, 1, 1, 2]);
					await bench.end();
				});
			}
		}
	});

	test("a key that is attached around the end of its linger goes on, or starts anew when it has stopped", async () => {
		for (const leavesAgain of [false, true]) {
			await atEachMicrotask(30, async (k) => {
				const bench = new Bench("is async", "takes some microtasks", 5);
				const leave = bench.attach("a");
				await Promise.all(bench.attached);
				leave();
				bench.timers.pop()!.fire();
				await bench.after(k);
				const { state } = bench.map.get("a");
				const leaveAgain = bench.attach("a");
				if (leavesAgain) leaveAgain();
				await settle();
				const { counted } = bench.operations.a;
				if (!leavesAgain) expect([counted.running, counted.starts]).toEqual([1, state === "running" ? 1 : 2]);
				// A listener that detached begins a new linger, or leaves a start behind that is stopped.
				else expect([counted.running, counted.starts]).toEqual([state === "running" ? 1 : 0, state === "idle" ? 2 : 1]);
				await bench.end();
			});
		}
	});

	test("an abort at each microtask of an attach leaves nothing of the key behind", async () => {
		for (const start of Object.keys(starts)) {
			for (const linger of [0, 5]) {
				await atEachMicrotask(30, async (k) => {
					const bench = new Bench(start, "fails", linger);
					const leave = bench.attach("a");
					await bench.after(k);
					leave();
					await bench.rest();
					expect([bench.map.size, bench.operations.a.counted.running]).toEqual([0, 0]);
					await bench.end();
				});
			}
		}
	});
});
