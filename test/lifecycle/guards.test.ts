import { describe, expect, test } from "vitest";
import {
	configurable,
	configure,
	Group,
	Intermittent,
	Lifecycle,
	MissingMethodError,
	start,
	startable,
	stop,
	stoppable,
} from "../../mod.ts";
import { errorOf } from "../support.ts";

const nothing = [undefined, null, 0, "", "start", Symbol("s"), {}, [], { start: 1, stop: "2", configure: null }];

describe("start(), stop(), configure()", () => {
	test("call the method, synchronous or not, and resolve with what it gives", async () => {
		const calls: unknown[] = [];
		const thing = {
			name: "thing",
			start() {
				return `${this.name} started`;
			},
			async stop() {
				return await `${this.name} stopped`;
			},
			configure(data: number) {
				calls.push(data);
				return `${this.name} configured`;
			},
		};
		expect(await start(thing)).toBe("thing started");
		expect(await stop(thing)).toBe("thing stopped");
		expect(await configure(thing, 5)).toBe("thing configured");
		expect(calls).toEqual([5]);
	});

	test("work on a Lifecycle, and stop() on what else can be stopped", async () => {
		const lifecycle = new Lifecycle(() => {});
		expect(await start(lifecycle)).toBe("active");
		expect(await configure(lifecycle, {})).toBe("active");
		expect(await stop(lifecycle)).toBe("inactive");
		await stop(new Group());
		await stop(new Intermittent(() => {}));
	});

	test("reject with what the method throws, synchronously or not", async () => {
		const failure = () => {
			throw "failure";
		};
		expect(await errorOf(start({ start: failure }))).toBe("failure");
		expect(await errorOf(stop({ stop: async () => failure() }))).toBe("failure");
		expect(await errorOf(configure({ configure: failure }, 1))).toBe("failure");
	});

	test("reject for anything without the method", async () => {
		for (const thing of nothing as never[]) {
			expect(await errorOf(start(thing))).toBeInstanceOf(MissingMethodError);
			expect(await errorOf(stop(thing))).toBeInstanceOf(MissingMethodError);
			expect(await errorOf(configure(thing, 1 as never))).toBeInstanceOf(MissingMethodError);
		}
		for (const [method, call] of Object.entries({ start, stop, configure: (x: never) => configure(x, 1 as never) })) {
			expect(await errorOf(call(5 as never))).toMatchObject({
				...{ name: "MissingMethodError", method },
				message: `Cannot ${method} a value of type number that has no method "${method}"`,
			});
		}
	});
});

describe("startable(), stoppable(), configurable()", () => {
	test("tell whether there is such a method, own, inherited, or on a function", () => {
		const lifecycle = new Lifecycle(() => {});
		expect([startable(lifecycle), stoppable(lifecycle), configurable(lifecycle)]).toEqual([true, true, true]);
		expect([startable(new Group()), stoppable(new Group()), configurable(new Group())]).toEqual([false, true, false]);
		expect(startable(Object.assign(() => {}, { start() {} }))).toBe(true);
		for (const thing of nothing) {
			expect([startable(thing), stoppable(thing), configurable(thing)]).toEqual([false, false, false]);
		}
	});
});
