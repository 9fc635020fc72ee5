// The log of jobs: what it costs, what a process knows of it, and how faults of `log()` are outlived.
import { describe, expect, test } from "vitest";
import { type Job, job, limit, type Processor, StoreError } from "../../mod.ts";
import type { LogEntry, Save, Settlement, Turn } from "../../src/store.ts";
import { deferred } from "../support.ts";
import { openMemory } from "./database.ts";
import { long } from "./log-laws.ts";
import { type Machine, withMachines } from "./support.ts";

type Calls = (...args: never[]) => Promise<unknown>;

const law = (title: string, body: (machine: Machine) => Promise<void>) =>
	test(title, () => withMachines(openMemory, async (make) => await body(await make())));

/** A processor whose calls to the store go through a function. */
function watched(
	machine: Machine,
	jobs: readonly Job[],
	through: (member: string, args: readonly unknown[], call: () => Promise<unknown>) => Promise<unknown>,
) {
	const store: Record<string, unknown> = { ...machine.process().store };
	for (const [member, original] of Object.entries(store)) {
		if (member === "capabilities" || member === "watch") continue;
		store[member] = (...args: never[]) => through(member, args, () => (original as Calls)(...args));
	}
	return machine.processor(jobs, { store: store as never });
}

/** A job that waits after each step. */
function slow(count: number, run: (name: string) => unknown): Job {
	let result: Job = job("slow");
	for (let n = 1; n <= count; n++) {
		result = result.step(`s${n}`, { run: ({ step }) => run(step) }).sleep(`wait ${n}`, 1_000) as unknown as Job;
	}
	return result;
}

describe("A job", () => {
	law("asks and gives its store the same for each step, however many are done", async (machine) => {
		const costs: { calls: number; size: number }[] = [];
		let [calls, size] = [0, 0];
		const definition = long(300, () => {
			costs.push({ calls, size });
			[calls, size] = [0, 0];
			return "a result";
		});
		const processor = watched(machine, [definition], (member, args, call) => {
			calls++;
			size += JSON.stringify(args).length;
			if (member === "save") {
				for (const save of args[1] as Save[]) {
					expect(Object.keys(save).filter((key) => save[key as "seen"])).toEqual(["ref", "log"]);
				}
			}
			return call();
		});
		await processor.add(definition);
		await machine.drain(processor);
		expect(costs.length).toBe(300);
		expect(costs[2]!.calls).toBe(1);
		expect(costs.at(-1)).toEqual(costs[101]);
		// Only its numbers have more digits.
		expect(costs.at(-1)!.size - costs[2]!.size).toBeLessThan(10);
	});

	law("that waits often reads nothing again in one process, and all of its log once in another", async (machine) => {
		const reads: number[] = [];
		const definition = slow(12, (name) => name);
		const through = async (member: string, _: unknown, call: () => Promise<unknown>) => {
			const result = await call();
			if (member === "log") reads.push((result as LogEntry[][])[0]!.length);
			return result;
		};
		const [first, second] = [watched(machine, [definition], through), watched(machine, [definition], through)];
		const { id } = await first.add(definition);
		const running = machine.start(first);
		await machine.advance(5_500);
		await running.stop();
		expect(reads).toEqual([]);
		expect((await machine.log(id)).length).toBe(11);
		const next = machine.start(second);
		await machine.advance(6_000);
		expect(reads).toEqual([11]);
		await machine.advance(10_000);
		await next.stop();
		expect(reads).toEqual([11]);
		expect(Object.keys((await second.result(id))!.results).length).toBe(24);
	});

	law("that another process has continued is read anew behind what is known", async (machine) => {
		const ran: string[] = [];
		const definition = slow(9, (name) => ran.push(name));
		const reads: unknown[] = [];
		const through = async (member: string, args: readonly unknown[], call: () => Promise<unknown>) => {
			if (member === "log") reads.push(...(args[1] as { after: number }[]).map(({ after }) => after));
			return await call();
		};
		const processors = [1, 2].map(() => watched(machine, [definition], through));
		const { id } = await processors[0]!.add(definition);
		for (let turn = 0; turn < 6; turn++) {
			const running = machine.start(processors[turn % 2]!);
			await machine.advance(turn < 5 ? 1_500 : 20_000);
			await running.stop();
		}
		expect(ran.length).toBe(9);
		expect((await processors[0]!.result(id))!.results).toMatchObject({ s1: 1, s5: 5, s9: 9 });
		const fresh = reads.filter((after) => after === 0).length;
		expect(fresh).toBe(2); // one of them for result()
		expect(reads.length).toBeGreaterThan(4);
	});

	law("is read from its head on if that is behind what is known", async (machine) => {
		const ran: string[] = [];
		const first = machine.processor([long(3, (step) => {
			ran.push(step);
			if (step === "s3") return new Promise(() => {});
		})], { grace: 0 });
		const [definition, limited] = [1, 2].map((kind) => {
			const atOnce = limit({ key: () => "key", atOnce: 1 });
			let result: Job = job("long", kind === 1 ? {} : { limit: atOnce }) as unknown as Job;
			for (const step of ["s1", "s2", "s3"]) {
				result = result.step(step, { run: () => ran.push(step) }) as unknown as Job;
			}
			return result;
		}) as [Job, Job];
		const { id } = await machine.processor([definition]).add(definition);
		const running = machine.start(first);
		await machine.advance(0);
		void running.stop();
		await machine.advance(2_000);
		// It reads the log, and then gives the job the key of its limit.
		const second = machine.processor([limited]);
		await machine.drain(second);
		expect(ran).toEqual(["s1", "s2", "s3", "s3"]);
		expect((await second.result(id))!.status).toBe("completed");
	});

	law("has the results of its own, not of one that had its id before", async (machine) => {
		let count = 0;
		const seen: unknown[] = [];
		const definition = job("same")
			.step("a", { run: () => ++count })
			.sleep("wait", 1_000)
			.step("b", { run: ({ results }) => void seen.push(results.a) });
		const [first, second] = [1, 2].map(() => machine.processor([definition])) as [Processor, Processor];
		for (const one of [first, second]) {
			await one.delete("same");
			await one.add(definition as unknown as Job, undefined, { id: "same" });
			await machine.drain(one);
		}
		await machine.advance(1_000);
		await machine.drain(first);
		expect(seen).toEqual([2]);
	});

	law("waits while its log cannot be read, is neither held nor run again, and then goes on", async (machine) => {
		const ran: string[] = [];
		const definition = slow(3, (name) => ran.push(name));
		const first = machine.processor([definition]);
		const { id } = await first.add(definition);
		await machine.drain(first);
		let isBroken = true;
		let asked = 0;
		const second = watched(machine, [definition], (member, _, call) => {
			if (member !== "log" || !isBroken) return call();
			// The first calls are not answered at all.
			return asked++ < 2 ? new Promise(() => {}) : Promise.reject(new StoreError("unavailable", "no log"));
		});
		const running = machine.start(second);
		for (let minute = 0; minute < 10; minute++) {
			await machine.advance(60_000);
			expect(["running", "waiting"]).toContain((await machine.stored(id)).state);
		}
		expect(asked).toBeGreaterThan(3);
		expect(asked).toBeLessThan(40);
		expect(ran).toEqual(["s1"]);
		isBroken = false;
		await machine.advance(3_700_000);
		await running.stop();
		expect(ran).toEqual(["s1", "s2", "s3"]);
		expect((await second.result(id))!.status).toBe("completed");
		expect(machine.errors.every((error) => error instanceof StoreError)).toBe(true);
	});

	law("is held if the store lacks an entry at the end of its log: its step would run again", async (machine) => {
		const ran: string[] = [];
		const definition = long(3, (name) => ran.push(name));
		const first = machine.processor(
			[definition],
			{},
			(member) => member === "save" && ran.length === 2 ? "die after" : undefined,
		);
		const { id } = await first.add(definition);
		void first.run();
		await machine.advance(100_000);
		const second = watched(machine, [definition], async (member, _, call) => {
			const result = await call();
			return member === "log" ? (result as LogEntry[][]).map((entries) => entries.slice(0, -1)) : result;
		});
		await machine.drain(second);
		expect(ran).toEqual(["s1", "s2"]);
		expect((await machine.stored(id)).state).toBe("held");
	});

	law("heeds a cancel() that comes while its log is read", async (machine) => {
		const definition = slow(2, () => {}).step("last", {
			run: ({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
		}) as unknown as Job;
		const first = machine.processor([definition]);
		const { id } = await first.add(definition);
		const before = machine.start(first);
		await machine.advance(1_500);
		await before.stop();
		const [asked, answer] = [deferred(), deferred()];
		const second = watched(machine, [definition], async (member, _, call) => {
			if (member === "log") {
				asked.resolve();
				await answer.promise;
			}
			return await call();
		});
		const running = machine.start(second);
		await machine.advance(1_000);
		await asked.promise;
		expect(await second.cancel(id)).toBe(true);
		answer.resolve();
		await machine.advance(2_000); // the next renewal would be later
		expect((await second.result(id))?.error?.name).toBe("AbortError");
		expect(machine.errors).toEqual([]);
		await running.stop();
	});

	law("goes on backward if its definition has lost a revert whose entry is in the log", async (machine) => {
		const undone: string[] = [];
		const make = (reverts: readonly string[], isStuck: boolean) => {
			let result: Job = job("undo");
			for (const name of ["a", "b", "c", "d"]) {
				const revert = () => {
					if (name === "a" && isStuck) return new Promise(() => {});
					undone.push(name);
				};
				result = result.step(name, {
					run: () => {},
					revert: reverts.includes(name) ? revert : undefined,
				}) as unknown as Job;
			}
			return result.step("fail", { run: () => Promise.reject(new Error("failure")) }) as unknown as Job;
		};
		const stuck = make(["a", "b", "c", "d"], true);
		const first = machine.processor([stuck], { grace: 0 });
		const { id } = await first.add(stuck);
		const running = machine.start(first);
		await machine.advance(0);
		void running.stop();
		await machine.advance(2_000);
		expect((await machine.log(id)).length).toBe(7);
		const second = machine.processor([make(["a", "d"], false)]);
		await machine.drain(second);
		expect(undone).toEqual(["d", "c", "b", "a"]);
		expect((await second.result(id))!.status).toBe("reverted");
	});

	law("gives its store no more at once than about one payload", async (machine) => {
		const big = "x".repeat(50_000);
		const sizes: number[] = [];
		const measure = ({ log }: Pick<Settlement, "log">) =>
			sizes.push(log?.entries.reduce((sum, { length }) => sum + length, 0) ?? 0);
		let definition: Job = job("signals").step("first", { run: () => big }) as unknown as Job;
		for (const name of ["a", "b", "c"]) definition = definition.waitFor(name) as unknown as Job;
		const processor = watched(machine, [definition], (member, args, call) => {
			if (member === "save") (args[1] as Save[]).forEach(measure);
			if (member === "turn") (args[1] as Turn).settle.forEach(measure);
			return call();
		});
		const { id } = await processor.add(definition);
		for (const name of ["a", "b", "c"]) await processor.signal(id, name as never, big as never);
		await machine.drain(processor);
		expect((await processor.result(id))!.status).toBe("completed");
		expect(Math.max(...sizes)).toBeGreaterThan(50_000);
		expect(Math.max(...sizes)).toBeLessThan(60_000);
	});

	law("does not continue a run under a new claim if another process has appended meanwhile", async (machine) => {
		const ran: string[] = [];
		const ends = [deferred(), deferred()];
		const process = (name: string) => {
			let result: Job = job("race");
			for (const step of ["a", "b"]) {
				const run = async () => {
					ran.push(name + step);
					if (name + step === "1a") await ends[0]!.promise;
					if (name + step === "2b") await ends[1]!.promise;
					return name + step;
				};
				result = result.step(step, { run }) as unknown as Job;
			}
			return result;
		};
		const definition = process("1");
		let isDeaf = true;
		const first = watched(machine, [definition], (member, _, call) =>
			// Its renewals hang, so it does not learn that its claim is lost.
			member === "extend" && isDeaf ? new Promise(() => {}) : call());
		const second = machine.processor([process("2")], { grace: 0 });
		const { id } = await first.add(definition);
		const running = machine.start(first);
		await machine.advance(0);
		machine.clock.setNow(machine.clock.now() + 40_000);
		first.pause();
		const other = machine.start(second);
		await machine.advance(0);
		expect(ran).toEqual(["1a", "2a", "2b"]);
		void other.stop();
		await machine.advance(1_500);
		await other.done;
		first.resume();
		machine.wake();
		await machine.advance(0);
		isDeaf = false;
		ends[0]!.resolve();
		await machine.advance(60_000);
		await running.stop();
		expect(ran).toEqual(["1a", "2a", "2b", "1b"]);
		expect((await first.result(id))!.results).toEqual({ a: "2a", b: "1b" });
	});
});

describe("Processor", () => {
	/** A processor that acts once between its read of a head and its read of the log. */
	const between = (machine: Machine, jobs: readonly Job[], act: () => Promise<unknown>) => {
		let hasActed = false;
		return watched(machine, jobs, async (member, _, call) => {
			if (member === "log" && !hasActed) {
				hasActed = true;
				await act();
			}
			return await call();
		});
	};

	law(
		"get() and list() show a job as it was at one time, though its head and its log are read one by one",
		async (machine) => {
			for (const way of ["get", "list"] as const) {
				const undo = { run: () => "result", revert: () => {} };
				const definition = job(way).step("a", undo).step("b", undo).waitFor("never").step("c", undo) as unknown as Job;
				const worker = machine.processor([definition]);
				const { id } = await worker.add(definition, "input" as never);
				await machine.drain(worker);
				const reader = between(machine, [definition], async () => {
					await worker.cancel(id);
					await machine.drain(worker);
				});
				const shown = way === "get" ? await reader.get(id) : (await reader.list({ job: way }).next()).value;
				expect(shown).toMatchObject({ id, input: "input", status: "reverted", results: { a: "result", b: "result" } });
			}
		},
	);

	law("result() tells of one job, also if another one gets its id while it is read", async (machine) => {
		let count = 0;
		const definition = long(2, () => ++count);
		const worker = machine.processor([definition]);
		const add = async () => {
			await worker.delete("same");
			await worker.add(definition, `input ${count}` as never, { id: "same" });
			await machine.drain(worker);
		};
		await add();
		expect((await between(machine, [definition], add).result("same"))!.results).toEqual({ s1: 3, s2: 4 });
		const shown = await between(machine, [definition], add).get("same");
		expect(shown).toMatchObject({ input: "input 4", results: { s1: 5, s2: 6 } });
		const gone = between(machine, [definition], () => worker.delete("same"));
		expect(await gone.result("same").catch(({ name }) => name)).toBe("JobNotFoundError");
	});
});
