// What a job with very many children costs and survives.
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { job, Processor } from "../../../mod.ts";
import { faultyStore } from "../../../src/testing/testing.ts";
import { sqliteStore } from "../../../src/stores/sqlite/sqlite.ts";
import { killFanOut } from "../../kills/fan-out.ts";
import { heapNow } from "../../heap.ts";
import { isLong } from "../../support.ts";

// Takes a quarter of a minute, so only with `--long`.
test.skipIf(!isLong)(
	"Job.each() takes at most 64 MiB while 100,000 children are added, run and collected",
	async () => {
		// Not memoryStore(), which has the children in this heap.
		const db = new DatabaseSync(":memory:");
		const store = sqliteStore(db);
		const definition = job("fan out").each("all", {
			items: () => Array.from({ length: 100_000 }, (_, n) => ({ url: `https://example.org/some/page/${n}`, n })),
			run: ({ item }) => item.n,
			into: (sum: number | undefined, n) => (sum ?? 0) + n,
		});
		const before = heapNow();
		let most = 0;
		let calls = 0;
		const watched = faultyStore(store, ({ member, phase }) => {
			if (phase === "before" || member !== "save" && member !== "list") return undefined;
			if (++calls % 20 === 0) most = Math.max(most, heapNow());
			return undefined;
		});
		const processor = new Processor({ store: watched, jobs: [definition], concurrency: 100 });
		const { id } = await processor.add(definition);
		await processor.drain();
		expect((await processor.wait(id)).value).toBe(100_000 * 99_999 / 2);
		expect(calls).toBeGreaterThan(300);
		expect(most - before).toBeLessThan(64 * 2 ** 20);
		db.close();
	},
	120_000,
);

// Takes some ten seconds and kills processes, so only with `--long`.
test.skipIf(!isLong)("10,000 children whose processes are killed are joined once", async () => {
	expect(await killFanOut("sqlite", { children: 10_000, kills: 20, seed: 1, limit: 100_000 })).toEqual([]);
}, 120_000);
