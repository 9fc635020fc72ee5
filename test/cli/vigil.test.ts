import { describe, expect, test } from "vitest";
import { Vigil } from "../../src/cli/vigil.ts";
import { sleep } from "../../src/platform/clock.ts";
import { VirtualClock } from "../../src/testing/testing.ts";

function watching({ isLive = false } = {}) {
	const clock = new VirtualClock();
	const notes: { readonly at: number; readonly text: string }[] = [];
	const started = clock.monotonic();
	const note = (text: string) => notes.push({ at: clock.monotonic() - started, text });
	const vigil = new Vigil({ name: `"a.db"`, isLive, clock, note });
	return { clock, vigil, notes };
}

const never = () => new Promise<never>(() => {});

describe("Vigil", () => {
	test("says within two seconds what a call waits for, and then at longer and longer intervals", async () => {
		const { clock, vigil, notes } = watching();
		void vigil.during("counts", never);
		await clock.advance(2_000);
		expect(notes).toEqual([{ at: expect.any(Number), text: `Waiting 1.9 s for "a.db" to answer (counts)` }]);
		expect(notes[0]!.at).toBeLessThanOrEqual(2_000);
		await clock.advance(298_000);
		const gaps = notes.slice(1).map(({ at }, index) => at - notes[index]!.at);
		expect(gaps.length).toBeLessThan(11);
		for (const [index, gap] of gaps.entries()) expect(gap).toBeGreaterThanOrEqual(gaps[index - 1] ?? 2_000);
		expect(notes.at(-1)!.text).toMatch(/^Waiting 5 min for /);
		vigil.end();
	});

	test("adds the reason, if the database knows it by then", async () => {
		const { clock, vigil, notes } = watching();
		vigil.explain = async () => "a lock of another session: process 7";
		void vigil.during("list", never);
		await clock.advance(2_000);
		const rest = "which waits for a lock of another session: process 7";
		expect(notes.map(({ text }) => text)).toEqual([`Waiting 1.9 s for "a.db" to answer (list), ${rest}`]);
		vigil.end();
	});

	test.each([["never answers", never], ["fails", () => Promise.reject(new Error("away"))]])(
		"needs no reason: one that %s",
		async (_, explain) => {
			const { clock, vigil, notes } = watching();
			vigil.explain = explain;
			void vigil.during("list", never);
			await clock.advance(2_000);
			expect(notes.map(({ text }) => text)).toEqual([`Waiting 1.9 s for "a.db" to answer (list)`]);
			vigil.end();
		},
	);

	test("says what it waits for even if that has just begun: only a command that has read something reads", async () => {
		const { clock, vigil, notes } = watching();
		void vigil.during("connect", () => sleep(1_200, { clock })).then(() => vigil.during("change", never));
		await clock.advance(2_000);
		expect(notes.map(({ text }) => text)).toEqual([`Waiting 700 ms for "a.db" to answer (change)`]);
		vigil.end();
	});

	test("says how far a command has come that makes many calls", async () => {
		const { clock, vigil, notes } = watching();
		const read = async () => {
			for (let page = 0; page < 30; page++) {
				await vigil.during("list", async () => {
					await sleep(100, { clock });
					return Array.from({ length: 250 });
				});
			}
		};
		const reading = read();
		await clock.advance(3_000);
		await reading;
		expect(notes.map(({ text }) => text)).toEqual([`Reading "a.db": 4,500 tasks so far`]);
		vigil.end();
	});

	test("is silent while something is printed, during a question, and at the end", async () => {
		const { clock, vigil, notes } = watching();
		for (let line = 0; line < 10; line++) {
			vigil.heard();
			await clock.advance(1_500);
		}
		const asked = vigil.pause(() => sleep(100_000, { clock }));
		await clock.advance(100_000);
		await asked;
		expect(notes).toEqual([]);
		await clock.advance(2_000);
		expect(notes.length).toBe(1);
		vigil.end();
		await clock.advance(100_000);
		expect(notes.length).toBe(1);
	});

	test("of a live command is silent between its calls", async () => {
		const { clock, vigil, notes } = watching({ isLive: true });
		for (let look = 0; look < 5; look++) {
			const looked = vigil.during("survey", () => sleep(500, { clock }));
			await clock.advance(500);
			await looked;
			await clock.advance(60_000);
		}
		expect(notes).toEqual([]);
		void vigil.during("survey", never);
		await clock.advance(2_000);
		expect(notes.map(({ text }) => text)).toEqual([`Waiting 1.9 s for "a.db" to answer (survey)`]);
		vigil.end();
	});

	test("watches the calls of a store, and leaves its other members alone", async () => {
		const { clock, vigil, notes } = watching();
		const survey = async (basket?: string) => {
			await sleep(2_500, { clock });
			return { at: 7, tasks: [], basket };
		};
		const catalog = vigil.watched({ survey, gate: async () => undefined });
		const found = catalog.survey("a");
		await clock.advance(2_500);
		expect(await found).toEqual({ at: 7, tasks: [], basket: "a" });
		expect(notes.map(({ text }) => text)).toEqual([`Waiting 1.9 s for "a.db" to answer (survey)`]);
		vigil.end();
	});
});
