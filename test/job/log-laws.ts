// Laws of the log of jobs that hold for every store.
import { expect } from "vitest";
import { type Job, job, type JobOutcome } from "../../mod.ts";
import { deferred } from "../support.ts";
import type { Machine } from "./support.ts";

type Law = (title: string, body: (make: () => Promise<Machine>) => Promise<void>) => void;

/** A job of many steps, which gives their names to a function. */
export function long(count: number, run: (name: string) => unknown): Job {
	let result: Job = job("long");
	for (let n = 1; n <= count; n++) result = result.step(`s${n}`, { run: ({ step }) => run(step) }) as unknown as Job;
	return result;
}

export function testJobLogs(law: Law): void {
	law("a job runs whose results together are far larger than a payload may be, and all are told", async (make) => {
		const machine = await make();
		const value = (name: string) => `${name} `.repeat(200);
		const definition = long(40, value);
		const processor = () => {
			const { store } = machine.process();
			const capabilities = { ...store.capabilities, maxPayload: 3_000 };
			return machine.processor([definition], { store: { ...store, capabilities } });
		};
		const [first, second] = [processor(), processor()];
		const results = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`s${n + 1}`, value(`s${n + 1}`)]));
		const { id } = await first.add(definition);
		const waited = [first, second].map((one) => one.wait(id));
		await machine.drain(first);
		await machine.advance(5_000);
		const outcomes: (JobOutcome | undefined)[] = await Promise.all(waited);
		for (const one of [first, second]) {
			outcomes.push(await one.result(id));
			expect((await one.get(id))!.results).toEqual(results);
			for await (const shown of one.list()) expect(shown.results).toEqual(results);
		}
		for (const outcome of outcomes) expect(outcome).toMatchObject({ status: "completed", results });
		expect((await machine.stored(id)).payload.length).toBeLessThan(3_000);
	});

	law("a claim that ends without a head is continued behind the last entry", async (make) => {
		const machine = await make();
		const ran: string[] = [];
		const atThird = deferred();
		const definition = long(4, async (step) => {
			ran.push(step);
			if (ran.length !== 3) return ran.length;
			atThird.resolve();
			await new Promise(() => {});
		});
		const first = machine.processor([definition], { grace: 0 });
		const { id } = await first.add(definition);
		const { payload } = await machine.stored(id);
		const running = machine.start(first);
		await machine.advance(0);
		await atThird.promise;
		void running.stop();
		await machine.advance(2_000);
		await running.done;
		expect((await machine.stored(id)).payload).toBe(payload);
		expect((await machine.log(id)).map(({ n }) => n)).toEqual([1, 2]);
		const second = machine.processor([definition]);
		await machine.drain(second);
		expect(ran).toEqual(["s1", "s2", "s3", "s3", "s4"]);
		expect((await second.result(id))!.results).toEqual({ s1: 1, s2: 2, s3: 4, s4: 5 });
	});

	law("commit() appends the result in the transaction, and the entry shows that it was committed", async (make) => {
		const machine = await make();
		const process = machine.process();
		const seen: unknown[] = [];
		let payload: string | undefined;
		const definition = job("commits").step("a", {
			attempts: 2,
			run: async ({ id, commit, attempt }) => {
				const isGood = attempt === 2;
				const written = process.write(`line ${attempt}`, async (tx) => {
					await commit(tx as never, `result ${attempt}`);
					if (!isGood) throw new Error("rolled back");
				});
				await written.catch(() => {});
				const { payload: stored } = await machine.stored(id);
				seen.push((await machine.log(id)).length, stored === (payload ??= stored));
				payload = undefined;
				throw new Error("not heeded behind the commit");
			},
		}).step("b", { run: ({ results }) => void seen.push(results) });
		const processor = process.processor([definition]);
		const { id } = await processor.add(definition);
		const running = machine.start(processor);
		await machine.advance(10_000);
		await running.stop();
		expect(seen).toEqual([0, true, 1, true, { a: "result 2" }]);
		expect(await machine.lines()).toEqual(["line 2"]);
		expect((await processor.result(id))!.status).toBe("completed");
	});
}
