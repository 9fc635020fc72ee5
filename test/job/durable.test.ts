// The laws of durable functions on memoryStore(), and behavior that does not depend on a store.
import { describe as group, expect, test } from "vitest";
import { describeJob, Durable, durable, JobDefinition, memoryStore, Processor } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { isLong, isPage } from "../support.ts";
import { openMemory } from "./database.ts";
import { testDurable } from "./durable-laws.ts";
import { tryFlow } from "./flows.ts";

testDurable("memoryStore()", openMemory);

const isWorkerd = globalThis.navigator?.userAgent === "Cloudflare-Workers";

group("durable()", () => {
	test("refuses what is not allowed", () => {
		expect(() => durable("", () => 1)).toThrow(`"name"`);
		expect(() => durable("a", 1 as never)).toThrow(`"body"`);
		expect(() => durable("a", () => 1, { deadline: 0 })).toThrow(`"deadline"`);
		expect(() => durable("a", () => 1, { schema: {} as never })).toThrow(`"schema"`);
		const one = durable("a", () => 1);
		expect(() => new Processor({ store: memoryStore(), jobs: [one, one] })).toThrow(`two jobs of the name "a"`);
	});

	test("makes a definition, whose steps describeJob() does not know", () => {
		const definition = durable("a", () => 1, { version: 2 });
		expect([definition instanceof Durable, definition instanceof JobDefinition]).toEqual([true, true]);
		expect(definition).toMatchObject({ name: "a", version: 2, steps: [] });
		expect(() => describeJob(definition)).toThrow(`"job"`);
	});

	// A macrotask of workerd belongs to one request, so that jobs cannot share it.
	test.skipIf(isWorkerd)("stores what jobs do at the same time in one call", async () => {
		const store = memoryStore();
		const sizes: number[] = [];
		const save: typeof store.save = (name, items, tx) => {
			sizes.push(items.length);
			return store.save(name, items, tx);
		};
		const definition = durable("job", async (flow) => {
			for (let step = 0; step < 5; step++) await flow.step(["step", step], () => step);
		});
		const processor = new Processor({ store: { ...store, save }, jobs: [definition], concurrency: 10 });
		await processor.addMany(Array.from({ length: 10 }, () => ({ job: definition })));
		await processor.drain();
		expect(processor.getSnapshot().completed).toBe(10);
		expect(sizes).toEqual([10, 10, 10, 10, 10]);
	});

	test("does all it can before a virtual clock moves on", async () => {
		const clock = new VirtualClock();
		const at: number[] = [];
		// Where macrotasks are slow, a day of renewals is enough.
		const days = isPage ? [0, 1] : [0, 1, 2, 3];
		const definition = durable("job", async (flow) => {
			for (const day of days) {
				for (let step = 0; step < 5; step++) await flow.step([day, step], () => step);
				await flow.step(["note", day], () => void at.push(clock.now()));
				await flow.sleep(["night", day], 86_400_000);
			}
		});
		const processor = new Processor({ clock, store: memoryStore({ clock }), jobs: [definition] });
		const running = processor.run();
		const { id } = await processor.add(definition);
		await clock.advance(days.length * 86_400_000);
		expect(at).toEqual(days.map((day) => day * 86_400_000));
		expect((await processor.result(id))?.status).toBe("completed");
		await processor.stop();
		await running;
	});

	const seeds = isPage ? 8 : 32 * (isLong ? 8 : 1);
	test(`of random shape keeps its laws when processes die at random: ${seeds} seeds`, async () => {
		for (let seed = 0; seed < seeds; seed++) expect(await tryFlow(openMemory, seed, 0.1)).toBe(undefined);
	}, 600_000);
});
