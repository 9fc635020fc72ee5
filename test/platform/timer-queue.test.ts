import fc from "../property.ts";
import { describe, expect, test } from "vitest";
import { CallbackTimer, type Timer, TimerQueue } from "../../src/platform/timer-queue.ts";

describe("TimerQueue", () => {
	test("behaves like a sorted list under any sequence of sets, moves, clears and takes", () => {
		const command = fc.record({
			kind: fc.constantFrom("set", "set", "clear", "take"),
			timer: fc.nat(30),
			at: fc.nat(10),
		});
		fc.assert(
			fc.property(fc.array(command, { maxLength: 200 }), (commands) => {
				const queue = new TimerQueue();
				const timers = Array.from({ length: 31 }, () => new CallbackTimer(() => {}));
				let model: { timer: Timer; at: number; order: number }[] = [];
				for (const [order, { kind, timer: index, at }] of commands.entries()) {
					const timer = timers[index]!;
					if (kind === "take") {
						const [first] = model;
						const taken = queue.take(at, Infinity);
						expect(taken).toBe(first !== undefined && first.at <= at ? first.timer : undefined);
						if (taken !== undefined) model.shift();
						continue;
					}
					model = model.filter((entry) => entry.timer !== timer);
					if (kind === "set") {
						queue.set(timer, at);
						model.push({ timer, at, order });
						model.sort((a, b) => a.at - b.at || a.order - b.order);
					} else queue.clear(timer);
					expect(queue.size).toBe(model.length);
					expect(queue.head).toBe(model[0]?.timer);
				}
			}),
		);
	});
});
