import { describe, expect, test, vi } from "vitest";
import {
	backgroundSync,
	leader,
	type LeaderOptions,
	online,
	persistStorage,
	visible,
} from "../../src/browser/browser.ts";
import { Basket, memoryStore } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { FakeChannels, FakeLocks, FakeScope, FreezableClock, replace, setVisibility } from "./browser-fakes.ts";
import { deferred, errorOf, settle, SpiedController, watch } from "../support.ts";

describe("online()", () => {
	test("tells all subscribers that the network is back, through one listener that goes with the last of them", () => {
		const scope = new FakeScope();
		const hint = online();
		expect(scope.listened).toEqual([]);
		const [first, second] = [vi.fn(), vi.fn()];
		const stops = [hint.subscribe(first), hint.subscribe(second), hint.subscribe(second)];
		expect(scope.listened).toEqual(["online"]);
		scope.dispatch("online");
		scope.dispatch("offline");
		expect([first.mock.calls.length, second.mock.calls.length]).toEqual([1, 2]);
		stops[0]!();
		stops[0]!();
		scope.dispatch("online");
		expect([first.mock.calls.length, second.mock.calls.length]).toEqual([1, 4]);
		for (const stop of stops) stop();
		expect(scope.listened).toEqual([]);
		scope.dispatch("online");
		expect(second).toHaveBeenCalledTimes(4);
		hint.subscribe(first)();
		expect(scope.listened).toEqual([]);
	});

	test("is not disturbed by a subscriber that throws", () => {
		const scope = new FakeScope();
		const [hint, second] = [online(), vi.fn()];
		const thrower = () => {
			throw new Error("an observer's");
		};
		const stops = [hint.subscribe(thrower), hint.subscribe(second)];
		scope.dispatch("online");
		expect(second).toHaveBeenCalledTimes(1);
		for (const stop of stops) stop();
	});

	test("and visible() never come where nothing has such events", () => {
		const scope = new FakeScope();
		replace(globalThis.navigator, "onLine", undefined);
		for (const hint of [online(), visible()]) hint.subscribe(() => {});
		expect(scope.listened).toEqual([]);
		expect(() => online().subscribe(5 as never)).toThrow(TypeError);
	});
});

describe("online(), visible() and leader()", () => {
	test("can be subscribed to where a navigator has no events beside it, as a polyfill leaves it", () => {
		replace(globalThis.navigator, "onLine", true);
		for (const name of ["addEventListener", "removeEventListener"]) replace(globalThis, name, undefined);
		for (const hint of [online(), visible(), leader("a", { locks: null })]) hint.subscribe(() => {})();
	});
});

describe("visible()", () => {
	test("tells when the page is visible again, restored or resumed, and not when it is hidden or loaded", () => {
		const scope = new FakeScope();
		const listener = vi.fn();
		const stop = visible().subscribe(listener);
		expect(scope.listened).toEqual(["pageshow", "resume", "visibilitychange"]);
		setVisibility("hidden");
		scope.dispatch("visibilitychange");
		scope.dispatch("pageshow", { persisted: false });
		expect(listener).toHaveBeenCalledTimes(0);
		setVisibility("visible");
		scope.dispatch("visibilitychange");
		expect(listener).toHaveBeenCalledTimes(1);
		scope.dispatch("pageshow", { persisted: true });
		scope.dispatch("resume");
		expect(listener).toHaveBeenCalledTimes(3);
		stop();
		expect(scope.listened).toEqual([]);
	});
});

/** Contexts that compete for leadership. */
class Election {
	readonly scope = new FakeScope();
	readonly channels = new FakeChannels();
	readonly locks = new FakeLocks();
	readonly errors: unknown[] = [];
	readonly candidates: { clock: FreezableClock; isOpen: () => boolean; seen: boolean[]; stop: () => void }[] = [];

	join(options: LeaderOptions = {}): this {
		const clock = new FreezableClock();
		const onError = (error: unknown) => this.errors.push(error);
		const { subscribe, getSnapshot } = leader("a", { locks: this.locks, clock, timeout: 3000, onError, ...options });
		const seen: boolean[] = [];
		const stop = subscribe(() => seen.push(getSnapshot()));
		this.candidates.push({ clock, isOpen: getSnapshot, seen, stop });
		return this;
	}

	get open(): boolean[] {
		return this.candidates.map(({ isOpen }) => isOpen());
	}

	/** Advances the time of all contexts except for the frozen ones. */
	async advance(duration: number, frozen: number[] = []): Promise<void> {
		for (let passed = 0; passed < duration; passed += 100) {
			await Promise.all(this.candidates.map(({ clock }, index) => frozen.includes(index) || clock.advance(100)));
		}
	}

	expectNothingLeft(): void {
		expect(this.candidates.map(({ clock }) => clock.pending)).toEqual(this.candidates.map(() => 0));
		expect([this.locks.size, this.channels.open.size, this.scope.listened]).toEqual([0, 0, []]);
	}
}

describe("leader()", () => {
	test("is open for one at a time, the next one when that leaves, and leaves nothing behind", async () => {
		const election = new Election().join().join().join();
		const [first, second, third] = election.candidates as Required<Election["candidates"]>;
		expect(election.open).toEqual([false, false, false]);
		await settle();
		expect(election.open).toEqual([true, false, false]);
		await election.advance(60_000);
		expect(election.open).toEqual([true, false, false]);
		expect(election.locks.steals).toBe(0);
		first!.stop();
		await settle();
		expect(election.open).toEqual([false, true, false]);
		third!.stop();
		second!.stop();
		second!.stop();
		await settle();
		expect(election.open).toEqual([false, false, false]);
		expect(election.candidates.map(({ seen }) => seen)).toEqual([[true], [true], []]);
		election.expectNothingLeft();
		expect(election.errors).toEqual([]);
	});

	test("begins with the first subscriber and ends with the last, again and again", async () => {
		const { locks, scope, channels } = new Election();
		const gate = leader("a", { locks, clock: new VirtualClock() });
		for (let i = 0; i < 3; i++) {
			expect([locks.size, channels.open.size, scope.listened.length]).toEqual([0, 0, 0]);
			const stops = [gate.subscribe(() => {}), gate.subscribe(() => {})];
			await settle();
			expect([gate.getSnapshot(), locks.size, channels.open.size, scope.listened.length]).toEqual([true, 1, 1, 4]);
			stops[0]!();
			await settle();
			expect(gate.getSnapshot()).toBe(true);
			stops[1]!();
			expect(gate.getSnapshot()).toBe(false);
			await settle();
		}
	});

	test("can be joined and left at once", async () => {
		const election = new Election().join().join();
		for (const { stop } of election.candidates) stop();
		await settle();
		election.expectNothingLeft();
		expect(election.candidates.map(({ seen }) => seen)).toEqual([[], []]);
	});

	test("is taken from a leader that is silent for the timeout, which closes and does not take it back", async () => {
		const election = new Election().join().join().join();
		await settle();
		await election.advance(2900, [0]);
		expect(election.locks.steals).toBe(0);
		await election.advance(2200, [0]);
		expect(election.open.slice(1).filter(Boolean).length).toBe(1);
		expect(election.open[0]).toBe(false);
		expect(election.locks.steals).toBe(1);
		const open = election.open;
		await election.advance(60_000);
		expect(election.open).toEqual(open);
		expect(election.locks.steals).toBe(1);
		expect(election.candidates[0]!.seen).toEqual([true, false]);
		for (const { stop } of election.candidates) stop();
		await settle();
		election.expectNothingLeft();
		expect(election.errors).toEqual([]);
	});

	test("closes at once when the clock has jumped, though nobody has told it yet, and asks anew when it can", async () => {
		const election = new Election().join();
		const { clock, isOpen, seen } = election.candidates[0]!;
		await settle();
		clock.jump(3000);
		expect(isOpen()).toBe(true);
		clock.jump(1);
		expect(isOpen()).toBe(false);
		await clock.advance(1200);
		expect(isOpen()).toBe(true);
		expect(seen).toEqual([true, false, true]);
		election.join();
		clock.jump(3001);
		await clock.advance(1200);
		expect(election.open).toEqual([false, true]);
	});

	test("is not stolen by a candidate that was frozen itself", async () => {
		const election = new Election().join().join();
		await settle();
		for (let i = 0; i < 10; i++) {
			election.candidates[1]!.clock.jump(60_000);
			await election.advance(2000);
		}
		expect([election.open, election.locks.steals]).toEqual([[true, false], 0]);
	});

	test("can be left by a subscriber as soon as it hears that it is open, or closed again", async () => {
		const election = new Election();
		const clock = new FreezableClock();
		for (const leaveAt of [true, false]) {
			const gate = leader("a", { locks: election.locks, clock, timeout: 3000 });
			const stop = gate.subscribe(() => gate.getSnapshot() === leaveAt && stop());
			await settle();
			clock.jump(3001);
			await clock.advance(1000);
			expect(gate.getSnapshot()).toBe(false);
			await settle();
			election.expectNothingLeft();
			expect(clock.pending).toBe(0);
		}
	});

	test("closes when it hears that a lock was taken away that it did not know it had", async () => {
		const refusals = deferred<unknown>();
		let requests = 0;
		const locks = { request: () => ++requests === 1 ? refusals.promise : new Promise(() => {}) };
		const election = new Election().join({ locks });
		refusals.reject(new DOMException("Stolen", "AbortError"));
		await settle();
		expect([requests, election.open, election.errors]).toEqual([2, [false], []]);
	});

	test.each([["pagehide", "pageshow"], ["freeze", "resume"]])("gives up on %s and takes part again on %s", async (
		hide,
		show,
	) => {
		const election = new Election().join();
		const { isOpen, seen, stop } = election.candidates[0]!;
		await settle();
		election.scope.dispatch(hide);
		expect(isOpen()).toBe(false);
		await settle();
		expect([election.locks.size, election.channels.open.size]).toEqual([0, 0]);
		election.scope.dispatch(hide);
		election.scope.dispatch(show);
		election.scope.dispatch(show);
		await settle();
		expect(seen).toEqual([true, false, true]);
		expect([election.locks.size, election.channels.open.size]).toEqual([1, 1]);
		stop();
		election.scope.dispatch(show);
		await settle();
		election.expectNothingLeft();
	});

	test("ends for good when the signal aborts, and leaves no listener on it", async () => {
		const controller = new SpiedController();
		const election = new Election().join({ signal: controller.signal });
		const { stop } = election.candidates[0]!;
		await settle();
		expect([election.open, controller.listeners]).toEqual([[true], 1]);
		controller.abort();
		expect(election.open).toEqual([false]);
		await settle();
		election.expectNothingLeft();
		expect(controller.listeners).toBe(0);
		stop();
		election.join({ signal: controller.signal });
		await settle();
		expect(election.open).toEqual([false, false]);
		election.expectNothingLeft();
		const other = new SpiedController();
		leader("a", { locks: election.locks, signal: other.signal }).subscribe(() => {})();
		expect([other.added, other.listeners]).toEqual([1, 0]);
	});

	test("is open for every subscriber where there are no locks", () => {
		const election = new Election().join({ locks: null }).join({ locks: null });
		expect(election.open).toEqual([true, true]);
		for (const { stop } of election.candidates) stop();
		expect(election.open).toEqual([false, false]);
		election.expectNothingLeft();
	});

	test("is open, and reports, where the lock or the channel is refused", async () => {
		const refusal = new DOMException("a sandbox", "SecurityError");
		const election = new Election().join({ locks: { request: () => Promise.reject(refusal) } });
		await settle();
		expect([election.open, election.errors]).toEqual([[true], [refusal]]);
		replace(globalThis, "BroadcastChannel", undefined);
		election.join();
		expect(election.open).toEqual([true, true]);
		expect(election.errors[1]).toBeInstanceOf(TypeError);
		for (const { stop } of election.candidates) stop();
		expect(election.open).toEqual([false, false]);
		election.expectNothingLeft();
	});

	test("is open, and reports, when the request for a lock throws, also one that a timer has made", async () => {
		const refusal = new Error("no lock manager");
		let requests = 0;
		const locks = {
			request: () => {
				if (++requests > 1) throw refusal;
				return new Promise<void>(() => {});
			},
		};
		const election = new Election().join({ locks });
		await settle();
		expect([election.open, election.errors]).toEqual([[false], []]);
		await election.advance(10_000);
		expect([election.open, election.errors, requests]).toEqual([[true], [refusal], 2]);
		election.join({ locks });
		await settle();
		expect([election.open, election.errors]).toEqual([[true, true], [refusal, refusal]]);
		for (const { stop } of election.candidates) stop();
		election.expectNothingLeft();
	});

	test("checks its arguments", () => {
		for (const name of ["", 5, undefined]) expect(() => leader(name as never)).toThrow(`"name" must be`);
		for (const timeout of [0, -1, Infinity, NaN]) expect(() => leader("a", { timeout })).toThrow(RangeError);
		for (const options of [null, { timeout: "1" }, { signal: 1 }, { onError: 1 }, { clock: 1 }, { locks: {} }]) {
			expect(() => leader("a", options as never)).toThrow(TypeError);
		}
	});
});

/** The part of a basket that these tests need. */
class FakeBasket {
	waiting = 0;
	counted = 0;
	drained: (AbortSignal | undefined)[] = [];
	readonly listeners = new Set<() => void>();
	/** The effect of a drain. */
	onDrain: () => unknown = () => this.waiting = 0;

	async drain({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
		this.drained.push(signal);
		await this.onDrain();
	}

	counts(): Promise<{ waiting: number }> {
		this.counted++;
		return Promise.resolve({ waiting: this.waiting });
	}

	subscribe(listener: () => void): () => void {
		this.listeners.add(listener);
		return () => this.listeners.delete(listener);
	}

	change(waiting: number): void {
		this.waiting = waiting;
		for (const listener of this.listeners) listener();
	}
}

class Worker {
	readonly scope = new FakeScope();
	readonly basket = new FakeBasket();
	readonly clock = new VirtualClock();
	readonly errors: unknown[] = [];
	readonly tags: string[] = [];
	readonly registration = {
		scope: "/",
		sync: { register: (tag: string): Promise<unknown> => Promise.resolve(this.tags.push(tag)) },
	};
	stop: () => void = () => {};

	start(tag?: string): this {
		const onError = (error: unknown) => this.errors.push(error);
		this.stop = backgroundSync(this.basket, this.registration, { tag, onError, clock: this.clock });
		return this;
	}

	/** Sends a sync event and returns its outcome. */
	sync(fields: { tag?: string; lastChance?: boolean } = {}): ReturnType<typeof watch<unknown>> | undefined {
		let outcome: ReturnType<typeof watch<unknown>> | undefined;
		const waitUntil = (promise: Promise<unknown>) => outcome = watch(promise);
		this.scope.dispatch("sync", { tag: "upkeep", lastChance: false, waitUntil, ...fields });
		return outcome;
	}
}

describe("backgroundSync()", () => {
	test("asks for an event when tasks wait: at the beginning, and after changes", async () => {
		const worker = new Worker().start("mail");
		await settle();
		expect(worker.tags).toEqual([]);
		await worker.clock.advance(1000);
		worker.basket.change(1);
		await settle();
		expect(worker.tags).toEqual(["mail"]);
		worker.stop();
		const late = new Worker();
		late.basket.waiting = 1;
		late.start();
		await settle();
		expect(late.tags).toEqual(["upkeep"]);
		late.stop();
	});

	test("looks at the basket at most once a second after it has asked, and not without a change", async () => {
		const { basket, clock, tags } = new Worker().start();
		for (let i = 1; i <= 1000; i++) basket.change(i);
		await settle();
		expect([basket.counted, tags.length]).toEqual([1, 0]);
		await clock.advance(100);
		expect([basket.counted, tags.length]).toEqual([2, 1]);
		for (let i = 1; i <= 1000; i++) basket.change(i);
		await clock.advance(999);
		expect([basket.counted, tags.length]).toEqual([2, 1]);
		await clock.advance(1);
		expect([basket.counted, tags.length]).toEqual([3, 2]);
		await clock.advance(60_000);
		expect([basket.counted, clock.pending]).toEqual([3, 0]);
		basket.change(0);
		await settle();
		expect([basket.counted, tags.length]).toEqual([4, 2]);
	});

	test.each([["a pause", true], ["a closed gate", false]])(
		"never waits for %s: the event ends with what runs",
		async (_, isPause) => {
			const scope = new FakeScope();
			const clock = new VirtualClock();
			const [begun, gates] = [[] as number[], [deferred(), deferred()]];
			const gate = { isOpen: true, listeners: new Set<() => void>() };
			const basket = new Basket({
				store: memoryStore({ clock }),
				clock,
				concurrency: 1,
				gate: {
					getSnapshot: () => gate.isOpen,
					subscribe(listener: () => void) {
						gate.listeners.add(listener);
						return () => gate.listeners.delete(listener);
					},
				},
				tasks: {
					send: (index: number) => {
						begun.push(index);
						return gates[index]!.promise;
					},
				},
			});
			await basket.addMany([0, 1].map((payload) => ({ kind: "send", payload })));
			const stop = backgroundSync(basket, { scope: "/", sync: { register: () => Promise.resolve() } }, { clock });
			const sync = () => {
				let event: Promise<unknown> | undefined;
				scope.dispatch("sync", { tag: "upkeep", lastChance: false, waitUntil: (end: Promise<unknown>) => event = end });
				return watch(event!);
			};
			const first = sync();
			await clock.advance(10);
			expect(begun).toEqual([0]);
			if (isPause) basket.pause();
			else {
				gate.isOpen = false;
				for (const listener of gate.listeners) listener();
			}
			await clock.advance(10);
			expect(first.state).toBe("pending");
			gates[0]!.resolve();
			await clock.advance(10);
			expect([first.state, begun]).toEqual(["resolved", [0]]);
			const second = sync();
			await clock.advance(60_000);
			expect([second.state, begun]).toEqual(["resolved", [0]]);
			expect(await basket.counts()).toMatchObject({ waiting: 1, running: 0 });
			stop();
		},
	);

	test("drains on an event of its tag, which succeeds if nothing is left", async () => {
		const worker = new Worker().start();
		await settle();
		worker.basket.change(3);
		expect(worker.sync({ tag: "another" })).toBe(undefined);
		const outcome = worker.sync();
		await settle();
		expect([outcome?.state, worker.basket.drained.length]).toEqual(["resolved", 1]);
		expect(worker.basket.drained[0]!.aborted).toBe(false);
		worker.stop();
	});

	test("lets the event fail if tasks still wait, except the last one, and asks for no other one meanwhile", async () => {
		const worker = new Worker();
		const { basket, clock, tags } = worker;
		basket.onDrain = () => basket.change(2);
		basket.waiting = 1;
		worker.start();
		// The browser starts the service worker for the event, which arrives before the first check of the store has an
		// answer.
		const outcomes = [worker.sync()];
		await settle();
		await clock.advance(5000);
		expect(tags).toEqual([]);
		outcomes.push(worker.sync({ lastChance: true }));
		basket.onDrain = () => Promise.reject(new Error("no store"));
		await settle();
		outcomes.push(worker.sync({ lastChance: true }));
		await settle();
		expect(outcomes.map((outcome) => outcome?.state)).toEqual(["rejected", "resolved", "rejected"]);
		expect(outcomes[0]!.error).toMatchObject({ message: "There are still 2 tasks waiting" });
		expect(outcomes[2]!.error).toMatchObject({ message: "no store" });
		expect(tags).toEqual([]);
		basket.change(2);
		await clock.advance(1000);
		expect(tags).toEqual(["upkeep"]);
		worker.stop();
	});

	test("returns what ends it, with the drain that is under way", async () => {
		const worker = new Worker().start();
		const { basket, clock, scope } = worker;
		worker.sync();
		basket.change(1);
		worker.stop();
		worker.stop();
		expect(basket.drained[0]).toMatchObject({ aborted: true, reason: { name: "AbortError" } });
		await settle();
		expect([basket.listeners.size, scope.listened, clock.pending, worker.tags]).toEqual([0, [], 0, []]);
		expect(worker.sync()).toBe(undefined);
		expect(worker.errors).toEqual([]);
	});

	test("reports a registration that was refused, and tries again after the next change", async () => {
		const worker = new Worker();
		const { basket, clock, errors, registration } = worker;
		const refusal = new DOMException("switched off", "NotAllowedError");
		registration.sync.register = () => Promise.reject(refusal);
		basket.waiting = 1;
		worker.start();
		await settle();
		expect(errors).toEqual([refusal]);
		await clock.advance(1000);
		basket.change(1);
		await settle();
		expect(errors.length).toBe(2);
		worker.stop();
	});

	test("does nothing where there is no Background Sync", () => {
		const scope = new FakeScope();
		const basket = new FakeBasket();
		basket.waiting = 1;
		backgroundSync(basket, { scope: "/" })();
		expect([scope.listened, basket.listeners.size, basket.counted]).toEqual([[], 0, 0]);
	});

	test("checks its arguments", () => {
		const [basket, registration] = [new FakeBasket(), { scope: "/" }];
		const call = backgroundSync as (...args: unknown[]) => unknown;
		expect(() => call(undefined, registration)).toThrow(TypeError);
		expect(() => call({ drain() {}, counts() {} }, registration)).toThrow(`"basket.subscribe" must be a function`);
		expect(() => call(basket)).toThrow(`"registration" must be an object`);
		for (const options of [null, { tag: 5 }, { onError: 5 }, { clock: 5 }]) {
			expect(() => call(basket, registration, options)).toThrow(TypeError);
		}
		expect(() => call(basket, registration, { tag: "" })).toThrow(RangeError);
	});
});

describe("persistStorage()", () => {
	test("tells what the browser says", async () => {
		const storage = {
			persist: () => Promise.resolve(true),
			persisted: () => Promise.resolve(false),
			estimate: () => Promise.resolve({ usage: 1, quota: 2, usageDetails: {} }),
		};
		replace(globalThis.navigator, "storage", storage);
		expect(await persistStorage()).toEqual({ state: "persistent", usage: 1, quota: 2 });
		replace(globalThis.navigator, "storage", { ...storage, persist: undefined });
		expect(await persistStorage()).toMatchObject({ state: "best-effort" });
		replace(globalThis.navigator, "storage", { ...storage, persist: () => Promise.reject(new TypeError("opaque")) });
		expect(await persistStorage()).toMatchObject({ state: "best-effort" });
		replace(globalThis.navigator, "storage", { persist: () => errorOf(Promise.resolve()), estimate: undefined });
		expect(await persistStorage()).toEqual({ state: "unknown", usage: undefined, quota: undefined });
		replace(globalThis.navigator, "storage", undefined);
		expect(await persistStorage()).toEqual({ state: "unknown", usage: undefined, quota: undefined });
	});
});
