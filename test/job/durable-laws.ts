// Laws of durable functions that hold for every store.
import { afterAll, describe as group, expect, test } from "vitest";
import { number, object, pipe, string, transform } from "valibot";
import {
	type AnyJob,
	durable,
	type Flow,
	job,
	later,
	limit,
	type ProcessorOptions,
	retryAfter,
	sleep,
	stopNow,
	StoreError,
	ValidationError,
} from "../../mod.ts";
import { deferred, errorOf, isPage, settle, untilAborted } from "../support.ts";
import type { OpenDatabase } from "./database.ts";
import { type Machine, once, withMachines } from "./support.ts";

const fail = (text = "failure"): never => {
	throw new Error(text);
};

/** @param name the name of the store in the titles */
export function testDurable(name: string, open: OpenDatabase): void {
	type Body = (make: () => Promise<Machine>) => Promise<void>;

	group(`durable functions on ${name}`, () => {
		const opening = once(open);
		afterAll(() => opening.close());
		const law = (title: string, body: Body) =>
			test(title, () =>
				withMachines(opening.get, (make) =>
					body(async () => {
						const machine = await make();
						// A pass takes a macrotask between two results that it has already.
						machine.patience = 12;
						return machine;
					})), 60_000);

		/** Runs a durable function until its end, or for an hour. */
		async function finish(
			machine: Machine,
			body: (flow: Flow) => unknown,
			options: { cancelAt?: number; settings?: Partial<ProcessorOptions> } = {},
		) {
			const definition = durable("it", body) as AnyJob;
			const processor = machine.processor([definition], options.settings as never);
			await processor.add(definition, undefined, { id: "it" });
			const running = machine.start(processor);
			if (options.cancelAt !== undefined) {
				await machine.advance(options.cancelAt);
				await processor.cancel("it");
			}
			for (let time = 1_000; time < 3_600_000 && await processor.result("it") === undefined; time *= 2) {
				await machine.advance(time);
			}
			await running.stop();
			return (await processor.result("it"))!;
		}

		/** Runs one body until it waits, and then another one, as after a deployment. */
		async function deploy(machine: Machine, first: (flow: Flow) => unknown, then: (flow: Flow) => unknown) {
			const before = durable("it", first) as AnyJob;
			const after = durable("it", then) as AnyJob;
			const old = machine.processor([before]);
			await old.add(before, undefined, { id: "it" });
			await machine.drain(old);
			await machine.advance(60_000);
			const next = machine.processor([after]);
			await machine.drain(next);
			return (await next.get("it"))!;
		}

		law(
			"a step is stored before its promise resolves, and runs once, however often the body is called",
			async (make) => {
				const machine = await make();
				const seen: unknown[] = [];
				let passes = 0;
				const { status, value, results } = await finish(machine, async (flow) => {
					passes++;
					const a = await flow.step("a", () => (seen.push("a"), 1));
					if (passes === 1) seen.push((await machine.checkpoint("it")).results);
					await flow.sleep("nap", 1_000);
					const b = await flow.step(["b", 2], () => (seen.push("b"), 2));
					await flow.sleep("again", 1_000);
					return a + b;
				});
				expect([status, value, passes, seen]).toEqual(["completed", 3, 3, ["a", { a: 1 }, "b"]]);
				expect(results).toMatchObject({ a: 1, '["b",2]': 2 });
			},
		);

		law("a wait ends the pass: no lease is held, and neither a catch nor a finally of the body runs", async (make) => {
			const machine = await make();
			const seen: string[] = [];
			let passes = 0;
			const definition = durable("it", async (flow) => {
				passes++;
				try {
					await flow.sleep("nap", 5_000);
					return await flow.waitFor<string>("word");
				} catch {
					seen.push("catch");
				} finally {
					seen.push("finally");
				}
			});
			const processor = machine.processor([definition]);
			const { id } = await processor.add(definition);
			const running = machine.start(processor);
			await machine.advance(1_000);
			expect((await machine.stored(id)).state).toBe("waiting");
			expect(await processor.get(id)).toMatchObject({ status: "waiting", step: "nap", direction: "forward" });
			expect(processor.getSnapshot().jobs.size).toBe(0);
			await machine.advance(5_000);
			expect([await processor.get(id), passes, seen]).toMatchObject([{ step: "word" }, 2, []]);
			expect(await processor.signal(id, "word", "yes")).toBe(true);
			await machine.advance(1_000);
			expect([await processor.result(id), passes, seen]).toMatchObject([{ value: "yes" }, 3, ["finally"]]);
			await running.stop();
		});

		law(
			"commit() stores the result of a step in its transaction, and what others have done follows it",
			async (make) => {
				const machine = await make();
				const process = machine.process();
				const isInside = deferred();
				const isDone = deferred();
				const order: string[] = [];
				const definition = durable("it", async (flow: Flow<unknown>) => {
					const note = (value: string) => (order.push(value), value);
					const a = flow.step("a", async ({ commit, attempt }) => {
						await process.write(`a ${attempt}`, async (tx) => {
							await commit(tx, "a");
							isInside.resolve();
							await isDone.promise;
							if (attempt === 1) throw new Error("rolled back");
						});
						return "not heeded behind the commit";
					}, {
						attempts: 2,
						revert: (result, { commit }) => process.write(`-${result}`, (tx) => commit(tx)),
					});
					const b = flow.step("b", () => isInside.promise.then(() => (isDone.resolve(), "b")));
					await Promise.all([a.then(note), b.then(note)]);
					await flow.sleep("nap", 1_000);
					throw new Error("undo");
				});
				const processor = process.processor([definition as unknown as AnyJob]);
				await processor.add(definition as unknown as AnyJob, undefined, { id: "it" });
				const running = machine.start(processor);
				await machine.advance(20_000);
				await running.stop();
				expect(await machine.lines()).toEqual(["a 2", "-a"]);
				expect(await processor.result("it")).toMatchObject({ status: "reverted", results: { a: "a", b: "b" } });
				// The first attempt of a was alone when it had failed, so the pass has ended.
				expect(order).toEqual(["b", "b", "a", "b", "a"]);
			},
		);

		law("promises settle in the order of the log, so that a race has the same winner again", async (make) => {
			const machine = await make();
			const seen: unknown[] = [];
			const { clock } = machine;
			const after = (flow: Flow, name: string, time: number) =>
				flow.step(name, () => sleep(time, { clock }).then(() => name));
			const { value } = await finish(machine, async (flow) => {
				const order: string[] = [];
				const names = { a: 300, b: 100, c: 200 };
				const all = Object.entries(names).map(([name, time]) => after(flow, name, time));
				for (const one of all) void one.then((name) => order.push(name));
				seen.push(await Promise.race(all));
				seen.push(await Promise.all(all));
				await flow.sleep("nap", 1_000);
				return order;
			});
			expect([value, seen]).toEqual([["b", "c", "a"], ["b", ["a", "b", "c"], "b", ["a", "b", "c"]]]);
		});

		law(
			"a race has the same winner again if the winner takes longer from its result to the end than the loser",
			async (make) => {
				const winners: string[] = [];
				await finish(await make(), async (flow) => {
					const long = flow.step("long", () => 1).then(async () => {
						for (let count = 0; count < 20; count++) await undefined;
						return "long";
					});
					// Another branch, which registers its name a little later.
					const short = Promise.resolve().then(() => flow.sleep("short", 5)).then(() => "short");
					winners.push(await Promise.race([long, short]));
					await flow.sleep("nap", 1_000);
				});
				expect(winners).toEqual(["long", "long", "long"]);
			},
		);

		law("all, any, allSettled and catch get what steps resolve or reject with", async (make) => {
			let passes = 0;
			const caught: unknown[] = [];
			class OutOfStock extends Error {
				override readonly name = "OutOfStock";
				readonly code = 409;
			}
			const { status, value } = await finish(await make(), async (flow) => {
				passes++;
				const bad = (name: string) => flow.step(name, () => fail(name));
				const settled = await Promise.allSettled([bad("a"), flow.step("b", () => 2)]);
				const any = await Promise.any([bad("c"), flow.step("d", () => 4)]);
				const all = await Promise.all([bad("e"), flow.step("f", () => 6)]).catch(({ message }) => message);
				await flow.step("g", () => Promise.reject(new OutOfStock("no tea"))).catch((error) => caught.push(error));
				await flow.sleep("nap", 1_000);
				return [settled.map(({ status }) => status), any, all];
			});
			expect([status, value, passes]).toEqual(["completed", [["rejected", "fulfilled"], 4, "e"], 2]);
			expect(caught).toMatchObject([{ name: "OutOfStock", message: "no tea", code: 409 }, {
				name: "OutOfStock",
				message: "no tea",
			}]);
			expect(caught.map((error) => error instanceof OutOfStock)).toEqual([true, false]);
		});

		law("a loop may make hundreds of steps, each of which runs once", async (make) => {
			const machine = await make();
			let calls = 0;
			// Each takes a macrotask, which is slow in pages and workerd.
			const count = isPage ? 200 : 1_000;
			const { value } = await finish(machine, async (flow) => {
				let sum = 0;
				for (let index = 0; index < count; index++) sum += await flow.step(["add", index], () => (calls++, index));
				await flow.sleep("nap", 1_000);
				return sum;
			});
			expect([value, calls]).toEqual([count * (count - 1) / 2, count]);
		});

		law("a step has attempts, a backoff without a lease, and hints, as in a job", async (make) => {
			const machine = await make();
			const at: Record<string, number[]> = {};
			const errors: unknown[] = [];
			const told: unknown[] = [];
			const run =
				(name: string, error: () => unknown, failures: number) =>
				({ attempt, previousError }: { attempt: number; previousError: unknown }) => {
					(at[name] ??= []).push(machine.clock.now() - 1_000_000);
					if (name === "a") errors.push((previousError as Error | undefined)?.message);
					if (at[name].length <= failures) throw error();
					return attempt;
				};
			const { value } = await finish(machine, (flow) =>
				Promise.all([
					flow.step("a", run("a", () => new Error("no"), 2), { attempts: 3 }),
					flow.step("b", run("b", () => retryAfter(10_000, new Error("busy")), 1), { attempts: 2 }),
					flow.step("c", run("c", () => stopNow(new Error("never")), 1), { attempts: 9 }).catch(({ message }) =>
						message
					),
					flow.step("d", run("d", () => later(2_000), 3)),
				]), { settings: { onAttemptFailed: ({ step, attempt, again }) => told.push([step, attempt, again]) } });
			expect(value).toEqual([3, 2, "never", 1]);
			expect(at).toEqual({ a: [0, 1_000, 3_000], b: [0, 10_000], c: [0], d: [0, 2_000, 4_000, 6_000] });
			expect(errors).toEqual([undefined, "no", "no"]);
			expect(told.sort()).toEqual([["a", 1, true], ["a", 2, true], ["b", 1, true], ["c", 1, false]]);
		});

		law("a sleep and a backoff go on while a step runs, and survive a crash", async (make) => {
			const machine = await make();
			const first = machine.process();
			const calls: string[] = [];
			const definition = durable("it", (flow) =>
				Promise.race([
					flow.step("slow", ({ signal }) => (calls.push("slow"), untilAborted(signal))),
					flow.sleep("patience", 20_000).then(() => "too late"),
					flow.step("flaky", () => (calls.push("flaky"), fail()), { attempts: 2, backoff: 5_000 })
						.catch(() => new Promise(() => {})),
				]));
			const processor = first.processor([definition]);
			await processor.add(definition, undefined, { id: "it" });
			void processor.run();
			await machine.advance(6_000);
			expect(calls).toEqual(["slow", "flaky", "flaky"]);
			first.die();
			await machine.advance(30_000);
			const other = machine.processor([definition]);
			await machine.drain(other);
			expect([await other.result("it"), calls]).toMatchObject([{ value: "too late" }, [
				"slow",
				"flaky",
				"flaky",
				"slow",
			]]);
		});

		law("a sleep that has begun beside a running step ends in time, also after a crash", async (make) => {
			const machine = await make();
			const first = machine.process();
			const definition = durable("it", (flow) =>
				Promise.race([
					flow.step("slow", ({ signal }) => untilAborted(signal)),
					flow.sleep("patience", 50_000).then(() => "too late"),
				]));
			const processor = first.processor([definition]);
			await processor.add(definition, undefined, { id: "it" });
			void processor.run();
			await machine.advance(25_000);
			first.die();
			const other = machine.processor([definition]);
			const running = machine.start(other);
			await machine.advance(36_000);
			expect(await other.result("it")).toMatchObject({ value: "too late" });
			await running.stop();
		});

		law("a stop while a step runs cuts no backoff short, and forgets no attempt", async (make) => {
			const machine = await make();
			const at: Record<string, [number, number][]> = { a: [], b: [] };
			const note = (name: string, attempt: number) => at[name]!.push([machine.clock.now() - 1_000_000, attempt]);
			const definition = durable("it", (flow) =>
				Promise.all([
					flow.step("a", ({ attempt }) => {
						note("a", attempt);
						return attempt < 3 ? fail() : 1;
					}, { attempts: 3, backoff: 20_000 }),
					flow.step("b", ({ attempt, signal }) => {
						note("b", attempt);
						if (attempt === 1) fail();
						return machine.clock.now() < 1_010_000 ? untilAborted(signal) : 1;
					}, { attempts: 2, backoff: 20_000 }),
				]));
			const processor = machine.processor([definition]);
			await processor.add(definition, undefined, { id: "it" });
			const running = machine.start(processor);
			await machine.advance(4_000);
			await processor.retry("it");
			await machine.advance(2_000);
			await running.stop();
			await machine.advance(4_000);
			const again = machine.start(processor);
			await machine.advance(60_000);
			expect(at).toEqual({ a: [[0, 1], [4_000, 2], [24_000, 3]], b: [[0, 1], [4_000, 2], [10_000, 2]] });
			expect((await processor.result("it"))?.status).toBe("completed");
			await again.stop();
		});

		law(
			"a body that waits for something of its own is not left while it does, also when it is reverted",
			async (make) => {
				const machine = await make();
				const seen: unknown[] = [];
				const own = async () => {
					for (let count = 0; count < 4; count++) await settle();
				};
				const { status } = await finish(machine, async (flow) => {
					await flow.step("a", () => 1, { revert: () => void seen.push("-a") });
					const nap = flow.sleep("nap", 60_000);
					await own();
					await flow.step("b", () => seen.push(machine.clock.now() - 1_000_000), {
						// The claim after its backoff knows no reverts before the body has waited again.
						revert: (_, { attempt }) => attempt === 1 ? fail("not yet") : void seen.push("-b"),
					});
					await nap;
					fail();
				});
				expect([status, seen]).toEqual(["reverted", [0, "-b", "-a"]]);
			},
		);

		law("a step that had begun before a crash keeps its place among the reverts", async (make) => {
			const machine = await make();
			const first = machine.process();
			const seen: string[] = [];
			const gate = deferred();
			const step = (flow: Flow, name: string, run: () => unknown) =>
				flow.step(name, run, { revert: () => void seen.push(name) });
			const definition = durable("it", async (flow) => {
				await Promise.all([step(flow, "a", () => first.isDead || gate.promise), step(flow, "b", () => 1)]);
				await step(flow, "c", () => 1);
				fail();
			});
			const processor = first.processor([definition]);
			await processor.add(definition, undefined, { id: "it" });
			void processor.run();
			await machine.advance(5_000);
			first.die();
			await machine.advance(30_000);
			const other = machine.processor([definition]);
			await machine.drain(other);
			expect([(await other.result("it"))?.status, seen]).toEqual(["reverted", ["c", "b", "a"]]);
		});

		law("a step that waits for its next attempt keeps its place among the reverts", async (make) => {
			const seen: string[] = [];
			const step = (flow: Flow, name: string, run: (context: { attempt: number }) => unknown = () => 1) =>
				flow.step(name, run, { attempts: 2, backoff: 5_000, revert: () => void seen.push(name) });
			await finish(await make(), async (flow) => {
				await Promise.all([step(flow, "a", ({ attempt }) => attempt > 1 || fail()), step(flow, "b")]);
				await step(flow, "c");
				fail();
			});
			expect(seen).toEqual(["c", "b", "a"]);
		});

		law("a crash before a promise settles does not change the places of later names", async (make) => {
			const machine = await make();
			// The first save has the result of a, and the attempt of b.
			const dying = machine.process((member) => member === "save" ? "die after" : undefined);
			const seen: string[] = [];
			const step = (flow: Flow, name: string, run: (context: { attempt: number }) => unknown = () => 1) =>
				flow.step(name, run, { attempts: 2, backoff: 1_000, revert: () => void seen.push(name) });
			const definition = durable("it", async (flow) => {
				const a = step(flow, "a", () => failed.promise);
				const b = step(flow, "b", ({ attempt }) => attempt > 1 || fail());
				await a;
				await Promise.all([step(flow, "c"), b]);
				fail();
			});
			const failed = deferred();
			const processor = dying.processor([definition], { onAttemptFailed: () => failed.resolve() });
			await processor.add(definition, undefined, { id: "it" });
			void processor.run();
			await machine.advance(1);
			expect([dying.isDead, (await machine.head("it")).pending.b.attempts]).toEqual([true, 1]);
			await machine.advance(30_000);
			const other = machine.processor([definition]);
			const running = machine.start(other);
			await machine.advance(60_000);
			expect([(await other.result("it"))?.status, seen]).toEqual(["reverted", ["c", "b", "a"]]);
			await running.stop();
		});

		law("a new name comes behind those that are done, whatever was removed before them", async (make) => {
			const machine = await make();
			const seen: string[] = [];
			const first = machine.process();
			const step = (flow: Flow, name: string) => flow.step(name, () => 1, { revert: () => void seen.push(name) });
			const before = durable(
				"it",
				(flow) => Promise.all([flow.step("removed", ({ signal }) => untilAborted(signal)), step(flow, "a")]),
			);
			const after = durable("it", async (flow) => {
				await step(flow, "a");
				await step(flow, "b");
				fail();
			});
			await first.processor([before]).add(before, undefined, { id: "it" });
			void first.processor([before]).run();
			await machine.advance(1);
			first.die();
			await machine.advance(30_000);
			await machine.drain(machine.processor([after]));
			expect(seen).toEqual(["b", "a"]);
		});

		law("a step whose result the replay makes unnecessary does not run again", async (make) => {
			const machine = await make();
			const dying = machine.process((member) => member === "save" ? "die after" : undefined);
			let runs = 0;
			const definition = durable("it", (flow) =>
				Promise.race([
					flow.step("slow", ({ signal }) => (runs++, untilAborted(signal))),
					flow.step("fast", () => "fast"),
				]));
			const processor = dying.processor([definition]);
			await processor.add(definition, undefined, { id: "it" });
			void processor.run();
			await machine.advance(30_000);
			const other = machine.processor([definition]);
			await machine.drain(other);
			expect([await other.result("it"), runs]).toMatchObject([{ value: "fast" }, 1]);
		});

		law("no promise settles while its result cannot be stored", async (make) => {
			const machine = await make();
			let isAway = false;
			const unavailable = new StoreError("unavailable", "away");
			const process = machine.process((member) =>
				isAway && ["save", "turn"].includes(member) ? unavailable : undefined
			);
			const seen: unknown[] = [];
			const definition = durable("it", async (flow) => {
				await flow.step("a", () => void (isAway = true));
				seen.push(isAway, (await machine.log("it")).length);
			});
			const processor = process.processor([definition]);
			await processor.add(definition, undefined, { id: "it" });
			const running = machine.start(processor);
			await machine.advance(3_000);
			expect([isAway, seen]).toEqual([true, []]);
			isAway = false;
			await machine.advance(20_000);
			expect([(await processor.result("it"))?.status, seen]).toEqual(["completed", [false, 1]]);
			await running.stop();
		});

		law("an attempt that fails while the head is being saved is stored, too", async (make) => {
			const machine = await make();
			const process = machine.process();
			const [gate, held, sent] = [deferred(), deferred(), deferred()];
			const save = async (...args: unknown[]) => {
				const result = await (process.store.save as (...args: unknown[]) => Promise<unknown>)(...args);
				sent.resolve();
				await held.promise;
				return result;
			};
			const definition = durable("it", (flow) =>
				Promise.all([
					flow.step("slow", ({ signal }) => untilAborted(signal)),
					flow.sleep("nap", 50_000),
					flow.step("flaky", () => gate.promise.then(() => fail()), { attempts: 2, backoff: 50_000 }),
				]));
			const processor = process.processor([definition], { store: { ...process.store, save } as never });
			await processor.add(definition, undefined, { id: "it" });
			void processor.run();
			await machine.advance(1);
			await sent.promise;
			gate.resolve();
			await machine.advance(1);
			expect((await machine.head("it")).pending).toMatchObject({ nap: { until: 50_000 } });
			held.resolve();
			await machine.advance(1);
			expect((await machine.head("it")).pending).toMatchObject({ nap: { until: 50_000 }, flaky: { attempts: 1 } });
			process.die();
		});

		law("a head that is saved within a pass keeps names that the pass has not reached", async (make) => {
			const machine = await make();
			const process = machine.process();
			const flaky = (flow: Flow) => flow.step("flaky", () => fail(), { attempts: 3, backoff: 100_000 });
			const before = durable("it", (flow) => Promise.all([flow.sleep("old", 5_000), flaky(flow)]));
			const after = durable("it", async (flow) => {
				const nap = flow.sleep("new", 50_000);
				await flow.step("busy", () => gate.promise);
				await Promise.all([nap, flaky(flow)]);
			});
			const gate = deferred();
			const old = machine.processor([before]);
			await old.add(before, undefined, { id: "it" });
			await machine.drain(old);
			await machine.advance(5_000);
			void process.processor([after]).run();
			await machine.advance(1);
			expect((await machine.head("it")).pending).toMatchObject({ new: { until: 55_000 }, flaky: { attempts: 1 } });
			gate.resolve();
			await machine.advance(1);
			// This pass has reached everything.
			expect(Object.keys((await machine.head("it")).pending).sort()).toEqual(["flaky", "new"]);
			process.die();
		});

		law("a pass that has ended settles nothing, and leaves no changes of results to the next one", async (make) => {
			const machine = await make();
			const seen: unknown[] = [];
			const gate = deferred();
			let count = 0;
			// It is called for the result, and in each pass.
			const validate = async (value: unknown) => {
				if (++count === 3) await gate.promise;
				return { value };
			};
			const schema = { "~standard": { version: 1, vendor: "test", validate } } as never;
			const definition = durable("it", async (flow) => {
				const list = await flow.step("list", () => [1]);
				seen.push([...list]);
				list.push(2);
				await flow.step("read", () => 1, { schema });
				seen.push("read");
				await flow.step("last", () => 1, { revert: () => void seen.push("reverted") });
				await flow.sleep("nap", 1_000);
			});
			const processor = machine.processor([definition]);
			await processor.add(definition, undefined, { id: "it" });
			const running = machine.start(processor);
			await machine.advance(1_500);
			await processor.cancel("it");
			await machine.advance(1_000);
			gate.resolve();
			await machine.advance(1_000);
			expect((await processor.result("it"))?.status).toBe("reverted");
			expect(seen).toEqual([[1], "read", [1], [1], "read", "reverted"]);
			await running.stop();
		});

		law("a race between a step and a sleep is decided while the step runs, whose signal then aborts", async (make) => {
			const machine = await make();
			let reason: unknown;
			const { status, value, results } = await finish(machine, (flow) =>
				Promise.race([
					flow.step("slow", ({ signal }) =>
						untilAborted(signal).catch((error) => {
							reason = error;
							return "dropped";
						})),
					flow.sleep("patience", 5_000).then(() => "too late"),
				]));
			expect([status, value, results]).toMatchObject(["completed", "too late", {}]);
			expect((reason as Error).name).toBe("AbortError");
			expect(results).not.toHaveProperty("slow");
		});

		law("signals count once, before or while the body waits, and their schema reads them", async (make) => {
			const machine = await make();
			const gate = deferred();
			const schema = object({ n: pipe(string(), transform(Number)) });
			const definition = durable("it", async (flow) => {
				const early = await flow.waitFor("early", { schema });
				const live = flow.waitFor<string>(["live", 1]);
				await flow.step("busy", () => gate.promise);
				return [early, await live, await flow.waitFor("bad", { schema }).catch((error) => error.name)];
			});
			const processor = machine.processor([definition]);
			await processor.add(definition, undefined, { id: "it" });
			await processor.signal("it", "early", { n: "1" });
			await processor.signal("it", "early", { n: "2" });
			const running = machine.start(processor);
			await machine.advance(1_000);
			await processor.signal("it", '["live",1]', "x");
			await machine.advance(1_000);
			expect((await machine.log("it")).length).toBe(2);
			gate.resolve();
			await machine.advance(1);
			expect((await machine.head("it")).signals).toEqual({});
			await processor.signal("it", "bad", { n: 3 });
			await machine.advance(60_000);
			expect(await processor.result("it")).toMatchObject({ value: [{ n: 1 }, "x", "ValidationError"] });
			expect(await processor.signal("it", "early", 1)).toBe(false);
			await running.stop();
		});

		law("a wait rejects with a TimeoutError, which is stored", async (make) => {
			const machine = await make();
			const seen: unknown[] = [];
			const { value } = await finish(machine, async (flow) => {
				await flow.waitFor("word", { timeout: 5_000 }).catch(({ name, message }) => seen.push([name, message]));
				await flow.sleep("nap", 1_000);
				return machine.clock.now();
			});
			expect(value).toBe(1_006_000);
			const error = ["TimeoutError", 'No signal "word" came within 5000 ms'];
			expect(seen).toEqual([error, error]);
		});

		law("a body that rejects is reverted: the done steps, in the reverse order of their start", async (make) => {
			const machine = await make();
			const seen: unknown[] = [];
			const { clock } = machine;
			const step = (flow: Flow, name: string, time = 0) =>
				flow.step(name, async () => {
					if (time > 0) await sleep(time, { clock });
					return [name];
				}, {
					revert: (result, { error, step, idempotencyKey, attempt }) => {
						seen.push([result, error.message, step, idempotencyKey.endsWith(`/${step}/revert`)]);
						if (name === "b" && attempt === 1) throw new Error("not yet");
					},
				});
			const { status, error, unreverted } = await finish(machine, async (flow) => {
				(await step(flow, "a")).push("seen by the body");
				await Promise.all([step(flow, "b", 2_000), step(flow, "c", 1_000), flow.step("no revert", () => 1)]);
				await flow.sleep("nap", 1_000);
				throw new Error("out of tea");
			});
			expect([status, error?.message, unreverted]).toEqual(["reverted", "out of tea", []]);
			expect(seen).toEqual(["c", "b", "b", "a"].map((name) => [[name], "out of tea", name, true]));
		});

		law("without a step that can be reverted, a body that rejects has failed", async (make) => {
			const outcome = await finish(await make(), (flow) => flow.step("a", () => fail()));
			expect(outcome).toMatchObject({ status: "failed", error: { message: "failure" }, unreverted: [] });
		});

		law("a revert that is out of attempts ends the job as failed, with the names that are left", async (make) => {
			const outcome = await finish(await make(), async (flow) => {
				await flow.step("a", () => 1, { revert: () => {} });
				await flow.step("b", () => 1, { revert: () => fail("stuck"), revertAttempts: 2 });
				await flow.step("c", () => 1, { revert: () => {} });
				fail();
			});
			expect(outcome).toMatchObject({ status: "failed", revertError: { message: "stuck" }, unreverted: ["b", "a"] });
		});

		law("cancel() aborts what runs, and reverts what was completed nevertheless", async (make) => {
			const machine = await make();
			const seen: unknown[] = [];
			const outcome = await finish(machine, async (flow) => {
				const undo = { revert: (result: unknown) => void seen.push(result) };
				await flow.step("a", () => "a", undo);
				try {
					await Promise.all([
						flow.step("b", ({ signal }) => untilAborted(signal).catch(({ message }) => message), undo),
						flow.step("c", ({ signal }) => untilAborted(signal), undo),
						flow.sleep("d", 100_000),
					]);
				} finally {
					seen.push("finally");
				}
			}, { cancelAt: 1_000, settings: { onAttemptFailed: ({ step }) => seen.push(step) } });
			expect([outcome.status, outcome.error?.name]).toEqual(["reverted", "AbortError"]);
			expect(seen).toEqual(["The job was cancelled", "a"]);
		});

		law("cancel() does nothing while the job goes backward, and ends a sleep", async (make) => {
			const machine = await make();
			const definition = durable("it", async (flow) => {
				await flow.step("a", () => 1, { revert: (_, { attempt }) => attempt < 3 ? fail("not yet") : undefined });
				await flow.sleep("long", 1e9);
			});
			const processor = machine.processor([definition]);
			await processor.add(definition, undefined, { id: "it" });
			const running = machine.start(processor);
			await machine.advance(100);
			expect(await processor.cancel("it")).toBe(true);
			await machine.advance(100);
			expect(await processor.get("it")).toMatchObject({ direction: "backward", step: "a", attempts: 1 });
			await processor.cancel("it");
			await machine.advance(10_000);
			expect(await processor.result("it")).toMatchObject({ status: "reverted", error: { name: "AbortError" } });
			await running.stop();
		});

		law("a deadline cannot be caught", async (make) => {
			const machine = await make();
			const seen: unknown[] = [];
			const definition = durable("it", async (flow) => {
				await flow.step("a", () => 1, { revert: () => void seen.push("revert") });
				for (let n = 0;; n++) {
					await flow.step(["b", n], ({ signal }) => untilAborted(signal)).catch((error) => seen.push(error));
				}
			}, { deadline: 5_000 });
			const processor = machine.processor([definition]);
			await processor.add(definition, undefined, { id: "it" });
			const running = machine.start(processor);
			await machine.advance(6_000);
			expect([await processor.result("it"), seen]).toMatchObject([{
				status: "reverted",
				error: { name: "TimeoutError" },
			}, ["revert"]]);
			await running.stop();
		});

		law("a name that is used twice, and a promise that is not awaited, are TypeErrors even if caught", async (make) => {
			const twice = await finish(await make(), async (flow) => {
				await flow.step(["a", 1], () => 1);
				try {
					await flow.sleep('["a",1]', 1);
				} catch {
					return "caught";
				}
			});
			expect(twice.error).toMatchObject({ name: "TypeError", message: 'The name "[\\"a\\",1]" is used twice' });
			const lost = await finish(await make(), async (flow) => {
				void flow.step("a", () => fail());
				await flow.sleep("nap", 1_000);
				return 1;
			});
			expect(lost.error).toMatchObject({ name: "TypeError", message: 'The body does not await "a"' });
		});

		law("wrong arguments are refused where they are given", async (make) => {
			const seen: string[] = [];
			await finish(await make(), (flow) => {
				const wrong: (() => unknown)[] = [
					() => flow.step("", () => 1),
					() => flow.step(1 as never, () => 1),
					() => flow.step([undefined] as never, () => 1),
					() => flow.step("__proto__", () => 1),
					() => flow.step("a", 1 as never),
					() => flow.step("a", () => 1, { attempts: 0 }),
					() => flow.step("a", () => 1, { revert: 1 as never }),
					() => flow.step("a", () => 1, { revertAttempts: 0.5 }),
					() => flow.step("a", () => 1, { schema: {} as never }),
					() => flow.sleep("a", Infinity),
					() => flow.waitFor("a", { timeout: 0 }),
				];
				for (const call of wrong) {
					try {
						call();
						seen.push("accepted");
					} catch (error) {
						seen.push((error as Error).message.split('"')[1]!);
					}
				}
			});
			const names = [
				"name",
				"name",
				"name",
				"name",
				"run",
				"attempts",
				"revert",
				"revertAttempts",
				"schema",
				"duration",
				"timeout",
			];
			expect(seen).toEqual(names);
		});

		law("steps may be inserted, removed, renamed and reordered while a job waits", async (make) => {
			const seen: string[] = [];
			const note = (flow: Flow, name: string) => flow.step(name, () => (seen.push(name), name));
			const record = await deploy(await make(), async (flow) => {
				await note(flow, "a");
				await note(flow, "b");
				await note(flow, "c");
				await flow.sleep("nap", 1_000);
			}, async (flow) => {
				const values = [
					await note(flow, "c"),
					await note(flow, "new"),
					await note(flow, "b, renamed"),
					await note(flow, "a"),
				];
				await flow.sleep("nap", 1_000);
				return values;
			});
			expect(record).toMatchObject({ status: "completed", results: { c: "c", new: "new" } });
			expect(seen).toEqual(["a", "b", "c", "new", "b, renamed"]);
		});

		law(
			"a name that stands for something else holds the job, and so does a result that does not pass its schema",
			async (make) => {
				const first = async (flow: Flow) => {
					await flow.step("a", () => "text");
					await flow.sleep("nap", 1_000);
				};
				const other = await deploy(await make(), first, (flow) => flow.sleep("a", 1_000));
				expect([other.status, other.problem?.message]).toEqual(["held", '"a" is a sleep, but the log has a step']);
				const pending = await deploy(await make(), first, async (flow) => {
					await flow.step("a", () => "text");
					await flow.waitFor("nap");
				});
				expect([pending.status, pending.problem?.message]).toEqual(["held", '"nap" was a sleep']);
				const read = await deploy(await make(), first, (flow) => flow.step("a", () => 1, { schema: number() }));
				expect(read.status).toBe("held");
				expect(read.problem?.message).toMatch(/Expected number/);
			},
		);

		law(
			"a revert that is not registered anymore makes the job fail by name, whatever was reverted before",
			async (make) => {
				const seen: string[] = [];
				const step = (flow: Flow, name: string) => flow.step(name, () => 1, { revert: () => void seen.push(name) });
				const record = await deploy(await make(), async (flow) => {
					for (const name of ["a", "b", "c"]) await step(flow, name);
					await flow.sleep("nap", 1_000);
				}, async (flow) => {
					for (const name of ["a", "c"]) await step(flow, name);
					await flow.sleep("nap", 1_000);
					fail();
				});
				expect(record).toMatchObject({ status: "failed", error: { message: "failure" } });
				expect(record.revertError?.message).toBe('The body does not register the revert of "b" anymore');
				expect(seen).toEqual(["c"]);
			},
		);

		law("a body that is not deterministic is found out while it goes backward, too", async (make) => {
			const machine = await make();
			let random = 0;
			const outcome = await finish(machine, async (flow) => {
				await flow.step(`step ${random++}`, () => 1, { revert: () => {} });
				await flow.sleep("nap", 1_000);
				fail();
			});
			expect(outcome).toMatchObject({ status: "failed", unreverted: ["step 0"] });
			expect(outcome.revertError?.message).toBe('The body does not register the revert of "step 0" anymore');
		});

		law("what the body changes in its input and in results is not there in later passes", async (make) => {
			const machine = await make();
			const seen: unknown[] = [];
			const definition = durable("it", async (flow, input: { list: number[] }) => {
				input.list.push(2);
				const result = await flow.step("a", () => [1]);
				result.push(2);
				seen.push(input, result);
				await flow.sleep("nap", 1_000);
				return result;
			});
			const processor = machine.processor([definition]);
			await processor.add(definition, { list: [1] }, { id: "it" });
			const running = machine.start(processor);
			await machine.advance(5_000);
			expect([await processor.result("it"), seen]).toMatchObject([{ value: [1, 2], results: { a: [1] } }, [
				{ list: [1, 2] },
				[1, 2],
				{ list: [1, 2] },
				[1, 2],
			]]);
			await running.stop();
		});

		law("what cannot be stored rejects, and as the value of the body it fails the job", async (make) => {
			const outcome = await finish(await make(), async (flow) => {
				const error = await errorOf(flow.step("a", () => () => 1));
				await flow.step("b", () => (error as Error).message, { revert: () => {} });
				return { bad: 1n };
			});
			expect(outcome).toMatchObject({
				status: "reverted",
				results: { b: "A result of type function cannot be stored" },
			});
		});

		law("what Promise.all makes of steps without a result is stored as it is, also as a result", async (make) => {
			const machine = await make();
			const seen: unknown[] = [];
			const gaps = [undefined, null, 1];
			const definition = durable("it", async (flow) => {
				seen.push(await flow.step("list", () => gaps), await flow.step("empty", () => [undefined]));
				await flow.sleep("nap", 1_000);
				return await Promise.all([flow.step("a", () => {}), flow.step("b", () => 2)]);
			});
			const processor = machine.processor([definition]);
			await processor.add(definition, undefined, { id: "it" });
			const told = processor.wait("it");
			const running = machine.start(processor);
			await machine.advance(5_000);
			expect(seen).toEqual([gaps, [undefined], gaps, [undefined]]);
			const expected = {
				status: "completed",
				value: [undefined, 2],
				results: { list: gaps, empty: [undefined], b: 2 },
			};
			expect([await told, await processor.result("it")]).toMatchObject([expected, expected]);
			await running.stop();
		});

		law("a value of the body that cannot be stored is named with the place of what is wrong in it", async (make) => {
			const deep = await finish(await make(), async (flow) => ({ list: [await flow.step("a", () => {})] }));
			expect(deep.error?.message).toMatch(/^The value of the body cannot be stored: .*value\.list\[0\] is undefined$/);
			const lost = await finish(await make(), (flow) => Promise.allSettled([flow.step("a", () => fail())]));
			expect(lost.error?.message).toMatch(/^The value of the body cannot be stored: .*value\[0\]\.reason is an Error$/);
		});

		law("wait() resolves with the results as they are stored, whatever the body has changed in them", async (make) => {
			const machine = await make();
			const definition = durable("it", async (flow) => {
				(await flow.step("a", () => [1])).push(2);
			});
			const processor = machine.processor([definition]);
			await processor.add(definition, undefined, { id: "it" });
			const told = processor.wait("it");
			await machine.drain(processor);
			expect([await told, await processor.wait("it")]).toMatchObject([{ results: { a: [1] } }, {
				results: { a: [1] },
			}]);
		});

		law("a process that dies again and again while a step runs ends the job", async (make) => {
			const machine = await make();
			const definition = durable("it", async (flow) => {
				await flow.step("a", () => 1, { revert: () => {} });
				await flow.step("poison", () => 2);
			});
			const processor = machine.processor([definition], { crashes: 3 });
			await processor.add(definition, undefined, { id: "it" });
			for (let count = 0; count < 3; count++) await machine.crash("it");
			await machine.drain(processor);
			const outcome = await processor.result("it");
			expect(outcome?.status).toBe("failed");
			expect(outcome?.error?.message).toMatch(/3 times in a row/);
		});

		law("retry() ends a backoff, but neither a sleep nor a delay that a step has asked for", async (make) => {
			const machine = await make();
			const at: Record<string, number> = {};
			const note = (name: string) => void (at[name] = machine.clock.now() - 1_000_000);
			const twice = (name: string, error: Error) => ({ attempt }: { attempt: number }) => {
				if (attempt === 1) throw error;
				note(name);
			};
			const definition = durable("it", (flow) =>
				Promise.all([
					flow.step("backoff", twice("backoff", new Error("no")), { attempts: 2, backoff: 50_000 }),
					flow.step("firm", twice("firm", retryAfter(60_000, new Error("no"))), { attempts: 2 }),
					flow.sleep("nap", 70_000).then(() => note("nap")),
				]));
			const processor = machine.processor([definition]);
			await processor.add(definition, undefined, { id: "it" });
			const running = machine.start(processor);
			await machine.advance(5_000);
			expect(await processor.retry("it")).toBe(true);
			await machine.advance(100_000);
			expect(at).toEqual({ backoff: 5_000, firm: 60_000, nap: 70_000 });
			await running.stop();
		});

		law("hold() lets the running steps end, and release() continues", async (make) => {
			const machine = await make();
			const seen: string[] = [];
			const gate = deferred();
			const definition = durable("it", async (flow) => {
				await Promise.all([flow.step("a", () => gate.promise), flow.sleep("nap", 10)]);
				await flow.step("b", () => void seen.push("b"));
			});
			const processor = machine.processor([definition]);
			await processor.add(definition, undefined, { id: "it" });
			const running = machine.start(processor);
			await machine.advance(1_000);
			expect([...processor.getSnapshot().jobs.values()]).toMatchObject([{
				step: "a",
				attempt: 1,
				direction: "forward",
			}]);
			await processor.hold("it");
			gate.resolve();
			await machine.advance(1_000);
			expect([(await processor.get("it"))?.status, seen]).toEqual(["held", []]);
			await processor.release("it");
			await machine.advance(1_000);
			expect([(await processor.get("it"))?.status, seen]).toEqual(["completed", ["b"]]);
			await running.stop();
		});

		law("each step is a start of its own for the rate of a limit", async (make) => {
			const machine = await make();
			const at: number[] = [];
			const step = (flow: Flow, name: string) => flow.step(name, () => void at.push(machine.clock.now() - 1_000_000));
			const definition = durable("it", async (flow) => {
				await Promise.all([step(flow, "a"), step(flow, "b")]);
				await step(flow, "c");
			}, { limit: limit({ rate: { tasks: 1, per: 1_000 } }) });
			const processor = machine.processor([definition]);
			await processor.add(definition, undefined, { id: "it" });
			const running = machine.start(processor);
			await machine.advance(5_000);
			expect([at, (await processor.get("it"))?.status]).toEqual([[0, 1_000, 2_000], "completed"]);
			await running.stop();
		});

		law("a job of a chain is held by a durable function of its name, and the other way round", async (make) => {
			const machine = await make();
			const chain = job("it").step("a", { run: () => 1 });
			const flow = durable("it", (flow) => flow.step("a", () => 1));
			await machine.processor([chain]).add(chain, undefined, { id: "chain" });
			await machine.processor([flow]).add(flow, undefined, { id: "flow" });
			const one = machine.processor([flow]);
			const other = machine.processor([chain]);
			await machine.store.change(machine.name, ["flow"], "hold");
			await machine.drain(one);
			await machine.store.change(machine.name, ["flow"], "release");
			await machine.drain(other);
			expect((await one.get("chain"))?.problem?.message).toMatch(/steps that its definition lacks: "a"/);
			expect((await one.get("flow"))?.problem?.message).toBe('The job "it" was added as a durable function');
		});

		law("the schema of the input reads it, and the schema of a step its result, in each pass", async (make) => {
			const machine = await make();
			const seen: unknown[] = [];
			const definition = durable("it", async (flow, { n }) => {
				const result = await flow.step("a", () => ({ n }), { schema: object({ n: number() }) });
				await flow.sleep("nap", 1_000);
				seen.push(result);
			}, { schema: object({ n: number() }) });
			const processor = machine.processor([definition]);
			expect(await errorOf(processor.add(definition, { n: "1" } as never))).toBeInstanceOf(ValidationError);
			await processor.add(definition, { n: 1 }, { id: "it" });
			const running = machine.start(processor);
			await machine.advance(5_000);
			expect(seen).toEqual([{ n: 1 }]);
			await running.stop();
		});
	});
}
