import { describe, expect, test } from "vitest";
import { useCases } from "./leaks.ts";
import { SpiedController } from "./support.ts";

describe("100,000 uses of one long-lived signal leave no listener on it", () => {
	for (const [name, use] of Object.entries(useCases())) {
		test(name, async () => {
			const controller = new SpiedController();
			for (let i = 0; i < 100_000; i++) await use(controller.signal);
			expect(controller.added).toBeGreaterThan(0);
			expect(controller.listeners).toBe(0);
		});
	}
});
