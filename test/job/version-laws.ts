// Laws of the versions of a definition. They hold for every store.
import { expect } from "vitest";
import { durable, job, limit, live } from "../../mod.ts";
import { deferred } from "../support.ts";
import type { Machine } from "./support.ts";

type Law = (title: string, body: (make: () => Promise<Machine>) => Promise<void>) => void;

const v1 = job<string>("trip", { version: 1 })
	.step("seat", { run: ({ input, version }) => `seat ${input} by ${version}` })
	.waitFor("go");
const v2 = job<string>("trip", { version: "2" }).waitFor("go").step("ride", { run: ({ version }) => `by ${version}` });
const plain = durable("trip", async (flow, input: string) => await flow.step("walk", () => `${input} ${flow.version}`));
const other = job<string>("trip2").waitFor("go");

export function testVersions(law: Law): void {
	law(
		"versions of a definition stand side by side: each job is run by the one with which it was added",
		async (make) => {
			const machine = await make();
			const settled: unknown[] = [];
			const processor = machine.processor([v1, v2, plain, other], {
				onSettled: ({ id, job }) => settled.push([id, job]),
			});
			await processor.add(v1, "Rome", { id: "1" });
			await processor.addMany([{ job: v2, input: "Rome", id: "2" }, { job: plain, input: "Rome", id: "none" }]);
			await processor.add(other, "", { id: "other" });
			for (const id of ["1", "2"]) expect(await processor.signal(id, "go", true)).toBe(true);
			await machine.drain(processor);
			expect((await processor.result("1"))?.results).toEqual({ seat: "seat Rome by 1", go: true });
			expect(await processor.result("2")).toMatchObject({ value: "by 2" });
			expect(await processor.result("none")).toMatchObject({ value: "Rome undefined" });
			expect(settled.sort()).toEqual([["1", "trip"], ["2", "trip"], ["none", "trip"]]);
			const shown: unknown[] = [];
			for await (const { id, job, version } of processor.list({ job: "trip" })) shown.push([id, job, version]);
			expect(shown).toEqual([["1", "trip", 1], ["2", "trip", "2"], ["none", "trip", undefined]]);
			for (const id of ["1", "2"]) expect(await processor.retry(id, { from: "start" })).toBe(true);
			expect(await processor.get("2")).toMatchObject({ job: "trip", step: "go", version: "2" });
			expect(await processor.clear({ job: "trip" })).toBe(3);
			expect((await processor.counts()).waiting).toBe(1);
		},
	);

	law(
		"jobs of a version that a processor does not have are left to others, and can be seen and changed",
		async (make) => {
			const machine = await make();
			const [old, now] = [machine.processor([v1]), machine.processor([v2])];
			const { id } = await old.add(v1, "Rome");
			const stored = await machine.stored(id);
			await machine.drain(now);
			expect(await machine.stored(id)).toEqual(stored);
			const record = await now.get(id);
			expect(record).toMatchObject({ job: "trip", status: "waiting", problem: undefined, version: 1, input: "Rome" });
			expect(await now.signal(id, "go")).toBe(true);
			expect([await now.hold({ job: "trip" }), await now.release({ job: "trip" })]).toEqual([1, 1]);
			const waited = now.wait(id);
			await machine.drain(old);
			await machine.advance(5_000);
			expect((await waited).status).toBe("completed");
			expect(await now.result(id)).toEqual(await waited);
		},
	);

	law(
		"pause() by name pauses all versions, also those that the processor does not have, and running ones",
		async (make) => {
			const machine = await make();
			const [begun, step] = [deferred<void>(), deferred<void>()];
			const busy = job("trip", { version: 3 }).step("a", { run: () => (begun.resolve(), step.promise) }).step("b", {
				run: () => 1,
			});
			const [all, one] = [machine.processor([v1, busy, other]), machine.processor([v2])];
			await all.add(busy, undefined, { id: "busy" });
			const running = machine.start(all);
			await machine.advance(0);
			await begun.promise;
			const jobs = live(all, { job: "trip" }, { clock: machine.clock });
			const stop = jobs.subscribe(() => {});
			expect([...all.getSnapshot().jobs.values()]).toMatchObject([{ id: "busy", job: "trip", step: "a" }]);
			expect(await one.pause({ stored: true, job: "trip" })).toBe(true);
			expect(await all.pause({ stored: true, job: "trip" })).toBe(false);
			expect(await one.pauses()).toEqual({ all: false, kinds: ["trip"] });
			await all.add(v1, "Rome", { id: "1" });
			step.resolve();
			await machine.advance(2_000);
			expect(jobs.getSnapshot()?.map(({ id, status, step }) => [id, status, step])).toEqual([
				["busy", "waiting", "b"],
				["1", "waiting", "seat"],
			]);
			await one.resume({ stored: true, job: "trip" });
			await machine.advance(2_000);
			expect([(await all.get("1"))?.step, (await all.result("busy"))?.status]).toEqual(["go", "completed"]);
			stop();
			await running.stop();
		},
	);

	law("each version has the limit of its definition, and that of the processor is for all", async (make) => {
		const machine = await make();
		const gate = deferred<void>();
		const limited = (version: number) =>
			job("trip", { version, limit: limit({ atOnce: 1 }) }).step("a", { run: () => gate.promise });
		const jobs = [limited(1), limited(2)];
		const processor = machine.processor(jobs);
		for (const definition of [...jobs, ...jobs]) await processor.add(definition);
		const running = machine.start(processor);
		await machine.advance(0);
		const runs = () => [...processor.getSnapshot().jobs.values()].map(({ job, step }) => `${job} ${step}`);
		expect(runs()).toEqual(["trip a", "trip a"]);
		gate.resolve();
		await machine.advance(2_000);
		expect((await processor.counts()).done).toBe(4);
		await running.stop();
	});
}
