import { describe, expect, test } from "vitest";
import { saveWanted } from "../../src/job/saving.ts";
import { memoryStore } from "../../mod.ts";

describe("saveWanted()", () => {
	test("sends only what is still wanted, and says of each whether it was stored", async () => {
		const sent: string[][] = [];
		const store = {
			...memoryStore(),
			save: async (_: string, saves: readonly { ref: { id: string } }[]) => {
				sent.push(saves.map(({ ref: { id } }) => id));
				return saves.map(({ ref: { id } }) => id !== "lost");
			},
		};
		const waiting = ["a", "late", "lost", "b"].map((id) => ({
			save: { ref: { id, token: "1" } },
			begin: () => id !== "late",
		}));
		expect(await saveWanted(store, "jobs", waiting)).toEqual([true, false, false, true]);
		expect(await saveWanted(store, "jobs", waiting.slice(1, 2))).toEqual([false]);
		expect(sent).toEqual([["a", "lost", "b"]]);
	});
});
