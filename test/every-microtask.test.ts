import { describe, expect, test } from "vitest";
import { afterMicrotasks, atEachMicrotask } from "./every-microtask.ts";
import { errorOf } from "./support.ts";

describe("atEachMicrotask()", () => {
	test("finds the one microtask at which something goes wrong, and says which", async () => {
		const trial = async (k: number) => {
			let state = "running";
			queueMicrotask(() => queueMicrotask(() => queueMicrotask(() => state = "between")));
			queueMicrotask(() => queueMicrotask(() => queueMicrotask(() => queueMicrotask(() => state = "done"))));
			const seen = await new Promise((resolve) => afterMicrotasks(k, () => resolve(state)));
			expect(seen).not.toBe("between");
		};
		const error = await errorOf(atEachMicrotask(30, trial)) as Error;
		expect(error.message).toContain("With 3 microtasks between: ");
		await atEachMicrotask(3, trial);
	});
});
