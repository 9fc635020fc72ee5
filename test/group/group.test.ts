import { describe, expect, test, vi } from "vitest";
import { Group, type GroupTask, NameInUseError, retryAfter, sleep } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { deferred, errorOf, isLong, isPage, settle, SpiedController, untilAborted, watch } from "../support.ts";

const fail = (): never => {
	throw new Error("failure");
};

const forever = ({ signal }: { signal: AbortSignal }): Promise<never> => untilAborted(signal);

describe("Group.spawn()", () => {
	test("never calls the task synchronously, and the state is pending until then", async () => {
		const task = vi.fn(() => "value");
		const spawned = new Group().spawn("a", task);
		expect(task).not.toHaveBeenCalled();
		expect(spawned).toMatchObject({ name: "a", state: "pending", attempt: 0, value: undefined, error: undefined });
		expect(await spawned.result()).toBe("value");
		expect(spawned).toMatchObject({ state: "stopped", attempt: 1, value: "value", error: undefined });
	});

	test("shows the delay between attempts, and when it ends", async () => {
		const clock = new VirtualClock({ now: 1_000_000 });
		const task = new Group({ clock }).spawn("a", ({ attempt }) => attempt === 1 ? fail() : attempt, {
			attempts: 2,
			backoff: 500,
		});
		await clock.advance(0);
		expect(task).toMatchObject({ state: "delay", attempt: 1, nextAttemptAt: 1_000_500, error: { message: "failure" } });
		await clock.advance(500);
		expect(task).toMatchObject({ state: "stopped", attempt: 2, nextAttemptAt: undefined, error: undefined, value: 2 });
	});

	test("takes what is not given from the group's options", async () => {
		const clock = new VirtualClock();
		const group = new Group({ attempts: 3, backoff: 100, clock });
		const inherited = group.spawn("inherited", fail);
		const own = group.spawn("own", fail, { attempts: 2, backoff: undefined });
		await clock.runUntilIdle();
		expect([inherited.attempt, own.attempt]).toEqual([3, 2]);
		expect(clock.monotonic()).toBe(200);
	});

	test("refuses the name of a live task with a NameInUseError", async () => {
		const group = new Group();
		group.spawn("a", forever);
		const error = await errorOf(Promise.resolve().then(() => group.spawn("a", forever)));
		expect(error).toBeInstanceOf(NameInUseError);
		expect(error).toMatchObject({
			...{ name: "NameInUseError", subject: "task", id: "a" },
			message: 'There is already a task "a": use another name, or the option "ifPresent"',
		});
		await group.stop();
	});

	test("can keep a live task", async () => {
		const group = new Group();
		const first = group.spawn("a", forever);
		expect(group.spawn("a", fail, { ifPresent: "keep" })).toBe(first);
		await group.stop();
		expect(group.spawn("a", fail, { ifPresent: "keep" })).not.toBe(first);
	});

	test("can replace a live task once that has stopped", async () => {
		const group = new Group();
		const order: string[] = [];
		const finish = deferred();
		const first = group.spawn("a", async ({ signal }) => {
			await untilAborted(signal).catch(() => order.push("first aborted"));
			await finish.promise;
			order.push("first stopped");
			throw signal.reason;
		});
		await settle();
		const second = group.spawn("a", () => order.push("second"), { ifPresent: "replace" });
		expect(group.get("a")).toBe(second);
		await settle();
		expect(second.state).toBe("pending");
		finish.resolve();
		await second.result();
		expect(order).toEqual(["first aborted", "first stopped", "second"]);
		expect(first).toMatchObject({ state: "stopped", error: { name: "AbortError" } });
	});

	test("replaces a replacement that still waits, and waits for the task that runs", async () => {
		const group = new Group();
		const finish = deferred();
		let running = 0;
		const task = async () => {
			expect(++running).toBe(1);
			await finish.promise;
			running--;
		};
		group.spawn("a", task);
		await settle();
		const skipped = vi.fn();
		const second = group.spawn("a", skipped, { ifPresent: "replace" });
		const third = group.spawn("a", task, { ifPresent: "replace" });
		expect(second.state).toBe("stopped");
		await settle();
		expect(third.state).toBe("pending");
		finish.resolve();
		await third.result();
		expect(skipped).not.toHaveBeenCalled();
	});

	describe.each<[string, (group: Group, waiting: GroupTask, controller: AbortController) => unknown]>([
		["cancelled", (_group, waiting) => waiting.cancel()],
		["cancelled with its group", (group) => group.cancel()],
		["aborted by its signal", (_group, _waiting, controller) => controller.abort()],
		["cancelled and deleted", (group, waiting) => [waiting.cancel(), group.delete("a")]],
	])("waits for a task that was replaced when its replacement is %s before it begins", (_how, end) => {
		test.each(
			[
				["throw", false],
				["keep", false],
				["replace", false],
				["throw", true],
				["keep", true],
				["replace", true],
			] as const,
		)("ifPresent: %s, forget: %s", async (ifPresent, forget) => {
			const group = new Group({ forget });
			const finish = deferred();
			let running = 0;
			const task = async () => {
				expect(++running).toBe(1);
				await finish.promise;
				running--;
			};
			group.spawn("a", task);
			await settle();
			const controller = new AbortController();
			const waiting = group.spawn("a", task, { ifPresent: "replace", signal: controller.signal });
			end(group, waiting, controller);
			expect(waiting.state).toBe("stopped");
			const third = group.spawn("a", task, { ifPresent });
			await settle();
			expect([third.state, running]).toEqual(["pending", 1]);
			finish.resolve();
			await third.result();
			expect(third.attempt).toBe(1);
			expect(await group.wait()).toBe(true);
		});
	});

	test("takes the name of a stopped task again", async () => {
		const group = new Group();
		expect(await group.spawn("a", () => 1).result()).toBe(1);
		expect(await group.spawn("a", () => 2).result()).toBe(2);
		expect(group.tasks().size).toBe(1);
	});

	test("inside a task, and inside a subscriber, works", async () => {
		const group = new Group();
		const inner = deferred<GroupTask<string>>();
		group.spawn("outer", () => inner.resolve(group.spawn("inner", () => "value")));
		const unsubscribe = group.subscribe(() => {
			unsubscribe();
			group.spawn("subscriber", () => 1, { ifPresent: "keep" });
		});
		expect(await (await inner.promise).result()).toBe("value");
		expect(await group.wait()).toBe(true);
		expect([...group.tasks().keys()].sort()).toEqual(["inner", "outer", "subscriber"]);
	});

	test("replaced while it replaces, by a subscriber, never overlaps", async () => {
		const group = new Group();
		let running = 0;
		const task = async ({ signal }: { signal: AbortSignal }) => {
			expect(++running).toBe(1);
			await untilAborted(signal).catch(settle);
			running--;
		};
		const first = group.spawn("a", task);
		await settle();
		const spawned: GroupTask[] = [];
		const unsubscribe = group.subscribe(() => {
			unsubscribe();
			spawned.push(group.spawn("a", task, { ifPresent: "replace" }));
		});
		const second = group.spawn("a", task, { ifPresent: "replace" });
		await first.wait();
		await settle();
		expect(second.state).toBe("stopped");
		expect(spawned[0]!.state).toBe("running");
		await group.stop();
		expect(running).toBe(0);
	});

	test("checks its arguments and changes nothing for bad ones", () => {
		const group = new Group();
		expect(() => group.spawn(5 as never, fail)).toThrow('"name" must be a string: current value is 5');
		expect(() => group.spawn("a", "task" as never)).toThrow(TypeError);
		expect(() => group.spawn("a", fail, { attempts: 0 })).toThrow(RangeError);
		expect(() => group.spawn("a", fail, { ifPresent: "maybe" as never })).toThrow(RangeError);
		expect(() => group.spawn("a", fail, { signal: {} as never })).toThrow(TypeError);
		expect(() => group.spawn("a", fail, null as never)).toThrow(TypeError);
		expect(group.tasks().size).toBe(0);
		expect(() => new Group({ attempts: 0 })).toThrow(RangeError);
		expect(() => new Group({ forget: 1 as never })).toThrow(TypeError);
		expect(() => new Group({ signal: 1 as never })).toThrow(TypeError);
		expect(() => new Group({ onError: 1 as never })).toThrow(TypeError);
		expect(() => new Group(null as never)).toThrow(TypeError);
	});
});

describe("GroupTask", () => {
	test("that fails is no unhandled rejection and touches no sibling", async () => {
		const group = new Group();
		const sibling = group.spawn("sibling", () => settle().then(() => "fine"));
		for (const thrown of [undefined, new Error("failure")]) {
			const task = group.spawn("failing", () => Promise.reject(thrown));
			task.result();
			await task.wait();
			expect(await errorOf(task.result())).toBe(thrown);
		}
		expect(await sibling.result()).toBe("fine");
	});

	test("cancel() ends a delay at once", async () => {
		const clock = new VirtualClock();
		const task = new Group({ clock }).spawn("a", fail, { attempts: 2, backoff: 1000 });
		await clock.advance(0);
		task.cancel("enough");
		expect(task).toMatchObject({ state: "stopped", error: "enough", nextAttemptAt: undefined, attempt: 1 });
		expect(clock.pending).toBe(0);
		expect(await errorOf(task.result())).toBe("enough");
	});

	test("cancel() aborts a running task's signal and waits for it", async () => {
		const task = new Group().spawn("a", forever);
		await settle();
		task.cancel("enough");
		expect(task.state).toBe("running");
		expect(await errorOf(task.result())).toBe("enough");
	});

	test("cancel() of a pending task calls nothing; its default reason is an AbortError", async () => {
		const run = vi.fn();
		const task = new Group().spawn("a", run);
		task.cancel();
		expect(task).toMatchObject({ state: "stopped", error: { name: "AbortError" }, attempt: 0 });
		await settle();
		expect(run).not.toHaveBeenCalled();
	});

	test.each([1, 2])(
		"cancel() by a subscriber just before call %s stops that call: the attempt has failed",
		async (call) => {
			const clock = new VirtualClock();
			const failed: unknown[] = [];
			const group = new Group({ attempts: 3, backoff: 10, clock, onAttemptFailed: ({ error }) => failed.push(error) });
			let calls = 0;
			const task = group.spawn("a", () => {
				calls++;
				throw new Error("failure");
			});
			task.subscribe(() => {
				if (task.state === "running" && task.attempt === call) task.cancel("enough");
			});
			await clock.runUntilIdle();
			expect([task.state, task.error, task.attempt, calls]).toEqual(["stopped", "enough", call, call - 1]);
			expect([failed.length, failed.at(-1)]).toEqual([call, "enough"]);
		},
	);

	test("cancel() of a stopped task, and a second cancel(), are harmless", async () => {
		const task = new Group().spawn("a", forever);
		await settle();
		task.cancel("first");
		task.cancel("second");
		expect(await errorOf(task.result())).toBe("first");
		task.cancel("third");
		expect(task.error).toBe("first");
		const done = new Group().spawn("a", () => 1);
		await done.wait();
		done.cancel();
		expect(await done.result()).toBe(1);
	});

	test("can cancel itself, and succeed in spite of it", async () => {
		const group = new Group();
		const task: GroupTask<string> = group.spawn("a", () => {
			task.cancel("enough");
			return "sent";
		});
		expect(await task.result()).toBe("sent");
	});

	test("ends by the signal of its spawn and leaves no listener on it", async () => {
		const controller = new SpiedController();
		const group = new Group();
		const task = group.spawn("a", forever, { signal: controller.signal });
		const short = group.spawn("b", () => 1, { signal: controller.signal });
		expect(controller.listeners).toBe(1);
		await short.wait();
		controller.abort("enough");
		expect(await errorOf(task.result())).toBe("enough");
		expect(controller.listeners).toBe(0);
		const late = group.spawn("c", forever, { signal: controller.signal });
		expect(late).toMatchObject({ state: "stopped", error: "enough" });
	});

	test("wait() resolves to true once it has stopped, to false if the signal aborts first", async () => {
		const controller = new SpiedController();
		const task = new Group().spawn("a", forever);
		const first = task.wait();
		const second = task.wait({ signal: controller.signal });
		controller.abort();
		expect(await second).toBe(false);
		expect(await task.wait({ signal: controller.signal })).toBe(false);
		task.cancel();
		expect(await first).toBe(true);
		expect(await task.wait({ signal: controller.signal })).toBe(true);
		expect(controller.listeners).toBe(0);
		await expect(new Group().spawn("b", () => 1).wait({ signal: 5 as never })).rejects.toBeInstanceOf(TypeError);
	});

	test("getSnapshot() is stable between changes, and its subscribers see each state", async () => {
		const clock = new VirtualClock();
		const task = new Group({ clock }).spawn("a", ({ attempt }) => attempt === 1 ? fail() : "value", {
			attempts: 2,
			backoff: 10,
		});
		const { subscribe, getSnapshot } = task;
		const states: string[] = [];
		subscribe(() => states.push(`${getSnapshot().state} ${getSnapshot().attempt}`));
		expect(getSnapshot()).toBe(task.getSnapshot());
		await clock.runUntilIdle();
		expect(states).toEqual(["running 1", "delay 1", "running 2", "stopped 2"]);
		expect(getSnapshot()).toEqual({
			name: "a",
			state: "stopped",
			attempt: 2,
			error: undefined,
			value: "value",
			nextAttemptAt: undefined,
		});
	});
});

describe("Group", () => {
	test("cancel() cancels what is live, and a group can be used again", async () => {
		const group = new Group();
		const [a, b] = [group.spawn("a", forever), group.spawn("b", () => 1)];
		await b.wait();
		group.cancel("enough");
		await group.wait();
		expect([a.error, b.error, b.value]).toEqual(["enough", undefined, 1]);
		expect(await group.spawn("a", () => 2).result()).toBe(2);
	});

	test("wait() resolves to true once no task is live, to false if the signal aborts first", async () => {
		const group = new Group();
		expect(await group.wait()).toBe(true);
		const task = group.spawn("a", forever);
		expect(await group.wait({ signal: AbortSignal.abort() })).toBe(false);
		const waiting = group.wait();
		group.spawn("b", forever);
		task.cancel();
		await settle();
		expect(watch(waiting).state).toBe("pending");
		group.cancel();
		expect(await waiting).toBe(true);
	});

	test("stop() cancels, waits, also for what was replaced, and cancels what is spawned meanwhile", async () => {
		const group = new Group();
		const finish = deferred();
		let late: GroupTask | undefined;
		group.spawn("a", async ({ signal }) => {
			await untilAborted(signal).catch(() => late = group.spawn("late", forever));
			await finish.promise;
		});
		await settle();
		group.spawn("a", forever, { ifPresent: "replace" });
		const stopped = watch(group.stop({ reason: "enough" }));
		const again = watch(group.stop({ reason: "again" }));
		await settle();
		expect(stopped.state).toBe("pending");
		expect(group.spawn("later", forever)).toMatchObject({ state: "stopped", error: "enough" });
		finish.resolve();
		await settle();
		expect([stopped.state, again.state]).toEqual(["resolved", "resolved"]);
		expect(late!.state).toBe("stopped");
		await group.stop();
	});

	test("stop() rejects with its signal's reason if that aborts first, and goes on stopping", async () => {
		const group = new Group();
		const finish = deferred();
		group.spawn("a", () => finish.promise);
		await settle();
		const controller = new SpiedController();
		const stopped = group.stop({ signal: controller.signal });
		controller.abort("too slow");
		expect(await errorOf(stopped)).toBe("too slow");
		expect(await errorOf(group.stop({ signal: controller.signal }))).toBe("too slow");
		expect(group.spawn("late", forever).state).toBe("stopped");
		finish.resolve();
		await group.stop();
		expect([group.get("a")!.state, controller.listeners]).toEqual(["stopped", 0]);
		await group.stop({ signal: controller.signal });
	});

	test("Symbol.asyncDispose stops it, where the runtime has that symbol", async () => {
		if (Symbol.asyncDispose === undefined) return;
		const group = new Group();
		const task = group.spawn("a", forever);
		await group[Symbol.asyncDispose]();
		await group[Symbol.asyncDispose]();
		expect(task.state).toBe("stopped");
	});

	test("its signal cancels all tasks, now and later, with one listener while something is live", async () => {
		const controller = new SpiedController();
		const group = new Group({ signal: controller.signal });
		expect(controller.listeners).toBe(0);
		const tasks = ["a", "b", "c"].map((name) => group.spawn(name, forever));
		expect(controller.listeners).toBe(1);
		for (const task of tasks) task.cancel();
		await group.wait();
		expect(controller.listeners).toBe(0);
		const task = group.spawn("d", forever);
		await settle();
		controller.abort("enough");
		expect(await errorOf(task.result())).toBe("enough");
		expect(group.spawn("e", forever)).toMatchObject({ state: "stopped", error: "enough" });
		expect(controller.listeners).toBe(0);
	});

	test("tasks() is a copy, get() and delete() go by name", async () => {
		const group = new Group();
		const task = group.spawn("a", forever);
		const tasks = group.tasks();
		tasks.clear();
		expect(group.get("a")).toBe(task);
		expect(group.get("b")).toBe(undefined);
		expect(group.delete("a")).toBe(false);
		await group.stop();
		expect(group.delete("a")).toBe(true);
		expect(group.delete("a")).toBe(false);
		expect(group.tasks().size).toBe(0);
	});

	test("forget: true drops what has stopped, but not the task that has replaced it", async () => {
		const group = new Group({ forget: true });
		await group.spawn("a", () => 1).wait();
		expect(group.tasks().size).toBe(0);
		group.spawn("a", forever);
		const second = group.spawn("a", forever, { ifPresent: "replace" });
		await settle();
		expect(group.get("a")).toBe(second);
		await group.stop();
		expect([group.tasks().size, group.getSnapshot()]).toEqual([0, []]);
	});

	test("forget: true shows a subscriber a task that has stopped, and then the group without it", async () => {
		const group = new Group({ forget: true });
		const seen: string[][] = [];
		group.subscribe(() => seen.push(group.getSnapshot().map(({ name, state }) => `${name} ${state}`)));
		await group.spawn("a", () => 1).wait();
		expect(seen.slice(-2)).toEqual([["a stopped"], []]);
	});

	test("getSnapshot() lists the tasks and is stable between changes", async () => {
		const group = new Group();
		const { subscribe, getSnapshot } = group;
		expect(getSnapshot()).toEqual([]);
		expect(getSnapshot()).toBe(getSnapshot());
		let changes = 0;
		const unsubscribe = subscribe(() => changes++);
		const task = group.spawn("a", () => 1);
		expect(getSnapshot()).toMatchObject([{ name: "a", state: "pending" }]);
		const pending = getSnapshot()[0];
		group.spawn("b", () => 2);
		expect(getSnapshot()[0]).toBe(pending);
		await group.wait();
		expect(getSnapshot()).toMatchObject([{ name: "a", state: "stopped" }, { name: "b", state: "stopped" }]);
		expect(getSnapshot()[0]).toBe(task.getSnapshot());
		expect(changes).toBe(6);
		unsubscribe();
		unsubscribe();
		group.delete("a");
		expect(changes).toBe(6);
	});

	test("a subscriber that throws changes nothing, starves no other and reaches onError", async () => {
		const errors: unknown[] = [];
		const group = new Group({ onError: (error) => void errors.push(error) });
		const other = vi.fn();
		group.subscribe(() => {
			throw new Error("subscriber");
		});
		group.subscribe(other);
		expect(await group.spawn("a", () => 1).result()).toBe(1);
		expect(other).toHaveBeenCalledTimes(3);
		expect(errors.length).toBe(3);
	});

	test("a storm of spawns, cancels and stops ends in peace", async () => {
		const clock = new VirtualClock();
		const group = new Group({ attempts: 3, backoff: 5, clock });
		let seed = 42;
		const random = (below: number) => (seed = seed * 1103515245 + 12345 & 0x7fffffff) % below;
		const running = new Map<string, number>();
		const task = (name: string) => async ({ signal }: { signal: AbortSignal }) => {
			running.set(name, (running.get(name) ?? 0) + 1);
			expect(running.get(name)).toBe(1);
			try {
				await sleep(random(20), random(2) ? { signal, clock } : { clock });
				if (random(3) === 0) throw random(2) ? retryAfter(3, "later") : "failure";
			} finally {
				running.set(name, running.get(name)! - 1);
			}
		};
		for (let i = 0; i < (isPage && !isLong ? 400 : 2000); i++) {
			const name = `name ${random(5)}`;
			const ifPresent = (["keep", "replace"] as const)[random(2)];
			if (random(3)) group.spawn(name, task(name), { ifPresent });
			else if (random(4)) group.get(name)?.cancel();
			else group.stop();
			if (random(4) === 0) await clock.advance(random(10));
		}
		const stopped = group.stop();
		await clock.runUntilIdle();
		await stopped;
		expect(clock.pending).toBe(0);
		expect([...group.tasks().values()].every(({ state }) => state === "stopped")).toBe(true);
	});
});
