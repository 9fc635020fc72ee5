// Each callback of a Runner and of a Group calls any public method synchronously. The laws must hold afterwards.
import fc from "../property.ts";
import { describe, expect, test } from "vitest";
import { Group, type GroupTask, NameInUseError, Runner, type TaskContext } from "../../mod.ts";
import { CallbackTimer } from "../../src/platform/timer-queue.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { Script } from "../script.ts";
import { deferred, isPage, settle, SpiedController, watch } from "../support.ts";

/** Fewer runs in pages and workerd, where a macrotask is slow. The behavior does not depend on the engine. */
const numRuns = isPage ? 30 : 300;

const numbers = fc.array(fc.nat(5039), { minLength: 20, maxLength: 150 });

describe("Runner", () => {
	test("called back by each of its callbacks makes one attempt at a time, and shows what is so", async () => {
		await fc.assert(
			fc.asyncProperty(numbers, async (numbers) => {
				const script = new Script(numbers);
				const clock = new VirtualClock();
				let controller = new SpiedController();
				const controllers = [controller];
				let running = 0;
				let calls = 0;
				const steps: Promise<unknown>[] = [];
				const act = (place: string) => {
					const { state, attempt } = runner.getSnapshot();
					expect([place, state, attempt]).toEqual([place, running > 0 ? "running" : state, calls + beginning]);
					if (script.isOver) return;
					const action = script.below(5);
					if (action === 0) steps.push(runner.step({ signal: controller.signal }).catch((error) => error.name));
					else if (action === 1) runner.subscribe(subscriber)();
					else if (action === 2) unsubscribes.push(runner.subscribe(subscriber));
					else if (action === 3) unsubscribes.pop()?.();
					else if (script.below(9) === 0) controller.abort("enough");
				};
				/** 1 while a reported attempt has not been called yet. */
				let beginning = 0;
				const subscriber = () => {
					const { state } = runner.getSnapshot();
					beginning = state === "running" ? runner.getSnapshot().attempt - calls : 0;
					act("a subscriber");
				};
				const task = async ({ signal, attempt }: TaskContext) => {
					calls++;
					beginning = 0;
					expect([running++, attempt]).toEqual([0, calls]);
					signal.addEventListener("abort", () => act("an abort listener"));
					act("a task");
					const ended = deferred();
					clock.set(new CallbackTimer(ended.resolve), script.below(20));
					await ended.promise;
					act("a task");
					running--;
					if (script.below(4) > 0) throw new Error("failure");
				};
				const runner: Runner<void> = new Runner(task, {
					attempts: 20,
					timeout: 10,
					clock,
					shouldRetry: () => {
						act("shouldRetry");
						return script.below(9) > 0;
					},
					onAttemptFailed: () => act("onAttemptFailed"),
				});
				const unsubscribes = [runner.subscribe(subscriber)];
				for (let i = 0; i < 10; i++) {
					if (controller.signal.aborted) controllers.push(controller = new SpiedController());
					steps.push(runner.step({ signal: controller.signal }).catch((error) => error.name));
					await clock.runUntilIdle();
				}
				const outcomes = await Promise.all(steps) as (string | { again: boolean })[];
				expect([running, clock.pending, controllers.map(({ listeners }) => listeners).join("")]).toEqual([
					0,
					0,
					controllers.map(() => 0).join(""),
				]);
				for (const outcome of outcomes) if (typeof outcome === "string") expect(outcome).toBe("InvalidStateError");
				const ends = outcomes.filter((outcome) => typeof outcome === "object" && !outcome.again).length;
				expect([runner.getSnapshot().state, ends]).toEqual(ends === 0 ? ["idle", 0] : ["finished", 1]);
			}),
			{ numRuns },
		);
	});
});

describe("Group", () => {
	test("called back by each of its callbacks runs one task of a name at a time, and shows what is so", async () => {
		await fc.assert(
			fc.asyncProperty(numbers, fc.boolean(), fc.nat(40), async (numbers, forget, abortAt) => {
				const script = new Script(numbers);
				const clock = new VirtualClock();
				const controllers: SpiedController[] = [];
				/** The number of running tasks by name. */
				const running = new Map<string, number>();
				const spawned: GroupTask[] = [];
				const ended: GroupTask[] = [];
				const waits: Promise<unknown>[] = [];
				const overlaps: string[] = [];
				const act = (place: string) => {
					const tasks = [...group.tasks().values()];
					const shown = group.getSnapshot();
					expect([place, shown.map(({ name, state }) => [name, state])]).toEqual([
						place,
						tasks.map(({ name, state }) => [name, state]),
					]);
					for (const task of spawned) {
						const { state, attempt, nextAttemptAt } = task.getSnapshot();
						expect([place, state, attempt]).toEqual([place, task.state, task.attempt]);
						expect(nextAttemptAt !== undefined).toBe(state === "delay");
					}
					if (!script.isOver) actions[script.below(actions.length)]!();
				};
				const pick = (): GroupTask | undefined => spawned[script.below(spawned.length + 1)];
				const note = (task: GroupTask | undefined) => {
					if (task !== undefined) ended.push(task);
				};
				const spawn = () => {
					const name = "abc"[script.below(3)]!;
					const ifPresent = (["throw", "keep", "replace"] as const)[script.below(3)];
					const controller = new SpiedController();
					controllers.push(controller);
					let self: GroupTask | undefined = undefined as GroupTask | undefined;
					const body = (context: TaskContext) => {
						if (ended.includes(self!)) overlaps.push(`${name} is called after its cancel`);
						if (all.signal.aborted) overlaps.push(`${name} is called after the end of all`);
						if (running.get(name)) overlaps.push(`${name} runs twice`);
						running.set(name, 1);
						if (script.below(4) > 0) context.signal.addEventListener("abort", () => act("an abort listener"));
						act("a task");
						if (script.below(4) > 0) return slow();
						// Some tasks end before their call returns.
						running.set(name, 0);
						if (script.below(3) > 0) throw new Error("failure");
					};
					const slow = async () => {
						const over = deferred();
						clock.set(new CallbackTimer(over.resolve), script.below(20));
						await over.promise;
						act("a task");
						running.set(name, 0);
						if (script.below(3) > 0) throw new Error("failure");
					};
					try {
						const task = group.spawn(name, body, { signal: controller.signal, ifPresent });
						if (spawned.includes(task)) return;
						self = task;
						spawned.push(task);
						task.subscribe(() => act("a subscriber of a task"));
						waits.push(task.wait().then(() => act("a wait")), task.result().catch(() => act("a result")));
					} catch (error) {
						expect(error).toBeInstanceOf(NameInUseError);
					}
				};
				const actions: readonly (() => void)[] = [
					spawn,
					spawn,
					spawn,
					() => {
						const task = pick();
						note(task);
						task?.cancel("enough");
					},
					() => controllers[script.below(controllers.length + 1)]?.abort("enough"),
					() => {
						if (script.below(5) > 0) return;
						for (const task of group.tasks().values()) note(task);
						group.cancel("enough");
					},
					() => {
						if (script.below(5) > 0) return;
						for (const task of group.tasks().values()) note(task);
						waits.push(group.stop());
					},
					() => void waits.push(group.wait()),
					() => void group.delete("abc"[script.below(3)]!),
					() => void group.subscribe(() => act("another subscriber"))(),
				];
				const all = new SpiedController();
				const group: Group = new Group({
					signal: all.signal,
					attempts: 4,
					backoff: 5,
					timeout: 10,
					forget,
					clock,
					shouldRetry: () => {
						act("shouldRetry");
						return true;
					},
					onAttemptFailed: () => act("onAttemptFailed"),
				});
				const errors: unknown[] = [];
				group.subscribe(() => {
					try {
						act("a subscriber");
					} catch (error) {
						errors.push(error);
					}
				});
				// Half of the cases abort all tasks early. Tasks that are spawned afterwards never begin.
				const aborting = new CallbackTimer(() => {
					for (const task of spawned) note(task);
					all.abort("over");
				});
				if (abortAt <= 20) clock.set(aborting, abortAt);
				spawn();
				await clock.runUntilIdle();
				for (let i = 0; i < 3; i++) {
					act("nothing");
					await clock.runUntilIdle();
				}
				const stopped = watch(group.stop());
				const waited = watch(Promise.all(waits));
				await clock.runUntilIdle();
				await settle();
				expect(errors).toEqual([]);
				expect(overlaps).toEqual([]);
				expect([stopped.state, waited.state]).toEqual(["resolved", "resolved"]);
				expect(spawned.filter(({ state }) => state !== "stopped")).toEqual([]);
				expect(await group.wait()).toBe(true);
				expect(all.listeners).toBe(0);
				expect([clock.pending, controllers.filter(({ listeners }) => listeners !== 0).length]).toEqual([0, 0]);
				if (forget) expect([group.tasks().size, group.getSnapshot()]).toEqual([0, []]);
			}),
			{ numRuns },
		);
	});
});
