import { describe, expect, test } from "vitest";
import { type AnyJob, job, type JobOptions, later, limit, memoryStore, Processor, type Store } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";

interface Call {
	tenant: string;
}

/** Two processes on one store. */
async function work(jobs: readonly AnyJob<never>[], inputs: readonly Call[], time: number): Promise<Store> {
	const clock = new VirtualClock({ now: 1_000_000 });
	const store = memoryStore({ clock });
	const both = [1, 2].map(() => new Processor({ store, clock, jobs }));
	const [one] = both;
	for (const [index, input] of inputs.entries()) await one!.add(jobs[0]!, input, { id: `${input.tenant}${index}` });
	const running = both.map((one) => one.run());
	await clock.advance(time);
	const stopped = both.map((one) => one.stop());
	await clock.advance(0);
	await Promise.all([...stopped, ...running]);
	return store;
}

const tenants = (text: string): Call[] => [...text].map((tenant) => ({ tenant }));

describe("job()", () => {
	test("runs at most so many jobs of a key at once, in all processes, and no job that sleeps has a place", async () => {
		const running = new Map<string, number>();
		const most = new Map<string, number>();
		const step = async ({ input: { tenant } }: { input: Call }) => {
			const count = (running.get(tenant) ?? 0) + 1;
			running.set(tenant, count);
			most.set(tenant, Math.max(count, most.get(tenant) ?? 0));
			for (let turn = 0; turn < 50; turn++) await undefined;
			running.set(tenant, count - 1);
		};
		const byTenant = limit({ key: ({ tenant }: Call) => tenant, atOnce: 1 });
		const call = job<Call>("call", { limit: byTenant })
			.step("first", { run: step }).sleep("nap", 60_000).step("last", { run: step });
		const store = await work([call], tenants("aaab"), 61_000);
		expect([...most]).toEqual([["a", 1], ["b", 1]]);
		expect((await store.counts("jobs")).done).toBe(4);
	});

	test("counts each step as a start, with its attempts and reverts", async () => {
		const clock = new VirtualClock({ now: 0 });
		const starts: [what: string, at: number][] = [];
		const note = (what: string, fails = 0) => () => {
			starts.push([what, clock.now()]);
			if (starts.filter(([other]) => other === what).length <= fails) throw new Error(what);
		};
		const call = job("call", { limit: limit({ rate: { tasks: 1, per: 1_000 } }) })
			.step("a", { run: note("a"), revert: note("undo a") })
			.step("b", { run: note("b", 2), attempts: 2, backoff: 10 });
		const store = memoryStore({ clock });
		const processor = new Processor({ store, clock, jobs: [call] });
		await processor.add(call, undefined, { id: "one" });
		const running = processor.run();
		await clock.advance(10_000);
		const stopped = processor.stop();
		await clock.advance(0);
		await Promise.all([stopped, running]);
		expect(starts).toEqual([["a", 0], ["b", 1_000], ["b", 2_000], ["undo a", 3_000]]);
		expect((await processor.get("one"))?.status).toBe("reverted");
	});

	test("shuts the key of a step that is put off with a limit", async () => {
		const seen: string[] = [];
		const call = job<Call>("call", { limit: limit({ key: ({ tenant }) => tenant, atOnce: 1 }) }).step("only", {
			run: ({ id }) => {
				seen.push(id);
				if (seen.length === 1) throw later(60_000, "429", { limit: true });
			},
		});
		await work([call], tenants("aab"), 59_000);
		expect(seen).toEqual(["a0", "b2"]);
	});

	test("moves a stored job to the key of its limit, also behind a new one, and holds a job without a key", async () => {
		const clock = new VirtualClock({ now: 1_000_000 });
		const store = memoryStore({ clock });
		const seen: string[] = [];
		const define = (options: JobOptions<Call>) =>
			job<Call>("call", options).step("only", { run: ({ id }) => void seen.push(id) });
		const before = define({});
		const old = new Processor({ store, clock, jobs: [before] });
		for (const { tenant } of tenants("ab")) await old.add(before, { tenant }, { id: tenant });
		const key = ({ tenant }: Call) => tenant === "b" ? "" : tenant;
		const after = define({ limit: limit({ key, atOnce: 1, rate: { tasks: 1, per: 1_000 } }) });
		const processor = new Processor({ store, clock, jobs: [after] });
		await expect(processor.add(after, { tenant: "b" })).rejects.toThrow("limit.key()");
		await processor.add(after, { tenant: "a" }, { id: "a2" });
		const running = processor.run();
		await clock.advance(500);
		expect(seen).toEqual(["a2"]);
		expect(await store.get("jobs", "a")).toMatchObject({ limitKey: "a", state: "waiting", attempts: 0 });
		expect((await store.get("jobs", "b"))?.state).toBe("held");
		await clock.advance(500);
		expect(seen).toEqual(["a2", "a"]);
		const stopped = processor.stop();
		await clock.advance(0);
		await Promise.all([stopped, running]);
	});

	test("refuses a limit that limit() has not made", () => {
		for (const limit of [{ atOnce: 2 }, 2, null, "2"]) {
			expect(() => job("call", { limit: limit as never })).toThrow("limit");
		}
	});
});
