import { describe, expect, test } from "vitest";
import { Group, Intermittent, Lifecycle, poll, run, Runner, Services } from "../mod.ts";
import { VirtualClock } from "../src/testing/testing.ts";
import { errorOf, settle, SpiedController, untilAborted } from "./support.ts";

const fail = (): never => {
	throw new Error("failure");
};

describe("group.stop()", () => {
	const places: Record<string, (group: Group, stop: () => void) => void> = {
		"a task": (group, stop) => void group.spawn("a", stop),
		"a failing task": (group, stop) =>
			void group.spawn("a", () => {
				stop();
				fail();
			}, { attempts: 9 }),
		shouldRetry: (group, stop) =>
			void group.spawn("a", fail, {
				attempts: 9,
				shouldRetry: () => {
					stop();
					return true;
				},
			}),
		onAttemptFailed: (group, stop) => void group.spawn("a", fail, { attempts: 9, onAttemptFailed: stop }),
		"a subscriber": (group, stop) => {
			const unsubscribe = group.subscribe(() => {
				unsubscribe();
				stop();
			});
			group.spawn("a", fail, { attempts: 9, backoff: 60_000 });
		},
		"an abort listener": (group, stop) => {
			group.spawn("a", ({ signal }) => {
				signal.addEventListener("abort", stop);
				return untilAborted(signal);
			});
			group.spawn("b", () => group.cancel());
		},
	};

	for (const [place, prepare] of Object.entries(places)) {
		test(`inside ${place} ends the group`, async () => {
			const group = new Group();
			const stops: Promise<void>[] = [];
			group.spawn("other", ({ signal }) => untilAborted(signal));
			prepare(group, () => void stops.push(group.stop()));
			await group.wait();
			await Promise.all(stops);
			expect(stops.length).toBeGreaterThan(0);
			expect([...group.tasks().values()].map(({ state }) => state)).not.toContain("running");
			expect(await group.spawn("again", () => 1).result()).toBe(1);
			await group.stop();
		});
	}
});

describe("lifecycle.stop()", () => {
	const places: Record<string, (stop: () => void) => Lifecycle> = {
		applyConfig: (stop) => new Lifecycle(stop),
		"a failing applyConfig": (stop) =>
			new Lifecycle(() => {
				stop();
				fail();
			}, { retry: { backoff: 60_000 } }),
		readConfig: (stop) => new Lifecycle(() => {}, { readConfig: stop as () => unknown }),
		"the retry's shouldRetry": (stop) =>
			new Lifecycle(fail, {
				retry: {
					shouldRetry: () => {
						stop();
						return true;
					},
				},
			}),
		"a config's abort listener": (stop) =>
			new Lifecycle((_config, { signal }) => {
				signal.addEventListener("abort", stop);
				lifecycle?.configure(2);
			}),
		"a subscriber": (stop) => {
			const subscribed: Lifecycle = new Lifecycle(() => {});
			subscribed.subscribe(() => subscribed.state === "loading" && stop());
			return subscribed;
		},
	};
	let lifecycle: Lifecycle | undefined;

	for (const [place, make] of Object.entries(places)) {
		test(`inside ${place} leaves it inactive`, async () => {
			const stops: Promise<unknown>[] = [];
			const made = lifecycle = make(() => {
				stops.push(made.stop());
			});
			await made.start();
			expect(["inactive", "loading"]).toContain(await made.configure(1));
			await Promise.all(stops);
			expect([stops.length > 0, made.state]).toEqual([true, "inactive"]);
			await made.stop();
		});
	}
});

describe("an abort inside an abort listener", () => {
	test("of a run's own signal changes nothing", async () => {
		const controller = new SpiedController();
		const done = run(({ signal }) => {
			signal.addEventListener("abort", () => controller.abort("second"));
			return untilAborted(signal);
		}, { attempts: 3, signal: controller.signal });
		controller.abort("first");
		expect(await errorOf(done)).toBe("first");
		expect(controller.listeners).toBe(0);
	});

	test("of other work on the same signal tells each work once", async () => {
		const controller = new SpiedController();
		const shared = new Intermittent(() => {});
		const inner = new AbortController();
		await shared.attach(inner.signal);
		const told: unknown[] = [];
		const all = Array.from({ length: 5 }, (_, index) =>
			run(({ signal }) => {
				signal.addEventListener("abort", () => {
					told.push(index);
					inner.abort();
				});
				return untilAborted(signal);
			}, { signal: controller.signal }));
		controller.abort("enough");
		expect(await Promise.all(all.map(errorOf))).toEqual(Array(5).fill("enough"));
		expect([told, shared.state, controller.listeners]).toEqual([[0, 1, 2, 3, 4], "idle", 0]);
	});

	test("may begin new work on the signal that is aborting", async () => {
		const controller = new SpiedController();
		const late: Promise<unknown>[] = [];
		const done = run(({ signal }) => {
			signal.addEventListener("abort", () => {
				late.push(errorOf(run(() => 1, { signal: controller.signal })));
				late.push(errorOf(poll(() => {}).attach(controller.signal)));
				late.push(new Group({ signal: controller.signal }).spawn("a", () => 1).result().catch((error) => error));
			});
			return untilAborted(signal);
		}, { signal: controller.signal });
		controller.abort("enough");
		expect(await errorOf(done)).toBe("enough");
		expect(await Promise.all(late)).toEqual(["enough", "enough", "enough"]);
		expect(controller.listeners).toBe(0);
	});
});

describe("a task that never settles", () => {
	test("keeps nothing but itself waiting", async () => {
		const clock = new VirtualClock();
		const group = new Group({ timeout: 10, clock });
		const stuck = group.spawn("stuck", () => new Promise(() => {}));
		const fine = group.spawn("fine", () => "value");
		await clock.advance(1000);
		expect([stuck.state, fine.state, clock.pending]).toEqual(["running", "stopped", 0]);
		stuck.cancel();
		expect(await group.wait({ signal: AbortSignal.timeout(10) })).toBe(false);
		const runner = new Runner(() => new Promise(() => {}));
		runner.step();
		await settle();
		expect(runner.getSnapshot().state).toBe("running");
	});
});

describe("services.delete() and services.stop()", () => {
	/** Creates a registry that runs `action` once, in the named place. */
	const prepare = (place: string, action: () => void): Services => {
		let isDone = false;
		const once = (here: string) => {
			if (here !== place || isDone) return;
			isDone = true;
			action();
		};
		const a = () => {
			once("the function that makes it");
			return new Lifecycle((_config, { signal }) => {
				once("its application");
				signal.addEventListener("abort", () => once("an abort listener"));
			});
		};
		const services = new Services({ kinds: { a } });
		services.subscribe(() => once("a subscriber"));
		return services;
	};

	for (const place of ["the function that makes it", "its application", "an abort listener", "a subscriber"]) {
		test(`inside ${place} leave nothing that runs`, async () => {
			for (const method of ["delete", "stop"] as const) {
				const calls: Promise<unknown>[] = [];
				const services = prepare(
					place,
					() => void calls.push(method === "delete" ? services.delete("x") : services.stop()),
				);
				await services.create({ id: "x", kind: "a", config: {} }).catch(() => {});
				await services.stop();
				await Promise.all(calls);
				expect(calls.length).toBe(1);
				expect([...services.states().values()].filter((state) => state !== "inactive")).toEqual([]);
				if (method === "delete") expect(services.list()).toEqual([]);
			}
		});
	}
});
