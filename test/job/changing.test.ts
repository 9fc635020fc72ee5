import { describe, expect, test } from "vitest";
import { job, live, memoryStore, Processor } from "../../mod.ts";
import { deferred, errorOf } from "../support.ts";
import { VirtualClock } from "../../src/testing/testing.ts";

const one = job<number>("one").step("a", { run: ({ input }) => input });
const two = job<number>("two").step("a", { run: ({ input }) => input });

async function bench() {
	const clock = new VirtualClock();
	const processor = new Processor({ store: memoryStore({ clock }), clock, jobs: [one, two] });
	const ids = async (query = {}) => {
		const found = [];
		for await (const { id } of processor.list(query)) found.push(id);
		return found.join(" ");
	};
	for (const id of ["x:1", "x:2", "y:1"]) await processor.add(one, 1, { id, delay: 60_000, lane: id[0] });
	await processor.add(two, 1, { id: "x:3", delay: 60_000, priority: 7 });
	return { clock, processor, ids };
}

describe("Processor.list()", () => {
	test("selects by lane and prefix, and begins with the newest", async () => {
		const { processor, ids } = await bench();
		const order = "newest";
		const lists = [{ lane: "x" }, { prefix: "x:" }, { order }, { prefix: "x", job: "one", order, limit: 1 }];
		expect(await Promise.all(lists.map(ids))).toEqual(["x:1 x:2", "x:1 x:2 x:3", "x:3 y:1 x:2 x:1", "x:2"]);
		const record = await processor.get("x:3");
		expect([record?.lane, record?.priority]).toEqual([undefined, 7]);
	});
});

describe("Processor.hold(), release(), retry() and delete()", () => {
	test("change all jobs that a filter selects, and count them", async () => {
		const { clock, processor, ids } = await bench();
		expect(await processor.hold({ prefix: "x" })).toBe(3);
		expect(await ids({ state: "held" })).toBe("x:1 x:2 x:3");
		expect(await processor.release({ job: "two" })).toBe(1);
		expect(await processor.retry({ lane: "y" })).toBe(1);
		const running = processor.run();
		await clock.advance(1_000);
		await processor.stop();
		await running;
		expect(await ids({ state: "done" })).toBe("y:1");
		expect([await processor.delete({ state: "held", lane: "x" }), await ids()]).toEqual([2, "y:1 x:3"]);
		expect([await processor.clear({ job: "one" }), await ids()]).toEqual([1, "x:3"]);
		expect([await processor.clear(), await ids(), await processor.clear()]).toEqual([1, "", 0]);
	});

	test("refuse a filter that would select all, or has another member, and change nothing", async () => {
		const { processor, ids } = await bench();
		const wrong = [{}, { kind: "one" }, { job: "one", kind: "two" }, { job: 1 }, { prefix: "_" }, null, 1];
		for (const filter of wrong as never[]) {
			for (const member of ["hold", "release", "retry", "delete"] as const) {
				expect(/Error$/.test((await errorOf(processor[member](filter)) as Error).name)).toBe(true);
			}
		}
		for (const filter of [{ kind: "one" }, { job: 1 }] as never[]) {
			expect(/Error$/.test((await errorOf(processor.clear(filter)) as Error).name)).toBe(true);
		}
		expect(await ids({ state: "waiting" })).toBe("x:1 x:2 y:1 x:3");
	});

	test("hold() of a filter lets the current steps end, and begins no others", async () => {
		const step = deferred<void>();
		let begun = 0;
		const three = job("three").step("a", { run: () => step.promise }).step("b", { run: () => void begun++ });
		const processor = new Processor({ store: memoryStore(), jobs: [three] });
		const { id } = await processor.add(three);
		const draining = processor.drain();
		await new Promise<void>((resolve) => {
			const stop = processor.subscribe(() => processor.getSnapshot().jobs.size === 1 && (stop(), resolve()));
		});
		expect(await processor.hold({ job: "three" })).toBe(1);
		step.resolve();
		await draining;
		expect([begun, (await processor.get(id))?.status, (await processor.get(id))?.step]).toEqual([0, "held", "b"]);
	});
});

describe("live(processor)", () => {
	test("is a list of jobs that stays up to date", async () => {
		const { clock, processor } = await bench();
		const list = live(processor, { job: "one", order: "newest" }, { clock });
		const stop = list.subscribe(() => {});
		await clock.advance(0);
		expect(list.getSnapshot()?.map(({ id, input }) => `${id} ${input}`)).toEqual(["y:1 1", "x:2 1", "x:1 1"]);
		const before = list.getSnapshot()!;
		await processor.hold("x:2");
		await clock.advance(1_000);
		expect(list.getSnapshot()?.map(({ status }) => status)).toEqual(["waiting", "held", "waiting"]);
		expect(list.getSnapshot()![0]).toBe(before[0]);
		stop();
	});
});
