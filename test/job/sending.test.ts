import { describe, expect, test } from "vitest";
import { sendWanted } from "../../src/job/sending.ts";

describe("sendWanted()", () => {
	test("sends only what is still wanted, and gives each its result", async () => {
		const sent: string[][] = [];
		const send = async (ids: readonly string[]) => {
			sent.push([...ids]);
			return ids.map((id) => id !== "lost");
		};
		const waiting = ["a", "late", "lost", "b"].map((item) => ({ item, begin: () => item !== "late" }));
		expect(await sendWanted(waiting, send)).toEqual([true, undefined, false, true]);
		expect(await sendWanted(waiting.slice(1, 2), send)).toEqual([undefined]);
		expect(sent).toEqual([["a", "lost", "b"]]);
	});
});
