import { describe, expect, test } from "vitest";
import { useCases } from "./leaks.ts";
import { isLong, isNode, SpiedController } from "./support.ts";

const uses = isLong && isNode ? 100_000 : 10_000;

describe(`${uses} uses of one long-lived signal leave no listener on it`, () => {
	for (const [name, use] of Object.entries(useCases())) {
		test(name, async () => {
			const controller = new SpiedController();
			for (let i = 0; i < uses; i++) await use(controller.signal);
			expect(controller.added).toBeGreaterThan(0);
			expect(controller.listeners).toBe(0);
		});
	}
});
