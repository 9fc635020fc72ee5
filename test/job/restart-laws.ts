// Laws of ended jobs that go on where they failed, or begin anew. They hold for every store.
import { expect } from "vitest";
import { type AnyJob, durable, type Flow, job, unchecked } from "../../mod.ts";
import { errorOf } from "../support.ts";
import type { Machine } from "./support.ts";

type Law = (title: string, body: (make: () => Promise<Machine>) => Promise<void>) => void;

/** A function that fails until it is mended, and counts its calls. */
function broken(calls: string[], name: string) {
	const state = { isMended: false };
	const call = ({ idempotencyKey }: { idempotencyKey: string }) => {
		calls.push(`${name} ${idempotencyKey.replace(/^\w+/, "")}`);
		if (!state.isMended) throw new Error(`${name} is broken`);
		return name;
	};
	return Object.assign(call, { mend: () => void (state.isMended = true), state });
}

type Broken = ReturnType<typeof broken>;

/** Runs a job until it ends, or for an hour. */
async function end(machine: Machine, definition: AnyJob, id: string, processor = machine.processor([definition])) {
	const running = machine.start(processor);
	for (let time = 1_000; time < 3_600_000 && await processor.result(id) === undefined; time *= 2) {
		await machine.advance(time);
	}
	await running.stop();
	return (await processor.result(id))!;
}

/** Adds a job and runs it until it ends. */
async function first(machine: Machine, definition: AnyJob, input?: unknown, options = {}) {
	const processor = machine.processor([definition]);
	await processor.add(definition, input as never, { id: "it", ...options });
	return { processor, outcome: await end(machine, definition, "it") };
}

type Make = (step: (name: string) => () => string, weak: Broken) => AnyJob;

/** Jobs whose step or revert is weak, and what becomes of them when it is mended. */
const stumbling: readonly (readonly [title: string, status: string, make: Make])[] = [
	[
		"forward",
		"completed",
		(step, weak) =>
			job("restarts").step("a", { run: step("a") }).step("b", { run: weak }).step("z", { run: step("z") }),
	],
	["backward", "reverted", (step, weak) =>
		job("restarts").step("a", { run: step("a"), revert: step("z") })
			.step("b", { run: () => 2, revert: weak, revertAttempts: 1 })
			.step("c", { run: () => Promise.reject(new Error("c")) })],
	["a durable function", "completed", (step, weak) =>
		durable("restarts", async (flow) => {
			await flow.step("a", step("a"));
			await flow.step("b", weak);
			await flow.sleep("rest", 1_000);
			return await flow.step("z", step("z"));
		})],
];

export function testRestarts(law: Law): void {
	law(
		"retry() from the failure gives the step that failed its attempts again, and keeps results and keys",
		async (make) => {
			const machine = await make();
			const calls: string[] = [];
			const b = broken(calls, "b");
			const definition = job<number>("restarts")
				.step("a", { run: ({ input }) => (calls.push("a"), input) })
				.step("b", { run: b, attempts: 2 })
				.step("c", { run: ({ results }) => `${results.a} ${results.b}` });
			const { processor, outcome } = await first(machine, definition, 7, { priority: 3, lane: "l" });
			expect([outcome.status, outcome.results]).toEqual(["failed", { a: 7 }]);
			const { uid } = await machine.head("it");
			// Attempts are used up again.
			expect(await processor.retry("it", { from: "failure" })).toBe(true);
			expect((await end(machine, definition, "it")).status).toBe("failed");
			b.mend();
			const answers = [1, 2].map(() => processor.retry("it", { from: "failure" }));
			expect((await Promise.all(answers)).sort()).toEqual([false, true]);
			const waiting = (await processor.get("it"))!;
			expect(waiting).toMatchObject({
				status: "waiting",
				direction: "forward",
				step: "b",
				attempts: 0,
				results: { a: 7 },
			});
			expect([waiting.priority, waiting.lane, waiting.error]).toEqual([3, "l", undefined]);
			const waited = machine.processor([definition]).wait("it");
			const next = await end(machine, definition, "it");
			expect([next.status, next.value, next.history.length]).toEqual(["completed", "7 b", 7]);
			await machine.advance(5_000);
			expect(await waited).toEqual(next);
			expect(calls).toEqual(["a", ...Array.from({ length: 5 }, () => "b /b")]);
			expect((await machine.head("it")).uid).toBe(uid);
		},
	);

	law(
		"retry() from the failure of a revert lets the reverts go on, and of a reverted job is that from the start",
		async (make) => {
			const machine = await make();
			const calls: string[] = [];
			const [revert, c] = [broken(calls, "-b"), broken(calls, "c")];
			const undo = (name: string) => () => void calls.push(name);
			const definition = job("restarts")
				.step("a", { run: ({ idempotencyKey }) => idempotencyKey, revert: undo("-a") })
				.step("b", { run: () => 2, revert: revert, revertAttempts: 2 })
				.step("c", { run: c });
			const { processor, outcome } = await first(machine, definition);
			expect(outcome).toMatchObject({
				status: "failed",
				unreverted: ["b", "a"],
				revertError: { message: "-b is broken" },
			});
			revert.mend();
			expect(await processor.retry("it", { from: "failure" })).toBe(true);
			expect(await processor.get("it")).toMatchObject({
				status: "waiting",
				direction: "backward",
				step: "b",
				attempts: 0,
			});
			const reverted = await end(machine, definition, "it");
			expect(reverted).toMatchObject({ status: "reverted", unreverted: [], error: { message: "c is broken" } });
			expect(reverted.revertError).toBe(undefined);
			expect(calls).toEqual(["c /c", "-b /b/revert", "-b /b/revert", "-b /b/revert", "-a"]);
			c.mend();
			expect(await processor.retry("it", { from: "failure" })).toBe(true);
			expect(await machine.log("it")).toEqual([]);
			const next = await end(machine, definition, "it");
			expect([next.status, next.value]).toEqual(["completed", "c"]);
			expect((next.results as { a: string }).a).not.toBe((reverted.results as { a: string }).a);
		},
	);

	law("retry() from the start runs a completed job again, with its input, as often as it is asked to", async (make) => {
		const machine = await make();
		const keys = new Set<string>();
		const definition = job<{ to: string }>("restarts")
			.waitFor("go", { schema: unchecked<number>() })
			.step("b", {
				run: ({ idempotencyKey, input, results }) => (keys.add(idempotencyKey), `${input.to} ${results.go}`),
			});
		const processor = machine.processor([definition]);
		await processor.add(definition, { to: "Rome" }, { id: "it" });
		for (const value of [1, 2, 3]) {
			await processor.signal("it", "go", value);
			const outcome = await end(machine, definition, "it");
			expect(outcome).toMatchObject({ status: "completed", value: `Rome ${value}`, history: [{ step: "b" }] });
			expect(await processor.retry("it", { from: "failure" })).toBe(false);
			expect(await processor.result("it")).toEqual(outcome);
			expect(await processor.retry("it", { from: "start" })).toBe(true);
		}
		expect(keys.size).toBe(3);
	});

	law(
		"retry() from somewhere changes no job that has not ended, and refuses filters, transactions and other words",
		async (make) => {
			const machine = await make();
			const definition = job("restarts").waitFor("go");
			const processor = machine.processor([definition]);
			await processor.add(definition, undefined, { id: "it" });
			await processor.add(definition, undefined, { id: "held" });
			await processor.hold("held");
			await machine.drain(processor);
			const before = [await machine.stored("it"), await machine.stored("held")];
			for (const from of ["failure", "start"] as const) {
				for (const id of ["it", "held", "nobody"]) expect(await processor.retry(id, { from })).toBe(false);
				expect((await errorOf(processor.retry({ job: "restarts" }, { from })) as Error).message).toContain(`"from"`);
				expect((await errorOf(processor.retry("it", { from, tx: {} as never })) as Error).message).toContain(`"tx"`);
			}
			expect((await errorOf(processor.retry("it", { from: "end" as never })) as Error).message).toContain(`"from"`);
			expect([await machine.stored("it"), await machine.stored("held")]).toEqual(before);
		},
	);

	law("the times of a job that goes on count from then: its deadline, its timeouts, and no delay", async (make) => {
		const machine = await make();
		const definition = job("restarts", { deadline: 60_000 }).waitFor("go", { timeout: 10_000 }).sleep("rest", 1_000);
		const { processor, outcome } = await first(machine, definition, undefined, { delay: 30_000 });
		expect(outcome).toMatchObject({ status: "failed", error: { name: "TimeoutError" } });
		await machine.advance(100_000);
		await processor.retry("it", { from: "failure" });
		await machine.drain(processor);
		await machine.advance(9_000);
		await processor.signal("it", "go");
		await machine.drain(processor);
		expect(await processor.get("it")).toMatchObject({ status: "waiting", step: "rest" });
		expect((await end(machine, definition, "it")).status).toBe("completed");
	});

	law("a job that was canceled is not canceled again when it begins anew", async (make) => {
		const machine = await make();
		const definition = job("restarts").waitFor("go").step("b", { run: () => 1 });
		const processor = machine.processor([definition]);
		await processor.add(definition, undefined, { id: "it" });
		await processor.cancel("it");
		expect(await end(machine, definition, "it")).toMatchObject({ status: "failed", error: { name: "AbortError" } });
		for (const from of ["start", "failure"] as const) {
			expect(await processor.retry("it", { from })).toBe(true);
			await processor.signal("it", "go");
			expect((await end(machine, definition, "it")).status).toBe("completed");
			await processor.retry("it", { from: "start" });
			await processor.cancel("it");
			await end(machine, definition, "it");
		}
	});

	law("a crash after the restart loses nothing: another process goes on there", async (make) => {
		const machine = await make();
		const calls: string[] = [];
		const b = broken(calls, "b");
		const definition = job("restarts").step("a", { run: () => void calls.push("a") }).step("b", { run: b });
		await first(machine, definition);
		b.mend();
		const dying = machine.process((member) => member === "change" ? "die after" : undefined);
		void dying.processor([definition]).retry("it", { from: "failure" });
		await machine.advance(0);
		expect([dying.isDead, (await machine.stored("it")).state]).toEqual([true, "waiting"]);
		expect(await machine.crash("restarts")).toBe("it");
		expect((await end(machine, definition, "it")).status).toBe("completed");
		expect(calls).toEqual(["a", "b /b", "b /b"]);
		const early = machine.process((member) => member === "change" ? "die before" : undefined);
		void early.processor([definition]).retry("it", { from: "start" });
		await machine.advance(0);
		expect((await machine.stored("it")).state).toBe("done");
	});

	for (const [title, status, makeJob] of stumbling) {
		law(`a process that dies at any call of the store after a restart loses nothing: ${title}`, async (make) => {
			for (let count = 0, isReached = true; isReached; count++) {
				const machine = await make();
				machine.patience = 12;
				const calls: string[] = [];
				const weak = broken(calls, "weak");
				const definition = makeJob((name) => () => (calls.push(name), name), weak);
				const { processor, outcome } = await first(machine, definition);
				expect(outcome.status).toBe("failed");
				weak.mend();
				await processor.retry("it", { from: "failure" });
				const dying = machine.process((_member, n) => n === count ? count % 2 ? "die before" : "die after" : undefined);
				void machine.start(dying.processor([definition]));
				await machine.advance(10_000);
				isReached = dying.isDead;
				expect((await end(machine, definition, "it")).status).toBe(status);
				const counts = (name: string) => calls.filter((call) => call === name).length;
				expect([counts("a"), counts("z") >= 1, counts("z") <= 2]).toEqual([1, true, true]);
				dying.die();
			}
		});
	}

	law("a dead job goes on as it is stored, or begins anew", async (make) => {
		const machine = await make();
		const definition = job<number>("restarts").step("a", { run: ({ input }) => input });
		const processor = machine.processor([definition]);
		for (const from of ["failure", "start"] as const) {
			await processor.add(definition, 5, { id: from });
			const { claims } = await machine.store.turn(machine.name, {
				settle: [],
				claim: [{ kinds: ["restarts"], limit: 1 }],
				lease: 1_000,
			});
			const settle = [{ ref: claims[0]!, outcome: { type: "dead", attempts: 1, error: "unreadable" } as const }];
			await machine.store.turn(machine.name, { settle, claim: [], lease: 1_000 });
			expect((await processor.get(from))!.status).toBe("dead");
			expect(await processor.retry(from, { from })).toBe(true);
			expect((await end(machine, definition, from)).value).toBe(5);
		}
	});

	law(
		"retry() from the failure of a durable function calls the step again whose failure was not caught",
		async (make) => {
			const machine = await make();
			machine.patience = 12;
			const calls: string[] = [];
			const [a, b, c, d] = [..."abcd"].map((name) => broken(calls, name)) as [Broken, Broken, Broken, Broken];
			const body = async (flow: Flow) => {
				const caught = await flow.step("a", a).catch(({ message }: Error) => message);
				const both = await Promise.all([
					flow.step("b", b, { attempts: 2 }),
					flow.step("c", c),
					// It fails as early, but the body does not see that.
					flow.step("d", d),
				]);
				return [caught, ...both];
			};
			const definition = durable("restarts", body);
			const { processor, outcome } = await first(machine, definition);
			expect(outcome).toMatchObject({ status: "failed", error: { message: "c is broken" } });
			for (const one of [a, b, c, d]) one.mend();
			expect(await processor.retry("it", { from: "failure" })).toBe(true);
			const next = await end(machine, definition, "it");
			expect(next).toMatchObject({ status: "completed", value: ["a is broken", "b", "c", "d"] });
			expect(next.results).toEqual({ b: "b", c: "c", d: "d" });
			expect(calls.filter((call) => call.startsWith("a"))).toEqual(["a /a"]);
			for (const name of ["c", "d"]) expect(calls.filter((call) => call === `${name} /${name}`).length).toBe(2);
			const { uid } = await machine.head("it");
			await processor.retry("it", { from: "start" });
			expect((await end(machine, definition, "it")).value).toEqual(["a", "b", "c", "d"]);
			expect((await machine.head("it")).uid).not.toBe(uid);
		},
	);

	for (
		const [title, sleeps, wrap] of [
			["as the cause of another error", true, (cause: unknown) => new Error("wrapped", { cause })],
			["in an AggregateError", true, (error: unknown) => new AggregateError([error])],
			["without a word about it", false, () => new Error("wrapped")],
		] as const
	) {
		law(`retry() from the failure of a durable function finds the failed step ${title}`, async (make) => {
			const machine = await make();
			machine.patience = 12;
			const calls: string[] = [];
			const [a, b] = [broken(calls, "a"), broken(calls, "b")];
			const body = async (flow: Flow) => {
				await flow.step("a", a).catch(() => {});
				await flow.sleep("rest", 1_000);
				try {
					return await flow.step("b", b);
				} catch (error) {
					if (sleeps) await flow.sleep("pause", 1_000);
					throw wrap(error);
				}
			};
			const definition = durable("restarts", body);
			const { processor } = await first(machine, definition);
			for (let failures = 1; failures < 3; failures++) {
				await processor.retry("it", { from: "failure" });
				expect((await end(machine, definition, "it")).status).toBe("failed");
			}
			b.mend();
			await processor.retry("it", { from: "failure" });
			expect((await end(machine, definition, "it")).value).toBe("b");
			expect(calls).toEqual(["a /a", "b /b", "b /b", "b /b", "b /b"]);
		});
	}

	law(
		"a durable function that failed by itself just runs again, and one whose revert failed goes on with it",
		async (make) => {
			const machine = await make();
			machine.patience = 12;
			const calls: string[] = [];
			const revert = broken(calls, "-a");
			let isWrong = true;
			const run = (name: string) => () => void calls.push(name);
			const definition = durable("restarts", async (flow) => {
				await flow.step("a", run("a"));
				await flow.sleep("rest", 1_000);
				if (isWrong) throw new Error("wrong");
				await flow.step("b", run("b"), { revert: run("-b") });
				await flow.step("c", run("c"), { revert: (_, context) => void revert(context), revertAttempts: 1 });
				throw new Error("reverts");
			});
			const { processor, outcome } = await first(machine, definition);
			expect(outcome).toMatchObject({ status: "failed", error: { message: "wrong" } });
			isWrong = false;
			await processor.retry("it", { from: "failure" });
			expect(await end(machine, definition, "it")).toMatchObject({ status: "failed", unreverted: ["c", "b"] });
			revert.mend();
			await processor.retry("it", { from: "failure" });
			expect(await end(machine, definition, "it")).toMatchObject({ status: "reverted", error: { message: "reverts" } });
			expect(calls).toEqual(["a", "b", "c", "-a /c/revert", "-a /c/revert", "-b"]);
		},
	);

	law(
		"the names of a durable function that are tried again are reverted in the order of their first start",
		async (make) => {
			const machine = await make();
			machine.patience = 12;
			const calls: string[] = [];
			const a = broken(calls, "a");
			let isRevertible = false;
			const definition = durable("restarts", async (flow) => {
				const undo = (name: string) => isRevertible ? () => void calls.push(name) : undefined;
				await Promise.all([
					flow.step("a", a, { revert: undo("-a") }),
					flow.sleep("rest", 1_000).then(() => flow.step("b", () => {}, { revert: undo("-b") })),
				]);
				throw new Error("reverts");
			});
			const { processor } = await first(machine, definition);
			a.mend();
			isRevertible = true;
			await processor.retry("it", { from: "failure" });
			expect((await end(machine, definition, "it")).status).toBe("reverted");
			expect(calls).toEqual(["a /a", "a /a", "-b", "-a"]);
		},
	);
}
