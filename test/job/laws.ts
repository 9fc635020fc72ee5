// Laws of jobs that hold for every store.
import { afterAll, describe as group, expect, test } from "vitest";
import { object, pipe, string, trim } from "valibot";
import {
	type Codec,
	type Job,
	job,
	JobNotFoundError,
	retryAfter,
	retryNow,
	stopNow,
	StoreError,
	unchecked,
	ValidationError,
} from "../../mod.ts";
import { deferred, errorOf, untilAborted, watch } from "../support.ts";
import { testBranches } from "./branch-laws.ts";
import { testChildrenEnds } from "./children-ends-laws.ts";
import { testChildren } from "./children-laws.ts";
import { testChildrenTurns } from "./children-turns-laws.ts";
import type { OpenDatabase } from "./database.ts";
import { testJobLogs } from "./log-laws.ts";
import { testRestarts } from "./restart-laws.ts";
import { type Machine, once, withMachines } from "./support.ts";
import { testVersions } from "./version-laws.ts";

const noop = () => {};
const fail = (): never => {
	throw new Error("failure");
};

/** Creates a job whose steps log their calls and fail a given number of times first. */
function logged(log: string[], ...steps: [name: string, failures?: number, revertFailures?: number][]): Job {
	let result: Job = job("logged");
	for (const [name, failures = 0, revertFailures = 0] of steps) {
		const attempt = (text: string, attempt: number, failures: number): string => {
			log.push(text);
			if (attempt <= failures) throw new Error(`${text} ${attempt}`);
			return text;
		};
		result = result.step(name, {
			run: (context) => attempt(name, context.attempt, failures),
			revert: (context) => void attempt(`-${name}`, context.attempt, revertFailures),
			revertAttempts: 2,
		}) as unknown as Job;
	}
	return result;
}

/** Adds a job, runs it until its end, and returns the outcome. */
async function finish(machine: Machine, definition: Job, process = machine.process()) {
	const processor = process.processor([definition]);
	const { id } = await processor.add(definition);
	const running = machine.start(processor);
	for (let time = 1_000; time < 10 * 3_600_000 && await processor.result(id) === undefined; time *= 2) {
		await machine.advance(time);
	}
	await running.stop();
	return (await processor.result(id))!;
}

/** @param name the name of the store in the titles */
export function testJobs(name: string, open: OpenDatabase): void {
	type Body = (make: () => Promise<Machine>) => Promise<void>;

	group(`jobs on ${name}`, () => {
		const opening = once(open);
		afterAll(() => opening.close());
		const law = (title: string, body: Body) => test(title, () => withMachines(opening.get, body), 60_000);

		testJobLogs(law);
		testRestarts(law);
		testVersions(law);
		testBranches(law);
		testChildren(law);
		testChildrenEnds(law);
		testChildrenTurns(law);

		group("a job", () => {
			law("runs its steps in sequence, each with the input and the results before it", async (make) => {
				const machine = await make();
				const seen: unknown[] = [];
				const sum = job<{ start: number }>("sum")
					.step("one", { run: ({ input }) => input.start + 1 })
					.step("two", {
						run: async ({ results, input, step, id, version }) => {
							seen.push(results, input, step, id, version);
							return results.one + 1;
						},
					});
				const processor = machine.processor([sum]);
				const { id } = await processor.add(sum, { start: 5 }, { id: "mine" });
				await machine.drain(processor);
				expect(seen).toEqual([{ one: 6 }, { start: 5 }, "two", "mine", undefined]);
				expect(await processor.wait(id)).toMatchObject({ status: "completed", value: 7, results: { one: 6, two: 7 } });
			});

			law("stores each result before the next step begins, and the last one with the end", async (make) => {
				const machine = await make();
				const stored: unknown[] = [];
				const look = async ({ id }: { id: string }) => stored.push((await machine.checkpoint(id)).results);
				const definition = job("look").step("a", { run: look }).step("b", { run: look }).step("c", { run: look });
				const processor = machine.processor([definition]);
				await processor.add(definition);
				await machine.drain(processor);
				expect(stored).toEqual([{}, { a: 1 }, { a: 1, b: 2 }]);
				expect(machine.calls.filter((call) => call === "save").length).toBe(2);
			});

			law("tries a step once, unless it has more attempts", async (make) => {
				const log: string[] = [];
				expect((await finish(await make(), logged(log, ["a"], ["b", 1]))).status).toBe("reverted");
				expect(log).toEqual(["a", "b", "-a"]);
			});

			law("tries a step again after its backoff, without a lease meanwhile", async (make) => {
				const machine = await make();
				const at: number[] = [];
				const errors: unknown[] = [];
				const definition = job("retry").step("a", {
					attempts: 4,
					run: ({ attempt, previousError }) => {
						at.push(machine.clock.now() - 1_000_000);
						errors.push((previousError as Error | undefined)?.message);
						if (attempt < 4) throw new Error(`failure ${attempt}`);
					},
				});
				const processor = machine.processor([definition]);
				const { id } = await processor.add(definition);
				const running = machine.start(processor);
				await machine.advance(500);
				expect((await machine.stored(id)).state).toBe("waiting");
				expect(await processor.get(id)).toMatchObject({
					step: "a",
					attempts: 1,
					previousError: { message: "failure 1" },
				});
				expect(processor.getSnapshot().jobs.size).toBe(0);
				await machine.advance(10_000);
				expect(at).toEqual([0, 1_000, 3_000, 7_000]);
				expect(errors).toEqual([undefined, "failure 1", "failure 2", "failure 3"]);
				expect((await processor.wait(id)).status).toBe("completed");
				await running.stop();
			});

			law(
				"a wake-up hint ends backoffs, forward and backward, but no sleep and no delay that a step has asked for",
				async (make) => {
					const machine = await make();
					const at: Record<string, number[]> = {};
					const note = (name: string) => (at[name] ??= []).push(machine.clock.now() - 1_000_000);
					const twice = (name: string, error: Error) => ({ attempt }: { attempt: number }) => {
						note(name);
						if (attempt === 1) throw error;
					};
					const hour = 3_600_000;
					const asked = retryAfter(hour);
					const jobs = [
						job("forward").step("a", { attempts: 2, backoff: hour, run: twice("forward", new Error("no")) }),
						job("asked").step("a", { attempts: 2, backoff: 1, run: twice("asked", asked) }),
						job("sleep").sleep("nap", hour).step("a", { run: () => note("sleep") }),
						job("backward")
							.step("a", { run: () => {}, backoff: hour, revert: twice("backward", new Error("no")) })
							.step("b", { run: fail }),
					];
					let hint = (): void => {};
					const wake = { subscribe: (listener: () => void) => (hint = listener, noop) };
					const processor = machine.processor(jobs as Job[], { wake });
					for (const each of jobs) await processor.add(each as Job, undefined, { id: each.name });
					const running = machine.start(processor);
					await machine.advance(10_000);
					// Only the awaited message ends the backoff.
					await processor.release("forward");
					await machine.store.post(machine.name, "forward", "{}");
					await machine.advance(10_000);
					expect(at).toEqual({ forward: [0], asked: [0], backward: [0] });
					hint();
					await machine.advance(1_000);
					expect(Object.keys(at).filter((name) => at[name]!.length === 2).sort()).toEqual(["backward", "forward"]);
					await machine.advance(hour);
					expect([at["asked"], at["sleep"]]).toEqual([[0, hour], [hour]]);
					await running.stop();
				},
			);

			law("is not kept waiting by a clock that was set back, whatever is posted to it", async (make) => {
				const machine = await make();
				const definition = job("young").step("a", { run: () => 1 }).waitFor("w");
				const processor = machine.processor([definition]);
				const { id } = await processor.add(definition);
				machine.clock.setNow(machine.clock.now() - 3_600_000);
				await processor.signal(id, "w", 2);
				const running = machine.start(processor);
				await machine.advance(60_000);
				await running.stop();
				expect((await processor.result(id))!.status).toBe("completed");
			});

			law("backs off as a basket does where nothing else is said", async (make) => {
				const machine = await make();
				const at: number[] = [];
				const definition = job("retry").step("a", {
					attempts: 14,
					run: () => {
						at.push(machine.clock.now());
						fail();
					},
				});
				const processor = machine.processor([definition], { backoff: undefined });
				await processor.add(definition);
				const running = machine.start(processor);
				await machine.advance(3 * 3_600_000);
				await running.stop();
				expect(at.length).toBe(14);
				const gaps = at.slice(1).map((instant, index) => instant - at[index]!);
				gaps.forEach((gap, index) => expect(gap <= Math.min(3_600_000, 1_000 * 2 ** index)).toBe(true));
			});

			law("heeds the hints, shouldRetry and the deadline of a step", async (make) => {
				const runs: Record<string, number> = {};
				const throwing = (name: string, error: () => unknown) => () => {
					runs[name] = (runs[name] ?? 0) + 1;
					throw error();
				};
				const outcomes = [];
				for (
					const options of [
						{ run: throwing("stop", () => stopNow(new Error("stop"))), attempts: 9 },
						{ run: throwing("should", () => new Error("should")), attempts: 9, shouldRetry: () => false },
						{ run: throwing("refuses", () => new Error("x")), attempts: 9, shouldRetry: () => fail() },
						{ run: throwing("now", () => retryNow(new Error("now"))), attempts: 9 },
						{
							run: throwing("after", () => retryAfter(3_000, new Error("after"))),
							attempts: Infinity,
							deadline: 10_000,
						},
					]
				) {
					const outcome = await finish(await make(), job("hints").step("a", options) as unknown as Job);
					outcomes.push(outcome.error!.message);
				}
				expect(runs).toEqual({ stop: 1, should: 1, refuses: 1, now: 9, after: 4 });
				expect(outcomes).toEqual(["stop", "should", "failure", "now", "The deadline of 10000 ms has passed"]);
			});

			law("times out each attempt of a step, and of a revert", async (make) => {
				const reasons: string[] = [];
				const hang = async ({ signal }: { signal: AbortSignal }) => {
					await untilAborted(signal).catch((reason) => {
						reasons.push(reason.name);
						throw reason;
					});
				};
				const definition = job("slow")
					.step("a", { run: noop, revert: hang, revertAttempts: 2, timeout: 1_000 })
					.step("b", { run: hang, attempts: 2, timeout: 1_000 });
				const outcome = await finish(await make(), definition as unknown as Job);
				expect(outcome).toMatchObject({
					status: "failed",
					error: { name: "TimeoutError" },
					revertError: { name: "TimeoutError" },
					unreverted: ["a"],
				});
				expect(reasons).toEqual(Array(4).fill("TimeoutError"));
			});

			law("gives up a step that never settles, if it may", async (make) => {
				const never = () => new Promise<void>(noop);
				const definition = job("stuck")
					.step("a", { run: noop, revert: never, revertAttempts: 1, timeout: 1_000, abandonAfter: 0 })
					.step("b", { run: never, timeout: 1_000, abandonAfter: 0 });
				expect((await finish(await make(), definition as unknown as Job)).status).toBe("failed");
			});

			law(
				"has an idempotency key for each step and revert, the same in each attempt, and of its own",
				async (make) => {
					const machine = await make();
					const keys: string[][] = [];
					const note = (index: number) => ({ idempotencyKey }: { idempotencyKey: string }) =>
						void (keys[index] ??= []).push(idempotencyKey);
					const definition = job("keys")
						.step("a", { run: note(0), revert: note(1) })
						.step("b", {
							attempts: 2,
							run: (context) => {
								note(2)(context);
								fail();
							},
						});
					const processor = machine.processor([definition], { retain: 0 });
					for (let time = 0; time < 2; time++) {
						await processor.add(definition, undefined, { id: "same" });
						const running = machine.start(processor);
						await machine.advance(5_000);
						await running.stop();
					}
					expect(keys.map(({ length }) => length)).toEqual([2, 2, 4]);
					expect(keys[2]![0]).toBe(keys[2]![1]);
					expect(new Set(keys.flat()).size).toBe(6);
				},
			);
		});

		group("a job that fails", () => {
			law("is reverted in reverse order, without the step that failed", async (make) => {
				const log: string[] = [];
				const outcome = await finish(await make(), logged(log, ["a"], ["b"], ["c"], ["d", 9]));
				expect(log).toEqual(["a", "b", "c", "d", "-c", "-b", "-a"]);
				expect(outcome).toMatchObject({
					status: "reverted",
					value: undefined,
					error: { message: "d 1" },
					revertError: undefined,
					unreverted: [],
					results: { a: "a", b: "b", c: "c" },
				});
			});

			law("skips steps that have no revert, and is failed if none has one", async (make) => {
				const log: string[] = [];
				const mixed = job("mixed")
					.step("a", { run: noop, revert: () => void log.push("-a") })
					.step("b", { run: noop })
					.step("c", { run: fail });
				expect((await finish(await make(), mixed as unknown as Job)).status).toBe("reverted");
				expect(log).toEqual(["-a"]);
				const plain = job("plain").step("a", { run: noop }).step("b", { run: fail });
				expect(await finish(await make(), plain as unknown as Job)).toMatchObject({
					status: "failed",
					error: { message: "failure" },
					revertError: undefined,
					unreverted: [],
				});
			});

			law("tells a revert the result, the error and its own signal", async (make) => {
				const seen: unknown[] = [];
				const definition = job("tell")
					.step("a", {
						run: () => ({ n: 1 }),
						revert: ({ result, error, results, signal, attempt }) =>
							void seen.push(result, error.message, results, signal.aborted, attempt),
					})
					.step("b", { run: fail });
				await finish(await make(), definition as unknown as Job);
				expect(seen).toEqual([{ n: 1 }, "failure", { a: { n: 1 } }, false, 1]);
			});

			law("tries a revert for ever, unless it has fewer attempts", async (make) => {
				let count = 0;
				const definition = job("patient")
					.step("a", {
						run: noop,
						backoff: 1_000,
						revert: () => {
							if (++count < 50) fail();
						},
					})
					.step("b", { run: fail });
				expect((await finish(await make(), definition as unknown as Job)).status).toBe("reverted");
				expect(count).toBe(50);
			});

			law("ends failed when a revert is out of attempts, with both errors and what is left", async (make) => {
				const log: string[] = [];
				const outcome = await finish(await make(), logged(log, ["a"], ["b", 0, 9], ["c"], ["d", 9]));
				expect(log).toEqual(["a", "b", "c", "d", "-c", "-b", "-b"]);
				expect(outcome).toMatchObject({
					status: "failed",
					error: { message: "d 1" },
					revertError: { message: "-b 2" },
					unreverted: ["b", "a"],
				});
			});

			law("fails a step without a retry whose result cannot be encoded or is too large", async (make) => {
				for (const value of [() => {}, Symbol(), 1n, "x".repeat(2_000)]) {
					const machine = await make();
					const log: string[] = [];
					const definition = job("odd")
						.step("a", { run: noop, revert: () => void log.push("-a") })
						.step("b", {
							attempts: 5,
							run: () => {
								log.push("b");
								return value;
							},
						});
					const { store } = machine.process();
					const capabilities = { ...store.capabilities, maxPayload: 1_500 };
					const processor = machine.processor([definition], { store: { ...store, capabilities } });
					const { id } = await processor.add(definition);
					await machine.drain(processor);
					expect((await processor.result(id))!.status).toBe("reverted");
					expect(log).toEqual(["b", "-a"]);
				}
			});

			law("runs no step more often than it may, however little of its failures the store can keep", async (make) => {
				const machine = await make();
				const { store } = machine.process();
				const found: string[] = [];
				for (let maxPayload = 300; maxPayload <= 3_300; maxPayload += 200) {
					const log: string[] = [];
					const definition = job("narrow")
						.step("a", { run: () => "result".repeat(20), revert: () => void log.push("-a") })
						.step("b", {
							attempts: 3,
							backoff: 10,
							run: () => {
								log.push("b");
								throw new Error("failure".repeat(200));
							},
						});
					const capabilities = { ...store.capabilities, maxPayload };
					const processor = machine.processor([definition], { store: { ...store, capabilities } });
					const { id } = await processor.add(definition, undefined, { id: `narrow-${maxPayload}` });
					const running = machine.start(processor);
					await machine.advance(60_000);
					await running.stop();
					const { status, problem } = (await processor.get(id))!;
					found.push(status);
					if (status === "reverted") expect(log).toEqual(["b", "b", "b", "-a"]);
					else {
						expect([status, problem!.message]).toEqual([
							"held",
							expect.stringContaining(`must have at most ${maxPayload} bytes in this store`),
						]);
						expect(log.every((name) => name === "b") && log.length <= 3).toBe(true);
					}
				}
				// The stack and most of the message are dropped before the job fails.
				expect([found[0], found[4], found.at(-1)]).toEqual(["held", "reverted", "reverted"]);
			});

			law("fails a step whose result does not pass its schema, after its attempts", async (make) => {
				let runs = 0;
				const definition = job("checked").step("a", {
					schema: object({ n: string() }),
					attempts: 2,
					run: () => ({ n: ++runs }) as unknown as { n: string },
				});
				const outcome = await finish(await make(), definition as unknown as Job);
				expect([runs, outcome.status, outcome.error!.name]).toEqual([2, "failed", "ValidationError"]);
			});
		});

		group("Processor.add()", () => {
			law("twice with one id is one job", async (make) => {
				const machine = await make();
				const log: string[] = [];
				const definition = logged(log, ["a"]);
				const processor = machine.processor([definition]);
				const add = () => processor.add(definition, undefined, { id: "one" });
				expect(await add()).toEqual({ id: "one", added: true, state: undefined });
				expect(await add()).toEqual({ id: "one", added: false, state: "waiting" });
				await machine.drain(processor);
				expect(await add()).toEqual({ id: "one", added: false, state: "done" });
				await machine.drain(processor);
				expect(log).toEqual(["a"]);
			});

			law("takes a delay, a priority, a lane and a transaction", async (make) => {
				const machine = await make();
				const log: unknown[] = [];
				const definition = job<string>("order").step("a", { run: ({ input }) => log.push(input) });
				const process = machine.process();
				const processor = process.processor([definition], { concurrency: 1 });
				await processor.add(definition, "low", { priority: -1 });
				await processor.add(definition, "late", { delay: 1_000 });
				await processor.add(definition, "high", { priority: 1, lane: "l" });
				await errorOf(process.write("none", async (tx) => {
					await processor.add(definition, "rolled back", { tx });
					fail();
				}));
				await process.write("one", (tx) => processor.add(definition, "committed", { tx, lane: "l" }));
				await machine.drain(processor);
				expect(log).toEqual(["high", "committed", "low"]);
				await machine.advance(1_000);
				await machine.drain(processor);
				expect(log.at(-1)).toBe("late");
			});

			law("checks the input by the schema of the job, and refuses what is not allowed", async (make) => {
				const machine = await make();
				const known = job<{ to: string }>("known", { schema: object({ to: string() }) }).step("a", { run: noop });
				const processor = machine.processor([known]);
				expect(await errorOf(processor.add(known, { to: 1 } as never)) instanceof ValidationError).toBe(true);
				const other = job("other").step("a", { run: noop });
				for (
					const [call, name, text] of [
						[() => processor.add(other), "TypeError", `no job "other"`],
						[() => processor.add(undefined as never, undefined as never), "TypeError", `"job"`],
						[() => processor.add(known, { to: "a" }, { id: "_a" }), "RangeError", `"id"`],
						[() => processor.add(known, { to: "a" }, { delay: -1 }), "RangeError", `"delay"`],
					] as const
				) {
					const error = await errorOf(call()) as Error;
					expect(error.name).toBe(name);
					expect(error.message).toContain(text);
				}
				expect(machine.calls.includes("add")).toBe(false);
			});

			law("works with an asynchronous codec of bytes", async (make) => {
				const machine = await make();
				const codec: Codec = {
					encode: async (value) => new TextEncoder().encode(JSON.stringify({ value })),
					decode: async (data) => JSON.parse(new TextDecoder().decode(data as Uint8Array)).value,
				};
				const definition = job("bytes").step("a", { run: () => 1 }).waitFor("w").step("b", {
					run: ({ results }) => results,
				});
				const process = machine.process();
				const processor = process.processor([definition], { codec });
				const { id } = await processor.add(definition);
				await machine.drain(processor);
				await processor.signal(id, "w", "now");
				await machine.drain(processor);
				expect((await processor.wait(id)).value).toEqual({ a: 1, w: "now" });
				const error = await errorOf(process.write("none", (tx) => processor.add(definition, undefined, { tx })));
				expect((error as Error).message).toContain("synchronous");
			});
		});

		group("Processor.wait(), result(), state(), list()", () => {
			law("result() rejects for a job never added, and is undefined for one that is not over", async (make) => {
				const machine = await make();
				const definition = job("a").step("a", { run: noop });
				const processor = machine.processor([definition]);
				const error = await errorOf(processor.result("nothing")) as JobNotFoundError;
				expect([error instanceof JobNotFoundError, error.id]).toEqual([true, "nothing"]);
				const { id } = await processor.add(definition);
				expect(await processor.result(id)).toBe(undefined);
				await machine.drain(processor);
				expect((await processor.result(id))!.status).toBe("completed");
			});

			law("results are kept for `retain`, and removed after it", async (make) => {
				const machine = await make();
				const definition = job("a").step("a", { run: noop });
				const processor = machine.processor([definition], { retain: 5_000 });
				const { id } = await processor.add(definition, undefined, { id: "x" });
				await machine.drain(processor);
				await machine.advance(4_999);
				await machine.drain(processor);
				expect((await processor.result(id))!.status).toBe("completed");
				await machine.advance(2);
				await processor.add(definition);
				await machine.drain(processor);
				expect(await errorOf(processor.result(id)) instanceof JobNotFoundError).toBe(true);
			});

			law("wait() resolves at once when the job is over in this process, also with nothing kept", async (make) => {
				const machine = await make();
				const definition = job("a").sleep("s", 60_000).step("a", { run: () => "value" });
				const processor = machine.processor([definition], { retain: 0 });
				const { id } = await processor.add(definition);
				const running = machine.start(processor);
				const waits = [watch(processor.wait(id)), watch(processor.wait(id))];
				await machine.advance(59_999);
				expect(waits.map(({ state }) => state)).toEqual(["pending", "pending"]);
				await machine.advance(1);
				for (const { value } of waits) expect(value).toMatchObject({ status: "completed", value: "value" });
				await running.stop();
				expect(machine.clock.pending).toBe(0);
			});

			law("wait() gives what is stored, whoever has run the job", async (make) => {
				const machine = await make();
				const definition = job("a").step("a", { run: () => ({ at: new Date(0), none: undefined }) });
				const processor = machine.processor([definition]);
				const { id } = await processor.add(definition);
				const running = machine.start(processor);
				const waiting = watch(processor.wait(id));
				await machine.advance(0);
				const expected = { at: "1970-01-01T00:00:00.000Z" };
				expect(waiting.value!.value as unknown).toEqual(expected);
				expect((await processor.result(id))!.value as unknown).toEqual(expected);
				await running.stop();
			});

			law("wait() goes on over failures of the store that pass, and rejects with one that does not", async (make) => {
				const machine = await make();
				const definition = job("a").sleep("s", 60_000).step("a", { run: () => "value" });
				const running = machine.start(machine.processor([definition]));
				let error: Error | undefined = new StoreError("unavailable", "away");
				let gets = 0;
				const { store } = machine.process();
				const get = async (name: string, id: string) => {
					gets++;
					if (error !== undefined) throw error;
					return await store.get(name, id);
				};
				const other = machine.processor([definition], { store: { ...store, get } });
				const { id } = await other.add(definition);
				const waiting = watch(other.wait(id));
				await machine.advance(30_000);
				expect([waiting.state, gets > 5 && gets < 20, machine.errors.length]).toEqual(["pending", true, gets]);
				error = undefined;
				await machine.advance(35_000);
				expect(waiting.value).toMatchObject({ status: "completed", value: "value" });
				error = new StoreError("closed", "closed");
				expect(await errorOf(other.wait(id))).toBe(error);
				error = new TypeError("a bug");
				expect(await errorOf(other.wait(id))).toBe(error);
				await running.stop();
			});

			law("wait() hears an abort, and the end of the job, while the store does not answer", async (make) => {
				const machine = await make();
				const definition = job("a").sleep("s", 60_000).step("a", { run: () => "value" });
				const { store } = machine.process();
				const get = () => new Promise<never>(() => {});
				const processor = machine.processor([definition], { store: { ...store, get } });
				const { id } = await processor.add(definition);
				const running = machine.start(processor);
				const controller = new AbortController();
				const aborted = watch(processor.wait(id, { signal: controller.signal }));
				const waiting = watch(processor.wait(id));
				await machine.advance(10_000);
				controller.abort("enough");
				await machine.advance(0);
				expect([aborted, waiting.state]).toMatchObject([{ state: "rejected", error: "enough" }, "pending"]);
				await machine.advance(50_000);
				expect(waiting.value).toMatchObject({ status: "completed", value: "value" });
				await running.stop();
				expect(machine.clock.pending).toBe(0);
			});

			law("wait() sees within five seconds that another process has finished the job", async (make) => {
				const machine = await make();
				const definition = job("a").sleep("s", 60_000).step("a", { run: () => "value" });
				const running = machine.start(machine.processor([definition]));
				const other = machine.processor([definition]);
				const { id } = await other.add(definition);
				const waiting = watch(other.wait(id));
				await machine.advance(65_000);
				expect(waiting.value).toMatchObject({ status: "completed", value: "value" });
				await running.stop();
				expect(machine.clock.pending).toBe(0);
			});

			law("wait() rejects with the reason of its signal, and leaves nothing behind", async (make) => {
				const machine = await make();
				const definition = job("a").step("a", { run: noop });
				const processor = machine.processor([definition]);
				const { id } = await processor.add(definition);
				const controller = new AbortController();
				const waiting = errorOf(processor.wait(id, { signal: controller.signal }));
				await machine.advance(1_000);
				const reason = { some: "reason" };
				controller.abort(reason);
				expect(await waiting).toBe(reason);
				expect(await errorOf(processor.wait(id, { signal: controller.signal }))).toBe(reason);
				expect(machine.clock.pending).toBe(0);
				expect((await errorOf(processor.wait(id, { signal: 1 as never })) as Error).name).toBe("TypeError");
			});

			law("wait() rejects for a job that is not there, or is deleted meanwhile", async (make) => {
				const machine = await make();
				const definition = job("a").step("a", { run: noop });
				const processor = machine.processor([definition]);
				expect(await errorOf(processor.wait("nothing")) instanceof JobNotFoundError).toBe(true);
				const { id } = await processor.add(definition);
				const waiting = watch(processor.wait(id));
				await machine.advance(0);
				await processor.delete(id);
				await machine.advance(5_000);
				expect(waiting.error instanceof JobNotFoundError).toBe(true);
			});

			law("retry() ends a delay and a backoff, and lets a sleep and the waiting for a signal go on", async (make) => {
				const machine = await make();
				const log: string[] = [];
				const run = () => {
					log.push("a");
					if (log.length === 1) fail();
				};
				const definition = job("again").step("a", { run, attempts: 2, backoff: 3_600_000 }).sleep("nap", 60_000)
					.waitFor("go").step("b", { run: () => void log.push("b") });
				const processor = machine.processor([definition]);
				const running = machine.start(processor);
				const { id } = await processor.add(definition, undefined, { delay: 86_400_000 });
				const retry = async () => {
					const applied = await processor.retry(id);
					await machine.advance(1_000);
					return [applied, ...log];
				};
				await machine.advance(1_000);
				expect(log).toEqual([]);
				expect(await retry()).toEqual([true, "a"]);
				expect(await retry()).toEqual([true, "a", "a"]);
				expect(await retry()).toEqual([true, "a", "a"]);
				expect((await processor.get(id))!.step).toBe("nap");
				await machine.advance(60_000);
				expect(await retry()).toEqual([true, "a", "a"]);
				expect((await processor.get(id))!.step).toBe("go");
				await processor.signal(id, "go");
				await machine.advance(0);
				expect(await retry()).toEqual([false, "a", "a", "b"]);
				expect(await processor.retry("nothing")).toBe(false);
				await running.stop();
			});

			law("get() and list() show where jobs are", async (make) => {
				const machine = await make();
				const one = job<number>("one", { version: 3 }).step("a", { run: () => 1 }).waitFor("w");
				const two = job("two").step("b", { run: noop });
				const processor = machine.processor([one, two]);
				const { id } = await processor.add(one, 7);
				await machine.drain(processor);
				await processor.add(two, undefined, { id: "second", delay: 1_000 });
				expect(await processor.get(id)).toMatchObject({
					job: "one",
					status: "waiting",
					direction: "forward",
					step: "w",
					attempts: 0,
					input: 7,
					results: { a: 1 },
					version: 3,
					problem: undefined,
					dueAt: undefined,
					addedAt: 1_000_000,
					history: [{ step: "a", isRevert: false, attempt: 1, startedAt: 1_000_000, duration: 0 }],
				});
				expect(await processor.get("nothing")).toBe(undefined);
				const ids = async (query: object) => {
					const found: string[] = [];
					for await (const { id } of processor.list(query)) found.push(id);
					return found;
				};
				expect(await ids({})).toEqual([id, "second"]);
				expect(await ids({ job: "two" })).toEqual(["second"]);
				expect(await ids({ state: "done" })).toEqual([]);
			});
		});

		group("sleep() and waitFor()", () => {
			law("a sleep holds neither a worker nor a lease, survives restarts, and is never early", async (make) => {
				const machine = await make();
				const at: number[] = [];
				const now = () => void at.push(machine.clock.now() - 1_000_000);
				const definition = job("sleepy").step("a", { run: now }).sleep("s", 3_600_000).step("b", { run: now });
				const first = machine.processor([definition]);
				const { id } = await first.add(definition);
				await machine.drain(first);
				expect((await machine.stored(id)).state).toBe("waiting");
				await machine.advance(1_800_000);
				const second = machine.processor([definition]);
				// A message makes the job due, but does not end its wait.
				await machine.store.post(machine.name, id, JSON.stringify({ type: "signal", name: "a" }));
				await machine.drain(second);
				expect(at).toEqual([0]);
				const running = machine.start(second);
				await machine.advance(1_800_000);
				expect(at).toEqual([0, 3_600_000]);
				await running.stop();
			});

			law("a signal goes to its step, also one that came before, and the first one counts", async (make) => {
				const machine = await make();
				const definition = job("wait").step("a", { run: noop }).waitFor("w", { schema: unchecked<number>() }).waitFor(
					"v",
					{ schema: unchecked<number>() },
				)
					.step("b", { run: ({ results }) => results.w + results.v });
				const processor = machine.processor([definition]);
				const { id } = await processor.add(definition);
				expect(await processor.signal(id, "v", 1)).toBe(true);
				expect(await processor.signal(id, "v", 100)).toBe(true);
				await machine.drain(processor);
				expect((await processor.get(id))!.step).toBe("w");
				await processor.signal(id, "w", 2);
				await machine.drain(processor);
				expect((await processor.wait(id)).value).toBe(3);
				expect(await processor.signal(id, "w", 2)).toBe(false);
			});

			law("a signal that comes while the step before runs is not lost", async (make) => {
				const machine = await make();
				const gate = deferred();
				const definition = job("race").step("a", { run: () => gate.promise }).waitFor("w");
				const processor = machine.processor([definition]);
				const running = machine.start(processor);
				const { id } = await processor.add(definition);
				await machine.advance(0);
				await processor.signal(id, "w", "value");
				gate.resolve();
				await machine.advance(0);
				expect(await processor.result(id)).toMatchObject({ status: "completed", value: "value" });
				await running.stop();
			});

			law("a step that waited too long fails, and the job is reverted", async (make) => {
				const machine = await make();
				const log: string[] = [];
				const definition = job("late").step("a", { run: noop, revert: () => void log.push("-a") })
					.waitFor("w", { timeout: 60_000 });
				const processor = machine.processor([definition]);
				const { id } = await processor.add(definition);
				const running = machine.start(processor);
				await machine.advance(59_999);
				expect(log).toEqual([]);
				await machine.advance(1);
				expect(log).toEqual(["-a"]);
				expect((await processor.result(id))!.error).toMatchObject({ name: "TimeoutError" });
				await running.stop();
			});

			law("signal() refuses a name that the job does not wait for, and a value that does not pass", async (make) => {
				const machine = await make();
				const definition = job("wait").step("a", { run: noop }).waitFor("w", { schema: string() });
				const processor = machine.processor([definition]);
				const { id } = await processor.add(definition);
				for (const name of ["a", "x", "__proto__"]) {
					expect((await errorOf(processor.signal(id, name as "w", "x")) as Error).message).toContain(
						"does not wait for",
					);
				}
				expect(await errorOf(processor.signal(id, "w", 1 as never)) instanceof ValidationError).toBe(true);
				expect(await processor.signal("nothing", "w", "x")).toBe(false);
			});
		});

		group("a job with a deadline", () => {
			/** How the job ends, and when, in milliseconds after its add. */
			async function end(machine: Machine, definition: Job, options?: { delay: number }) {
				const processor = machine.processor([definition]);
				const { id } = await processor.add(definition, undefined, options);
				const running = machine.start(processor);
				const { addedAt } = await machine.stored(id);
				let endedAt = Infinity;
				for (; endedAt === Infinity && machine.clock.now() < addedAt + 60_000; await machine.advance(500)) {
					if (await processor.result(id) !== undefined) endedAt = machine.clock.now() - addedAt;
				}
				await running.stop();
				const { status, error } = (await processor.result(id))!;
				return { status, error: error?.name, endedAt };
			}

			const overdue = { status: "reverted", error: "TimeoutError", endedAt: 5_000 };
			const reverted: string[] = [];
			const begin = () => {
				reverted.length = 0;
				return job("overdue", { deadline: 5_000 })
					.step("a", { run: noop, revert: () => void reverted.push("a") }) as unknown as Job;
			};

			law("is reverted when its deadline is over while it waits: for a signal, a time, an attempt", async (make) => {
				const waiting = [
					begin().waitFor("w"),
					begin().waitFor("w", { timeout: 50_000 }),
					begin().sleep("s", 50_000),
					begin().step("b", { run: fail, attempts: Infinity, backoff: 50_000 }),
					begin().step("b", { run: fail, attempts: Infinity, backoff: 400 }),
				];
				for (const definition of waiting) {
					reverted.length = 0;
					expect(await end(await make(), definition as unknown as Job)).toEqual(overdue);
					expect(reverted).toEqual(["a"]);
				}
			});

			law(
				"aborts the signal of a step that runs, and reverts the steps before it, without a limit of time",
				async (make) => {
					const signals: AbortSignal[] = [];
					const reasons: unknown[] = [];
					const definition = begin()
						.step("slow revert", {
							run: noop,
							revert: ({ attempt }) => {
								if (attempt < 4) throw retryAfter(2_000, new Error("away"));
							},
						})
						.step("b", {
							attempts: 9,
							run: async ({ signal }) => {
								signals.push(signal);
								signal.addEventListener("abort", () => reasons.push((signal.reason as Error).name));
								await untilAborted(signal);
							},
						});
					const ended = await end(await make(), definition as unknown as Job);
					expect(ended).toEqual({ status: "reverted", error: "TimeoutError", endedAt: 11_000 });
					expect([signals.length, reasons, reverted]).toEqual([1, ["TimeoutError"], ["a"]]);
				},
			);

			law("begins no step after it, and completes if the last step ends before it", async (make) => {
				const calls: string[] = [];
				const late = job("late", { deadline: 5_000 }).step("a", { run: () => calls.push("a") });
				const { status, error } = await end(await make(), late as unknown as Job, { delay: 9_000 });
				expect([status, error, calls]).toEqual(["failed", "TimeoutError", []]);
				const early = job("early", { deadline: 5_000 }).sleep("s", 4_000).step("a", { run: () => calls.push("a") });
				expect(await end(await make(), early as unknown as Job)).toMatchObject({ status: "completed", endedAt: 4_000 });
			});
		});

		group("Processor.cancel()", () => {
			law("aborts the running step, and reverts what was done", async (make) => {
				const machine = await make();
				const log: string[] = [];
				const definition = job("cancelled")
					.step("a", { run: noop, revert: () => void log.push("-a") })
					.step("b", {
						attempts: 5,
						run: ({ signal }) =>
							untilAborted(signal).catch((reason) => {
								log.push(reason.name);
								throw reason;
							}),
						revert: () => void log.push("-b"),
					});
				const processor = machine.processor([definition]);
				const running = machine.start(processor);
				const { id } = await processor.add(definition);
				await machine.advance(0);
				expect(await processor.cancel(id)).toBe(true);
				await machine.advance(0);
				expect(log).toEqual(["AbortError", "-a"]);
				expect(await processor.result(id)).toMatchObject({ status: "reverted", error: { name: "AbortError" } });
				expect(await processor.cancel(id)).toBe(false);
				await running.stop();
			});

			law("reaches a step in another process with the renewal of its lease", async (make) => {
				const machine = await make();
				const definition = job("far").step("a", { run: noop, revert: noop })
					.step("b", { run: ({ signal }) => untilAborted(signal) });
				const running = machine.start(machine.processor([definition]));
				const other = machine.processor([definition]);
				const { id } = await other.add(definition);
				await machine.advance(0);
				await other.cancel(id);
				await machine.advance(10_000);
				expect((await other.result(id))!.status).toBe("reverted");
				await running.stop();
			});

			law("reverts a step that is done all the same", async (make) => {
				const machine = await make();
				const gate = deferred();
				const log: string[] = [];
				const definition = job("stubborn")
					.step("a", { run: () => gate.promise, revert: () => void log.push("-a") })
					.step("b", { run: () => void log.push("b") });
				const processor = machine.processor([definition]);
				const running = machine.start(processor);
				const { id } = await processor.add(definition);
				await machine.advance(0);
				await processor.cancel(id);
				gate.resolve();
				await machine.advance(0);
				expect(log).toEqual(["-a"]);
				expect((await processor.result(id))!.status).toBe("reverted");
				await running.stop();
			});

			law("reverts a job that waits, sleeps, backs off or has not begun", async (make) => {
				for (
					const definition of [
						job("w").step("a", { run: noop, revert: noop }).waitFor("w"),
						job("s").step("a", { run: noop, revert: noop }).sleep("s", 1e9),
						job("b").step("a", { run: noop, revert: noop }).step("b", { run: fail, attempts: 9, backoff: 1e9 }),
					]
				) {
					const machine = await make();
					const processor = machine.processor([definition as unknown as Job]);
					const { id: begun } = await processor.add(definition as unknown as Job);
					await machine.drain(processor);
					const { id: fresh } = await processor.add(definition as unknown as Job);
					for (const id of [begun, fresh]) expect(await processor.cancel(id)).toBe(true);
					await machine.drain(processor);
					for (const id of [begun, fresh]) {
						expect(await processor.result(id)).toMatchObject({ status: "reverted", error: { name: "AbortError" } });
					}
				}
			});

			law("changes nothing for a job that is being reverted", async (make) => {
				const machine = await make();
				const gate = deferred();
				const definition = job("back").step("a", { run: noop, revert: () => gate.promise }).step("b", { run: fail });
				const processor = machine.processor([definition]);
				const running = machine.start(processor);
				const { id } = await processor.add(definition);
				await machine.advance(0);
				await processor.cancel(id);
				gate.resolve();
				await machine.advance(0);
				expect(await processor.result(id)).toMatchObject({ status: "reverted", error: { message: "failure" } });
				await running.stop();
			});

			law("reaches a job that is claimed and has not begun, within a third of the lease", async (make) => {
				const machine = await make();
				const seen: unknown[] = [];
				const gate = deferred();
				const definition = job<number>("cancelled").step("a", {
					run: ({ input, signal }) => {
						seen.push(input);
						if (input === 2) return Promise.race([gate.promise, untilAborted(signal)]);
						if (input > 2) return untilAborted(signal);
					},
				});
				const processor = machine.processor([definition], { concurrency: 1 });
				// After quick ones, several are claimed at once.
				await processor.addMany([0, 1, 2, 3].map((input) => ({ job: definition, input, id: `job ${input}` })));
				const running = machine.start(processor);
				await machine.advance(0);
				expect([(await processor.get("job 3"))?.status, seen]).toEqual(["running", [0, 1, 2]]);
				await processor.cancel("job 3");
				await machine.advance(15_000);
				gate.resolve();
				await machine.advance(1);
				expect((await processor.get("job 3"))?.error?.message).toBe("The job was cancelled");
				await running.stop();
			});
		});

		group("Processor.hold(), release(), delete()", () => {
			law("a held job is not run until it is released", async (make) => {
				const machine = await make();
				const log: string[] = [];
				const definition = logged(log, ["a"]);
				const processor = machine.processor([definition]);
				const { id } = await processor.add(definition);
				expect(await processor.hold(id)).toBe(true);
				expect(await processor.hold(id)).toBe(false);
				await machine.drain(processor);
				expect([log, (await processor.get(id))!.status]).toEqual([[], "held"]);
				expect(await processor.release(id)).toBe(true);
				await machine.drain(processor);
				expect(log).toEqual(["a"]);
				expect(await processor.hold(id)).toBe(false);
			});

			law("a waiting job is the same after it was held and released, however often", async (make) => {
				const machine = await make();
				const definition = logged([], ["a"]);
				const processor = machine.processor([definition]);
				const { id } = await processor.add(definition, undefined, { delay: 60_000 });
				const before = await machine.store.get(machine.name, id);
				for (let n = 0; n < 20; n++) {
					expect([await processor.hold(id), await processor.release(id)]).toEqual([true, true]);
				}
				expect(await machine.store.get(machine.name, id)).toEqual(before);
			});

			law("what was the matter with a job is not shown any more when it goes on", async (make) => {
				const machine = await make();
				const definition = job("odd").step("a", { run: noop }).waitFor("w");
				const processor = machine.processor([definition]);
				const { id } = await processor.add(definition);
				await machine.drain(machine.processor([job("odd").step("b", { run: noop })]));
				expect(await processor.get(id)).toMatchObject({ status: "held", problem: { name: "InvalidStateError" } });
				await processor.release(id);
				await machine.drain(processor);
				expect(await processor.get(id)).toMatchObject({ status: "waiting", step: "w", problem: undefined });
			});

			law("a delayed job begins no sooner for what is posted to it, but is cancelled at once", async (make) => {
				const machine = await make();
				const log: string[] = [];
				const note = (name: string) => void log.push(`${name} ${machine.clock.now() - 1_000_000}`);
				const jobs = [
					job("step").step("a", { run: () => note("step") }).waitFor("w"),
					job("sleep").sleep("nap", 1_000).step("a", { run: () => note("sleep") }).waitFor("w"),
					job("wait").waitFor("v", { timeout: 1_000 }).step("a", { run: () => note("wait") }).waitFor("w"),
					job("cancelled").step("a", { run: () => note("cancelled") }).waitFor("w"),
				] as unknown as Job[];
				const processor = machine.processor(jobs);
				const add = (each: Job) => ({ job: each, id: each.name, delay: 60_000 });
				await processor.addMany(jobs.slice(1).map(add));
				await processor.add(jobs[0]!, undefined, { id: "step", delay: 60_000 });
				const running = machine.start(processor);
				await machine.advance(1_000);
				for (const { name } of jobs) await processor.signal(name, "w");
				await processor.cancel("cancelled");
				await machine.advance(10_000);
				for (const { name } of jobs.slice(0, 3)) await processor.signal(name, "w");
				expect((await processor.result("cancelled"))!.error!.message).toBe("The job was cancelled");
				await machine.advance(44_000);
				expect(log).toEqual([]);
				await machine.advance(5_000);
				expect(log).toEqual(["step 60000"]);
				await processor.signal("wait", "v");
				await machine.advance(2_000);
				expect(log).toEqual(["step 60000", "wait 60000", "sleep 61000"]);
				expect((await processor.counts()).done).toBe(4);
				await running.stop();
			});

			law("a running job is held when its current step is done, and goes on from there", async (make) => {
				const machine = await make();
				const gate = deferred();
				const log: string[] = [];
				const definition = job("held")
					.step("a", {
						run: async ({ signal }) => {
							await gate.promise;
							log.push(`a ${signal.aborted}`);
						},
					})
					.step("b", { run: () => void log.push("b") });
				const processor = machine.processor([definition]);
				const running = machine.start(processor);
				const { id } = await processor.add(definition);
				await machine.advance(0);
				expect(await processor.hold(id)).toBe(true);
				gate.resolve();
				await machine.advance(0);
				expect([log, (await processor.get(id))!.status]).toEqual([["a false"], "held"]);
				await machine.advance(100_000);
				expect(log.length).toBe(1);
				await processor.release(id);
				await machine.advance(0);
				expect(log).toEqual(["a false", "b"]);
				await running.stop();
			});

			law("a job that runs and is deleted is stopped, and not stored again", async (make) => {
				const machine = await make();
				let reason: unknown;
				const definition = job("gone").step("a", {
					run: ({ signal }) => untilAborted(signal).catch((error) => reason = error),
				});
				const processor = machine.processor([definition]);
				const running = machine.start(processor);
				const { id } = await processor.add(definition);
				await machine.advance(0);
				expect(await processor.delete(id)).toBe(true);
				await machine.advance(0);
				expect((reason as Error).name).toBe("ClaimLostError");
				expect(await processor.get(id)).toBe(undefined);
				await running.stop();
			});
		});

		group("a change of the definition", () => {
			law("goes on where all remaining steps are still there by name", async (make) => {
				const machine = await make();
				const log: string[] = [];
				const before = job("changing", { version: "1" }).step("a", { run: () => "a" }).waitFor("w").step("b", {
					run: noop,
				});
				const old = machine.processor([before]);
				const { id } = await old.add(before);
				await machine.drain(old);
				const after = job("changing", { version: 1 }).step("b", {
					run: ({ version }) => void log.push(`b of ${version}`),
				})
					.step("new", { run: () => void log.push("new") }).waitFor("w");
				const processor = machine.processor([after]);
				await processor.signal(id, "w");
				await machine.drain(processor);
				expect([log, (await processor.result(id))!.status]).toEqual([["b of 1"], "completed"]);
			});

			law("holds a job that has lost a step, with the difference, until it is there again", async (make) => {
				const machine = await make();
				const before = job("changing", { version: 2 }).waitFor("w").step("b", { run: () => "b" });
				const old = machine.processor([before]);
				const { id } = await old.add(before);
				await machine.drain(old);
				const after = job("changing", { version: 2 }).waitFor("w").step("c", { run: noop });
				const processor = machine.processor([after]);
				await processor.signal(id, "w");
				await machine.drain(processor);
				const state = (await processor.get(id))!;
				expect([state.status, state.problem!.name]).toEqual(["held", "InvalidStateError"]);
				expect(state.problem!.message).toContain(
					`"changing" of the version 2 was added with steps that its definition lacks: "b"; it has "w", "c"`,
				);
				await old.release(id);
				await machine.drain(old);
				expect(await old.result(id)).toMatchObject({ status: "completed", value: "b" });
			});

			law("holds a job that is to be reverted and has lost a step that was done", async (make) => {
				const machine = await make();
				const log: string[] = [];
				const revert = () => void log.push("reverted");
				const before = job("changing").step("a", { run: noop, revert }).waitFor("w").step("b", { run: fail });
				const old = machine.processor([before]);
				const { id } = await old.add(before);
				await machine.drain(old);
				const after = job("changing").step("a2", { run: noop, revert }).waitFor("w").step("b", { run: fail });
				const processor = machine.processor([after]);
				await processor.signal(id, "w");
				await machine.drain(processor);
				expect(await processor.get(id)).toMatchObject({
					status: "held",
					direction: "backward",
					error: { message: "failure" },
				});
				expect(log).toEqual([]);
				await old.release(id);
				await machine.drain(old);
				expect([log, (await old.result(id))!.status]).toEqual([["reverted"], "reverted"]);
			});
		});

		group("a stored state that cannot be trusted", () => {
			const definition = job<string>("trusted", { schema: string() })
				.step("a", { run: () => "a", schema: string() })
				.waitFor("w")
				.step("b", { run: noop });
			const logs: [string, (entry: Record<string, unknown>) => unknown, string][] = [
				["text that is no JSON", () => "{", "JSON"],
				["nothing", () => "", "object"],
				["no step", (entry) => ({ ...entry, at: undefined }), `"at"`],
				["a step out of range", (entry) => ({ ...entry, at: 3 }), `"at"`],
				["a direction that is none", (entry) => ({ ...entry, isRevert: 1 }), `"isRevert"`],
				["crashes that are none", (entry) => ({ ...entry, crashed: -1 }), `"crashed"`],
				["an attempt that is none", (entry) => ({ ...entry, attempt: [9] }), `"attempt"`],
				["a result that fails its schema", (entry) => ({ ...entry, value: 1 }), "string"],
			];
			for (const [name, damage, text] of logs) {
				law(`is held with an error that says why: an entry of its log with ${name}`, async (make) => {
					const machine = await make();
					const processor = machine.processor([definition]);
					const { id } = await processor.add(definition, "input", { id: "x" });
					await machine.drain(processor);
					const [entry] = await machine.log(id);
					const damaged = damage(JSON.parse(entry!.data as string));
					const { payload } = await machine.stored(id);
					await machine.replace(id, "trusted", payload, [
						typeof damaged === "string" ? damaged : JSON.stringify(damaged),
					]);
					const reader = machine.processor([definition]);
					await machine.drain(reader);
					const state = (await reader.get(id))!;
					expect([state.status, state.problem!.name]).toEqual(["held", "InvalidStateError"]);
					expect(state.problem!.message).toContain(text);
					expect((await machine.stored(id)).payload).toBe(payload);
				});
			}

			const damages: [string, (state: Record<string, unknown>) => unknown, string][] = [
				["text that is no JSON", () => "{", "JSON"],
				["nothing", () => "", "object"],
				["another form", (state) => ({ ...state, form: 3 }), `"form"`],
				["no plan", (state) => ({ ...state, plan: "abc" }), `"plan"`],
				["a plan of numbers", (state) => ({ ...state, plan: [1] }), `"plan"`],
				["an unknown step", (state) => ({ ...state, plan: ["a", "w", "x"] }), `lacks: "x"`],
				["a cursor out of range", (state) => ({ ...state, at: 4 }), `"at"`],
				["a cursor below range", (state) => ({ ...state, at: -1 }), `"at"`],
				["a cursor between", (state) => ({ ...state, at: 0.5 }), `"at"`],
				["no cursor", (state) => ({ ...state, at: undefined }), `"at"`],
				["no direction", (state) => ({ ...state, isBackward: undefined }), `"isBackward"`],
				["more entries than its log has", (state) => ({ ...state, logged: 2 }), "lacks entries: it has 1 of 2"],
				["fewer entries than its log has", (state) => ({ ...state, logged: 0 }), "entry 1"],
				["an input that fails its schema", (state) => ({ ...state, input: 1 }), "string"],
				["attempts that are none", (state) => ({ ...state, attempts: "many" }), `"attempts"`],
				["no uid", (state) => ({ ...state, uid: 1 }), `"uid"`],
				["a history that is none", (state) => ({ ...state, history: 1 }), `"history"`],
				["signals that are none", (state) => ({ ...state, signals: 1 }), `"signals"`],
			];
			for (const [name, damage, text] of damages) {
				law(`is held with an error that says why: ${name}`, async (make) => {
					const machine = await make();
					const processor = machine.processor([definition]);
					const { id } = await processor.add(definition, "input", { id: "x" });
					await machine.drain(processor);
					const damaged = damage(await machine.head(id));
					const payload = typeof damaged === "string" ? damaged : JSON.stringify(damaged);
					await machine.replace(id, "trusted", payload);
					await machine.drain(processor);
					const state = (await processor.get(id))!;
					expect([state.status, state.problem!.name]).toEqual(["held", "InvalidStateError"]);
					expect(state.problem!.message).toContain(text);
					expect((await machine.stored(id)).payload).toBe(payload);
					expect(await processor.result(id)).toBe(undefined);
				});
			}

			law("a message that cannot be read is reported, and changes nothing", async (make) => {
				const machine = await make();
				const processor = machine.processor([definition]);
				const { id } = await processor.add(definition, "input");
				await machine.store.post(machine.name, id, "{");
				await machine.store.post(machine.name, id, "null");
				await processor.signal(id, "w");
				await machine.drain(processor);
				expect([machine.errors.length, (await processor.result(id))!.status]).toEqual([1, "completed"]);
			});
		});

		group("context.commit()", () => {
			type Commit = (tx: unknown, result?: unknown) => Promise<unknown>;

			/** Creates a job whose first step commits its result with `body`. */
			function committing(log: string[], body: (commit: Commit) => unknown): Job {
				return job<undefined, unknown>("committing")
					.step("a", {
						attempts: 2,
						run: async ({ commit }) => {
							log.push("a");
							await body(commit);
							return "another result";
						},
						revert: () => void log.push("-a"),
					})
					.step("b", { run: ({ results }) => results.a }) as unknown as Job;
			}

			law("stores the result with the effect: whatever happens afterwards, the step is done", async (make) => {
				for (const after of [noop, fail]) {
					const machine = await make();
					const process = machine.process();
					const log: string[] = [];
					const definition = committing(log, async (commit) => {
						await process.write("effect", (tx) => commit(tx, "result"));
						after();
					});
					const processor = process.processor([definition]);
					const { id } = await processor.add(definition);
					await machine.drain(processor);
					const { value, history } = (await processor.result(id))!;
					expect([log, value, await machine.lines()]).toEqual([["a"], "result", ["effect"]]);
					expect(history.map(({ step }) => step)).toEqual(["a", "b"]);
				}
			});

			law("may be called again in the same attempt, after a transaction that was rolled back", async (make) => {
				const machine = await make();
				const process = machine.process((member) =>
					member === "commit" && count === 1 ? new Error("conflict") : undefined
				);
				let count = 0;
				const definition = committing([], async (commit) => {
					const effect = () => process.write("effect", (tx) => commit(tx, `result ${++count}`));
					await effect().catch(effect);
				});
				const processor = process.processor([definition]);
				const { id } = await processor.add(definition);
				const running = machine.start(processor);
				await machine.advance(1);
				expect([(await processor.result(id))?.value, await machine.lines()]).toEqual(["result 2", ["effect"]]);
				await running.stop();
			});

			law("of a transaction that is rolled back is a failed attempt", async (make) => {
				const machine = await make();
				const process = machine.process();
				const log: string[] = [];
				const definition = committing(log, async (commit) => {
					const error = await errorOf(process.write("effect", async (tx) => {
						await commit(tx, "result");
						throw new Error("rolled back");
					}));
					expect((error as Error).message).toBe("rolled back");
				});
				const processor = process.processor([definition]);
				const { id } = await processor.add(definition);
				const running = machine.start(processor);
				await machine.advance(999);
				expect(log).toEqual(["a"]);
				await machine.advance(1);
				expect(log).toEqual(["a", "a"]);
				const outcome = (await processor.result(id))!;
				expect([outcome.status, outcome.error!.message]).toEqual([
					"reverted",
					"The transaction given to commit() was not committed",
				]);
				expect(await machine.lines()).toEqual([]);
				await running.stop();
			});

			law("without a transaction is refused, and stores nothing", async (make) => {
				const machine = await make();
				const errors: unknown[] = [];
				const definition = committing([], async (commit) => {
					for (const tx of [undefined, null]) errors.push(await errorOf(commit(tx, "result")));
				});
				const processor = machine.process().processor([definition]);
				const { id } = await processor.add(definition);
				await machine.drain(processor);
				expect(errors.map(String)).toEqual([undefined, null].map((tx) => {
					return `TypeError: "tx" must be a transaction of the store: current value is ${tx}`;
				}));
				expect(await processor.result(id)).toMatchObject({ status: "completed", value: "another result" });
			});

			law("fails with the attempt's own error if that threw before its transaction was committed", async (make) => {
				const machine = await make();
				const process = machine.process();
				const log: string[] = [];
				const definition = committing(log, (commit) =>
					process.write("effect", async (tx) => {
						await commit(tx, "result");
						fail();
					}));
				const outcome = await finish(machine, definition, process);
				expect([log, outcome.error!.message, await machine.lines()]).toEqual([["a", "a"], "failure", []]);
			});

			law("that was rolled back once succeeds in the next attempt", async (make) => {
				const machine = await make();
				const process = machine.process();
				const log: string[] = [];
				const definition = committing(log, (commit) =>
					process.write(`effect ${log.length}`, async (tx) => {
						await commit(tx, `result ${log.length}`);
						if (log.length === 1) fail();
					}));
				const outcome = await finish(machine, definition, process);
				expect([log, outcome.value, await machine.lines()]).toEqual([["a", "a"], "result 2", ["effect 2"]]);
			});

			law("survives a crash right after the commit: the step does not run again", async (make) => {
				const machine = await make();
				const dying = machine.process((member) => member === "commit" ? "die after" : undefined);
				const log: string[] = [];
				const definition = committing(log, (commit) => dying.write("effect", (tx) => commit(tx, "result")));
				const processor = dying.processor([definition]);
				const { id } = await processor.add(definition);
				void processor.run();
				await machine.advance(30_000);
				const other = machine.processor([definition]);
				await machine.drain(other);
				const { value } = (await other.result(id))!;
				expect([log, value, await machine.lines()]).toEqual([["a"], "result", ["effect"]]);
			});

			law("that was not made before a crash has left nothing: the step runs again", async (make) => {
				const machine = await make();
				const dying = machine.process((member) => member === "commit" ? "die before" : undefined);
				const other = machine.process();
				const log: string[] = [];
				const definition = committing(log, (commit) => {
					const count = log.length;
					return (count === 1 ? dying : other).write(`effect ${count}`, (tx) => commit(tx, `result ${count}`));
				});
				const first = dying.processor([definition]);
				const { id } = await first.add(definition);
				void first.run();
				await machine.advance(30_000);
				const second = other.processor([definition]);
				await machine.drain(second);
				const { value } = (await second.result(id))!;
				expect([log, value, await machine.lines()]).toEqual([["a", "a"], "result 2", ["effect 2"]]);
			});

			law("rejects when another processor has taken the job, so that the effect rolls back", async (make) => {
				const machine = await make();
				const gate = deferred();
				const log: string[] = [];
				let isCutOff = false;
				const slow = machine.process((member) => {
					const isOfWorker = member === "extend" || member === "turn";
					return isCutOff && isOfWorker ? new StoreError("unavailable", "gone") : undefined;
				});
				const fast = machine.process();
				const rejections: unknown[] = [];
				const definition = committing(log, async (commit) => {
					if (log.length > 1) return await fast.write("fast", (tx) => commit(tx, "fast"));
					await gate.promise;
					await slow.write("slow", (tx) => commit(tx, "slow")).catch((error) => rejections.push(error.name));
				});
				const processor = slow.processor([definition]);
				const running = [machine.start(processor)];
				const { id } = await processor.add(definition);
				await machine.advance(0);
				isCutOff = true;
				running.push(machine.start(fast.processor([definition])));
				await machine.advance(30_000);
				gate.resolve();
				await machine.advance(0);
				expect(rejections).toEqual(["ClaimLostError"]);
				expect([(await processor.result(id))!.value, await machine.lines()]).toEqual(["fast", ["fast"]]);
				await Promise.all(running.map(({ stop }) => stop()));
			});

			law("commits a revert, too, whatever that throws afterwards", async (make) => {
				const machine = await make();
				const process = machine.process();
				const log: string[] = [];
				const definition = job<undefined, unknown>("reverting")
					.step("a", {
						run: noop,
						revert: async ({ commit }) => {
							log.push("-a");
							await process.write("-a", (tx) => commit(tx));
							fail();
						},
					})
					.step("b", { run: fail }) as unknown as Job;
				const outcome = await finish(machine, definition, process);
				expect([log, outcome.status, await machine.lines()]).toEqual([["-a"], "reverted", ["-a"]]);
			});

			law("of a revert that is rolled back is tried again", async (make) => {
				const machine = await make();
				const process = machine.process();
				let count = 0;
				const definition = job<undefined, unknown>("reverting")
					.step("a", {
						run: noop,
						revert: ({ commit }) =>
							process.write(`-a ${++count}`, async (tx) => {
								await commit(tx);
								if (count < 3) fail();
							}),
					})
					.step("b", { run: fail }) as unknown as Job;
				const outcome = await finish(machine, definition, process);
				expect([outcome.status, await machine.lines()]).toEqual(["reverted", ["-a 3"]]);
			});

			law("resolves with the result, as the schema of the step gives it", async (make) => {
				const machine = await make();
				const process = machine.process();
				let given: string | undefined;
				const definition = job<undefined, unknown>("given").step("a", {
					schema: pipe(string(), trim()),
					run: async ({ commit }) => {
						await process.write("a", async (tx) => void (given = await commit(tx, " a ")));
						return given!;
					},
				});
				const outcome = await finish(machine, definition as unknown as Job, process);
				expect([given, outcome.results]).toEqual(["a", { a: "a" }]);
			});

			law("refuses an attempt that is over", async (make) => {
				const machine = await make();
				const process = machine.process();
				let late: Promise<unknown> | undefined;
				const gate = deferred();
				const definition = job<undefined, unknown>("late").step("a", {
					timeout: 100,
					abandonAfter: 0,
					run: async ({ commit }) => {
						late = gate.promise.then(() => process.write("late", (tx) => commit(tx)));
						await gate.promise;
					},
				});
				const processor = process.processor([definition]);
				const running = machine.start(processor);
				const { id } = await processor.add(definition);
				await machine.advance(100);
				expect((await processor.result(id))!.status).toBe("failed");
				const error = errorOf(late!);
				gate.resolve();
				expect(["InvalidStateError", "ClaimLostError"].includes((await error as Error).name)).toBe(true);
				expect(await machine.lines()).toEqual([]);
				await running.stop();
			});
		});

		group("a checkpoint that fails", () => {
			law("is never a failure of the step: it is stored with the settlement", async (make) => {
				const machine = await make();
				const log: string[] = [];
				const definition = logged(log, ["a"], ["b"], ["c"]);
				const error = new StoreError("unavailable", "gone");
				const processor = machine.processor([definition], {}, (member) => member === "save" ? error : undefined);
				const { id } = await processor.add(definition);
				await machine.drain(processor);
				expect([log, (await processor.result(id))!.status]).toEqual([["a", "b", "c"], "completed"]);
				expect(machine.errors).toEqual([error, error]);
			});

			law("because the claim is lost, ends the run without another step", async (make) => {
				const machine = await make();
				const gate = deferred();
				const log: string[] = [];
				const definition = job("lost").step("a", {
					run: async ({ attempt }) => {
						log.push(`a ${attempt}`);
						if (log.length === 1) await gate.promise;
					},
				}).step("b", { run: () => void log.push("b") });
				let isCutOff = false;
				const dead = machine.processor([definition], {}, (member) => {
					const isOfWorker = member === "extend" || member === "turn";
					return isCutOff && isOfWorker ? new StoreError("unavailable", "gone") : undefined;
				});
				const first = machine.start(dead);
				const { id } = await dead.add(definition);
				await machine.advance(0);
				isCutOff = true;
				const other = machine.start(machine.processor([definition]));
				await machine.advance(30_000);
				expect(log).toEqual(["a 1", "a 1", "b"]);
				gate.resolve();
				await machine.advance(0);
				expect(log).toEqual(["a 1", "a 1", "b"]);
				expect((await dead.result(id))!.status).toBe("completed");
				await Promise.all([first.stop(), other.stop()]);
			});
		});

		group("crashes", () => {
			law("do not use up attempts", async (make) => {
				const machine = await make();
				const log: string[] = [];
				const definition = logged(log, ["a"]);
				const processor = machine.processor([definition]);
				const { id } = await processor.add(definition);
				for (let count = 0; count < 9; count++) await machine.crash("logged");
				await machine.drain(processor);
				expect([log, (await processor.result(id))!.status]).toEqual([["a"], "completed"]);
			});

			law("at the limit fail a step, and the job is reverted", async (make) => {
				const machine = await make();
				const log: string[] = [];
				let isFatal = true;
				const definition = job("fatal")
					.step("a", { run: noop, revert: () => void log.push("-a") })
					.step("b", { attempts: 5, run: () => isFatal ? new Promise<never>(noop) : "b" });
				const first = machine.processor([definition], {}, (member) => member === "extend" ? "die before" : undefined);
				const { id } = await first.add(definition);
				void first.run();
				await machine.advance(30_000);
				isFatal = false;
				// The first crash is the crash of the process above.
				for (let count = 0; count < 9; count++) await machine.crash("fatal");
				const processor = machine.processor([definition]);
				await machine.drain(processor);
				expect(log).toEqual(["-a"]);
				const outcome = (await processor.result(id))!;
				expect(outcome.status).toBe("reverted");
				expect(outcome.error!.message).toContain("10 times in a row");
			});

			law("at the limit end a revert as failed, naming what is left", async (make) => {
				const machine = await make();
				const log: string[] = [];
				const definition = logged(log, ["a"], ["b"], ["c", 1]);
				let saves = 0;
				const first = machine.processor([definition], { crashes: 3 }, (member) => {
					// After the revert of b and before it is stored.
					return member === "save" && ++saves === 4 ? "die before" : undefined;
				});
				const { id } = await first.add(definition);
				void first.run();
				await machine.advance(30_000);
				for (let count = 0; count < 2; count++) await machine.crash("logged");
				const processor = machine.processor([definition], { crashes: 3 });
				await machine.drain(processor);
				expect(await processor.result(id)).toMatchObject({
					status: "failed",
					error: { message: "c 1" },
					revertError: { message: "The process that ran the step ended without a word, 3 times in a row" },
					unreverted: ["b", "a"],
				});
			});

			law("are counted for each step alone", async (make) => {
				const machine = await make();
				const log: string[] = [];
				const definition = logged(log, ["a"], ["b"], ["c"], ["d"]);
				const adding = machine.processor([definition], { crashes: 2 });
				const { id } = await adding.add(definition);
				for (let step = 0; step < 4; step++) {
					let saves = 0;
					const dying = machine.processor([definition], { crashes: 2 }, (member) => {
						return member === "save" && ++saves === 2 ? "die before" : undefined;
					});
					void dying.run();
					await machine.advance(30_000);
				}
				await machine.drain(adding);
				expect((await adding.result(id))!.status).toBe("completed");
			});
		});

		group("Processor.run()", () => {
			law("that is stopped gives the job back; the interrupted attempt does not count", async (make) => {
				const machine = await make();
				const log: string[] = [];
				const definition = job("stopped").step("a", {
					run: ({ signal, attempt }) => {
						log.push(`a ${attempt}`);
						return log.length === 1 ? untilAborted(signal) : "done";
					},
				});
				const processor = machine.processor([definition]);
				const { id } = await processor.add(definition);
				const running = machine.start(processor);
				await machine.advance(0);
				await running.stop();
				expect((await machine.stored(id)).state).toBe("waiting");
				await machine.drain(processor);
				expect([log, (await processor.result(id))!.status]).toEqual([["a 1", "a 1"], "completed"]);
			});

			law("that is stopped stores the result of a step that returns in time", async (make) => {
				const machine = await make();
				const gate = deferred();
				const log: string[] = [];
				const definition = job("stopped")
					.step("a", {
						run: () => {
							log.push("a");
							return gate.promise;
						},
					})
					.step("b", { run: () => void log.push("b") });
				const processor = machine.processor([definition]);
				const { id } = await processor.add(definition);
				const running = machine.start(processor);
				await machine.advance(0);
				const stopped = running.stop();
				gate.resolve();
				await machine.advance(0);
				await stopped;
				expect(log).toEqual(["a"]);
				expect((await machine.checkpoint(id)).at).toBe(1);
				await machine.drain(processor);
				expect(log).toEqual(["a", "b"]);
			});

			law("lets several processors work on one store, each job in one at a time", async (make) => {
				const machine = await make();
				let running = 0;
				let count = 0;
				const definition = job("many").step("a", {
					run: async () => {
						running++;
						count++;
						await Promise.resolve();
						running--;
					},
				}).step("b", { run: () => count });
				const processors = [1, 2, 3].map(() => machine.processor([definition], { concurrency: 3 }));
				const ids = [];
				for (let index = 0; index < 50; index++) ids.push((await processors[0]!.add(definition)).id);
				const runs = processors.map((processor) => machine.start(processor));
				await machine.advance(1_000);
				for (const id of ids) expect((await processors[0]!.result(id))!.status).toBe("completed");
				expect([count, running]).toEqual([50, 0]);
				await Promise.all(runs.map(({ stop }) => stop()));
				const totals = processors.map((processor) => processor.getSnapshot().completed);
				expect(totals.reduce((a, b) => a + b)).toBe(50);
			});
		});

		group("Processor.subscribe()", () => {
			law("tells of each step and attempt that runs here, with a stable snapshot", async (make) => {
				const machine = await make();
				const definition = job("live").step("a", { run: noop, revert: noop })
					.step("b", { run: fail, attempts: 2, backoff: 10 });
				const processor = machine.processor([definition]);
				const seen: string[] = [];
				const unsubscribe = processor.subscribe(() => {
					const snapshot = processor.getSnapshot();
					expect(processor.getSnapshot()).toBe(snapshot);
					for (const { direction, step, attempt } of snapshot.jobs.values()) {
						const text = `${direction} ${step} ${attempt}`;
						if (seen.at(-1) !== text) seen.push(text);
					}
				});
				await processor.add(definition, undefined, { id: "x" });
				const running = machine.start(processor);
				await machine.advance(1_000);
				expect(seen).toEqual([
					"forward a 1",
					"forward b 1",
					"forward b 2",
					"backward a 1",
					"backward undefined 1",
				]);
				expect(processor.getSnapshot()).toMatchObject({ completed: 0, reverted: 1, failed: 0, state: "running" });
				unsubscribe();
				await running.stop();
			});
		});

		law("the history of a job is bounded", async (make) => {
			const machine = await make();
			const definition = job("long").step("a", { run: noop, revert: noop }).step("b", {
				attempts: 200,
				backoff: 1,
				run: () => {
					throw new Error("x".repeat(5_000));
				},
			});
			const processor = machine.processor([definition]);
			const { id } = await processor.add(definition);
			const running = machine.start(processor);
			await machine.advance(10_000);
			await running.stop();
			const { history } = (await processor.result(id))!;
			expect(history.length).toBe(50);
			expect(history.at(-1)).toMatchObject({ step: "a", isRevert: true, attempt: 1 });
			expect(history.at(-2)).toMatchObject({ step: "b", attempt: 200, error: "x".repeat(200) });
			expect((await machine.stored(id)).payload.length < 25_000).toBe(true);
		});
	});
}
