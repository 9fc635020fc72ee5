import { describe, expect, test, vi } from "vitest";
import { link, unlink, whileListening } from "../../src/platform/signals.ts";
import { SpiedController } from "../support.ts";

describe("whileListening()", () => {
	test("lets many items be linked one after the other with one event listener, and leaves none", async () => {
		const controller = new SpiedController();
		const { signal } = controller;
		const value = await whileListening(signal, async () => {
			for (let count = 0; count < 5; count++) {
				const item = { abort: vi.fn() };
				link(signal, item);
				await undefined;
				unlink(signal, item);
			}
			expect(controller.listeners).toBe(1);
			return "done";
		});
		expect([value, controller.listeners, controller.added]).toEqual(["done", 0, 1]);
	});

	test("leaves no listener if the work fails, and lets an abort reach what is linked", async () => {
		const controller = new SpiedController();
		const { signal } = controller;
		const item = { abort: vi.fn() };
		const reason = new Error("enough");
		const work = whileListening(signal, () => {
			link(signal, item);
			controller.abort(reason);
			return Promise.reject(reason);
		});
		await expect(work).rejects.toBe(reason);
		expect(item.abort.mock.calls).toEqual([[reason]]);
		expect(controller.listeners).toBe(0);
		expect(await whileListening(signal, () => Promise.resolve("aborted before"))).toBe("aborted before");
		expect(controller.listeners).toBe(0);
	});
});
